//! What somebody knows of the log that was read, compared with what Kafka has now.

use crate::ingest::difference::Difference;
use crate::ingest::last_read::{self, Partition};
use crate::sink::Place;
use sinks::{LastRead, LogIdentity};
use std::collections::{BTreeMap, BTreeSet};

/// What stands at the offsets of messages that were read.
pub type Messages = BTreeMap<Partition, last_read::Found>;

/// What somebody knows of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Who, for people.
    pub(super) by: String,
    pub(super) identity: LogIdentity,
    /// The offsets below which messages may have had an effect.
    pub(super) offsets: BTreeMap<Place, i64>,
    pub(super) last_read: BTreeMap<Place, LastRead>,
}

/// A difference, and who has it.
#[derive(Debug)]
pub struct LogDifference {
    pub(super) by: String,
    /// How the log differs.
    pub difference: Difference,
    /// The topics it concerns, by number, of those that were read.
    pub(super) topics: BTreeSet<usize>,
}

/// What Kafka has now.
pub(super) struct Now<'a> {
    /// Full names of the topics, by number.
    pub(super) topics: &'a [String],
    pub(super) identity: &'a LogIdentity,
    /// The brokers, as the user named them; none where the log is within the process.
    pub(super) brokers: Option<&'a str>,
    /// Where partitions end.
    pub(super) ends: BTreeMap<Place, i64>,
    pub(super) messages: &'a Messages,
}

