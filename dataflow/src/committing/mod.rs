//! When what has been saved counts: checkpoints are committed, and old ones deleted.
//!
//! ```text
//!   workers' files, partitions, marks, what is written ─▶ commit ─▶ manifest    (worker 0)
//!                                                           │
//!                                                           └─▶ final rows may be written
//! ```

pub(crate) mod checkpoints;
pub(crate) mod commit;
