//! A message that could be decoded, and its place among all others.

use super::clock::{Reading, Sent};
use std::collections::BTreeMap;

/// What a required field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer that is not negative.
    Count(i64),
    /// Billionths.
    Price(i128),
    /// Milliseconds since the UNIX epoch, rounded down.
    Time(i64),
}

/// How new a message is among those of its topic: the greatest stamp is the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// The clock of its partition, its own message included; none before the second one.
    ///
    /// Timestamps of a partition may step back; offsets do not. What was read
    /// later shall also be the newer one.
    pub k: Option<i64>,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// A message that could be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its topic, without the prefix.
    pub topic: &'static str,
    /// Where its message is in the list of the log.
    pub message: usize,
    /// What the timestamp of its message says, and those before it.
    pub reading: Reading,
    /// How new it is.
    pub stamp: Stamp,
    /// Its required fields.
    pub fields: BTreeMap<&'static str, Value>,
}

impl Event {
    /// The time that places it where the timestamp of its message does: that, or the clock
    /// where it has none.
    pub(super) fn kafka_time(&self) -> Option<i64> {
        match self.reading.sent {
            Sent::At(time) | Sent::Ahead(time) => Some(time),
            Sent::Never | Sent::OtherUnit => self.reading.clock,
        }
    }

    /// Whether its message is too far ahead of the clock.
    pub(super) fn is_ahead(&self) -> bool {
        matches!(self.reading.sent, Sent::Ahead(_))
    }

    pub(super) fn text(&self, field: &str) -> &str {
        match &self.fields[field] {
            // A cancelled sale and a canceled one are the same.
            Value::Text(text) if field == "status" && text == "cancelled" => "canceled",
            Value::Text(text) => text,
            other => panic!("{field} is {other:?}"),
        }
    }

    pub(super) fn count(&self, field: &str) -> i64 {
        match self.fields[field] {
            Value::Count(count) => count,
            ref other => panic!("{field} is {other:?}"),
        }
    }

    pub(super) fn price(&self, field: &str) -> i128 {
        match self.fields[field] {
            Value::Price(nanos) => nanos,
            ref other => panic!("{field} is {other:?}"),
        }
    }

    pub(super) fn time(&self, field: &str) -> i64 {
        match self.fields[field] {
            Value::Time(millis) => millis,
            ref other => panic!("{field} is {other:?}"),
        }
    }
}
