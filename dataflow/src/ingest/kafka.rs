//! A worker's share of Kafka: one consumer, one queue for each partition.
//!
//! Nothing is subscribed to and no group is joined: which worker reads which
//! partition follows from [`owner`], and where to go on is known by whoever
//! holds the results. What tells how far a partition has been read is, at its
//! end, where Kafka says that it ends and not the last message: the last offsets may
//! hold nothing that a consumer sees.
//!
//! While too much is in flight, nothing is read. The client then fetches as far ahead as it
//! may and stops by itself: to pause its partitions would throw away what it has fetched.

use super::client::Connection;
use super::context::{Context, serve};
use super::difference::Difference;
use super::discovery::{Discovery, Found, owner};
use super::fault;
use super::inquiry::Inquiry;
use super::last_read;
use super::partition::Partition;
use super::queue::{Fetched, Queue, leader_epoch};
use super::source::{Message, Position, Source, SourceError, Taken, Turn};
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::TopicPartitionList;
use sinks::LastRead;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use telemetry::{Offsets, Telemetry};
use timely::scheduling::SyncActivator;

/// Messages read from one partition before the next has its turn.
const TURN: usize = 1_024;
/// How long Kafka may take to say which offsets it has.
const ANSWER: Duration = Duration::from_secs(10);
/// How long it may take to say who leads partitions, of which it has just been told.
const LEADERS: Duration = Duration::from_secs(1);

/// How often it is looked for partitions that do not get on.
const LOOK: Duration = Duration::from_secs(1);

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
pub struct KafkaSourceConfig {
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
    /// How often an epoch ends.
    pub epoch: Duration,
    /// Finish at the end that each partition had when it was found.
    pub until_caught_up: bool,
    /// What to do about deleted messages.
    pub on_expired: OnExpired,
    /// The next offset of partitions that have been read before.
    pub positions: Arc<BTreeMap<(usize, i32), i64>>,
    /// The last message that was read of them.
    pub last_read: Arc<BTreeMap<(usize, i32), LastRead>>,
    /// Where these partitions are read a second time, for a backfill: then no others are.
    pub backfill: Option<Arc<BTreeSet<(usize, i32)>>>,
    /// What is known of the topics.
    pub inquiry: Arc<Inquiry>,
    /// How long a partition is silent before it is idle.
    pub idle_timeout: Duration,
    /// Where positions are kept for people to see.
    pub telemetry: Arc<Telemetry>,
}

impl KafkaSourceConfig {
    /// Whether this worker is the one that reads a partition.
    fn has(&self, found: &Found) -> bool {
        let backfill = self.backfill.as_ref();
        let is_read = backfill.is_none_or(|of| of.contains(&(found.topic, found.partition)));
        is_read && owner(found.topic, found.partition, self.peers) == self.worker
    }

    /// The same, read a second time for the backfill of `places`. None where this worker has none
    /// of them.
    pub fn backfill(&self, places: BTreeSet<(usize, i32)>) -> Option<KafkaSourceConfig> {
        let is_mine = |(topic, partition)| owner(topic, partition, self.peers) == self.worker;
        let mine: BTreeSet<_> = places.into_iter().filter(|place| is_mine(*place)).collect();
        (!mine.is_empty()).then(|| KafkaSourceConfig {
            positions: Arc::default(),
            last_read: Arc::default(),
            backfill: Some(Arc::new(mine)),
            ..self.clone()
        })
    }
}

/// Reads a worker's partitions.
pub struct KafkaSource {
    share: KafkaSourceConfig,
    // Before the consumer, so that the queues are dropped first.
    partitions: Vec<Partition>,
    consumer: Arc<BaseConsumer<Context>>,
    wake: Option<SyncActivator>,
    version: u64,
    first: usize,
    paused: bool,
    /// When it was last looked for partitions that do not get on.
    looked: Instant,
}

