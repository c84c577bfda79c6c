//! Dead letters as they are read, which are the same in both databases.

use sinks::{Batch, DeadLetter, LetterQuery, Reason, Storage};

use super::{HOUR, START, letter};

/// Writes letters, and reads them as a page shows them.
pub fn check(storage: &dyn Storage) {
    let mut writer = storage.writer().unwrap();
    let reader = storage.reader().unwrap();
    let late = DeadLetter {
        reason: Reason::Late,
        timestamp: Some(START + HOUR),
        topic: "others".into(),
        ..letter(2)
    };
    let all = [letter(0), letter(1), late.clone()];
    writer
        .write(&Batch {
            epoch: 6,
            dead_letters: all.to_vec(),
            ..Batch::default()
        })
        .unwrap();
    let asked = |query: LetterQuery| reader.letters(&LetterQuery { limit: 2, ..query }).unwrap();
    let [first, second, _] = all;
    // The newest message first, whatever it is for.
    let any = LetterQuery::default();
    assert_eq!(asked(any.clone()), [late.clone(), first.clone()]);
    let next = LetterQuery { offset: 2, ..any };
    assert_eq!(asked(next), std::slice::from_ref(&second));
    let malformed = LetterQuery {
        reason: Some(Reason::Malformed),
        ..LetterQuery::default()
    };
    assert_eq!(asked(malformed), [first, second.clone()]);
    let of_topic = LetterQuery {
        topic: Some("others".into()),
        ..LetterQuery::default()
    };
    assert_eq!(asked(of_topic), [late]);
    let one = LetterQuery {
        id: Some(second.id()),
        ..LetterQuery::default()
    };
    assert_eq!(asked(one), [second]);
}
