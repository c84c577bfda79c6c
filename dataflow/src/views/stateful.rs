//! State, written once: what every arrangement needs.
//!
//! ```text
//!   a checkpoint's blocks ─▶ decode ─┐
//!   updates ─────────────────────────┼─▶ arrange ─▶ rounds ─▶ what comes of it
//!   retractions, an epoch later ─────┘      │         │
//!        ▲                                  ▼         │
//!        │                         save ─▶ runs       │
//!        └────────────────────────────────────────────┘
//! ```
//!
//! A part of the state says what it is called, how its updates are written, and what an epoch
//! of it comes to. All else is here: what an earlier run has saved comes first, what is no longer
//! needed is fed back as a retraction, and whatever the arrangement takes up is saved.

use super::batcher::{EpochBatcher, Updates};
use super::footprint::{Footprint, Gauge};
use super::rounds::{Logic, Outcome, Setting, rounds};
use crate::Epoch;
use crate::saving::load::Loaded;
use crate::saving::tap::{Run, Saving, tap};
use crate::time::Advanced;
use checkpoint::{Codec, OfView, Part, ViewOf, decode};
use differential_dataflow::difference::{Abelian, Semigroup};
use differential_dataflow::operators::arrange::{Arranged, TraceAgent, arrangement::arrange_core};
use differential_dataflow::trace::cursor::{Cursor, Navigable};
use differential_dataflow::trace::implementations::ord_neu::{
    BuilderInput, OrdKeyBatch, OrdValBatch,
};
use differential_dataflow::trace::implementations::{
    KeyBuilder, KeySpine, ValBuilder, ValSpine, Vector,
};
use differential_dataflow::trace::{Builder, TraceReader};
use differential_dataflow::{ExchangeData, Hashable};
use std::hash::Hash;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::{Concatenate, ConnectLoop, Exchange as _, Feedback};
use timely::dataflow::{Scope, StreamVec};

/// An update.
pub(super) type Update<K, V, R> = ((K, V), Epoch, R);

/// All that is kept on a worker, as its operators are built.
pub(super) struct States<'scope> {
    scope: Scope<'scope, Epoch>,
    advanced: StreamVec<'scope, Epoch, Advanced>,
    setting: Setting,
    /// Names of the views.
    views: Vec<String>,
    loaded: Option<Loaded<'scope>>,
    saving: Option<Saving>,
    runs: Vec<StreamVec<'scope, Epoch, Run>>,
}

/// Where updates of a part come from.
pub(super) struct Sources<'scope, U: Clone + 'static> {
    /// From any worker.
    pub(super) anywhere: Vec<StreamVec<'scope, Epoch, U>>,
    /// From the worker of their key.
    pub(super) here: Vec<StreamVec<'scope, Epoch, U>>,
}

impl<'scope> States<'scope> {
    /// Nothing is kept yet. `advanced` says how far event time has come, `restored` is the epoch
    /// before the first, `views` are their names; what an earlier run has saved is in `loaded`, what is
    /// to be saved is said by `saving`.
    pub(super) fn new(
        advanced: StreamVec<'scope, Epoch, Advanced>,
        restored: Epoch,
        gauge: Gauge,
        views: Vec<String>,
        loaded: Option<Loaded<'scope>>,
        saving: Option<Saving>,
    ) -> States<'scope> {
        States {
            scope: advanced.scope(),
            advanced,
            setting: Setting { restored, gauge },
            views,
            loaded,
            saving,
            runs: Vec::new(),
        }
    }

    /// Keeps values by key, each on the worker of its key, and makes of them what `each` gives.
    pub(super) fn keep_values<K, V, R, D>(
        &mut self,
        part: &Part<K>,
        updates: Vec<StreamVec<'scope, Epoch, Update<K, V, R>>>,
        each: impl Logic<ValuesBatch<K, V, R>, D, Update<K, V, R>>,
    ) -> StreamVec<'scope, Epoch, D>
    where
        K: ExchangeData + Hash + Codec + OfView,
        V: ExchangeData + Codec + OfView,
        R: ExchangeData + Abelian + Codec,
        D: Clone + 'static,
    {
        let sources = Sources {
            anywhere: updates,
            here: Vec::new(),
        };
        self.keep(part, sources, by_value, each)
    }

    /// Keeps how much there is of each key, on its worker.
    pub(super) fn keep_keys<K, R, D>(
        &mut self,
        part: &Part<K>,
        sources: Sources<'scope, Update<K, (), R>>,
        each: impl Logic<KeysBatch<K, R>, D, Update<K, (), R>>,
    ) -> StreamVec<'scope, Epoch, D>
    where
        K: ExchangeData + Hash + Codec + OfView,
        R: ExchangeData + Abelian + Codec,
        D: Clone + 'static,
    {
        self.keep(part, sources, by_key, each)
    }

    fn keep<K, V, R, Tr, D>(
        &mut self,
        part: &Part<K>,
        sources: Sources<'scope, Update<K, V, R>>,
        arrange: impl FnOnce(&str, Sources<'scope, Update<K, V, R>>) -> Arranged<'scope, Tr>,
        each: impl Logic<Tr::Batch, D, Update<K, V, R>>,
    ) -> StreamVec<'scope, Epoch, D>
    where
        Tr: TraceReader<Time = Epoch, Batch: Footprint + Navigable> + Clone + 'static,
        <Tr::Batch as Navigable>::Cursor: for<'a> Cursor<
                Key<'a> = &'a K,
                Val<'a> = &'a V,
                TimeGat<'a> = &'a Epoch,
                DiffGat<'a> = &'a R,
            >,
        K: ExchangeData + Hash + Codec + OfView,
        V: ExchangeData + Codec + OfView,
        R: ExchangeData + Abelian + Codec,
        D: Clone + 'static,
    {
        let Sources {
            mut anywhere,
            mut here,
        } = sources;
        if let Some(loaded) = &self.loaded {
            anywhere.push(loaded.decode(part, decode::<K, V, R>));
        }
        let (dropped, again) = self.scope.feedback(1);
        here.push(again);
        let name = self.name(part);
        let arranged = arrange(&name, Sources { anywhere, here });
        let tapped = arranged.clone();
        let (advanced, setting) = (self.advanced.clone(), self.setting.clone());
        let Outcome { made, retracted } = rounds(arranged, advanced, &name, setting, each);
        if let Some(saving) = &self.saving {
            self.runs
                .push(tap(&tapped, retracted.clone(), part, saving));
        }
        retracted.connect_loop(dropped);
        made
    }

    /// What a part is called: with its view, if it is of one.
    fn name<K>(&self, part: &Part<K>) -> String {
        match part.view {
            ViewOf::Key(_) => part.name.to_string(),
            ViewOf::All(view) => format!("{}.{}", self.views[usize::from(view)], part.name),
        }
    }

    /// What is to be saved of all that is kept.
    pub(super) fn runs(self) -> StreamVec<'scope, Epoch, Run> {
        self.scope.concatenate(self.runs)
    }
}

