//! The shop: its six topics and its seven views, as values.

mod customer_analysis;
mod interaction_analysis;
mod log_analysis;
mod own;
mod product_analysis;
mod product_views_analysis;
mod revenue_analysis;
mod sales_analysis;
mod sources;

pub use own::ProgramViews;
pub use sources::{
    customers, product_views, products, sources, system_logs, transactions, user_interactions,
};

use dataflow::views::view::View;
use dataflow::views::{Catalog, Override, ViewError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The list of all views, by the topic they read, with what configuration
/// changes of them.
///
/// # Errors
/// When configuration asks for what a view does not have.
pub fn catalog(overrides: &BTreeMap<String, Override>) -> Result<Catalog, ViewError> {
    catalog_with(overrides, ProgramViews::and(Vec::new))
}

/// The views of a program: its own behind those that are built in, and behind the shop's topics
/// those that its own views read besides.
///
/// # Errors
/// Likewise; or when a view is called as none may be, or uses what is not there.
pub fn catalog_with(
    overrides: &BTreeMap<String, Override>,
    views: ProgramViews,
) -> Result<Catalog, ViewError> {
    let own = (views.own)();
    let built_in = built_in()
        .into_iter()
        .filter(|view| (views.built_in)(&view.name));
    let mut known = sources().to_vec();
    for view in &own {
        let looked_up = view.lookups.iter().map(|lookup| &lookup.source);
        for source in std::iter::once(&view.source).chain(looked_up) {
            if known.iter().all(|known| known.name != source.name) {
                known.push(Arc::clone(source));
            }
        }
    }
    Catalog::of(&known, built_in.chain(own).collect(), overrides)
}

/// Those built-in views alone whose names are `wanted`: for measuring a few of them.
///
/// # Errors
/// When configuration asks for what a view does not have.
pub fn catalog_of(
    overrides: &BTreeMap<String, Override>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Catalog, ViewError> {
    let views = built_in().into_iter().filter(|view| wanted(&view.name));
    Catalog::of(&sources(), views.collect(), overrides)
}

fn built_in() -> Vec<View> {
    vec![
        customer_analysis::view(),
        product_analysis::view(),
        sales_analysis::view(),
        revenue_analysis::view(),
        product_views_analysis::view(),
        interaction_analysis::view(),
        log_analysis::view(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_view_that_joins_is_planned_beside_the_first() {
        let second = || {
            vec![View {
                name: "own_revenue".to_owned(),
                ..revenue_analysis::view()
            }]
        };
        let catalog = catalog_with(&BTreeMap::new(), ProgramViews::and(second)).unwrap();
        let joins = |name: &str| {
            let mut views = catalog.definitions.iter();
            views
                .find(|view| view.name == name)
                .map(|view| view.joins.len())
        };
        assert_eq!(joins("own_revenue"), Some(3));
        assert_eq!(joins("revenue_analysis"), Some(3));
    }
}
