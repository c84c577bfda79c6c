//! Changes of rows that wait to be written.

use crate::Epoch;
use crate::epochs::take_before;
use crate::views::definition::Definition;
use crate::views::key::{Key, Slot};
use crate::views::row::{row, row_id};
use crate::views::rows::Became;
use differential_dataflow::difference::IsZero;
use foldhash::fast::FixedState;
use sinks::{Batch, DeadLetter};
use std::collections::{BTreeMap, HashMap};

/// Changes by epoch, until their epochs are complete.
#[derive(Default)]
pub(super) struct Pending {
    epochs: BTreeMap<Epoch, Changes>,
    /// By view: an earlier run has closed the windows that end at or before this, in
    /// milliseconds since the UNIX epoch.
    final_until: Vec<Option<i64>>,
}

#[derive(Default)]
struct Changes {
    rows: Vec<Became>,
    letters: Vec<DeadLetter>,
}

impl Pending {
    /// Nothing yet. Windows that are final by `final_until` are left alone, whatever
    /// becomes of their rows when the log is read again.
    pub(super) fn new(final_until: Vec<Option<i64>>) -> Pending {
        Pending {
            epochs: BTreeMap::new(),
            final_until,
        }
    }

    /// Takes in what rows became. Of a row and an epoch there is one change.
    pub(super) fn rows(&mut self, changes: impl Iterator<Item = Became>) {
        for became in changes {
            let changes = self.epochs.entry(became.epoch).or_default();
            changes.rows.push(became);
        }
    }

    pub(super) fn letters(&mut self, letters: impl Iterator<Item = DeadLetter>) {
        for letter in letters {
            let changes = self.epochs.entry(letter.epoch).or_default();
            changes.letters.push(letter);
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
        let mut last: HashMap<Key, Became, FixedState> = HashMap::default();
        for (epoch, changes) in take_before(&mut self.epochs, frontier) {
            batch.epoch = epoch;
            batch.dead_letters.extend(changes.letters);
            let rows = changes.rows.into_iter();
            last.extend(rows.map(|became| (became.key.clone(), became)));
        }
        for became in last.into_values() {
            let slot = became.key.slot;
            let definition = &definitions[usize::from(slot.view())];
            if self.was_final(definition, slot) {
                continue;
            }
            if became.sums.is_zero() {
                batch.deletes.push(row_id(definition, &became.key));
            } else {
                let mut row = row(definition, &became);
                row.updated_at = made_at;
                batch.puts.push(row);
            }
        }
        (!batch.is_empty()).then_some(batch)
    }

    fn was_final(&self, definition: &Definition, slot: Slot) -> bool {
        let until = self.final_until.get(usize::from(slot.view())).copied();
        let end = definition.window.end_millis(slot.index());
        until.flatten().is_some_and(|until| end <= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::sums::Sums;
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

    fn became(group: u8, epoch: Epoch, count: i64) -> Became {
        let sums = Sums {
            count,
            ..Sums::default()
        };
        Became {
            key: key(group),
            epoch,
            sums,
            is_final: false,
        }
    }

    #[test]
    fn what_an_earlier_run_has_closed_is_left_alone() {
        let view = usize::from(key(0).slot.view());
        let written = |until| {
            let mut final_until = vec![None; definitions().len()];
            final_until[view] = until;
            let mut pending = Pending::new(final_until);
            pending.rows(std::iter::once(became(0, 1, 1)));
            pending.take_before(None, &definitions(), 0).is_some()
        };
        // Its window ends at 3,600,000.
        assert!(written(None) && written(Some(3_599_999)));
        assert!(!written(Some(3_600_000)));
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
            let mut pending = Pending::new(Vec::new());
            for (epoch, changes) in (0u64..).zip(&epochs) {
                let before = now.clone();
                for &(group, count) in changes {
                    now.insert(group, count);
                }
                for (&group, &new) in &now {
                    if before.get(&group).copied().unwrap_or(0) != new {
                        pending.rows(std::iter::once(became(group, epoch, new)));
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
