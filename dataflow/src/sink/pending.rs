//! Changes of rows that wait to be written.
//!
//! ```text
//!   open rows ──▶ by epoch ──▶ (not yet caught up: kept) ──┐
//!   letters ────▶ by epoch ────────────────────────────────┼─▶ Batch
//!   final rows ─▶ by epoch ──▶ until they may be told ─────┘
//! ```

use super::backfills::Backfills;
use super::catch_up::CatchUp;
use super::newest::Newest;
use crate::Epoch;
use crate::epochs::take_before;
use crate::time::Mark;
use crate::views::definition::Definition;
use crate::views::key::Key;
use crate::views::parts::Final;
use crate::views::row::{row, row_id};
use crate::views::rows::RowChange;
use model::Slot;
use model::fail_point;
use sinks::{Batch, DeadLetter, Expect, RowId};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What an earlier run has left that this one has to heed when it writes.
#[derive(Clone, Debug, Default)]
pub struct PriorRunState {
    /// Offsets that it may have written the effect of.
    pub targets: CatchUp,
    /// By view: it has closed the windows that end at or before this, in
    /// milliseconds since the UNIX epoch.
    pub final_until: Vec<Option<i64>>,
    /// Rows that it has written as final, in windows that end later.
    pub finals: HashSet<RowId>,
    /// Ids of the dead letters that it has written and whose messages are read
    /// again; of those on this worker's partitions.
    pub letters: HashSet<String>,
    /// Views whose rows it has written and that are rebuilt: theirs stay until the views have
    /// caught up.
    pub backfills: Backfills,
}

/// Changes by epoch, until their epochs are complete.
pub(super) struct Pending {
    left: PriorRunState,
    epochs: BTreeMap<Epoch, Changes>,
    finals: BTreeMap<Epoch, Vec<Final>>,
    /// What rows became before this run has caught up with the earlier one.
    kept: Newest,
    /// What rows of views that are rebuilt became before these have caught up with the others,
    held: Newest,
    /// and those of them that are final.
    held_finals: Vec<Final>,
    /// Views that were rebuilt: the database may have what is left of the rows that they had.
    rebuilt: BTreeSet<u16>,
    caught_up: bool,
    has_just_caught_up: bool,
}

#[derive(Default)]
struct Changes {
    /// As they came.
    rows: Vec<Vec<RowChange>>,
    letters: Vec<DeadLetter>,
}

/// What is to be written. Rows are made of what they became when they are, a few at a
/// time: all at once they would take several times the memory.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Due {
    /// All but the rows.
    pub(super) batch: Batch,
    /// The rows, each once.
    pub(super) rows: Vec<Put>,
}

/// A row that is to be written.
#[derive(Debug, PartialEq)]
pub(super) struct Put {
    pub(super) became: RowChange,
    /// When it changed, in milliseconds since the UNIX epoch.
    pub(super) updated_at: i64,
}

impl Due {
    fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.rows.is_empty()
    }

    /// Moves up to `most` rows into the batch, in place of those that were in it.
    /// Returns whether others are left.
    pub(super) fn fill(&mut self, most: usize, definitions: &[Definition]) -> bool {
        let Due { batch, rows } = self;
        let left = rows.len().saturating_sub(most);
        // What does not meet a condition is among what is deleted.
        let next = rows.drain(left..).filter_map(|put| {
            let view = usize::from(put.became.key.slot.view());
            row(&definitions[view], &put.became, put.updated_at)
        });
        batch.puts.clear();
        batch.puts.extend(next);
        left > 0
    }
}

/// How far things have come: everything before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Through {
    /// Epochs are complete; `None`: all of them.
    pub(super) complete: Option<Epoch>,
    /// Windows that close may be told as final; `None`: all of them.
    pub(super) durable: Option<Epoch>,
}

impl Through {
    /// Both: everything before it is all written.
    pub(super) fn all(self) -> Option<Epoch> {
        match (self.complete, self.durable) {
            (Some(complete), Some(durable)) => Some(complete.min(durable)),
            (one, other) => one.or(other),
        }
    }
}

