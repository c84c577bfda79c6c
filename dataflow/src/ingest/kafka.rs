//! A worker's share of Kafka: one consumer, one queue for each partition.
//!
//! Nothing is subscribed to and no group is joined: which worker reads which
//! partition follows from [`owner`], and where to go on is known by whoever
//! holds the results. What tells how far a partition has been read is the
//! consumer's position, or the partition's end when that is reached, and not the
//! last message: the last offsets may hold nothing that a consumer sees.

use super::client::{Connection, Context};
use super::discovery::{Discovery, owner};
use super::source::{Message, Position, Source, SourceError, Turn};
use crate::observe::Board;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::{Offset, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use timely::scheduling::SyncActivator;

/// Messages read from one partition before the next has its turn.
const TURN: usize = 1_024;
/// How long Kafka may take to say which offsets it has.
const ANSWER: Duration = Duration::from_secs(10);

/// What to do when Kafka has deleted messages before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExpired {
    /// Stop, and say what is missing.
    Fail,
    /// Say what is missing, and go on.
    Skip,
}

/// What a worker's source needs to know.
#[derive(Clone)]
pub struct Share {
    /// How to reach Kafka.
    pub connection: Connection,
    /// Full names of the topics, by number.
    pub topics: Arc<[String]>,
    /// Which partitions exist.
    pub discovery: Arc<Discovery>,
    /// This worker, of `peers` in all processes.
    pub worker: usize,
    /// Workers in all processes.
    pub peers: usize,
    /// Finish at the end that each partition had when it was found.
    pub until_caught_up: bool,
    /// What to do about deleted messages.
    pub on_expired: OnExpired,
    /// Where positions are kept for people to see.
    pub board: Arc<Board>,
}

/// Reads a worker's partitions.
pub struct KafkaSource {
    share: Share,
    // Before the consumer, so that the queues are dropped first.
    partitions: Vec<Partition>,
    consumer: Arc<BaseConsumer<Context>>,
    wake: Option<SyncActivator>,
    version: u64,
    first: usize,
    paused: bool,
}

/// One partition that this worker reads.
struct Partition {
    topic: usize,
    partition: i32,
    /// Next offset to read.
    next: i64,
    /// Whether anything has been read of it: before, its first offset is
    /// wherever its log begins.
    started: bool,
    /// Its end when it was found.
    found_end: i64,
    /// Whether the end has been reached since it was found.
    reached_end: bool,
    moved: bool,
    queue: Option<PartitionQueue<Context>>,
}

impl KafkaSource {
    /// A source that reads the partitions of `share.worker`.
    ///
    /// # Errors
    /// When the client does not take its configuration.
    pub fn new(share: Share) -> Result<KafkaSource, SourceError> {
        let consumer = share
            .connection
            .consumer()
            .create_with_context(Context::default())
            .map_err(|error| SourceError::Client(error.to_string()))?;
        Ok(KafkaSource {
            share,
            partitions: Vec::new(),
            consumer: Arc::new(consumer),
            wake: None,
            version: 0,
            first: 0,
            paused: false,
        })
    }

    /// Wakes the dataflow by `wake` when messages arrive.
    pub fn waking(mut self, wake: SyncActivator) -> KafkaSource {
        self.wake = Some(wake);
        self
    }

    /// Takes up partitions that were found since the last look.
    fn look_for_partitions(&mut self) -> Result<(), SourceError> {
        let version = self.share.discovery.version();
        if version == self.version {
            return Ok(());
        }
        self.version = version;
        let before = self.partitions.len();
        for found in self.share.discovery.found() {
            let mine = owner(found.topic, found.partition, self.share.peers) == self.share.worker;
            let known = self
                .partitions
                .iter()
                .any(|p| (p.topic, p.partition) == (found.topic, found.partition));
            if mine && !known {
                self.partitions.push(Partition {
                    topic: found.topic,
                    partition: found.partition,
                    next: found.low,
                    started: false,
                    found_end: found.high,
                    reached_end: found.low >= found.high,
                    moved: true,
                    queue: None,
                });
            }
        }
        if self.partitions.len() > before {
            self.assign()
        } else {
            Ok(())
        }
    }

