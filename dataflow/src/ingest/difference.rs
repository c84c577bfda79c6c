//! How the log that Kafka has differs from the one that has been read.

use sinks::LastRead;
use std::fmt;

/// Why the log that Kafka has now is not the one that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Kafka is another cluster.
    OtherCluster {
        /// The id of the cluster that was read.
        was: String,
        /// The id of the one that is there.
        is: String,
        /// Where it is.
        brokers: String,
    },
    /// The log is the generated shop's, which is a new one at each run.
    NewShop {
        /// The id of the log that was read.
        was: String,
    },
    /// A topic was deleted, and another one made under its name.
    MadeAgain {
        /// Full name of the topic.
        topic: String,
        /// The id of the one that was read.
        was: String,
        /// The id of the one that is there.
        is: String,
    },
    /// A topic that was read is not there.
    TopicGone {
        /// Full name of the topic.
        topic: String,
    },
    /// A partition that was read is not there.
    PartitionGone {
        /// Full name of the topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How many partitions there are.
        left: i32,
    },
    /// A partition ends before what was read of it.
    Shrunk {
        /// Full name of the topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How far it was read.
        read: i64,
        /// Where it ends.
        end: i64,
    },
    /// Messages that were read are not in the log of a partition any more.
    Lost {
        /// Full name of the topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How far it was read.
        read: i64,
        /// Where it begins now.
        low: i64,
        /// Where it ends now.
        high: i64,
    },
    /// At the offset of a message that was read stands another one.
    OtherMessage {
        /// Full name of the topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What was read.
        was: LastRead,
        /// What stands there.
        is: LastRead,
    },
}

impl Difference {
    /// The topic that it is about; `None` where it is about all.
    pub fn topic(&self) -> Option<&str> {
        match self {
            Difference::OtherCluster { .. } | Difference::NewShop { .. } => None,
            Difference::MadeAgain { topic, .. }
            | Difference::TopicGone { topic }
            | Difference::PartitionGone { topic, .. }
            | Difference::Shrunk { topic, .. }
            | Difference::Lost { topic, .. }
            | Difference::OtherMessage { topic, .. } => Some(topic),
        }
    }

    /// Whether it is to be looked at again before it is believed: a broker that does not
    /// know of something yet, or of something new, says the same.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Difference::TopicGone { .. }
                | Difference::PartitionGone { .. }
                | Difference::Shrunk { .. }
        )
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const AGAIN: &str = "the topic was deleted and made again, or brokers have lost messages";
        match self {
            Difference::OtherCluster { was, is, brokers } => write!(
                f,
                "Kafka at {brokers} is the cluster {is}, and what was read came from the cluster \
                 {was}: offsets mean other messages there"
            ),
            Difference::NewShop { was } => write!(
                f,
                "the generated shop is a new log at each run, and what was read came from the log \
                 {was}: offsets mean other messages there"
            ),
            Difference::MadeAgain { topic, was, is } => write!(
                f,
                "topic {topic} was deleted and made again: its id was {was} when it was read, and \
                 is {is} now. It is another log under the same name"
            ),
            Difference::TopicGone { topic } => {
                write!(f, "topic {topic} was read, and it does not exist any more")
            }
            Difference::PartitionGone {
                topic,
                partition,
                left,
            } => write!(
                f,
                "topic {topic} partition {partition} was read, and now the topic has {left} \
                 partitions only: it was deleted and made again"
            ),
            Difference::Shrunk {
                topic,
                partition,
                read,
                end,
            } => write!(
                f,
                "topic {topic} partition {partition} was read up to offset {read}, and now it ends \
                 at {end}: {AGAIN}"
            ),
            Difference::Lost {
                topic,
                partition,
                read,
                low,
                high,
            } => write!(
                f,
                "topic {topic} partition {partition} was read up to offset {read}, and not all of \
                 that is in its log any more, which has offsets {low} to {high} now: {AGAIN}"
            ),
            Difference::OtherMessage {
                topic,
                partition,
                was,
                is,
            } => write!(
                f,
                "topic {topic} partition {partition} has another message at offset {} than the one \
                 that was read there ({}; now {}): {AGAIN}",
                was.offset,
                Shown(was),
                Shown(is)
            ),
        }
    }
}

/// A message, as far as it tells it from another.
struct Shown<'a>(&'a LastRead);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LastRead {
            timestamp,
            leader_epoch,
            hash,
            ..
        } = self.0;
        match jiff::Timestamp::from_millisecond(*timestamp) {
            Ok(time) => write!(f, "timestamp {time}")?,
            Err(_) => write!(f, "timestamp {timestamp}")?,
        }
        if let Some(epoch) = leader_epoch {
            write!(f, ", leader epoch {epoch}")?;
        }
        if let Some(hash) = hash {
            write!(f, ", checksum {hash:08x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_named() {
        let topic = "transactions".to_owned();
        let read = LastRead {
            offset: 99,
            timestamp: 1_730_552_400_000,
            leader_epoch: Some(3),
            hash: None,
        };
        let differences = [
            (
                Difference::OtherCluster {
                    was: "aaa".into(),
                    is: "bbb".into(),
                    brokers: "kafka:9092".into(),
                },
                &["kafka:9092", "aaa", "bbb"][..],
            ),
            (
                Difference::MadeAgain {
                    topic: topic.clone(),
                    was: "aaa".into(),
                    is: "bbb".into(),
                },
                &["transactions", "aaa", "bbb"],
            ),
            (
                Difference::PartitionGone {
                    topic: topic.clone(),
                    partition: 3,
                    left: 2,
                },
                &["transactions partition 3", "2 partitions"],
            ),
            (
                Difference::Shrunk {
                    topic: topic.clone(),
                    partition: 1,
                    read: 100,
                    end: 80,
                },
                &["transactions partition 1", "100", "80"],
            ),
            (
                Difference::OtherMessage {
                    topic,
                    partition: 0,
                    was: read,
                    is: LastRead {
                        leader_epoch: None,
                        hash: Some(0xab),
                        ..read
                    },
                },
                &[
                    "at offset 99",
                    "timestamp 2024-11-02T13:00:00Z, leader epoch 3",
                    "checksum 000000ab",
                ],
            ),
        ];
        for (difference, named) in differences {
            let text = difference.to_string();
            for word in named {
                assert!(text.contains(word), "{word:?} is not in {text:?}");
            }
        }
    }
}
