//! The operator that brings the log into the dataflow.
//!
//! On each worker it reads the worker's partitions, decodes each message where
//! it lies and adds what it contributes to the views up, for as long as an epoch
//! is open. When the clock opens the next one, it sends the sums on and lets the
//! old epoch go:
//!
//! ```text
//!   clock ─────────┐ (which epoch is open; no data)
//!   event time ────┤ (which partitions may be read)
//!                  ▼
//!   Source ─▶ decode, judge ─▶ Contributions ──▶ sums, members, first values, what is joined
//!                  │
//!                  ├─▶ dead letters       (as they come)
//!                  ├─▶ marks              (of each partition, at the end of the epoch)
//!                  ├─▶ partitions         (where they stand, when a checkpoint is due)
//!                  └─▶ tallies            (what became of its messages, at the end of the epoch)
//! ```
//!
//! It holds back when too much of what it has read is not written yet: it then
//! reads nothing, and keeps the client alive.

use super::clock::Ticks;
use super::flight::Flight;
use super::outputs::{Open, Outputs};
use super::partitions::{Partitions, Restored};
use super::reading::Reading;
use super::source::{MakeSource, SourceError, Taken, Turn};
use crate::Epoch;
use crate::ingest::lanes::BackfillPlan;
use crate::saving::Cadence;
use crate::saving::SavedPartition;
use crate::tally::{Counting, Tally};
use crate::time::{Advanced, Mark, NEVER, Recorded, Trust};
use crate::views::Catalog;
use crate::views::maintain::Contributed;
use sinks::DeadLetter;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use telemetry::Telemetry;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe;
use timely::progress::frontier::MutableAntichain;

/// Messages read in one turn of the operator, so that others get theirs.
const BUDGET: usize = 8_192;
/// Contributions kept before they are sent although the epoch is still open.
const KEEP: usize = 1 << 18;
/// A full pipeline is looked at again after this time, also without a tick.
const HELD_BACK: Duration = Duration::from_millis(20);

/// What comes of the log.
pub struct Ingested<'scope> {
    /// What its events contribute to the views.
    pub contributed: Contributed<'scope>,
    /// Events that could not be used.
    pub dead_letters: StreamVec<'scope, Epoch, DeadLetter>,
    /// Where partitions stand at the end of the epoch.
    pub marks: StreamVec<'scope, Epoch, Mark>,
    /// All that a checkpoint keeps of them.
    pub partitions: StreamVec<'scope, Epoch, SavedPartition>,
    /// What became of the messages of the epoch.
    pub tallies: StreamVec<'scope, Epoch, Tally>,
}

/// What the operator needs to know.
pub struct Setup {
    /// All views.
    pub catalog: Arc<Catalog>,
    /// Full names of the topics, by number.
    pub topics: Arc<[String]>,
    /// Follows what has been written.
    pub written: probe::Handle<Epoch>,
    /// Events that this worker may have read that are not written yet.
    pub max_in_flight: u64,
    /// How far ahead messages and events may be.
    pub trust: Trust,
    /// Where counts are kept.
    pub telemetry: Arc<Telemetry>,
    /// The epoch before the first: in it, partitions that are there are announced.
    pub restored: Epoch,
    /// Where partitions stood then.
    pub partitions: Arc<[SavedPartition]>,
    /// What is read a second time, for views that know nothing of it.
    pub backfill: Arc<BackfillPlan>,
    /// Which timestamps earlier runs have believed.
    pub recorded: Arc<Recorded>,
    /// When checkpoints are due, if there are any.
    pub cadence: Option<Cadence>,
    /// Offsets below which an earlier run has committed the effect of messages.
    pub committed: Arc<BTreeMap<(usize, i32), i64>>,
}

