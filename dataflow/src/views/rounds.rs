//! What operators over an arrangement share: rounds, one an epoch.
//!
//! ```text
//!               ┌──────────────────────────────────────────┐ retractions, an epoch later
//!               ▼                                          │
//!   changes ─▶ arrange ─▶ batches ─▶ Round{before, new, closings} ─▶ what comes of it
//!                                        ▲
//!   event time ─▶ which windows close ───┘
//! ```
//!
//! An operator sees an epoch when it is complete in both: all its updates have
//! come, and it is known which windows close in it. It reads the trace for what
//! was there before, and drops what it no longer needs by feeding its retraction
//! back, one epoch later, where it cancels out as the trace is merged.
//!
//! The first round of a run, `restored`, is one in which nothing has come: what an
//! operator finds in its arrangement was loaded from a checkpoint, and has had its
//! effect before. There it rebuilds what it keeps beside the arrangement.
//!
//! Like differential's own `count_total` and `distinct_total`, operators rely on
//! epochs being totally ordered: what a trace held before a batch is a plain sum.

use super::footprint::{Footprint, Gauge};
use crate::Epoch;
use crate::epochs::take_before;
use crate::output::Sender;
use crate::time::{Advanced, Closed, Closing, Closings, NEVER};
use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::trace::{Navigable, TraceReader};
use model::Slot;
use model::fail_point;
use std::collections::BTreeMap;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::Timestamp;
use timely::progress::frontier::{Antichain, MutableAntichain};

/// One epoch of an arrangement, complete.
pub(super) struct Round<'a, B> {
    /// The epoch.
    pub(super) epoch: Epoch,
    /// What the arrangement held before it.
    pub(super) before: &'a [B],
    /// What has come in it.
    pub(super) new: &'a [B],
    /// The windows that were closed before it.
    pub(super) closed: &'a Closed,
    /// The windows that are closed in it.
    pub(super) closings: &'a [Closing],
    /// By view: no window that is closed later has a moment before this one.
    horizons: &'a BTreeMap<u16, i64>,
    /// Whether what the arrangement holds has just been restored.
    pub(super) restored: bool,
}

impl<B: Clone> Round<'_, B> {
    /// Whether a window is closed in this epoch.
    pub(super) fn closes(&self, slot: Slot) -> bool {
        self.closings.iter().any(|closing| closing.has(slot))
    }

    /// No window of a view that is closed later has a moment before this one.
    pub(super) fn horizon(&self, view: u16) -> i64 {
        self.horizons.get(&view).copied().unwrap_or(NEVER)
    }

    /// What the arrangement holds at the end of the epoch.
    pub(super) fn all(&self) -> Vec<B> {
        self.before.iter().chain(self.new).cloned().collect()
    }
}

/// A cursor for each batch that an arrangement holds at the end of a round.
///
/// One for each, and not one over all of them: that one moves the values of batches
/// that are at another key, or at none.
pub(super) fn cursors<'a, B: Navigable>(round: &Round<'a, B>) -> Vec<(B::Cursor, &'a B)> {
    let all = round.before.iter().chain(round.new);
    all.map(|batch| (batch.cursor(), batch)).collect()
}

/// The two streams that come of an operator over an arrangement.
pub(super) struct Outcome<'scope, D: Clone + 'static, R: Clone + 'static> {
    /// What is made of the changes.
    pub(super) made: StreamVec<'scope, Epoch, D>,
    /// What the arrangement shall hold no longer, as updates of the next epoch.
    pub(super) retracted: StreamVec<'scope, Epoch, R>,
}

