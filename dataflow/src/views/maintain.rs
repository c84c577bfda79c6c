//! The dataflow that keeps every row of every view.

use super::batcher::{EpochBatcher, Updates};
use super::changes::{LatestChange, MemberChange, SumsChange};
use super::key::Key;
use super::rows::{Became, rows};
use super::sums::Sums;
use super::unique::{Members, unique};
use crate::Epoch;
use differential_dataflow::operators::arrange::{Arranged, arrangement::arrange_core};
use differential_dataflow::trace::Builder;
use differential_dataflow::trace::implementations::ord_neu::{
    BuilderInput, OrdKeyBatch, OrdValBatch,
};
use differential_dataflow::trace::implementations::{KeyBuilder, ValBuilder, Vector};
use differential_dataflow::{AsCollection, Hashable};
use events::Id;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Concatenate, Exchange as _};

/// What events contribute, on the worker that read them.
pub struct Contributed<'scope> {
    /// Sums of rows.
    pub sums: StreamVec<'scope, Epoch, SumsChange>,
    /// Members that rows have seen.
    pub members: StreamVec<'scope, Epoch, MemberChange>,
    /// Latest times that workers have seen of rows: of each worker and row, one
    /// at any time.
    pub latest: StreamVec<'scope, Epoch, LatestChange>,
}

/// Every row of every view, as it becomes. Each lives on one worker, by the hash
/// of its key.
pub fn maintain(contributed: Contributed<'_>) -> StreamVec<'_, Epoch, Became> {
    let Contributed {
        sums,
        members,
        latest,
    } = contributed;
    let sums = sums.exchange(|((key, ()), _, _): &SumsChange| key.hashed());
    let changes = [unique(arrange_members(members)), maximum(latest)];

    // Everything has come to the worker of its key already: no second exchange.
    let all = sums.scope().concatenate(changes.into_iter().chain([sums]));
    rows(arrange_core(all, Pipeline, "Arrange: rows", |_, _| {
        EpochBatcher::new(seal_rows)
    }))
}

fn arrange_members<'scope>(
    members: StreamVec<'scope, Epoch, MemberChange>,
) -> Arranged<'scope, Members> {
    let owner = |((key, _), _, _): &MemberChange| key.hashed();
    arrange_core(members, Exchange::new(owner), "Arrange: members", |_, _| {
        EpochBatcher::new(seal_members)
    })
}

/// The latest of the workers' latest times, as a sum: one time is live for each
/// row, so that adding up what is added and retracted leaves that time.
fn maximum<'scope>(
    latest: StreamVec<'scope, Epoch, LatestChange>,
) -> StreamVec<'scope, Epoch, SumsChange> {
    latest
        .as_collection()
        .reduce_named("Maximum", |_key, times, output| {
            // Values come in ascending order.
            if let Some((micros, _)) = times.last() {
                output.push((**micros, 1isize));
            }
        })
        .inner
        .map(|((key, micros), epoch, diff)| {
            let micros = if diff > 0 { micros } else { -micros };
            ((key, ()), epoch, Sums::of_latest(micros))
        })
}

/// A batch of rows' changes. It is made to measure: what it holds stays.
fn seal_rows(updates: &mut Updates<(Key, ()), Sums>) -> Option<OrdKeyBatch<Vector<SumsChange>>> {
    let parts = std::slice::from_ref(updates);
    let (keys, vals, times) = BuilderInput::<Vec<Key>, Vec<()>>::key_val_upd_counts(parts);
    let mut builder = KeyBuilder::with_capacity(keys, vals, times);
    builder.push(updates);
    builder.done()
}

/// A batch of members, made to measure as well.
fn seal_members(
    updates: &mut Updates<(Key, Id), isize>,
) -> Option<OrdValBatch<Vector<MemberChange>>> {
    let parts = std::slice::from_ref(updates);
    let (keys, vals, times) = BuilderInput::<Vec<Key>, Vec<Id>>::key_val_upd_counts(parts);
    let mut builder = ValBuilder::with_capacity(keys, vals, times);
    builder.push(updates);
    builder.done()
}
