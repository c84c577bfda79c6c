//! The dataflow that keeps every row of every view.

use super::Catalog;
use super::batcher::{EpochBatcher, Updates};
use super::changes::{LatestChange, MemberChange, SumsChange};
use super::footprint::Gauge;
use super::join::{Joined, join};
use super::key::Key;
use super::latest::latest;
use super::rounds::{Outcome, Setting};
use super::rows::{Became, rows};
use super::stored::Stored;
use super::sums::Sums;
use super::unique::unique;
use crate::Epoch;
use crate::checkpoint::Part;
use crate::checkpoint::load::Loaded;
use crate::checkpoint::tap::{Of, Run, Saving, tap};
use crate::time::Advanced;
use differential_dataflow::Hashable;
use differential_dataflow::difference::Semigroup;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent, arrangement::arrange_core};
use differential_dataflow::trace::Builder;
use differential_dataflow::trace::implementations::ord_neu::{
    BuilderInput, OrdKeyBatch, OrdValBatch,
};
use differential_dataflow::trace::implementations::{KeyBuilder, ValBuilder, ValSpine, Vector};
use std::sync::Arc;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::{Concat, Concatenate, ConnectLoop, Exchange as _, Feedback};

/// What events contribute, on the worker that read them.
pub struct Contributed<'scope> {
    /// Sums of rows.
    pub sums: StreamVec<'scope, Epoch, SumsChange>,
    /// Members that rows have seen.
    pub members: StreamVec<'scope, Epoch, MemberChange>,
    /// Latest times that workers have seen of rows in an epoch.
    pub latest: StreamVec<'scope, Epoch, LatestChange>,
    /// What is joined.
    pub joined: Joined<'scope>,
}

/// What is kept through runs.
pub struct Memory<'scope> {
    /// The epoch before the first.
    pub restored: Epoch,
    /// What an earlier run has saved.
    pub(crate) loaded: Option<Loaded<'scope>>,
    /// Rows of this worker that an earlier run may have written otherwise, in their
    /// order.
    pub in_doubt: Vec<Key>,
    /// The rows that the database holds, where missing ones are to be restored.
    pub stored: Option<Arc<Stored>>,
    /// What is to be saved.
    pub saving: Option<Saving>,
}

impl Memory<'_> {
    /// None: nothing is restored or saved. The first epoch is 1.
    pub fn none() -> Self {
        Memory {
            restored: Epoch::MIN,
            loaded: None,
            in_doubt: Vec::new(),
            stored: None,
            saving: None,
        }
    }
}

/// What comes of it.
pub struct Maintained<'scope> {
    /// Rows as they become.
    pub rows: StreamVec<'scope, Epoch, Became>,
    /// What is to be saved.
    pub runs: StreamVec<'scope, Epoch, Run>,
}

