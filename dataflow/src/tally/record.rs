//! What workers tell of the messages that they have read in an epoch.

use serde::{Deserialize, Serialize};
use sinks::Reason;

/// What a worker has made of the messages that it read in an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Of topics of which it has read something.
    pub topics: Vec<TopicTally>,
    /// Of views that were given something.
    pub views: Vec<ViewTally>,
    /// Dead letters, by their kind.
    pub letters: Vec<LetterTally>,
    /// Messages that count towards a limit of dead letters.
    pub counted: u64,
    /// Whether it reads nothing more until something is written.
    pub is_full: bool,
}

impl Tally {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Tally::default()
    }
}

/// What was read of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicTally {
    /// Its number.
    pub topic: usize,
    /// Messages in the order in which they were read, for each partition; of all partitions
    /// at once where none is malformed.
    pub parts: Vec<Vec<Run>>,
}

/// Messages that follow each other in a partition, evenly mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// How many are well-formed, or have no value.
    pub good: u64,
    /// How many are malformed.
    pub bad: u64,
}

impl Run {
    /// How many there are.
    pub fn len(self) -> u64 {
        self.good + self.bad
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// What a view was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewTally {
    /// Its number.
    pub view: u16,
    /// Events that are not from the future.
    pub judged: u64,
    /// How many of these are late.
    pub late: u64,
    /// Events that are from the future.
    pub from_the_future: u64,
    /// The smallest and the largest event time that the worker has seen, in microseconds.
    pub spread: Option<(i64, i64)>,
}

/// Dead letters of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterTally {
    /// Their kind.
    pub kind: Kind,
    /// How many there are.
    pub letters: u64,
    /// How many of these count towards a limit.
    pub counted: u64,
    /// One of them.
    pub sample: Sample,
}

/// What dead letters have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// They could not be decoded, for this reason.
    Malformed {
        /// Number of the topic.
        topic: usize,
        /// The reason, with nothing of the message in it.
        what: String,
    },
    /// A view did not take them.
    Refused {
        /// Number of the topic.
        topic: usize,
        /// Number of the view.
        view: usize,
        /// The reason.
        reason: Reason,
    },
}

impl Kind {
    /// Number of the topic.
    pub fn topic(&self) -> usize {
        match self {
            Kind::Malformed { topic, .. } | Kind::Refused { topic, .. } => *topic,
        }
    }

    /// Whether a view has refused them as being from the future.
    pub(super) fn is_from_the_future(&self, of_view: usize) -> bool {
        matches!(self, Kind::Refused { view, reason, .. }
            if *view == of_view && *reason == Reason::FromTheFuture)
    }
}

/// Where one of them is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// More of it: the form that a malformed message seems to have, or by how much an event is
    /// late. Nothing of the message but times and names of fields.
    pub more: Option<String>,
}
