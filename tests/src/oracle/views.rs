//! What each view is, and its rows from the list of all events.

use super::average::average;
use super::decode::{Event, Value};
use std::collections::{BTreeMap, BTreeSet};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// One field of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// 64-bit integer.
    Long(i64),
    /// 64-bit floating point number.
    Double(f64),
    /// Text.
    Text(String),
    /// Milliseconds since the UNIX epoch.
    Date(i64),
}

/// A view.
#[derive(Debug)]
pub struct View {
    /// Name of its collection.
    pub name: &'static str,
    /// The topic it reads.
    topic: &'static str,
    /// Its windows' size in milliseconds.
    size: i64,
    /// The field that places an event in a window; `None`: the message's timestamp.
    time: Option<&'static str>,
    /// Names of a window's start and end; a dot nests.
    pub window: [&'static str; 2],
    /// The fields it groups by.
    pub groups: &'static [&'static str],
    /// The aggregates of a row.
    aggregates: fn(&[&Event]) -> Vec<(&'static str, Field)>,
}

/// Start of the window in milliseconds since the UNIX epoch, and the group.
pub type Key = (i64, Vec<String>);

/// All rows of a view: names and values of their fields, in the order of a document.
pub type Rows = BTreeMap<Key, Vec<(&'static str, Field)>>;

/// All views.
pub const VIEWS: [View; 6] = [
    View {
        name: "customer_analysis",
        topic: "customers",
        size: DAY,
        time: Some("last_login"),
        window: ["window.start", "window.end"],
        groups: &["gender"],
        aggregates: |events| {
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
        },
    },
    View {
        name: "product_analysis",
        topic: "products",
        size: HOUR,
        time: None,
        window: ["window_start", "window_end"],
        groups: &["category"],
        aggregates: |events| {
            let prices = events.iter().map(|event| event.price("price")).sum();
            vec![
                (
                    "average_price",
                    Field::Double(average(prices, events.len(), 9)),
                ),
                ("total_stock", total(events, "stock_quantity")),
            ]
        },
    },
    View {
        name: "sales_analysis",
        topic: "transactions",
        size: HOUR,
        time: None,
        window: ["window_start", "window_end"],
        groups: &["product_id"],
        aggregates: |events| {
            vec![
                ("number_of_sales", count(events)),
                ("total_quantity_sold", total(events, "quantity")),
                ("unique_customers", unique(events, "customer_id")),
            ]
        },
    },
    View {
        name: "product_views_analysis",
        topic: "product_views",
        size: HOUR,
        time: Some("timestamp"),
        window: ["window_start", "window_end"],
        groups: &["product_id"],
        aggregates: |events| {
            let durations = sum(events, "view_duration");
            vec![
                ("total_views", count(events)),
                (
                    "average_view_duration",
                    Field::Double(average(durations, events.len(), 0)),
                ),
            ]
        },
    },
    View {
        name: "interaction_analysis",
        topic: "user_interactions",
        size: HOUR,
        time: Some("timestamp"),
        window: ["window_start", "window_end"],
        groups: &["product_id", "interaction_type"],
        aggregates: |events| {
            vec![
                ("total_interactions", count(events)),
                ("unique_customers", unique(events, "customer_id")),
            ]
        },
    },
    View {
        name: "log_analysis",
        topic: "system_logs",
        size: HOUR,
        time: Some("timestamp"),
        window: ["window_start", "window_end"],
        groups: &["level"],
        aggregates: |events| vec![("total_logs", count(events))],
    },
];

/// The rows of a view over these events.
pub fn expected(view: &View, events: &[Event]) -> Rows {
    let mut groups: BTreeMap<Key, Vec<&Event>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.topic == view.topic) {
        let time = view
            .time
            .map_or(event.kafka_time, |field| event.time(field));
        let start = time.div_euclid(view.size) * view.size;
        let group = view
            .groups
            .iter()
            .map(|field| event.text(field).to_owned())
            .collect();
        groups.entry((start, group)).or_default().push(event);
    }
    let row = |(key, events): (Key, Vec<&Event>)| {
        let (start, group) = &key;
        let mut fields = vec![
            (view.window[0], Field::Date(*start)),
            (view.window[1], Field::Date(start + view.size)),
        ];
        let texts = group.iter().map(|text| Field::Text(text.clone()));
        fields.extend(view.groups.iter().copied().zip(texts));
        fields.extend((view.aggregates)(&events));
        (key, fields)
    };
    groups.into_iter().map(row).collect()
}

fn count(events: &[&Event]) -> Field {
    Field::Long(i64::try_from(events.len()).expect("fewer than 2^63 events"))
}

fn unique(events: &[&Event], field: &str) -> Field {
    let ids: BTreeSet<_> = events.iter().map(|event| event.text(field)).collect();
    Field::Long(i64::try_from(ids.len()).expect("fewer than 2^63 ids"))
}

fn sum(events: &[&Event], field: &str) -> i128 {
    events
        .iter()
        .map(|event| i128::from(event.count(field)))
        .sum()
}

fn total(events: &[&Event], field: &str) -> Field {
    Field::Long(i64::try_from(sum(events, field)).expect("a sum that fits a long"))
}

impl Event {
    fn text(&self, field: &str) -> &str {
        match &self.fields[field] {
            // A cancelled sale and a canceled one are the same.
            Value::Text(text) if field == "status" && text == "cancelled" => "canceled",
            Value::Text(text) => text,
            other => panic!("{field} is {other:?}"),
        }
    }

