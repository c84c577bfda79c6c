//! The engine: from the events of a log to the rows of views, in a dataflow.
//!
//! ```text
//!   log ─▶ ingest ─▶ views ─▶ sink ─▶ database
//!            ▲         │ ▲
//!          time     saving, recovery ◀─▶ checkpoints
//! ```
//!
//! The picture is the dataflow that [`pipeline`] builds.

mod background;
mod committing;
pub mod compaction;
mod epochs;
pub mod fail_points;
pub mod ingest;
mod inputs;
mod output;
pub mod pipeline;
pub mod recovery;
pub mod replay;
pub mod saving;
pub mod sink;
pub mod tally;
pub mod time;
pub mod times;
pub mod views;

pub use model::Epoch;

/// The views of the shop, for unit tests: a part of this crate there, since those of the crate
/// `shop` are made of a `dataflow` that is compiled without tests, whose types are others.
#[cfg(test)]
#[path = "../../shop/src/lib.rs"]
pub mod shop;
#[cfg(test)]
extern crate self as dataflow;
