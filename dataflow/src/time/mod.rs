//! Event time: how far it has come, and which windows are over.
//!
//! Timely's own timestamps are epochs, and tell what has been *read*. Event time
//! tells what has *happened*, and has frontiers of its own, one above the other:
//!
//! ```text
//!   partition   largest event time seen − lateness       (on the worker that reads it)
//!       │ Mark, at the end of each epoch, to all workers
//!       ▼
//!   view        the least of its partitions' watermarks  (on every worker)
//!       │ Advanced
//!       ▼
//!   windows that end at or before it are closed: final rows, state dropped
//! ```
//!
//! They travel as data on timely's streams. So what is known of event time
//! belongs to an epoch as everything else does: when timely's frontier has passed
//! an epoch, every worker of every process knows the same watermarks of it, and
//! closes the same windows in it. (Event time is no timestamp of timely's own,
//! because a partition that has been idle must be able to hold the watermark
//! again, and a capability once dropped cannot be had back.)

mod advanced;
mod ahead;
mod mark;
mod operator;
mod partition;
mod refusal;
mod watermarks;

pub use advanced::{Advanced, Closed, Closing, Closings, Moment};
pub use ahead::{Recorded, Trust, WallClock};
pub use mark::{Backfill, BackfillAt, Mark, Passed, ViewMark};
pub use model::Holding;
pub use operator::watermarks;
pub use partition::{
    Accepted, Audience, PartitionTime, Rule, SavedTime, SavedViewTime, Sent, ViewTime,
};
pub use refusal::Refusal;
pub use watermarks::{Frontier, Passing, SavedView, SavedWatermarks, Watched, Watermarks};

/// No time yet: before all times, in any unit.
pub const NEVER: i64 = i64::MIN;
