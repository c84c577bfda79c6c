//! The views: what is kept up to date, and how.
//!
//! Each view is a value that one short file defines, and [`catalog()`] lists them
//! all. What an event contributes to any view is a [`Key`](key::Key) (view, window,
//! group) and a [`Sums`](sums::Sums), so that one dataflow maintains every row of
//! every view:
//!
//! ```text
//!  where the partition is read          │  where the row lives (by hash of its key)
//!                                       │
//!  event ─▶ Plan ─▶ Contributions ──────┼─▶ sums ──────────────────┐
//!           (judged (added up for       │                          ▼
//!           by time) the epoch)   ──────┼─▶ members ─▶ unique ─▶ Σ Sums ─▶ rows
//!                                       │                          ▲
//!                                 ──────┼─▶ times ───▶ latest ─────┤
//!                                       │                          │
//!                                 ──────┼─▶ join ──────────────────┘
//! ```
//!
//! The one view that joins topics is fed by what [`join`] makes of them. Every
//! operator with state works in rounds, one an epoch (`rounds.rs`), and drops
//! what windows have when they close.

mod batcher;
pub mod catalog;
pub mod changes;
pub mod contributions;
mod customer_analysis;
pub mod definition;
mod footprint;
mod interaction_analysis;
pub mod join;
pub mod key;
mod latest;
mod log_analysis;
pub mod maintain;
pub mod plan;
mod product_analysis;
mod product_views_analysis;
mod revenue_analysis;
mod rounds;
pub mod row;
pub mod rows;
mod sales_analysis;
pub mod sums;
mod unique;
pub mod view;
pub mod window;
mod windows;

pub use catalog::{Catalog, Override, ViewError};
pub use footprint::Gauge;

use events::{Customers, ProductViews, Products, SystemLogs, Transactions, UserInteractions};
use std::collections::BTreeMap;

/// The list of all views, by the topic they read, with what configuration
/// changes of them.
///
/// # Errors
/// When configuration asks for what a view does not have.
pub fn catalog(overrides: &BTreeMap<String, Override>) -> Result<Catalog, ViewError> {
    catalog_of(overrides, &|_| true)
}

/// Those views alone whose names are `wanted`: for measuring a few of them.
///
/// # Errors
/// When configuration asks for what a view does not have.
pub fn catalog_of(
    overrides: &BTreeMap<String, Override>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Catalog, ViewError> {
    let customer = Some(revenue_analysis::customer as _);
    let product = Some(revenue_analysis::product as _);
    let sales = vec![sales_analysis::view(), revenue_analysis::view()];
    let interactions = vec![interaction_analysis::view()];
    Catalog::default()
        .topic::<Customers>(vec![customer_analysis::view()], customer, overrides, wanted)?
        .topic::<Products>(vec![product_analysis::view()], product, overrides, wanted)?
        .topic::<Transactions>(sales, None, overrides, wanted)?
        .topic::<ProductViews>(
            vec![product_views_analysis::view()],
            None,
            overrides,
            wanted,
        )?
        .topic::<UserInteractions>(interactions, None, overrides, wanted)?
        .topic::<SystemLogs>(vec![log_analysis::view()], None, overrides, wanted)
}
