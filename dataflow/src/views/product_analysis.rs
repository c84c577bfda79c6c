//! What is on offer: products by category and hour of their message.

use super::view::View;
use events::{Id, Money, Products};

/// The view.
pub(super) fn view() -> View<Products> {
    View::<Products>::new("product_analysis", "Mean price and total stock by category and hour")
        .group_by("category", |product| Id::new(&product.category))
        .average("average_price", Money::SCALE, |product| product.price.nanos())
        .sum("total_stock", |product| product.stock_quantity)
}
