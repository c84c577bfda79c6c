//! Whether the log that was read is the one that Kafka has.
//!
//! The checkpoint and the database each say which cluster and topics they have read, how far,
//! and what the last message was. All of it is compared with what Kafka has now, before
//! anything is changed. Where a topic is another one, the run is refused, unless every view
//! that reads the topic is to be rebuilt: then what is known of it is dropped.

use super::compare::{Known, LogDifference, Messages, Now};
use super::{PlanError, Sources};
use crate::ingest::last_read::{self, Partition};
use crate::saving::Manifest;
use crate::sink::Place;
use crate::time::SavedWatermarks;
use sinks::{LastRead, Standing};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What earlier runs have read, by the checkpoint and by the database.
pub struct WasRead {
    manifest: Option<Manifest>,
    known: Vec<Known>,
}

impl WasRead {
    /// Whether nothing was read, as far as is known.
    pub fn is_empty(&self) -> bool {
        let mut offsets = self.known.iter().flat_map(|known| known.offsets.values());
        offsets.all(|read| *read == 0)
    }

    /// The newest message that was read of each partition.
    fn newest(&self) -> BTreeMap<Place, LastRead> {
        let mut newest: BTreeMap<Place, LastRead> = BTreeMap::new();
        for (place, last) in self.known.iter().flat_map(|known| &known.last_read) {
            let known = newest.entry(*place).or_insert(*last);
            if known.offset < last.offset {
                *known = *last;
            }
        }
        newest
    }
}

