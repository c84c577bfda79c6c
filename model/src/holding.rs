//! What a partition is to the watermark.

use serde::{Deserialize, Serialize};

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
