//! The rows of a view from the list of the events that it accepted.

use super::event::Event;
use super::views::{Aggregates, View};
use super::window::window;
use std::collections::{BTreeMap, BTreeSet};

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
    /// Exact decimal number, as a text that says how many decimals it has.
    Decimal(String),
}

/// Start of the window in milliseconds since the UNIX epoch, and the group.
pub type Key = (i64, Vec<String>);

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Names and values, in the order of a document.
    pub fields: Vec<(&'static str, Field)>,
    /// Whether it will never change again.
    pub is_final: bool,
}

/// All rows of a view.
pub type Rows = BTreeMap<Key, Row>;

/// The rows of a view with windows of this size. Those that end at `watermark` or
/// before are final.
pub(super) fn rows(
    view: &View,
    aggregates: Aggregates,
    size: i64,
    events: &[&Event],
    watermark: Option<i64>,
) -> Rows {
    let mut groups: BTreeMap<Key, Vec<&Event>> = BTreeMap::new();
    for event in events {
        let (start, _) = view.window_of(event, size);
        let group = view
            .groups
            .iter()
            .map(|field| event.text(field).to_owned())
            .collect();
        groups.entry((start, group)).or_default().push(event);
    }
    let row = |(key, events): (Key, Vec<&Event>)| {
        let mut fields = of_window(view, size, &key);
        fields.extend(aggregates(&events));
        let (_, end) = window(key.0, size);
        let is_final = Some(end) <= watermark;
        (key, Row { fields, is_final })
    };
    groups.into_iter().map(row).collect()
}

/// The fields that a row begins with: window and group.
pub(super) fn of_window(view: &View, size: i64, key: &Key) -> Vec<(&'static str, Field)> {
    let (start, end) = window(key.0, size);
    let mut fields = vec![
        (view.window[0], Field::Date(start)),
        (view.window[1], Field::Date(end)),
    ];
    let texts = key.1.iter().map(|text| Field::Text(text.clone()));
    fields.extend(view.groups.iter().copied().zip(texts));
    fields
}

/// A number of things.
pub(super) fn long(count: usize) -> Field {
    Field::Long(i64::try_from(count).expect("fewer than 2^63 of anything"))
}

/// A sum as a long: beyond that range, the nearest one there is.
pub(super) fn saturated(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

pub(super) fn count(events: &[&Event]) -> Field {
    long(events.len())
}

pub(super) fn unique(events: &[&Event], field: &str) -> Field {
    let ids: BTreeSet<_> = events.iter().map(|event| event.text(field)).collect();
    long(ids.len())
}

pub(super) fn sum(events: &[&Event], field: &str) -> i128 {
    events
        .iter()
        .map(|event| i128::from(event.count(field)))
        .sum()
}

pub(super) fn total(events: &[&Event], field: &str) -> Field {
    Field::Long(saturated(sum(events, field)))
}

#[cfg(test)]
mod tests {
    use super::super::clock::{Reading, Sent};
    use super::super::event::{Stamp, Value};
    use super::super::views::{DAY, HOUR, view};
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn event(topic: &'static str, kafka_time: i64, fields: &[(&'static str, Value)]) -> Event {
        Event {
            topic,
            message: 0,
            reading: Reading {
                sent: Sent::At(kafka_time),
                clock: Some(kafka_time),
                seen: Some(kafka_time),
                passes_at: Some(kafka_time),
                limit: i64::MAX,
            },
            stamp: Stamp {
                k: Some(kafka_time),
                partition: 0,
                offset: 0,
            },
            fields: fields.iter().cloned().collect(),
        }
    }

    fn expected(name: &str, events: &[Event]) -> Rows {
        let view = view(name);
        let of_topic: Vec<_> = events
            .iter()
            .filter(|event| event.topic == view.topic)
            .collect();
        let aggregates = view.aggregates.expect("a view of one topic");
        rows(view, aggregates, view.size, &of_topic, None)
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
        let rows = expected("customer_analysis", &events);
        assert_eq!(rows.len(), 3);
        assert_eq!(
            rows[&(0, vec!["Female".to_owned()])].fields,
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
            rows[&(-DAY, vec!["Male".to_owned()])].fields[5],
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
        let rows = expected("product_analysis", &events);
        let aggregates = |start| &rows[&(start, vec!["Books".to_owned()])].fields[3..];
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
        let rows = expected("interaction_analysis", &events);
        let key = |kind: &str| (0, vec!["p".to_owned(), kind.to_owned()]);
        assert_eq!(
            rows[&key("review")].fields[4..],
            [
                ("total_interactions", Field::Long(2)),
                ("unique_customers", Field::Long(1))
            ]
        );
        assert_eq!(
            rows[&key("rating")].fields[4],
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
        let sales = expected("sales_analysis", &events);
        assert_eq!(
            sales[&(0, vec!["p".to_owned()])].fields[3..],
            [
                ("number_of_sales", Field::Long(2)),
                ("total_quantity_sold", Field::Long(4)),
                ("unique_customers", Field::Long(1))
            ]
        );
        let views = expected("product_views_analysis", &events);
        assert_eq!(
            views[&(0, vec!["p".to_owned()])].fields[3..],
            [
                ("total_views", Field::Long(2)),
                ("average_view_duration", Field::Double(12.5))
            ]
        );
        let logs = expected("log_analysis", &events);
        assert_eq!(
            logs[&(HOUR, vec!["INFO".to_owned()])].fields[3],
            ("total_logs", Field::Long(1))
        );
    }
}
