//! What a worker reads: its share of the log.

use super::answers::Fingerprint;
use super::identity::IdentityError;
use sinks::LastRead;
use std::fmt;
use timely::scheduling::SyncActivator;

/// One message, borrowed from wherever it lies.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Number of its topic.
    pub topic: usize,
    /// Partition.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Kafka timestamp, in milliseconds since the UNIX epoch.
    pub timestamp: i64,
    /// Key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Whether it is read for a backfill.
    pub backfill: bool,
}

/// What was made of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It was accepted.
    Accepted {
        /// How much of a turn it costs: 1 for most messages.
        cost: usize,
    },
    /// Its partition may not be read yet: the message is to be offered again.
    Later,
    /// It is read elsewhere, and so are all that come behind it: the backfill of its partition has
    /// caught up, and nothing more of it is to be read here.
    Finished,
}

/// What a source has left after a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// There is more to read now.
    More,
    /// Nothing to read now; there may be later.
    Idle,
    /// There will never be more.
    Finished,
}

/// The next offset to read of a partition: the effect of all offsets below it
/// has been taken up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Number of the topic.
    pub topic: usize,
    /// Partition.
    pub partition: i32,
    /// The next offset.
    pub next: i64,
    /// Whether the partition has been read to its end and is silent.
    pub idle: bool,
    /// The last message that was taken up.
    pub last_read: Option<LastRead>,
    /// That of the topic that is read under this name; 0 where it has none.
    pub fingerprint: Fingerprint,
    /// Whether it is that of a backfill.
    pub backfill: bool,
}

/// Makes a worker's source, given a way to wake the operator that reads it. A box, so that the dataflow
/// is compiled once for all sources there are.
pub type MakeSource = Box<dyn FnOnce(SyncActivator) -> Box<dyn Source>>;

/// A worker's share of the log, read in turns.
///
/// Within a partition messages come in the order of their offsets; partitions
/// take turns, so that none starves.
pub trait Source {
    /// Calls `each` with the topic and number of every partition that was found
    /// since this was last called.
    ///
    /// # Errors
    /// When the client fails.
    fn find(&mut self, each: &mut dyn FnMut(usize, i32)) -> Result<(), SourceError>;

    /// Reads messages until what they weigh is `budget`. `each` takes a message
    /// up, or leaves it for later, and with it all that come behind it in its
    /// partition. Does not wait for messages.
    ///
    /// # Errors
    /// When the log cannot be read any further without losing something. What
    /// passes by itself (a broker that is away) is not an error: it is reported
    /// and waited for.
    fn read(
        &mut self,
        budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<Turn, SourceError>;

    /// Nothing is read for now (or again), because what has been read is not written
    /// yet. [`Source::read`] must still be called with a budget of 0, so that
    /// the client stays alive.
    fn pause(&mut self, paused: bool);

    /// Calls `each` with the position of every partition. It returns whether more is to be read of
    /// the partition: of one whose backfill has caught up, nothing is.
    fn positions(&mut self, each: &mut dyn FnMut(Position) -> bool);
}

/// The log cannot be read any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Kafka has deleted messages that were not read yet.
    #[error(
        "topic {topic} partition {partition}: offsets {from} to {to} have expired in Kafka \
         before they were read, and their events are lost. Start again with \
         --on-expired=skip to go on without them, and give the topic a longer retention"
    )]
    Expired {
        /// Full name of the topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The first missing offset.
        from: i64,
        /// The last missing offset.
        to: i64,
    },
    /// Kafka refuses, for good.
    #[error(
        "topic {topic} partition {partition}: Kafka refuses to go on at offset {offset}: {detail}"
    )]
    Refused {
        /// Full name of the topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The next offset to read.
        offset: i64,
        /// What Kafka or its client said.
        detail: String,
    },
    /// The log is another one than was read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What the broker holds cannot be what producers have sent.
    #[error(
        "topic {topic} partition {partition}: the log is damaged at offset {offset}: {detail}. \
         Nothing from there on is read. Make a replica that is whole the partition's leader, and \
         start again; docs/operations.md says what to do where there is none"
    )]
    Damaged {
        /// Full name of the topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The first offset that cannot be read.
        offset: i64,
        /// How that shows.
        detail: String,
    },
    /// The Kafka client itself failed.
    #[error("the Kafka client failed: {0}")]
    Client(String),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "topic {} partition {} offset {}",
            self.topic, self.partition, self.next
        )
    }
}
