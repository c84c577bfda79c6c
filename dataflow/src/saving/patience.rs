//! How a store is waited for that is away, full or read-only.

use checkpoint::CheckpointError;
use sinks::retry::{Backoff, pause};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(10),
};

/// Tries again for as long as it helps.
#[derive(Clone)]
pub struct Patience {
    /// Set when nothing shall be waited for any more.
    pub abandoned: Arc<AtomicBool>,
    /// Told of each attempt that failed.
    pub failed: Arc<dyn Fn() + Send + Sync>,
}

impl Patience {
    /// Does `attempt` until it succeeds, with a line of log for each that fails.
    /// `what` is for the reader of that line.
    ///
    /// # Errors
    /// What will not pass, or the last that did when the run was abandoned.
    pub fn until_done<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<T, CheckpointError>,
    ) -> Result<T, CheckpointError> {
        let mut attempts = 0;
        loop {
            let error = match attempt() {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            attempts += 1;
            (self.failed)();
            if !error.is_temporary() {
                return Err(error);
            }
            let delay = BACKOFF.delay(attempts);
            tracing::warn!("{what} is not written, and tried again in {delay:.1?}: {error}");
            if !pause(delay, &self.abandoned) {
                return Err(error);
            }
        }
    }
}
