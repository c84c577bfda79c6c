//! Asks Kafka which topics it has, and compares the answer with those that are read.
//!
//! Who asks is the thread that looks for partitions, from time to time, and the one that
//! records how far rows may reach, before it does: see [`identity`](super::identity). An id
//! is taken up when a topic is found, before anything is read of it; from then on another
//! one is a difference.

use super::client::Context;
use super::describe::{Answer, Description, TopicState, brokers, cluster_id, describe};
use super::difference::Difference;
use super::identity::Readers;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use sinks::LogIdentity;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Brokers that are asked at the same time.
const BROKERS: usize = 3;

/// What is known of the log, and whom to ask for more.
pub struct Inquiry {
    consumer: Arc<BaseConsumer<Context>>,
    brokers: String,
    topics: Arc<[String]>,
    readers: Readers,
    /// Whether topics are compared by their ids.
    by_id: bool,
    known: Mutex<Known>,
}

/// What is known of the log.
#[derive(Debug, Default)]
struct Known {
    identity: LogIdentity,
    /// By the number of the topic: how many partitions it has.
    partitions: BTreeMap<usize, i32>,
    /// Brokers that lead some of them.
    leaders: BTreeSet<i32>,
}

impl Known {
    /// Takes up what has been found of topics.
    fn adopt(&mut self, topics: &[String], found: BTreeMap<usize, Description>) {
        // Who led them before need not be there any more.
        self.leaders.clear();
        for (topic, found) in found {
            if let Some(id) = found.id {
                self.identity.topic_ids.insert(topics[topic].clone(), id);
            }
            self.partitions.insert(topic, found.partitions);
            self.leaders.extend(found.leaders);
        }
    }
}

/// What an answer of Kafka says.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// By the number of the topic, of those that do not differ: how many partitions it has;
    /// none where it is not there.
    pub(super) partitions: BTreeMap<usize, i32>,
    /// The first topic that Kafka does not tell about, and why.
    pub(super) unknown: Option<(usize, Code)>,
    /// How the log differs from the one that is known.
    pub(super) differences: Vec<Difference>,
}

impl Inquiry {
    pub(super) fn new(
        consumer: Arc<BaseConsumer<Context>>,
        brokers: String,
        topics: Arc<[String]>,
        readers: Readers,
    ) -> Inquiry {
        Inquiry {
            consumer,
            brokers,
            topics,
            readers,
            by_id: crate::fail_points::topics_have_ids(),
            known: Mutex::default(),
        }
    }

    /// The client that asks.
    pub(super) fn consumer(&self) -> &Arc<BaseConsumer<Context>> {
        &self.consumer
    }

    /// The brokers, as the user named them.
    pub(super) fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Full names of the topics, by number.
    pub(super) fn topics(&self) -> &Arc<[String]> {
        &self.topics
    }

    /// Which views read them.
    pub fn readers(&self) -> &Readers {
        &self.readers
    }

    /// The log, as far as it is known.
    pub fn identity(&self) -> LogIdentity {
        self.known().identity.clone()
    }

    /// Whether the brokers give this topic an id.
    pub(super) fn has_id(&self, topic: usize) -> bool {
        let known = self.known();
        known.identity.topic_ids.contains_key(&self.topics[topic])
    }

    /// What is known is another process's: it has to be the same here. Topics that only this
    /// process knows stay as they are.
    pub fn expect(&self, identity: &LogIdentity) -> Option<Difference> {
        let mut known = self.known();
        let mut difference = self.other_cluster(identity, &known.identity.cluster_id);
        for (topic, was) in &identity.topic_ids {
            if let Some(is) = known.identity.topic_ids.get(topic)
                && is != was
            {
                difference = difference.or_else(|| {
                    Some(Difference::MadeAgain {
                        topic: topic.clone(),
                        was: was.clone(),
                        is: is.clone(),
                    })
                });
            }
        }
        let ids = identity.topic_ids.clone();
        known.identity.topic_ids.extend(ids);
        difference
    }

    /// Forgets all that is known: the next answer is taken up whatever it says. Only before
    /// anything is read.
    pub(super) fn forget(&self) {
        *self.known() = Known::default();
    }