    fn count(&self, field: &str) -> i64 {
        match self.fields[field] {
            Value::Count(count) => count,
            ref other => panic!("{field} is {other:?}"),
        }
    }

    fn price(&self, field: &str) -> i128 {
        match self.fields[field] {
            Value::Price(nanos) => nanos,
            ref other => panic!("{field} is {other:?}"),
        }
    }

    fn time(&self, field: &str) -> i64 {
        match self.fields[field] {
            Value::Time(millis) => millis,
            ref other => panic!("{field} is {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn event(topic: &'static str, kafka_time: i64, fields: &[(&'static str, Value)]) -> Event {
        Event {
            topic,
            kafka_time,
            fields: fields.iter().cloned().collect(),
        }
    }

    fn view(name: &str) -> &'static View {
        VIEWS.iter().find(|view| view.name == name).expect("a view")
    }

    #[test]
    fn customers_by_day_of_login() {
        let login = |id, gender, time| {
            let fields = [
                ("customer_id", text(id)),
                ("gender", text(gender)),
                ("last_login", Value::Time(time)),
            ];
            event("customers", 0, &fields)
        };
        let events = [
            login("a", "Female", 5),
            login("a", "Female", DAY - 1),
            login("b", "Female", 7),
            login("b", "Male", 7),
            // Just before 1970: the window of the day before, not the one around zero.
            login("c", "Male", -1),
        ];
        let rows = expected(view("customer_analysis"), &events);
        assert_eq!(rows.len(), 3);
        assert_eq!(
            rows[&(0, vec!["Female".to_owned()])],
            [
                ("window.start", Field::Date(0)),
                ("window.end", Field::Date(DAY)),
                ("gender", Field::Text("Female".to_owned())),
                ("total_customers", Field::Long(3)),
                ("unique_customers", Field::Long(2)),
                ("last_activity", Field::Date(DAY - 1)),
            ]
        );
        assert_eq!(
            rows[&(-DAY, vec!["Male".to_owned()])][5],
            ("last_activity", Field::Date(-1))
        );
    }

    #[test]
    fn products_by_hour_of_the_message() {
        let product = |kafka_time, price, stock| {
            let fields = [
                ("category", text("Books")),
                ("price", Value::Price(price)),
                ("stock_quantity", Value::Count(stock)),
            ];
            event("products", kafka_time, &fields)
        };
        let events = [
            product(HOUR, 100_000_000, 3),
            product(HOUR + 1, 200_000_000, 4),
            product(2 * HOUR - 1, 300_000_000, 5),
            product(2 * HOUR, 10_000_000_000, 0),
        ];
        let rows = expected(view("product_analysis"), &events);
        let aggregates = |start| &rows[&(start, vec!["Books".to_owned()])][3..];
        assert_eq!(
            aggregates(HOUR),
            [
                ("average_price", Field::Double(0.2)),
                ("total_stock", Field::Long(12))
            ]
        );
        assert_eq!(
            aggregates(2 * HOUR)[0],
            ("average_price", Field::Double(10.0))
        );
    }

    #[test]
    fn interactions_by_two_fields() {
        let interaction = |customer, kind| {
            let fields = [
                ("customer_id", text(customer)),
                ("product_id", text("p")),
                ("interaction_type", text(kind)),
                ("timestamp", Value::Time(1)),
            ];
            event("user_interactions", 0, &fields)
        };
        let events = [
            interaction("a", "review"),
            interaction("a", "review"),
            interaction("b", "rating"),
        ];
        let rows = expected(view("interaction_analysis"), &events);
        let key = |kind: &str| (0, vec!["p".to_owned(), kind.to_owned()]);
        assert_eq!(
            rows[&key("review")][4..],
            [
                ("total_interactions", Field::Long(2)),
                ("unique_customers", Field::Long(1))
            ]
        );
        assert_eq!(
            rows[&key("rating")][4],
            ("total_interactions", Field::Long(1))
        );
    }

    #[test]
    fn sales_views_and_logs_count_and_sum() {
        let sale = [
            ("product_id", text("p")),
            ("customer_id", text("c")),
            ("quantity", Value::Count(2)),
            ("status", text("pending")),
        ];
        let seen = |duration| {
            [
                ("product_id", text("p")),
                ("timestamp", Value::Time(0)),
                ("view_duration", Value::Count(duration)),
            ]
        };
        let line = [("level", text("INFO")), ("timestamp", Value::Time(HOUR))];
        let events = [
            event("transactions", 0, &sale),
            event("transactions", 1, &sale),
            event("product_views", 0, &seen(10)),
            event("product_views", 0, &seen(15)),
            event("system_logs", 0, &line),
        ];
        let sales = expected(view("sales_analysis"), &events);
        assert_eq!(
            sales[&(0, vec!["p".to_owned()])][3..],
            [
                ("number_of_sales", Field::Long(2)),
                ("total_quantity_sold", Field::Long(4)),
                ("unique_customers", Field::Long(1))
            ]
        );
        let views = expected(view("product_views_analysis"), &events);
        assert_eq!(
            views[&(0, vec!["p".to_owned()])][3..],
            [
                ("total_views", Field::Long(2)),
                ("average_view_duration", Field::Double(12.5))
            ]
        );
        let logs = expected(view("log_analysis"), &events);
        assert_eq!(
            logs[&(HOUR, vec!["INFO".to_owned()])][3],
            ("total_logs", Field::Long(1))
        );
    }
}
