//! The workers of this process, from their start to their end.

use super::RunError;
use super::ending::Ending;
use super::origin::Reads;
use super::rebuilding;
use cluster::Cluster;
use dataflow::compaction;
use dataflow::ingest::identity::IdentityCheck;
use dataflow::pipeline::{About, Parts, Pipeline, PipelineError, Writers};
use dataflow::recovery::rebuild::Leftovers;
use dataflow::recovery::start::{Checkpointing, Start};
use dataflow::sink::Sweep;
use dataflow::tally::Judging;
use dataflow::time::Trust;
use dataflow::views::Catalog;
use sinks::retry::Retrying;
use sinks::{SinkError, Storage, Writer};
use std::sync::Arc;
use std::time::Duration;
use telemetry::Telemetry;
use timely::worker::Worker;

/// How long a worker sleeps at the most, so that a stop is heard although an
/// epoch is long and nothing comes.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What all workers of this process share.
pub(super) struct Shared {
    pub(super) catalog: Arc<Catalog>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) storage: Arc<dyn Storage>,
    /// Full names of the topics, by number.
    pub(super) topics: Arc<[String]>,
    /// What is read, but for the worker's own place.
    pub(super) reads: Reads,
    /// What the run goes on from.
    pub(super) start: Start,
    /// What is to be deleted in the end of views that are rebuilt in place, if any are.
    pub(super) leftovers: Option<Arc<Leftovers>>,
    /// How checkpoints are taken, if they are.
    pub(super) checkpointing: Option<Checkpointing>,
    pub(super) tick: Duration,
    pub(super) max_in_flight: u64,
    /// How far ahead messages and events may be.
    pub(super) trust: Trust,
    /// By what the run is judged.
    pub(super) judging: Judging,
    /// Confirms that the log is still the one that was read.
    pub(super) identity: Arc<dyn IdentityCheck>,
    pub(super) ending: Ending,
}

/// Starts the workers on threads of their own, connected with those of the other
/// processes; how they end is told to [`Shared::ending`].
pub(super) fn start(
    cluster: &mut Cluster,
    mut config: timely::WorkerConfig,
    shared: Shared,
) -> std::io::Result<()> {
    compaction::when_idle(&mut config);
    let ending = shared.ending.clone();
    let (builders, network) = cluster.network()?;
    let run = move || {
        let work = move |worker: &mut Worker| work(worker, &shared);
        let guards = match timely::execute::execute_from(builders, network, config, work) {
            Ok(guards) => guards,
            Err(error) => return ending.end(Err(RunError::Workers(error))),
        };
        let outcomes: Vec<_> = guards.join();
        let panicked = outcomes.into_iter().find_map(Result::err);
        ending.end(panicked.map_or(Ok(()), |error| Err(RunError::Workers(error))));
    };
    std::thread::Builder::new()
        .name("workers".to_owned())
        .spawn(run)
        .map(drop)
}

/// One worker: builds the dataflow, steps it until all is written.
fn work(worker: &mut Worker, shared: &Shared) {
    shared.telemetry.follow(worker);
    let writers = match writers(shared) {
        Ok(writers) => writers,
        Err(error) => return shared.ending.end(Err(error.into())),
    };
    let sweep = match sweep(shared, worker.index()).transpose() {
        Ok(sweep) => sweep,
        Err(error) => return shared.ending.end(Err(error.into())),
    };
    let source = match shared.reads.source(worker.index(), worker.peers()) {
        Ok(source) => source,
        Err(error) => return shared.ending.end(Err(PipelineError::from(error).into())),
    };
    let ending = shared.ending.clone();
    let failed = move |error: PipelineError| ending.end(Err(error.into()));
    let parts = Parts {
        catalog: Arc::clone(&shared.catalog),
        topics: Arc::clone(&shared.topics),
        source,
        writers,
        identity: Arc::clone(&shared.identity),
        telemetry: Arc::clone(&shared.telemetry),
        start: shared.start.clone(),
        checkpointing: shared.checkpointing.clone(),
        tick: shared.tick,
        max_in_flight: shared.max_in_flight,
        trust: shared.trust.clone(),
        judging: shared.judging.clone(),
        sweep,
        failed: Arc::new(failed),
    };
    let mut pipeline = Pipeline::build(worker, parts);
    // All processes are there: the workers wait for each other before this.
    shared.telemetry.set_ready();
    while !pipeline.is_done() {
        if shared.ending.is_stopping() {
            pipeline.stop();
        }
        let pause = pipeline.tick();
        worker.step_or_park(Some(pause.min(LOOK_UP)));
    }
    pipeline.close();
}

/// A worker's ways into the database.
fn writers(shared: &Shared) -> Result<Writers, SinkError> {
    let about = match shared.storage.writes_as_one() {
        true => None,
        false => Some(About {
            record: writer(shared)?,
            publish: writer(shared)?,
        }),
    };
    let rows = writer(shared)?;
    Ok(Writers { rows, about })
}

/// How worker 0 deletes what is left of views that are rebuilt in place, if any are.
fn sweep(shared: &Shared, worker: usize) -> Option<Result<Sweep, SinkError>> {
    let leftovers = shared.leftovers.as_ref().filter(|_| worker == 0)?;
    let sweep = writer(shared).map(|writer| {
        let abandoned = shared.ending.abandoned();
        rebuilding::sweep(&shared.storage, Arc::clone(leftovers), writer, abandoned)
    });
    Some(sweep)
}

/// A patient way into the database, whose failures are counted.
fn writer(shared: &Shared) -> Result<Box<dyn Writer>, SinkError> {
    let telemetry = Arc::clone(&shared.telemetry);
    let observer = Arc::new(move |_: &SinkError, _| telemetry.write_failed());
    let abandon = shared.ending.abandoned();
    Ok(Box::new(Retrying::new(
        shared.storage.writer()?,
        observer,
        abandon,
    )))
}