/// Every row of every view, as it becomes. Each lives on one worker, by the hash
/// of its key. `advanced` says how far event time has come, on every worker.
pub fn maintain<'scope>(
    contributed: Contributed<'scope>,
    advanced: StreamVec<'scope, Epoch, Advanced>,
    catalog: &Catalog,
    gauge: &Gauge,
    memory: Memory<'scope>,
) -> Maintained<'scope> {
    let Memory {
        restored,
        loaded,
        in_doubt,
        stored,
        saving,
    } = memory;
    let contributed = match loaded {
        Some(loaded) => contributed.and(loaded),
        None => contributed,
    };
    let Contributed {
        sums,
        members,
        latest: times,
        joined,
    } = contributed;
    let scope = sums.scope();
    let setting = Setting {
        restored,
        gauge: gauge.clone(),
    };
    let of = |part| Of {
        part,
        view: |key: &Key| key.slot.view(),
    };
    let saving = saving.as_ref();
    let mut runs = Vec::new();
    let (joined_sums, joined_members) = join(
        joined,
        advanced.clone(),
        catalog,
        &setting,
        saving,
        &mut runs,
    );

    let (dropped, again) = scope.feedback(1);
    let members = arrange(members.concat(joined_members).concat(again), "members");
    let tapped = members.clone();
    let unique = unique(members, advanced.clone(), setting.clone());
    let retracted = unique.retracted.clone();
    runs.extend(saving.map(|saving| tap(&tapped, retracted, of(Part::Members), saving)));
    unique.retracted.connect_loop(dropped);

    let (dropped, again) = scope.feedback(1);
    let times = arrange(times.concat(again), "latest");
    let tapped = times.clone();
    let latest = latest(times, advanced.clone(), setting.clone());
    let retracted = latest.retracted.clone();
    runs.extend(saving.map(|saving| tap(&tapped, retracted, of(Part::Latest), saving)));
    latest.retracted.connect_loop(dropped);

    let sums = sums.concat(joined_sums);
    let sums = sums.exchange(|((key, ()), _, _): &SumsChange| key.hashed());
    let (dropped, again) = scope.feedback(1);
    // Everything has come to the worker of its key already: no second exchange.
    let all = scope.concatenate([sums, unique.made, latest.made, again]);
    let changes = arrange_core(all, Pipeline, "Arrange: rows", |_, _| {
        EpochBatcher::new(seal_rows)
    });
    let tapped = changes.clone();
    let Outcome { made, retracted } = rows(changes, advanced, in_doubt, stored, setting);
    let again = retracted.clone();
    runs.extend(saving.map(|saving| tap(&tapped, again, of(Part::Rows), saving)));
    retracted.connect_loop(dropped);
    Maintained {
        rows: made,
        runs: scope.concatenate(runs),
    }
}

impl<'scope> Contributed<'scope> {
    /// Together with what was loaded.
    fn and(self, loaded: Loaded<'scope>) -> Contributed<'scope> {
        let Joined {
            sales,
            customers,
            products,
        } = self.joined;
        Contributed {
            sums: self.sums.concat(loaded.sums),
            members: self.members.concat(loaded.members),
            latest: self.latest.concat(loaded.latest),
            joined: Joined {
                sales: sales.concat(loaded.sales),
                customers: customers.concat(loaded.customers),
                products: products.concat(loaded.products),
            },
        }
    }
}

/// Values by key, each on the worker of its key.
pub(super) fn arrange<'scope, K, V, R>(
    updates: StreamVec<'scope, Epoch, ((K, V), Epoch, R)>,
    name: &str,
) -> Arranged<'scope, TraceAgent<ValSpine<K, V, Epoch, R>>>
where
    K: differential_dataflow::ExchangeData + std::hash::Hash,
    V: differential_dataflow::ExchangeData,
    R: differential_dataflow::ExchangeData + Semigroup,
{
    let owner = |((key, _), _, _): &((K, V), Epoch, R)| key.hashed();
    arrange_core(
        updates,
        Exchange::new(owner),
        &format!("Arrange: {name}"),
        |_, _| EpochBatcher::new(seal::<K, V, R>),
    )
}

/// A batch of rows' changes. It is made to measure: what it holds stays.
fn seal_rows(updates: &mut Updates<(Key, ()), Sums>) -> Option<OrdKeyBatch<Vector<SumsChange>>> {
    let parts = std::slice::from_ref(updates);
    let (keys, vals, times) = BuilderInput::<Vec<Key>, Vec<()>>::key_val_upd_counts(parts);
    let mut builder = KeyBuilder::with_capacity(keys, vals, times);
    builder.push(updates);
    builder.done()
}

/// A batch of values.
type Values<K, V, R> = OrdValBatch<Vector<((K, V), Epoch, R)>>;

/// A batch of values, made to measure as well.
fn seal<K, V, R>(updates: &mut Updates<(K, V), R>) -> Option<Values<K, V, R>>
where
    K: Ord + Clone + 'static,
    V: Ord + Clone + 'static,
    R: Ord + Semigroup + Clone + 'static,
{
    let parts = std::slice::from_ref(updates);
    let (keys, vals, times) = BuilderInput::<Vec<K>, Vec<V>>::key_val_upd_counts(parts);
    let mut builder = ValBuilder::with_capacity(keys, vals, times);
    builder.push(updates);
    builder.done()
}
