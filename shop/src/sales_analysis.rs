//! What sells: transactions by product and hour of their message.

use dataflow::views::view::View;

/// The view.
pub(super) fn view() -> View {
    View::new(
        &super::transactions(),
        "sales_analysis",
        "Sales, items sold and buyers by product and hour",
    )
    .group_by("product_id")
    .count("number_of_sales")
    .sum("total_quantity_sold", "quantity")
    .unique("unique_customers", "customer_id")
}