/// Values by key.
pub(super) type Values<K, V, R> = TraceAgent<ValSpine<K, V, Epoch, R>>;
/// A batch of them.
pub(super) type ValuesBatch<K, V, R> = <Values<K, V, R> as TraceReader>::Batch;
/// How much there is of each key.
pub(super) type Keys<K, R> = TraceAgent<KeySpine<K, Epoch, R>>;
/// A batch of it.
pub(super) type KeysBatch<K, R> = <Keys<K, R> as TraceReader>::Batch;

fn by_value<'scope, K, V, R>(
    name: &str,
    sources: Sources<'scope, Update<K, V, R>>,
) -> Arranged<'scope, Values<K, V, R>>
where
    K: ExchangeData + Hash,
    V: ExchangeData,
    R: ExchangeData + Semigroup,
{
    let Sources { mut anywhere, here } = sources;
    anywhere.extend(here);
    let owner = |((key, _), _, _): &Update<K, V, R>| key.hashed();
    arrange_core(
        concatenated(anywhere),
        Exchange::new(owner),
        &format!("Arrange: {name}"),
        |_, _| EpochBatcher::new(seal_values::<K, V, R>),
    )
}

fn by_key<'scope, K, R>(
    name: &str,
    sources: Sources<'scope, Update<K, (), R>>,
) -> Arranged<'scope, Keys<K, R>>
where
    K: ExchangeData + Hash,
    R: ExchangeData + Semigroup,
{
    let Sources { anywhere, mut here } = sources;
    // What is on the worker of its key already is not exchanged once more.
    let anywhere = concatenated(anywhere);
    here.push(anywhere.exchange(|((key, ()), _, _): &Update<K, (), R>| key.hashed()));
    arrange_core(
        concatenated(here),
        Pipeline,
        &format!("Arrange: {name}"),
        |_, _| EpochBatcher::new(seal_keys::<K, R>),
    )
}

/// All of these streams, of which there is at least one.
fn concatenated<'scope, D: Clone + 'static>(
    mut streams: Vec<StreamVec<'scope, Epoch, D>>,
) -> StreamVec<'scope, Epoch, D> {
    match streams.len() {
        1 => streams.remove(0),
        _ => streams[0].scope().concatenate(streams),
    }
}

/// A batch of how much there is of each key. It is allocated at exact capacity, since what it
/// holds stays.
fn seal_keys<K, R>(
    updates: &mut Updates<(K, ()), R>,
) -> Option<OrdKeyBatch<Vector<Update<K, (), R>>>>
where
    K: Ord + Clone + 'static,
    R: Ord + Semigroup + Clone + 'static,
{
    let parts = std::slice::from_ref(updates);
    let (keys, vals, times) = BuilderInput::<Vec<K>, Vec<()>>::key_val_upd_counts(parts);
    let mut builder = KeyBuilder::with_capacity(keys, vals, times);
    builder.push(updates);
    builder.done()
}

/// A batch of values, allocated at exact capacity as well.
fn seal_values<K, V, R>(
    updates: &mut Updates<(K, V), R>,
) -> Option<OrdValBatch<Vector<Update<K, V, R>>>>
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
