//! The dataflow on one worker, from the log to the database.
//!
//! ```text
//!   clock ─▶ ingest ─▶ contributions ─▶ maintain ─▶ rows ──▶ write ─▶ publish
//!            ▲ ▲ ├───▶ dead letters ───  ▲ │ ─────────────▶  │ ▲       ▲
//!            │ │ └───▶ marks ─▶ watermarks─┤─────────────────┼─┼───────┘
//!            │ └◀── event time ◀────────── │ ┘               │ │
//!            └◀──── what is written ◀──────┼─────────────────┘ │
//!                                          ▼                   │
//!                   load ─▶ (maintain)   persist ─▶ commit ────┘ (final rows)
//! ```

use crate::Epoch;
use crate::ingest::clock::Clock;
use crate::ingest::discovery::owner;
use crate::ingest::identity::IdentityCheck;
use crate::ingest::operator::{Ingested, Setup, ingest};
use crate::ingest::source::{Source, SourceError};
use crate::observe::Telemetry;
use crate::observe::Times;
use crate::recovery::names::CatalogNames;
use crate::recovery::start::{Checkpointing, Start};
use crate::saving::checkpoints::Committing;
use crate::saving::commit::{Saved, commit};
use crate::saving::load::load;
use crate::saving::persist::{Persisted, Persisting, SaveError, persist};
use crate::saving::tap::Saving;
use crate::sink::{self, Changes, Gates, Reached, Recording, WriteError, Written};
use crate::tally::{Judging, Names, OverLimit, judge};
use crate::time::{Trust, watermarks};
use crate::views::finals::{split_final, unwritten};
use crate::views::maintain::{Maintained, Memory, maintain};
use crate::views::{Catalog, Gauge};
use sinks::Writer;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::vec::input::Handle;
use timely::dataflow::operators::vec::{Broadcast, Map};
use timely::dataflow::operators::{Concat, ConnectLoop, Feedback, Input, Operator, Probe, probe};
use timely::scheduling::SyncActivator;
use timely::worker::Worker;

/// What the dataflow of a worker is made of.
pub struct Parts<S> {
    /// All views.
    pub catalog: Arc<Catalog>,
    /// Full names of the topics, by number.
    pub topics: Arc<[String]>,
    /// Makes the worker's source, which wakes the dataflow by what it is given.
    pub source: S,
    /// The worker's ways into the database.
    pub writers: Writers,
    /// Confirms that the log is still the one that was read.
    pub identity: Arc<dyn IdentityCheck>,
    /// Where counts are kept.
    pub telemetry: Arc<Telemetry>,
    /// What the run goes on from.
    pub start: Start,
    /// How checkpoints are taken, if they are.
    pub checkpointing: Option<Checkpointing>,
    /// How often an epoch ends.
    pub tick: Duration,
    /// Events that this worker may have read that are not written yet.
    pub max_in_flight: u64,
    /// How far ahead messages and events may be.
    pub trust: Trust,
    /// By what the run is judged.
    pub judging: Judging,
    /// Told, once, when it cannot go on.
    pub failed: Arc<dyn Fn(PipelineError) + Send + Sync>,
}

/// A worker's ways into the database.
pub struct Writers {
    /// Writes the worker's rows.
    pub rows: Box<dyn Writer>,
    /// Where many workers write at the same time: the ways of what is written about
    /// rows. Else one writes all rows of an epoch, with progress, at once.
    pub about: Option<About>,
}

/// What is written about rows, beside them.
pub struct About {
    /// Records how far rows may reach.
    pub record: Box<dyn Writer>,
    /// Publishes progress.
    pub publish: Box<dyn Writer>,
}

/// Why the pipeline cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The log cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Rows cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// There are more dead letters than there may be.
    #[error(transparent)]
    DeadLetters(#[from] OverLimit),
}

/// The dataflow of one worker, as its loop handles it.
pub struct Pipeline {
    clock: Clock,
    written: probe::Handle<Epoch>,
    published: probe::Handle<Epoch>,
    stop: Stop,
    telemetry: Arc<Telemetry>,
}

