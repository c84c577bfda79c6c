//! What a process knows about itself, and how it tells.
//!
//! ```text
//!   worker threads ──▶ Board ──▶ Snapshot ─┬─▶ console: live status, or a line from time to time
//!                   (atomics)              ├─▶ metrics: Prometheus
//!                                          └─▶ serve: health, readiness
//! ```
//!
//! Workers only ever write to the [`Board`]; whoever tells reads a [`Snapshot`]
//! of it. So what is told agrees with itself, and telling costs workers nothing.

mod board;
mod busiest;
mod snapshot;
#[cfg(test)]
pub(crate) mod testing;

pub use board::Board;
pub use snapshot::{PartitionSnapshot, Snapshot, Stage, StoreState, TableSnapshot, TopicSnapshot};
