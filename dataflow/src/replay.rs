//! A log in memory through the views, with no Kafka and no database: what
//! benchmarks measure and property tests compare.

use crate::Epoch;
use crate::compaction;
use crate::ingest::clock::Clock;
use crate::ingest::memory::{MemorySource, Partition};
use crate::ingest::operator::{Setup, ingest};
use crate::ingest::source::{Source, SourceError};
use crate::time::{Trust, WallClock, Watermarks, watermarks};
use crate::views::maintain::{Maintained, Memory, maintain};
use crate::views::rows::RowChange;
use crate::views::{Catalog, Gauge};
use sinks::DeadLetter;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use telemetry::Telemetry;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{ConnectLoop, Feedback, Inspect, Probe, probe};

/// Events that a worker may have read that have not come out yet, as in a run of four
/// workers that nobody configured.
const MAX_IN_FLIGHT: u64 = 500_000;

/// 2100-01-01, in milliseconds: what a clock says by which no log is ahead.
const LATER: i64 = 4_102_444_800_000;

/// How a log is replayed. The clock says that all of it is past.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    /// Worker threads; partitions are dealt out among them.
    pub workers: usize,
    /// How often an epoch ends; zero ends one at every step.
    pub tick: Duration,
    /// Messages read of a partition before the next has its turn.
    pub turn: usize,
    /// How far an event's time may be ahead of its message's.
    pub max_ahead: Duration,
}

/// What comes out of a replay. Called by all workers, in any order between them.
pub trait Outcome: Send + Sync + 'static {
    /// What a row became; with sums of zero it is no more.
    fn row(&self, row: &RowChange);

    /// An event could not be used.
    fn dead_letter(&self, _letter: &DeadLetter) {}

    /// How far views have come in the end.
    fn watermarks(&self, _known: &Watermarks) {}
}

/// Makes the source of each worker, given its number and how many there are.
type MakeSources = Box<dyn Fn(usize, usize) -> Box<dyn Source> + Send + Sync>;

impl Replay {
    /// Runs `log` through all views of `catalog`.
    ///
    /// # Errors
    /// When the workers cannot be started, or one of them has panicked.
    pub fn run(
        self,
        catalog: &Arc<Catalog>,
        log: &[Partition],
        outcome: &Arc<impl Outcome>,
    ) -> Result<(), String> {
        let log = log.to_vec();
        let source = move |worker, peers| -> Box<dyn Source> {
            let mine = log.iter().skip(worker).step_by(peers);
            Box::new(MemorySource::new(mine.cloned().collect(), self.turn))
        };
        self.run_sources(catalog, source, &telemetry(self.workers, catalog), outcome)
    }

    /// Runs what `source` makes for each worker, given its number and how many there
    /// are, through all views of `catalog`.
    ///
    /// # Errors
    /// When the workers cannot be started, or one of them has panicked.
    pub fn run_sources(
        self,
        catalog: &Arc<Catalog>,
        source: impl Fn(usize, usize) -> Box<dyn Source> + Send + Sync + 'static,
        telemetry: &Arc<Telemetry>,
        outcome: &Arc<impl Outcome>,
    ) -> Result<(), String> {
        let outcome = Arc::clone(outcome);
        self.run_boxed(
            Arc::clone(catalog),
            Box::new(source),
            Arc::clone(telemetry),
            outcome,
        )
    }

    /// The same, compiled once for all sources and outcomes.
    fn run_boxed(
        self,
        catalog: Arc<Catalog>,
        source: MakeSources,
        telemetry: Arc<Telemetry>,
        outcome: Arc<dyn Outcome>,
    ) -> Result<(), String> {
        let mut config = timely::Config::process(self.workers);
        compaction::when_idle(&mut config.worker);
        let guards = timely::execute(config, move |worker| {
            let index = worker.index();
            let source = source(index, worker.peers());
            let known = Arc::new(Mutex::new(catalog.watermarks()));
            let (mut clock, done) = worker.dataflow::<Epoch, _, _>(|scope| {
                let (clock, ticks) = Clock::new(scope, 1, self.tick);
                let written = probe::Handle::new();
                let setup = Setup {
                    catalog: Arc::clone(&catalog),
                    topics: topics(&catalog),
                    written: written.clone(),
                    max_in_flight: MAX_IN_FLIGHT,
                    trust: Trust {
                        clock: WallClock::of(|| LATER),
                        max_ahead: self.max_ahead,
                    },
                    telemetry: Arc::clone(&telemetry),
                    restored: Epoch::MIN,
                    partitions: Arc::default(),
                    backfill: Arc::default(),
                    recorded: Arc::default(),
                    cadence: None,
                    committed: Arc::default(),
                };
                let (heard, again) = scope.feedback(1);
                // Memory does not fail.
                let failed = |error: SourceError| tracing::error!("{error}");
                let ingested = ingest(ticks, again, setup, Box::new(|_| source), failed);
                let (rows, letters) = (Arc::clone(&outcome), Arc::clone(&outcome));
                let advanced =
                    watermarks(ingested.marks.broadcast(), Arc::clone(&known), Epoch::MIN);
                advanced.clone().connect_loop(heard);
                let gauge = Gauge::new(Arc::clone(&telemetry), index);
                ingested
                    .dead_letters
                    .inspect(move |letter| letters.dead_letter(letter));
                let contributed = ingested.contributed;
                let Maintained { rows: became, .. } =
                    maintain(contributed, advanced, &catalog, &gauge, Memory::none());
                let (done, _) = became
                    .inspect(move |became| rows.row(became))
                    .probe_with(&written)
                    .probe();
                (clock, done)
            });
            while !done.done() {
                let pause = clock.tick();
                worker.step_or_park(Some(pause));
            }
            clock.close();
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            outcome.watermarks(&known);
        })?;
        guards.join().into_iter().collect()
    }
}

/// A telemetry for a replay with so many workers.
pub fn telemetry(workers: usize, catalog: &Catalog) -> Arc<Telemetry> {
    Arc::new(Telemetry::new(workers, &topics(catalog), &[]))
}

fn topics(catalog: &Catalog) -> Arc<[String]> {
    let names = catalog.routes.iter().map(|route| route.topic().to_owned());
    names.collect()
}
