//! From the dataflow into the database.
//!
//! ```text
//!   marks ─▶ record ────┐ (the log is still the same; how far rows may reach is written down)
//!                       ▼
//!   rows, letters ─▶  write  ─▶ publish ─▶ `progress`
//!                       ▲
//!   checkpoints ────────┘ (windows that have closed may be told as final)
//! ```
//!
//! [`write()`] takes complete epochs on every worker, and its frontiers say what is
//! in the database; [`sweep()`] deletes the former rows of rebuilt views; [`publish()`]
//! reports progress to readers, on one worker. A run that goes on after another writes
//! nothing before it has [caught up](CatchUp) with it.

mod backfills;
mod catch_up;
mod newest;
mod operator;
mod pending;
mod progress;
mod record;
mod restored;
mod sweep;

pub use backfills::Backfills;
pub use catch_up::{CatchUp, Place};
pub use operator::{Changes, Writing, Written, write};
pub use pending::PriorRunState;
pub use progress::{From, Reached, publish};
pub use record::{Before, Recording, record};
pub use restored::Restored;
pub use sweep::{Sweep, Sweeping, sweep};

use crate::Epoch;
use crate::background::ThreadError;
use crate::ingest::identity::IdentityError;
use sinks::SinkError;
use timely::dataflow::StreamVec;

/// Streams without data, whose frontiers say what may be written.
pub struct Gates<'scope> {
    /// Of these epochs it is recorded how far they reach.
    pub recorded: StreamVec<'scope, Epoch, ()>,
    /// Windows that close in these epochs are known to a checkpoint, told an epoch
    /// later; where there are no checkpoints, final rows need not wait.
    pub committed: Option<StreamVec<'scope, Epoch, ()>>,
}

/// Why nothing more is written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The database refuses.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The log is not, or is not known to be, the one that was read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A thread could not be started, or has panicked.
    #[error(transparent)]
    Thread(#[from] ThreadError),
}
