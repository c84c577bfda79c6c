//! A database that cannot be had at the start: what to look at.

use crate::config::{Settings, Store};
use sinks::SinkError;
use std::process::ExitCode;
use std::time::Duration;

/// What the sinks call it.
const NAMES: [&str; 2] = [sinks::mongodb::SETTING, sinks::embedded::SETTING];

/// The setting that names the database, and for how long it is waited for.
pub(super) struct Named {
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
    pub(super) fn of(settings: &Settings) -> Named {
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
    pub(super) fn error(&self, error: SinkError) -> DatabaseError {
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