    /// Reads all partitions from where they stand.
    fn assign(&mut self) -> Result<(), SourceError> {
        for partition in &mut self.partitions {
            partition.queue = None;
        }
        self.consumer.assign(&self.list(true)?).map_err(client)?;
        // The client makes its queues anew with each assignment. Whatever
        // arrives before a queue is split off comes through the main queue,
        // which `read` empties first.
        for partition in &mut self.partitions {
            let topic = &self.share.topics[partition.topic];
            let queue = self
                .consumer
                .split_partition_queue(topic, partition.partition);
            partition.queue = queue.map(|mut queue| {
                if let Some(wake) = self.wake.clone() {
                    queue.set_nonempty_callback(move || {
                        // Fails when the worker has ended: nobody is left to wake.
                        let _ = wake.activate();
                    });
                }
                queue
            });
        }
        if self.paused {
            self.consumer.pause(&self.list(false)?).map_err(client)?;
        }
        Ok(())
    }

    fn list(&self, offsets: bool) -> Result<TopicPartitionList, SourceError> {
        let mut list = TopicPartitionList::new();
        for partition in &self.partitions {
            let topic = &self.share.topics[partition.topic];
            let offset = match (offsets, partition.started) {
                (true, true) => Offset::Offset(partition.next),
                (true, false) => Offset::Beginning,
                (false, _) => Offset::Invalid,
            };
            list.add_partition_offset(topic, partition.partition, offset)
                .map_err(client)?;
        }
        Ok(list)
    }

