//! Topics of a test: made, filled, read back, dropped.

use crate::mongo::block_on;
use crate::poll::eventually;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A message as it lies in Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Full name of the topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Milliseconds since the UNIX epoch.
    pub timestamp: i64,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// A transaction whose messages lie in Kafka.
pub struct Transaction(BaseProducer);

impl Transaction {
    /// Commits or aborts it.
    ///
    /// # Panics
    /// When Kafka does not do as it is told.
    pub fn end(self, commit: bool) {
        let ended = match commit {
            true => self.0.commit_transaction(PATIENCE),
            false => self.0.abort_transaction(PATIENCE),
        };
        ended.expect("the end of the transaction");
    }
}

/// Everything that some topics held at one moment.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// All messages, by topic, partition and offset.
    pub messages: Vec<Message>,
    /// Topic → partition → where it begins and ends.
    pub bounds: BTreeMap<String, BTreeMap<i32, (i64, i64)>>,
}

/// A connection for making, filling and reading topics.
pub struct Kafka {
    brokers: String,
    admin: AdminClient<DefaultClientContext>,
    producer: BaseProducer,
    /// Is in a group by name only: it commits nothing and takes what it asks for.
    consumer: BaseConsumer,
}

impl Log {
    /// Together with what it has become: what is gone of it by then, and what has come.
    #[must_use]
    pub fn with(mut self, other: Log) -> Log {
        let place = |message: &Message| (message.topic.clone(), message.partition, message.offset);
        let known: BTreeSet<_> = self.messages.iter().map(place).collect();
        let new = other.messages.into_iter();
        self.messages
            .extend(new.filter(|message| !known.contains(&place(message))));
        self.messages.sort_by_key(place);
        self.bounds = other.bounds;
        self
    }

    /// The same log as it was when its partitions ended there; those that are
    /// not named had nothing yet.
    #[must_use]
    pub fn until(mut self, ends: &BTreeMap<(String, i32), i64>) -> Log {
        for (topic, partitions) in &mut self.bounds {
            for (partition, (low, end)) in partitions {
                *end = *ends.get(&(topic.clone(), *partition)).unwrap_or(low);
            }
        }
        let bounds = &self.bounds;
        self.messages
            .retain(|message| message.offset < bounds[&message.topic][&message.partition].1);
        self
    }
}

