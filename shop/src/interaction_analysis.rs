//! What customers do: interactions by product, kind and hour.

use dataflow::views::view::View;

/// The view.
pub(super) fn view() -> View {
    View::new(
        &super::user_interactions(),
        "interaction_analysis",
        "Interactions and customers by product, kind and hour",
    )
    .by_time("timestamp")
    .group_by("product_id")
    .group_by("interaction_type")
    .count("total_interactions")
    .unique("unique_customers", "customer_id")
}
