//! Rows, as they become.
//!
//! An arrangement holds, for each key, the changes of its sums. When a batch of
//! changes has come, each key in it has become something else: the sum of all
//! that is known of it. Downstream writes rows whole, so it is told what a row
//! is now, and not also what it was.

use super::batches::on_batches;
use super::key::Key;
use super::sums::Sums;
use crate::Epoch;
use differential_dataflow::difference::Semigroup;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::cursor::{Cursor, Navigable, cursor_list};
use differential_dataflow::trace::implementations::KeySpine;
use timely::dataflow::StreamVec;

/// Changes of rows' sums, by row.
pub(super) type Changes = TraceAgent<KeySpine<Key, Epoch, Sums>>;

/// What each row became: its key, the epoch in which it last changed, and its
/// sums, which are zero when it is no more.
pub type Became = (Key, Epoch, Sums);

/// Every row that changed, as it is once the batch it changed in is complete.
pub(super) fn rows<'scope>(changes: Arranged<'scope, Changes>) -> StreamVec<'scope, Epoch, Became> {
    on_batches(changes, "Rows", |before, batches, give| {
        let mut before: Vec<_> = before.iter().map(|batch| (batch.cursor(), batch)).collect();
        let (mut new, storage) = cursor_list(batches);
        while let Some(key) = new.get_key(&storage) {
            let mut sums = Sums::default();
            for (cursor, batch) in &mut before {
                cursor.seek_key(batch, key);
                if cursor.get_key(batch) == Some(key) {
                    cursor.map_times(batch, |_, change| sums.plus_equals(change));
                }
            }
            let mut last = Epoch::MIN;
            new.map_times(&storage, |epoch, change| {
                last = last.max(*epoch);
                sums.plus_equals(change);
            });
            give((key.clone(), last, sums));
            new.step_key(&storage);
        }
    })
}