impl Sources<'_> {
    /// What earlier runs have read.
    ///
    /// # Errors
    /// When the checkpoint or the database cannot be read.
    pub fn was_read(&self) -> Result<WasRead, PlanError> {
        let manifest = self
            .store
            .map(|store| store.newest())
            .transpose()?
            .flatten();
        let known = self.known(manifest.as_ref(), &self.reader.standing()?);
        Ok(WasRead { manifest, known })
    }

    /// The newest message that was read of each partition, where Kafka should still have it.
    pub fn to_look_up(&self, was_read: &WasRead) -> BTreeMap<Partition, LastRead> {
        let mut wanted = was_read.newest();
        let found = self.found.iter();
        let found = found.map(|found| ((found.topic, found.partition), found.low..found.high));
        let found: BTreeMap<Place, Range<i64>> = found.collect();
        wanted.retain(|place, last| {
            let found = found.get(place);
            found.is_some_and(|offsets| offsets.contains(&last.offset))
        });
        let named = |((topic, partition), last): (Place, LastRead)| {
            ((self.topics[topic].clone(), partition), last)
        };
        wanted.into_iter().map(named).collect()
    }

    /// How the log that was read differs from the one that Kafka has, where `messages` stand
    /// at the offsets of those that were looked up.
    pub fn differences(&self, was_read: &WasRead, messages: &Messages) -> Vec<LogDifference> {
        let partitions = self.found.iter();
        let partitions = partitions.map(|found| ((found.topic, found.partition), found.high));
        let now = Now {
            topics: self.topics,
            identity: &self.identity,
            brokers: self.brokers,
            ends: partitions.collect(),
            messages,
        };
        let known = was_read.known.iter();
        known.flat_map(|known| now.compare(known)).collect()
    }

    /// Decides what follows from differences: the topics, by number, whose state is dropped,
    /// since all views that read them are rebuilt.
    ///
    /// # Errors
    /// When that was not asked for.
    pub fn settle(
        &self,
        was_read: &WasRead,
        differences: Vec<LogDifference>,
    ) -> Result<BTreeSet<usize>, PlanError> {
        let (mut dropped, mut said) = (BTreeSet::new(), BTreeSet::new());
        for found in differences {
            for topic in &found.topics {
                let is_under_way = |manifest: &Manifest| self.is_being_rebuilt(manifest, *topic);
                if was_read.manifest.as_ref().is_some_and(is_under_way) {
                    continue;
                }
                let of_topic = self.readers.of_topic(*topic);
                let missing = of_topic.iter().filter(|view| !self.reset.contains(*view));
                let missing: Vec<_> = missing.map(String::as_str).collect();
                if !missing.is_empty() {
                    let way_out = match missing.len() < of_topic.len() {
                        false => self.readers.way_out(&found.difference),
                        true => format!(
                            "--reset-view does not name all views that read topic {}: name {} as well",
                            self.topics[*topic],
                            missing.join(", ")
                        ),
                    };
                    return Err(PlanError::OtherLog {
                        by: found.by,
                        difference: Box::new(found.difference),
                        way_out,
                    });
                }
            }
            let difference = found.difference.to_string();
            if said.insert(difference.clone()) {
                tracing::warn!(
                    "{difference}. What was read of it is dropped, and every view that reads it is \
                     rebuilt"
                );
            }
            dropped.extend(found.topics);
        }
        Ok(dropped)
    }

    /// Says what is not compared: a state that does not know of which log it is, and
    /// messages that are gone where topics have no ids.
    pub fn report_unknown(&self, was_read: &WasRead, messages: &Messages) {
        let now = &self.identity.topic_ids;
        let adopts = |known: &&Known| {
            let read = known.offsets.iter().filter(|(_, read)| **read > 0);
            let mut topics = read.map(|((topic, _), _)| &self.topics[*topic]);
            topics.any(|topic| {
                now.contains_key(topic) && !known.identity.topic_ids.contains_key(topic)
            })
        };
        let adopting = was_read.known.iter().filter(adopts);
        let adopting: BTreeSet<&str> = adopting.map(|known| known.by.as_str()).collect();
        if !adopting.is_empty() {
            let cluster = self.identity.cluster_id.as_deref();
            tracing::info!(
                "{} does not say which log was read: from now on it is that of the cluster {}, with \
                 the topics that are there",
                Vec::from_iter(adopting).join(", and "),
                cluster.unwrap_or("(without id)")
            );
        }
        for ((topic, partition), _) in was_read.newest() {
            let name = &self.topics[topic];
            let stands = messages.get(&(name.clone(), partition));
            let is_there = matches!(stands, Some(last_read::Found::Message(_)));
            if !now.contains_key(name) && !is_there {
                tracing::warn!(
                    "topic {name} partition {partition}: the last message that was read is not \
                     there any more. The brokers give topics no ids, so that it cannot be known \
                     whether this is the same topic"
                );
            }
        }
    }

    fn known(&self, manifest: Option<&Manifest>, standing: &Standing) -> Vec<Known> {
        let checkpoint = manifest.zip(self.store).map(|(manifest, store)| {
            let (state, names) = (&manifest.state, self.names());
            let offsets = state.partitions.iter().filter_map(|saved| {
                let topic = names.topic_number(&saved.topic)?;
                Some(((topic, saved.partition), saved.next))
            });
            let marks = state.watermarks.marks.iter();
            let last_read = marks.filter_map(|mark| {
                let topic = names.topic_number(&mark.topic)?;
                Some(((topic, mark.partition), mark.last_read?))
            });
            Known {
                by: format!("the checkpoint in {}", store.describe()),
                identity: state.log.clone(),
                offsets: offsets.collect(),
                last_read: last_read.collect(),
            }
        });
        let progress = standing.progress.iter();
        let progress = progress.map(|progress| (&progress.offsets, &progress.log));
        let reaching = (&standing.reaching.offsets, &standing.reaching.log);
        let database = progress.chain([reaching]).map(|(offsets, log)| Known {
            by: "the database".to_owned(),
            identity: log.identity.clone(),
            offsets: self.numbered(offsets),
            last_read: self.numbered(&log.last_read),
        });
        checkpoint.into_iter().chain(database).collect()
    }

    pub(super) fn numbered<T: Copy>(
        &self,
        named: &BTreeMap<String, BTreeMap<i32, T>>,
    ) -> BTreeMap<Place, T> {
        let topics = self.topics.iter().enumerate();
        let known = topics.filter_map(|(number, name)| Some((number, named.get(name)?)));
        known
            .flat_map(|(number, partitions)| {
                let places = partitions.iter();
                places.map(move |(partition, value)| ((number, *partition), *value))
            })
            .collect()
    }

    /// Whether an earlier start has dropped what the checkpoint knew of a topic, and has not
    /// come to its end: nothing of the topic has been read since, and all views that read it
    /// are being rebuilt.
    fn is_being_rebuilt(&self, manifest: &Manifest, topic: usize) -> bool {
        let state = &manifest.state;
        let name = &self.topics[topic];
        let mut partitions = state.partitions.iter();
        let mut readers = self.readers.of_topic(topic).iter();
        !partitions.any(|saved| saved.topic == *name)
            && readers.all(|view| state.rebuilding.contains(view))
    }
}

/// The last message that a checkpoint has read of each partition.
pub(super) fn last_read(watermarks: &SavedWatermarks) -> BTreeMap<Place, LastRead> {
    let marks = watermarks.marks.iter();
    let known = marks.filter_map(|mark| Some(((mark.topic, mark.partition), mark.last_read?)));
    known.collect()
}
