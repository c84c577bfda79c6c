//! The operator that brings the log into the dataflow.
//!
//! On each worker it reads the worker's partitions, decodes each message where
//! it lies and adds what it contributes to the views up, for as long as an epoch
//! is open. When the clock opens the next one, it sends the sums on and lets the
//! old epoch go:
//!
//! ```text
//!   clock ─────────┐ (which epoch is open; no data)
//!                  ▼
//!   Source ─▶ decode ─▶ Contributions ──▶ sums, members, latest
//!                  │
//!                  ├─▶ dead letters       (as they come)
//!                  └─▶ positions          (at the end of the epoch)
//! ```
//!
//! It holds back when too much of what it has read is not written yet: it then
//! pauses its partitions, and keeps the client alive.

use super::clock::Ticks;
use super::flight::Flight;
use super::reading::Reading;
use super::source::{Position, Source, SourceError, Turn};
use crate::Epoch;
use crate::observe::Board;
use crate::views::Catalog;
use crate::views::changes::{LatestChange, MemberChange, SumsChange};
use crate::views::maintain::Contributed;
use sinks::DeadLetter;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Capability, probe};
use timely::progress::frontier::MutableAntichain;
use timely::scheduling::SyncActivator;

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
    /// How far partitions have been read by the end of the epoch: topic,
    /// partition, next offset.
    pub positions: StreamVec<'scope, Epoch, (usize, i32, i64)>,
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
    /// Where counts are kept.
    pub board: Arc<Board>,
}

/// Builds the operator. `source` is given a way to wake it.
///
/// When the log cannot be read any further, `failed` is called, once, and the
/// epoch that is open then is never completed.
pub fn ingest<'scope>(
    ticks: Ticks<'scope>,
    setup: Setup,
    source: impl FnOnce(SyncActivator) -> Box<dyn Source>,
    failed: impl Fn(SourceError) + 'static,
) -> Ingested<'scope> {
    let scope = ticks.scope();
    let mut builder = OperatorBuilder::new("Ingest".to_owned(), scope);
    // Not connected to the outputs: what holds an epoch open is the capability
    // that this operator holds, on each worker that still reads.
    let _ticks = builder.new_input_connection(ticks, Pipeline, []);
    let (sums, sums_stream) = builder.new_output_connection([]);
    let (members, members_stream) = builder.new_output_connection([]);
    let (latest, latest_stream) = builder.new_output_connection([]);
    let (letters, letters_stream) = builder.new_output_connection([]);
    let (positions, positions_stream) = builder.new_output_connection([]);
    let address = builder.operator_info().address;
    let activator = scope.activator_for(address.clone());
    let mut source = source(scope.worker().sync_activator_for(address.to_vec()));
    let worker = scope.index();

    builder.build(move |capabilities| {
        let mut outputs = Outputs {
            sums: OutputBuilder::from(sums),
            members: OutputBuilder::from(members),
            latest: OutputBuilder::from(latest),
            letters: OutputBuilder::from(letters),
            positions: OutputBuilder::from(positions),
        };
        let Setup {
            catalog,
            topics,
            written,
            max_in_flight,
            board,
        } = setup;
        let mut reading = Reading::new(catalog, topics, Arc::clone(&board));
        let mut flight = Flight::new(written, max_in_flight);
        let mut open = Some(Open {
            capabilities,
            epoch: 0,
        });
        let mut broken = false;
        let mut armed: Option<Instant> = None;

        move |frontiers: &[MutableAntichain<Epoch>]| {
            let (Some(now), false) = (&mut open, broken) else {
                return;
            };
            let clock = frontiers[0].frontier().first().copied();
            if clock == Some(Epoch::MIN) {
                // Not all workers are there: the clock has not opened an epoch.
                return;
            }
            if clock != Some(now.epoch) {
                outputs.finish_epoch(now, &mut reading, source.as_mut());
                match clock {
                    Some(next) => now.advance(next),
                    None => {
                        board.set_stopping();
                        open = None;
                    }
                }
            }
            let Some(now) = &open else { return };

            let full = flight.is_full();
            source.pause(full);
            board.in_flight(worker, flight.events());
            let budget = if full { 0 } else { BUDGET.min(flight.room()) };
            let mut weight = 0;
            let turn = source.read(budget, &mut |message| {
                let weighs = reading.take(&message, now.epoch);
                weight += weighs;
                weighs
            });
            flight.add(now.epoch, weight as u64);
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
                    outputs.finish_epoch(now, &mut reading, source.as_mut());
                    open = None;
                }
                Err(error) => {
                    broken = true;
                    failed(error);
                }
            }
        }
    });

    Ingested {
        contributed: Contributed {
            sums: sums_stream,
            members: members_stream,
            latest: latest_stream,
        },
        dead_letters: letters_stream,
        positions: positions_stream,
    }
}

/// The open epoch, and a capability for it on each output.
struct Open {
    capabilities: Vec<Capability<Epoch>>,
    epoch: Epoch,
}

impl Open {
    fn advance(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        for capability in &mut self.capabilities {
            capability.downgrade(&epoch);
        }
    }
}

type Output<D> = OutputBuilder<Epoch, CapacityContainerBuilder<Vec<D>>>;

/// The operator's outputs, in the order in which they were made.
struct Outputs {
    sums: Output<SumsChange>,
    members: Output<MemberChange>,
    latest: Output<LatestChange>,
    letters: Output<DeadLetter>,
    positions: Output<(usize, i32, i64)>,
}

impl Outputs {
    /// Sends everything that belongs to the open epoch.
    fn finish_epoch(&mut self, open: &Open, reading: &mut Reading, source: &mut dyn Source) {
        self.send_contributions(open, reading);
        self.send_letters(open, reading);
        let mut output = self.positions.activate();
        let mut session = output.session(&open.capabilities[4]);
        source.take_positions(&mut |Position {
                                        topic,
                                        partition,
                                        next,
                                    }| {
            session.give((topic, partition, next));
        });
    }

    fn send_contributions(&mut self, open: &Open, reading: &mut Reading) {
        let Open {
            capabilities,
            epoch,
        } = open;
        let contributions = &mut reading.contributions;
        self.sums
            .activate()
            .session(&capabilities[0])
            .give_iterator(
                contributions
                    .take_sums()
                    .map(|(key, sums)| ((key, ()), *epoch, sums)),
            );
        self.members
            .activate()
            .session(&capabilities[1])
            .give_iterator(
                contributions
                    .take_members()
                    .map(|member| (member, *epoch, 1)),
            );
        self.latest
            .activate()
            .session(&capabilities[2])
            .give_iterator(
                contributions
                    .take_latest()
                    .map(|(key, micros, diff)| ((key, micros), *epoch, diff)),
            );
    }

    fn send_letters(&mut self, open: &Open, reading: &mut Reading) {
        if !reading.letters.is_empty() {
            self.letters
                .activate()
                .session(&open.capabilities[3])
                .give_iterator(reading.letters.drain(..));
        }
    }
}
