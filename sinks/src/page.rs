//! Which ids a page of rows lies between, where ids sort as windows do.
//!
//! ```text
//!   2024-11-02T13:00:00Z|7b0c…|rating
//!   └── window's start ──┘
//! ```
//!
//! Along the ids, a page is read in one stretch from the newest window on, by the index that
//! every table has. What else is asked for is looked for in the rows as they come.

use jiff::Timestamp;

use crate::{IdValue, Query, SinkError, Table};

/// Before the first moment that an id can name, and after the last: in the years 1 to 9999.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;

/// Ids from `from` on, and below `below`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) from: String,
    pub(crate) below: Option<String>,
}

impl Ids {
    /// Those of the windows that are asked for, after the row that the page before ended with.
    pub(crate) fn of(query: &Query) -> Ids {
        let until = query.until.map(first_of);
        let after = query.after.as_ref().map(IdValue::to_string);
        let below = match (until, after) {
            (Some(until), Some(after)) => Some(until.min(after)),
            (until, after) => until.or(after),
        };
        Ids {
            from: query.from.map(first_of).unwrap_or_default(),
            below,
        }
    }
}

/// The least text that an id of a window can be that starts at a moment (in milliseconds
/// since the UNIX epoch) or later.
fn first_of(millis: i64) -> String {
    let second = millis.div_euclid(1_000) + i64::from(millis.rem_euclid(1_000) > 0);
    match Timestamp::from_second(second) {
        Ok(start) if (FIRST..=LAST).contains(&second) => start.to_string(),
        _ if second < FIRST => String::new(),
        // Behind all digits.
        _ => "~".to_owned(),
    }
}

/// The start of its window that an id names, in milliseconds since the UNIX epoch.
pub(crate) fn window_of(id: &str) -> Option<i64> {
    let start = id.split('|').next()?;
    match start.parse::<Timestamp>() {
        Ok(start) => Some(start.as_millisecond()),
        Err(_) => start.parse().ok(),
    }
}

/// The error where an id names no window.
pub(crate) fn no_id(table: &Table, id: &IdValue) -> SinkError {
    SinkError::bad_query(format!("{} has no row with the id {id:?}", table.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_span_are_those_of_windows_that_start_in_it() {
        const HOUR: i64 = 1_730_552_400_000;
        let ids = |from, until, after: Option<&str>| {
            Ids::of(&Query {
                from,
                until,
                after: after.map(IdValue::from),
                ..Query::default()
            })
        };
        let holds = |ids: &Ids, id: &str| {
            id >= ids.from.as_str() && ids.below.as_deref().is_none_or(|below| id < below)
        };
        let one = ids(Some(HOUR), Some(HOUR + 1), None);
        for (id, expected) in [
            ("2024-11-02T13:00:00Z", true),
            ("2024-11-02T13:00:00Z|\u{10ffff}", true),
            ("2024-11-02T13:00:01Z|a", false),
            ("2024-11-02T12:59:59Z|z", false),
        ] {
            assert_eq!(holds(&one, id), expected, "{id}");
        }
        let later = ids(Some(HOUR + 1), None, Some("2024-11-03T00:00:00Z|m"));
        for (id, expected) in [
            ("2024-11-02T13:00:00Z|a", false),
            ("2024-11-02T13:00:01Z|a", true),
            ("2024-11-03T00:00:00Z|a", true),
            ("2024-11-03T00:00:00Z|m", false),
            ("2024-11-03T00:00:00Z|n", false),
        ] {
            assert_eq!(holds(&later, id), expected, "{id}");
        }
        let all = ids(Some(i64::MIN), Some(i64::MAX), None);
        let none = ids(Some(i64::MAX), Some(i64::MIN), None);
        for id in ["0001-01-01T00:00:00Z|a", "9999-12-31T23:00:00Z|a"] {
            assert!(holds(&all, id) && !holds(&none, id), "{id}");
        }
    }

    #[test]
    fn an_id_names_its_window() {
        assert_eq!(
            window_of("2024-11-02T13:00:00Z|a|b"),
            Some(1_730_552_400_000)
        );
        assert_eq!(window_of("2024-11-02T13:00:01.5Z"), Some(1_730_552_401_500));
        assert_eq!(window_of("-62135596800001|a"), Some(-62_135_596_800_001));
        assert_eq!(window_of("of another job"), None);
    }
}