impl Pending {
    /// Nothing yet.
    pub(super) fn new(left: PriorRunState) -> Pending {
        Pending {
            left,
            epochs: BTreeMap::new(),
            finals: BTreeMap::new(),
            kept: Newest::default(),
            held: Newest::default(),
            held_finals: Vec::new(),
            rebuilt: BTreeSet::new(),
            caught_up: false,
            has_just_caught_up: false,
        }
    }

    /// Takes in what rows became. Of a row and an epoch there is one change.
    pub(super) fn rows(&mut self, mut changes: Vec<RowChange>) {
        // Most often all are of one epoch, and are kept as a whole.
        while let Some(&RowChange { epoch, .. }) = changes.first() {
            let same = changes.iter().take_while(|became| became.epoch == epoch);
            let later = changes.split_off(same.count());
            self.epochs.entry(epoch).or_default().rows.push(changes);
            changes = later;
        }
    }

    /// Takes in rows that are final. They come in the epoch `epoch`, which may be
    /// later than that in which their windows closed: when they were restored.
    pub(super) fn finals(&mut self, epoch: Epoch, rows: impl Iterator<Item = Final>) {
        self.finals.entry(epoch).or_default().extend(rows);
    }

    pub(super) fn letters(&mut self, letters: impl Iterator<Item = DeadLetter>) {
        for letter in letters {
            let changes = self.epochs.entry(letter.epoch).or_default();
            changes.letters.push(letter);
        }
    }

    /// Takes in where partitions stand.
    pub(super) fn marks(&mut self, epoch: Epoch, marks: &[Mark]) {
        self.left.targets.hear(epoch, marks);
        self.left.backfills.hear(epoch, marks);
    }

    /// Takes all that may be written and makes of it one batch, with one write for
    /// each row that changed: the last that it became. `None` when there is nothing
    /// to write.
    pub(super) fn take(
        &mut self,
        through: Through,
        definitions: &[Definition],
        made_at: i64,
    ) -> Option<Due> {
        // Of what an earlier run has written, this one knows what there is when it has caught
        // up with it, and has told each row that it was in doubt about.
        let is_known = self.caught_up || self.left.targets.is_empty();
        let mut due = Due::default();
        let batch = &mut due.batch;
        batch.made_at = made_at;
        batch.letters_are_new = is_known;
        let mut last = std::mem::take(&mut self.kept);
        for (epoch, changes) in take_before(&mut self.epochs, through.complete) {
            batch.epoch = epoch;
            let new = changes.letters.into_iter();
            batch
                .dead_letters
                .extend(new.filter(|letter| self.is_new(letter)));
            last.put(changes.rows);
        }
        let was_caught_up = self.caught_up;
        self.caught_up = self.caught_up || self.left.targets.is_reached(through.complete);
        if !self.caught_up {
            self.kept = last;
            if !self.kept.is_empty() {
                fail_point("catch_up.behind");
            }
            return (!due.is_empty()).then_some(due);
        }
        if !was_caught_up {
            fail_point("catch_up.reached");
            self.has_just_caught_up = true;
        }
        // What was late then and is not now has come into a row.
        batch.letter_deletes = self.left.letters.drain().collect();

        let released = self.release_rebuilt(through, &mut last, definitions, &mut due);
        self.rebuilt.extend(&released);
        let rebuilt = &self.rebuilt;
        let known = |view: u16, expect| match expect {
            _ if released.contains(&view) => Expect::Either,
            Expect::Absent if rebuilt.contains(&view) => Expect::Either,
            Expect::Absent | Expect::Present if !is_known => Expect::Either,
            expect => expect,
        };
        for (epoch, rows) in take_before(&mut self.finals, through.all()) {
            for row in rows {
                let view = row.key.slot.view();
                if self.left.backfills.has(view) {
                    self.held.remove(&row.key);
                    self.held_finals.push(row);
                    continue;
                }
                let expect = match last.remove(&row.key) {
                    Some(open) => known(view, open.expect),
                    // It has been written as long as it was open.
                    None if row.epoch == epoch => known(view, Expect::Present),
                    // It was restored, and may have been written as final since.
                    None => Expect::Either,
                };
                self.put_final(&row, expect, definitions, &mut due);
            }
        }
        due.rows.reserve(last.len());
        for became in last.into_rows() {
            let slot = became.key.slot;
            let definition = &definitions[usize::from(slot.view())];
            if self.was_final(definition, slot) || self.is_left_final(definition, &became.key) {
                continue;
            }
            if !definition.has_row(&became.key, &became.sums) {
                due.batch.deletes.push(row_id(definition, &became.key));
            } else {
                let expect = match definition.has_condition() {
                    // Whether it met its condition before is not known.
                    true => Expect::Either,
                    false => known(slot.view(), became.expect),
                };
                due.rows.push(Put {
                    became: RowChange { expect, ..became },
                    updated_at: made_at,
                });
            }
        }
        (!due.is_empty()).then_some(due)
    }

