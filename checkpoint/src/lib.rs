//! State at rest: what a restart goes on from.
//!
//! State lies in arrangements, whose updates add up. So a checkpoint is a set of
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
//! All of it blocks, and knows nothing of a dataflow or of what records mean. The format is told
//! byte by byte in docs/checkpoint.md.

mod choose;
mod clean;
mod codec;
mod error;
mod file;
#[cfg(test)]
mod file_tests;
mod index;
mod manifest;
mod merge;
mod place;
mod records;
mod runs;
mod store;
#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod testing;
mod update;
mod upload;

pub use choose::choose;
pub use codec::{Codec, byte};
pub use error::CheckpointError;
pub use file::{BlockEntry, FileEntry, FileWriter};
pub use manifest::Manifest;
pub use merge::merge;
pub use records::{
    RawRecord, Records, SPARSE, Section, SectionId, put_sparse, records, take_sparse,
};
pub use store::{FILES, Store};
pub use update::{OfView, Part, ViewOf, decode, encode};
