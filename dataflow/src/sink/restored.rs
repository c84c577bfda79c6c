//! Rows that were missing when a run started, and have been written again.

use sinks::{Expect, Row};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counts them over the workers of a process, and reports them once.
pub struct Restored {
    /// Where they were missing.
    database: String,
    /// Names of the tables, by number.
    tables: Vec<String>,
    counted: Mutex<Counted>,
}

struct Counted {
    /// Workers that have not caught up yet.
    workers: usize,
    rows: BTreeMap<usize, u64>,
}

impl Restored {
    /// None yet, of so many workers.
    pub fn new(database: String, tables: Vec<String>, workers: usize) -> Restored {
        let rows = BTreeMap::new();
        Restored {
            database,
            tables,
            counted: Mutex::new(Counted { workers, rows }),
        }
    }

    /// These rows have been written.
    pub(super) fn written(&self, rows: &[Row]) {
        let restored = rows.iter().filter(|row| row.expect == Expect::Deleted);
        let mut counted = None;
        for row in restored {
            let counted = counted.get_or_insert_with(|| self.counted());
            *counted.rows.entry(row.id.table).or_default() += 1;
        }
    }

    /// A worker has caught up, and has written what was missing of its rows.
    pub(super) fn caught_up(&self) {
        let mut counted = self.counted();
        counted.workers = counted.workers.saturating_sub(1);
        if counted.workers == 0
            && let Some(report) = self.report(&std::mem::take(&mut counted.rows))
        {
            tracing::warn!("{report}");
        }
    }

    fn report(&self, rows: &BTreeMap<usize, u64>) -> Option<String> {
        let total: u64 = rows.values().sum();
        let name = |table: &usize| self.tables.get(*table).map_or("?", |name| name);
        let parts = rows
            .iter()
            .map(|(table, rows)| format!("{} {rows}", name(table)));
        let parts: Vec<_> = parts.collect();
        (total > 0).then(|| {
            format!(
                "rows of open windows that were missing in {} and have been restored: {total} ({})",
                self.database,
                parts.join(", ")
            )
        })
    }

    fn counted(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_counts_rows_by_view() {
        let tables = vec!["sales".to_owned(), "logs".to_owned()];
        let restored = Restored::new("the database".to_owned(), tables, 2);
        let report = |rows: &[(usize, u64)]| restored.report(&rows.iter().copied().collect());
        assert_eq!(report(&[]), None);
        assert_eq!(
            report(&[(1, 2), (0, 3)]).unwrap(),
            "rows of open windows that were missing in the database and have been restored: 5 \
             (sales 3, logs 2)"
        );
    }
}
