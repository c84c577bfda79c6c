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
//! dataflow knows beside them ([`State`]), and the operators of each worker. Those of worker 0, which commit,
//! are in `committing`.

pub mod cadence;
pub(crate) mod load;
mod patience;
pub mod persist;
mod state;
pub mod tap;
#[doc(hidden)]
pub mod testing;

pub use cadence::Cadence;
pub use load::Loading;
pub use patience::Patience;
pub use state::{SavedDefinition, SavedPartition, SectionName, Sections, State};

/// A checkpoint of the dataflow.
pub type Manifest = checkpoint::Manifest<State>;
