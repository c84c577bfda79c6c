//! Which partitions exist: asked of Kafka at the start and again and again.
//!
//! Every process asks for itself, and every partition has one owner by a rule
//! that all of them share ([`owner`]); so a partition that is added while the
//! pipeline runs is taken up by exactly one worker, with nobody telling it.

use super::client::Connection;
use super::context::serve;
use super::difference::Difference;
use super::ends;
use super::identity::Readers;
use super::inquiry::Inquiry;
use super::missing::NoTopics;
use super::problem::{DiscoveryError, Problem};
use client::PropertyError;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long Kafka may take to answer one question.
const ANSWER: Duration = Duration::from_secs(5);

/// How long one attempt at the start may take, so that each is told.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long to wait after an attempt that failed.
const PAUSE: Duration = Duration::from_millis(500);
/// So many attempts in a row that found no login are enough: waiting does not help. (A broker
/// that has just started may not know of its users yet.)
const REFUSALS: u32 = 2;

/// A partition that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Number of its topic.
    pub topic: usize,
    /// Its number.
    pub partition: i32,
    /// Its first offset when it was found.
    pub low: i64,
    /// Its end when it was found: the offset of the next message; or, where a transaction
    /// is open, the offset at which that begins.
    pub high: i64,
    /// The offset behind its last message then, open transactions included.
    pub end: i64,
}

/// The worker that reads a partition, of `peers` in all processes.
pub fn owner(topic: usize, partition: i32, peers: usize) -> usize {
    (topic + usize::try_from(partition).unwrap_or(0)) % peers
}

/// The partitions found so far.
#[derive(Default)]
pub struct Discovery {
    found: Mutex<Vec<Found>>,
    version: AtomicU64,
    /// Topics, by their numbers, that something has been read of.
    read: Mutex<BTreeSet<usize>>,
}

impl Discovery {
    /// Changes whenever partitions have been found.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// All partitions found so far, in the order in which they were found.
    pub fn found(&self) -> Vec<Found> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Something has been read of a topic.
    pub(super) fn is_read(&self, topic: usize) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.insert(topic);
    }

    pub(super) fn has_read(&self, topic: usize) -> bool {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.contains(&topic)
    }

    fn forget(&self) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clear();
    }

    fn add(&self, found: Vec<Found>) {
        if !found.is_empty() {
            self.found
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(found);
            self.version.fetch_add(1, Ordering::Release);
        }
    }
}

/// Asks Kafka for the partitions of topics.
pub struct Prober {
    pub(super) inquiry: Arc<Inquiry>,
    /// Partitions known of each topic.
    known: Vec<i32>,
    said_missing: Vec<bool>,
}

impl Prober {
    /// A prober for `topics`, given by their full names, which these views read.
    ///
    /// # Errors
    /// When the client does not take its properties.
    pub fn new(
        connection: &Connection,
        topics: Arc<[String]>,
        readers: Readers,
    ) -> Result<Prober, PropertyError> {
        let consumer = Arc::new(connection.prober()?);
        let (known, said_missing) = (vec![0; topics.len()], vec![false; topics.len()]);
        let brokers = connection.brokers.clone();
        Ok(Prober {
            inquiry: Arc::new(Inquiry::new(consumer, brokers, topics, readers)),
            known,
            said_missing,
        })
    }

    /// What it knows of the log.
    pub fn inquiry(&self) -> &Arc<Inquiry> {
        &self.inquiry
    }

    /// Asks until Kafka has answered for every topic, for `timeout` at the most,
    /// with one line of log for each attempt that failed.
    ///
    /// # Errors
    /// When it has not answered in time, or before `stopping` was set.
    pub fn first(
        &mut self,
        discovery: &Discovery,
        timeout: Duration,
        stopping: &AtomicBool,
    ) -> Result<(), DiscoveryError> {
        let context = Arc::clone(&self.inquiry);
        context.context().set_quiet(true);
        let answered = self.until_answered(discovery, timeout, stopping);
        context.context().set_quiet(false);
        answered
    }

