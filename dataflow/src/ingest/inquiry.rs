//! Asks Kafka which topics it has, and compares the answer with those that are read.
//!
//! Who asks is the thread that looks for partitions, from time to time, and the one that
//! records how far rows may reach, before it does: see [`identity`](super::identity). An id
//! is taken up when a topic is found, before anything is read of it; from then on another
//! one is a difference.

use super::advertised::Unreachable;
use super::answers::{Before, Fingerprint, Read, Together, fingerprint, together};
use super::context::Context;
use super::describe::{Answer, Description, TopicState, brokers, cluster_id, describe};
use super::difference::Difference;
use super::identity::{IdentityError, Readers};
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
    /// Takes up what has been found of a topic.
    fn take_up(&mut self, topic: usize, name: &str, found: Description) {
        if let Some(id) = found.id {
            self.identity.topic_ids.insert(name.to_owned(), id);
        }
        self.partitions.insert(topic, found.partitions);
        self.leaders.extend(found.leaders);
    }
}

fn without_ids(answer: &mut Answer) {
    for state in answer.values_mut() {
        if let TopicState::Exists(found) = state {
            found.id = None;
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

    /// The fingerprint of a topic's id; 0 where the brokers give it none.
    pub(super) fn fingerprint(&self, topic: usize) -> Fingerprint {
        let known = self.known();
        let id = known.identity.topic_ids.get(&self.topics[topic]);
        id.map_or(0, |id| fingerprint(id))
    }

    /// What is known is another process's: it has to be the same here. Topics that only this
    /// process knows stay as they are.
    pub fn expect(&self, identity: &LogIdentity) -> Option<Difference> {
        let mut known = self.known();
        let mut difference = self.other_cluster(identity, known.identity.cluster_id.as_ref());
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

    /// Asks for all topics. What is new in the answer is taken up.
    ///
    /// # Errors
    /// When Kafka does not answer in time.
    pub(super) fn look(&self, timeout: Duration) -> Result<Look, KafkaError> {
        let all = (0..self.topics.len()).map(|topic| (topic, None));
        self.ask_for(&all.collect(), timeout)
    }

    /// Asks for topics that something was read of.
    ///
    /// # Errors
    /// When Kafka does not answer in time.
    pub(super) fn confirm(&self, read: &Read, timeout: Duration) -> Result<Look, KafkaError> {
        let read = read.iter().map(|(topic, read)| (*topic, Some(*read)));
        self.ask_for(&read.collect(), timeout)
    }

    fn ask_for(
        &self,
        topics: &BTreeSet<(usize, Option<Fingerprint>)>,
        timeout: Duration,
    ) -> Result<Look, KafkaError> {
        let names: BTreeSet<&str> = topics.iter().map(|topic| &*self.topics[topic.0]).collect();
        let names = Vec::from_iter(names);
        let (mut answers, cluster) = (self.ask(&names, timeout)?, cluster_id(&self.consumer));
        if !self.by_id {
            answers.iter_mut().for_each(without_ids);
        }
        let mut known = self.known();
        let mut look = Look::default();
        let other_cluster = self.other_cluster(&known.identity, cluster.as_ref());
        look.differences.extend(other_cluster);
        known.identity.cluster_id = known.identity.cluster_id.take().or(cluster);
        let is_all = names.len() == self.topics.len();
        if is_all {
            // Who led them before need not be there any more.
            known.leaders.clear();
        }
        for (topic, read) in topics {
            let name = &self.topics[*topic];
            let before = Before {
                id: known.identity.topic_ids.get(name).map(String::as_str),
                partitions: known.partitions.get(topic).copied(),
                read: *read,
            };
            let of_topic = answers.iter().map(|answer| answer.get(name));
            match together(name, before, of_topic) {
                Together::Is(found) => {
                    look.partitions.insert(*topic, found.partitions);
                    // What another process has found is new here.
                    if read.is_none() || before.partitions.is_none() {
                        known.take_up(*topic, name, found);
                    }
                }
                Together::IsNot => drop(look.partitions.insert(*topic, 0)),
                Together::Differs(difference) => look.differences.push(difference),
                Together::Unknown(code) => {
                    look.unknown.get_or_insert((*topic, code));
                }
            }
        }
        Ok(look)
    }

    /// Why messages of a topic that were read are not there any more: it may be another
    /// topic by now. Else they are `lost`.
    pub(super) fn explain(
        &self,
        topic: usize,
        lost: Difference,
        timeout: Duration,
    ) -> IdentityError {
        let looked = self.confirm(&Read::from([(topic, self.fingerprint(topic))]), timeout);
        let differences = looked.map(|look| look.differences).unwrap_or_default();
        let mut known = differences.into_iter();
        let known = known.find(|difference| !difference.may_pass());
        self.readers.error(known.unwrap_or(lost))
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
        let all = brokers(&self.consumer, topic, left)?;
        asked = all.iter().map(|(broker, _)| *broker).collect();
        asked.truncate(BROKERS);
        describe(
            &self.consumer,
            topics,
            &asked,
            left.saturating_sub(begun.elapsed()),
        )
    }

    fn other_cluster(&self, known: &LogIdentity, now: Option<&String>) -> Option<Difference> {
        let (was, is) = (known.cluster_id.as_ref()?, now?);
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

    /// A broker that is not where it advertises, by the last answer that said so.
    pub(super) fn unreachable(&self) -> Option<Unreachable> {
        Unreachable::find(&self.consumer, &self.topics, &self.brokers)
    }
}
