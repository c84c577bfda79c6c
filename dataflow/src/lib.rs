//! Tidemark: a shop's analytics, continuously correct.

pub mod ask;
mod background;
mod compaction;
pub mod config;
pub mod embedded;
mod epochs;
pub mod fail_points;
pub mod forms;
pub mod ingest;
mod inputs;
mod output;
pub mod pipeline;
mod print;
pub mod program;
pub mod recovery;
pub mod replay;
pub mod run;
pub mod saving;
pub mod serve;
pub mod shop;
mod signal;
pub mod sink;
pub mod supervise;
pub mod tally;
pub mod time;
pub mod times;
pub mod views;

/// What a message of each topic holds.
pub use events;
/// Windows, ids and epochs.
pub use model;

pub use model::Epoch;
