//! What this process's Kafka clients say by themselves: where partitions end, and why brokers
//! cannot be reached.

use client::Reason;
use model::lock;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::statistics::Statistics;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
        let ends = lock(&self.ends);
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
        let mut complaints = lock(&self.complaints);
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
        let mut ends = lock(&self.ends);
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
