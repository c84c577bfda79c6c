//! What is on offer: products by category and hour of their message.

use dataflow::views::view::View;

/// The view.
pub(super) fn view() -> View {
    View::new(
        &super::products(),
        "product_analysis",
        "Mean price and total stock by category and hour",
    )
    .group_by("category")
    .average("average_price", "price")
    .sum("total_stock", "stock_quantity")
}
