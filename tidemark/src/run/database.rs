//! The database of a run; and what to look at where it cannot be had at the start.

use super::context::Context;
use super::ending::Halt;
use super::{RunError, rebuilding, setup};
use crate::config::{Settings, Store};
use sinks::{Reader, SinkError, Storage};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// What the sinks call it.
const NAMES: [&str; 2] = [sinks::mongodb::SETTING, sinks::embedded::SETTING];

/// The database of a run.
pub(super) struct Database {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) reader: Arc<dyn Reader>,
    named: Named,
}

impl Database {
    /// The database of the settings; nothing is connected to yet.
    ///
    /// # Errors
    /// When it cannot be what they say.
    pub(super) fn open(run: &Context<'_>) -> Result<Database, RunError> {
        let Settings {
            store,
            connect_timeout,
            ..
        } = run.settings;
        let named = Named::of(run.settings);
        let storage = setup::storage(store, run.tables(), *connect_timeout);
        let storage = storage.map_err(|error| named.error(error))?;
        Ok(Database {
            reader: storage.reader()?,
            storage,
            named,
        })
    }

    /// Connects to it, and makes it ready for the rows of the views.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(super) fn prepare(&self, run: &Context<'_>) -> Result<(), Halt> {
        let (storage, reset) = (&self.storage, &run.settings.reset_views);
        rebuilding::announce(storage, &*self.reader, &run.catalog, reset);
        run.telemetry.set_waiting(storage.describe());
        self.wait_for(run, |storage| storage.prepare())?;
        tracing::info!("writing to {}", storage.describe());
        Ok(())
    }

    /// Asks it until there is an answer, for as long as may be waited for one at the start.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(super) fn wait_for<T>(
        &self,
        run: &Context<'_>,
        ask: impl Fn(&dyn Storage) -> Result<T, SinkError>,
    ) -> Result<T, Halt> {
        let answer = run.wait_for(|| ask(&*self.storage));
        answer.map_err(|error| run.unless_stopping(self.named.error(error)))
    }
}

/// The setting that names the database, and for how long it is waited for.
struct Named {
    setting: &'static str,
    /// Whether it has users, and may refuse this one. A file refuses what does not fit to it.
    has_users: bool,
    timeout: Duration,
}

/// Why the database cannot be had at the start.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It does not answer.
    #[error(
        "{database} did not answer within {seconds} s ({detail}). Check {setting}, and that it is \
         up; --connect-timeout sets how long to wait"
    )]
    Away {
        /// Which database.
        database: String,
        /// How long it was tried.
        seconds: u64,
        /// What its driver said last.
        detail: String,
        /// The setting that names it.
        setting: &'static str,
    },
    /// It is there, and refuses, or is not trusted.
    #[error("{error}. Check {setting}")]
    Refused {
        /// What it said.
        error: SinkError,
        /// The setting that names it.
        setting: &'static str,
    },
    /// It cannot be asked, or somebody else has it.
    #[error(transparent)]
    Other(SinkError),
}

impl Named {
    fn of(settings: &Settings) -> Named {
        Named {
            setting: match &settings.store {
                Store::Mongodb { .. } => "--mongodb-uri (or --mongodb-uri-file)",
                Store::Sqlite { .. } => "--sqlite",
            },
            has_users: matches!(settings.store, Store::Mongodb { .. }),
            timeout: settings.connect_timeout,
        }
    }

    /// With what to look at.
    fn error(&self, error: SinkError) -> DatabaseError {
        let setting = self.setting;
        match error {
            // It answers; waiting for another answer was in vain.
            error if is_distrust(&error) => DatabaseError::Refused { error, setting },
            SinkError::Unavailable { database, detail } => DatabaseError::Away {
                database,
                seconds: self.timeout.as_secs(),
                detail,
                setting,
            },
            error @ SinkError::Refused { .. } if self.has_users => {
                DatabaseError::Refused { error, setting }
            }
            error => match &error {
                SinkError::Misconfigured { setting: what, .. }
                    if NAMES.contains(&what.as_str()) =>
                {
                    DatabaseError::Refused { error, setting }
                }
                _ => DatabaseError::Other(error),
            },
        }
    }
}

/// Whether its certificate is not believed.
fn is_distrust(error: &SinkError) -> bool {
    matches!(error, SinkError::Unavailable { detail, .. } if detail.contains("invalid peer certificate"))
}

impl DatabaseError {
    /// 1 where it is away, 2 where it is there and what was given is wrong.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            DatabaseError::Away { .. } => ExitCode::FAILURE,
            DatabaseError::Refused { .. } => ExitCode::from(2),
            DatabaseError::Other(error) => match error {
                SinkError::Held { .. } | SinkError::Misconfigured { .. } => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> Named {
        Named {
            setting: "--mongodb-uri",
            has_users: true,
            timeout: Duration::from_secs(7),
        }
    }

    fn unavailable(detail: &str) -> SinkError {
        SinkError::Unavailable {
            database: "mongodb at db:1, database shop".to_owned(),
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn what_is_away_may_come_and_what_refuses_will_not() {
        let away = named().error(unavailable("Connection refused"));
        assert_eq!(away.exit_code(), ExitCode::FAILURE);
        assert_eq!(
            away.to_string(),
            "mongodb at db:1, database shop did not answer within 7 s (Connection refused). Check \
             --mongodb-uri, and that it is up; --connect-timeout sets how long to wait"
        );
        let misconfigured = |setting: &str| SinkError::Misconfigured {
            setting: setting.to_owned(),
            detail: "no".to_owned(),
        };
        for error in [
            unavailable("db:1: I/O error: invalid peer certificate: UnknownIssuer"),
            SinkError::Refused {
                database: "mongodb at db:1".to_owned(),
                detail: "Authentication failed".to_owned(),
            },
            misconfigured(NAMES[0]),
        ] {
            let refused = named().error(error);
            assert_eq!(refused.exit_code(), ExitCode::from(2));
            assert!(
                refused.to_string().ends_with(". Check --mongodb-uri"),
                "{refused}"
            );
        }
        let other_shape = SinkError::Refused {
            database: "SQLite file x".to_owned(),
            detail: "its table is another one".to_owned(),
        };
        let file = Named {
            has_users: false,
            ..named()
        };
        assert_eq!(file.error(other_shape).exit_code(), ExitCode::FAILURE);
        let table = named().error(misconfigured("table x"));
        assert_eq!(
            (table.exit_code(), table.to_string()),
            (ExitCode::from(2), "table x: no".into())
        );
    }
}
