//! The busiest rows of a view.
//!
//! Of the newest window it has seen, it keeps the rows whose first aggregate is
//! greatest: more than are shown, so that a row that shrinks can make room for
//! the next one. With at most [`KEPT`] groups in the window it is exact; with
//! more of them, exact as long as aggregates only grow, as counts do.

use foldhash::fast::FixedState;
use sinks::{Role, Row, RowId, Table, Value};
use std::hash::BuildHasher;

/// Rows that are kept.
const KEPT: usize = 32;
/// Rows that are shown.
const SHOWN: usize = 5;

/// The busiest rows of one table.
#[derive(Debug)]
pub(super) struct Busiest {
    /// Which of a row's values is its window's start.
    window: Option<usize>,
    /// Which of a row's values says how busy it is.
    measure: Option<usize>,
    /// The newest window's start.
    newest: i64,
    /// Its busiest rows, busiest first.
    rows: Vec<Busy>,
}

/// One of the busiest rows.
#[derive(Debug)]
struct Busy {
    measure: f64,
    /// Of its id: every row that is written is looked for here, and ids begin alike.
    hash: u64,
    row: Row,
}

impl Busiest {
    pub(super) fn new(table: &Table) -> Self {
        let first = |role| table.columns.iter().position(|column| column.role == role);
        Self {
            window: first(Role::WindowStart),
            measure: first(Role::Aggregate),
            newest: i64::MIN,
            rows: Vec::new(),
        }
    }

    /// Takes note of a row as it now is.
    pub(super) fn put(&mut self, row: &Row) {
        let value = |index: Option<usize>| index.and_then(|index| row.values.get(index));
        let start = match (self.window, value(self.window)) {
            (None, _) => 0,
            (_, Some(Value::Date(start))) => *start,
            _ => return,
        };
        let Some(measure) = value(self.measure) else {
            return;
        };
        if start < self.newest {
            return;
        }
        if start > self.newest {
            self.newest = start;
            self.rows.clear();
        }
        let hash = hash(&row.id);
        self.drop_row(hash, &row.id);
        let measure = number(measure);
        let place = self.rows.partition_point(|busy| busy.measure >= measure);
        if place < KEPT {
            self.rows.truncate(KEPT - 1);
            let row = row.clone();
            let busy = Busy { measure, hash, row };
            self.rows.insert(place, busy);
        }
    }

    /// Takes note that a row is no more.
    pub(super) fn forget(&mut self, id: &RowId) {
        self.drop_row(hash(id), id);
    }

    fn drop_row(&mut self, hash: u64, id: &RowId) {
        let is_it = |busy: &Busy| busy.hash == hash && busy.row.id == *id;
        if let Some(place) = self.rows.iter().position(is_it) {
            self.rows.remove(place);
        }
    }

    /// The rows to show, busiest first.
    pub(super) fn top(&self) -> Vec<Row> {
        let rows = self.rows.iter().take(SHOWN);
        rows.map(|busy| busy.row.clone()).collect()
    }
}

fn hash(id: &RowId) -> u64 {
    FixedState::default().hash_one(&id.id)
}

/// A value as a number to compare by, which need not be exact.
fn number(value: &Value) -> f64 {
    match value {
        Value::Date(millis) => *millis as f64,
        other => other.approximate(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{row, table};
    use super::*;

    fn shown(busiest: &Busiest) -> Vec<(String, Value)> {
        let rows = busiest.top();
        rows.into_iter()
            .map(|row| (row.id.id.to_string(), row.values[3].clone()))
            .collect()
    }

    #[test]
    fn rows_are_replaced_sorted_and_cut() {
        let mut busiest = Busiest::new(&table());
        for (group, count) in [("a", 1), ("b", 9), ("c", 3), ("d", 4), ("e", 5), ("f", 6)] {
            busiest.put(&row(0, group, count));
        }
        busiest.put(&row(0, "c", 7));
        let ids: Vec<String> = shown(&busiest).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, ["0|b", "0|c", "0|f", "0|e", "0|d"]);
        // What shrinks makes room for the next, as does what is deleted.
        busiest.put(&row(0, "b", 0));
        busiest.forget(&row(0, "c", 7).id);
        let ids: Vec<String> = shown(&busiest).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, ["0|f", "0|e", "0|d", "0|a", "0|b"]);
    }

    #[test]
    fn only_the_newest_window_counts() {
        let mut busiest = Busiest::new(&table());
        busiest.put(&row(0, "a", 100));
        busiest.put(&row(3_600_000, "b", 1));
        busiest.put(&row(0, "c", 200));
        assert_eq!(shown(&busiest), [("3600000|b".to_owned(), Value::Long(1))]);
    }

    #[test]
    fn of_many_rows_that_grow_the_greatest_are_kept() {
        let mut busiest = Busiest::new(&table());
        for count in 1..=3 {
            for group in 0..1000 {
                busiest.put(&row(0, &group.to_string(), count * group));
            }
        }
        assert_eq!(shown(&busiest)[0], ("0|999".to_owned(), Value::Long(2997)));
        assert_eq!(shown(&busiest)[4], ("0|995".to_owned(), Value::Long(2985)));
        assert_eq!(busiest.rows.len(), KEPT);
    }
}