impl KafkaSource {
    /// A source that reads the partitions of `share.worker`.
    ///
    /// # Errors
    /// When the client does not take its configuration.
    pub fn new(share: KafkaSourceConfig) -> Result<KafkaSource, SourceError> {
        let found = share.discovery.found();
        let partitions = found.iter().filter(|found| share.has(found)).count();
        let consumer = share
            .connection
            .reader(partitions, share.epoch)
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
            looked: Instant::now(),
        })
    }

    /// Wakes the dataflow by `wake` when messages arrive.
    pub fn waking(mut self, wake: SyncActivator) -> KafkaSource {
        self.wake = Some(wake);
        self
    }

    /// Lets the client know who leads the partitions from number `first` on. One that is
    /// assigned without its leader being known is looked at again after half a second.
    fn learn_leaders(&self, first: usize) {
        let topics: BTreeSet<_> = self.partitions[first..].iter().map(|p| p.topic).collect();
        for topic in topics {
            let topic = &self.share.topics[topic];
            if let Err(error) = self.consumer.fetch_metadata(Some(topic), LEADERS) {
                // Without it, the client finds out by itself.
                return tracing::debug!("who leads the partitions of {topic}: {error}");
            }
        }
    }

    /// Reads all partitions from where they stand.
    fn assign(&mut self) -> Result<(), SourceError> {
        self.consumer.assign(&self.list()?).map_err(client)?;
        self.partitions.iter_mut().for_each(Partition::is_assigned);
        // A queue stays split off through later assignments. What arrives before
        // it is comes through the main queue, see `serve_client`.
        for partition in &mut self.partitions {
            if partition.queue.is_some() {
                continue;
            }
            let topic = &self.share.topics[partition.topic];
            let queue = self
                .consumer
                .split_partition_queue(topic, partition.partition);
            let mut queue = queue.ok_or_else(|| client("a partition has no queue"))?;
            if let Some(wake) = self.wake.clone() {
                queue.set_nonempty_callback(move || {
                    // Fails when the worker has ended: nobody is left to wake.
                    let _ = wake.activate();
                });
            }
            let queue = Queue::new(&self.consumer, topic, partition.partition, queue);
            partition.queue = Some(queue.ok_or_else(|| client("a partition has no queue"))?);
        }
        Ok(())
    }

    /// Looks for partitions that do not get on, from time to time.
    fn look_for_stalls(&mut self) -> Result<(), SourceError> {
        if self.paused || self.looked.elapsed() < LOOK {
            return Ok(());
        }
        self.looked = Instant::now();
        let context = self.consumer.context();
        for partition in &mut self.partitions {
            let topic = &self.share.topics[partition.topic];
            if let Some(fault) = partition.stalled(topic, context) {
                return Err(fault.error(topic, partition.partition, partition.next));
            }
        }
        Ok(())
    }

    /// Reads nothing more of partitions whose backfill has caught up.
    fn drop_finished(&mut self) -> Result<(), SourceError> {
        let before = self.partitions.len();
        self.partitions.retain(|partition| !partition.is_finished);
        match self.partitions.len() < before {
            true => self.assign(),
            false => Ok(()),
        }
    }

    fn list(&self) -> Result<TopicPartitionList, SourceError> {
        let mut list = TopicPartitionList::new();
        for partition in &self.partitions {
            let topic = &self.share.topics[partition.topic];
            let offset = match partition.started {
                true => Offset::Offset(partition.next),
                false => Offset::Beginning,
            };
            list.add_partition_offset(topic, partition.partition, offset)
                .map_err(client)?;
            if partition.started {
                let last = partition.last_read;
                last_read::set_leader_epoch(&list, topic, partition.partition, last);
            }
        }
        Ok(list)
    }

    /// Serves the client's own events, and whatever came before the queues were
    /// split off.
    fn serve_client(
        &mut self,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<(), SourceError> {
        let KafkaSource {
            share, partitions, ..
        } = self;
        let mut again = false;
        let mut fatal = Ok(());
        serve(&self.consumer, |event| match event {
            // It comes again, behind what is reported here.
            Ok(_) if again => {}
            Ok(message) => {
                let mut topics = share.topics.iter();
                let topic = topics.position(|name| name == message.topic());
                let place = (topic, message.partition());
                let partition = partitions
                    .iter_mut()
                    .find(|p| (Some(p.topic), p.partition) == place);
                if let Some(partition) = partition {
                    let fetched = Fetched {
                        offset: message.offset(),
                        timestamp: message.timestamp().to_millis().unwrap_or(0).max(0),
                        leader_epoch: leader_epoch(&message),
                        key: message.key(),
                        value: message.payload(),
                    };
                    partition.is_heard();
                    if let Err(fault) = partition.take(&fetched, each) {
                        let (number, next) = (partition.partition, partition.next);
                        fatal = Err(fault.error(message.topic(), number, next));
                        again = true;
                    }
                }
            }
            // Of which topic is not said: with a new assignment it comes again,
            // through the queue of its partition.
            Err(KafkaError::PartitionEOF(_)) => again = true,
            Err(KafkaError::MessageConsumption(code)) if fault::is_of_messages(code) => {
                again = true;
            }
            Err(KafkaError::MessageConsumptionFatal(code)) => fatal = Err(client(code)),
            // The context has told it, and the client goes on by itself.
            Err(error) => tracing::debug!("Kafka: {error}"),
        });
        fatal?;
        if again { self.assign() } else { Ok(()) }
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
        if partition.started && low > partition.next {
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
        } else if partition.started {
            // The client has found that the log is not the one it has read.
            let lost = Difference::Lost {
                topic: topic.clone(),
                partition: partition.partition,
                read: partition.next,
                low,
                high,
            };
            let number = partition.topic;
            return Err(self.share.inquiry.explain(number, lost, ANSWER).into());
        }
        partition.next = partition.next.max(low);
        self.assign()
    }
}