/// Builds the operator. `advanced` is how far event time has come, each epoch of
/// which comes back with the next; `source` is given a way to wake the operator.
///
/// When the log cannot be read any further, `failed` is called, once, and the
/// epoch that is open then is never completed.
pub fn ingest<'scope>(
    ticks: Ticks<'scope>,
    advanced: StreamVec<'scope, Epoch, Advanced>,
    setup: Setup,
    source: MakeSource,
    failed: impl Fn(SourceError) + 'static,
) -> Ingested<'scope> {
    let scope = ticks.scope();
    let mut builder = OperatorBuilder::new("Ingest".to_owned(), scope);
    // Not connected to the outputs: what holds an epoch open is the capability
    // that this operator holds, on each worker that still reads.
    let _ticks = builder.new_input_connection(ticks, Pipeline, []);
    let mut advanced = builder.new_input_connection(advanced, Pipeline, []);
    let (outputs, ingested) = Outputs::new(&mut builder, &setup.catalog);
    let address = builder.operator_info().address;
    let activator = scope.activator_for(address.clone());
    let mut source = source(scope.worker().sync_activator_for(address.to_vec()));
    let worker = scope.index();

    builder.build(move |capabilities| {
        let mut outputs = outputs;
        let Setup {
            catalog,
            topics,
            written,
            max_in_flight,
            trust,
            telemetry,
            restored,
            partitions,
            backfill,
            recorded,
            cadence,
            committed,
        } = setup;
        let mut watermarks = vec![NEVER; catalog.definitions.len()];
        let stood = Restored {
            partitions,
            backfill,
            recorded,
        };
        let partitions = Partitions::new(Arc::clone(&catalog), worker, trust, stood);
        let names = catalog.routes.iter().map(|route| route.topic().to_owned());
        let counting = Counting::new(names, committed);
        let mut reading = Reading::new(
            catalog,
            topics,
            Arc::clone(&telemetry),
            partitions,
            counting,
        );
        let mut flight = Flight::new(written, max_in_flight);
        let mut open = Open {
            capabilities,
            epoch: Epoch::MIN,
        };
        open.advance(restored);
        let mut open = Some(open);
        let mut broken = false;
        let mut armed: Option<Instant> = None;

        move |frontiers: &[MutableAntichain<Epoch>]| {
            advanced.for_each(|_, advanced| {
                for advanced in advanced.drain(..) {
                    watermarks[usize::from(advanced.view)] = advanced.watermark;
                }
            });
            let (Some(now), false) = (&mut open, broken) else {
                return;
            };
            let clock = frontiers[0].frontier().first().copied();
            if clock == Some(Epoch::MIN) {
                // Not all workers are there: the clock has not opened an epoch.
                return;
            }
            let mut announce = |topic, partition| {
                reading.partitions.announce(topic, partition, now.epoch);
            };
            if let Err(error) = source.find(&mut announce) {
                broken = true;
                return failed(error);
            }
            if clock != Some(now.epoch) {
                let due = |cadence: Cadence| cadence.is_due_between(now.epoch, clock);
                let saves = cadence.is_some_and(due);
                outputs.finish_epoch(now, &mut reading, source.as_mut(), saves, false);
                match clock {
                    Some(next) => now.advance(next),
                    None => {
                        telemetry.set_stopping();
                        open = None;
                    }
                }
            }
            let Some(now) = &open else { return };

            // What was said of an epoch comes back with the next one.
            let heard = frontiers[1].frontier().first().copied();
            let heard = heard.map(|next| next.saturating_sub(1));
            reading.partitions.confirm(heard, &watermarks);

            let full = flight.is_full();
            reading.counting.full(full);
            source.pause(full);
            telemetry.in_flight(worker, flight.events());
            let budget = if full { 0 } else { BUDGET.min(flight.room()) };
            let mut weight = 0;
            let mut oldest = None;
            let turn = source.read(budget, &mut |message| {
                let taken = reading.take(&message, now.epoch);
                if let Taken::Accepted { cost: weighs } = taken {
                    weight += weighs;
                    // Where a message has no timestamp, it is 0.
                    let known = Some(message.timestamp).filter(|timestamp| *timestamp > 0);
                    oldest = oldest.into_iter().chain(known).min();
                }
                taken
            });
            flight.add(now.epoch, weight as u64);
            if let Some(oldest) = oldest {
                telemetry.oldest_read(now.epoch, worker, oldest);
            }
            flight.add(now.epoch, reading.apply(now.epoch));
            reading.report();
            outputs.send_letters(now, &mut reading);
            if reading.contributions.len() > KEEP {
                outputs.send_contributions(now, &mut reading);
            }
            match turn {
                Ok(_) if full => {
                    // One alarm at a time: each would set the next for ever.
                    let now = Instant::now();
                    if armed.is_none_or(|at| at <= now) {
                        armed = Some(now + HELD_BACK);
                        activator.activate_after(HELD_BACK);
                    }
                }
                Ok(Turn::More) => activator.activate(),
                Ok(Turn::Idle) => {}
                Ok(Turn::Finished) => {
                    let saves = cadence.is_some();
                    outputs.finish_epoch(now, &mut reading, source.as_mut(), saves, true);
                    open = None;
                }
                Err(error) => {
                    broken = true;
                    failed(error);
                }
            }
        }
    });

    ingested
}
