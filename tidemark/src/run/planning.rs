//! Where a run goes on from: process 0 decides, the others follow.
//!
//! ```text
//!   process 0   claim ─▶ compare the log ─▶ take the checkpoint ─▶ clear ─┐
//!                                                                        ▼ plan
//!   others                                            enter ─▶ compare the log
//!   all                                                         start ─▶ (process 0: define)
//! ```

use super::context::Context;
use super::database::Database;
use super::ending::Halt;
use super::origin::Origin;
use super::which_log::Asking;
use super::{guard, rebuilding, setup};
use crate::config::Settings;
use checkpoint::Store;
use cluster::Cluster;
use dataflow::ingest::problem::DiscoveryError;
use dataflow::recovery::rebuild::{Leftovers, OfLog};
use dataflow::recovery::start::{Checkpointing, Start};
use dataflow::recovery::{Plan, PlanError, Sources};
use dataflow::saving::Cadence;
use dataflow::sink::Restored;
use model::fail_point;
use std::sync::Arc;

/// What the workers go on from.
pub(super) struct Planned {
    pub(super) start: Start,
    /// What is to be deleted in the end of views that are rebuilt in place, if any are.
    pub(super) leftovers: Option<Arc<Leftovers>>,
    /// How checkpoints are taken, if they are.
    pub(super) checkpointing: Option<Checkpointing>,
}

/// What is asked where the run goes on from.
struct Planning<'a> {
    run: &'a Context<'a>,
    database: &'a Database,
    sources: Sources<'a>,
    asking: Asking<'a>,
}

/// Claims the database and finds out where the run goes on from, the same in all processes.
/// `no_topics` is the error that not one topic exists, where the run ends because of it.
///
/// # Errors
/// When checkpoint, database and log do not fit together, or cannot be had.
pub(super) fn plan(
    run: &Context<'_>,
    database: &Database,
    origin: &mut Origin,
    cluster: &mut Cluster,
    no_topics: Option<DiscoveryError>,
) -> Result<Planned, Halt> {
    let store = checkpoints(run.settings)?;
    let brokers = origin.brokers().map(str::to_owned);
    let stopping = run.ending.stopping();
    let mut planning = Planning {
        run,
        database,
        sources: Sources {
            catalog: &run.catalog,
            topics: &run.topics,
            definitions: run.catalog.saved(run.trust.max_ahead_millis()),
            reader: &*database.reader,
            database: database.storage.describe(),
            store: store.as_ref(),
            found: origin.found(),
            identity: origin.identity(),
            readers: &run.readers,
            brokers: brokers.as_deref(),
            reset: &run.settings.reset_views,
        },
        asking: Asking {
            origin,
            timeout: run.settings.connect_timeout,
            stopping: &stopping,
        },
    };
    let right = format!("the right to write to {}", database.storage.describe());
    run.telemetry.set_waiting(right);
    let plan = match run.is_first() {
        true => Some(planning.decide(no_topics)?.write()?),
        false => None,
    };
    let plan = cluster.share(plan);
    let plan = Plan::read(&plan.map_err(|error| run.unless_stopped(error))?)?;
    if !run.is_first() {
        planning.follow(&plan)?;
    }
    let start = planning.start(&plan)?;
    if run.is_first() {
        planning.define(&plan)?;
    }
    fail_point("start.planned");
    let leftovers = (!start.in_place.is_empty()).then(|| {
        Arc::new(Leftovers {
            catalog: Arc::clone(&run.catalog),
            log: OfLog {
                topics: Arc::clone(&run.topics),
                found: planning.sources.found.clone(),
            },
            reader: Arc::clone(&database.reader),
            before: start.first,
        })
    });
    Ok(Planned {
        start,
        leftovers,
        checkpointing: store.zip(plan.manifest).map(|(store, last)| Checkpointing {
            store,
            last,
            cadence: Cadence::of(run.settings.checkpoint_interval, run.settings.epoch),
            patience: setup::patience(run),
        }),
    })
}

