//! Rows, as they become.
//!
//! An arrangement holds, for each key, the changes of its sums. When an epoch is
//! complete, each key that changed in it has become something else: the sum of
//! all that is known of it. Downstream writes rows whole, so it is told what a
//! row is now, and not also what it was.
//!
//! When a window closes, each of its rows becomes final, once, and is forgotten.
//!
//! A row that is *in doubt* at the start of a run is told as well, as it was
//! restored: an earlier run may have written what came of it later. So is a row that
//! was restored and is missing in the database: somebody has deleted it.

use super::changes::SumsChange;
use super::key::Key;
use super::rounds::{Logic, Round, cursors};
use super::stateful::KeysBatch;
use super::stored::Stored;
use super::sums::Sums;
use super::windows::closing_values;
use crate::Epoch;
use differential_dataflow::difference::{Abelian, IsZero, Semigroup};
use differential_dataflow::trace::cursor::{Cursor, Navigable, cursor_list};
use serde::{Deserialize, Serialize};
use sinks::Expect;
use std::sync::Arc;

/// A batch of changes of rows' sums, by row.
type RowsBatch = KeysBatch<Key, Sums>;

/// What a row became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowChange {
    /// Which row.
    pub key: Key,
    /// The epoch in which it did.
    pub epoch: Epoch,
    /// Its sums; when they are zero it is no more.
    pub sums: Sums,
    /// Whether its window has closed: then it never changes again.
    pub is_final: bool,
    /// Whether the database has it already, as far as this worker can know.
    pub expect: Expect,
}

/// Every row that changed in an epoch, as it is at the end of it. In the first round
/// of the run, those of this worker that are `in_doubt`, in their order, and those that are
/// not `stored` and should be.
///
/// A row that changes in the epoch in which its window closes is told twice: as it
/// became, and then that it is final.
pub(super) fn rows(
    mut in_doubt: Vec<Key>,
    mut stored: Option<Arc<Stored>>,
) -> impl Logic<RowsBatch, RowChange, SumsChange> {
    move |round, give, retract| {
        let epoch = round.epoch;
        if round.restored {
            let mut all = cursors(round);
            let in_doubt = std::mem::take(&mut in_doubt);
            for key in in_doubt.iter().cloned() {
                let mut sums = Sums::default();
                for (cursor, batch) in &mut all {
                    cursor.seek_key(batch, &key);
                    if cursor.get_key(batch) == Some(&key) {
                        cursor.map_times(batch, |_, change| sums.plus_equals(change));
                    }
                }
                give(RowChange {
                    key,
                    epoch,
                    sums,
                    is_final: false,
                    expect: Expect::Either,
                });
            }
            if let Some(stored) = &stored {
                missing(round, stored, &in_doubt, give);
            }
            stored = None;
        }
        let mut before: Vec<_> = round.before.iter().map(|b| (b.cursor(), b)).collect();
        let (mut new, storage) = cursor_list(round.new.to_vec());
        while let Some(key) = new.get_key(&storage) {
            if !round.closed.has(key.slot) {
                let mut sums = Sums::default();
                for (cursor, batch) in &mut before {
                    cursor.seek_key(batch, key);
                    if cursor.get_key(batch) == Some(key) {
                        cursor.map_times(batch, |_, change| sums.plus_equals(change));
                    }
                }
                let expect = match sums.is_zero() {
                    true => Expect::Absent,
                    false => Expect::Present,
                };
                new.map_times(&storage, |_, change| sums.plus_equals(change));
                give(RowChange {
                    key: key.clone(),
                    epoch,
                    sums,
                    is_final: false,
                    expect,
                });
            }
            new.step_key(&storage);
        }
        closing_values(round, |key, (), sums: Sums| {
            let mut dropped = sums.clone();
            dropped.negate();
            retract(((key.clone(), ()), epoch + 1, dropped));
            give(RowChange {
                key: key.clone(),
                epoch,
                sums,
                is_final: true,
                expect: Expect::Present,
            });
        });
    }
}

/// Gives the rows that were restored and are not in the database, but for those that are
/// `in_doubt`, which have been given.
fn missing(
    round: &Round<'_, RowsBatch>,
    stored: &Stored,
    in_doubt: &[Key],
    give: &mut dyn FnMut(RowChange),
) {
    let (mut all, storage) = cursor_list(round.all());
    while let Some(key) = all.get_key(&storage) {
        if stored.lacks(key) && in_doubt.binary_search(key).is_err() {
            let mut sums = Sums::default();
            all.map_times(&storage, |_, change| sums.plus_equals(change));
            if !sums.is_zero() {
                give(RowChange {
                    key: key.clone(),
                    epoch: round.epoch,
                    sums,
                    is_final: false,
                    expect: Expect::Deleted,
                });
            }
        }
        all.step_key(&storage);
    }
}
