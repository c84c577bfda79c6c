//! Exact distinct counts, kept incrementally.
//!
//! An arrangement holds, for each row, the members it has seen. When a batch of
//! updates brings a member from none to some (or back), the row's count goes
//! up (or down) by one; and so does what is added up of distinct values. Only the members in the batch
//! are looked up.
//!
//! It works on the values below a key, so that a row's members are stored once
//! under its key, and live with the row: when its window closes, they are
//! dropped.

use super::changes::{MemberChange, SumsChange};
use super::key::Key;
use super::lanes::Lanes;
use super::rounds::Logic;
use super::stateful::{Values, ValuesBatch};
use super::sums::Sums;
use super::windows::closing_values;
use differential_dataflow::difference::{IsZero, Semigroup};
use differential_dataflow::trace::cursor::{BatchCursor, Cursor, Navigable, cursor_list};
use model::Datum;
use std::sync::Arc;

/// Members of rows, by row.
type Members = Values<Key, Datum, isize>;
type MembersBatch = ValuesBatch<Key, Datum, isize>;

/// Changes of what distinct members add to each row. `lanes`: of all views, by number, and of each the
/// aggregate over distinct values of this `number`.
pub(super) fn unique(
    lanes: Vec<Arc<Lanes>>,
    number: usize,
) -> impl Logic<MembersBatch, SumsChange, MemberChange> {
    move |round, give, retract| {
        let mut before: Vec<_> = round.before.iter().map(Seen::new).collect();
        let (mut new, storage) = cursor_list(round.new.to_vec());
        while let Some(key) = new.get_key(&storage) {
            if round.closed.has(key.slot) {
                // Its members are on their way out, and its row is final.
                new.step_key(&storage);
                continue;
            }
            let lanes = &lanes[usize::from(key.slot.view())].distinct[number];
            let mut unique = 0;
            let mut sums = Sums::default();
            before.iter_mut().for_each(|seen| seen.seek_key(key));
            while let Some(member) = new.get_val(&storage) {
                let before: isize = before.iter_mut().map(|seen| seen.weight(member)).sum();
                let mut after = before;
                new.map_times(&storage, |_, diff| after += diff);
                let change = i64::from(after > 0) - i64::from(before > 0);
                unique += change;
                if change != 0 && lanes.sum.is_some() {
                    sums.plus_equals(&lanes.change_of_sum(member, change));
                }
                new.step_val(&storage);
            }
            sums.add(lanes.count, unique.into());
            if !sums.is_zero() {
                give(((key.clone(), ()), round.epoch, sums));
            }
            new.step_key(&storage);
        }
        closing_values(round, |key, member, weight: isize| {
            retract(((key.clone(), member.clone()), round.epoch + 1, -weight));
        });
    }
}

/// A batch of members seen before, searched forwards.
///
/// One cursor for each batch, and not one over all of them: that would move the
/// values of batches that are still before, or already behind, the key.
struct Seen<'a> {
    batch: &'a MembersBatch,
    cursor: BatchCursor<Members>,
    has_key: bool,
}

impl<'a> Seen<'a> {
    fn new(batch: &'a MembersBatch) -> Seen<'a> {
        Seen {
            batch,
            cursor: batch.cursor(),
            has_key: false,
        }
    }

    /// Goes to a key that is not before the last one.
    fn seek_key(&mut self, key: &Key) {
        self.cursor.seek_key(self.batch, key);
        self.has_key = self.cursor.get_key(self.batch) == Some(key);
    }

    /// How often the key has a member that is not before the last one.
    fn weight(&mut self, member: &Datum) -> isize {
        let mut weight = 0;
        if self.has_key {
            self.cursor.seek_val(self.batch, member);
            if self.cursor.get_val(self.batch) == Some(member) {
                self.cursor.map_times(self.batch, |_, diff| weight += diff);
            }
        }
        weight
    }
}
