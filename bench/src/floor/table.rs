//! The rows of one view.

use events::Id;
use foldhash::fast::FixedState;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// The rows of a view that groups by `N` columns.
pub(super) struct Table<const N: usize> {
    index: HashMap<(i64, [Id; N]), u32, FixedState>,
    rows: Vec<Row<N>>,
    /// The members that each row has seen.
    members: HashSet<(u32, Id), FixedState>,
    /// Rows that have changed since they were last written.
    changed: Vec<u32>,
}

/// One window of one group.
pub(super) struct Row<const N: usize> {
    /// The window's number: its start divided by its size.
    pub(super) window: i64,
    pub(super) group: [Id; N],
    pub(super) count: i64,
    pub(super) unique: i64,
    pub(super) sums: [i128; 2],
    has_changed: bool,
}

impl<const N: usize> Default for Table<N> {
    fn default() -> Self {
        Table {
            index: HashMap::default(),
            rows: Vec::new(),
            members: HashSet::default(),
            changed: Vec::new(),
        }
    }
}

impl<const N: usize> Table<N> {
    /// The number of a row, which has changed.
    pub(super) fn touch(&mut self, window: i64, group: [Id; N]) -> u32 {
        let number = match self.index.entry((window, group)) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let number = u32::try_from(self.rows.len()).expect("fewer rows than 2^32");
                self.rows.push(Row {
                    window,
                    group: entry.key().1.clone(),
                    count: 0,
                    unique: 0,
                    sums: [0; 2],
                    has_changed: false,
                });
                *entry.insert(number)
            }
        };
        let row = &mut self.rows[number as usize];
        if !std::mem::replace(&mut row.has_changed, true) {
            self.changed.push(number);
        }
        number
    }

    pub(super) fn row(&mut self, number: u32) -> &mut Row<N> {
        &mut self.rows[number as usize]
    }

    /// A row has seen a member.
    pub(super) fn member(&mut self, number: u32, member: Id) {
        self.rows[number as usize].unique += i64::from(self.members.insert((number, member)));
    }

    /// Calls `each` with the rows that have changed since this was last called.
    pub(super) fn take_changed<E>(
        &mut self,
        mut each: impl FnMut(&Row<N>) -> Result<(), E>,
    ) -> Result<(), E> {
        for number in self.changed.drain(..) {
            let row = &mut self.rows[number as usize];
            row.has_changed = false;
            each(row)?;
        }
        Ok(())
    }
}
