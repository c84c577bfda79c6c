//! A log in memory, for benchmarks and property tests: the dataflow cannot tell
//! it from Kafka.

use super::source::{Message, Position, Source, SourceError, Taken, Turn};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A message kept in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Kafka timestamp, in milliseconds since the UNIX epoch.
    pub timestamp: i64,
    /// Key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// A partition kept in memory. Its offsets start at 0.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Number of its topic.
    pub topic: usize,
    /// Its number.
    pub partition: i32,
    /// Its messages.
    pub messages: Arc<Vec<Kept>>,
}

/// Reads partitions in turns, then is finished.
pub struct MemorySource {
    /// With the next offset of each.
    partitions: Vec<(Partition, usize)>,
    is_backfill: bool,
    found: bool,
    /// Whose turn it is.
    first: usize,
    turn: usize,
}

impl MemorySource {
    /// Goes on where `positions` says, by topic and partition.
    #[must_use]
    pub fn from(mut self, positions: &BTreeMap<(usize, i32), i64>) -> MemorySource {
        for (part, next) in &mut self.partitions {
            let position = positions.get(&(part.topic, part.partition));
            let position = position.and_then(|next| usize::try_from(*next).ok());
            *next = position.unwrap_or(*next);
        }
        self
    }

    /// Reads `partitions`, at most `turn` messages of each before the next.
    pub fn new(partitions: Vec<Partition>, turn: usize) -> MemorySource {
        MemorySource {
            partitions: partitions.into_iter().map(|part| (part, 0)).collect(),
            is_backfill: false,
            found: false,
            first: 0,
            turn: turn.max(1),
        }
    }

    /// Reads them for a backfill.
    #[must_use]
    pub fn for_backfill(self) -> MemorySource {
        MemorySource {
            is_backfill: true,
            ..self
        }
    }
}

impl Source for MemorySource {
    fn find(&mut self, each: &mut dyn FnMut(usize, i32)) -> Result<(), SourceError> {
        if !std::mem::replace(&mut self.found, true) {
            for (part, _) in &self.partitions {
                each(part.topic, part.partition);
            }
        }
        Ok(())
    }

    fn read(
        &mut self,
        mut budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<Turn, SourceError> {
        let (mut count, mut silent) = (self.partitions.len(), 0);
        while budget > 0 && silent < count {
            let (part, next) = &mut self.partitions[self.first];
            let turn = self.turn.min(budget);
            let (mut read, mut is_finished) = (0, false);
            while read < turn
                && let Some(kept) = part.messages.get(*next)
            {
                let taken = each(Message {
                    topic: part.topic,
                    partition: part.partition,
                    offset: next.cast_signed() as i64,
                    timestamp: kept.timestamp,
                    key: kept.key.as_deref(),
                    value: kept.value.as_deref(),
                    backfill: self.is_backfill,
                });
                let Taken::Accepted { cost: weight } = taken else {
                    is_finished = taken == Taken::Finished;
                    break;
                };
                read += weight;
                *next += 1;
            }
            silent = if read == 0 { silent + 1 } else { 0 };
            budget = budget.saturating_sub(read);
            if is_finished {
                self.partitions.remove(self.first);
                (count, silent) = (self.partitions.len(), 0);
            } else {
                self.first += 1;
            }
            self.first = if self.first < count { self.first } else { 0 };
        }
        // A backfill ends when the reader reports it finished.
        let done =
            |(part, next): &(Partition, usize)| *next >= part.messages.len() && !self.is_backfill;
        Ok(if self.partitions.iter().all(done) {
            Turn::Finished
        } else if silent < count {
            Turn::More
        } else {
            // None of them may be read yet.
            Turn::Idle
        })
    }

    fn pause(&mut self, _paused: bool) {}

    fn positions(&mut self, each: &mut dyn FnMut(Position) -> bool) {
        self.partitions.retain(|(part, next)| {
            each(Position {
                topic: part.topic,
                partition: part.partition,
                next: next.cast_signed() as i64,
                idle: false,
                last_read: None,
                fingerprint: 0,
                backfill: self.is_backfill,
            })
        });
    }
}
