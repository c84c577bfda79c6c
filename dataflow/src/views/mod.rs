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
mod codecs;
pub mod contributions;
mod customer_analysis;
pub mod definition;
pub(crate) mod finals;
mod footprint;
mod interaction_analysis;
pub mod join;
pub mod key;
mod latest;
mod log_analysis;
pub mod maintain;
pub mod own;
pub mod parts;
pub mod plan;
mod product_analysis;
mod product_views_analysis;
mod revenue_analysis;
mod rounds;
pub mod row;
pub mod rows;
mod sales_analysis;
mod stateful;
pub mod stored;
pub mod sums;
#[cfg(test)]
mod testing;
mod unique;
pub mod view;
mod windows;

pub use catalog::{Catalog, Override, ViewError};
pub use footprint::Gauge;

use own::{ByTopic, OwnView, ProgramViews};
use std::collections::BTreeMap;

/// The list of all views, by the topic they read, with what configuration
/// changes of them.
///
/// # Errors
/// When configuration asks for what a view does not have.
pub fn catalog(overrides: &BTreeMap<String, Override>) -> Result<Catalog, ViewError> {
    catalog_with(overrides, ProgramViews::and(Vec::new))
}

/// The views of a program: its own behind those that are built in.
///
/// # Errors
/// Likewise; or when a view is called as none may be.
pub fn catalog_with(
    overrides: &BTreeMap<String, Override>,
    views: ProgramViews,
) -> Result<Catalog, ViewError> {
    let own = (views.own)();
    let wanted: Vec<_> = own.iter().map(OwnView::name).collect();
    let wanted = |name: &str| (views.built_in)(name) || wanted.contains(&name);
    let catalog = build(overrides, own, &wanted)?;
    catalog.check_names()?;
    catalog.check_joins()?;
    Ok(catalog)
}

/// Those built-in views alone whose names are `wanted`: for measuring a few of them.
///
/// # Errors
/// When configuration asks for what a view does not have.
pub fn catalog_of(
    overrides: &BTreeMap<String, Override>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Catalog, ViewError> {
    build(overrides, Vec::new(), wanted)
}

fn build(
    overrides: &BTreeMap<String, Override>,
    own: Vec<OwnView>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Catalog, ViewError> {
    let mut all = ByTopic::default();
    for view in [
        customer_analysis::view().into(),
        product_analysis::view().into(),
        sales_analysis::view().into(),
        revenue_analysis::view().into(),
        product_views_analysis::view().into(),
        interaction_analysis::view().into(),
        log_analysis::view().into(),
    ] {
        all.add(view);
    }
    own.into_iter().for_each(|view| all.add(view));
    // What sales are joined with costs, and is for nobody else.
    let mut sales = all.transactions.iter();
    let joins = sales.any(|view| view.join.is_some() && wanted(view.name));
    let customer = joins.then_some(revenue_analysis::customer as _);
    let product = joins.then_some(revenue_analysis::product as _);
    Catalog::default()
        .topic(all.customers, customer, overrides, wanted)?
        .topic(all.products, product, overrides, wanted)?
        .topic(all.transactions, None, overrides, wanted)?
        .topic(all.product_views, None, overrides, wanted)?
        .topic(all.user_interactions, None, overrides, wanted)?
        .topic(all.system_logs, None, overrides, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use view::View;

    fn second() -> Vec<OwnView> {
        let own = View {
            name: "own_revenue",
            ..revenue_analysis::view()
        };
        vec![own.into()]
    }

    #[test]
    fn a_second_view_that_joins_is_refused_by_name() {
        let of = |built_in| {
            let own = second;
            catalog_with(&BTreeMap::new(), ProgramViews { built_in, own })
        };
        let Err(refused) = of(|_| true) else {
            panic!("two views join");
        };
        let said = refused.to_string();
        for name in ["own_revenue", "revenue_analysis", "products"] {
            assert!(said.contains(name), "{said}");
        }
        let hops = || {
            let [size, slide] = [2, 1].map(model::Span::days);
            let hops = model::Window::hopping(slide, size, model::Span::ZERO, None);
            let own = View {
                name: "own_revenue",
                window: hops.unwrap(),
                ..revenue_analysis::view()
            };
            vec![own.into()]
        };
        let built_in = |_: &str| false;
        let refused = catalog_with(
            &BTreeMap::new(),
            ProgramViews {
                built_in,
                own: hops,
            },
        );
        assert!(matches!(
            refused,
            Err(ViewError::OverlappingJoin("own_revenue"))
        ));
        let alone = of(|name| name != "revenue_analysis");
        assert!(alone.is_ok_and(|catalog| catalog.joined(1).is_some()));
    }
}
