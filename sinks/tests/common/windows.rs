//! Which windows there are, which is the same in both databases.

use sinks::Storage;

use super::{HOUR, START, customers, interactions, puts};

/// Writes rows of three windows, and asks which there are.
pub fn check(storage: &dyn Storage) {
    let mut writer = storage.writer().unwrap();
    let reader = storage.reader().unwrap();
    assert_eq!(reader.windows(0, None).unwrap(), []);
    let mut rows: Vec<_> = [2, 0, 1].map(|hour| customers(hour, "Female", 1)).into();
    rows.push(customers(0, "Male", 1));
    rows.push(interactions(7, "a", "rating", 1));
    writer.write(&puts(rows)).unwrap();
    let all = [(START, 2), (START + HOUR, 1), (START + 2 * HOUR, 1)];
    let from = |start: i64| reader.windows(0, Some(start)).unwrap();
    assert_eq!(reader.windows(0, None).unwrap(), all);
    assert_eq!(reader.windows(1, None).unwrap(), [(START + 7 * HOUR, 1)]);
    assert_eq!(from(START + 1), all[1..]);
    assert_eq!(from(START + HOUR), all[1..]);
    assert_eq!(from(START + 3 * HOUR), []);
    assert!(reader.windows(99, None).is_err());
}
