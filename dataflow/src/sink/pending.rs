//! Changes of rows that wait to be written.

use crate::Epoch;
use crate::epochs::take_before;
use crate::views::definition::Definition;
use crate::views::key::Key;
use crate::views::row::{row, row_id};
use crate::views::rows::Became;
use crate::views::sums::Sums;
use differential_dataflow::difference::IsZero;
use foldhash::fast::FixedState;
use sinks::{Batch, DeadLetter};
use std::collections::{BTreeMap, HashMap};

/// Changes by epoch, until their epochs are complete.
#[derive(Default)]
pub(super) struct Pending {
    epochs: BTreeMap<Epoch, Changes>,
}

#[derive(Default)]
struct Changes {
    rows: Vec<(Key, Sums)>,
    letters: Vec<DeadLetter>,
}

impl Pending {
    /// Takes in what rows became. Of a row and an epoch there is one change.
    pub(super) fn rows(&mut self, changes: impl Iterator<Item = Became>) {
        for (key, epoch, sums) in changes {
            self.epochs.entry(epoch).or_default().rows.push((key, sums));
        }
    }

    pub(super) fn letters(&mut self, letters: impl Iterator<Item = DeadLetter>) {
        for letter in letters {
            self.epochs
                .entry(letter.epoch)
                .or_default()
                .letters
                .push(letter);
        }
    }

    /// Takes all epochs before `frontier` (all there are, when it is `None`) and
    /// makes of them one batch, with one write for each row that changed: the
    /// last that it became. `None` when there is nothing to write.
    pub(super) fn take_before(
        &mut self,
        frontier: Option<Epoch>,
        definitions: &[Definition],
        made_at: i64,
    ) -> Option<Batch> {
        let mut batch = Batch {
            made_at,
            ..Batch::default()
        };
        let mut became: HashMap<Key, (Epoch, Sums), FixedState> = HashMap::default();
        for (epoch, changes) in take_before(&mut self.epochs, frontier) {
            batch.epoch = epoch;
            batch.dead_letters.extend(changes.letters);
            became.extend(
                changes
                    .rows
                    .into_iter()
                    .map(|(key, sums)| (key, (epoch, sums))),
            );
        }
        for (key, (epoch, sums)) in became {
            let definition = &definitions[usize::from(key.slot.view())];
            if sums.is_zero() {
                batch.deletes.push(row_id(definition, &key));
            } else {
                batch.puts.push(row(definition, &key, &sums, epoch));
            }
        }
        (!batch.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::key::Slot;
    use events::Id;
    use proptest::prelude::*;
    use sinks::Value;

    fn key(group: u8) -> Key {
        let number = definitions()
            .iter()
            .position(|view| view.name == "log_analysis")
            .unwrap();
        let slot = Slot::new(u16::try_from(number).unwrap(), 0);
        Key {
            slot,
            group: [Id::new(&group.to_string()), Id::default()],
        }
    }

    fn definitions() -> Vec<Definition> {
        crate::views::catalog(&BTreeMap::new()).unwrap().definitions
    }

    fn count(count: i64) -> Sums {
        Sums {
            count,
            ..Sums::default()
        }
    }

    proptest! {
        /// However epochs are put together, a reader sees each row as the last
        /// epoch left it.
        #[test]
        fn a_batch_writes_what_the_last_epoch_left(
            epochs in prop::collection::vec(prop::collection::vec((0u8..4, 0i64..4), 0..6), 1..6),
            cut in 0u64..6,
        ) {
            // (group, count) in an epoch: the row becomes that count, 0: none.
            let mut now: BTreeMap<u8, i64> = BTreeMap::new();
            let mut pending = Pending::default();
            for (epoch, changes) in (0u64..).zip(&epochs) {
                let before = now.clone();
                for &(group, count) in changes {
                    now.insert(group, count);
                }
                for (&group, &new) in &now {
                    if before.get(&group).copied().unwrap_or(0) != new {
                        pending.rows([(key(group), epoch, count(new))].into_iter());
                    }
                }
            }
            let mut seen: BTreeMap<String, i64> = BTreeMap::new();
            for frontier in [Some(cut), None] {
                let batch = pending.take_before(frontier, &definitions(), 0).unwrap_or_default();
                let mut written = std::collections::HashSet::new();
                for put in batch.puts {
                    prop_assert!(written.insert(put.id.clone()), "written twice");
                    let Value::Long(count) = put.values[3] else { panic!("{put:?}") };
                    seen.insert(put.id.id, count);
                }
                for gone in batch.deletes {
                    prop_assert!(written.insert(gone.clone()), "written twice");
                    seen.remove(&gone.id);
                }
            }
            let expected: BTreeMap<String, i64> = now
                .into_iter()
                .filter(|&(_, count)| count > 0)
                .map(|(group, count)| (row_id(&definitions()[usize::from(key(group).slot.view())], &key(group)).id, count))
                .collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
