//! Patience: the same batch again, for as long as the database is away.
//!
//! A database that is away is not an error of the pipeline, it is a pause. The
//! pause is seen (a line and a call of the [`Observer`] for each attempt), it
//! ends soon after the database is back (waits grow to two seconds, no more),
//! and many writers do not come back in step (each wait is drawn evenly between
//! nothing and its limit: full jitter).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::{Batch, Progress, SinkError, WriteIntent, Writer};

/// Told of each failed attempt, and its number within the outage, from 1 on.
pub type Observer = Arc<dyn Fn(&SinkError, u32) + Send + Sync>;

/// How long to wait between attempts: the limit doubles with each, and the wait is
/// drawn evenly below it.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The limit after the first.
    pub first: Duration,
    /// The highest limit.
    pub longest: Duration,
}

impl Backoff {
    const DEFAULT: Backoff = Backoff {
        first: Duration::from_millis(50),
        longest: Duration::from_secs(2),
    };

    /// The longest wait after this attempt.
    fn limit(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        (self.first * 2u32.pow(doublings)).min(self.longest)
    }

    /// How long to wait after this attempt, counted from 1.
    pub fn delay(self, attempt: u32) -> Duration {
        self.limit(attempt).mul_f64(rand::random_range(0.0..=1.0))
    }
}

/// A writer that does not give up while the database is away.
///
/// Only [`SinkError::Unavailable`] is waited out. Everything else, and whatever
/// comes after `abandon` has been set, is returned at once.
pub struct Retrying {
    writer: Box<dyn Writer>,
    observer: Observer,
    abandon: Arc<AtomicBool>,
    backoff: Backoff,
}

impl std::fmt::Debug for Retrying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retrying")
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

impl Retrying {
    /// Makes `writer` patient until `abandon` is set.
    pub fn new(writer: Box<dyn Writer>, observer: Observer, abandon: Arc<AtomicBool>) -> Retrying {
        Retrying {
            writer,
            observer,
            abandon,
            backoff: Backoff::DEFAULT,
        }
    }

    fn persist(
        &mut self,
        mut attempt_once: impl FnMut(&mut dyn Writer) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let mut away_since = None;
        let mut attempt = 0;
        loop {
            let error = match attempt_once(&mut *self.writer) {
                Ok(()) => {
                    if let Some(since) = away_since {
                        tracing::info!(
                            attempts = attempt + 1,
                            "the database is back after {:.1} s",
                            Instant::elapsed(&since).as_secs_f32()
                        );
                    }
                    return Ok(());
                }
                Err(error) => error,
            };
            attempt += 1;
            (self.observer)(&error, attempt);
            if !error.is_temporary() || self.abandon.load(Ordering::Relaxed) {
                return Err(error);
            }
            away_since.get_or_insert_with(Instant::now);
            let delay = self.backoff.delay(attempt);
            tracing::warn!(
                attempt,
                "{error}; the same write again in {:.1} s",
                delay.as_secs_f32()
            );
            if !pause(delay, &self.abandon) {
                return Err(error);
            }
        }
    }
}

impl Writer for Retrying {
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        self.persist(|writer| writer.write(batch))
    }

    fn reach(&mut self, reaching: &WriteIntent) -> Result<(), SinkError> {
        self.persist(|writer| writer.reach(reaching))
    }

    fn publish(&mut self, progress: &Progress) -> Result<(), SinkError> {
        self.persist(|writer| writer.publish(progress))
    }
}

/// What may pass by itself, or will not.
pub trait MayPass: std::fmt::Display {
    /// Whether it may help to wait.
    fn may_pass(&self) -> bool;
}

impl MayPass for SinkError {
    fn may_pass(&self) -> bool {
        self.is_temporary()
    }
}

/// Asks a database, or whatever else may be away, until it answers, for `timeout` at
/// the most; one line for each attempt that fails.
///
/// # Errors
///
/// The last error that may pass when `timeout` is over or `abandon` has been set;
/// any other at once, since waiting would not help.
pub fn wait_for<T, E: MayPass>(
    ask: impl Fn() -> Result<T, E>,
    timeout: Duration,
    abandon: &AtomicBool,
) -> Result<T, E> {
    let start = Instant::now();
    let mut attempt = 0;
    loop {
        let error = match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        attempt += 1;
        let left = timeout.saturating_sub(start.elapsed());
        if !error.may_pass() || left.is_zero() || abandon.load(Ordering::Relaxed) {
            return Err(error);
        }
        let delay = Backoff::DEFAULT.delay(attempt).min(left);
        tracing::warn!(
            attempt,
            "{error}; waiting for {:.0} s more",
            left.as_secs_f32().ceil()
        );
        if !pause(delay, abandon) {
            return Err(error);
        }
    }
}