    /// Serves the client's own events, and whatever came before the queues were
    /// split off.
    fn serve_client(&mut self, each: &mut dyn FnMut(Message<'_>)) -> Result<(), SourceError> {
        let consumer = Arc::clone(&self.consumer);
        while let Some(event) = consumer.poll(Duration::ZERO) {
            match event {
                Ok(message) => {
                    let topic = self
                        .share
                        .topics
                        .iter()
                        .position(|name| name == message.topic());
                    let place = (topic, message.partition());
                    let partition = self
                        .partitions
                        .iter_mut()
                        .find(|p| (Some(p.topic), p.partition) == place);
                    if let Some(partition) = partition {
                        partition.take(&message, each);
                    }
                }
                Err(KafkaError::MessageConsumptionFatal(code)) => return Err(client(code)),
                Err(KafkaError::PartitionEOF(_)) => {}
                // The context has told it, and the client goes on by itself.
                Err(error) => tracing::debug!("Kafka: {error}"),
            }
        }
        Ok(())
    }

    /// Messages of partition number `index` have been deleted before they were
    /// read: find out which.
    fn expired(&mut self, index: usize) -> Result<(), SourceError> {
        let partition = &mut self.partitions[index];
        let topic = &self.share.topics[partition.topic];
        let watermarks = self
            .consumer
            .fetch_watermarks(topic, partition.partition, ANSWER);
        let Ok((low, high)) = watermarks else {
            // Kafka is away just now: reading on will bring us here again.
            return self.assign();
        };
        if partition.started && (low > partition.next) {
            let error = SourceError::Expired {
                topic: topic.clone(),
                partition: partition.partition,
                from: partition.next,
                to: low - 1,
            };
            if self.share.on_expired == OnExpired::Fail {
                return Err(error);
            }
            tracing::warn!("{error}; going on at {low}, as --on-expired=skip says");
        } else if partition.started && high < partition.next {
            let detail =
                format!("the partition ends at {high}: was the topic deleted and made again?");
            return Err(refused(topic, partition, &detail));
        }
        partition.next = partition.next.max(low);
        partition.moved = true;
        self.assign()
    }
}

impl Source for KafkaSource {
    fn read(
        &mut self,
        mut budget: usize,
        each: &mut dyn FnMut(Message<'_>),
    ) -> Result<Turn, SourceError> {
        self.look_for_partitions()?;
        self.serve_client(each)?;

        let mut more = false;
        let count = self.partitions.len();
        for step in 0..count {
            let index = (self.first + step) % count;
            let partition = &mut self.partitions[index];
            let turn = budget.min(TURN);
            let mut read = 0;
            let mut expired = false;
            // Out of the partition while it is read, so that both can be used.
            let Some(queue) = partition.queue.take() else {
                continue;
            };
            while read < turn && !expired {
                match queue.poll(Duration::ZERO) {
                    None => break,
                    Some(Ok(message)) => {
                        partition.take(&message, each);
                        read += 1;
                    }
                    Some(Err(KafkaError::PartitionEOF(_))) => partition.reached_end = true,
                    Some(Err(error)) => {
                        let topic = &self.share.topics[partition.topic];
                        expired = partition.complain(topic, &error)?;
                    }
                }
            }
            partition.queue = Some(queue);
            if expired {
                self.expired(index)?;
                break;
            }
            more |= read == turn && turn > 0;
            budget -= read;
        }
        self.first = (self.first + 1) % count.max(1);

        let done = |p: &Partition| p.reached_end || p.next >= p.found_end;
        if self.share.until_caught_up && self.partitions.iter().all(done) {
            return Ok(Turn::Finished);
        }
        Ok(if more { Turn::More } else { Turn::Idle })
    }

    fn pause(&mut self, paused: bool) {
        if paused == self.paused {
            return;
        }
        self.paused = paused;
        let Ok(list) = self.list(false) else { return };
        let result = if paused {
            self.consumer.pause(&list)
        } else {
            self.consumer.resume(&list)
        };
        if let Err(error) = result {
            tracing::warn!(
                paused,
                "Kafka: partitions could not be paused or resumed: {error}"
            );
        }
    }

    fn take_positions(&mut self, each: &mut dyn FnMut(Position)) {
        let Share {
            topics,
            board,
            worker,
            ..
        } = &self.share;
        for partition in &mut self.partitions {
            let Partition {
                topic,
                partition: number,
                next,
                ..
            } = *partition;
            let name = &topics[topic];
            let end = self
                .consumer
                .context()
                .end(name, number)
                .unwrap_or(partition.found_end);
            board.partition(name, number, *worker, next, end.max(next), self.paused);
            if std::mem::take(&mut partition.moved) {
                each(Position {
                    topic,
                    partition: number,
                    next,
                });
            }
        }
    }
}

impl Partition {
    fn take(&mut self, message: &BorrowedMessage<'_>, each: &mut dyn FnMut(Message<'_>)) {
        let offset = message.offset();
        if self.started && offset < self.next {
            // Fetched twice, around a new assignment.
            return;
        }
        let timestamp = match message.timestamp() {
            Timestamp::CreateTime(millis) | Timestamp::LogAppendTime(millis) => millis,
            Timestamp::NotAvailable => 0,
        };
        each(Message {
            topic: self.topic,
            partition: self.partition,
            offset,
            timestamp,
            key: message.key(),
            value: message.payload(),
        });
        self.next = offset + 1;
        self.started = true;
        self.moved = true;
    }

    /// Judges an error that Kafka reports of this partition: whether its
    /// messages have expired, or else whether it can go on.
    fn complain(&self, topic: &str, error: &KafkaError) -> Result<bool, SourceError> {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Ok(true),
            Some(
                Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::UnsupportedSASLMechanism,
            ) => Err(refused(topic, self, error)),
            _ => {
                let partition = self.partition;
                tracing::warn!(topic, partition, "Kafka: {error}; going on when it is back");
                Ok(false)
            }
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "a function for `map_err`")]
fn client(error: impl ToString) -> SourceError {
    SourceError::Client(error.to_string())
}

fn refused(topic: &str, partition: &Partition, detail: &impl ToString) -> SourceError {
    SourceError::Refused {
        topic: topic.to_owned(),
        partition: partition.partition,
        offset: partition.next,
        detail: detail.to_string(),
    }
}