/// What an epoch of an arrangement with batches `B` comes to: it gives `D`s, and retractions `R`.
pub(super) trait Logic<B, D, R>:
    FnMut(&Round<'_, B>, &mut dyn FnMut(D), &mut dyn FnMut(R)) + 'static
{
}

impl<B, D, R, F> Logic<B, D, R> for F where
    F: FnMut(&Round<'_, B>, &mut dyn FnMut(D), &mut dyn FnMut(R)) + 'static
{
}

/// What is still to be done of an epoch.
struct Work<B> {
    capabilities: [Capability<Epoch>; 2],
    batches: Vec<B>,
    upper: Option<Antichain<Epoch>>,
}

/// What operators need to know of the run.
#[derive(Clone)]
pub(super) struct Setting {
    /// The epoch before the first: what has come by its end was restored.
    pub(super) restored: Epoch,
    /// Where it is told how much they hold.
    pub(super) gauge: Gauge,
}

/// Calls `each` for every epoch in which an arrangement has grown or windows
/// close, with where its two outputs go. Keeps the trace compacted as far as it
/// has been seen, also while nothing comes.
pub(super) fn rounds<'scope, Tr, D, R>(
    arranged: Arranged<'scope, Tr>,
    advanced: StreamVec<'scope, Epoch, Advanced>,
    name: &str,
    setting: Setting,
    mut each: impl Logic<Tr::Batch, D, R>,
) -> Outcome<'scope, D, R>
where
    Tr: TraceReader<Time = Epoch, Batch: Footprint> + 'static,
    D: Clone + 'static,
    R: Clone + 'static,
{
    let Setting { restored, gauge } = setting;
    let gauge = gauge.of(name);
    let mut trace = arranged.trace;
    let mut builder = OperatorBuilder::new(name.to_owned(), advanced.scope());
    let mut spans = builder.new_input(arranged.stream, Pipeline);
    let mut times = builder.new_input(advanced, Pipeline);
    let (made, made_stream) = builder.new_output::<Vec<D>>();
    let (retracted, retracted_stream) = builder.new_output::<Vec<R>>();

    builder.build(move |capabilities| {
        drop(capabilities);
        let mut made: Sender<D> = OutputBuilder::from(made);
        let mut retracted: Sender<R> = OutputBuilder::from(retracted);
        let mut todo: BTreeMap<Epoch, Work<Tr::Batch>> = BTreeMap::new();
        let mut closings = Closings::default();
        // The trace up to here is what was there before.
        let mut upper = Antichain::from_elem(Epoch::minimum());

        move |frontiers: &[MutableAntichain<Epoch>]| {
            spans.for_each(|capability, spans| {
                let capabilities = [0, 1].map(|output| capability.retain_least(output));
                let [Some(a), Some(b)] = capabilities else {
                    return;
                };
                // Arrangements that are fed back what they drop make one batch of
                // each epoch: the loop holds the next one back until this is done.
                let work = work(&mut todo, [a, b]);
                for span in spans.drain(..) {
                    work.upper = Some(span.upper().clone());
                    work.batches.extend(span.inner);
                }
            });
            times.for_each(|capability, advanced| {
                let capabilities = [0, 1].map(|output| capability.retain_least(output));
                let [Some(a), Some(b)] = capabilities else {
                    return;
                };
                closings.learn(*a.time(), advanced.drain(..));
                work(&mut todo, [a, b]);
            });

            let complete = frontiers
                .iter()
                .filter_map(|frontier| frontier.frontier().first().copied())
                .min();
            for (epoch, mut work) in take_before(&mut todo, complete) {
                let mut closed = closings.closed().clone();
                let mut closing = closings.take_before(Some(epoch.saturating_add(1)));
                if epoch <= restored {
                    // Nothing of it is new.
                    closed = closings.closed().clone();
                    closing.clear();
                    work.batches.clear();
                    if let Some(reached) = work.upper.take() {
                        upper = reached;
                    }
                }
                if epoch < restored {
                    continue;
                }
                if !closing.is_empty() {
                    fail_point("close.decided");
                }
                let before = trace
                    .batches_through(upper.borrow())
                    .expect("only this operator compacts its handle of the trace");
                let round = Round {
                    epoch,
                    before: &before,
                    new: &work.batches,
                    closed: &closed,
                    closings: &closing,
                    horizons: closings.horizons(),
                    restored: epoch == restored,
                };
                let (mut made, mut retracted) = (made.activate(), retracted.activate());
                let mut made = made.session(&work.capabilities[0]);
                let mut retracted = retracted.session(&work.capabilities[1]);
                each(&round, &mut |item| made.give(item), &mut |item| {
                    retracted.give(item)
                });
                if let Some(reached) = work.upper {
                    upper = reached;
                }
            }
            trace.advance_upper(&mut upper);
            trace.set_logical_compaction(upper.borrow());
            trace.set_physical_compaction(upper.borrow());
            gauge.read(&trace);
        }
    });
    Outcome {
        made: made_stream,
        retracted: retracted_stream,
    }
}

/// What is to be done of the epoch of `capabilities`, which are for the outputs.
fn work<B>(
    todo: &mut BTreeMap<Epoch, Work<B>>,
    capabilities: [Capability<Epoch>; 2],
) -> &mut Work<B> {
    todo.entry(*capabilities[0].time()).or_insert_with(|| Work {
        capabilities,
        batches: Vec::new(),
        upper: None,
    })
}
