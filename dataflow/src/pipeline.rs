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
use crate::committing::checkpoints::Committing;
use crate::committing::commit::{Saved, commit};
use crate::ingest::clock::{Clock, Ticks};
use crate::ingest::discovery::owner;
use crate::ingest::identity::IdentityCheck;
use crate::ingest::operator::{Ingested, Setup, ingest};
use crate::ingest::source::{MakeSource, SourceError};
use crate::recovery::names::CatalogNames;
use crate::recovery::start::{Checkpointing, Start};
use crate::saving::SavedPartition;
use crate::saving::load::load;
use crate::saving::persist::{Persisted, Persisting, SaveError, persist};
use crate::saving::tap::{Run, Saving};
use crate::sink::{
    self, Changes, Gates, Reached, Recording, Sweep, Sweeping, WriteError, Writing, Written,
};
use crate::tally::{Judging, Names, OverLimit, Tally, judge};
use crate::time::{Advanced, Mark, Trust, Watermarks, watermarks};
use crate::times::Times;
use crate::views::finals::{split_final, unwritten};
use crate::views::maintain::{Contributed, Maintained, Memory, maintain};
use crate::views::parts::Final;
use crate::views::rows::RowChange;
use crate::views::{Catalog, Gauge};
use sinks::Writer;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use telemetry::Telemetry;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::vec::input::Handle;
use timely::dataflow::operators::vec::{Broadcast, Map};
use timely::dataflow::operators::{Concat, ConnectLoop, Feedback, Input, Operator, Probe, probe};
use timely::dataflow::{Scope, StreamVec};
use timely::worker::Worker;

type Stream<'scope, T> = StreamVec<'scope, Epoch, T>;

/// What the dataflow of a worker is made of.
pub struct Parts {
    /// All views.
    pub catalog: Arc<Catalog>,
    /// Full names of the topics, by number.
    pub topics: Arc<[String]>,
    /// Makes the worker's source, which wakes the dataflow by what it is given.
    pub source: MakeSource,
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
    /// Deletes what is left of views that are rebuilt in place: on worker 0, where there are any.
    pub sweep: Option<Sweep>,
    /// Called at most once by each operator, with its fatal error.
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
    pub fn build(worker: &mut Worker, parts: Parts) -> Pipeline {
        let stop = Stop::build(worker);
        let telemetry = Arc::clone(&parts.telemetry);
        let written = probe::Handle::new();
        let (clock, published) = worker.dataflow(|scope| {
            let (clock, ticks) = Clock::new(scope, parts.start.first, parts.tick);
            let (published, _) = dataflow(ticks, parts, &written).probe();
            (clock, published)
        });
        Pipeline {
            clock,
            written,
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

/// The dataflow of the picture above, step by step. Returns a stream without data: what its
/// frontier has passed is published. `written` follows rows that may change again.
fn dataflow<'scope>(
    ticks: Ticks<'scope>,
    parts: Parts,
    written: &probe::Handle<Epoch>,
) -> Stream<'scope, ()> {
    let scope = ticks.scope();
    let start = parts.start;
    let cadence = parts.checkpointing.as_ref().map(|how| how.cadence);
    let steps = Steps {
        scope,
        known: start.known(&parts.catalog),
        saving: cadence.map(|cadence| start.saving(cadence)),
        start,
        as_one: parts.writers.about.is_none(),
        catalog: parts.catalog,
        topics: parts.topics,
        identity: parts.identity,
        telemetry: parts.telemetry,
        failed: parts.failed,
        passed: probe::Handle::new(),
        written: written.clone(),
    };
    let Writers {
        rows: writer,
        about,
    } = parts.writers;
    let (record, publish) = about
        .map(|About { record, publish }| (record, publish))
        .unzip();

    let (to_ingest, event_time) = scope.feedback(1);
    let ingested = steps.ingest(
        ticks,
        event_time,
        parts.source,
        parts.max_in_flight,
        parts.trust,
    );
    let marks = ingested.marks.broadcast();
    let advanced = steps.event_time(marks.clone());
    advanced.clone().connect_loop(to_ingest);
    let state = steps.state(ingested.contributed, advanced);
    let (to_write, committed) = match &parts.checkpointing {
        Some(_) => Some(scope.feedback(1)).unzip(),
        None => (None, None),
    };
    let to_record = steps.judge(ingested.tallies, marks.clone(), parts.judging);
    let changes = Changes {
        rows: state.open,
        finals: state.finals,
        dead_letters: ingested.dead_letters,
        marks: marks.clone(),
    };
    let changes = if steps.as_one {
        changes.together()
    } else {
        changes
    };
    let gates = Gates {
        recorded: steps.record(to_record, record),
        committed,
    };
    let written = steps.write(changes, gates, writer);
    let written = steps.sweep(written, marks.clone(), parts.sweep);
    if let (Some(how), Some(to_write)) = (parts.checkpointing, to_write) {
        let to_save = ToSave {
            runs: state.runs,
            partitions: ingested.partitions,
            marks: marks.clone(),
            written: written.clone(),
        };
        steps.checkpoint(to_save, how).connect_loop(to_write);
    }
    steps.publish(written, marks, publish)
}

/// What the steps of the dataflow share on a worker.
struct Steps<'scope> {
    scope: Scope<'scope, Epoch>,
    catalog: Arc<Catalog>,
    topics: Arc<[String]>,
    identity: Arc<dyn IdentityCheck>,
    telemetry: Arc<Telemetry>,
    start: Start,
    /// What is saved, if checkpoints are taken.
    saving: Option<Saving>,
    /// How far event time had come before this run.
    known: Watermarks,
    /// Whether one worker writes all rows of an epoch, with progress, at once.
    as_one: bool,
    failed: Arc<dyn Fn(PipelineError) + Send + Sync>,
    /// What the messages in flight wait for: rows are written, and kept by checkpoints.
    passed: probe::Handle<Epoch>,
    /// Follows rows that may change again.
    written: probe::Handle<Epoch>,
}