    /// Holds back, of the rows that became something `last`, those of views that are rebuilt; and
    /// adds to them what was held back of views that have caught up. Returns these views.
    fn release_rebuilt(
        &mut self,
        through: Through,
        last: &mut Newest,
        definitions: &[Definition],
        due: &mut Due,
    ) -> BTreeSet<u16> {
        let backfills = &mut self.left.backfills;
        if backfills.is_empty() {
            return BTreeSet::new();
        }
        let caught_up = backfills.take_caught_up(through.complete);
        let is_held = |row: &RowChange| backfills.has(row.key.slot.view());
        let (held, rest) = std::mem::take(last).into_rows().partition(is_held);
        let of_rebuilt = |row: &RowChange| caught_up.contains(&row.key.slot.view());
        let (released, before): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held)
            .into_rows()
            .partition(of_rebuilt);
        self.held.put(vec![before]);
        self.held.put(vec![held]);
        last.put(vec![released]);
        last.put(vec![rest]);
        let finals = std::mem::take(&mut self.held_finals);
        for row in finals {
            match caught_up.contains(&row.key.slot.view()) {
                true => self.put_final(&row, Expect::Either, definitions, due),
                false => self.held_finals.push(row),
            }
        }
        if !caught_up.is_empty() {
            fail_point("rebuild.release");
        }
        caught_up
    }

    /// Whether it has caught up since this was asked the last time.
    pub(super) fn has_just_caught_up(&mut self) -> bool {
        std::mem::take(&mut self.has_just_caught_up)
    }

    /// Whether a dead letter is to be written; else it has been.
    fn is_new(&mut self, letter: &DeadLetter) -> bool {
        self.left.letters.is_empty() || !self.left.letters.remove(&letter.id())
    }

    fn put_final(&self, row: &Final, expect: Expect, definitions: &[Definition], due: &mut Due) {
        let slot = row.key.slot;
        let definition = &definitions[usize::from(slot.view())];
        if self.was_final(definition, slot) {
            return;
        }
        let became = RowChange {
            key: row.key.clone(),
            epoch: row.epoch,
            sums: row.sums.clone(),
            is_final: true,
            expect: match definition.has_condition() {
                true => Expect::Either,
                false => expect,
            },
        };
        if !definition.has_row(&became.key, &became.sums) {
            due.batch.epoch = due.batch.epoch.max(became.epoch);
            due.batch.deletes.push(row_id(definition, &became.key));
        } else if !self.is_left_final(definition, &became.key) {
            due.batch.epoch = due.batch.epoch.max(became.epoch);
            due.rows.push(Put {
                became,
                updated_at: row.closed_at,
            });
        }
    }

    /// Whether an earlier run has written the row as final. It comes again as it was
    /// before that, too: its window closes later than it has been read.
    fn is_left_final(&self, definition: &Definition, key: &Key) -> bool {
        !self.left.finals.is_empty() && self.left.finals.contains(&row_id(definition, key))
    }

    fn was_final(&self, definition: &Definition, slot: Slot) -> bool {
        let until = self.left.final_until.get(usize::from(slot.view())).copied();
        let end = definition.window.end_millis(slot.index());
        until.flatten().is_some_and(|until| end <= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::sums::{COUNT, Sums};
    use model::Datum;
    use proptest::prelude::*;
    use sinks::{IdValue, Value};

    fn key(group: u8) -> Key {
        let number = definitions()
            .iter()
            .position(|view| view.name == "log_analysis")
            .unwrap();
        let slot = Slot::new(u16::try_from(number).unwrap(), 0);
        Key::new(slot, &[Datum::text(&group.to_string())])
    }

    fn definitions() -> Vec<Definition> {
        crate::shop::catalog(&BTreeMap::new()).unwrap().definitions
    }

    fn became(group: u8, epoch: Epoch, count: i64) -> RowChange {
        let sums = Sums::of_lane(COUNT, count.into());
        RowChange {
            key: key(group),
            epoch,
            sums,
            is_final: false,
            expect: Expect::Absent,
        }
    }

    /// What is taken, with its rows.
    fn take(
        pending: &mut Pending,
        through: Through,
        definitions: &[Definition],
        made_at: i64,
    ) -> Option<Batch> {
        let mut due = pending.take(through, definitions, made_at)?;
        assert!(!due.fill(usize::MAX, definitions));
        Some(due.batch)
    }

    const ALL: Through = Through {
        complete: None,
        durable: None,
    };

    fn last(group: u8, epoch: Epoch) -> Final {
        let RowChange { key, sums, .. } = became(group, epoch, 7);
        Final {
            key,
            epoch,
            sums,
            closed_at: 99,
        }
    }

    #[test]
    fn final_rows_wait_until_they_are_durable() {
        let mut pending = Pending::new(PriorRunState::default());
        pending.rows(vec![became(0, 1, 7)]);
        pending.finals(1, std::iter::once(last(0, 1)));
        let at = |durable| Through {
            complete: Some(2),
            durable: Some(durable),
        };
        let written = |batch: Option<Batch>| {
            let puts = batch.unwrap_or_default().puts.into_iter();
            puts.map(|row| (row.is_final, row.updated_at))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            written(take(&mut pending, at(1), &definitions(), 5)),
            [(false, 5)]
        );
        assert_eq!(written(take(&mut pending, at(1), &definitions(), 6)), []);
        assert_eq!(
            written(take(&mut pending, at(2), &definitions(), 7)),
            [(true, 99)]
        );
    }

    #[test]
    fn a_row_that_is_final_at_once_is_written_once() {
        let mut pending = Pending::new(PriorRunState::default());
        pending.rows(vec![became(0, 1, 7)]);
        pending.finals(1, std::iter::once(last(0, 1)));
        let batch = take(&mut pending, ALL, &definitions(), 5).unwrap();
        assert_eq!(batch.puts.len(), 1);
        assert!(batch.puts[0].is_final && batch.puts[0].expect == Expect::Absent);
    }

    #[test]
    fn nothing_is_written_before_it_has_caught_up() {
        let targets = CatchUp::new(BTreeMap::from([((0, 0), 10)]));
        let letters = std::collections::HashSet::from(["gone".to_owned()]);
        let mut pending = Pending::new(PriorRunState {
            targets,
            letters,
            ..PriorRunState::default()
        });
        let at = |complete| Through {
            complete: Some(complete),
            durable: None,
        };
        let mark = |next| Mark {
            topic: 0,
            partition: 0,
            worker: 0,
            next,
            holding: crate::time::Holding::Yes,
            kafka: 0,
            least: i64::MAX,
            untimed: false,
            limits: Vec::new(),
            views: Vec::new(),
            last_read: None,
            fingerprint: 0,
            backfill: None,
        };
        let deleted = RowChange {
            expect: Expect::Deleted,
            ..became(3, 1, 1)
        };
        pending.rows(vec![became(0, 1, 1), became(1, 1, 1), deleted]);
        pending.marks(1, &[mark(9)]);
        assert_eq!(take(&mut pending, at(2), &definitions(), 0), None);
        pending.rows(vec![became(0, 2, 2), became(1, 2, 0)]);
        pending.marks(2, &[mark(11)]);
        let batch = take(&mut pending, at(3), &definitions(), 0).unwrap();
        assert_eq!((batch.puts.len(), batch.puts[0].epoch), (2, 2));
        assert_eq!(batch.puts[1].expect, Expect::Deleted);
        assert!(pending.has_just_caught_up() && !pending.has_just_caught_up());
        assert_eq!(
            batch.puts[0].expect,
            Expect::Either,
            "the earlier run may have written it"
        );
        assert_eq!(batch.deletes.len(), 1);
        assert_eq!(batch.letter_deletes, ["gone"]);

        pending.rows(vec![became(2, 3, 1)]);
        let batch = take(&mut pending, at(4), &definitions(), 0).unwrap();
        assert_eq!(batch.puts[0].expect, Expect::Absent);
    }

    #[test]
    fn rows_of_this_run_and_restored_ones_must_be_there() {
        let at = |pending: &mut Pending, complete, durable| {
            let through = Through {
                complete: Some(complete),
                durable: Some(durable),
            };
            let batch = take(pending, through, &definitions(), 0).unwrap_or_default();
            let puts = batch.puts.iter();
            puts.map(|row| (row.is_final, row.expect))
                .collect::<Vec<_>>()
        };
        let mut pending = Pending::new(PriorRunState::default());
        let present = |group, epoch| RowChange {
            expect: Expect::Present,
            ..became(group, epoch, 8)
        };
        pending.rows(vec![present(0, 1)]);
        assert_eq!(at(&mut pending, 2, 1), [(false, Expect::Present)]);
        // What closes in this run was written before; what comes from a checkpoint need not be
        // there as it was.
        pending.finals(2, [last(0, 2), last(1, 1)].into_iter());
        let finals = [(true, Expect::Present), (true, Expect::Either)];
        assert_eq!(at(&mut pending, 3, 3), finals);
    }

    #[test]
    fn what_an_earlier_run_has_closed_is_left_alone() {
        let view = usize::from(key(0).slot.view());
        let written = |until| {
            let mut final_until = vec![None; definitions().len()];
            final_until[view] = until;
            let mut pending = Pending::new(PriorRunState {
                final_until,
                ..PriorRunState::default()
            });
            pending.rows(vec![became(0, 1, 1)]);
            take(&mut pending, ALL, &definitions(), 0).is_some()
        };
        // Its window ends at 3,600,000.
        assert!(written(None) && written(Some(3_599_999)));
        assert!(!written(Some(3_600_000)));
    }

    #[test]
    fn what_an_earlier_run_has_written_as_final_is_left_alone() {
        let id = |group| {
            row_id(
                &definitions()[usize::from(key(group).slot.view())],
                &key(group),
            )
        };
        let mut pending = Pending::new(PriorRunState {
            finals: HashSet::from([id(0)]),
            ..PriorRunState::default()
        });
        let written = |pending: &mut Pending, frontier| {
            let through = Through {
                complete: Some(frontier),
                durable: Some(frontier),
            };
            let batch = take(pending, through, &definitions(), 0);
            let puts = batch.unwrap_or_default().puts.into_iter();
            puts.map(|row| (row.id, row.is_final)).collect::<Vec<_>>()
        };
        pending.rows(vec![became(0, 1, 1), became(1, 1, 1)]);
        pending.finals(2, [last(0, 2), last(1, 2)].into_iter());
        assert_eq!(
            written(&mut pending, 2),
            [(id(1), false)],
            "it is open in this run"
        );
        assert_eq!(written(&mut pending, 3), [(id(1), true)]);
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
            let mut pending = Pending::new(PriorRunState::default());
            for (epoch, changes) in (0u64..).zip(&epochs) {
                let before = now.clone();
                for &(group, count) in changes {
                    now.insert(group, count);
                }
                for (&group, &new) in &now {
                    if before.get(&group).copied().unwrap_or(0) != new {
                        pending.rows(vec![became(group, epoch, new)]);
                    }
                }
            }
            let mut seen: BTreeMap<IdValue, i64> = BTreeMap::new();
            for frontier in [Some(cut), None] {
                let through = Through { complete: frontier, durable: None };
                let batch = take(&mut pending, through, &definitions(), 0).unwrap_or_default();
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
            let expected: BTreeMap<IdValue, i64> = now
                .into_iter()
                .filter(|&(_, count)| count > 0)
                .map(|(group, count)| (row_id(&definitions()[usize::from(key(group).slot.view())], &key(group)).id, count))
                .collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