impl Planning<'_> {
    /// Claims the database and takes the checkpoint, in the name of all processes.
    fn decide(&mut self, mut no_topics: Option<DiscoveryError>) -> Result<Plan, Halt> {
        let (run, database, sources) = (self.run, self.database, &mut self.sources);
        // Where topics have been read, `settle` says more of it.
        let is_first = no_topics.is_some() && sources.was_read()?.is_empty();
        if let Some(none) = no_topics.take_if(|_| is_first) {
            return Err(run.unless_stopping(none));
        }
        let claim = setup::claim(run.settings);
        let holder = database.wait_for(run, |storage| storage.claim(&claim))?;
        guard::start(run, database, true)?;
        let dropped = self.asking.settle(sources);
        let dropped = dropped.map_err(|error| run.unless_stopping(error))?;
        if let Some(none) = no_topics {
            return Err(run.unless_stopping(none));
        }
        let taken = run.wait_for(|| sources.take_checkpoint(holder.generation, &dropped));
        let taken = taken.map_err(|error| run.unless_stopping(error))?;
        fail_point("start.taken");
        let cleared = rebuilding::clear(run, &database.storage, sources, taken.as_ref(), &dropped);
        let in_place = cleared.map_err(|error| run.unless_stopping(error))?;
        sources.record_log(&dropped, &|| database.storage.writer())?;
        Ok(Plan {
            holder,
            manifest: taken.map(|taken| taken.changed.unwrap_or(taken.manifest)),
            log: sources.identity.clone(),
            in_place,
        })
    }

    /// Enters the database in the name of process 0, and checks that both see the same log.
    fn follow(&mut self, plan: &Plan) -> Result<(), Halt> {
        let run = self.run;
        self.database
            .wait_for(run, |storage| storage.enter(&plan.holder))?;
        fail_point("start.entered");
        guard::start(run, self.database, false)?;
        let agreed = self.asking.agree(&mut self.sources, &plan.log);
        agreed.map_err(|error| run.unless_stopping(error))
    }

    /// What this process goes on from.
    fn start(&mut self, plan: &Plan) -> Result<Start, Halt> {
        let run = self.run;
        let last = plan.manifest.as_ref();
        let in_place = &plan.in_place;
        let mut start = self.sources.start(last, in_place);
        if matches!(start, Err(PlanError::Shrunk { .. })) {
            // Whoever wrote until now may have read on since the partitions were found.
            let asked = self.asking.anew(&mut self.sources, &plan.log);
            asked.map_err(|error| run.unless_stopping(error))?;
            start = self.sources.start(last, in_place);
        }
        let mut start = start?;
        start.restored_rows = start.stored.as_ref().map(|_| {
            let tables = run.catalog.definitions.iter();
            let tables = tables.map(|view| view.name.to_owned()).collect();
            let database = self.database.storage.describe();
            Arc::new(Restored::new(database, tables, run.settings.workers))
        });
        Ok(start)
    }

    /// Records the definitions of the rows. No process writes a row before process 0 has recorded
    /// how far rows may reach.
    fn define(&self, plan: &Plan) -> Result<(), Halt> {
        let define = || {
            let definitions = self.sources.definitions(&plan.in_place)?;
            let defined = self.database.storage.define(&definitions);
            defined.map_err(PlanError::from)
        };
        let defined = self.run.wait_for(define);
        defined.map_err(|error| self.run.unless_stopping(error))?;
        fail_point("start.defined");
        Ok(())
    }
}

/// Opens the place of checkpoints, if there is one.
fn checkpoints(settings: &Settings) -> Result<Option<Arc<Store>>, PlanError> {
    let Some(url) = &settings.checkpoint else {
        return Ok(None);
    };
    let store = Store::open(url)?;
    tracing::info!("checkpoints in {}", store.describe());
    Ok(Some(Arc::new(store)))
}
