//! A log in memory, for benchmarks and property tests: the dataflow cannot tell
//! it from Kafka.

use super::source::{Message, Position, Source, SourceError, Turn};
use std::collections::VecDeque;
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
    reading: VecDeque<(Partition, usize)>,
    moved: Vec<Position>,
    turn: usize,
}

impl MemorySource {
    /// Reads `partitions`, at most `turn` messages of each before the next.
    pub fn new(partitions: Vec<Partition>, turn: usize) -> MemorySource {
        let reading = partitions
            .into_iter()
            .map(|partition| (partition, 0))
            .collect();
        MemorySource {
            reading,
            moved: Vec::new(),
            turn: turn.max(1),
        }
    }
}

impl Source for MemorySource {
    fn read(
        &mut self,
        mut budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> usize,
    ) -> Result<Turn, SourceError> {
        while budget > 0 {
            let Some((part, from)) = self.reading.pop_front() else {
                return Ok(Turn::Finished);
            };
            let turn = self.turn.min(budget);
            let (mut until, mut read) = (from, 0);
            while read < turn
                && let Some(kept) = part.messages.get(until)
            {
                read += each(Message {
                    topic: part.topic,
                    partition: part.partition,
                    offset: until.cast_signed() as i64,
                    timestamp: kept.timestamp,
                    key: kept.key.as_deref(),
                    value: kept.value.as_deref(),
                });
                until += 1;
            }
            budget = budget.saturating_sub(read);
            self.moved.push(Position {
                topic: part.topic,
                partition: part.partition,
                next: until.cast_signed() as i64,
            });
            if until < part.messages.len() {
                self.reading.push_back((part, until));
            }
        }
        Ok(if self.reading.is_empty() {
            Turn::Finished
        } else {
            Turn::More
        })
    }

    fn pause(&mut self, _paused: bool) {}

    fn take_positions(&mut self, each: &mut dyn FnMut(Position)) {
        // Later positions of a partition replace earlier ones.
        self.moved.drain(..).for_each(each);
    }
}
