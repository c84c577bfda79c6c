//! The generated shop: what fills the log of a run without Kafka.
//!
//! It begins with two days of history, which is written as fast as it is read, so that
//! there is something to see at once; from then on it is live, at the rate that was asked
//! for. The log keeps only so much that is unread, and the generator waits for it.

use crate::config::Rate;
use crate::names::Names;
use dataflow::ingest::in_process::InProcessLog;
use events::{Products, TOPICS, Timestamp, Topic as _};
use generator::{Profile, Record};
use std::f64::consts::TAU;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Partitions of each topic.
const PARTITIONS: i32 = 4;
/// Products that are sold: so many rows an hour a day-long run ends up with, and not millions.
const PRODUCTS: usize = 2_000;
/// Bytes that may be unread, over all partitions: some fifty thousand events.
const UNREAD: usize = 16 << 20;

const HOUR: i64 = 3_600_000_000;
/// How long the history is.
const HISTORY_HOURS: i64 = 48;
/// How long a round takes at its quietest, in microseconds, and more: no event of the history
/// is ahead of the clock.
const LONGEST_ROUND: i64 = 20_000_000;
/// How many events it has: what is written within some seconds.
const HISTORY_EVENTS: f64 = 100_000.0;
/// By how much the busiest hour of a day has more than the average, and the quietest less.
const SWING: f64 = 0.6;
/// The busiest hour of a day.
const BUSIEST: f64 = 19.0;

/// The shortest wait: a thread that slept for each event of a thousand a second would do
/// little else, and so would the workers that it wakes.
const LEAST: Duration = Duration::from_millis(20);
/// The longest wait without a look at whether the log is closed.
const GLANCE: Duration = Duration::from_millis(100);
/// A shop whose clock differs by more from the time of day, in microseconds, is set right: the
/// machine was asleep, or cannot keep the pace.
const DRIFT: i64 = 2_000_000;
/// Rounds of a shop without pace between two looks at the time of day.
const ROUNDS: usize = 256;

/// The shop and its log. Ends when dropped.
pub struct Shop {
    log: Arc<InProcessLog>,
    generator: Option<JoinHandle<()>>,
}

impl Shop {
    /// A shop with an empty log of `topics`.
    pub fn open(topics: &Arc<[String]>) -> Shop {
        let log = InProcessLog::new(Arc::clone(topics), PARTITIONS, UNREAD);
        Shop {
            log: Arc::new(log),
            generator: None,
        }
    }

    /// What it writes to.
    pub fn log(&self) -> &Arc<InProcessLog> {
        &self.log
    }

    /// Lets the generator write: history, then events at `rate`. The topics' names begin with
    /// `prefix`. Products are told to `names`.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn fill(
        &mut self,
        rate: Rate,
        seed: u64,
        prefix: &str,
        names: Names,
    ) -> std::io::Result<()> {
        let place = |name: &str| {
            let mut topics = self.log.topics().iter();
            topics.position(|topic| topic.strip_prefix(prefix) == Some(name))
        };
        let profile = Profile {
            catalogue: Some(PRODUCTS),
            ..Profile::new(seed, now())
        };
        let generating = Generating {
            shop: generator::Shop::new(&profile),
            output: Output {
                log: Arc::clone(&self.log),
                topics: TOPICS.map(place),
                names,
                pace: None,
                is_closed: false,
            },
        };
        let thread = std::thread::Builder::new().name("generator".into());
        self.generator = Some(thread.spawn(move || generating.run(rate))?);
        Ok(())
    }

    /// Ends the generator: what it has written stays to be read.
    pub fn close(&mut self) {
        self.log.close();
        if let Some(generator) = self.generator.take() {
            // A panic of it has been reported where it happened.
            let _ = generator.join();
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.close();
    }
}

struct Generating {
    shop: generator::Shop,
    output: Output,
}

impl Generating {
    fn run(mut self, rate: Rate) {
        if self.history(now()) {
            self.live(rate);
        }
    }