impl Kafka {
    /// A client of these brokers.
    ///
    /// # Panics
    /// When the client cannot be made.
    pub fn connect(brokers: &str) -> Kafka {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        // Nobody wants to read that a broker is away in the middle of an outage test.
        config.set("log_level", "2");
        let admin = config.create().expect("an admin client");
        let mut producing = config.clone();
        producing
            .set("acks", "all")
            .set("enable.idempotence", "true");
        producing.set("queue.buffering.max.messages", "1000000");
        let producer = producing.create().expect("a producer");
        let mut consuming = config.clone();
        consuming
            .set("group.id", "end-to-end")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "10");
        let consumer = consuming.create().expect("a consumer");
        Kafka {
            brokers: brokers.to_owned(),
            admin,
            producer,
            consumer,
        }
    }

    /// Whether a broker answers.
    ///
    /// # Errors
    /// When none does.
    pub fn answers(&self) -> Result<(), String> {
        let answer = self.consumer.fetch_metadata(None, Duration::from_secs(5));
        answer.map(drop).map_err(|error| error.to_string())
    }

    /// Creates a topic and waits until it can be used.
    ///
    /// # Panics
    /// When it cannot be created.
    pub fn create(&self, topic: &str, partitions: i32, replication: i32) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replication));
        let created = block_on(self.admin.create_topics([&new], &options()));
        for result in created.expect("topics can be created") {
            result.unwrap_or_else(|(topic, fault)| panic!("topic {topic}: {fault}"));
        }
        self.await_partitions(topic, partitions);
    }

    /// Creates a topic of which only the newest message of each key is kept, once
    /// [`Kafka::compact`] is called.
    ///
    /// # Panics
    /// When it cannot be created.
    pub fn create_compacted(&self, topic: &str, partitions: i32) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1))
            .set("cleanup.policy", "compact")
            .set("min.cleanable.dirty.ratio", "0.001");
        let created = block_on(self.admin.create_topics([&new], &options()));
        for result in created.expect("topics can be created") {
            result.unwrap_or_else(|(topic, fault)| panic!("topic {topic}: {fault}"));
        }
        self.await_partitions(topic, partitions);
    }

    /// What is in a topic is compacted soon after the next message.
    ///
    /// # Panics
    /// When its configuration cannot be changed.
    pub fn compact(&self, topic: &str) {
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic))
            .set("cleanup.policy", "compact")
            .set("min.cleanable.dirty.ratio", "0.001")
            .set("segment.ms", "10");
        let changed = block_on(self.admin.alter_configs([&change], &options()));
        for result in changed.expect("a configuration can be changed") {
            result.unwrap_or_else(|(topic, fault)| panic!("{topic:?}: {fault}"));
        }
    }

    /// Adds partitions until there are `partitions`.
    ///
    /// # Panics
    /// When they cannot be added.
    pub fn grow(&self, topic: &str, partitions: i32) {
        let total = usize::try_from(partitions).expect("a small number");
        let new = NewPartitions::new(topic, total);
        let grown = block_on(self.admin.create_partitions([&new], &options()));
        for result in grown.expect("partitions can be added") {
            result.unwrap_or_else(|(topic, fault)| panic!("topic {topic}: {fault}"));
        }
        self.await_partitions(topic, partitions);
        // The producer has an older idea of the topic until it asks again.
        eventually("the producer knows the new partitions", PATIENCE, || {
            let client = self.producer.client();
            let metadata = client.fetch_metadata(Some(topic), PATIENCE);
            let metadata = metadata.map_err(|fault| fault.to_string())?;
            match metadata.topics()[0].partitions().len() {
                known if known == total => Ok(()),
                known => Err(format!("it knows {known} of {total}")),
            }
        });
    }

    /// Drops topics; those that do not exist are no failure.
    pub fn drop_topics(&self, topics: &[&str]) {
        // A test's verdict does not depend on how well it tidied up.
        let _ = block_on(self.admin.delete_topics(topics, &options()));
    }

    /// Deletes a topic and makes it again, empty.
    ///
    /// # Panics
    /// When it cannot be deleted or made.
    pub fn recreate(&self, topic: &str, partitions: i32) {
        let deleted = block_on(self.admin.delete_topics(&[topic], &options()));
        for result in deleted.expect("topics can be deleted") {
            result.unwrap_or_else(|(topic, fault)| panic!("topic {topic}: {fault}"));
        }
        self.await_gone(topic);
        self.create(topic, partitions, 1);
    }

    /// Waits until a topic that was dropped is gone.
    ///
    /// # Panics
    /// When it is not in time.
    pub fn await_gone(&self, topic: &str) {
        eventually("the topic is gone", PATIENCE, || {
            match self::partitions(&self.consumer, topic).len() {
                0 => Ok(()),
                left => Err(format!("{left} partitions")),
            }
        });
    }

    /// Lets the messages before `offset` expire.
    ///
    /// # Panics
    /// When they cannot be deleted.
    pub fn expire(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))
            .expect("an offset");
        block_on(self.admin.delete_records(&list, &options())).expect("records can be deleted");
        eventually("the records expire", PATIENCE, || {
            let (low, _) = self
                .consumer
                .fetch_watermarks(topic, partition, PATIENCE)
                .map_err(|fault| fault.to_string())?;
            if low == offset {
                Ok(())
            } else {
                Err(format!("the log begins at {low}"))
            }
        });
    }

    /// Queues a message. Call [`Kafka::flush`] after the last.
    ///
    /// # Panics
    /// When it cannot be queued.
    pub fn send(
        &self,
        topic: &str,
        partition: Option<i32>,
        timestamp: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
        record.partition = partition;
        record.timestamp = timestamp;
        record.key = key;
        record.payload = value;
        send(&self.producer, record);
    }

    /// Sends messages (full topic, value) in one transaction, to partition 0, and
    /// commits or aborts it.
    ///
    /// # Panics
    /// When Kafka does not do as it is told.
    pub fn transact(&self, id: &str, messages: &[(String, Vec<u8>)], commit: bool) {
        self.open_transaction(id, messages).end(commit);
    }

    /// Sends messages (full topic, value) in one transaction, to partition 0, and leaves
    /// it open.
    ///
    /// # Panics
    /// When Kafka does not do as it is told.
    pub fn open_transaction(&self, id: &str, messages: &[(String, Vec<u8>)]) -> Transaction {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("transactional.id", id)
            // Longer than any test, so that the broker does not abort it.
            .set("transaction.timeout.ms", "600000")
            .create()
            .expect("a transactional producer");
        producer.init_transactions(PATIENCE).expect("transactions");
        producer.begin_transaction().expect("a transaction");
        for (topic, value) in messages {
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
            record.partition = Some(0);
            record.payload = Some(value);
            send(&producer, record);
        }
        // Also what is aborted shall lie in the log.
        producer.flush(PATIENCE).expect("acknowledgements");
        Transaction(producer)
    }

    /// Sends values to partition 0 in one batch, compressed by this codec (or `none`).
    ///
    /// # Panics
    /// When they cannot be sent.
    pub fn send_batch(&self, topic: &str, codec: &str, values: &[Vec<u8>]) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("compression.type", codec)
            // Long enough that all of it is queued before any of it is sent.
            .set("linger.ms", "1000")
            .create()
            .expect("a producer");
        for value in values {
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
            record.partition = Some(0);
            record.payload = Some(value);
            send(&producer, record);
        }
        producer.flush(PATIENCE).expect("acknowledgements");
    }

    /// Waits until all queued messages are acknowledged.
    ///
    /// # Panics
    /// When they are not in time.
    pub fn flush(&self) {
        self.producer
            .flush(PATIENCE)
            .expect("all messages are acknowledged");
        assert_eq!(
            self.producer.in_flight_count(),
            0,
            "messages without acknowledgement"
        );
    }

    /// Reads everything that the topics hold now. Topics that do not exist are left out.
    ///
    /// # Panics
    /// When Kafka cannot be read.
    pub fn read(&self, topics: &[String]) -> Log {
        let mut log = Log::default();
        for topic in topics {
            let partitions = partitions(&self.consumer, topic);
            let bounds: BTreeMap<_, _> = partitions
                .iter()
                .map(|&partition| (partition, self.bounds(topic, partition)))
                .collect();
            if !bounds.is_empty() {
                read_topic(&self.consumer, topic, &bounds, &mut log.messages);
                log.bounds.insert(topic.clone(), bounds);
            }
        }
        log.messages.sort_by(|a, b| {
            (&a.topic, a.partition, a.offset).cmp(&(&b.topic, b.partition, b.offset))
        });
        log
    }

    /// Where each partition of the topics ends now.
    ///
    /// # Panics
    /// When Kafka cannot be asked.
    pub fn ends(&self, topics: &[String]) -> BTreeMap<(String, i32), i64> {
        let mut ends = BTreeMap::new();
        for topic in topics {
            for partition in partitions(&self.consumer, topic) {
                ends.insert((topic.clone(), partition), self.bounds(topic, partition).1);
            }
        }
        ends
    }

    /// Where a partition begins and ends. It may be between two leaders.
    fn bounds(&self, topic: &str, partition: i32) -> (i64, i64) {
        eventually("the partition has a leader", PATIENCE, || {
            let bounds = self.consumer.fetch_watermarks(topic, partition, PATIENCE);
            bounds.map_err(|fault| format!("{topic}/{partition}: {fault}"))
        })
    }

    fn await_partitions(&self, topic: &str, wanted: i32) {
        eventually("the partitions have leaders", PATIENCE, || {
            let found = partitions(&self.consumer, topic).len();
            let led = (0..wanted).all(|partition| {
                self.consumer
                    .fetch_watermarks(topic, partition, PATIENCE)
                    .is_ok()
            });
            if led {
                Ok(())
            } else {
                Err(format!("{found} of {wanted} partitions"))
            }
        });
    }
}