impl Pipeline {
    /// Builds the dataflow on a worker; all workers must build the same.
    pub fn build<S>(worker: &mut Worker, parts: Parts<S>) -> Pipeline
    where
        S: FnOnce(SyncActivator) -> Box<dyn Source>,
    {
        let stop = Stop::build(worker);
        let Parts {
            catalog,
            topics,
            source,
            writers,
            identity,
            telemetry,
            start,
            checkpointing,
            tick,
            max_in_flight,
            trust,
            judging,
            failed,
        } = parts;
        let written_open = probe::Handle::new();
        let failed_source = Arc::clone(&failed);
        let failed_source = move |error: SourceError| failed_source(error.into());
        let failed_save = Arc::clone(&failed);
        let failed_save = move |error: SaveError| failed_save(error.into());
        let failed_judging = Arc::clone(&failed);
        let failed_judging = move |over: OverLimit| failed_judging(over.into());
        let failed = move |error: WriteError| failed(error.into());
        let restored = start.restored();
        let cadence = checkpointing.as_ref().map(|how| how.cadence);
        let sections = Arc::clone(&start.sections);
        let saving = cadence.map(|cadence| Saving {
            cadence,
            restored,
            sections,
        });

        let (clock, published) = worker.dataflow(|scope| {
            let (clock, ticks) = Clock::new(scope, start.first, tick);
            let passed = probe::Handle::new();
            let setup = Setup {
                catalog: Arc::clone(&catalog),
                topics: Arc::clone(&topics),
                written: passed.clone(),
                max_in_flight,
                trust,
                telemetry: Arc::clone(&telemetry),
                restored,
                partitions: Arc::clone(&start.partitions),
                again: Arc::clone(&start.again),
                recorded: Arc::clone(&start.recorded),
                cadence,
                committed: Arc::new(start.targets.clone()),
            };
            let (heard, again) = scope.feedback(1);
            let ingested = ingest(ticks, again, setup, source, failed_source);
            let Ingested {
                contributed,
                dead_letters,
                marks,
                partitions,
                tallies,
            } = ingested;
            let marks = marks.broadcast();
            let known = start.known(&catalog);
            let looked_at = Arc::new(Mutex::new(known.clone()));
            telemetry.watch(Times {
                catalog: Arc::clone(&catalog),
                topics: Arc::clone(&topics),
                known: Arc::clone(&looked_at),
            });
            let advanced = watermarks(marks.clone(), looked_at, restored);
            advanced.clone().connect_loop(heard);

            let (worker, peers) = (scope.index(), scope.peers());
            let loading = start.loading.clone();
            let loaded = loading.map(|loading| load(scope, loading, failed_save.clone()));
            let written = start.finals_written;
            let unwritten = loaded.as_ref().map(|loaded| unwritten(loaded, written));
            let memory = Memory {
                restored,
                loaded,
                in_doubt: start.in_doubt(worker, peers),
                stored: start.stored.clone(),
                saving: saving.clone(),
            };
            let gauge = Gauge::new(Arc::clone(&telemetry), worker);
            let Maintained { rows, runs } =
                maintain(contributed, advanced, &catalog, &gauge, memory);
            let rows = split_final(rows, saving.as_ref());
            let finals = match unwritten {
                Some(unwritten) => rows.finals.concat(unwritten),
                None => rows.finals,
            };

            let (committed, gate) = match &checkpointing {
                Some(_) => Some(scope.feedback(1)).unzip(),
                None => (None, None),
            };
            let mut changes = Changes {
                rows: rows.open,
                finals,
                dead_letters,
                marks: marks.clone(),
            };
            let as_one = writers.about.is_none();
            let reached = || {
                let from = sink::From {
                    views: start.views.clone(),
                    targets: start.catch_up(),
                    known: known.clone(),
                    first: start.first,
                    limits: as_one.then(|| start.limits()),
                    identity: Arc::clone(&identity),
                };
                Reached::new(from, Arc::clone(&catalog), Arc::clone(&topics))
            };
            let reads = |(topic, partition)| match as_one {
                true => worker == 0,
                false => owner(topic, partition, peers) == worker,
            };
            let left = start.left(&catalog, reads);
            let is_limited = judging.limit.is_some();
            let names = Names::of(&catalog, &topics);
            let judged = written_open.clone();
            let allowed = judge(tallies, judging, names, judged, failed_judging);
            let mut to_record = marks.clone();
            if is_limited {
                // Nothing is recorded of an epoch before it is judged.
                to_record = to_record.concat(allowed.flat_map(|()| None));
            }
            let (record, publish) = match writers.about {
                Some(About { record, publish }) => (Some(record), Some(publish)),
                None => {
                    changes = changes.together();
                    (None, None)
                }
            };
            let recording = Recording {
                before: start.before(),
                topics: Arc::clone(&topics),
                writer: record,
                identity: Arc::clone(&identity),
            };
            let recorded = sink::record(to_record, recording, failed.clone());
            let gates = Gates {
                recorded,
                committed: gate,
            };
            let writing = sink::Writing {
                writer: writers.rows,
                left,
                restored: start.restored_rows.clone(),
                progress: (as_one && worker == 0).then(reached),
            };
            let (views, sinking) = (Arc::clone(&catalog), Arc::clone(&telemetry));
            let written = sink::write(changes, gates, views, writing, sinking, failed.clone());
            let written = Written {
                open: written.open.probe_with(&passed).probe_with(&written_open),
                finals: written.finals,
            };

            if let (Some(how), Some(saving), Some(handle)) = (checkpointing, saving, committed) {
                let persisting = Persisting {
                    store: Arc::clone(&how.store),
                    saving: saving.clone(),
                    generation: how.last.generation,
                    patience: how.patience.clone(),
                    telemetry: Arc::clone(&telemetry),
                };
                let runs = runs.concat(rows.runs);
                let Persisted { reports, kept } = persist(runs, persisting, failed_save.clone());
                kept.probe_with(&passed);
                let saved = Saved {
                    reports,
                    partitions,
                    marks: marks.clone(),
                    written: written.clone(),
                };
                let committing = Committing {
                    store: how.store,
                    last: how.last,
                    known: known.clone(),
                    targets: start.catch_up(),
                    saving,
                    patience: how.patience,
                    telemetry: Arc::clone(&telemetry),
                    identity: Arc::clone(&identity),
                    names: Arc::new(CatalogNames::of(&catalog, &topics)),
                };
                commit(saved, committing, failed_save).connect_loop(handle);
            }
            let published = match publish {
                Some(writer) => sink::publish(written, marks, reached(), writer, failed),
                None => written.open.concat(written.finals),
            };
            let (published, _) = published.probe();
            (clock, published)
        });
        Pipeline {
            clock,
            written: written_open,
            published,
            stop,
            telemetry,
        }
    }

