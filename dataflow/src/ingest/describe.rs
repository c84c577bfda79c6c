//! What brokers say of topics: their ids, and how many partitions they have.
//!
//! Kafka gives each incarnation of a topic an id, which the wrapper does not know; so
//! librdkafka is asked here. Every answer is a fresh one: nothing comes from a cache.
//!
//! Brokers learn of a topic that was deleted and made again one after another. So several
//! are asked at the same time, by preference those that lead partitions of the topics, and
//! the answers of all that are quick enough are returned.
#![allow(unsafe_code)]

use super::context::Context;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, c_char};
use std::slice;
use std::time::{Duration, Instant};

/// How long the other brokers have when one has answered.
const GRACE: Duration = Duration::from_millis(50);

/// What one broker says.
pub(super) type Answer = BTreeMap<String, TopicState>;

/// What a broker says of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TopicState {
    /// It is there.
    Exists(Description),
    /// There is no topic of this name.
    Missing,
    /// The broker does not say.
    Unknown(Code),
}

/// A topic that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Description {
    /// The id of this incarnation of it, as Kafka's own tools write it; `None` where
    /// brokers give topics none.
    pub(super) id: Option<String>,
    /// How many partitions it has.
    pub(super) partitions: i32,
    /// The numbers of the brokers that lead them.
    pub(super) leaders: BTreeSet<i32>,
}

/// The brokers there are, by the answer of any of them: their numbers, and the addresses
/// that they advertise.
///
/// # Errors
/// When none has answered within `timeout`.
pub(super) fn brokers(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    timeout: Duration,
) -> Result<Vec<(i32, String)>, KafkaError> {
    // Without a topic, it would be all that there are.
    let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
    let brokers = metadata.brokers().iter();
    Ok(brokers
        .map(|broker| (broker.id(), format!("{}:{}", broker.host(), broker.port())))
        .collect())
}

/// Which of these brokers do not answer within `timeout`, asked for topics.
pub(super) fn silent(
    consumer: &BaseConsumer<Context>,
    topics: &[&str],
    brokers: &[i32],
    timeout: Duration,
) -> Result<Vec<i32>, KafkaError> {
    let deadline = Instant::now() + timeout;
    let mut asked = Vec::new();
    for broker in brokers {
        // One for each, since an answer does not say whose it is.
        let queue = Queue::new(consumer);
        ask(consumer, topics, *broker, timeout, &queue)?;
        asked.push((*broker, queue));
    }
    let is_silent = |queue: &Queue| {
        let left = deadline.saturating_duration_since(Instant::now());
        !matches!(queue.next(left), Some(Ok(_)))
    };
    let silent = asked.iter().filter(|(_, queue)| is_silent(queue));
    Ok(silent.map(|(broker, _)| *broker).collect())
}

/// Asks brokers, by their numbers, for topics. Returns what those say that have answered,
/// one at least.
///
/// # Errors
/// When none has answered within `timeout`.
pub(super) fn describe(
    consumer: &BaseConsumer<Context>,
    topics: &[&str],
    brokers: &[i32],
    timeout: Duration,
) -> Result<Vec<Answer>, KafkaError> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let deadline = Instant::now() + timeout;
    let queue = Queue::new(consumer);
    for broker in brokers {
        ask(consumer, topics, *broker, timeout, &queue)?;
    }
    let mut answers = Vec::new();
    let mut failed = Code::OperationTimedOut;
    let mut until = deadline;
    for _ in brokers {
        match queue.next(until.saturating_duration_since(Instant::now())) {
            None => break,
            Some(Ok(answer)) => {
                answers.push(answer);
                until = deadline.min(Instant::now() + GRACE);
            }
            Some(Err(code)) => failed = code,
        }
    }
    match answers.is_empty() {
        true => Err(KafkaError::MetadataFetch(failed)),
        false => Ok(answers),
    }
}

