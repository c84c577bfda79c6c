//! A run whose workers have started, until it ends.

use super::context::Context;
use super::database::Database;
use super::ending::Halt;
use super::origin::{Followed, Origin};
use super::planning::Planned;
use super::{RunError, guard, setup, workers};
use cluster::Cluster;
use model::fail_point;
use serve::Server;
use std::sync::Arc;
use telemetry::Console;

/// What runs beside the workers.
pub(super) struct Running {
    followed: Followed,
    console: Console,
}

impl Running {
    /// Lets the log be followed, and starts the workers.
    ///
    /// # Errors
    /// When the run has been stopped before, or the system has no threads for it.
    pub(super) fn start(
        run: &Context<'_>,
        database: &Database,
        origin: Origin,
        planned: Planned,
        cluster: &mut Cluster,
    ) -> Result<Running, Halt> {
        let Planned {
            start,
            leftovers,
            checkpointing,
        } = planned;
        let reads = origin.reads(run, &start);
        let identity = origin.check(&run.ending);
        let followed = origin.follow(run)?;
        let judging = setup::judging(run.settings, &start);
        if !run.ending.begin() {
            return Err(Halt::Stopped);
        }
        let waiting = "the workers of all processes".to_owned();
        run.telemetry.set_waiting(waiting);
        let shared = workers::Shared {
            catalog: Arc::clone(&run.catalog),
            telemetry: Arc::clone(&run.telemetry),
            storage: Arc::clone(&database.storage),
            topics: Arc::clone(&run.topics),
            reads,
            start,
            leftovers,
            checkpointing,
            tick: run.settings.epoch,
            max_in_flight: run.settings.max_in_flight,
            trust: run.trust.clone(),
            judging,
            identity,
            ending: run.ending.clone(),
        };
        let started = workers::start(cluster, timely::WorkerConfig::default(), shared);
        started.map_err(|source| RunError::System {
            what: "starting the workers",
            source,
        })?;
        let console = Console::start(Arc::clone(&run.telemetry), Arc::clone(&run.screen));
        Ok(Running { followed, console })
    }

    /// Waits for the outcome, stops what runs beside the workers, and leaves the database to
    /// others. `missing` are the topics that do not exist.
    ///
    /// # Errors
    /// Whatever ended the run, if it was not told to end.
    pub(super) fn end(
        self,
        run: &Context<'_>,
        database: &Database,
        server: Option<Server>,
        missing: &[String],
    ) -> Result<(), RunError> {
        let Running {
            mut followed,
            console,
        } = self;
        let storage = &*database.storage;
        let outcome = run.outcomes.recv().unwrap_or(Ok(()));
        let outcome = outcome.map_err(|error| guard::cause(error, storage));
        if let Err(error) = &outcome {
            run.telemetry.set_failed(error.to_string());
            setup::keep_count(error, run.settings, storage);
        }
        followed.stop();
        console.stop();
        if let Some(server) = server {
            server.stop();
        }
        outcome?;
        if run.is_first() {
            fail_point("release.before");
            storage.release()?;
            fail_point("release.after");
        }
        storage.finish()?;
        farewell(run, missing, &followed.blocked(&run.telemetry));
        Ok(())
    }
}

/// Says what has been done, which topics were `missing`, and which partitions `blocked`.
fn farewell(run: &Context<'_>, missing: &[String], blocked: &[String]) {
    if !missing.is_empty() {
        tracing::warn!(
            "nothing was read of {}: there is no such topic. If that is as it should be, \
             --allow-missing-topics says so",
            missing.join(", ")
        );
    }
    let done = run.telemetry.snapshot();
    let blocked: String = blocked.iter().map(|clause| format!("; {clause}")).collect();
    tracing::info!(
        "done: {} events read, {} rows written, {} dead letters, in {:.1} s{blocked}",
        done.events(),
        done.rows(),
        done.dead_letters,
        run.started.elapsed().as_secs_f64(),
    );
}
