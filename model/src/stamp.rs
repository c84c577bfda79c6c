//! Which of two messages is newer.

use serde::{Deserialize, Serialize};

/// What makes a message newer than another: its partition's clock, then the partition,
/// then the offset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// The clock of its partition, in milliseconds.
    pub kafka: i64,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// From which moment on it counts, in milliseconds: its own timestamp, or the clock
    /// before it where that is later.
    pub seen: i64,
}
