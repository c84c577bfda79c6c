//! What a process knows about itself, and how it tells.
//!
//! ```text
//!   worker threads ──▶ Telemetry ──▶ Snapshot ─┬─▶ console: live status, or a line from time to time
//!                   (atomics)              ├─▶ metrics: Prometheus
//!                                          └─▶ serve: health, readiness
//! ```
//!
//! Workers only ever write to the [`Telemetry`]; whoever reports reads a [`Snapshot`]
//! of it. So what is told agrees with itself, and telling costs workers nothing.

mod blocked;
mod busiest;
mod checkpoints;
mod console;
mod counters;
mod database;
pub mod format;
mod holders;
mod latency;
pub mod logging;
mod metrics;
mod operators;
mod rates;
mod screen;
mod snapshot;
mod stage;
mod status;
mod telemetry;
#[doc(hidden)]
pub mod testing;
mod times;
mod views;
mod why;
mod why_text;

pub use blocked::{Blocked, Blocking, Offsets};
pub use checkpoints::{CheckpointSnapshot, CommittedCheckpoint};
pub use console::Console;
pub use database::away;
pub use holders::Holders;
pub use logging::{LogFilter, LogFormat};
pub use operators::{Address, ChannelSnapshot, OperatorSnapshot, OperatorsSnapshot};
pub use screen::{Screen, Status};
pub use snapshot::{
    ArrangementSnapshot, PartitionSnapshot, Snapshot, StoreState, TableSnapshot, TopicSnapshot,
};
pub use stage::Stage;
pub use telemetry::{Judged, Telemetry};
pub use times::{PartitionTime, ViewTime};
pub use views::{ViewInfo, print_views};
pub use why::{Behind, BlockedPartition, JoinedBehind, Place, State, WaitsFor, Why};
pub use why_text::why_text;
