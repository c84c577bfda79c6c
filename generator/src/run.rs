//! From the shop to Kafka.
//!
//! ```text
//!   for each batch:            one, or one --every so often
//!     for each round:          --count of them, or without end
//!       may it go on?          stopped? a message lost?
//!       for each record:       wait for its moment if there is a --rate, send it
//!   wait for the last acknowledgements, report
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use events::Timestamp;

use crate::clock;
use crate::error::Error;
use crate::options::Options;
use crate::producer::{Sender, patience};
use crate::progress::Progress;
use crate::report::Report;
use crate::shop::{Record, Shop};
use crate::topics;

/// How long a stopped run still waits for acknowledgements.
const FAREWELL: Duration = Duration::from_secs(10);
/// The longest wait without a look at whether it was stopped.
const GLANCE: Duration = Duration::from_millis(50);
/// The shortest wait: a thread that slept for each event of thousands a second would do
/// little else.
const LEAST: Duration = Duration::from_millis(1);
/// Between two updates of the progress.
const UPDATE: Duration = Duration::from_millis(200);

/// Creates what topics are missing and sends what `options` ask for. Blocks until
/// that is done or `stop` is set, so that it needs a thread of its own where there is
/// something else to do. What was sent by then is still waited for, up to ten seconds.
///
/// # Errors
///
/// No broker within five seconds; a topic that cannot be created; a setting or
/// message that the client refuses. Messages that were not acknowledged are no
/// error but told by [`Report::is_complete`]; the first that fails for good ends the run.
pub fn run(options: &Options, stop: &AtomicBool) -> Result<Report, Error> {
    let sender = Sender::new(options)?;
    topics::ensure(options, &sender)?;

    let profile = options.profile();
    let progress = Progress::new(options.quiet, options.rounds());
    progress.say(&format!(
        "seed {}, start {}: the same two make the same events again",
        profile.seed, profile.start
    ));
    let started = Instant::now();
    let mut run = Run {
        stop,
        sender,
        progress,
        step: clock::step(options.rate),
        pace: Pace::new(),
        updated: started,
        refused: None,
    };
    let mut shop = Shop::new(&profile);
    let mut batches = 0;
    while run.batch(&mut shop, options.rounds()) {
        let Some(every) = options.every else { break };
        batches += 1;
        let pause = every.saturating_mul(batches);
        let next = later(profile.start, pause);
        if !run.rest(&format!("batch {batches}"), next, started + pause) {
            break;
        }
        shop.set_clock(next);
    }

    run.wait_for_acknowledgements();
    run.progress.finish();
    match run.refused {
        Some(error) => Err(error),
        None => Ok(Report {
            topics: run.sender.report(),
            elapsed: started.elapsed(),
            failure: run.sender.failure(),
        }),
    }
}

fn later(time: Timestamp, pause: Duration) -> Timestamp {
    let micros = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
    Timestamp(time.as_micros().saturating_add(micros))
}

struct Run<'a> {
    stop: &'a AtomicBool,
    sender: Sender,
    progress: Progress,
    step: Option<Duration>,
    pace: Pace,
    updated: Instant,
    refused: Option<Error>,
}

impl Run<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Makes a batch of rounds. False when there shall be no other.
    fn batch(&mut self, shop: &mut Shop, rounds: Option<u64>) -> bool {
        self.pace = Pace::new();
        let mut round = 0;
        while rounds.is_none_or(|rounds| round < rounds) {
            if !self.may_go_on(round) {
                return false;
            }
            shop.round(|record| self.record(&record));
            round += 1;
        }
        self.progress
            .update(round, self.sender.sent(), self.sender.acknowledged());
        self.refused.is_none()
    }

    /// From one batch to the next. False when there shall be none.
    fn rest(&mut self, batch: &str, next: Timestamp, until: Instant) -> bool {
        self.wait_for_acknowledgements();
        let (sent, acknowledged) = (self.sender.sent(), self.sender.acknowledged());
        self.progress.say(&format!(
            "{batch} done: sent {sent}, acknowledged {acknowledged} in all; the next at {next}"
        ));
        sent == acknowledged && self.sleep_until(until)
    }

    /// Until everything has arrived or failed; once stopped, not much longer.
    fn wait_for_acknowledgements(&self) {
        let mut is_enough = patience(FAREWELL);
        self.sender.finish(|| is_enough(self.is_stopped()));
    }

    /// Before each round: whether there shall be another.
    fn may_go_on(&mut self, round: u64) -> bool {
        if self.is_stopped() || self.refused.is_some() {
            return false;
        }
        if self.updated.elapsed() >= UPDATE {
            self.updated = Instant::now();
            self.progress
                .update(round, self.sender.sent(), self.sender.acknowledged());
            // What failed for good is lost, and more would only be lost with it.
            if self.sender.failure().is_some() {
                return false;
            }
        }
        true
    }

    /// Sends a record in its time. After a stop or an error, no more.
    fn record(&mut self, record: &Record<'_>) {
        if self.refused.is_some() {
            return;
        }
        if let Some(step) = self.step {
            let due = self.pace.next(step);
            if !self.sleep_until(due) {
                return;
            }
        }
        self.refused = self.sender.send(record).err();
    }

    /// False when it was stopped before that time.
    fn sleep_until(&self, time: Instant) -> bool {
        loop {
            if self.is_stopped() {
                return false;
            }
            let left = time.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            self.sender.wait(left.clamp(LEAST, GLANCE));
        }
    }
}

/// When the events of a batch are due.
struct Pace {
    start: Instant,
    events: u64,
}

impl Pace {
    fn new() -> Pace {
        Pace {
            start: Instant::now(),
            events: 0,
        }
    }

    /// When the next event is due. Counted from the start and not from the last
    /// one, so that no delay adds up.
    fn next(&mut self, step: Duration) -> Instant {
        let nanos = step.as_nanos() * u128::from(self.events);
        self.events += 1;
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
