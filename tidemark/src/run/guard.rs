//! Whether this run is still the one that writes.
//!
//! Another run that takes over makes the database refuse whatever this one still
//! sends. One that sends nothing, because nothing comes, has to look.

use super::RunError;
use super::context::Context;
use super::database::Database;
use sinks::{SinkError, Storage};
use std::sync::Arc;
use std::time::Duration;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// Looks, on a thread of its own, until the run has been replaced: that is how it
/// ends then. `answers`: whoever asks whether the run is alive is told so.
///
/// # Errors
/// When the system has no thread for it.
pub(super) fn start(run: &Context<'_>, database: &Database, answers: bool) -> Result<(), RunError> {
    let storage = Arc::clone(&database.storage);
    let (telemetry, ending) = (Arc::clone(&run.telemetry), run.ending.clone());
    telemetry.database_answered();
    let look = move || {
        loop {
            match storage.watch(answers) {
                Err(error @ SinkError::Replaced { .. }) => {
                    return ending.end(Err(error.into()));
                }
                // It is away, or asked too much of: those who write tell.
                Err(error) => tracing::debug!("who writes could not be looked up: {error}"),
                Ok(()) => telemetry.database_answered(),
            }
            std::thread::sleep(EVERY);
        }
    };
    std::thread::Builder::new()
        .name("guard".to_owned())
        .spawn(look)
        .map(drop)
        .map_err(|source| RunError::System {
            what: "watching over the database",
            source,
        })
}

/// Why a run ends with `error`: where its checkpoint is somebody else's, because it has
/// been replaced, if it has.
pub(super) fn cause(error: RunError, storage: &dyn Storage) -> RunError {
    if !error.is_conflict() {
        return error;
    }
    match storage.watch(false) {
        Err(replaced @ SinkError::Replaced { .. }) => replaced.into(),
        _ => error,
    }
}
