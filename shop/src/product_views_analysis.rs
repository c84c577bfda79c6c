//! What is looked at: product views by product and hour.

use dataflow::views::view::View;
use model::Lateness;

/// The view.
pub(super) fn view() -> View {
    View::new(
        &super::product_views(),
        "product_views_analysis",
        "Views and their mean duration (ms) by product and hour",
    )
    .by_time("timestamp")
    .lateness(Lateness::Millis(3_600_000))
    .group_by("product_id")
    .count("total_views")
    .average("average_view_duration", "view_duration")
}
