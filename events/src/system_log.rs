//! The topic `system_logs`: what the shop's own machines say.

use serde::{Deserialize, Serialize};

use crate::fields::{Field, Kind, optional_text};
use crate::quick::quick;
use crate::{Id, Malformed, Text, TimeField, Timestamp, Topic, decode};

/// The topic `system_logs`.
#[derive(Clone, Copy, Debug)]
pub struct SystemLogs;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SystemLog<'a> {
    /// Which line.
    pub log_id: Id,
    /// When.
    pub timestamp: Timestamp,
    /// `INFO`, `WARNING`, `ERROR`, or any other text.
    #[serde(borrow)]
    pub level: Text<'a>,
    /// What it says.
    #[serde(borrow, default, deserialize_with = "optional_text")]
    pub message: Option<Text<'a>>,
}

pub(crate) const FIELDS: &[Field] = &[
    Field::new("log_id", Kind::Text),
    Field::new("timestamp", Kind::Time),
    Field::new("level", Kind::Text),
    Field::new("message", Kind::Optional),
];

quick!(SystemLog<'a> {
    log_id: id,
    timestamp: time,
    level: text,
    message: optional_text,
});

impl Topic for SystemLogs {
    type Event<'a> = SystemLog<'a>;

    const NAME: &'static str = "system_logs";

    const TIMES: &'static [TimeField<Self>] = &[TimeField {
        name: "timestamp",
        get: |log| log.timestamp,
    }];

    #[inline]
    fn decode(json: &[u8]) -> Result<SystemLog<'_>, Malformed> {
        decode::decode(json, FIELDS)
    }
}
