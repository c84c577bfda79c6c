//! What one worker makes of the messages it reads while an epoch is open.

use super::source::Message;
use crate::Epoch;
use crate::observe::Board;
use crate::views::Catalog;
use crate::views::contributions::Contributions;
use events::Timestamp;
use sinks::{DeadLetter, Reason};
use std::sync::Arc;

/// Decodes messages and adds up what they contribute.
pub(super) struct Reading {
    catalog: Arc<Catalog>,
    topics: Arc<[String]>,
    board: Arc<Board>,
    counts: Vec<Counts>,
    /// What the epoch's events contribute and has not been sent yet.
    pub(super) contributions: Contributions,
    /// The events that could not be used and have not been sent yet.
    pub(super) letters: Vec<DeadLetter>,
}

/// What has been read of a topic since it was last reported.
#[derive(Default)]
struct Counts {
    events: u64,
    bytes: u64,
    tombstones: u64,
    malformed: u64,
}

impl Reading {
    pub(super) fn new(catalog: Arc<Catalog>, topics: Arc<[String]>, board: Arc<Board>) -> Reading {
        let counts = topics.iter().map(|_| Counts::default()).collect();
        Reading {
            catalog,
            topics,
            board,
            counts,
            contributions: Contributions::default(),
            letters: Vec::new(),
        }
    }

    /// Takes up one message. Returns what it weighs in flight, in events.
    pub(super) fn take(&mut self, message: &Message<'_>, epoch: Epoch) -> usize {
        let counts = &mut self.counts[message.topic];
        counts.events += 1;
        let Some(value) = message.value else {
            counts.tombstones += 1;
            return 1;
        };
        counts.bytes += value.len() as u64;
        let route = &self.catalog.routes[message.topic];
        let kafka = Timestamp::from_millis(message.timestamp);
        match route.apply(value, kafka, &mut self.contributions) {
            Ok(()) => 1 + value.len() / BYTES_OF_AN_EVENT,
            Err(malformed) => {
                counts.malformed += 1;
                let letter = DeadLetter {
                    topic: self.topics[message.topic].clone(),
                    partition: message.partition,
                    offset: message.offset,
                    timestamp: message.timestamp,
                    reason: Reason::Malformed,
                    detail: malformed.to_string(),
                    view: None,
                    key: message.key.map(<[u8]>::to_vec),
                    value: value.to_vec(),
                    epoch,
                };
                let bytes = letter.size();
                self.letters.push(letter);
                1 + bytes / BYTES_OF_A_LETTER
            }
        }
    }

    /// Tells the board what has been read since it was last told.
    pub(super) fn report(&mut self) {
        for (topic, counts) in self.counts.iter_mut().enumerate() {
            let Counts {
                events,
                bytes,
                tombstones,
                malformed,
            } = std::mem::take(counts);
            if events > 0 {
                self.board.events_read(topic, events, bytes);
            }
            if tombstones > 0 {
                self.board.tombstones(topic, tombstones);
            }
            if malformed > 0 {
                self.board.malformed(topic, malformed);
            }
        }
    }
}

/// Of an event its row's group is kept, which may be most of it: so many bytes
/// of a message weigh as much as a usual event.
const BYTES_OF_AN_EVENT: usize = 4_096;
/// A dead letter holds its message whole: so many bytes of it weigh as much as
/// an event whose sums alone are kept.
const BYTES_OF_A_LETTER: usize = 128;
