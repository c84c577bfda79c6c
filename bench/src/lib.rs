//! What Tidemark is measured beside.
//!
//! ```text
//!   the same topics ─▶ drain        touches every byte: the limit
//!                   ─▶ floor        a plain loop over hash maps, and bulk upserts
//!                   ─▶ tidemark     with checkpoints, exactly once
//!                   ─▶ peers/…      Spark, Flink, Pathway
//!                         │
//!                         ▼
//!   race: documents compared, then processor time, time and memory of the process tree
//! ```
//!
//! `drain`, `floor` and `original` (Tidemark with the four original views alone) are
//! programs of this package, and so is `race`, which runs them in turns.

pub mod floor;
pub mod log;
pub mod race;
