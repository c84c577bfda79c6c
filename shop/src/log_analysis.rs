//! How the shop's systems are: log lines by level and hour.

use dataflow::views::view::View;

/// The view.
pub(super) fn view() -> View {
    View::new(
        &super::system_logs(),
        "log_analysis",
        "Log lines by level and hour",
    )
    .by_time("timestamp")
    .group_by("level")
    .count("total_logs")
}
