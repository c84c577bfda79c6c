//! A run, from the settings to its end.
//!
//! ```text
//!   settings ─▶ Context ─▶ Database ─▶ Origin ─▶ Cluster ─▶ Planned ─▶ Running ─▶ done, or failed
//!                             │                                           │
//!                             └─────────────▶ HTTP, status ◀──────────────┘ (telemetry)
//! ```
//!
//! Each step takes what the one before it has produced; a step that does not lead to the next one
//! says by a `Halt` why.

mod context;
mod database;
mod ending;
mod error;
mod guard;
mod origin;
mod planning;
mod rebuilding;
mod running;
mod setup;
mod which_log;
mod workers;

pub use error::RunError;

use crate::config::{self, Settings};
use crate::print;
use cluster::{Cluster, ClusterError};
use context::{Context, unless_stopped};
use database::Database;
use ending::Halt;
use origin::Origin;
use running::Running;
use serve::{ServeError, Server};
use shop::ProgramViews;
use std::sync::Arc;
use telemetry::print_views;

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
    let outcome = match operate(settings, views, &mut cluster) {
        Ok(()) | Err(Halt::Stopped) => Ok(()),
        Err(Halt::Failed(error)) => Err(error),
    };
    cluster.goodbye(outcome.as_ref().err().map(RunError::for_others));
    outcome
}

/// The run itself, step by step. `cluster` becomes what the processes are connected by.
fn operate(settings: &Settings, views: ProgramViews, cluster: &mut Cluster) -> Result<(), Halt> {
    let _temporary = Temporary(&settings.store);
    let run = Context::new(settings, views)?;
    // It connects while the database is made ready.
    let mut origin = Origin::open(&run)?;
    run.listen()?;
    let database = Database::open(&run)?;
    let server = serve(&run, &database)?;
    database.prepare(&run)?;
    let absent = origin.find(&run)?;
    *cluster = connect(&run)?;
    let planned = planning::plan(&run, &database, &mut origin, cluster, absent.no_topics)?;
    let running = Running::start(&run, &database, origin, planned, cluster)?;
    Ok(running.end(&run, &database, server, &absent.missing)?)
}

/// Serves HTTP, as far as the settings ask for it.
fn serve(run: &Context<'_>, database: &Database) -> Result<Option<Server>, ServeError> {
    serve::start(
        run.settings.http,
        &run.settings.http_access,
        Arc::clone(&run.telemetry),
        Arc::clone(&database.reader),
        Arc::clone(&run.infos),
        Arc::new(run.product_names.clone()),
        run.settings.place(),
    )
}

/// Connects the processes with each other. When one is lost from then on, the run ends.
fn connect(run: &Context<'_>) -> Result<Cluster, Halt> {
    run.telemetry.set_waiting("other processes".to_owned());
    let lost = run.ending.clone();
    let connected = Cluster::connect(
        run.settings.place(),
        setup::terms(run.settings, &run.infos),
        run.settings.patience(),
        &run.connections,
        run.ending.stopping(),
        move |error| lost.end(unless_stopped(error)),
    );
    connected.map_err(|error| match error {
        ClusterError::Listen { .. } if run.settings.supervised => RunError::PortGone(error).into(),
        error => run.unless_stopping(error),
    })
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