    /// Ends the epoch if it is time to. Returns how long the worker may sleep.
    pub fn tick(&mut self) -> Duration {
        if self.stop.is_asked() {
            self.clock.close();
        }
        if let Some(epoch) = self.clock.open_epoch() {
            self.telemetry.epoch_open(epoch);
        }
        if let Some(next) = self.written.with_frontier(|next| next.first().copied()) {
            self.telemetry.epoch_written(next.saturating_sub(1));
        }
        self.clock.tick()
    }

    /// Asks all workers of all processes to write what they have read, and stop.
    pub fn stop(&mut self) {
        self.stop.ask();
    }

    /// Whether everything that will ever be read is written and published.
    pub fn is_done(&self) -> bool {
        self.published.done()
    }

    /// Lets the worker end.
    pub fn close(mut self) {
        self.clock.close();
    }
}

/// A word from any worker to the one that owns the clock: stop.
struct Stop {
    input: Option<Handle<Epoch, ()>>,
    asked: Rc<Cell<bool>>,
}

impl Stop {
    fn build(worker: &mut Worker) -> Stop {
        let asked = Rc::new(Cell::new(false));
        let heard = Rc::clone(&asked);
        let input = worker.dataflow(|scope| {
            let (input, words) = scope.new_input();
            words.sink(Exchange::new(|()| 0), "Stop", move |(words, _)| {
                words.for_each(|_, _: &mut Vec<()>| heard.set(true));
            });
            input
        });
        Stop {
            input: Some(input),
            asked,
        }
    }

    fn ask(&mut self) {
        if let Some(mut input) = self.input.take() {
            input.send(());
        }
    }

    fn is_asked(&self) -> bool {
        self.asked.get()
    }
}
