//! The way into Kafka.
//!
//! Every message is to be stored by all in-sync replicas, once: `acks=all` and an
//! idempotent producer. The client's queue is bounded; when it is full, this waits
//! for acknowledgements, which is how a slow broker slows the shop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use crate::error::Error;
use crate::options::Options;
use crate::report::TopicReport;
use crate::shop::Record;

const TOPICS: usize = events::TOPICS.len();

/// Messages between two looks at what has been acknowledged.
const POLL_EVERY: u64 = 64;

/// The settings of a client: ours, then the user's.
///
/// # Errors
/// When a file that they name cannot be read.
pub(crate) fn settings(options: &Options) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.brokers)
        .set("client.id", "tidemark-generator")
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        .set("linger.ms", "20")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.messages", "200000")
        // A broker may be away for a while; after two minutes it is gone.
        .set("message.timeout.ms", "120000")
        // As Kafka's own clients choose the partition of a key.
        .set("partitioner", "murmur2_random");
    for (key, value) in &options.properties {
        config.set(key, value);
    }
    if let Some(file) = &options.kafka_password_file {
        let unreadable = |error| Error::Settings(format!("{}: {error}", file.display()));
        let password = std::fs::read_to_string(file).map_err(unreadable)?;
        // Whole, but for the end of its line, as tidemark takes it.
        config.set("sasl.password", password.trim_end_matches(['\r', '\n']));
    }
    let mut given: Vec<(&str, &str)> = options.properties.iter().map(pair).collect();
    if let (Some(_), Some(password)) = (&options.kafka_password_file, config.get("sasl.password")) {
        given.push(("sasl.password", password));
    }
    client::check(&given)?;
    client::trust(&mut config);
    Ok(config)
}

fn pair((name, value): &(String, String)) -> (&str, &str) {
    (name, value)
}

pub(crate) struct Sender {
    producer: BaseProducer<Deliveries>,
    brokers: String,
    topics: Vec<String>,
    sent: [u64; TOPICS],
    total: u64,
}

impl Sender {
    pub(crate) fn new(options: &Options) -> Result<Sender, Error> {
        let producer = settings(options)?
            .create_with_context(Deliveries::default())
            .map_err(|error| Error::Settings(error.to_string()))?;
        let name = |topic: &&str| format!("{}{topic}", options.topic_prefix);
        Ok(Sender {
            producer,
            brokers: options.brokers.clone(),
            topics: events::TOPICS.iter().map(name).collect(),
            sent: [0; TOPICS],
            total: 0,
        })
    }

    pub(crate) fn producer(&self) -> &BaseProducer<Deliveries> {
        &self.producer
    }

    /// The topics with their prefix.
    pub(crate) fn topics(&self) -> &[String] {
        &self.topics
    }

    /// Hands a record to the client, and waits while its queue is full.
    pub(crate) fn send(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let topic = &self.topics[record.number];
        let mut message = BaseRecord::with_opaque_to(topic, record.number)
            .payload(record.value)
            .timestamp(record.timestamp_ms);
        if let Some(key) = record.key {
            message = message.key(key);
        }
        loop {
            match self.producer.send(message) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    message = again;
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => {
                    return Err(Error::Send {
                        topic: topic.clone(),
                        brokers: self.brokers.clone(),
                        reason: self.reason(&error),
                    });
                }
            }
        }
        self.sent[record.number] += 1;
        self.total += 1;
        if self.total.is_multiple_of(POLL_EVERY) {
            self.producer.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Waits, and takes acknowledgements.
    pub(crate) fn wait(&self, time: Duration) {
        // The client's own wait spins through its last millisecond.
        std::thread::sleep(time);
        self.producer.poll(Duration::ZERO);
    }

    /// Waits until every message has arrived or failed, or until `give_up` says so.
    pub(crate) fn finish(&self, mut give_up: impl FnMut() -> bool) {
        while self.producer.in_flight_count() > 0 && !give_up() {
            // What the linger time still holds back is sent at once.
            let _ = self.producer.flush(Duration::from_millis(50));
        }
    }

    /// Messages handed to the client.
    pub(crate) fn sent(&self) -> u64 {
        self.total
    }

    /// Messages that have arrived.
    pub(crate) fn acknowledged(&self) -> u64 {
        let counts = &self.producer.context().acknowledged;
        counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    /// Why the first message that did not arrive did not, if there is one.
    pub(crate) fn failure(&self) -> Option<String> {
        let context = self.producer.context();
        let failure = locked(&context.failure).clone()?;
        Some(match &*locked(&context.problem) {
            Some(problem) => format!("{failure} ({problem})"),
            None => failure,
        })
    }

    /// What is wrong: what the client said of itself last, or else the error.
    pub(crate) fn reason(&self, error: &KafkaError) -> String {
        self.producer.poll(Duration::from_millis(100));
        let problem = locked(&self.producer.context().problem).clone();
        problem.unwrap_or_else(|| error.to_string())
    }

    pub(crate) fn report(&self) -> Vec<TopicReport> {
        let acknowledged = &self.producer.context().acknowledged;
        (self.topics.iter().zip(self.sent).zip(acknowledged))
            .map(|((topic, sent), acknowledged)| TopicReport {
                topic: topic.clone(),
                sent,
                acknowledged: acknowledged.load(Ordering::Relaxed),
            })
            .collect()
    }
}

/// Counts what arrives, and keeps what the client says instead of printing it: one
/// clear line at the end is worth more than its many.
#[derive(Default)]
pub(crate) struct Deliveries {
    acknowledged: [AtomicU64; TOPICS],
    failure: Mutex<Option<String>>,
    problem: Mutex<Option<String>>,
}

impl ClientContext for Deliveries {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let all_down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        // That all are down says less than why one of them is.
        let mut problem = locked(&self.problem);
        if !all_down || problem.is_none() {
            *problem = Some(match client::Reason::parse(reason) {
                Some(reason) => format!("{}: {}", reason.address, reason.detail),
                None => reason.to_owned(),
            });
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(_) => {
                self.acknowledged[number].fetch_add(1, Ordering::Relaxed);
            }
            Err((error, message)) => {
                locked(&self.failure)
                    .get_or_insert_with(|| format!("topic {}: {error}", message.topic()));
            }
        }
    }
}

/// A lock whose content is good whatever its last owner did.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// True once `time` has passed since the first call that `active` let through.
pub(crate) fn patience(time: Duration) -> impl FnMut(bool) -> bool {
    let mut since: Option<Instant> = None;
    move |active| active && since.get_or_insert_with(Instant::now).elapsed() >= time
}
