//! What the client has fetched of one partition, taken many messages at a time.
//!
//! The wrapper's own `poll` looks at the clock, takes a lock and makes an event for each
//! message; librdkafka can fill an array instead. Two things about that are not as with
//! `poll`, and are why this is all that ever reads from a partition's queue:
//!
//! - The end of a partition comes as a message of its own, whose offset is the next one to
//!   read. The client's *position* is then one too far. So nothing here asks for it, and
//!   partitions are not paused, after which it would go on from there.
//! - A batch may hold messages that are not taken up yet: [`Partition`](super::partition)
//!   lets them wait.
#![allow(unsafe_code)]

use super::context::Context;
use rdkafka::bindings as native;
use rdkafka::consumer::Consumer as _;
use rdkafka::consumer::base_consumer::{BaseConsumer, PartitionQueue};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::BorrowedMessage;
use std::ffi::{CStr, CString};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

/// The queue of one partition, or that of a consumer.
pub(super) struct Queue {
    queue: *mut native::rd_kafka_queue_t,
    /// Wakes the dataflow while it lives.
    _wakes: Option<PartitionQueue<Context>>,
    // Outlives the queue.
    _consumer: Arc<BaseConsumer<Context>>,
    room: Vec<*mut native::rd_kafka_message_t>,
}

/// One message, where the client has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetched<'a> {
    pub(super) offset: i64,
    /// Kafka timestamp, in milliseconds since the UNIX epoch; 0 where it has none.
    pub(super) timestamp: i64,
    /// The epoch of the partition's leader that took it; -1 where Kafka does not say.
    pub(super) leader_epoch: i32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

/// What comes out of a queue.
pub(super) enum Next<'a> {
    /// A message.
    Message(Fetched<'a>),
    /// The end of the partition, for now, at this offset.
    End(i64),
    /// Something went wrong.
    Error(Reported),
}

/// What the client reports instead of the next message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reported {
    pub(super) code: RDKafkaErrorCode,
    /// The offset that it is about, or a negative number.
    pub(super) offset: i64,
    /// What the client says of it.
    pub(super) detail: String,
}

impl Queue {
    /// The queue of a partition that has been split off the consumer's own. `None` where
    /// the client does not know it.
    pub(super) fn new(
        consumer: &Arc<BaseConsumer<Context>>,
        topic: &str,
        partition: i32,
        wakes: PartitionQueue<Context>,
    ) -> Option<Queue> {
        let topic = CString::new(topic).ok()?;
        // SAFETY: the client is that of a consumer that this queue keeps alive, and the
        // name lives until the call returns.
        let queue = unsafe {
            native::rd_kafka_queue_get_partition(
                consumer.client().native_ptr(),
                topic.as_ptr(),
                partition,
            )
        };
        (!queue.is_null()).then(|| Queue {
            queue,
            _wakes: Some(wakes),
            _consumer: Arc::clone(consumer),
            room: Vec::new(),
        })
    }

    /// The queue of all partitions of a consumer. `None` where it has none.
    pub(super) fn of_all(consumer: &Arc<BaseConsumer<Context>>) -> Option<Queue> {
        // SAFETY: the client is that of a consumer that this queue keeps alive.
        let queue = unsafe { native::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        (!queue.is_null()).then(|| Queue {
            queue,
            _wakes: None,
            _consumer: Arc::clone(consumer),
            room: Vec::new(),
        })
    }

    /// Waits for up to `wait` and hands over what is there, up to `most`, each with the
    /// topic and the partition it is of. What is of none is left out.
    pub(super) fn take_of_all(
        &mut self,
        most: usize,
        wait: Duration,
        mut each: impl FnMut(&str, i32, Next<'_>),
    ) {
        self.fill(most, i32::try_from(wait.as_millis()).unwrap_or(i32::MAX));
        for native in self.room.drain(..) {
            let message = Message(native);
            if let Some((topic, partition)) = message.place() {
                each(&topic, partition, message.read());
            }
        }
    }

    /// Takes what is there, up to `most`, and waits for up to so many milliseconds for it.
    fn fill(&mut self, most: usize, wait: i32) {
        self.room.clear();
        self.room.reserve(most);
        // SAFETY: there is room for `most` pointers, of which as many are set as are
        // returned: each to a message that is valid until it is destroyed by `Message`.
        unsafe {
            let room = self.room.as_mut_ptr();
            let count = native::rd_kafka_consume_batch_queue(self.queue, wait, room, most);
            // Negative where the client has failed, of which its context is told.
            self.room
                .set_len(usize::try_from(count).unwrap_or(0).min(most));
        }
    }

    /// Hands over what is there, up to `most`, without waiting. Returns how much it was.
    pub(super) fn take(&mut self, most: usize, mut each: impl FnMut(Next<'_>)) -> usize {
        self.fill(most, 0);
        let count = self.room.len();
        for native in self.room.drain(..) {
            // Also destroyed should `each` panic.
            let message = Message(native);
            each(message.read());
        }
        count
    }
}

/// The epoch of the leader that took a message which the wrapper has; -1 where Kafka does
/// not say.
pub(super) fn leader_epoch(message: &BorrowedMessage<'_>) -> i32 {
    // SAFETY: the message is there for as long as it is borrowed.
    unsafe { native::rd_kafka_message_leader_epoch(message.ptr()) }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: `rd_kafka_queue_get_partition` gave a reference, which is given up here,
        // once; the consumer is dropped later.
        unsafe { native::rd_kafka_queue_destroy(self.queue) }
    }
}

/// A message of the client, which is given back when it is dropped.
struct Message(*mut native::rd_kafka_message_t);

impl Message {
    /// Its topic and partition; `None` for what is of no partition.
    fn place(&self) -> Option<(String, i32)> {
        // SAFETY: as in `read`; the topic lives as long as the message, and its name as long
        // as the topic.
        unsafe {
            let message = &*self.0;
            if message.rkt.is_null() {
                return None;
            }
            let name = CStr::from_ptr(native::rd_kafka_topic_name(message.rkt));
            Some((name.to_string_lossy().into_owned(), message.partition))
        }
    }

    fn read(&self) -> Next<'_> {
        // SAFETY: the message is destroyed no earlier than `self` is dropped, and nobody
        // else has it.
        let message = unsafe { &*self.0 };
        let bytes = |start: *mut std::ffi::c_void, length| {
            // SAFETY: the client points to so many bytes of the message, which live as
            // long as it does.
            (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), length) })
        };
        match message.err {
            native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {}
            native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                return Next::End(message.offset);
            }
            error => {
                let detail = bytes(message.payload, message.len).unwrap_or_default();
                return Next::Error(Reported {
                    code: error.into(),
                    offset: message.offset,
                    detail: String::from_utf8_lossy(detail).into_owned(),
                });
            }
        }
        // SAFETY: as above.
        let leader_epoch = unsafe { native::rd_kafka_message_leader_epoch(self.0) };
        // SAFETY: as above; the kind of the timestamp is not asked for.
        let timestamp = unsafe { native::rd_kafka_message_timestamp(self.0, ptr::null_mut()) };
        Next::Message(Fetched {
            offset: message.offset,
            leader_epoch,
            // It is -1 where there is none.
            timestamp: timestamp.max(0),
            key: bytes(message.key, message.key_len),
            value: bytes(message.payload, message.len),
        })
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: it came out of a queue and is destroyed once.
        unsafe { native::rd_kafka_message_destroy(self.0) }
    }
}