    /// The hours before `until`. False when the log was closed.
    fn history(&mut self, until: Timestamp) -> bool {
        let until = until.as_micros() - LONGEST_ROUND;
        let mut start = until - HISTORY_HOURS * HOUR;
        for hour in (0..HISTORY_HOURS).rev() {
            self.shop
                .set_pace(Timestamp(start), Some(rate_at(Timestamp(start))));
            let end = until - hour * HOUR;
            while self.shop.now().as_micros() < end {
                if !self.round() {
                    return false;
                }
            }
            self.output.log.wake_readers();
            // Its last round goes beyond the hour.
            start = self.shop.now().as_micros();
        }
        true
    }

    /// From now on, until the log is closed.
    fn live(&mut self, rate: Rate) {
        let rate = match rate {
            #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
            Rate::PerSecond(rate) => Some(rate.get() as f64),
            Rate::Max => None,
        };
        let step = rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
        loop {
            self.shop.set_pace(now(), rate);
            self.output.pace = step.map(Pace::new);
            let mut rounds = 0;
            while rate.is_some() || rounds < ROUNDS {
                if !self.round() {
                    return;
                }
                rounds += 1;
                let drift = now().as_micros() - self.shop.now().as_micros();
                if rate.is_some() && drift.abs() > DRIFT {
                    break;
                }
            }
            self.output.log.wake_readers();
        }
    }

    fn round(&mut self) -> bool {
        let output = &mut self.output;
        self.shop.round(|record| output.take(&record));
        !output.is_closed
    }
}

/// Where records go.
struct Output {
    log: Arc<InProcessLog>,
    /// By the number of the generator's topic: that of the log's, if it is read.
    topics: [Option<usize>; TOPICS.len()],
    names: Names,
    pace: Option<Pace>,
    is_closed: bool,
}

impl Output {
    /// Appends a record in its time; none any more once the log is closed.
    fn take(&mut self, record: &Record<'_>) {
        if self.is_closed {
            return;
        }
        if let Some(pace) = &mut self.pace {
            pace.wait_for_next(&self.log);
        }
        let Some(topic) = self.topics[record.number] else {
            self.is_closed = self.log.is_closed();
            return;
        };
        if record.topic == Products::NAME
            && let Ok(product) = Products::decode(record.value)
            && let Some(name) = &product.name
        {
            self.names.learn(&product.product_id.to_string(), name);
        }
        let timestamp = record.timestamp_ms;
        let is_appended = self.log.append(topic, timestamp, record.key, record.value);
        self.is_closed = !is_appended;
    }
}

/// When events are due.
struct Pace {
    start: Instant,
    step: Duration,
    events: u64,
}

impl Pace {
    fn new(step: Duration) -> Pace {
        Pace {
            start: Instant::now(),
            step,
            events: 0,
        }
    }

    /// Waits until the next event is due, or the log is closed. Counted from the start and
    /// not from the event before, so that no delay adds up.
    fn wait_for_next(&mut self, log: &InProcessLog) {
        let nanos = self.step.as_nanos() * u128::from(self.events);
        let due = self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.events += 1;
        let left = || due.saturating_duration_since(Instant::now());
        if left().is_zero() {
            return;
        }
        log.wake_readers();
        while !left().is_zero() && !log.is_closed() {
            std::thread::sleep(left().clamp(LEAST, GLANCE));
        }
    }
}

/// How many events a second the history has at a time: more in the evening than at night.
fn rate_at(time: Timestamp) -> f64 {
    const SECONDS: f64 = 3_600.0;
    #[allow(clippy::cast_precision_loss, reason = "hours of a day, a constant")]
    let (hour, hours) = (
        time.as_micros().rem_euclid(24 * HOUR) as f64 / HOUR as f64,
        HISTORY_HOURS as f64,
    );
    let wave = 1.0 + SWING * (TAU * (hour - BUSIEST) / 24.0).cos();
    wave * HISTORY_EVENTS / (hours * SECONDS)
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;