/// Sleeps until `abandon` is set, and says whether it slept to the end.
pub fn pause(delay: Duration, abandon: &AtomicBool) -> bool {
    const STEP: Duration = Duration::from_millis(25);
    let end = Instant::now() + delay;
    loop {
        if abandon.load(Ordering::Relaxed) {
            return false;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(STEP));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Fails as often as it is told and then takes everything.
    struct Flaky {
        failures: u32,
        temporary: bool,
        seen: Arc<Mutex<Vec<u64>>>,
    }

    impl Writer for Flaky {
        fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
            self.seen.lock().unwrap().push(batch.epoch);
            if self.failures == 0 {
                return Ok(());
            }
            self.failures -= 1;
            Err(match self.temporary {
                true => SinkError::unavailable("db", "away"),
                false => SinkError::refused("db", "no"),
            })
        }

        fn reach(&mut self, reaching: &WriteIntent) -> Result<(), SinkError> {
            self.write(&batch(reaching.epoch))
        }

        fn publish(&mut self, progress: &Progress) -> Result<(), SinkError> {
            self.write(&batch(progress.epoch))
        }
    }

    struct Run {
        result: Result<(), SinkError>,
        seen: Vec<u64>,
        observed: Vec<u32>,
    }

    fn batch(epoch: u64) -> Batch {
        Batch {
            epoch,
            ..Batch::default()
        }
    }

    fn run(failures: u32, temporary: bool, abandon: bool) -> Run {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let observed = Arc::new(Mutex::new(Vec::new()));
        let writer = Box::new(Flaky {
            failures,
            temporary,
            seen: Arc::clone(&seen),
        });
        let attempts = Arc::clone(&observed);
        let observer: Observer = Arc::new(move |_, attempt| attempts.lock().unwrap().push(attempt));
        let abandon = Arc::new(AtomicBool::new(abandon));
        let mut retrying = Retrying::new(writer, observer, abandon);
        retrying.backoff = Backoff {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(2),
        };
        let result = retrying.write(&batch(7));
        drop(retrying);
        Run {
            result,
            seen: seen.lock().unwrap().clone(),
            observed: observed.lock().unwrap().clone(),
        }
    }

    #[test]
    fn the_same_batch_again_until_it_passes() {
        let run = run(20, true, false);
        assert!(run.result.is_ok());
        assert_eq!(run.seen, vec![7; 21]);
        assert_eq!(run.observed, (1..=20).collect::<Vec<_>>());
    }

    #[test]
    fn a_refusal_is_final() {
        let run = run(20, false, false);
        assert!(matches!(run.result, Err(SinkError::Refused { .. })));
        assert_eq!((run.seen.len(), run.observed), (1, vec![1]));
    }

    #[test]
    fn abandoned_at_once() {
        let run = run(u32::MAX, true, true);
        assert!(matches!(run.result, Err(SinkError::Unavailable { .. })));
        assert_eq!(run.seen.len(), 1);
    }

    #[test]
    fn abandoned_while_waiting() {
        let abandon = Arc::new(AtomicBool::new(false));
        let setter = Arc::clone(&abandon);
        let observer: Observer = Arc::new(move |_, attempt| {
            if attempt == 3 {
                setter.store(true, Ordering::Relaxed);
            }
        });
        let writer = Box::new(Flaky {
            failures: u32::MAX,
            temporary: true,
            seen: Arc::default(),
        });
        let mut retrying = Retrying::new(writer, observer, abandon);
        assert!(retrying.publish(&Progress::default()).is_err());
    }

    #[test]
    fn waits_double_up_to_their_limit() {
        let limits: Vec<u128> = (1..=8)
            .map(|attempt| Backoff::DEFAULT.limit(attempt).as_millis())
            .collect();
        assert_eq!(limits, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(Backoff::DEFAULT.limit(u32::MAX).as_millis(), 2000);
        let delay = Backoff::DEFAULT.delay(3);
        assert!(delay <= Duration::from_millis(200));
    }
}
