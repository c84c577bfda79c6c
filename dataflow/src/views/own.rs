//! Views beside those that are built in, for a program of one's own.
//!
//! ```text
//!   fn main() -> ExitCode {
//!       tidemark::program::main_with(|| vec![my_view().into()])
//!   }
//! ```
//!
//! Such a program is `tidemark` in all else: its command line, its checkpoints, its
//! pages. `examples/own_view` in the project is one.

use super::view::View;
use events::{Customers, ProductViews, Products, SystemLogs, Transactions, UserInteractions};

/// The views of a program. It is asked for them once for each part that needs to know.
#[derive(Clone, Copy)]
pub struct ProgramViews {
    /// Which of those that are built in it has, by their names.
    pub built_in: fn(&str) -> bool,
    /// Those it adds.
    pub own: fn() -> Vec<OwnView>,
}

impl ProgramViews {
    /// Those that are built in, and `own`.
    pub fn and(own: fn() -> Vec<OwnView>) -> ProgramViews {
        ProgramViews {
            built_in: |_| true,
            own,
        }
    }

    /// Those of the built-in ones alone whose names are wanted.
    pub fn only(built_in: fn(&str) -> bool) -> ProgramViews {
        ProgramViews {
            built_in,
            own: Vec::new,
        }
    }
}

/// A view of any topic.
pub enum OwnView {
    /// Of the topic `customers`.
    Customers(View<Customers>),
    /// Of the topic `products`.
    Products(View<Products>),
    /// Of the topic `transactions`.
    Transactions(View<Transactions>),
    /// Of the topic `product_views`.
    ProductViews(View<ProductViews>),
    /// Of the topic `user_interactions`.
    UserInteractions(View<UserInteractions>),
    /// Of the topic `system_logs`.
    SystemLogs(View<SystemLogs>),
}

impl OwnView {
    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            OwnView::Customers(view) => view.name,
            OwnView::Products(view) => view.name,
            OwnView::Transactions(view) => view.name,
            OwnView::ProductViews(view) => view.name,
            OwnView::UserInteractions(view) => view.name,
            OwnView::SystemLogs(view) => view.name,
        }
    }
}

macro_rules! from {
    ($($topic:ident),*) => { $(
        impl From<View<$topic>> for OwnView {
            fn from(view: View<$topic>) -> OwnView {
                OwnView::$topic(view)
            }
        }
    )* };
}
from!(
    Customers,
    Products,
    Transactions,
    ProductViews,
    UserInteractions,
    SystemLogs
);

/// The same, sorted by topic.
#[derive(Default)]
pub(super) struct ByTopic {
    pub(super) customers: Vec<View<Customers>>,
    pub(super) products: Vec<View<Products>>,
    pub(super) transactions: Vec<View<Transactions>>,
    pub(super) product_views: Vec<View<ProductViews>>,
    pub(super) user_interactions: Vec<View<UserInteractions>>,
    pub(super) system_logs: Vec<View<SystemLogs>>,
}

impl ByTopic {
    pub(super) fn add(&mut self, view: OwnView) {
        match view {
            OwnView::Customers(view) => self.customers.push(view),
            OwnView::Products(view) => self.products.push(view),
            OwnView::Transactions(view) => self.transactions.push(view),
            OwnView::ProductViews(view) => self.product_views.push(view),
            OwnView::UserInteractions(view) => self.user_interactions.push(view),
            OwnView::SystemLogs(view) => self.system_logs.push(view),
        }
    }
}