    /// Asks for topics by their numbers. What is new in the answer is taken up if `adopt`;
    /// then it has to be all topics.
    ///
    /// # Errors
    /// When Kafka does not answer in time.
    pub(super) fn look(
        &self,
        topics: &BTreeSet<usize>,
        adopt: bool,
        timeout: Duration,
    ) -> Result<Look, KafkaError> {
        let names: Vec<&str> = topics.iter().map(|topic| &*self.topics[*topic]).collect();
        let (answers, cluster) = (self.ask(&names, timeout)?, cluster_id(&self.consumer));
        let mut known = self.known();
        let mut look = Look::default();
        let other_cluster = self.other_cluster(&known.identity, &cluster);
        look.differences.extend(other_cluster);
        known.identity.cluster_id = known.identity.cluster_id.take().or(cluster);
        let mut found = BTreeMap::new();
        for topic in topics {
            found.extend(self.compare(*topic, &answers, &known, &mut look));
        }
        if adopt {
            known.adopt(&self.topics, found);
        }
        Ok(look)
    }

    /// Asks those that lead partitions of the topics; others, where those are not known or
    /// do not answer.
    fn ask(&self, topics: &[&str], timeout: Duration) -> Result<Vec<Answer>, KafkaError> {
        let Some(topic) = topics.first() else {
            return Ok(Vec::new());
        };
        let mut left = timeout;
        let mut asked: Vec<i32> = self.known().leaders.iter().copied().take(BROKERS).collect();
        if !asked.is_empty() {
            left = timeout / 2;
            let answers = describe(&self.consumer, topics, &asked, left);
            if answers.is_ok() {
                return answers;
            }
        }
        let begun = Instant::now();
        asked = brokers(&self.consumer, topic, left)?;
        asked.truncate(BROKERS);
        describe(
            &self.consumer,
            topics,
            &asked,
            left.saturating_sub(begun.elapsed()),
        )
    }

    /// Compares what all answers say of a topic with what is known of it. Returns what is
    /// there, if nothing differs.
    fn compare(
        &self,
        topic: usize,
        answers: &[Answer],
        known: &Known,
        look: &mut Look,
    ) -> Option<(usize, Description)> {
        let name = &self.topics[topic];
        let mut found: Option<Description> = None;
        let mut difference = None;
        let mut differ = |found| {
            difference.get_or_insert(found);
        };
        for answer in answers {
            match answer.get(name) {
                Some(TopicState::Exists(described)) => {
                    let id = described.id.as_ref().filter(|_| self.by_id);
                    let was = known.identity.topic_ids.get(name);
                    let other = found.as_ref().and_then(|found| found.id.as_ref());
                    match (was.or(other), id) {
                        (Some(was), Some(is)) if was != is => differ(Difference::MadeAgain {
                            topic: name.clone(),
                            was: was.clone(),
                            is: is.clone(),
                        }),
                        _ => {}
                    }
                    let had = known.partitions.get(&topic).copied().unwrap_or(0);
                    if described.partitions < had {
                        differ(Difference::PartitionGone {
                            topic: name.clone(),
                            partition: described.partitions,
                            left: described.partitions,
                        });
                    }
                    let more = found.as_ref().map_or(0, |found| found.partitions);
                    if described.partitions > more {
                        found = Some(Description {
                            id: id.cloned(),
                            ..described.clone()
                        });
                    }
                }
                Some(TopicState::Missing) if known.partitions.contains_key(&topic) => {
                    differ(Difference::TopicGone {
                        topic: name.clone(),
                    });
                }
                Some(TopicState::Missing) => {}
                Some(TopicState::Unknown(code)) => {
                    look.unknown.get_or_insert((topic, *code));
                }
                None => {
                    look.unknown.get_or_insert((topic, Code::UnknownTopic));
                }
            }
        }
        let count = found.as_ref().map_or(0, |found| found.partitions);
        if difference.is_some() {
            look.differences.extend(difference);
            return None;
        }
        look.partitions.insert(topic, count);
        found.map(|found| (topic, found))
    }

    fn other_cluster(&self, known: &LogIdentity, now: &Option<String>) -> Option<Difference> {
        let (was, is) = (known.cluster_id.as_ref()?, now.as_ref()?);
        (was != is).then(|| Difference::OtherCluster {
            was: was.clone(),
            is: is.clone(),
            brokers: self.brokers.clone(),
        })
    }

    /// Lets the client say what it has to say.
    pub(super) fn context(&self) -> &Context {
        self.consumer.context()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
