//! From the settings to the things they speak of.

use super::RunError;
use super::context::Context;
use crate::config::{self, Settings, Source, Store};
use dataflow::ingest::client::Connection;
use dataflow::ingest::kafka::OnExpired;
use dataflow::pipeline::PipelineError;
use dataflow::recovery::start::Start;
use dataflow::saving::Patience;
use dataflow::tally::Judging;
use dataflow::views::{Catalog, Override, ViewError};
use model::{Lateness, Window};
use shop::ProgramViews;
use sinks::mongodb::{Timeouts, open_with};
use sinks::retry::wait_for;
use sinks::{Claim, SinkError, Storage, Table};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use telemetry::ViewInfo;

/// How long another run may take to say that it is alive: it looks every second.
const PATIENCE: Duration = Duration::from_secs(4);

/// A command may take so long at the start, however short all tries together may be.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// All views, as the settings change them.
pub(super) fn catalog(settings: &Settings, views: ProgramViews) -> Result<Catalog, ViewError> {
    let mut overrides = BTreeMap::new();
    for (name, given) in &settings.views {
        let window = match given.window {
            None => None,
            Some(size) => Some(Window::of(size).ok_or_else(|| ViewError::NoSuchWindow {
                view: name.clone(),
                size,
            })?),
        };
        let lateness = given.lateness.map(|lateness| match lateness {
            config::Lateness::Forever => Lateness::Forever,
            config::Lateness::Within(time) => {
                Lateness::Millis(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
            }
        });
        overrides.insert(
            name.clone(),
            Override {
                window,
                time: given.time.clone(),
                lateness,
                group_index: given.group_index,
            },
        );
    }
    shop::catalog_with(&overrides, views)
}

/// What each view is, as texts.
pub(super) fn view_infos(catalog: &Catalog, prefix: &str) -> Vec<ViewInfo> {
    let views = catalog.definitions.iter();
    views.map(|view| view.info(prefix)).collect()
}

/// The database that the rows go to; nothing is connected to yet.
/// `patience`: how long it is waited for at the start.
pub(super) fn storage(
    store: &Store,
    tables: Vec<Table>,
    patience: Duration,
) -> Result<Arc<dyn Storage>, SinkError> {
    Ok(match store {
        Store::Mongodb { uri, database } => {
            // A command that gets no answer must not take longer than all tries may; and where
            // there is no server to send it to, that is to show before.
            let most = patience.max(LEAST_PATIENCE);
            let usual = Timeouts::default();
            let timeouts = Timeouts {
                server_selection: usual.server_selection.min(most.mul_f32(0.75)),
                ..usual
            };
            let mongodb = open_with(uri.expose(), database, tables, timeouts)?;
            Arc::new(mongodb.starting_within(most))
        }
        Store::Sqlite { path, .. } => Arc::new(sinks::embedded::open(path, tables)?),
    })
}

/// What this process says of itself when it claims the database.
pub(super) fn claim(settings: &Settings) -> Claim {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Claim {
        host: host.trim().to_owned(),
        process: std::process::id(),
        started_at: jiff::Timestamp::now().as_millisecond(),
        take_over: settings.take_over,
        patience: PATIENCE,
    }
}

/// How a store of checkpoints that is away is waited for.
pub(super) fn patience(run: &Context<'_>) -> Patience {
    let telemetry = Arc::clone(&run.telemetry);
    Patience {
        abandoned: run.ending.abandoned(),
        failed: Arc::new(move || telemetry.checkpoint_failed()),
    }
}

/// How to reach the Kafka of the settings; `None` where it is embedded.
pub(super) fn connection(source: &Source) -> Option<Connection> {
    match source {
        Source::Embedded { .. } => None,
        Source::Kafka {
            brokers,
            properties,
        } => {
            let expose =
                |(key, value): (&String, &config::Secret)| (key.clone(), value.expose().to_owned());
            let properties = properties.iter().map(expose).collect();
            Some(Connection {
                brokers: brokers.clone(),
                properties,
            })
        }
    }
}

/// By what a run is judged that goes on from `start`.
pub(super) fn judging(settings: &Settings, start: &Start) -> Judging {
    let before = start.counted;
    if settings.process == 0 && settings.max_dead_letters.is_some() && before.letters > 0 {
        tracing::info!(
            "{} dead letters in {} messages are counted already: the last run has ended because of too many, \
             and has written these",
            before.letters,
            before.messages
        );
    }
    Judging {
        limit: settings.max_dead_letters,
        before,
        ends_by_itself: settings.until_caught_up,
    }
}

/// Where a run ends because of too many dead letters: keeps what it has counted and written, so that
/// the next one, which does not read that again, does not begin to count from nothing.
pub(super) fn keep_count(error: &RunError, settings: &Settings, storage: &dyn Storage) {
    let RunError::Pipeline(PipelineError::DeadLetters(over)) = error else {
        return;
    };
    let keep = || storage.keep_count(over.committed);
    let stopping = AtomicBool::new(false);
    if let Err(error) = wait_for(keep, settings.connect_timeout, &stopping) {
        tracing::warn!(
            "the number of dead letters could not be kept, so that the next run does not count those \
             that are written: {error}"
        );
    }
}

pub(super) fn on_expired(settings: &Settings) -> OnExpired {
    match settings.on_expired {
        config::OnExpired::Error => OnExpired::Fail,
        config::OnExpired::Skip => OnExpired::Skip,
    }
}

/// Settings that have to be the same in all processes, with their values as texts.
/// They are shown; no secret is among them.
pub(super) fn terms(settings: &Settings, views: &[ViewInfo]) -> Vec<(String, String)> {
    let brokers = match &settings.source {
        Source::Embedded { .. } => "(none)",
        Source::Kafka { brokers, .. } => brokers,
    };
    let (database, sqlite) = match &settings.store {
        Store::Mongodb { database, .. } => (database.as_str(), "(none)".to_owned()),
        Store::Sqlite { path, .. } => ("(none)", path.display().to_string()),
    };
    let millis = |time: std::time::Duration| format!("{}ms", time.as_millis());
    let mut terms = vec![
        ("--brokers", brokers.to_owned()),
        ("--topic-prefix", format!("{:?}", settings.topic_prefix)),
        ("--database", database.to_owned()),
        ("--sqlite", sqlite),
        (
            "--checkpoint",
            settings
                .checkpoint
                .as_deref()
                .unwrap_or("(none)")
                .to_owned(),
        ),
        (
            "--checkpoint-interval",
            millis(settings.checkpoint_interval),
        ),
        (
            "--reset-view",
            match settings.reset_views.is_empty() {
                true => "(none)".to_owned(),
                false => Vec::from_iter(settings.reset_views.clone()).join(","),
            },
        ),
        ("--until-caught-up", settings.until_caught_up.to_string()),
        ("--epoch", millis(settings.epoch)),
        ("--max-ahead", millis(settings.max_ahead)),
        ("--idle-timeout", millis(settings.idle_timeout)),
        (
            "--max-dead-letters",
            match settings.max_dead_letters {
                Some(limit) => limit.to_string(),
                None => "(none)".to_owned(),
            },
        ),
        (
            "--on-expired",
            format!("{:?}", settings.on_expired).to_lowercase(),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect::<Vec<_>>();
    for view in views {
        let name = &view.name;
        terms.extend([
            (format!("the version of {name}"), view.version.to_string()),
            (format!("views.{name}.window"), view.window.clone()),
            (format!("views.{name}.time"), view.time.clone()),
            (format!("views.{name}.lateness"), view.lateness.clone()),
        ]);
    }
    terms
}