impl Now<'_> {
    /// How it differs, in each topic that was read.
    pub(super) fn compare(&self, known: &Known) -> Vec<LogDifference> {
        let found = |difference, topics: &[usize]| LogDifference {
            by: known.by.clone(),
            difference,
            topics: topics.iter().copied().collect(),
        };
        let read = known.offsets.iter().filter(|(_, read)| **read > 0);
        let read: BTreeSet<usize> = read.map(|((topic, _), _)| *topic).collect();
        let (was, is) = (&known.identity.cluster_id, &self.identity.cluster_id);
        if let (Some(was), Some(is)) = (was, is)
            && was != is
            && !read.is_empty()
        {
            let was = was.clone();
            let difference = match self.brokers {
                Some(brokers) => Difference::OtherCluster {
                    was,
                    is: is.clone(),
                    brokers: brokers.to_owned(),
                },
                None => Difference::NewShop { was },
            };
            return vec![found(difference, &Vec::from_iter(read))];
        }
        let differing = |topic: usize| {
            let difference = self.compare_topic(topic, known)?;
            Some(found(difference, &[topic]))
        };
        read.into_iter().filter_map(differing).collect()
    }

    /// How a topic that was read differs, if it does.
    fn compare_topic(&self, number: usize, known: &Known) -> Option<Difference> {
        let topic = &self.topics[number];
        let all = (number, i32::MIN)..=(number, i32::MAX);
        let left = self.ends.range(all.clone()).count();
        if left == 0 {
            let topic = topic.clone();
            return Some(Difference::TopicGone { topic });
        }
        let id = |identity: &LogIdentity| identity.topic_ids.get(topic).cloned();
        if let (Some(was), Some(is)) = (id(&known.identity), id(self.identity))
            && was != is
        {
            let topic = topic.clone();
            return Some(Difference::MadeAgain { topic, was, is });
        }
        let places = known.offsets.range(all);
        let mut read = places.filter(|(_, read)| **read > 0);
        read.find_map(|(place, read)| self.compare_partition(*place, *read, left, known))
    }

    /// How a partition differs that was `read` up to there, of a topic with so many `left`.
    fn compare_partition(
        &self,
        place: Place,
        read: i64,
        left: usize,
        known: &Known,
    ) -> Option<Difference> {
        let (topic, partition) = (self.topics[place.0].clone(), place.1);
        let Some(end) = self.ends.get(&place).copied() else {
            return Some(Difference::PartitionGone {
                topic,
                partition,
                left: i32::try_from(left).unwrap_or(i32::MAX),
            });
        };
        if end < read {
            return Some(Difference::Shrunk {
                topic,
                partition,
                read,
                end,
            });
        }
        let was = *known.last_read.get(&place)?;
        match *self.messages.get(&(topic.clone(), partition))? {
            // Of another offset, where somebody else has read more.
            last_read::Found::Message(is) if is.offset == was.offset && !was.may_be(&is) => {
                Some(Difference::OtherMessage {
                    topic,
                    partition,
                    was,
                    is,
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: LastRead = LastRead {
        offset: 99,
        timestamp: 1_000,
        leader_epoch: Some(3),
        hash: None,
    };

    /// How the log differs from one of which partition 0 was read up to offset 100, and
    /// partition 1 not at all.
    fn differs(
        was: (&str, &[&str]),
        is: (&str, &[&str]),
        ends: &[i64],
        messages: Option<last_read::Found>,
    ) -> Option<Difference> {
        let identity = |(cluster, ids): (&str, &[&str])| LogIdentity {
            cluster_id: (!cluster.is_empty()).then(|| cluster.to_owned()),
            topic_ids: ids
                .iter()
                .map(|id| ("sales".to_owned(), (*id).to_owned()))
                .collect(),
        };
        let known = Known {
            by: "a test".to_owned(),
            identity: identity(was),
            offsets: BTreeMap::from([((0, 0), 100), ((0, 1), 0)]),
            last_read: BTreeMap::from([((0, 0), MESSAGE)]),
        };
        let messages = messages.map(|found| (("sales".to_owned(), 0), found));
        let ends = (0..)
            .zip(ends)
            .map(|(partition, end)| ((0, partition), *end));
        let now = Now {
            topics: &["sales".to_owned()],
            identity: &identity(is),
            brokers: Some("kafka"),
            ends: ends.collect(),
            messages: &messages.into_iter().collect(),
        };
        let mut found = now.compare(&known);
        assert!(found.len() <= 1);
        let found = found.pop()?;
        assert_eq!(found.topics, BTreeSet::from([0]));
        Some(found.difference)
    }

    const KNOWN: (&str, &[&str]) = ("c", &["a"]);

    #[test]
    fn the_same_log_may_have_grown() {
        let same = Some(last_read::Found::Message(MESSAGE));
        for ends in [&[100, 0][..], &[200, 7, 9], &[100]] {
            assert_eq!(differs(KNOWN, KNOWN, ends, same), None);
        }
    }

    #[test]
    fn a_log_that_was_not_named_is_taken_for_the_same() {
        for known in [("", &[][..]), ("c", &[]), ("", &["a"])] {
            assert_eq!(differs(known, KNOWN, &[100, 0], None), None);
            assert_eq!(differs(KNOWN, known, &[100, 0], None), None);
        }
    }

    #[test]
    fn each_kind_of_difference_is_found() {
        let difference = |is, ends| differs(KNOWN, is, ends, None);
        assert!(matches!(
            difference(("d", &["a"]), &[200, 0]),
            Some(Difference::OtherCluster { .. })
        ));
        assert!(matches!(
            difference(("c", &["b"]), &[200, 0]),
            Some(Difference::MadeAgain { .. })
        ));
        assert!(matches!(
            difference(KNOWN, &[]),
            Some(Difference::TopicGone { .. })
        ));
        assert!(matches!(
            difference(KNOWN, &[99, 200]),
            Some(Difference::Shrunk {
                read: 100,
                end: 99,
                ..
            })
        ));
    }

    #[test]
    fn a_message_is_compared_by_all_that_is_known_of_it() {
        let without: (&str, &[&str]) = ("c", &[]);
        let stands = |message| {
            let found = Some(last_read::Found::Message(message));
            differs(without, without, &[200], found)
        };
        assert_eq!(stands(MESSAGE), None);
        let hashed = LastRead {
            hash: Some(7),
            ..MESSAGE
        };
        assert_eq!(stands(hashed), None, "nobody knew of it");
        for other in [
            LastRead {
                timestamp: 1_001,
                ..MESSAGE
            },
            LastRead {
                leader_epoch: Some(4),
                ..MESSAGE
            },
        ] {
            assert!(matches!(
                stands(other),
                Some(Difference::OtherMessage { .. })
            ));
        }
        // It is gone, or somebody else has read more.
        let nothing = Some(last_read::Found::Nothing);
        assert_eq!(differs(without, without, &[200], nothing), None);
        let later = LastRead {
            offset: 150,
            timestamp: 5,
            ..MESSAGE
        };
        assert_eq!(stands(later), None);
    }
}
