//! Where partitions end, messages of open transactions included.
//!
//! A consumer of committed messages is told that a partition ends at its *last stable
//! offset*: where the earliest transaction begins that is still open. Whatever lies behind
//! that offset, of the transaction or not, is not delivered before the transaction ends.
//! This asks for the end that a consumer of uncommitted messages would be told.
#![allow(unsafe_code)]

use super::context::Context;
use rdkafka::Offset;
use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{IsError as _, KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use std::ffi::{CStr, c_char, c_int};
use std::slice;
use std::time::Duration;

/// What the client waits beyond the time that a request may take, to report that it has
/// taken longer.
const SLACK: Duration = Duration::from_millis(500);

/// The end of a partition: the offset behind its last message.
pub(super) struct End {
    /// Its number.
    pub(super) partition: i32,
    /// The offset, or why the broker does not say.
    pub(super) end: Result<i64, KafkaError>,
}

/// The ends of these partitions of a topic, transactions that are still open included.
/// Brokers that are too old to list them have no transactions: then there are none here.
///
/// # Errors
/// When Kafka does not answer in time.
pub(super) fn of(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    partitions: &[i32],
    timeout: Duration,
) -> Result<Vec<End>, KafkaError> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition_offset(topic, *partition, Offset::End)?;
    }
    let client = consumer.client().native_ptr();
    let options = Options::new(client, timeout)?;
    // SAFETY: the client lives as long as the consumer, which is borrowed.
    let queue = Queue(unsafe { native::rd_kafka_queue_new(client) });
    // SAFETY: all four are valid; the client copies the list and the options, and keeps a
    // reference to the queue for as long as it needs it.
    unsafe { native::rd_kafka_ListOffsets(client, asked.ptr(), options.0, queue.0) };
    // SAFETY: the queue is valid, and what comes out of it is destroyed once.
    let event = Event(unsafe { native::rd_kafka_queue_poll(queue.0, millis(timeout + SLACK)) });
    if event.0.is_null() {
        let code = RDKafkaErrorCode::OperationTimedOut;
        return Err(KafkaError::OffsetFetch(code));
    }
    match event.error() {
        None => Ok(event.ends()),
        Some(RDKafkaErrorCode::UnsupportedFeature) => Ok(Vec::new()),
        Some(code) => Err(KafkaError::OffsetFetch(code)),
    }
}

fn millis(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
}

/// How a list of offsets is asked for.
struct Options(*mut native::rd_kafka_AdminOptions_t);

impl Options {
    fn new(client: *mut native::rd_kafka_t, timeout: Duration) -> Result<Options, KafkaError> {
        let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS;
        // SAFETY: the client is valid.
        let options = Options(unsafe { native::rd_kafka_AdminOptions_new(client, operation) });
        let mut said: [c_char; 256] = [0; 256];
        // SAFETY: the options are valid, and there is room for so many characters.
        let set = unsafe {
            let (room, length) = (said.as_mut_ptr(), said.len());
            let timeout = millis(timeout);
            native::rd_kafka_AdminOptions_set_request_timeout(options.0, timeout, room, length)
        };
        if set.is_error() {
            // SAFETY: the client has written a text that ends within the room it was given.
            let said = unsafe { CStr::from_ptr(said.as_ptr()) };
            let said = said.to_string_lossy().into_owned();
            return Err(KafkaError::AdminOpCreation(said));
        }
        let uncommitted =
            native::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED;
        // SAFETY: the options are valid; an error is destroyed once.
        unsafe {
            let error = native::rd_kafka_AdminOptions_set_isolation_level(options.0, uncommitted);
            if !error.is_null() {
                let code = native::rd_kafka_error_code(error);
                native::rd_kafka_error_destroy(error);
                return Err(KafkaError::AdminOp(code.into()));
            }
        }
        Ok(options)
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: they were made by `new`, and are destroyed once.
        unsafe { native::rd_kafka_AdminOptions_destroy(self.0) }
    }
}

/// Where the answer arrives.
struct Queue(*mut native::rd_kafka_queue_t);

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: it was made for one question, and is given up once.
        unsafe { native::rd_kafka_queue_destroy(self.0) }
    }
}

/// An answer; null where none came.
struct Event(*mut native::rd_kafka_event_t);

impl Event {
    fn error(&self) -> Option<RDKafkaErrorCode> {
        // SAFETY: the event is valid until it is dropped.
        error(unsafe { native::rd_kafka_event_error(self.0) })
    }

    fn ends(&self) -> Vec<End> {
        // SAFETY: the event is valid until it is dropped, and so is what it holds: as many
        // infos as it says, each with a partition. None of it is kept.
        let infos = unsafe {
            let result = native::rd_kafka_event_ListOffsets_result(self.0);
            if result.is_null() {
                return Vec::new();
            }
            let mut count = 0;
            let infos = native::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
            match infos.is_null() {
                true => return Vec::new(),
                false => slice::from_raw_parts(infos, count),
            }
        };
        let end = |info: &*const native::rd_kafka_ListOffsetsResultInfo_t| {
            // SAFETY: as above.
            let found = unsafe { &*native::rd_kafka_ListOffsetsResultInfo_topic_partition(*info) };
            End {
                partition: found.partition,
                end: match error(found.err) {
                    None => Ok(found.offset),
                    Some(code) => Err(KafkaError::OffsetFetch(code)),
                },
            }
        };
        infos.iter().map(end).collect()
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: it came out of a queue, and is destroyed once.
            unsafe { native::rd_kafka_event_destroy(self.0) }
        }
    }
}

fn error(code: RDKafkaRespErr) -> Option<RDKafkaErrorCode> {
    code.is_error().then(|| code.into())
}