    fn until_answered(
        &mut self,
        discovery: &Discovery,
        timeout: Duration,
        stopping: &AtomicBool,
    ) -> Result<(), DiscoveryError> {
        let started = Instant::now();
        let inquiry = Arc::clone(&self.inquiry);
        inquiry.context().forget_complaints();
        let (mut refused, mut unreachable) = (0, None);
        loop {
            // The client reports why it cannot connect when it is polled.
            serve(inquiry.consumer(), |_| {});
            let left = timeout.saturating_sub(started.elapsed());
            let left = left.clamp(Duration::from_millis(100), ATTEMPT);
            let problem = match self.probe(discovery, left, stopping) {
                // What is found when it is stopped is not all of it.
                Ok(_) if stopping.load(Ordering::Relaxed) => {
                    Problem::of_all("it was stopped".to_owned())
                }
                Ok(differences) => match differences.into_iter().next() {
                    None => return Ok(()),
                    // Nothing was known before: brokers do not agree yet.
                    Some(difference) => Problem {
                        of: Some(difference.topic().unwrap_or("the cluster").to_owned()),
                        ..Problem::of_all(difference.to_string())
                    },
                },
                Err(problem) => problem,
            };
            serve(inquiry.consumer(), |_| {});
            let is_stopped = stopping.load(Ordering::Relaxed);
            let mut problem = problem.because(inquiry.context().complaint());
            if problem.may_be_elsewhere && !is_stopped {
                // What an attempt has found, a shorter one need not find again.
                unreachable = inquiry.unreachable().or(unreachable);
                problem.unreachable.clone_from(&unreachable);
            }
            refused = match problem.is_refusal() {
                true => refused + 1,
                false => 0,
            };
            // One line is enough of what another attempt has no time to find otherwise.
            let is_over = started.elapsed() + PAUSE >= timeout;
            if is_over || refused >= REFUSALS || is_stopped {
                return Err(problem.error(inquiry.brokers(), timeout));
            }
            let left = timeout.saturating_sub(started.elapsed()).as_secs_f32();
            tracing::warn!(
                "Kafka at {} does not answer yet ({problem}); trying for another {:.0} s",
                inquiry.brokers(),
                left.ceil()
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// Asks for everything anew, as [`Prober::first`] does: before any partition is read,
    /// when it has become doubtful how far they go.
    ///
    /// # Errors
    /// When Kafka has not answered in time, or before `stopping` was set.
    pub fn anew(
        &mut self,
        discovery: &Discovery,
        timeout: Duration,
        stopping: &AtomicBool,
    ) -> Result<(), DiscoveryError> {
        self.known.fill(0);
        self.inquiry.forget();
        discovery.forget();
        self.first(discovery, timeout, stopping)
    }

    /// The topics that do not exist.
    pub fn missing(&self) -> Vec<String> {
        let all = self.inquiry.topics().iter().zip(&self.known);
        let missing = all.filter(|(_, partitions)| **partitions == 0);
        missing.map(|(topic, _)| topic.clone()).collect()
    }

    /// Which topics exist instead, if not one of those that are to be read does.
    pub fn no_topics(&self) -> Option<NoTopics> {
        let missing = self.missing();
        let all = missing.len() == self.known.len();
        all.then(|| {
            NoTopics::of(
                self.inquiry.consumer(),
                self.inquiry.brokers(),
                missing,
                ANSWER,
            )
        })
    }

    /// Asks once for every topic. What is found of one does not wait for another. Returns
    /// how the topics differ from those that were found before.
    ///
    /// # Errors
    /// The first that Kafka did not answer for.
    pub(super) fn probe(
        &mut self,
        discovery: &Discovery,
        timeout: Duration,
        stopping: &AtomicBool,
    ) -> Result<Vec<Difference>, Problem> {
        let looked = self.inquiry.look(timeout);
        let look = looked.map_err(|error| Problem::new(&error, || "the topics".to_owned()))?;
        let mut outcome = match look.unknown {
            None => Ok(()),
            Some((topic, code)) => {
                let of = Some(format!("topic {}", self.inquiry.topics()[topic]));
                let detail = KafkaError::MetadataFetch(code).to_string();
                Err(Problem {
                    of,
                    ..Problem::of_all(detail)
                })
            }
        };
        for (topic, count) in look.partitions {
            let mut found = Vec::new();
            let mut probed = self.probe_topic(topic, count, timeout, stopping, &mut found);
            if let Err(problem) = self.find_ends(topic, timeout, &mut found) {
                found.clear();
                probed = Err(problem);
            }
            self.known[topic] += i32::try_from(found.len()).unwrap_or(0);
            if !found.is_empty() {
                let (name, count) = (&self.inquiry.topics()[topic], self.known[topic]);
                tracing::info!(partitions = count, "topic {name}");
            }
            discovery.add(found);
            if outcome.is_ok() {
                outcome = probed;
            }
            let away = |problem: &Problem| problem.of.is_none();
            if outcome.as_ref().is_err_and(away) || stopping.load(Ordering::Relaxed) {
                break;
            }
        }
        outcome.map(|()| look.differences)
    }

    /// Asks where the partitions of one topic begin and end, those that are not known yet
    /// of its `count`. They are found in the order of their numbers, up to the first that
    /// has no answer.
    fn probe_topic(
        &mut self,
        topic: usize,
        count: i32,
        timeout: Duration,
        stopping: &AtomicBool,
        found: &mut Vec<Found>,
    ) -> Result<(), Problem> {
        let name = &self.inquiry.topics()[topic];
        if count == 0 && !self.said_missing[topic] {
            self.said_missing[topic] = true;
            tracing::info!("topic {name} does not exist yet; it is read as soon as it does");
        }
        for partition in self.known[topic]..count {
            if stopping.load(Ordering::Relaxed) {
                break;
            }
            let (low, high) = self
                .inquiry
                .consumer()
                .fetch_watermarks(name, partition, timeout)
                .map_err(|error| {
                    let what = || format!("topic {name} partition {partition}");
                    // Kafka has just answered for the topic: this one has no leader.
                    match error.rdkafka_error_code() {
                        Some(RDKafkaErrorCode::OperationTimedOut) => Problem {
                            of: Some(what()),
                            may_be_elsewhere: true,
                            ..Problem::of_all(error.to_string())
                        },
                        _ => Problem::new(&error, what),
                    }
                })?;
            found.push(Found {
                topic,
                partition,
                low,
                high,
                end: high,
            });
        }
        Ok(())
    }

    /// Asks where partitions that were just found end, open transactions included.
    fn find_ends(
        &self,
        topic: usize,
        timeout: Duration,
        found: &mut [Found],
    ) -> Result<(), Problem> {
        if found.is_empty() {
            return Ok(());
        }
        let name = &self.inquiry.topics()[topic];
        let partitions: Vec<i32> = found.iter().map(|found| found.partition).collect();
        let ends = ends::of(self.inquiry.consumer(), name, &partitions, timeout)
            .map_err(|error| Problem::new(&error, || format!("topic {name}")))?;
        for ends::End { partition, end } in ends {
            let end = end.map_err(|error| {
                Problem::new(&error, || format!("topic {name} partition {partition}"))
            })?;
            if let Some(found) = found.iter_mut().find(|found| found.partition == partition) {
                found.end = found.high.max(end);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn every_partition_has_one_owner_and_owners_share_evenly() {
        for peers in 1..8 {
            let mut load: HashMap<usize, usize> = HashMap::new();
            for topic in 0..6 {
                for partition in 0..16 {
                    let owner = owner(topic, partition, peers);
                    assert!(owner < peers);
                    *load.entry(owner).or_default() += 1;
                }
            }
            let (least, most) = (load.values().min().unwrap(), load.values().max().unwrap());
            assert_eq!(load.len(), peers);
            assert!(
                most - least <= 6,
                "{least} to {most} partitions a worker, of {peers}"
            );
        }
    }
}
