//! The state of the dataflow, saved while it runs and loaded when it starts.
//!
//! ```text
//!   arrangements ─▶ tap ───┐                                        (each worker)
//!   final rows ────────────┴─▶ persist ─▶ files ─┐
//!                                                ▼
//!   partitions, marks, what is written ─────▶ commit ─▶ manifest    (worker 0)
//!                                                │
//!                                                └─▶ final rows may be written
//!
//!   manifest, files ─▶ load ─▶ arrangements                         (each worker)
//! ```
//!
//! What files and manifests are is in the crate [`checkpoint`]; here is what a checkpoint of this
//! dataflow knows beside them ([`State`]), and the operators.

pub mod cadence;
pub(crate) mod checkpoints;
pub(crate) mod commit;
mod inspect;
pub(crate) mod load;
mod patience;
pub mod persist;
mod state;
pub mod tap;
#[cfg(test)]
pub(crate) mod testing;
mod verify;

pub use cadence::Cadence;
pub use load::Loading;
pub use patience::Patience;
pub use state::{SavedDefinition, SavedPartition, SectionName, Sections, State};

use crate::config::CheckpointQuestion;
use checkpoint::CheckpointError;

/// A checkpoint of the dataflow.
pub type Manifest = checkpoint::Manifest<State>;

/// Answers a question about a checkpoint, on standard output.
///
/// # Errors
/// When there is no checkpoint, it cannot be read, or it is not whole.
pub fn answer(question: &CheckpointQuestion) -> Result<(), CheckpointError> {
    match question {
        CheckpointQuestion::Inspect { url, json } => inspect::inspect(url, *json),
        CheckpointQuestion::Verify { url } => verify::verify(url),
    }
}
