//! Random logs of all topics, and how what comes of them is compared.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod windows;

use ::shop::catalog_of;
use dataflow::ingest::memory::{Kept, Partition};
use dataflow::views::{Catalog, Override};
use end_to_end::Rules;
use end_to_end::kafka::{Log, Message};
use end_to_end::oracle::{self, Expected, Field};
use model::Lateness;
use proptest::prelude::*;
use serde_json::json;
use sinks::{Row, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// 2024-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_704_067_200_000;
pub(crate) const MAX_AHEAD: i64 = 24 * HOUR;
/// 2100-01-01T00:00:00Z: what the clock says when a log is read for the first time.
pub(crate) const CLOCK: i64 = 4_102_444_800_000;

/// A message of any topic; few ids of each kind, so that they meet.
#[derive(Clone, Debug)]
pub(crate) struct Any {
    topic: &'static str,
    partition: i32,
    /// How much later than the partition's message before, in milliseconds; it may
    /// be earlier.
    after: i64,
    /// What its message's timestamp is instead.
    sent: Sent,
    /// How much earlier than its message it happened, in milliseconds.
    ago: i64,
    transaction: u8,
    product: u8,
    customer: u8,
    number: i64,
    word: u8,
    damage: u8,
}

/// The timestamp of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sent {
    /// As those before and after it.
    Right,
    /// A stray one, so many milliseconds ahead of the others.
    Stray(i64),
    /// So many milliseconds further ahead of the clock than is believed.
    Ahead(i64),
    /// None: 0 or -1.
    Never(i64),
    /// Another unit: a thousandth, or a thousand-fold.
    Seconds,
    Microseconds,
}

impl Sent {
    fn at(self, time: i64) -> i64 {
        match self {
            Sent::Right => time,
            Sent::Stray(ahead) => time + ahead,
            Sent::Ahead(ahead) => CLOCK + MAX_AHEAD + ahead,
            Sent::Never(none) => none,
            Sent::Seconds => time / 1_000,
            Sent::Microseconds => time * 1_000,
        }
    }
}

fn any_sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        24 => Just(Sent::Right),
        3 => (HOUR..30 * HOUR).prop_map(Sent::Stray),
        2 => (1..60 * 24 * HOUR).prop_map(Sent::Ahead),
        1 => (-1..=0i64).prop_map(Sent::Never),
        1 => prop_oneof![Just(Sent::Seconds), Just(Sent::Microseconds)],
    ]
}

prop_compose! {
    pub(crate) fn any_message()(
        topic in prop::sample::select(vec![
            "transactions", "transactions", "transactions", "transactions", "products",
            "products", "customers", "customers", "product_views", "user_interactions",
            "system_logs",
        ]),
        partition in 0..3i32,
        // Most often some minutes, at times hours, at times back.
        sent in any_sent(),
        after in prop_oneof![5 => 0..20 * MINUTE, 1 => 0..5 * HOUR, 1 => -HOUR..0],
        ago in prop_oneof![6 => 0..40 * MINUTE, 2 => 0..6 * HOUR, 1 => -30 * HOUR..0],
        transaction in 0u8..12,
        product in 0u8..4,
        customer in 0u8..4,
        number in 0i64..1_000,
        word in 0u8..3,
        damage in 0u8..20,
    ) -> Any {
        Any { topic, partition, after, sent, ago, transaction, product, customer, number, word, damage }
    }
}

impl Any {
    fn value(&self, kafka: i64) -> Option<Vec<u8>> {
        let time = jiff::Timestamp::from_millisecond(kafka - self.ago)
            .unwrap()
            .to_string();
        let customer = format!("customer-{}", self.customer);
        let product = format!("a product with a long name, number {}", self.product);
        let word = ["one", "two", "three"][usize::from(self.word)];
        let (number, transaction) = (self.number, self.transaction.to_string());
        let mut value = match self.topic {
            "transactions" => json!({
                "transaction_id": transaction, "customer_id": customer, "product_id": product,
                "quantity": number, "date_time": time, "status": word,
            }),
            "products" => json!({
                "product_id": product, "category": word, "price": number as f64 / 8.0,
                "stock_quantity": number,
            }),
            "customers" => json!({
                "customer_id": customer, "gender": word, "last_login": time,
            }),
            "product_views" => json!({
                "view_id": "v", "customer_id": customer, "product_id": product,
                "timestamp": time, "view_duration": number,
            }),
            "user_interactions" => json!({
                "interaction_id": "i", "customer_id": customer, "product_id": product,
                "timestamp": time, "interaction_type": word,
            }),
            _ => json!({ "log_id": "l", "timestamp": time, "level": word }),
        };
        match self.damage {
            0 => return None,
            1 => {
                value
                    .as_object_mut()
                    .unwrap()
                    .shift_remove_entry("customer_id");
            }
            _ => {}
        }
        Some(value.to_string().into_bytes())
    }
}

/// The messages as a log: their timestamps follow from those before them in their
/// partitions, of which a topic has as many as `partitions` says.
pub(crate) fn log(messages: &[Any], partitions: i32) -> Log {
    let mut log = Log::default();
    let mut now: BTreeMap<(&str, i32), (i64, i64)> = BTreeMap::new();
    for any in messages {
        let partition = any.partition % partitions;
        let (offset, time) = now.entry((any.topic, partition)).or_insert((0, START));
        *time += any.after;
        log.messages.push(Message {
            topic: any.topic.to_owned(),
            partition,
            offset: *offset,
            timestamp: any.sent.at(*time),
            key: None,
            value: any.value(*time),
        });
        *offset += 1;
    }
    for topic in end_to_end::TOPICS {
        let bounds = (0..partitions).map(|partition| {
            let end = now.get(&(topic, partition)).map_or(0, |(end, _)| *end);
            (partition, (0, end))
        });
        log.bounds.insert(topic.to_owned(), bounds.collect());
    }
    log
}

