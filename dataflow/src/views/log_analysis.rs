//! How the shop's systems are: log lines by level and hour.

use super::view::View;
use events::{Id, SystemLogs};

/// The view.
pub(super) fn view() -> View<SystemLogs> {
    View::<SystemLogs>::new("log_analysis", "Log lines by level and hour")
        .by_time("timestamp", |line| line.timestamp)
        .group_by("level", |line| Id::new(&line.level))
        .count("total_logs")
}
