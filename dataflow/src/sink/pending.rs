//! Changes of rows that wait to be written.

use crate::Epoch;
use crate::views::definition::Definition;
use crate::views::key::Key;
use crate::views::row::{row, row_id};
use crate::views::sums::Sums;
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
    rows: Vec<(Key, Sums, isize)>,
    letters: Vec<DeadLetter>,
}

/// What a row became in the last of some epochs: its sums, or no more.
type Outcome = (Epoch, Option<Sums>);

impl Pending {
    pub(super) fn rows(&mut self, changes: impl Iterator<Item = ((Key, Sums), Epoch, isize)>) {
        for ((key, sums), epoch, diff) in changes {
            self.epochs.entry(epoch).or_default().rows.push((key, sums, diff));
        }
    }

    pub(super) fn letters(&mut self, letters: impl Iterator<Item = DeadLetter>) {
        for letter in letters {
            self.epochs.entry(letter.epoch).or_default().letters.push(letter);
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
        let later = match frontier {
            Some(frontier) => self.epochs.split_off(&frontier),
            None => BTreeMap::new(),
        };
        let taken = std::mem::replace(&mut self.epochs, later);
        let mut batch = Batch { made_at, ..Batch::default() };
        let mut outcomes: HashMap<Key, Outcome, FixedState> = HashMap::default();
        for (epoch, changes) in taken {
            batch.epoch = epoch;
            batch.dead_letters.extend(changes.letters);
            fold_epoch(&mut outcomes, epoch, changes.rows);
        }
        for (key, (epoch, sums)) in outcomes {
            let definition = &definitions[usize::from(key.slot.view())];
            match sums {
                Some(sums) => batch.puts.push(row(definition, &key, &sums, epoch)),
                None => batch.deletes.push(row_id(definition, &key)),
            }
        }
        (!batch.is_empty()).then_some(batch)
    }
}

/// Adds the changes of an epoch to what became of the rows before it. Within an
/// epoch a changed row is retracted as it was and inserted as it is, in any
/// order; a row that is only retracted is no more.
fn fold_epoch(
    outcomes: &mut HashMap<Key, Outcome, FixedState>,
    epoch: Epoch,
    mut rows: Vec<(Key, Sums, isize)>,
) {
    differential_dataflow::consolidation::consolidate_updates(&mut rows);
    for (key, sums, diff) in rows {
        let outcome = outcomes.entry(key).or_insert((epoch, None));
        if outcome.0 < epoch {
            *outcome = (epoch, None);
        }
        if diff > 0 {
            outcome.1 = Some(sums);
        }
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
        let number = definitions().iter().position(|view| view.name == "log_analysis").unwrap();
        let slot = Slot::new(u16::try_from(number).unwrap(), 0);
        Key { slot, group: [Id::new(&group.to_string()), Id::default()] }
    }

    fn definitions() -> Vec<Definition> {
        crate::views::catalog(&BTreeMap::new()).unwrap().definitions
    }

    fn count(count: i64) -> Sums {
        Sums { count, ..Sums::default() }
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
                    let old = before.get(&group).copied().unwrap_or(0);
                    if old != new {
                        let mut updates = Vec::new();
                        if new > 0 { updates.push(((key(group), count(new)), epoch, 1)); }
                        if old > 0 { updates.push(((key(group), count(old)), epoch, -1)); }
                        pending.rows(updates.into_iter());
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
