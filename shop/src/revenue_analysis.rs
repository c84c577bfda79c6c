//! What is earned, and by whom: transactions, joined with their products and
//! customers, by category, gender, status and hour of the sale.
//!
//! A product or a customer is what its newest message says, a sale what the newest
//! message of its transaction says. What is not known (yet) is `unknown`, and costs
//! nothing.

use dataflow::views::expression::coalesce;
use dataflow::views::view::{Function, View};
use model::Datum;

/// What stands for the category or the gender that is not known.
const UNKNOWN: &str = "unknown";

/// The view.
pub(super) fn view() -> View {
    let view = View::new(
        &super::transactions(),
        "revenue_analysis",
        "Orders, items, revenue and buyers by category, gender, status and hour",
    )
    .newest_of("transaction_id")
    .by_time("date_time")
    .look_up(&super::customers(), "customer_id", "customer_id")
    .look_up(&super::products(), "product_id", "product_id");
    let or_unknown = |name| coalesce(view.column(name), Datum::text(UNKNOWN));
    let (category, gender) = (
        or_unknown("products.category"),
        or_unknown("customers.gender"),
    );
    let revenue = Function::SumOfProducts(view.column("quantity"), view.column("products.price"));
    let mut view = view
        .group_by_expression("category", category)
        .group_by_expression("gender", gender)
        .group_by("status")
        .count("orders")
        .sum("items", "quantity")
        .aggregate("revenue", revenue)
        .unique("buyers", "customer_id");
    let results = view.results();
    let fields = ["orders", "items", "revenue", "buyers"].map(|name| {
        let field = results.column(name);
        let field = match name {
            "revenue" => coalesce(field, Datum::decimal(0, 0)),
            _ => field,
        };
        (name.to_owned(), field)
    });
    view.fields = fields.into();
    view
}