/// The id of the cluster that the client is connected to, as its last answer had it. `None`
/// where it has none, or nothing was asked yet.
pub(super) fn cluster_id(consumer: &BaseConsumer<Context>) -> Option<String> {
    let client = consumer.client().native_ptr();
    // SAFETY: the client is that of the consumer. What is returned is a string of its own,
    // which is copied and then given back once.
    unsafe {
        let text = native::rd_kafka_clusterid(client, 0);
        if text.is_null() {
            return None;
        }
        let id = CStr::from_ptr(text).to_string_lossy().into_owned();
        native::rd_kafka_mem_free(client, text.cast());
        Some(id)
    }
}

/// The form that Kafka's own tools give the id of a topic. `None` for the one that stands
/// for none.
fn id_text(most: i64, least: i64) -> Option<String> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&most.to_be_bytes());
    bytes[8..].copy_from_slice(&least.to_be_bytes());
    (bytes != [0; 16]).then(|| BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Sends the question; the answer comes through `queue`.
fn ask(
    consumer: &BaseConsumer<Context>,
    topics: &[&str],
    broker: i32,
    timeout: Duration,
    queue: &Queue,
) -> Result<(), KafkaError> {
    let wrong = || KafkaError::MetadataFetch(Code::InvalidArgument);
    let names = topics.iter().map(|name| CString::new(*name));
    let names: Vec<CString> = names.collect::<Result<_, _>>().map_err(|_| wrong())?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let client = consumer.client().native_ptr();
    // SAFETY: the client is that of the consumer, which outlives the calls; the names live
    // until they have been copied. What is made here is given back here; the request keeps
    // copies of its own. A null message says that the text of an error is not asked for.
    unsafe {
        let options = native::rd_kafka_AdminOptions_new(
            client,
            native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        let mut text = [0 as c_char; 128];
        let (text, room) = (text.as_mut_ptr(), text.len());
        native::rd_kafka_AdminOptions_set_request_timeout(options, millis.max(1), text, room);
        native::rd_kafka_AdminOptions_set_broker(options, broker, text, room);
        let collection =
            native::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        native::rd_kafka_DescribeTopics(client, collection, options, queue.0);
        native::rd_kafka_TopicCollection_destroy(collection);
        native::rd_kafka_AdminOptions_destroy(options);
    }
    Ok(())
}

/// Where answers come.
struct Queue(*mut native::rd_kafka_queue_t);

impl Queue {
    fn new(consumer: &BaseConsumer<Context>) -> Queue {
        // SAFETY: the client is that of the consumer, which outlives this queue.
        Queue(unsafe { native::rd_kafka_queue_new(consumer.client().native_ptr()) })
    }

    /// The next answer, or why a broker gives none; `None` where there is none in time.
    fn next(&self, timeout: Duration) -> Option<Result<Answer, Code>> {
        // Rounded up, so that a wait of less than a millisecond is one.
        let millis = i32::try_from(timeout.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
        // SAFETY: the queue is there until `self` is dropped. The event is read before it is
        // given back, and it is given back once.
        unsafe {
            let event = native::rd_kafka_queue_poll(self.0, millis);
            if event.is_null() {
                return None;
            }
            let error = Code::from(native::rd_kafka_event_error(event));
            let answer = match error {
                Code::NoError => {
                    let result = native::rd_kafka_event_DescribeTopics_result(event);
                    (!result.is_null()).then(|| answer(result))
                }
                _ => None,
            };
            native::rd_kafka_event_destroy(event);
            Some(answer.ok_or(error))
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: it was made for this value, and is given back once.
        unsafe { native::rd_kafka_queue_destroy(self.0) }
    }
}

/// Copies what an answer says.
///
/// # Safety
/// The result has to be one of `rd_kafka_DescribeTopics`, of an event that is not
/// destroyed yet.
unsafe fn answer(result: *const native::rd_kafka_DescribeTopics_result_t) -> Answer {
    let mut count = 0;
    // SAFETY: by the contract of this function; the array has so many elements, and they
    // live as long as the event.
    unsafe {
        let topics = native::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        let topics = elements(topics, count).iter().copied();
        topics.map(|topic| (name(topic), state(topic))).collect()
    }
}

unsafe fn name(topic: *const native::rd_kafka_TopicDescription_t) -> String {
    // SAFETY: the topic is one of a result that lives, and so is its name.
    let name = unsafe { CStr::from_ptr(native::rd_kafka_TopicDescription_name(topic)) };
    name.to_string_lossy().into_owned()
}

unsafe fn state(topic: *const native::rd_kafka_TopicDescription_t) -> TopicState {
    // SAFETY: the topic is one of a result that lives, and so is all that it points to.
    unsafe {
        let error = native::rd_kafka_TopicDescription_error(topic);
        match Code::from(native::rd_kafka_error_code(error)) {
            Code::NoError => {}
            Code::UnknownTopicOrPartition | Code::UnknownTopic => return TopicState::Missing,
            code => return TopicState::Unknown(code),
        }
        let id = native::rd_kafka_TopicDescription_topic_id(topic);
        let id = (!id.is_null()).then(|| {
            let most = native::rd_kafka_Uuid_most_significant_bits(id);
            (most, native::rd_kafka_Uuid_least_significant_bits(id))
        });
        let mut count = 0;
        let partitions = native::rd_kafka_TopicDescription_partitions(topic, &mut count);
        let leaders = elements(partitions, count).iter().filter_map(|partition| {
            let leader = native::rd_kafka_TopicPartitionInfo_leader(*partition);
            (!leader.is_null()).then(|| native::rd_kafka_Node_id(leader))
        });
        TopicState::Exists(Description {
            id: id.and_then(|(most, least)| id_text(most, least)),
            partitions: i32::try_from(count).unwrap_or(i32::MAX),
            leaders: leaders.filter(|leader| *leader >= 0).collect(),
        })
    }
}

unsafe fn elements<'a, T>(first: *mut *const T, count: usize) -> &'a [*const T] {
    match first.is_null() || count == 0 {
        true => &[],
        // SAFETY: the client points to so many of them.
        false => unsafe { slice::from_raw_parts(first, count) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::client::Connection;
    use end_to_end::Scene;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn ids_are_written_as_kafka_s_tools_do() {
        assert_eq!(id_text(0, 0), None);
        // Kafka's own reserved id.
        assert_eq!(id_text(0, 1).as_deref(), Some("AAAAAAAAAAAAAAAAAAAAAQ"));
        assert_eq!(id_text(-1, -1).as_deref(), Some("_____________________w"));
    }

    #[test]
    fn topics_are_described_by_each_broker_that_is_asked() {
        let scene = Scene::without_topics("described");
        scene.create("sales", 4, 2);
        let (name, missing) = (scene.topic("sales"), scene.topic("nothing"));
        let connection = Connection {
            brokers: scene.services.brokers.clone(),
            properties: BTreeMap::new(),
        };
        let consumer = connection.prober().unwrap();
        let all = brokers(&consumer, &name, PATIENCE).unwrap();
        let all: Vec<i32> = all.into_iter().map(|(broker, _)| broker).collect();
        assert_eq!(all.len(), 2);
        let one = &all[..1];
        let whole = describe(&consumer, &[&name, &missing], one, PATIENCE).unwrap();
        assert_eq!(whole.len(), 1);
        assert_eq!(whole[0][&missing], TopicState::Missing);
        let TopicState::Exists(sales) = &whole[0][&name] else {
            panic!("{whole:?}");
        };
        assert_eq!(sales.partitions, 4);
        assert!(sales.id.is_some());
        assert!(cluster_id(&consumer).is_some());

        let asked: Vec<_> = sales.leaders.iter().copied().collect();
        assert!(!asked.is_empty());
        let answers = describe(&consumer, &[&name], &asked, PATIENCE).unwrap();
        // The others may be slower than the grace.
        assert!((1..=asked.len()).contains(&answers.len()));
        for answer in answers {
            assert_eq!(answer[&name], TopicState::Exists(sales.clone()));
        }
        assert_eq!(describe(&consumer, &[], one, PATIENCE).unwrap(), []);
    }

    #[test]
    fn nobody_answers() {
        let connection = Connection {
            brokers: "127.0.0.1:9".to_owned(),
            properties: BTreeMap::new(),
        };
        let consumer = connection.prober().unwrap();
        let timeout = Duration::from_millis(200);
        assert!(brokers(&consumer, "sales", timeout).is_err());
        assert!(describe(&consumer, &["sales"], &[1], timeout).is_err());
    }
}
