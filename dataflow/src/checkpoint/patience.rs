//! How a store is waited for that is away, full or read-only.

use super::CheckpointError;
use backon::{BackoffBuilder, ExponentialBuilder};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The longest time between two attempts.
const LONGEST: Duration = Duration::from_secs(10);
/// While waiting, how often it is asked whether the run still wants it.
const LOOK_UP: Duration = Duration::from_millis(50);

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
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(LONGEST)
            .with_jitter()
            .without_max_times()
            .build();
        loop {
            let error = match attempt() {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            (self.failed)();
            if !error.is_temporary() || self.abandoned.load(Ordering::Relaxed) {
                return Err(error);
            }
            let pause = pauses.next().unwrap_or(LONGEST);
            tracing::warn!("{what} is not written, and tried again in {pause:.1?}: {error}");
            let mut waited = Duration::ZERO;
            while waited < pause && !self.abandoned.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK_UP);
                waited += LOOK_UP;
            }
        }
    }
}
