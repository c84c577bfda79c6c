//! The last message that was read of each partition: whether it still stands at its offset.
//!
//! Kafka can lose messages that were read, when a broker that does not have all of them
//! becomes the leader of a partition; others come under their offsets. And a topic of brokers
//! that give topics no ids is known by its messages alone. So the last message of each
//! partition is kept with what was made of it, as far as it takes to recognize it, and
//! looked up when a run begins.

use super::client::Connection;
use super::context::Context;
use super::queue::{Next, Queue, Reported};
use super::source::SourceError;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::{Offset, bindings as native};
use sinks::LastRead;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Messages taken at once.
const AT_ONCE: usize = 256;
/// How long one wait for messages may take.
const WAIT: Duration = Duration::from_millis(100);

/// A partition: the full name of its topic, and its number.
pub type Partition = (String, i32);

/// What stands at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// This message.
    Message(LastRead),
    /// None any more: it has expired, or was compacted.
    Nothing,
}

/// A checksum of a message.
pub(super) fn hash(key: Option<&[u8]>, value: Option<&[u8]>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in [key, value] {
        // The length first, so that what is at the end of one is not at the start of the other.
        let length = part.map_or(u64::MAX, |bytes| bytes.len() as u64);
        hasher.update(&length.to_le_bytes());
        hasher.update(part.unwrap_or_default());
    }
    hasher.finalize()
}

/// Looks up what stands at the offsets of messages that were read, of partitions that have
/// later ones. Returns what was found until `timeout`, or until `stopping` is set.
///
/// # Errors
/// When the client does not take its configuration.
pub fn look_up(
    connection: &Connection,
    wanted: &BTreeMap<Partition, LastRead>,
    timeout: Duration,
    stopping: &AtomicBool,
) -> Result<BTreeMap<Partition, Found>, SourceError> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let client = |error: rdkafka::error::KafkaError| SourceError::Client(error.to_string());
    let consumer = connection.single().create_with_context(Context::default());
    let consumer: Arc<BaseConsumer<Context>> = Arc::new(consumer.map_err(client)?);
    let mut queue = Queue::of_all(&consumer)
        .ok_or_else(|| SourceError::Client("a consumer has no queue".to_owned()))?;
    let mut list = TopicPartitionList::new();
    for ((topic, partition), last) in wanted {
        let offset = Offset::Offset(last.offset);
        list.add_partition_offset(topic, *partition, offset)
            .map_err(client)?;
    }
    consumer.assign(&list).map_err(client)?;
    let deadline = Instant::now() + timeout;
    while found.len() < wanted.len()
        && Instant::now() < deadline
        && !stopping.load(Ordering::Relaxed)
    {
        queue.take_of_all(AT_ONCE, WAIT, |topic, partition, next| {
            let place = (topic.to_owned(), partition);
            // What comes after the first says nothing more.
            let Some(last) = wanted.get(&place).filter(|_| !found.contains_key(&place)) else {
                return;
            };
            let what = match next {
                Next::Message(message) if message.offset == last.offset => {
                    Found::Message(LastRead {
                        offset: message.offset,
                        timestamp: message.timestamp,
                        leader_epoch: Some(message.leader_epoch).filter(|epoch| *epoch >= 0),
                        hash: Some(hash(message.key, message.value)),
                    })
                }
                Next::Message(_)
                | Next::End(_)
                | Next::Error(Reported {
                    code: Code::AutoOffsetReset | Code::OffsetOutOfRange,
                    ..
                }) => Found::Nothing,
                // The client tries again.
                Next::Error(_) => return,
            };
            found.insert(place, what);
            // So that nothing more of it is fetched; where it is, no harm is done.
            let mut done = TopicPartitionList::new();
            done.add_partition(topic, partition);
            let _ = consumer.pause(&done);
        });
    }
    Ok(found)
}

/// Lets the client know which leader took the message before the offset at which a
/// partition is assigned: then it finds out by itself when a later leader does not have it.
#[allow(unsafe_code)]
pub(super) fn set_leader_epoch(
    list: &TopicPartitionList,
    topic: &str,
    partition: i32,
    last: Option<LastRead>,
) {
    let epoch = last.and_then(|last| last.leader_epoch);
    let (Some(epoch), Ok(topic)) = (epoch, CString::new(topic)) else {
        return;
    };
    // SAFETY: the list is alive and nobody else has it; what is found is an element of it.
    unsafe {
        let found =
            native::rd_kafka_topic_partition_list_find(list.ptr(), topic.as_ptr(), partition);
        if !found.is_null() {
            native::rd_kafka_topic_partition_set_leader_epoch(found, epoch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use end_to_end::Scene;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_checksum_tells_keys_and_values_apart() {
        let all = [
            hash(None, None),
            hash(Some(b""), None),
            hash(None, Some(b"")),
            hash(Some(b"ab"), Some(b"c")),
            hash(Some(b"a"), Some(b"bc")),
            hash(None, Some(b"abc")),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one), "{place}");
        }
    }

    #[test]
    fn what_stands_at_an_offset_is_found_in_all_partitions_at_once() {
        let scene = Scene::without_topics("looked-up");
        for topic in ["sales", "logs"] {
            scene.create(topic, 2, 1);
        }
        for (topic, partition) in [("sales", 0), ("sales", 1), ("logs", 1)] {
            for number in 0..10 {
                let value = format!("{topic} {partition} {number}").into_bytes();
                let (partition, timestamp) = (Some(partition), Some(1_000 + number));
                let topic = scene.topic(topic);
                scene
                    .kafka
                    .send(&topic, partition, timestamp, None, Some(&value));
            }
        }
        scene.kafka.flush();

        let connection = Connection {
            brokers: scene.services.brokers.clone(),
            properties: BTreeMap::new(),
        };
        let at = |offset| LastRead {
            offset,
            timestamp: 0,
            leader_epoch: None,
            hash: None,
        };
        let place = |topic: &str, partition| (scene.topic(topic), partition);
        let wanted = BTreeMap::from([
            (place("sales", 0), at(9)),
            (place("sales", 1), at(4)),
            (place("logs", 1), at(0)),
            (place("logs", 0), at(0)),
        ]);
        let stopping = AtomicBool::new(false);
        let found = look_up(&connection, &wanted, PATIENCE, &stopping).unwrap();
        for ((topic, partition), last) in &wanted {
            let name = topic.trim_start_matches(&scene.prefix);
            let expected = format!("{name} {partition} {}", last.offset);
            match found[&(topic.clone(), *partition)] {
                Found::Message(message) => {
                    assert_eq!(message.offset, last.offset);
                    assert_eq!(message.timestamp, 1_000 + last.offset);
                    assert_eq!(message.hash, Some(hash(None, Some(expected.as_bytes()))));
                }
                Found::Nothing => assert_eq!((name, *partition), ("logs", 0)),
            }
        }
    }
}
