//! From the dataflow into the database.
//!
//! [`write()`] takes complete epochs on every worker, and its frontier says what is
//! in the database; [`publish()`] tells readers so, on one worker.

mod background;
mod operator;
mod pending;
mod progress;

pub use operator::{Changes, write};
pub use progress::{Before, publish};

use sinks::SinkError;

/// Why nothing more is written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The database refuses.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A thread could not be started, or has panicked.
    #[error("the writer's thread: {0}")]
    Thread(String),
}
