//! What sells: transactions by product and hour of their message.

use super::view::View;
use events::Transactions;

/// The view.
pub(super) fn view() -> View<Transactions> {
    View::<Transactions>::new("sales_analysis", "Sales, items sold and buyers by product and hour")
        .group_by("product_id", |sale| sale.product_id.clone())
        .count("number_of_sales")
        .sum("total_quantity_sold", |sale| sale.quantity)
        .unique("unique_customers", |sale| sale.customer_id.clone())
}
