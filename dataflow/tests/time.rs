//! Random logs of all topics, late and early, repeated, corrected and damaged, read
//! by any number of workers in any turns and cut into any epochs, give what the
//! oracle says: the same rows, the same of them final, the same dead letters, the
//! same watermarks.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use end_to_end::Rules;
use end_to_end::kafka::{Log, Message};
use end_to_end::oracle::{self, Field};
use proptest::prelude::*;
use serde_json::json;
use sinks::{Row, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidemark::ingest::memory::{Kept, Partition};
use tidemark::replay::{Outcome, Replay};
use tidemark::time::{Frontier, NEVER, Watermarks};
use tidemark::views::key::Key;
use tidemark::views::row::row;
use tidemark::views::rows::Became;
use tidemark::views::window::Lateness;
use tidemark::views::{Catalog, Override, catalog};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// 2024-01-01T00:00:00Z.
const START: i64 = 1_704_067_200_000;
const MAX_AHEAD: i64 = 24 * HOUR;

/// A message of any topic; few ids of each kind, so that they meet.
#[derive(Clone, Debug)]
struct Any {
    topic: &'static str,
    partition: i32,
    /// How much later than the partition's message before, in milliseconds; it may
    /// be earlier.
    after: i64,
    /// How much earlier than its message it happened, in milliseconds.
    ago: i64,
    transaction: u8,
    product: u8,
    customer: u8,
    number: i64,
    word: u8,
    damage: u8,
}

prop_compose! {
    fn any_message()(
        topic in prop::sample::select(vec![
            "transactions", "transactions", "transactions", "transactions", "products",
            "products", "customers", "customers", "product_views", "user_interactions",
            "system_logs",
        ]),
        partition in 0..3i32,
        // Most often some minutes, at times hours, at times back.
        after in prop_oneof![5 => 0..20 * MINUTE, 1 => 0..5 * HOUR, 1 => -HOUR..0],
        ago in prop_oneof![6 => 0..40 * MINUTE, 2 => 0..6 * HOUR, 1 => -30 * HOUR..0],
        transaction in 0u8..12,
        product in 0u8..4,
        customer in 0u8..4,
        number in 0i64..1_000,
        word in 0u8..3,
        damage in 0u8..20,
    ) -> Any {
        Any { topic, partition, after, ago, transaction, product, customer, number, word, damage }
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
fn log(messages: &[Any], partitions: i32) -> Log {
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
            timestamp: *time,
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

fn in_memory(catalog: &Catalog, log: &Log) -> Vec<Partition> {
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

/// What has come out.
#[derive(Default)]
struct Seen {
    rows: Mutex<BTreeMap<Key, Became>>,
    letters: Mutex<Vec<(String, &'static str, String)>>,
    watermarks: Mutex<Vec<Vec<Frontier>>>,
}

impl Outcome for Seen {
    fn row(&self, row: &Became) {
        let mut rows = self.rows.lock().unwrap();
        if let Some(before) = rows.insert(row.key.clone(), row.clone()) {
            // A row lives on one worker, and its epochs come in order.
            assert!(
                before.epoch < row.epoch,
                "twice in an epoch: {before:?} {row:?}"
            );
            assert!(
                !before.is_final,
                "changed when it was final: {before:?} {row:?}"
            );
        }
    }

    fn dead_letter(&self, letter: &sinks::DeadLetter) {
        let letter = (letter.id(), letter.reason.as_str(), letter.detail.clone());
        self.letters.lock().unwrap().push(letter);
    }

    fn watermarks(&self, known: &Watermarks) {
        self.watermarks
            .lock()
            .unwrap()
            .push(known.frontiers().collect());
    }
}

fn configured(rules: &Rules) -> Catalog {
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
    catalog(&overrides.collect()).unwrap()
}

fn field(value: &Value) -> Field {
    match value {
        Value::Long(long) => Field::Long(*long),
        Value::Double(double) => Field::Double(*double),
        Value::Text(text) => Field::Text(text.clone()),
        Value::Date(millis) => Field::Date(*millis),
        Value::Decimal { unscaled, scale } => {
            let (unit, digits) = (10i128.pow(*scale), *scale as usize);
            Field::Decimal(format!("{}.{:0digits$}", unscaled / unit, unscaled % unit))
        }
    }
}

/// Rows by view, then by id: their fields, and whether they are final.
type Rows = BTreeMap<&'static str, BTreeSet<String>>;

fn shown(names: &[&str], fields: impl Iterator<Item = Field>, is_final: bool) -> String {
    let fields: Vec<_> = names.iter().zip(fields).collect();
    format!("{fields:?} final: {is_final}")
}

fn check(messages: &[Any], partitions: i32, rules: &Rules, replay: Replay) {
    let log = log(messages, partitions);
    let catalog = Arc::new(configured(rules));
    let seen = Arc::<Seen>::default();
    replay
        .run(&catalog, &in_memory(&catalog, &log), &seen)
        .unwrap();
    let expected = oracle::expected(&log, "", rules);

    let mut rows: Rows = catalog
        .definitions
        .iter()
        .map(|view| (view.name, BTreeSet::new()))
        .collect();
    for became in seen.rows.lock().unwrap().values() {
        if became.sums == Default::default() {
            continue;
        }
        let definition = &catalog.definitions[usize::from(became.key.slot.view())];
        let names: Vec<_> = definition
            .table
            .columns
            .iter()
            .map(|c| c.name.as_str())
            .collect();
        let Row {
            values, is_final, ..
        } = row(definition, became);
        let shown = shown(&names, values.iter().map(field), is_final);
        rows.get_mut(definition.name).unwrap().insert(shown);
    }
    let wanted = expected.views.iter().map(|(view, rows)| {
        let rows = rows.values().map(|row| {
            let (names, fields): (Vec<_>, Vec<_>) = row.fields.iter().cloned().unzip();
            shown(&names, fields.into_iter(), row.is_final)
        });
        (*view, rows.collect())
    });
    pretty_assertions(&rows, &wanted.collect());

    let mut letters = seen.letters.lock().unwrap().clone();
    letters.sort();
    let letters: Vec<_> = letters
        .into_iter()
        .map(|(id, reason, _)| (id, reason))
        .collect();
    let wanted = expected
        .dead_letters
        .iter()
        .map(|letter| (letter.id(), letter.reason.name()));
    let mut wanted: Vec<_> = wanted.collect();
    wanted.sort();
    assert_eq!(letters, wanted);

    for frontiers in seen.watermarks.lock().unwrap().iter() {
        for (definition, frontier) in catalog.definitions.iter().zip(frontiers) {
            let wanted = expected.watermarks.get(definition.name);
            let found = (frontier.through != NEVER).then(|| {
                let until = definition.window.end_millis(frontier.through);
                (frontier.watermark.div_euclid(1_000), until)
            });
            let wanted = wanted.map(|wanted| (wanted.watermark, wanted.final_until));
            assert_eq!(found, wanted, "{}", definition.name);
        }
    }
}

/// Says which rows differ, and not all that there are.
fn pretty_assertions(found: &Rows, wanted: &Rows) {
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

fn any_lateness() -> impl Strategy<Value = oracle::Lateness> {
    prop_oneof![
        1 => Just(oracle::Lateness::Forever),
        2 => Just(oracle::Lateness::Within(0)),
        2 => Just(oracle::Lateness::Within(HOUR)),
        3 => Just(oracle::Lateness::Within(2 * HOUR)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_reading_of_a_log_gives_what_the_oracle_says(
        messages in prop::collection::vec(any_message(), 0..250),
        partitions in 1..=3i32,
        lateness in prop::collection::vec(any_lateness(), 7),
        workers in 1usize..=4,
        turn in 1usize..40,
        tick in 0u64..3,
    ) {
        let mut rules = Rules::default().with_max_ahead(MAX_AHEAD);
        for (of_view, lateness) in rules.lateness.values_mut().zip(lateness) {
            *of_view = lateness;
        }
        let tick = Duration::from_millis(tick);
        check(&messages, partitions, &rules, Replay { workers, tick, turn, max_ahead: MAX_AHEAD });
    }
}