impl Source for KafkaSource {
    fn find(&mut self, each: &mut dyn FnMut(usize, i32)) -> Result<(), SourceError> {
        let version = self.share.discovery.version();
        if version == self.version {
            return Ok(());
        }
        self.version = version;
        let before = self.partitions.len();
        for found in self.share.discovery.found() {
            let known = self
                .partitions
                .iter()
                .any(|p| (p.topic, p.partition) == (found.topic, found.partition));
            if self.share.has(&found) && !known {
                each(found.topic, found.partition);
                let mut partition = Partition::new(&found);
                let place = (found.topic, found.partition);
                partition.fingerprint = self.share.inquiry.fingerprint(found.topic);
                partition.is_backfill = self.share.backfill.is_some();
                if let Some(next) = self.share.positions.get(&place) {
                    partition.go_on(*next);
                    partition.last_read = self.share.last_read.get(&place).copied();
                }
                self.partitions.push(partition);
            }
        }
        if self.partitions.len() > before {
            self.learn_leaders(before);
            self.assign()
        } else {
            Ok(())
        }
    }

    fn read(
        &mut self,
        mut budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<Turn, SourceError> {
        self.serve_client(each)?;

        let mut more = false;
        let count = self.partitions.len();
        for step in 0..count {
            let index = (self.first + step) % count;
            let partition = &mut self.partitions[index];
            let turn = budget.min(TURN);
            match partition.read(turn, each) {
                Ok(read) => {
                    more |= read >= turn && turn > 0;
                    budget = budget.saturating_sub(read);
                }
                Err(fault) => {
                    let topic = &self.share.topics[partition.topic];
                    if partition.complain(topic, &fault, self.consumer.context())? {
                        self.expired(index)?;
                        break;
                    }
                    more = true;
                }
            }
        }
        self.first = (self.first + 1) % count.max(1);
        self.look_for_stalls()?;

        if self.share.backfill.is_some() {
            self.drop_finished()?;
            if self.partitions.is_empty() {
                return Ok(Turn::Finished);
            }
        }
        let done = |p: &Partition| p.waiting.is_empty() && (p.reached_end || p.next >= p.found_end);
        let ends = self.share.until_caught_up && self.share.backfill.is_none();
        if ends && self.partitions.iter().all(done) {
            return Ok(Turn::Finished);
        }
        Ok(if more { Turn::More } else { Turn::Idle })
    }

    fn pause(&mut self, paused: bool) {
        if paused == self.paused {
            return;
        }
        self.paused = paused;
        for partition in &mut self.partitions {
            // While it was paused, its silence was ours.
            partition.is_heard();
        }
    }

    fn positions(&mut self, each: &mut dyn FnMut(Position) -> bool) {
        let KafkaSourceConfig {
            topics,
            telemetry,
            worker,
            idle_timeout,
            until_caught_up,
            discovery,
            ..
        } = &self.share;
        let context = self.consumer.context();
        for partition in &mut self.partitions {
            let Partition {
                topic,
                partition: number,
                next,
                is_backfill,
                ..
            } = *partition;
            let name = &topics[topic];
            if is_backfill {
                let more = each(Position {
                    topic,
                    partition: number,
                    next,
                    idle: false,
                    last_read: partition.last_read,
                    fingerprint: partition.fingerprint,
                    backfill: true,
                });
                partition.is_finished |= !more;
                continue;
            }
            if partition.started {
                discovery.is_read(topic);
            }
            let found = (partition.found_end, partition.found_log_end);
            let (stable, end) = context.ends(name, number).unwrap_or(found);
            let offsets = Offsets {
                position: next,
                stable,
                end: end.max(next),
            };
            telemetry.partition(name, number, *worker, offsets, self.paused);
            let may_be_idle = !self.paused && !until_caught_up;
            each(Position {
                topic,
                partition: number,
                next,
                idle: may_be_idle && partition.is_idle(name, *idle_timeout, context),
                last_read: partition.last_read,
                fingerprint: partition.fingerprint,
                backfill: false,
            });
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "a function for `map_err`")]
fn client(error: impl ToString) -> SourceError {
    SourceError::Client(error.to_string())
}
