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

/// What a program adds: it is asked once for each part that needs to know the views.
pub type OwnViews = fn() -> Vec<OwnView>;

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

/// No views beside those that are built in.
pub fn none() -> Vec<OwnView> {
    Vec::new()
}
