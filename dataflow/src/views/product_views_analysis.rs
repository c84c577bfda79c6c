//! What is looked at: product views by product and hour.

use super::view::View;
use events::ProductViews;
use model::Lateness;

/// The view.
pub(super) fn view() -> View<ProductViews> {
    View::<ProductViews>::new(
        "product_views_analysis",
        "Views and their mean duration (ms) by product and hour",
    )
    .by_time("timestamp", |seen| seen.timestamp)
    .lateness(Lateness::Millis(3_600_000))
    .group_by("product_id", |seen| seen.product_id.clone())
    .count("total_views")
    .average("average_view_duration", 0, |seen| seen.view_duration)
}