/// What comes of the state of the views.
struct State<'scope> {
    /// Rows that may change again, as they became.
    open: Stream<'scope, RowChange>,
    /// Rows that are final, of earlier runs too.
    finals: Stream<'scope, Final>,
    /// What is to be saved.
    runs: Stream<'scope, Run>,
}

/// What a checkpoint is made of.
struct ToSave<'scope> {
    runs: Stream<'scope, Run>,
    partitions: Stream<'scope, SavedPartition>,
    marks: Stream<'scope, Mark>,
    written: Written<'scope>,
}

impl<'scope> Steps<'scope> {
    /// What an operator calls with its fatal error.
    fn failed<E>(&self) -> impl Fn(E) + Clone + use<E>
    where
        PipelineError: std::convert::From<E>,
    {
        let failed = Arc::clone(&self.failed);
        move |error: E| failed(error.into())
    }

    /// From the log to what its messages contribute. `event_time` is fed back.
    fn ingest(
        &self,
        ticks: Ticks<'scope>,
        event_time: Stream<'scope, Advanced>,
        source: MakeSource,
        max_in_flight: u64,
        trust: Trust,
    ) -> Ingested<'scope> {
        let setup = Setup {
            catalog: Arc::clone(&self.catalog),
            topics: Arc::clone(&self.topics),
            written: self.passed.clone(),
            max_in_flight,
            trust,
            telemetry: Arc::clone(&self.telemetry),
            restored: self.start.restored(),
            partitions: Arc::clone(&self.start.partitions),
            backfill: Arc::clone(&self.start.backfill),
            recorded: Arc::clone(&self.start.recorded),
            cadence: self.saving.as_ref().map(|saving| saving.cadence),
            committed: Arc::new(self.start.targets.clone()),
        };
        ingest(ticks, event_time, setup, source, self.failed())
    }

    /// From where all partitions stand to how far each view has come.
    fn event_time(&self, marks: Stream<'scope, Mark>) -> Stream<'scope, Advanced> {
        let known = Arc::new(Mutex::new(self.known.clone()));
        let times = Times {
            catalog: Arc::clone(&self.catalog),
            topics: Arc::clone(&self.topics),
            known: Arc::clone(&known),
        };
        self.telemetry.watch(move || times.views());
        watermarks(marks, known, self.start.restored())
    }

    /// From what events contribute to rows, by whether they are final.
    fn state(
        &self,
        contributed: Contributed<'scope>,
        advanced: Stream<'scope, Advanced>,
    ) -> State<'scope> {
        let loading = self.start.loading.clone();
        let loaded = loading.map(|loading| load(self.scope, loading, self.failed()));
        let written = self.start.finals_written;
        let unwritten = loaded.as_ref().map(|loaded| unwritten(loaded, written));
        let memory = Memory {
            restored: self.start.restored(),
            loaded,
            in_doubt: self.start.in_doubt(self.scope.index(), self.scope.peers()),
            stored: self.start.stored.clone(),
            saving: self.saving.clone(),
        };
        let gauge = Gauge::new(Arc::clone(&self.telemetry), self.scope.index());
        let maintained = maintain(contributed, advanced, &self.catalog, &gauge, memory);
        let Maintained { rows, runs } = maintained;
        let rows = split_final(rows, self.saving.as_ref());
        State {
            open: rows.open,
            finals: match unwritten {
                Some(unwritten) => rows.finals.concat(unwritten),
                None => rows.finals,
            },
            runs: match self.saving {
                Some(_) => runs.concat(rows.runs),
                None => runs,
            },
        }
    }

    /// Judges the run by what became of its messages. Returns the marks of what may be recorded.
    fn judge(
        &self,
        tallies: Stream<'scope, Tally>,
        marks: Stream<'scope, Mark>,
        judging: Judging,
    ) -> Stream<'scope, Mark> {
        let is_limited = judging.limit.is_some();
        let names = Names::of(&self.catalog, &self.topics);
        let allowed = judge(tallies, judging, names, self.written.clone(), self.failed());
        match is_limited {
            // Nothing is recorded of an epoch before it is judged.
            true => marks.concat(allowed.flat_map(|()| None)),
            false => marks,
        }
    }

    /// Records how far rows may reach, before they are written.
    fn record(
        &self,
        marks: Stream<'scope, Mark>,
        writer: Option<Box<dyn Writer>>,
    ) -> Stream<'scope, ()> {
        let recording = Recording {
            before: self.start.before(),
            topics: Arc::clone(&self.topics),
            writer,
            identity: Arc::clone(&self.identity),
        };
        sink::record(marks, recording, self.failed())
    }

    /// Writes rows and dead letters, as far as the gates let it.
    fn write(
        &self,
        changes: Changes<'scope>,
        gates: Gates<'scope>,
        writer: Box<dyn Writer>,
    ) -> Written<'scope> {
        let reads = |(topic, partition)| match self.as_one {
            true => self.scope.index() == 0,
            false => owner(topic, partition, self.scope.peers()) == self.scope.index(),
        };
        let writing = Writing {
            catalog: Arc::clone(&self.catalog),
            writer,
            left: self.start.left(&self.catalog, reads),
            restored: self.start.restored_rows.clone(),
            progress: (self.as_one && self.scope.index() == 0).then(|| self.reached()),
            telemetry: Arc::clone(&self.telemetry),
        };
        let written = sink::write(changes, gates, writing, self.failed());
        let open = written.open.probe_with(&self.passed);
        Written {
            open: open.probe_with(&self.written),
            finals: written.finals,
        }
    }

    /// Deletes what is left of views that are rebuilt in place, once their rows are written.
    fn sweep(
        &self,
        written: Written<'scope>,
        marks: Stream<'scope, Mark>,
        sweep: Option<Sweep>,
    ) -> Written<'scope> {
        let backfills = self.start.backfills();
        if backfills.is_empty() {
            return written;
        }
        let sweeping = Sweeping {
            backfills,
            targets: self.start.catch_up(),
            sweep,
        };
        Written {
            open: sink::sweep(written.open, marks, sweeping, self.failed()),
            finals: written.finals,
        }
    }

    /// Saves the state. Returns a stream without data: its frontier has passed what is committed.
    fn checkpoint(&self, to_save: ToSave<'scope>, how: Checkpointing) -> Stream<'scope, ()> {
        let saving = self.start.saving(how.cadence);
        let persisting = Persisting {
            store: Arc::clone(&how.store),
            saving: saving.clone(),
            generation: how.last.generation,
            patience: how.patience.clone(),
            telemetry: Arc::clone(&self.telemetry),
        };
        let Persisted { reports, kept } = persist(to_save.runs, persisting, self.failed());
        kept.probe_with(&self.passed);
        let saved = Saved {
            reports,
            partitions: to_save.partitions,
            marks: to_save.marks,
            written: to_save.written,
        };
        let committing = Committing {
            store: how.store,
            last: how.last,
            known: self.known.clone(),
            targets: self.start.catch_up(),
            saving,
            patience: how.patience,
            telemetry: Arc::clone(&self.telemetry),
            identity: Arc::clone(&self.identity),
            names: Arc::new(CatalogNames::of(&self.catalog, &self.topics)),
        };
        commit(saved, committing, self.failed())
    }

    /// Publishes progress, unless rows bring it along: then there is no `writer`. Returns a
    /// stream without data: what its frontier has passed is published.
    fn publish(
        &self,
        written: Written<'scope>,
        marks: Stream<'scope, Mark>,
        writer: Option<Box<dyn Writer>>,
    ) -> Stream<'scope, ()> {
        match writer {
            Some(writer) => sink::publish(written, marks, self.reached(), writer, self.failed()),
            None => written.open.concat(written.finals),
        }
    }

    /// What is published of progress, at the start of this run.
    fn reached(&self) -> Reached {
        let from = sink::From {
            views: self.start.views.clone(),
            targets: self.start.catch_up(),
            known: self.known.clone(),
            first: self.start.first,
            limits: self.as_one.then(|| self.start.limits()),
            identity: Arc::clone(&self.identity),
        };
        Reached::new(from, Arc::clone(&self.catalog), Arc::clone(&self.topics))
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
