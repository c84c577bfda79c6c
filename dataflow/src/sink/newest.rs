//! Rows of several epochs, each as the last of them left it.
//!
//! Whether the database has a row, the first of them says.
//!
//! When the database keeps up, there is one epoch at a time, and what it left is what is
//! written. Only when it falls behind, several are put together: rows are then found by
//! a table of their places, so that a row is moved once and its key never copied.

use crate::views::key::Key;
use crate::views::rows::RowChange;
use differential_dataflow::difference::IsZero;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use sinks::Expect;
use std::hash::BuildHasher;

/// What rows became last.
#[derive(Default)]
pub(super) struct Newest {
    /// Each row once; nothing where it was removed.
    rows: Vec<Option<RowChange>>,
    /// Places of the first `placed` of them, by the hash of the key.
    places: HashTable<usize>,
    placed: usize,
}

impl Newest {
    /// What rows became in an epoch that is later than all before, in parts; of each row
    /// once.
    pub(super) fn put(&mut self, epoch: Vec<Vec<RowChange>>) {
        if self.rows.is_empty() {
            self.rows.reserve_exact(epoch.iter().map(Vec::len).sum());
            self.rows.extend(epoch.into_iter().flatten().map(Some));
            return;
        }
        for became in epoch.into_iter().flatten() {
            match self.place(&became.key) {
                Some(place) => {
                    if let Some(before) = &mut self.rows[place] {
                        let expect = match before.expect {
                            // It was to go anyway, and was not deleted by others.
                            Expect::Deleted if before.sums.is_zero() => Expect::Either,
                            expect => expect,
                        };
                        *before = RowChange { expect, ..became };
                    }
                }
                None => self.rows.push(Some(became)),
            }
        }
    }

    /// Takes a row out.
    pub(super) fn remove(&mut self, key: &Key) -> Option<RowChange> {
        let place = self.place(key)?;
        self.rows[place].take()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many there are at most.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All of them.
    pub(super) fn into_rows(self) -> impl Iterator<Item = RowChange> {
        self.rows.into_iter().flatten()
    }

    /// Where a row is.
    fn place(&mut self, key: &Key) -> Option<usize> {
        let Newest {
            rows,
            places,
            placed,
        } = self;
        let hash_at = |place: &usize| rows[*place].as_ref().map_or(0, |row| hash(&row.key));
        if *placed == 0 {
            places.reserve(2 * rows.len(), hash_at);
        }
        for place in *placed..rows.len() {
            places.insert_unique(hash_at(&place), place, hash_at);
        }
        *placed = rows.len();
        let is_it = |place: &usize| rows[*place].as_ref().is_some_and(|row| row.key == *key);
        places.find(hash(key), is_it).copied()
    }
}

fn hash(key: &Key) -> u64 {
    FixedState::default().hash_one(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::sums::{COUNT, Sums};
    use model::{Datum, Slot};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn became(group: u8, count: i64) -> RowChange {
        RowChange {
            key: Key::new(Slot::new(0, 0), &[Datum::text(&group.to_string())]),
            epoch: 0,
            sums: Sums::of_lane(COUNT, count.into()),
            is_final: false,
            // Whatever it is: who comes first says it.
            expect: match count % 2 {
                0 => Expect::Absent,
                _ => Expect::Present,
            },
        }
    }

    proptest! {
        #[test]
        fn each_row_is_as_the_last_epoch_left_it(
            epochs in prop::collection::vec(
                (prop::collection::btree_map(0u8..6, 0i64..9, 0..6), prop::option::of(0u8..6)),
                0..6,
            ),
        ) {
            let (mut newest, mut expected) = (Newest::default(), BTreeMap::new());
            for (rows, removed) in epochs {
                newest.put(rows.iter().map(|(group, count)| vec![became(*group, *count)]).collect());
                for (group, count) in rows {
                    let expect = became(group, count).expect;
                    expected.entry(group).or_insert((count, expect)).0 = count;
                }
                if let Some(group) = removed {
                    newest.remove(&became(group, 0).key);
                    expected.remove(&group);
                }
            }
            let rows: Vec<_> = newest.into_rows().map(|row| (row.key.values(1), (row.sums.count(), row.expect))).collect();
            let found: BTreeMap<_, _> = rows.iter().cloned().collect();
            prop_assert_eq!(found.len(), rows.len(), "a row came twice");
            let expected = expected.into_iter().map(|(group, row)| (vec![Datum::text(&group.to_string())], row));
            prop_assert_eq!(found, expected.collect());
        }
    }
}
