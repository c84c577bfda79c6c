//! Which rows the database holds when a run starts.
//!
//! A checkpoint holds every open row, and each of them was written before the checkpoint was
//! committed. One that the database does not have any more was deleted by somebody else: it
//! is written again from the checkpoint.
//!
//! Of an id only a hash is kept: eight bytes a row. Two ids of one hash would hide that one of
//! them is missing; among a million rows the odds of a single pair are 1 to 37 million.

use super::definition::Definition;
use super::key::Key;
use super::row::row_id;
use foldhash::quality::RandomState;
use sinks::IdValue;
use std::hash::BuildHasher;

/// The rows of all views whose windows may be open.
pub struct Stored {
    definitions: Vec<Definition>,
    /// By view: it has closed the windows that end at or before this, in milliseconds since
    /// the UNIX epoch.
    final_until: Vec<Option<i64>>,
    hasher: RandomState,
    /// In order.
    ids: Vec<u64>,
}

impl Stored {
    /// Without any row yet.
    pub fn new(definitions: &[Definition], final_until: Vec<Option<i64>>) -> Stored {
        Stored {
            definitions: definitions.to_vec(),
            final_until,
            hasher: RandomState::default(),
            ids: Vec::new(),
        }
    }

    /// What is kept of a row: view number `view`, and its id.
    pub fn hash(&self, view: usize, id: &IdValue) -> u64 {
        self.hasher.hash_one((view, id))
    }

    /// Together with the rows of these hashes.
    #[must_use]
    pub fn with(mut self, hashes: Vec<u64>) -> Stored {
        self.ids = hashes;
        self.ids.sort_unstable();
        self
    }

    /// No id of an open row of view number `view` is less than this.
    pub fn least_id(&self, view: usize) -> String {
        let definition = self.definitions.get(view);
        let until = self.final_until.get(view).copied().flatten();
        let least = definition.zip(until).map(|(definition, until)| {
            let window = definition.window;
            let first_open = window
                .last_before(until.saturating_mul(1_000))
                .saturating_add(1);
            least_id(window.start_millis(first_open))
        });
        least.unwrap_or_default()
    }

    /// Whether this row should be in the database, and is not.
    pub fn lacks(&self, key: &Key) -> bool {
        let view = usize::from(key.slot.view());
        let Some(definition) = self.definitions.get(view) else {
            return false;
        };
        let end = definition.window.end_millis(key.slot.index());
        let until = self.final_until.get(view).copied().flatten();
        if until.is_some_and(|until| end <= until) {
            return false;
        }
        let hash = self.hash(view, &row_id(definition, key).id);
        self.ids.binary_search(&hash).is_err()
    }
}

/// Rows of windows that start at or after `start`, in milliseconds since the UNIX epoch, have
/// no lesser id than this. (Ids are ordered like their windows, but for fractions of a second
/// and years before 0.)
fn least_id(start: i64) -> String {
    let Ok(start) = jiff::Timestamp::from_millisecond(start) else {
        return String::new();
    };
    let text = start.to_string();
    let whole_seconds = text.get(.."2024-11-02T13:00:00".len());
    let whole_seconds = whole_seconds.filter(|text| text.starts_with(|c: char| c.is_ascii_digit()));
    whole_seconds.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Datum, Slot};
    use std::collections::BTreeMap;

    const HOUR: i64 = 3_600_000;

    fn definitions() -> Vec<Definition> {
        crate::shop::catalog(&BTreeMap::new()).unwrap().definitions
    }

    fn key(view: u16, index: i64, group: &str) -> Key {
        Key::new(Slot::new(view, index), &[Datum::text(group)])
    }

    #[test]
    fn only_open_rows_that_are_not_there_are_missing() {
        let definitions = definitions();
        let logs = definitions
            .iter()
            .position(|view| view.name == "log_analysis");
        let (logs, view) = (logs.unwrap(), u16::try_from(logs.unwrap()).unwrap());
        let mut final_until = vec![None; definitions.len()];
        final_until[logs] = Some(10 * HOUR);
        let stored = Stored::new(&definitions, final_until);
        let id = row_id(&definitions[logs], &key(view, 10, "INFO")).id;
        assert!(stored.least_id(logs) <= id.to_string() && stored.least_id(logs + 1).is_empty());
        let hash = stored.hash(logs, &id);
        let stored = stored.with(vec![hash]);
        let lacks = |index, group| stored.lacks(&key(view, index, group));
        assert!(!lacks(10, "INFO") && lacks(10, "ERROR") && lacks(11, "INFO"));
        assert!(!lacks(9, "INFO"), "it is final, and may have been deleted");
    }

    #[test]
    fn the_first_open_window_of_those_that_overlap_began_before_the_last_final_one_ended() {
        let mut definitions = definitions();
        let [slide, size] = [HOUR, 3 * HOUR].map(|millis| model::Span::micros(millis * 1_000));
        let hops = model::Window::hopping(slide, size, model::Span::ZERO, None);
        definitions[0].window = hops.unwrap();
        let mut final_until = vec![None; definitions.len()];
        final_until[0] = Some(10 * HOUR);
        let stored = Stored::new(&definitions, final_until);
        assert_eq!(stored.least_id(0), "1970-01-01T08:00:00");
        assert!(stored.lacks(&key(0, 8, "x")) && !stored.lacks(&key(0, 7, "x")));
    }

    #[test]
    fn the_least_id_is_not_behind_a_fraction_of_a_second() {
        assert_eq!(least_id(HOUR), "1970-01-01T01:00:00");
        assert_eq!(least_id(HOUR + 500), "1970-01-01T01:00:00");
        assert_eq!(least_id(-100_000_000_000_000), "", "before the year 0");
        assert_eq!(least_id(i64::MIN), "");
    }
}