pub(crate) fn in_memory(catalog: &Catalog, log: &Log) -> Vec<Partition> {
    let topic = |name: &str| {
        let mut routes = catalog.routes.iter();
        routes.position(|route| route.topic() == name).unwrap()
    };
    let mut messages: BTreeMap<(usize, i32), Vec<Kept>> = BTreeMap::new();
    for (name, partitions) in &log.bounds {
        for partition in partitions.keys() {
            messages.entry((topic(name), *partition)).or_default();
        }
    }
    for message in &log.messages {
        let of_partition = messages.get_mut(&(topic(&message.topic), message.partition));
        of_partition.unwrap().push(Kept {
            timestamp: message.timestamp,
            key: message.key.clone(),
            value: message.value.clone(),
        });
    }
    let partition = |((topic, partition), messages)| Partition {
        topic,
        partition,
        messages: Arc::new(messages),
    };
    messages.into_iter().map(partition).collect()
}

pub(crate) fn configured(rules: &Rules) -> Catalog {
    configured_without(rules, None)
}

/// Without the view of that name.
pub(crate) fn configured_without(rules: &Rules, left_out: Option<&str>) -> Catalog {
    let overrides = rules.lateness.iter().map(|(name, lateness)| {
        let lateness = match lateness {
            oracle::Lateness::Within(millis) => Lateness::Millis(*millis),
            oracle::Lateness::Forever => Lateness::Forever,
        };
        let change = Override {
            lateness: Some(lateness),
            ..Override::default()
        };
        ((*name).to_owned(), change)
    });
    catalog_of(&overrides.collect(), &|name| Some(name) != left_out).unwrap()
}

pub(crate) fn field(value: &Value) -> Field {
    match value {
        Value::Long(long) => Field::Long(*long),
        Value::Double(double) => Field::Double(*double),
        Value::Text(text) => Field::Text(text.clone()),
        Value::Date(millis) => Field::Date(*millis),
        Value::Decimal { unscaled, scale } => {
            let (unit, digits) = (10i128.pow(*scale), *scale as usize);
            Field::Decimal(format!("{}.{:0digits$}", unscaled / unit, unscaled % unit))
        }
        other => panic!("no view of the shop has {other:?}"),
    }
}

/// Rows by view, then by id: their fields, and whether they are final.
pub(crate) type Rows = BTreeMap<String, BTreeSet<String>>;

/// A view's name, as the oracle knows it.
pub(crate) fn known_name(name: &str) -> &'static str {
    let mut views = end_to_end::oracle::VIEWS.iter();
    views.find(|view| view.name == name).unwrap().name
}

/// The rows of a view by which it is compared.
pub(crate) fn shown_rows<'a>(catalog: &Catalog, rows: impl Iterator<Item = &'a Row>) -> Rows {
    let none = catalog.definitions.iter();
    let mut shown: Rows = none
        .map(|view| (view.name.clone(), BTreeSet::new()))
        .collect();
    for row in rows {
        let definition = &catalog.definitions[row.id.table];
        let columns = definition.table.columns.iter();
        let names: Vec<_> = columns.map(|column| column.name.as_str()).collect();
        let row = self::shown(&names, row.values.iter().map(field), row.is_final);
        shown.get_mut(&definition.name).unwrap().insert(row);
    }
    shown
}

/// The same of what is expected.
pub(crate) fn wanted_rows(expected: &Expected) -> Rows {
    let views = expected.views.iter();
    let of_view = |(view, rows): (&&'static str, &end_to_end::oracle::Rows)| {
        let rows = rows.values().map(|row| {
            let (names, fields): (Vec<_>, Vec<_>) = row.fields.iter().cloned().unzip();
            shown(&names, fields.into_iter(), row.is_final)
        });
        ((*view).to_owned(), rows.collect())
    };
    views.map(of_view).collect()
}

/// Ids and reasons of dead letters.
pub(crate) fn wanted_letters(expected: &Expected) -> BTreeSet<(String, &'static str)> {
    let letters = expected.dead_letters.iter();
    letters
        .map(|letter| (letter.id(), letter.reason.name()))
        .collect()
}

pub(crate) fn shown(names: &[&str], fields: impl Iterator<Item = Field>, is_final: bool) -> String {
    let fields: Vec<_> = names.iter().zip(fields).collect();
    format!("{fields:?} final: {is_final}")
}

/// Says which rows differ, and not all that there are.
pub(crate) fn compare(found: &Rows, wanted: &Rows) {
    for (view, wanted) in wanted {
        let found = &found[view];
        let missing: Vec<_> = wanted.difference(found).collect();
        let superfluous: Vec<_> = found.difference(wanted).collect();
        assert!(
            missing.is_empty() && superfluous.is_empty(),
            "{view}: missing {missing:#?}, superfluous {superfluous:#?}"
        );
    }
}

pub(crate) fn any_lateness() -> impl Strategy<Value = oracle::Lateness> {
    prop_oneof![
        1 => Just(oracle::Lateness::Forever),
        2 => Just(oracle::Lateness::Within(0)),
        2 => Just(oracle::Lateness::Within(HOUR)),
        3 => Just(oracle::Lateness::Within(2 * HOUR)),
    ]
}
