//! What customers do: interactions by product, kind and hour.

use super::view::View;
use events::{Id, UserInteractions};

/// The view.
pub(super) fn view() -> View<UserInteractions> {
    View::<UserInteractions>::new("interaction_analysis", "Interactions and customers by product, kind and hour")
        .by_time("timestamp", |interaction| interaction.timestamp)
        .group_by("product_id", |interaction| interaction.product_id.clone())
        .group_by("interaction_type", |interaction| Id::new(&interaction.interaction_type))
        .count("total_interactions")
        .unique("unique_customers", |interaction| interaction.customer_id.clone())
}
