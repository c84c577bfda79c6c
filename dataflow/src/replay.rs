//! A log in memory through the views, with no Kafka and no database: what
//! benchmarks measure and property tests compare.

use crate::Epoch;
use crate::ingest::clock::Clock;
use crate::ingest::memory::{MemorySource, Partition};
use crate::ingest::operator::{Setup, ingest};
use crate::ingest::source::SourceError;
use crate::observe::Board;
use crate::views::Catalog;
use crate::views::key::Key;
use crate::views::maintain::maintain;
use crate::views::sums::Sums;
use sinks::DeadLetter;
use std::sync::Arc;
use std::time::Duration;
use timely::dataflow::operators::{Inspect, Probe, probe};

/// How a log is replayed.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    /// Worker threads; partitions are dealt out among them.
    pub workers: usize,
    /// How often an epoch ends; zero ends one at every step.
    pub tick: Duration,
    /// Messages read of a partition before the next has its turn.
    pub turn: usize,
}

/// What comes out of a replay. Called by all workers, in any order between them.
pub trait Outcome: Send + Sync + 'static {
    /// A row became this in `epoch`; with sums of zero it is no more.
    fn row(&self, key: &Key, epoch: Epoch, sums: &Sums);

    /// An event could not be used.
    fn dead_letter(&self, _letter: &DeadLetter) {}
}

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
        let (catalog, log, outcome) = (Arc::clone(catalog), log.to_vec(), Arc::clone(outcome));
        let names = catalog.routes.iter().map(|route| route.topic().to_owned());
        let topics: Arc<[String]> = names.collect();
        let board = Arc::new(Board::new(self.workers, &topics, &[]));
        let config = timely::Config::process(self.workers);
        let guards = timely::execute(config, move |worker| {
            let (index, peers) = (worker.index(), worker.peers());
            let mine = log.iter().enumerate().filter(|(i, _)| i % peers == index);
            let source = MemorySource::new(mine.map(|(_, p)| p.clone()).collect(), self.turn);
            let (mut clock, done) = worker.dataflow::<Epoch, _, _>(|scope| {
                let (clock, ticks) = Clock::new(scope, 1, self.tick);
                let setup = Setup {
                    catalog: Arc::clone(&catalog),
                    topics: Arc::clone(&topics),
                    written: probe::Handle::new(),
                    max_in_flight: u64::MAX,
                    board: Arc::clone(&board),
                };
                // Memory does not fail.
                let failed = |error: SourceError| tracing::error!("{error}");
                let ingested = ingest(ticks, setup, |_| Box::new(source), failed);
                let (rows, letters) = (Arc::clone(&outcome), Arc::clone(&outcome));
                ingested
                    .dead_letters
                    .inspect(move |letter| letters.dead_letter(letter));
                let (done, _) = maintain(ingested.contributed)
                    .inspect(move |(key, epoch, sums)| rows.row(key, *epoch, sums))
                    .probe();
                (clock, done)
            });
            while !done.done() {
                let pause = clock.tick();
                worker.step_or_park(Some(pause));
            }
            clock.close();
        })?;
        guards.join().into_iter().collect()
    }
}
