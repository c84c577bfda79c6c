//! The views: what is kept up to date, and how.
//!
//! Each view is data, a [`View`](view::View), and a [`Catalog`] is made of all of them. What an
//! event contributes to any view is a [`Key`](key::Key) (view, window,
//! group) and a [`Sums`](sums::Sums), so that one dataflow maintains every row of
//! every view:
//!
//! ```text
//!  where the partition is read          │  where the row lives (by hash of its key)
//!                                       │
//!  batch of ─▶ Plan ─▶ Contributions ───┼─▶ sums ────────────────────┐
//!  events              (added up for    │                            ▼
//!  (judged by time)     the epoch) ─────┼─▶ members ──▶ unique ──▶ Σ Sums ─▶ rows
//!                                       │                            ▲
//!                                 ──────┼─▶ extremes ─▶ the first ───┤
//!                                       │                            │
//!                                 ──────┼─▶ tables, look-ups ────────┘
//! ```
//!
//! Views of tables, and those that look something up, are fed by what [`join`] makes of events. Every
//! operator with state works in rounds, one an epoch (`rounds.rs`), and drops
//! what windows have when they close.

mod batcher;
pub mod catalog;
pub mod changes;
pub mod column;
pub mod contributions;
pub mod definition;
pub mod expression;
pub mod extremes;
pub(crate) mod finals;
mod footprint;
pub mod join;
pub mod key;
pub mod lanes;
pub mod maintain;
pub mod parts;
pub mod plan;
mod planner;
mod rounds;
pub mod row;
pub mod rows;
pub mod source;
mod stateful;
pub mod stored;
pub mod sums;
pub mod terms;
mod unique;
pub mod view;
mod windows;

pub use catalog::{Catalog, Override, ViewError};
pub use footprint::Gauge;
