//! A run, from the settings to its end.
//!
//! ```text
//!   settings ─▶ views ─▶ database ─▶ Kafka ─▶ other processes ─▶ workers ─▶ done, or failed
//!                           │                                      │
//!                           └──────────▶ HTTP, status ◀────────────┘ (telemetry)
//! ```

mod database;
mod ending;
mod error;
mod guard;
mod origin;
mod rebuilding;
mod setup;
mod which_log;
mod workers;

pub use error::RunError;

use crate::config::{self, Settings};
use crate::ingest::identity::{IdentityError, Readers};
use crate::observe::{Console, Screen, Telemetry, logging, print_views};
use crate::print;
use crate::recovery::start::Checkpointing;
use crate::recovery::{Plan, PlanError, Sources};
use crate::saving::Cadence;
use crate::serve;
use crate::sink::Restored;
use crate::time::{Trust, WallClock};
use crate::views::own::ProgramViews;
use checkpoint::Store;
use cluster::{Cluster, ClusterError, DataConnections, How};
use ending::Ending;
use events::{Products, Topic as _};
use model::fail_point;
use origin::Origin;
use sinks::retry::wait_for;
use std::sync::Arc;
use std::time::Instant;
use which_log::Asking;

/// Prints what the views are.
///
/// # Errors
/// When a view cannot be what the settings ask for, or nobody takes the text.
pub fn views(settings: &Settings, views: ProgramViews) -> Result<(), RunError> {
    let infos = setup::view_infos(&setup::catalog(settings, views)?, &settings.topic_prefix);
    let mut text = Vec::new();
    let printed = print_views(&infos, &mut text).and_then(|()| print::answer(&text));
    printed.map_err(|source| RunError::System {
        what: "printing the views",
        source,
    })
}

/// Runs the pipeline until it is told to stop, has caught up, or fails; and tells
/// the other processes how it ended.
///
/// # Errors
/// Whatever ended it, if it was not told to.
pub fn run(settings: &Settings, views: ProgramViews) -> Result<(), RunError> {
    let mut cluster = Cluster::alone(settings.workers);
    let outcome = operate(settings, views, &mut cluster);
    cluster.goodbye(outcome.as_ref().err().map(RunError::for_others));
    outcome
}