fn send(producer: &BaseProducer, record: BaseRecord<'_, [u8], [u8]>) {
    producer
        .send(record)
        .unwrap_or_else(|(fault, record)| panic!("{}: {fault}", record.topic));
    producer.poll(Duration::ZERO);
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(PATIENCE))
        .request_timeout(Some(PATIENCE))
}

/// The partitions of a topic; none if it does not exist.
fn partitions(consumer: &BaseConsumer, topic: &str) -> Vec<i32> {
    let metadata = consumer
        .fetch_metadata(Some(topic), PATIENCE)
        .expect("metadata");
    let topics = metadata
        .topics()
        .iter()
        .filter(|found| found.error().is_none());
    topics
        .flat_map(|found| found.partitions().iter().map(|partition| partition.id()))
        .collect()
}

/// Reads each partition to where it ended. A log may have gaps, also before its
/// end, so that telling the end counts as well as the last message does.
fn read_topic(
    consumer: &BaseConsumer,
    topic: &str,
    bounds: &BTreeMap<i32, (i64, i64)>,
    into: &mut Vec<Message>,
) {
    let mut open = bounds.clone();
    open.retain(|_, (low, end)| low < end);
    let mut assignment = TopicPartitionList::new();
    for partition in open.keys() {
        assignment
            .add_partition_offset(topic, *partition, Offset::Beginning)
            .expect("an assignment");
    }
    consumer.assign(&assignment).expect("an assignment");
    while !open.is_empty() {
        match consumer.poll(PATIENCE).expect("something to read in time") {
            Ok(message) => {
                let partition = message.partition();
                let Some((_, end)) = open.get(&partition) else {
                    continue;
                };
                let (offset, last) = (message.offset(), end - 1);
                if offset <= last {
                    into.push(Message {
                        topic: topic.to_owned(),
                        partition,
                        offset,
                        timestamp: message.timestamp().to_millis().unwrap_or(0),
                        key: message.key().map(<[u8]>::to_vec),
                        value: message.payload().map(<[u8]>::to_vec),
                    });
                }
                if offset >= last {
                    open.remove(&partition);
                }
            }
            Err(KafkaError::PartitionEOF(partition)) => {
                open.remove(&partition);
            }
            // A broker that was killed a moment ago; the consumer finds its way.
            Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
            )) => {}
            Err(fault) => panic!("reading {topic}: {fault}"),
        }
    }
    consumer.unassign().expect("no assignment");
}
