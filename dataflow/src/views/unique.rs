//! Exact distinct counts, kept incrementally.
//!
//! An arrangement holds, for each row, the members it has seen. When a batch of
//! updates brings a member from none to some (or back), the row's `unique` goes
//! up (or down) by one. Only the members in the batch are looked up.
//!
//! It works on the values below a key, so that a row's members are stored once
//! under its key, and live with the row.

use super::batches::on_batches;
use super::changes::SumsChange;
use super::key::Key;
use super::sums::Sums;
use crate::Epoch;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::cursor::{BatchCursor, Cursor, Navigable, cursor_list};
use differential_dataflow::trace::implementations::ValSpine;
use events::Id;
use timely::dataflow::StreamVec;

/// Members of rows, by row.
pub(super) type Members = TraceAgent<ValSpine<Key, Id, Epoch, isize>>;
type MembersBatch = <Members as TraceReader>::Batch;

/// Changes of the number of distinct members of each row.
pub(super) fn unique<'scope>(
    members: Arranged<'scope, Members>,
) -> StreamVec<'scope, Epoch, SumsChange> {
    on_batches(members, "Unique", |before, batches, give| {
        let mut before: Vec<_> = before.iter().map(Seen::new).collect();
        let (mut new, storage) = cursor_list(batches);
        let mut changes: Vec<(Epoch, i64)> = Vec::new();
        while let Some(key) = new.get_key(&storage) {
            before.iter_mut().for_each(|seen| seen.seek_key(key));
            while let Some(member) = new.get_val(&storage) {
                let mut weight: isize = before.iter_mut().map(|seen| seen.weight(member)).sum();
                new.map_times(&storage, |epoch, diff| {
                    let was = weight > 0;
                    weight += diff;
                    match (was, weight > 0) {
                        (false, true) => add(&mut changes, *epoch, 1),
                        (true, false) => add(&mut changes, *epoch, -1),
                        _ => {}
                    }
                });
                new.step_val(&storage);
            }
            for (epoch, unique) in changes.drain(..) {
                let sums = Sums {
                    unique,
                    ..Sums::default()
                };
                give(((key.clone(), ()), epoch, sums));
            }
            new.step_key(&storage);
        }
    })
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
    fn weight(&mut self, member: &Id) -> isize {
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

/// Adds `change` in `epoch`. A batch holds few epochs, most often one.
fn add(changes: &mut Vec<(Epoch, i64)>, epoch: Epoch, change: i64) {
    match changes.iter_mut().find(|(at, _)| *at == epoch) {
        Some((_, sum)) => *sum += change,
        None => changes.push((epoch, change)),
    }
}
