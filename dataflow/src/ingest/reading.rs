//! What one worker makes of the messages it reads while an epoch is open.

use super::partitions::Partitions;
use super::source::{Message, Taken};
use crate::Epoch;
use crate::observe::Board;
use crate::views::catalog::{self, Catalog, Refused};
use crate::views::contributions::Contributions;
use events::Timestamp;
use sinks::{DeadLetter, Reason};
use std::sync::Arc;

/// Judges and decodes messages, and adds up what they contribute.
pub(super) struct Reading {
    catalog: Arc<Catalog>,
    topics: Arc<[String]>,
    board: Arc<Board>,
    counts: Vec<Counts>,
    refusals: Vec<Refusals>,
    /// The partitions that are read.
    pub(super) partitions: Partitions,
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

/// What a view has not taken since it was last reported.
#[derive(Default)]
struct Refusals {
    late: u64,
    from_the_future: u64,
}

impl Reading {
    pub(super) fn new(
        catalog: Arc<Catalog>,
        topics: Arc<[String]>,
        board: Arc<Board>,
        partitions: Partitions,
    ) -> Reading {
        let counts = topics.iter().map(|_| Counts::default()).collect();
        let refusals = catalog.definitions.iter().map(|_| Refusals::default());
        Reading {
            refusals: refusals.collect(),
            catalog,
            topics,
            board,
            counts,
            partitions,
            contributions: Contributions::default(),
            letters: Vec::new(),
        }
    }

    /// Takes up one message, or leaves it for later.
    pub(super) fn take(&mut self, message: &Message<'_>, epoch: Epoch) -> Taken {
        let Reading {
            catalog,
            topics,
            counts,
            refusals,
            partitions,
            contributions,
            letters,
            ..
        } = self;
        let Some(time) = partitions.read(message.topic, message.partition, epoch) else {
            return Taken::Later;
        };
        time.message(message.timestamp);
        let counts = &mut counts[message.topic];
        counts.events += 1;
        let Some(value) = message.value else {
            counts.tombstones += 1;
            return Taken::Weighing(1);
        };
        counts.bytes += value.len() as u64;

        let mut weight = 1 + value.len() / BYTES_OF_AN_EVENT;
        let mut letter = |reason, detail, view| {
            let letter = DeadLetter {
                topic: topics[message.topic].clone(),
                partition: message.partition,
                offset: message.offset,
                timestamp: message.timestamp,
                reason,
                detail,
                view,
                key: message.key.map(<[u8]>::to_vec),
                value: value.to_vec(),
                epoch,
            };
            weight += letter.size() / BYTES_OF_A_LETTER;
            letters.push(letter);
        };
        let taken = catalog::Taken {
            value,
            partition: message.partition,
            offset: message.offset,
            kafka: Timestamp::from_millis(message.timestamp),
        };
        let mut refused = |Refused {
                               view,
                               time,
                               refusal,
                           }: Refused| {
            let view = usize::from(view);
            match refusal.reason() {
                Reason::FromTheFuture => refusals[view].from_the_future += 1,
                _ => refusals[view].late += 1,
            }
            let name = catalog.definitions[view].name.to_owned();
            letter(refusal.reason(), refusal.detail(time), Some(name));
        };
        let route = &catalog.routes[message.topic];
        if let Err(malformed) = route.apply(taken, time, contributions, &mut refused) {
            counts.malformed += 1;
            letter(Reason::Malformed, malformed.to_string(), None);
        }
        Taken::Weighing(weight)
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
        for (view, refusals) in self.refusals.iter_mut().enumerate() {
            let Refusals {
                late,
                from_the_future,
            } = std::mem::take(refusals);
            if late > 0 || from_the_future > 0 {
                self.board.refused(view, late, from_the_future);
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
