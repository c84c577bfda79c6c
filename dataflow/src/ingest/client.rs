//! How this process's Kafka clients are configured, and what they say.

use client::{PropertyError, Reason, trust};
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::statistics::Statistics;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How to reach Kafka.
#[derive(Clone, Debug)]
pub struct Connection {
    /// `host:port`, comma separated.
    pub brokers: String,
    /// Further librdkafka properties, as the user gave them.
    pub properties: BTreeMap<String, String>,
}

/// Properties that the guarantees rest on, with the value each must have.
///
/// Offsets live with the results, never in a consumer group; an offset that
/// Kafka no longer has must be an error and not a silent jump; the end of a
/// partition must be told, since what lies before it can be invisible
/// (compacted, or the markers of transactions).
const FIXED: [(&str, &str); 4] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
];

/// Of a reader: from its statistics it is known whether a partition's broker
/// answers, and so whether the partition is idle.
const STATISTICS: (&str, &str) = ("statistics.interval.ms", "1000");

/// Whether the checksums of batches are compared.
const CHECKSUMS: &str = "check.crcs";
/// Whether messages of transactions are read that are open, or were aborted.
const ISOLATION: &str = "isolation.level";

/// What a reader may fetch ahead, over all its partitions: the client's own
/// limits are for each partition.
const AHEAD_KBYTES: usize = 128 * 1_024;
const AHEAD_MESSAGES: usize = 400_000;

/// How many bytes a broker waits for before it answers, if they come soon enough. By the
/// client's default one is enough, so that a reader that keeps up asks and is answered for
/// every few messages, which costs the brokers more than all else that they do for it.
const WORTH_AN_ANSWER: usize = 256 * 1_024;
/// The longest that a broker may wait for them: so that little is added to what an event
/// waits for the end of its epoch.
const WAIT: Duration = Duration::from_millis(25);
/// A request names each partition, so that many of them are asked for less often: longer
/// by so much for each, up to so much.
const WAIT_A_PARTITION: Duration = Duration::from_micros(200);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

impl Connection {
    /// The configuration of a consumer that reads so many partitions, and is
    /// polled all the time, by one whose epochs are so long.
    pub fn reader(&self, partitions: usize, epoch: Duration) -> ClientConfig {
        let wait = wait(partitions, epoch);
        let share = |all: usize, least, most| (all / partitions.max(1)).clamp(least, most);
        let kbytes = share(AHEAD_KBYTES, 256, 32_768);
        let messages = share(AHEAD_MESSAGES, 1_000, 100_000);
        self.consumer(&[
            (STATISTICS.0, STATISTICS.1.to_owned()),
            ("fetch.min.bytes", WORTH_AN_ANSWER.to_string()),
            ("fetch.wait.max.ms", wait.as_millis().to_string()),
            ("queued.max.messages.kbytes", kbytes.to_string()),
            ("queued.min.messages", messages.to_string()),
        ])
    }