/// The run itself. `cluster` becomes what the processes are connected by.
fn operate(
    settings: &Settings,
    views: ProgramViews,
    cluster: &mut Cluster,
) -> Result<(), RunError> {
    let started = Instant::now();
    let screen = Screen::new(settings.status);
    logging::init(settings.log_format, &settings.log, &screen);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let catalog = Arc::new(setup::catalog(settings, views)?);
    let names = catalog.routes.iter().map(|route| route.topic());
    let topics: Arc<[String]> = names
        .map(|name| format!("{}{name}", settings.topic_prefix))
        .collect();
    let readers = Readers::new(&catalog, &topics);
    // It connects while the database is made ready.
    let mut origin = Origin::open(settings, &topics, &readers)?;
    let tables: Vec<_> = catalog
        .definitions
        .iter()
        .map(|view| view.table.clone())
        .collect();
    let telemetry = Arc::new(Telemetry::new(settings.workers, &topics, &tables));

    let (ending, outcomes) = Ending::new();
    let connections = DataConnections::default();
    ending.on_panic(Arc::clone(&screen), connections.clone());
    let stopping = Arc::clone(&telemetry);
    ending
        .listen(settings.supervised, move || stopping.set_stopping())
        .map_err(|source| RunError::System {
            what: "listening to signals",
            source,
        })?;

    let _temporary = Temporary(&settings.store);
    let at = database::Named::of(settings);
    let storage = setup::storage(&settings.store, tables, settings.connect_timeout);
    let storage = storage.map_err(|error| at.error(error))?;
    let infos = Arc::new(setup::view_infos(&catalog, &settings.topic_prefix));
    let reader = storage.reader()?;
    let product_names = serve::Names::default();
    let server = serve::start(
        settings.http,
        &settings.http_access,
        Arc::clone(&telemetry),
        Arc::clone(&reader),
        Arc::clone(&infos),
        product_names.clone(),
        settings.place(),
    )?;
    rebuilding::announce(&storage, &*reader, &catalog, &settings.reset_views);
    telemetry.set_waiting(storage.describe());
    let stopping = ending.stopping();
    let prepared = wait_for(|| storage.prepare(), settings.connect_timeout, &stopping);
    if let Err(error) = prepared {
        return ending.unless_stopping(at.error(error).into());
    }
    tracing::info!("writing to {}", storage.describe());

    telemetry.set_waiting(origin.describe());
    if let Err(error) = origin.find(settings.connect_timeout, &stopping) {
        return ending.unless_stopping(error.into());
    }
    // What does not exist by now is not read by a run that catches up.
    let ends_without_topics = settings.until_caught_up && !settings.allow_missing_topics;
    let (missing, mut no_topics) = match ends_without_topics {
        true => (origin.missing(), origin.no_topics()),
        false => (Vec::new(), None),
    };
    let products = format!("{}{}", settings.topic_prefix, Products::NAME);
    origin.has_names(&product_names, products);

    telemetry.set_waiting("other processes".to_owned());
    let lost = ending.clone();
    let connected = Cluster::connect(
        settings.place(),
        setup::terms(settings, &infos),
        settings.patience(),
        &connections,
        Arc::clone(&stopping),
        move |error| lost.end(unless_stopped(error)),
    );
    *cluster = match connected {
        Ok(cluster) => cluster,
        Err(error @ ClusterError::Listen { .. }) if settings.supervised => {
            return Err(RunError::PortGone(error));
        }
        Err(error) => return ending.unless_stopping(error.into()),
    };

    let trust = Trust {
        clock: WallClock::system(),
        max_ahead: settings.max_ahead,
    };
    let store = checkpoints(settings)?;
    let brokers = origin.brokers().map(str::to_owned);
    let mut sources = Sources {
        catalog: &catalog,
        topics: &topics,
        definitions: catalog.saved(trust.max_ahead_millis()),
        reader: &*reader,
        database: storage.describe(),
        store: store.as_ref(),
        found: origin.found(),
        identity: origin.identity(),
        readers: &readers,
        brokers: brokers.as_deref(),
        reset: &settings.reset_views,
    };
    let mut asking = Asking {
        origin: &mut origin,
        timeout: settings.connect_timeout,
        stopping: &stopping,
    };
    telemetry.set_waiting(format!("the right to write to {}", storage.describe()));
    let plan = match settings.process {
        0 => {
            // Where topics have been read, `settle` says more of it.
            let is_first = no_topics.is_some() && sources.was_read()?.is_empty();
            if let Some(none) = no_topics.take_if(|_| is_first) {
                return ending.unless_stopping(none.into());
            }
            let claim = setup::claim(settings);
            let claim = || storage.claim(&claim);
            let holder = match wait_for(claim, settings.connect_timeout, &stopping) {
                Ok(holder) => holder,
                Err(error) => return ending.unless_stopping(at.error(error).into()),
            };
            guard::start(&storage, true, &telemetry, &ending)?;
            let dropped = match asking.settle(&mut sources) {
                Ok(dropped) => dropped,
                Err(error) => return ending.unless_stopping(error),
            };
            if let Some(none) = no_topics {
                return ending.unless_stopping(none.into());
            }
            let take = || sources.take_checkpoint(holder.generation, &dropped);
            let taken = match wait_for(take, settings.connect_timeout, &stopping) {
                Ok(taken) => taken,
                Err(error) => return ending.unless_stopping(error.into()),
            };
            fail_point("start.taken");
            let cleared = rebuilding::clear(
                &sources,
                &storage,
                taken.as_ref(),
                &dropped,
                &telemetry,
                &ending,
                settings.connect_timeout,
            );
            if let Err(error) = cleared {
                return ending.unless_stopping(error);
            }
            let manifest = taken.map(|taken| taken.changed.unwrap_or(taken.manifest));
            sources.record_log(&dropped, &|| storage.writer())?;
            let log = sources.identity.clone();
            Some(
                Plan {
                    holder,
                    manifest,
                    log,
                }
                .write()?,
            )
        }
        _ => None,
    };
    let plan = match cluster.share(plan) {
        Ok(plan) => Plan::read(&plan)?,
        Err(error) => return unless_stopped(error).or_else(|error| ending.unless_stopping(error)),
    };
    if settings.process > 0 {
        let enter = || storage.enter(&plan.holder);
        if let Err(error) = wait_for(enter, settings.connect_timeout, &stopping) {
            return ending.unless_stopping(at.error(error).into());
        }
        fail_point("start.entered");
        guard::start(&storage, false, &telemetry, &ending)?;
        if let Err(error) = asking.agree(&mut sources, &plan.log) {
            return ending.unless_stopping(error);
        }
    }
    let last = plan.manifest;
    let mut start = sources.start(last.as_ref());
    if matches!(start, Err(PlanError::Shrunk { .. })) {
        // Whoever wrote until now may have read on since the partitions were found.
        if let Err(error) = asking.anew(&mut sources, &plan.log) {
            return ending.unless_stopping(error);
        }
        start = sources.start(last.as_ref());
    }
    let mut start = start?;
    start.restored_rows = start.stored.as_ref().map(|_| {
        let tables = catalog.definitions.iter().map(|view| view.name.to_owned());
        let (database, workers) = (storage.describe(), settings.workers);
        Arc::new(Restored::new(database, tables.collect(), workers))
    });
    if settings.process == 0 {
        // No process writes a row before process 0 has recorded how far rows may reach.
        let define = || {
            let definitions = sources.definitions()?;
            storage.define(&definitions).map_err(PlanError::from)
        };
        if let Err(error) = wait_for(define, settings.connect_timeout, &stopping) {
            return ending.unless_stopping(error.into());
        }
        fail_point("start.defined");
    }
    fail_point("start.planned");
    let reads = origin.reads(settings, &topics, &telemetry, &start);
    let identity = origin.check(ending.stopping(), ending.abandoned());
    let other_log = ending.clone();
    let failed = move |error: IdentityError| other_log.end(Err(error.into()));
    let mut followed = origin.follow(settings, &telemetry, product_names, failed)?;
    let judging = setup::judging(settings, &start);
    let checkpointing = store.zip(last).map(|(store, last)| Checkpointing {
        store,
        last,
        cadence: Cadence::of(settings.checkpoint_interval, settings.epoch),
        patience: setup::patience(&ending, &telemetry),
    });
    if !ending.begin() {
        return Ok(());
    }
    telemetry.set_waiting("the workers of all processes".to_owned());
    workers::start(
        cluster,
        timely::WorkerConfig::default(),
        workers::Shared {
            catalog,
            telemetry: Arc::clone(&telemetry),
            storage: Arc::clone(&storage),
            topics,
            reads,
            start,
            checkpointing,
            tick: settings.epoch,
            max_in_flight: settings.max_in_flight,
            trust,
            judging,
            identity,
            ending,
        },
    )
    .map_err(|source| RunError::System {
        what: "starting the workers",
        source,
    })?;
    let console = Console::start(Arc::clone(&telemetry), screen);

    let outcome = outcomes.recv().unwrap_or(Ok(()));
    let outcome = outcome.map_err(|error| guard::cause(error, &*storage));
    if let Err(error) = &outcome {
        telemetry.set_failed(error.to_string());
        setup::keep_count(error, settings, &*storage);
    }
    followed.stop();
    console.stop();
    if let Some(server) = server {
        server.stop();
    }
    if outcome.is_ok() {
        if settings.process == 0 {
            fail_point("release.before");
            storage.release()?;
            fail_point("release.after");
        }
        storage.finish()?;
        let blocked = followed.blocked(&telemetry);
        farewell(&telemetry, started, &missing, &blocked);
    }
    outcome
}

