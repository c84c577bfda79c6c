//! What each view is.

use super::average::average;
use super::event::Event;
use super::rows::{Field, count, sum, total, unique};
use super::rules::Lateness;
use super::window::window;

pub(super) const HOUR: i64 = 3_600_000;
pub(super) const DAY: i64 = 24 * HOUR;

/// The aggregates of a row from the events in it.
pub(super) type Aggregates = fn(&[&Event]) -> Vec<(&'static str, Field)>;

/// A view.
#[derive(Debug)]
pub struct View {
    /// Name of its collection.
    pub name: &'static str,
    /// The topic it reads, and that its event time comes from.
    pub topic: &'static str,
    /// Its windows' size in milliseconds, unless the rules say otherwise.
    pub(super) size: i64,
    /// How long its windows wait, unless the rules say otherwise.
    pub(super) lateness: Lateness,
    /// The field that places an event in a window; `None`: the message's timestamp.
    pub(super) time: Option<&'static str>,
    /// Names of a window's start and end; a dot nests.
    pub window: [&'static str; 2],
    /// The fields it groups by.
    pub groups: &'static [&'static str],
    /// The aggregates of a row; `None`: they need more than one topic.
    pub(super) aggregates: Option<Aggregates>,
}

impl View {
    /// The time of an event of its topic, where it has one.
    pub(super) fn time_of(&self, event: &Event) -> Option<i64> {
        match self.time {
            Some(field) => Some(event.time(field)),
            None => event.kafka_time(),
        }
    }

    /// The window that it has accepted an event in.
    pub(super) fn window_of(&self, event: &Event, size: i64) -> (i64, i64) {
        window(self.time_of(event).expect("a time"), size)
    }
}

/// The one that joins.
pub const REVENUE: &str = "revenue_analysis";

/// All views.
pub const VIEWS: [View; 7] = [
    View {
        name: "customer_analysis",
        topic: "customers",
        size: DAY,
        lateness: Lateness::Within(2 * HOUR),
        time: Some("last_login"),
        window: ["window.start", "window.end"],
        groups: &["gender"],
        aggregates: Some(|events| {
            let last = events
                .iter()
                .map(|event| event.time("last_login"))
                .max()
                .unwrap_or(0);
            vec![
                ("total_customers", count(events)),
                ("unique_customers", unique(events, "customer_id")),
                ("last_activity", Field::Date(last)),
            ]
        }),
    },
    View {
        name: "product_analysis",
        topic: "products",
        size: HOUR,
        lateness: Lateness::Within(2 * HOUR),
        time: None,
        window: ["window_start", "window_end"],
        groups: &["category"],
        aggregates: Some(|events| {
            let prices = events.iter().map(|event| event.price("price")).sum();
            vec![
                (
                    "average_price",
                    Field::Double(average(prices, events.len(), 9)),
                ),
                ("total_stock", total(events, "stock_quantity")),
            ]
        }),
    },
    View {
        name: "sales_analysis",
        topic: "transactions",
        size: HOUR,
        lateness: Lateness::Within(2 * HOUR),
        time: None,
        window: ["window_start", "window_end"],
        groups: &["product_id"],
        aggregates: Some(|events| {
            vec![
                ("number_of_sales", count(events)),
                ("total_quantity_sold", total(events, "quantity")),
                ("unique_customers", unique(events, "customer_id")),
            ]
        }),
    },
    View {
        name: "product_views_analysis",
        topic: "product_views",
        size: HOUR,
        lateness: Lateness::Within(HOUR),
        time: Some("timestamp"),
        window: ["window_start", "window_end"],
        groups: &["product_id"],
        aggregates: Some(|events| {
            let durations = sum(events, "view_duration");
            vec![
                ("total_views", count(events)),
                (
                    "average_view_duration",
                    Field::Double(average(durations, events.len(), 0)),
                ),
            ]
        }),
    },
    View {
        name: "interaction_analysis",
        topic: "user_interactions",
        size: HOUR,
        lateness: Lateness::Within(2 * HOUR),
        time: Some("timestamp"),
        window: ["window_start", "window_end"],
        groups: &["product_id", "interaction_type"],
        aggregates: Some(|events| {
            vec![
                ("total_interactions", count(events)),
                ("unique_customers", unique(events, "customer_id")),
            ]
        }),
    },
    View {
        name: "log_analysis",
        topic: "system_logs",
        size: HOUR,
        lateness: Lateness::Within(2 * HOUR),
        time: Some("timestamp"),
        window: ["window_start", "window_end"],
        groups: &["level"],
        aggregates: Some(|events| vec![("total_logs", count(events))]),
    },
    View {
        name: REVENUE,
        topic: "transactions",
        size: HOUR,
        lateness: Lateness::Within(2 * HOUR),
        time: Some("date_time"),
        window: ["window_start", "window_end"],
        groups: &["category", "gender", "status"],
        aggregates: None,
    },
];

/// The view of this name.
#[cfg(test)]
pub(super) fn view(name: &str) -> &'static View {
    VIEWS.iter().find(|view| view.name == name).expect("a view")
}