    fn consumer(&self, defaults: &[(&str, String)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", "tidemark")
            // Needed by the client, though no group is ever joined.
            .set("group.id", "tidemark")
            .set("fetch.error.backoff.ms", "100")
            // By the client's default, a byte that flipped on a broker's disk is read.
            .set(CHECKSUMS, "true")
            .set("reconnect.backoff.max.ms", "2000")
            .set("allow.auto.create.topics", "false");
        for (key, value) in defaults {
            config.set(*key, value);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        for (key, value) in FIXED {
            config.set(key, value);
        }
        trust(&mut config);
        config.set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    /// What some of the properties that the user gave cost, as sentences.
    pub fn warnings(&self) -> Vec<String> {
        // What the client makes of a value that it may be given in several ways.
        let Ok(config) = self.asker().create_native_config() else {
            return Vec::new();
        };
        let is = |name: &str, value: &str| config.get(name).is_ok_and(|set| set == value);
        let mut warnings = Vec::new();
        if is(CHECKSUMS, "false") {
            warnings.push(format!(
                "Kafka property {CHECKSUMS}=false: messages that were damaged on a broker's disk \
                 or on the way are not noticed. They are counted as they are, or are dead letters \
                 as if a producer had sent them so"
            ));
        }
        if is(ISOLATION, "read_uncommitted") {
            warnings.push(format!(
                "Kafka property {ISOLATION}=read_uncommitted: messages of transactions that are \
                 aborted are counted too"
            ));
        }
        warnings
    }

    /// The configuration of a consumer that only asks questions.
    pub fn asker(&self) -> ClientConfig {
        self.consumer(&[])
    }

    /// The configuration of a consumer that reads single messages, and as little beyond
    /// them as may be.
    pub fn single(&self) -> ClientConfig {
        self.consumer(&[
            ("fetch.min.bytes", "1".to_owned()),
            ("fetch.message.max.bytes", "1".to_owned()),
            ("queued.min.messages", "1".to_owned()),
        ])
    }

    /// A consumer that only asks questions. It connects by itself, without being asked
    /// anything yet.
    ///
    /// # Errors
    /// The first property of those that the user gave that does not exist, does not take
    /// its value, or may not be changed; its value, which may be a secret, is not told.
    /// Else what is wrong with all of them together, by the words of the client.
    pub fn prober(&self) -> Result<BaseConsumer<Context>, PropertyError> {
        self.check()?;
        // From its statistics it is known which brokers it does not reach.
        let mut config = self.asker();
        config.set(STATISTICS.0, STATISTICS.1);
        let consumer = config.create_with_context(Context::default());
        consumer.map_err(|error| {
            let problem = format!("they do not fit together: {error}");
            PropertyError::new("values", problem)
        })
    }

    /// Checks the properties that the user gave.
    fn check(&self) -> Result<(), PropertyError> {
        for (name, value) in &self.properties {
            let fixed = FIXED.iter().chain([&STATISTICS]);
            let fixed = fixed.into_iter().find(|(key, _)| key == name);
            if let Some((_, needed)) = fixed.filter(|(_, needed)| needed != value) {
                return Err(PropertyError::new(name, format!("it has to be {needed}")));
            }
        }
        let given = self.properties.iter();
        client::check(given.map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// How long a broker may wait for what is worth an answer.
fn wait(partitions: usize, epoch: Duration) -> Duration {
    let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
    let of_partitions = WAIT_A_PARTITION.saturating_mul(partitions);
    // Without any, it would answer with nothing, again and again.
    let of_epoch = (epoch / 4).clamp(Duration::from_millis(1), WAIT);
    of_epoch.max(of_partitions).min(LONGEST_WAIT)
}

/// A complaint is not repeated within this time: a client that cannot connect
/// says so many times a second.
const QUIET: Duration = Duration::from_secs(10);

/// Hears what a client says by itself.
#[derive(Default)]
pub struct Context {
    /// What was complained of lately, and when.
    complaints: Mutex<HashMap<String, Instant>>,
    /// Topic → partition → the end of the partition, as last heard.
    ends: Mutex<HashMap<String, HashMap<i32, End>>>,
    /// How much has been heard.
    heard: AtomicU64,
    /// Why it cannot connect to brokers, as last heard.
    complaints_of: Mutex<Complaints>,
    /// The brokers that it has been told of and tries to reach in vain, as last heard: their
    /// numbers, and the addresses that they advertise.
    sought: Mutex<BTreeMap<i32, String>>,
    /// Whether what is heard of connections is reported by somebody else.
    is_quiet: AtomicBool,
}

/// Why a client cannot connect, as last heard.
#[derive(Debug, Default)]
struct Complaints {
    /// The last of all.
    last: Option<Complaint>,
    /// By the address of the broker.
    brokers: HashMap<String, Complaint>,
}

/// Why a client cannot connect.
#[derive(Clone, Debug)]
pub(super) struct Complaint {
    /// The class of error.
    pub(super) code: Option<RDKafkaErrorCode>,
    /// Where, and what went wrong.
    pub(super) text: String,
    /// What went wrong, without saying where.
    pub(super) detail: String,
}

/// The end of a partition, as last heard.
#[derive(Clone, Copy)]
struct End {
    /// The offset that its next message will have.
    offset: i64,
    /// The last stable offset: nothing from there on is delivered.
    stable: i64,
    /// When its broker was last heard to answer.
    heard: Option<Instant>,
    /// The next offset that the client asks for: beyond that of its next message where
    /// transactions that were aborted are passed.
    fetching: i64,
    /// How often its broker has answered anything.
    answers: u64,
}

/// What a partition's log holds beyond an offset.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// Where it ends, as far as it can be read.
    pub(super) end: i64,
    /// The next offset that the client asks for.
    pub(super) fetching: i64,
    /// How often its broker has answered anything.
    pub(super) answers: u64,
}

/// A broker that is asked for messages answers at least this often, be it that
/// there are none: in microseconds.
const ANSWERS: i64 = 3_000_000;
/// What was heard longer ago than this says nothing of now.
const STALE: Duration = Duration::from_secs(5);

/// Lets a client say what it has to say, and calls `each` with what comes
/// through its main queue.
///
/// What the client tells its context (statistics) is `None` to whoever polls,
/// as if nothing had come: without a look at the context, more of it might be
/// queued than is ever taken out.
pub fn serve(
    consumer: &BaseConsumer<Context>,
    mut each: impl FnMut(Result<BorrowedMessage<'_>, KafkaError>),
) {
    loop {
        let heard = consumer.context().heard.load(Ordering::Relaxed);
        match consumer.poll(Duration::ZERO) {
            Some(event) => each(event),
            None if consumer.context().heard.load(Ordering::Relaxed) == heard => return,
            None => {}
        }
    }
}

impl Context {
    /// Where a partition ends, as last heard: about a second old. First its last stable
    /// offset, up to which messages are delivered, then the offset that its next message
    /// will have; they differ while a transaction is open. `None` before anything was heard.
    pub fn ends(&self, topic: &str, partition: i32) -> Option<(i64, i64)> {
        let end = self.heard_end(topic, partition);
        end.map(|end| (end.stable, end.offset))
    }

    /// Whether a partition's broker answers, and says that the partition ends here.
    pub(super) fn is_end(&self, topic: &str, partition: i32, offset: i64) -> bool {
        self.heard_end(topic, partition).is_some_and(|end| {
            let heard = end.heard.is_some_and(|heard| heard.elapsed() < STALE);
            heard && end.offset <= offset
        })
    }

    /// What can be read of a partition from an offset on, if there is anything, and its
    /// broker answers.
    pub(super) fn ahead(&self, topic: &str, partition: i32, offset: i64) -> Option<Ahead> {
        let end = self.heard_end(topic, partition)?;
        let heard = end.heard.is_some_and(|heard| heard.elapsed() < STALE);
        (heard && end.stable > offset).then_some(Ahead {
            end: end.stable,
            fetching: end.fetching,
            answers: end.answers,
        })
    }

    fn heard_end(&self, topic: &str, partition: i32) -> Option<End> {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.get(topic)?.get(&partition).copied()
    }

    /// Why the client cannot connect, as last heard; its answers to questions do not say.
    pub(super) fn complaint(&self) -> Option<Complaint> {
        lock(&self.complaints_of).last.clone()
    }

    /// Why the client cannot connect to the broker with this address, as last heard.
    pub(super) fn complaint_of(&self, address: &str) -> Option<Complaint> {
        lock(&self.complaints_of).brokers.get(address).cloned()
    }

    /// The brokers that the client has been told of and tries to reach in vain: their numbers,
    /// and the addresses that they advertise.
    pub(super) fn sought(&self) -> BTreeMap<i32, String> {
        lock(&self.sought).clone()
    }

    /// Forgets why, since it may be over.
    pub(super) fn forget_complaints(&self) {
        *lock(&self.complaints_of) = Complaints::default();
    }

    /// Whether somebody reports by [`Context::complaint`] why the client cannot connect, so that
    /// it need not be reported here too.
    pub(super) fn set_quiet(&self, is_quiet: bool) {
        self.is_quiet.store(is_quiet, Ordering::Relaxed);
    }

    /// Takes up why the client cannot connect.
    fn complain(&self, code: Option<RDKafkaErrorCode>, said: &str) {
        let reason = Reason::parse(said);
        // That an idle connection was closed is no reason.
        if code.is_none() && reason.is_none() {
            return;
        }
        let complaint = Complaint {
            code,
            text: reason.as_ref().map_or_else(
                || said.to_owned(),
                |Reason {
                     address, detail, ..
                 }| format!("{address}: {detail}"),
            ),
            detail: reason
                .as_ref()
                .map_or_else(|| said.to_owned(), |reason| reason.detail.clone()),
        };
        let mut complaints = lock(&self.complaints_of);
        if let Some(Reason { address, .. }) = reason {
            complaints.brokers.insert(address, complaint.clone());
        }
        complaints.last = Some(complaint);
    }

    /// Whether a complaint is new, or old enough to be repeated. Notes it.
    pub fn is_news(&self, complaint: &str) -> bool {
        let mut complaints = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        complaints.retain(|_, said| now - *said < QUIET);
        let news = !complaints.contains_key(complaint);
        if news {
            complaints.insert(complaint.to_owned(), now);
        }
        news
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        match level {
            // What these say comes as an error as well, unless it is less than one.
            _ if matches!(facility, "FAIL" | "ERROR") => {
                if facility == "FAIL" && !matches!(level, RDKafkaLogLevel::Error) {
                    let said = message.split_once("]: ").map_or(message, |(_, said)| said);
                    self.complain(None, said);
                }
                tracing::debug!(facility, "Kafka client: {message}");
            }
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
                if self.is_news(facility) =>
            {
                tracing::warn!(facility, "Kafka client: {message}");
            }
            _ => tracing::debug!(facility, "Kafka client: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        // The end of a partition comes to its reader as well; it is no error.
        if matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::PartitionEOF)
        ) {
            return;
        }
        // That it has tried all of them is no reason, and each has been reported.
        let is_reason = error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown);
        if is_reason {
            self.complain(error.rdkafka_error_code(), reason);
        }
        let is_loud = is_reason && !self.is_quiet.load(Ordering::Relaxed);
        if is_loud && self.is_news(&error.to_string()) {
            tracing::warn!("Kafka client: {error}: {reason}");
        } else {
            tracing::debug!("Kafka client: {error}: {reason}");
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        let answering: HashMap<i32, u64> = statistics
            .brokers
            .values()
            .filter(|broker| broker.state == "UP" && (0..ANSWERS).contains(&broker.rxidle))
            .map(|broker| (broker.nodeid, broker.rx))
            .collect();
        // Those in no other state are connected, or nobody needs them.
        const SEEKING: [&str; 5] = [
            "DOWN",
            "TRY_CONNECT",
            "CONNECT",
            "SSL_HANDSHAKE",
            "APIVERSION_QUERY",
        ];
        let sought = statistics.brokers.values().filter(|broker| {
            let state = broker.state.as_str();
            let is_seeking = SEEKING.contains(&state) || state.starts_with("AUTH");
            broker.nodeid >= 0 && is_seeking
        });
        let sought = sought.map(|broker| (broker.nodeid, broker.nodename.clone()));
        *lock(&self.sought) = sought.collect();
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, topic) in statistics.topics {
            let known = ends.entry(name).or_default();
            for (partition, state) in topic.partitions {
                if partition >= 0 && state.hi_offset >= 0 {
                    let asked = state.fetch_state == "active";
                    let answers = answering.get(&state.broker).copied();
                    let heard = asked && answers.is_some();
                    let end = End {
                        offset: state.hi_offset,
                        // Of brokers without transactions it is not known.
                        stable: match state.ls_offset {
                            stable if stable >= 0 => stable.min(state.hi_offset),
                            _ => state.hi_offset,
                        },
                        heard: heard.then(Instant::now),
                        fetching: state.next_offset,
                        answers: answers.unwrap_or(0),
                    };
                    known.insert(partition, end);
                }
            }
        }
    }
}

impl ConsumerContext for Context {}

/// A lock whose content is good whatever its last owner did.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> String {
        let properties = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let connection = Connection {
            brokers: "localhost:1".to_owned(),
            properties,
        };
        connection
            .prober()
            .map_or_else(|error| error.to_string(), |_| "fine".to_owned())
    }

    #[test]
    fn checksums_are_compared_unless_it_is_asked_not_to_and_then_it_is_said() {
        let connection = |properties: &[(&str, &str)]| Connection {
            brokers: "localhost:1".to_owned(),
            properties: properties
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        for given in [&[][..], &[("check.crcs", "true")]] {
            let connection = connection(given);
            let reader = connection.reader(1, Duration::from_millis(100));
            assert_eq!(reader.get("check.crcs"), Some("true"));
            assert_eq!(connection.warnings(), Vec::<String>::new());
        }
        for off in ["false", "0", "F"] {
            let connection = connection(&[("check.crcs", off)]);
            let reader = connection.reader(1, Duration::from_millis(100));
            assert_eq!(reader.get("check.crcs"), Some(off));
            let warnings = connection.warnings();
            assert!(
                warnings[0].starts_with("Kafka property check.crcs=false: "),
                "{warnings:?}"
            );
        }
        let warnings = connection(&[("isolation.level", "read_uncommitted")]).warnings();
        assert!(
            warnings[0].contains("aborted are counted too"),
            "{warnings:?}"
        );
    }

    #[test]
    fn brokers_wait_for_less_than_an_epoch_unless_partitions_are_many() {
        let millis = |partitions, epoch| wait(partitions, Duration::from_millis(epoch)).as_millis();
        assert_eq!(millis(24, 100), 25);
        assert_eq!(millis(24, 1_000), 25);
        assert_eq!(millis(1, 10), 2);
        assert_eq!(millis(1, 1), 1);
        assert_eq!(millis(250, 100), 50);
        assert_eq!(millis(10_000, 100), 100);
        assert_eq!(millis(usize::MAX, 100), 100);
    }

    #[test]
    fn properties_are_checked_without_telling_their_values() {
        assert_eq!(check("sasl.password", "hunter2"), "fine");
        assert_eq!(check("enable.auto.commit", "false"), "fine");
        assert_eq!(
            check("enable.auto.commit", "true"),
            "Kafka property enable.auto.commit: it has to be false"
        );
        assert_eq!(
            check("sasl.pasword", "hunter2"),
            "Kafka property sasl.pasword: librdkafka has no such property"
        );
        assert_eq!(
            check("fetch.wait.max.ms", "hunter2"),
            "Kafka property fetch.wait.max.ms: librdkafka does not take its value, or is built without it"
        );
    }
}
