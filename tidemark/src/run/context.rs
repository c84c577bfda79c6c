//! What all steps of a run share.

use super::ending::{Ending, Halt};
use super::{RunError, setup};
use crate::config::Settings;
use crate::names::Names;
use cluster::{ClusterError, DataConnections, How};
use dataflow::ingest::identity::Readers;
use dataflow::time::{Trust, WallClock};
use dataflow::views::Catalog;
use shop::ProgramViews;
use sinks::Table;
use sinks::retry::{MayPass, wait_for};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;
use telemetry::{Screen, Telemetry, ViewInfo, logging};

/// What all steps of a run share: what follows from the settings, where counts are kept, and
/// how it ends.
pub(super) struct Context<'a> {
    pub(super) settings: &'a Settings,
    pub(super) started: Instant,
    pub(super) screen: Arc<Screen>,
    pub(super) catalog: Arc<Catalog>,
    /// Full names of the topics, by number.
    pub(super) topics: Arc<[String]>,
    /// Which views read each topic.
    pub(super) readers: Readers,
    /// What each view is, as texts.
    pub(super) infos: Arc<Vec<ViewInfo>>,
    pub(super) product_names: Names,
    /// How far ahead messages and events may be.
    pub(super) trust: Trust,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) ending: Ending,
    /// Where the outcome arrives.
    pub(super) outcomes: Receiver<Result<(), RunError>>,
    pub(super) connections: DataConnections,
}

impl<'a> Context<'a> {
    /// Starts the log. Nothing is connected to yet.
    ///
    /// # Errors
    /// When a view cannot be what the settings ask for.
    pub(super) fn new(
        settings: &'a Settings,
        views: ProgramViews,
    ) -> Result<Context<'a>, RunError> {
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
        let telemetry = Telemetry::new(settings.workers, &topics, &tables(&catalog));
        let (ending, outcomes) = Ending::new();
        Ok(Context {
            settings,
            started,
            screen,
            readers: Readers::new(&catalog, &topics),
            infos: Arc::new(setup::view_infos(&catalog, &settings.topic_prefix)),
            catalog,
            topics,
            product_names: Names::default(),
            trust: Trust {
                clock: WallClock::system(),
                max_ahead: settings.max_ahead,
            },
            telemetry: Arc::new(telemetry),
            ending,
            outcomes,
            connections: DataConnections::default(),
        })
    }

    /// From now on signals and panics end the run.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn listen(&self) -> Result<(), RunError> {
        let screen = Arc::clone(&self.screen);
        self.ending.on_panic(screen, self.connections.clone());
        let telemetry = Arc::clone(&self.telemetry);
        let stopping = move || telemetry.set_stopping();
        let listened = self.ending.listen(self.settings.supervised, stopping);
        listened.map_err(|source| RunError::System {
            what: "listening to signals",
            source,
        })
    }

    /// The tables of all views.
    pub(super) fn tables(&self) -> Vec<Table> {
        tables(&self.catalog)
    }

    /// Whether this is process 0, which decides for all of them.
    pub(super) fn is_first(&self) -> bool {
        self.settings.process == 0
    }

    /// Asks until there is an answer, for as long as may be waited for one at the start.
    ///
    /// # Errors
    /// The last error.
    pub(super) fn wait_for<T, E: MayPass>(&self, ask: impl Fn() -> Result<T, E>) -> Result<T, E> {
        let stopping = self.ending.stopping();
        wait_for(ask, self.settings.connect_timeout, &stopping)
    }

    /// What follows from an error of the start: see [`Ending::unless_stopping`].
    pub(super) fn unless_stopping(&self, error: impl Into<RunError>) -> Halt {
        self.ending.unless_stopping(error.into())
    }

    /// What follows from an error of the other processes at the start.
    pub(super) fn unless_stopped(&self, error: ClusterError) -> Halt {
        match unless_stopped(error) {
            Ok(()) => Halt::Stopped,
            Err(error) => self.unless_stopping(error),
        }
    }
}

fn tables(catalog: &Catalog) -> Vec<Table> {
    let views = catalog.definitions.iter();
    views.map(|view| view.table.clone()).collect()
}

/// The loss of another process. One that was stopped stops all of them.
pub(super) fn unless_stopped(error: ClusterError) -> Result<(), RunError> {
    match error {
        ClusterError::Lost(lost) if lost.how == How::Stopped => {
            tracing::info!("stopping: {lost}");
            Ok(())
        }
        error => Err(error.into()),
    }
}
