//! Topics, read from their beginning to their end as fast as the client can.
//!
//! Messages are taken in batches straight from librdkafka's queue, which is the
//! quickest way it has: the wrapper's own `poll` makes an event of each.
#![allow(unsafe_code)]

use rdkafka::bindings as native;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::{Offset, consumer::DefaultConsumerContext};
use std::error::Error;
use std::ptr;
use std::time::Duration;

/// Messages taken at once.
const BATCH: usize = 4_096;

/// One message, where the client has it.
pub struct Message<'a> {
    /// Place of its topic among those that are read.
    pub topic: usize,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Kafka timestamp, in milliseconds since the UNIX epoch.
    pub timestamp: i64,
    /// Value; empty for a tombstone.
    pub value: &'a [u8],
}

/// All partitions of some topics.
pub struct Log {
    // Before the consumer, so that it goes first.
    queue: Queue,
    consumer: BaseConsumer<DefaultConsumerContext>,
    topics: Vec<String>,
    /// Partitions that have not been read to their end.
    left: usize,
    /// The topics as the client knows them, to tell them without comparing names.
    known: Vec<(*mut native::rd_kafka_topic_t, usize)>,
    batch: Vec<*mut native::rd_kafka_message_t>,
}

struct Queue(*mut native::rd_kafka_queue_t);

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the queue came from `rd_kafka_queue_get_consumer`, whose reference
        // is given up here, once.
        unsafe { native::rd_kafka_queue_destroy(self.0) }
    }
}

impl Log {
    /// The topics `names` with `prefix` before each.
    ///
    /// # Errors
    /// When Kafka cannot be reached, or a topic does not exist.
    pub fn open(brokers: &str, prefix: &str, names: &[&str]) -> Result<Log, Box<dyn Error>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("queued.max.messages.kbytes", "131072")
            .create()?;
        let topics: Vec<_> = names.iter().map(|name| format!("{prefix}{name}")).collect();
        let mut list = TopicPartitionList::new();
        for topic in &topics {
            let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(30))?;
            let partitions = metadata
                .topics()
                .iter()
                .flat_map(|topic| topic.partitions());
            for partition in partitions {
                list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
            }
        }
        if list.count() == 0 {
            return Err(format!("none of the topics {topics:?} has a partition").into());
        }
        consumer.assign(&list)?;
        // SAFETY: the consumer outlives the queue, which is dropped before it.
        let queue = unsafe { native::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        Ok(Log {
            queue: Queue(queue),
            consumer,
            topics,
            left: list.count(),
            known: Vec::new(),
            batch: Vec::with_capacity(BATCH),
        })
    }

    /// Whether all has been read.
    pub fn is_read(&self) -> bool {
        self.left == 0
    }

    /// Takes what the client has, and waits for a while where it has nothing.
    ///
    /// # Errors
    /// When Kafka reports one.
    pub fn read(&mut self, mut each: impl FnMut(&Message<'_>)) -> Result<(), Box<dyn Error>> {
        // SAFETY: there is room for `BATCH` pointers, of which so many are set as are
        // returned. Each is valid until it is destroyed, below, and its topic and bytes
        // with it.
        unsafe {
            let room = self.batch.as_mut_ptr();
            let count = native::rd_kafka_consume_batch_queue(self.queue.0, 100, room, BATCH);
            self.batch.set_len(usize::try_from(count).unwrap_or(0));
        }
        let mut result = Ok(());
        for native in self.batch.drain(..) {
            // SAFETY: as above.
            let message = unsafe { &*native };
            match message.err {
                native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {
                    let topic = match self.known.iter().find(|known| known.0 == message.rkt) {
                        Some((_, place)) => *place,
                        None => {
                            let place = place(&self.topics, message.rkt);
                            self.known.push((message.rkt, place));
                            place
                        }
                    };
                    let value = match message.payload.is_null() {
                        true => &[],
                        // SAFETY: as above.
                        false => unsafe {
                            std::slice::from_raw_parts(message.payload.cast::<u8>(), message.len)
                        },
                    };
                    // SAFETY: as above.
                    let timestamp =
                        unsafe { native::rd_kafka_message_timestamp(native, ptr::null_mut()) };
                    each(&Message {
                        topic,
                        partition: message.partition,
                        offset: message.offset,
                        timestamp,
                        value,
                    });
                }
                native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => self.left -= 1,
                error => result = Err(format!("Kafka: {error:?}").into()),
            }
            // SAFETY: it is not used any more.
            unsafe { native::rd_kafka_message_destroy(native) };
        }
        result
    }

    /// The client, for questions.
    pub fn client(&self) -> &BaseConsumer {
        &self.consumer
    }
}

/// Which of `topics` it is.
fn place(topics: &[String], topic: *mut native::rd_kafka_topic_t) -> usize {
    // SAFETY: the topic is that of a message that has not been destroyed.
    let name = unsafe { std::ffi::CStr::from_ptr(native::rd_kafka_topic_name(topic)) };
    let is = |topic: &String| topic.as_bytes() == name.to_bytes();
    // Only these are assigned.
    topics.iter().position(is).unwrap_or(0)
}