/// The loss of another process. One that was stopped stops all of them.
fn unless_stopped(error: ClusterError) -> Result<(), RunError> {
    match error {
        ClusterError::Lost(lost) if lost.how == How::Stopped => {
            tracing::info!("stopping: {lost}");
            Ok(())
        }
        error => Err(error.into()),
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

/// Says what has been done, which topics were `missing`, and which partitions `blocked`.
fn farewell(telemetry: &Telemetry, started: Instant, missing: &[String], blocked: &[String]) {
    if !missing.is_empty() {
        tracing::warn!(
            "nothing was read of {}: there is no such topic. If that is as it should be, \
             --allow-missing-topics says so",
            missing.join(", ")
        );
    }
    let done = telemetry.snapshot();
    let blocked: String = blocked.iter().map(|clause| format!("; {clause}")).collect();
    tracing::info!(
        "done: {} events read, {} rows written, {} dead letters, in {:.1} s{blocked}",
        done.events(),
        done.rows(),
        done.dead_letters,
        started.elapsed().as_secs_f64(),
    );
}

/// Removes what nobody asked to keep, when the run ends.
struct Temporary<'a>(&'a config::Store);

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let config::Store::Sqlite {
            path,
            temporary: true,
        } = self.0
        {
            for ending in ["", "-wal", "-shm"] {
                let mut file = path.clone().into_os_string();
                file.push(ending);
                // What cannot be removed is in the folder for temporary files.
                let _ = std::fs::remove_file(file);
            }
        }
    }
}
