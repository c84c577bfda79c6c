//! The views: what is kept up to date, and how.
//!
//! Each view is a value that one short file defines, and [`catalog()`] lists them
//! all. None of them has dataflow of its own: what an event contributes to any
//! view is a [`Key`](key::Key) (view, window, group) and a
//! [`Sums`](sums::Sums), so that one dataflow maintains every row of every view:
//!
//! ```text
//!  where the partition is read          │  where the row lives (by hash of its key)
//!                                       │
//!  event ─▶ Plan ─▶ Contributions ──────┼─▶ sums ──────────────────┐
//!                   (added up for       │                          ▼
//!                    the epoch)   ──────┼─▶ members ─▶ unique ─▶ Σ Sums ─▶ rows
//!                                       │                          ▲
//!                                 ──────┼─▶ latest ─▶ maximum ─────┘
//! ```

mod batcher;
mod batches;
pub mod catalog;
pub mod changes;
pub mod contributions;
mod customer_analysis;
pub mod definition;
mod interaction_analysis;
pub mod key;
mod log_analysis;
pub mod maintain;
pub mod plan;
mod product_analysis;
mod product_views_analysis;
pub mod row;
pub mod rows;
mod sales_analysis;
pub mod sums;
mod unique;
pub mod view;
pub mod window;

pub use catalog::{Catalog, Override, ViewError};

use events::{Customers, ProductViews, Products, SystemLogs, Transactions, UserInteractions};
use std::collections::BTreeMap;

/// The list of all views, by the topic they read, with what configuration
/// changes of them.
///
/// # Errors
/// When configuration asks for what a view does not have.
pub fn catalog(overrides: &BTreeMap<String, Override>) -> Result<Catalog, ViewError> {
    Catalog::default()
        .topic::<Customers>(vec![customer_analysis::view()], overrides)?
        .topic::<Products>(vec![product_analysis::view()], overrides)?
        .topic::<Transactions>(vec![sales_analysis::view()], overrides)?
        .topic::<ProductViews>(vec![product_views_analysis::view()], overrides)?
        .topic::<UserInteractions>(vec![interaction_analysis::view()], overrides)?
        .topic::<SystemLogs>(vec![log_analysis::view()], overrides)
}
