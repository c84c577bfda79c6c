//! What a user can choose.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use events::{TOPICS, Timestamp};

/// Where to send, how much, and of what kind.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Kafka brokers to begin with
    #[arg(long, env = "TIDEMARK_BROKERS", value_name = "HOST:PORT,…")]
    pub brokers: String,

    /// Any property of librdkafka; may be repeated
    #[arg(short = 'X', value_name = "KEY=VALUE", value_parser = property)]
    pub properties: Vec<(String, String)>,

    /// The password of the Kafka user (sasl.password) is in this file
    #[arg(long, value_name = "FILE")]
    pub kafka_password_file: Option<PathBuf>,

    /// Rounds to make, of about five events each [default: 100, or without end with --rate]
    #[arg(long, value_name = "ROUNDS")]
    pub count: Option<u64>,

    /// Make as many rounds again after this time, until interrupted: 1d, 5m, 30s
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub every: Option<Duration>,

    /// Events per second [default: as many as Kafka takes]
    #[arg(long, value_name = "EVENTS", value_parser = rate)]
    pub rate: Option<f64>,

    /// With the same seed, start and options, the same events are made, to the byte [default: random]
    #[arg(long)]
    pub seed: Option<u64>,

    /// Time of the first event, in UTC unless it says otherwise: 2024-11-02T13:45:11 [default: now]
    #[arg(long, value_name = "TIME", value_parser = start)]
    pub start: Option<Timestamp>,

    /// Times inside the events
    #[arg(long, value_enum, default_value_t = Times::Live)]
    pub times: Times,

    /// Share of events whose time is hours in the past
    #[arg(long, value_name = "0..1", default_value_t = 0.0, value_parser = share)]
    pub late: f64,

    /// Share of events that are sent twice
    #[arg(long, value_name = "0..1", default_value_t = 0.0, value_parser = share)]
    pub duplicates: f64,

    /// Share of events that cannot be read
    #[arg(long, value_name = "0..1", default_value_t = 0.0, value_parser = share)]
    pub malformed: f64,

    /// Partitions of the topics that are created; existing ones are left alone
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    pub partitions: i32,

    /// Replicas of the topics that are created
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub replication: i32,

    /// Put before the name of each topic
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub topic_prefix: String,

    /// Topics to fill, without the prefix; the others are created and stay empty [default: all]
    #[arg(long, value_name = "TOPIC,…", value_delimiter = ',', value_parser = TOPICS)]
    pub topics: Vec<String>,

    /// Show no progress, only the result
    #[arg(long)]
    pub quiet: bool,
}

/// Times inside the events.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Times {
    /// Around the time of their sending, slightly out of order
    #[default]
    Live,
    /// Logins anywhere in this month, all others anywhere in this year, up to the start
    Spread,
}

/// All that the events depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Where chance begins.
    pub seed: u64,
    /// Time of the first event.
    pub start: Timestamp,
    /// Events per second of the shop's clock; `None` is one each 5 µs.
    pub rate: Option<f64>,
    /// Times inside the events.
    pub times: Times,
    /// Share of events whose time is hours in the past: 0 to 1.
    pub late: f64,
    /// Share of events that are sent twice: 0 to 1.
    pub duplicates: f64,
    /// Share of events that cannot be read: 0 to 1.
    pub malformed: f64,
    /// Of which topics there are records, in the order of [`TOPICS`].
    pub fills: [bool; TOPICS.len()],
    /// How many products there are at the most; `None`: more and more. Once there are so many,
    /// some are sent again, with another price and stock.
    pub catalogue: Option<usize>,
}

impl Profile {
    /// Good events only, live, of all topics.
    pub fn new(seed: u64, start: Timestamp) -> Profile {
        Profile {
            seed,
            start,
            rate: None,
            times: Times::Live,
            late: 0.0,
            duplicates: 0.0,
            malformed: 0.0,
            fills: [true; TOPICS.len()],
            catalogue: None,
        }
    }
}

impl Options {
    /// The defaults of the command line.
    pub fn new(brokers: &str) -> Options {
        Options {
            brokers: brokers.to_owned(),
            properties: Vec::new(),
            kafka_password_file: None,
            count: None,
            every: None,
            rate: None,
            seed: None,
            start: None,
            times: Times::Live,
            late: 0.0,
            duplicates: 0.0,
            malformed: 0.0,
            partitions: 4,
            replication: 1,
            topic_prefix: String::new(),
            topics: Vec::new(),
            quiet: false,
        }
    }

    /// Whether a topic is to be filled.
    fn fills(&self, topic: &str) -> bool {
        self.topics.is_empty() || self.topics.iter().any(|filled| filled == topic)
    }

    /// Rounds of a batch; `None` is without end.
    pub fn rounds(&self) -> Option<u64> {
        match (self.count, self.rate) {
            (Some(count), _) => Some(count),
            (None, Some(_)) => None,
            (None, None) => Some(100),
        }
    }

    /// What the events depend on. A seed or start that was not chosen is chosen
    /// here, at random and as now.
    pub fn profile(&self) -> Profile {
        Profile {
            seed: self
                .seed
                .unwrap_or_else(|| u64::from(rand::random::<u32>())),
            start: self
                .start
                .unwrap_or_else(|| Timestamp(jiff::Timestamp::now().as_microsecond())),
            rate: self.rate,
            times: self.times,
            late: self.late,
            duplicates: self.duplicates,
            malformed: self.malformed,
            fills: TOPICS.map(|topic| self.fills(topic)),
            catalogue: None,
        }
    }
}

pub(crate) fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, such as linger.ms=5".into()),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let span: jiff::Span = text
        .parse()
        .map_err(|_| "expected a time such as 1d, 5m or 30s")?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "expected a time above zero, in days or less, such as 1d".into())
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1e9).contains(&rate) => Ok(rate),
        _ => Err("expected events per second, from 0.001 to 1000000000".into()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share from 0 to 1".into()),
    }
}

pub(crate) fn start(text: &str) -> Result<Timestamp, String> {
    // Between the years that `jiff` knows, with room for late events before and
    // a long run after.
    Timestamp::parse(text)
        .ok()
        .filter(|time| (0..=253_000_000_000_000_000).contains(&time.as_micros()))
        .ok_or_else(|| "expected a time from 1970 on, such as 2024-11-02T13:45:11".into())
}
