//! What a worker tells all others of a partition that it reads.

use serde::{Deserialize, Serialize};

/// Where a partition stands at the end of an epoch. It replaces what was said of
/// the partition before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Number of its topic.
    pub topic: usize,
    /// Its number.
    pub partition: i32,
    /// The worker that reads it.
    pub worker: usize,
    /// The next offset to read.
    pub next: i64,
    /// Whether it holds the watermark.
    pub holding: Holding,
    /// The largest Kafka timestamp that has been seen in it, in milliseconds;
    /// [`NEVER`](super::NEVER) before the first.
    pub kafka: i64,
    /// One for each view of its topic.
    pub views: Vec<ViewMark>,
}

/// How far a partition has come in the event time of one view, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewMark {
    /// Number of the view.
    pub view: u16,
    /// The largest event time seen; [`NEVER`](super::NEVER) before the first.
    pub latest: i64,
    /// The partition's watermark; [`NEVER`](super::NEVER) before the first.
    pub watermark: i64,
    /// The windows that the watermark has passed since the last mark, where it
    /// matters when: the number of the last window passed, and the Kafka
    /// timestamp (in milliseconds, made non-decreasing) of the message that did it.
    pub passed: Vec<(i64, i64)>,
}

/// Whether a partition holds the watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holding {
    /// It does: more is to come of it.
    Yes,
    /// It has been read to its end and is silent: it does not, until it speaks.
    Idle,
    /// Nothing more of it will be read in this run. Where it has shown an event
    /// time it stays there; where it has not, it does not count.
    Ended,
}
