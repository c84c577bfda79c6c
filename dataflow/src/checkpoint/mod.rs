//! The state of the dataflow, durable: what a restart goes on from.
//!
//! The state lies in arrangements, whose updates add up. So a checkpoint is a set of
//! files whose records *add up* to the state as of an epoch, and a manifest that
//! names them:
//!
//! ```text
//!   worker 0 ─▶ files/a  files/c ─┐         manifests/…17.json  epoch 940: a b
//!   worker 1 ─▶ files/b  files/d ─┴─▶       manifests/…18.json  epoch 990: a b c d
//!                   ▲                       manifests/…19.json  epoch 990: e   (a+b+c+d)
//!                   └── merge: equal records added up, zeros dropped
//! ```
//!
//! Workers write what changes, all the time. A checkpoint is taken when each of them
//! has finished its file and one manifest, put in a single step, names the files of
//! all, old and new. What no manifest names does not exist. Merging keeps the files
//! few and their size that of the state; it changes nothing of what they add up to.
//!
//! That much (from `choose` to `verify`) blocks, and knows nothing of timely. The
//! format is told byte by byte in docs/checkpoint.md. These are the operators:
//!
//! ```text
//!   arrangements ─▶ tap ───┐                                        (each worker)
//!   final rows ─▶ finals ──┴─▶ persist ─▶ files ─┐
//!                                                ▼
//!   partitions, marks, what is written ─────▶ commit ─▶ manifest    (worker 0)
//!                                                │
//!                                                └─▶ final rows may be told
//!
//!   manifest, files ─▶ load ─▶ arrangements                         (each worker)
//! ```

pub mod cadence;
pub(crate) mod checkpoints;
mod choose;
mod clean;
mod codec;
pub(crate) mod commit;
mod error;
mod file;
#[cfg(test)]
mod file_tests;
mod index;
mod inspect;
pub(crate) mod load;
mod manifest;
mod merge;
mod patience;
pub mod persist;
mod place;
mod records;
mod runs;
mod state;
mod store;
#[cfg(test)]
mod store_tests;
pub mod tap;
#[cfg(test)]
mod testing;
mod update;
mod upload;
mod verify;

pub use cadence::Cadence;
pub use choose::choose;
pub use codec::{Codec, byte};
pub use error::CheckpointError;
pub use file::{BlockEntry, FileEntry, FileWriter};
pub use load::Loading;
pub use manifest::Manifest;
pub use merge::merge;
pub use patience::Patience;
pub use records::{RawRecord, Section, SectionId, records};
pub use state::{SavedDefinition, SavedPartition, SectionName, Sections, State};
pub use store::Store;
pub use update::{OfView, Part, ViewOf, decode, encode};

use crate::config::CheckpointQuestion;

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
