//! Random logs, read by any number of workers in any turns and cut into any
//! epochs, give the rows that a plain recomputation gives.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use dataflow::ingest::memory::{Kept, Partition};
use dataflow::replay::{Outcome, Replay};
use dataflow::views::key::Key;
use dataflow::views::row::row;
use dataflow::views::rows::RowChange;
use dataflow::views::{Catalog, Override};
use differential_dataflow::difference::IsZero;
use events::Topic;
use model::Lateness;
use proptest::prelude::*;
use serde_json::json;
use shop::catalog;
use sinks::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HOUR: i64 = 3_600_000;
/// 2024-01-01.
const START: i64 = 1_704_067_200_000;
const DAY: i64 = 24 * HOUR;

/// A sale or a customer, few enough of each that they meet.
#[derive(Clone, Debug)]
struct Event {
    is_sale: bool,
    partition: i32,
    /// Kafka timestamp, and last login: milliseconds since the UNIX epoch.
    time: i64,
    customer: u8,
    /// Product of a sale, gender of a customer.
    group: u8,
    quantity: i64,
    is_broken: bool,
}

prop_compose! {
    fn event()(
        is_sale: bool,
        partition in 0..3i32,
        time in START - 3 * DAY..START + 3 * DAY,
        customer in 0u8..4,
        group in 0u8..3,
        quantity in 0i64..1_000_000,
        broken in 0u8..10,
    ) -> Event {
        Event { is_sale, partition, time, customer, group, quantity, is_broken: broken == 0 }
    }
}

impl Event {
    fn topic(&self) -> &'static str {
        if self.is_sale {
            events::Transactions::NAME
        } else {
            events::Customers::NAME
        }
    }

    /// What it is grouped by: too long to be held in place, for sales.
    fn group(&self) -> String {
        if self.is_sale {
            format!("a product with a long name, number {}", self.group)
        } else {
            format!("gender {}", self.group)
        }
    }

    fn value(&self) -> Vec<u8> {
        let customer = format!("customer-{}", self.customer);
        let time = jiff::Timestamp::from_millisecond(self.time).unwrap();
        let mut value = if self.is_sale {
            json!({
                "transaction_id": "t", "customer_id": customer, "product_id": self.group(),
                "quantity": self.quantity, "date_time": time.to_string(), "status": "pending",
            })
        } else {
            json!({
                "customer_id": customer, "gender": self.group(), "last_login": time.to_string(),
            })
        };
        if self.is_broken {
            value.as_object_mut().unwrap().remove("customer_id");
        }
        value.to_string().into_bytes()
    }
}

/// Rows by view, window start and group: the values behind those.
type Rows = BTreeMap<(String, i64, String), Vec<i64>>;

fn naive(events: &[Event]) -> Rows {
    let mut groups: BTreeMap<_, Vec<&Event>> = BTreeMap::new();
    for event in events.iter().filter(|event| !event.is_broken) {
        let (view, size) = if event.is_sale {
            ("sales_analysis", HOUR)
        } else {
            ("customer_analysis", DAY)
        };
        let start = event.time.div_euclid(size) * size;
        groups
            .entry((view.to_owned(), start, event.group()))
            .or_default()
            .push(event);
    }
    let values = |events: Vec<&Event>| {
        let count = events.len() as i64;
        let customers: BTreeSet<_> = events.iter().map(|event| event.customer).collect();
        let unique = customers.len() as i64;
        if events[0].is_sale {
            vec![
                count,
                events.iter().map(|event| event.quantity).sum(),
                unique,
            ]
        } else {
            vec![
                count,
                unique,
                events.iter().map(|event| event.time).max().unwrap(),
            ]
        }
    };
    groups
        .into_iter()
        .map(|(key, events)| (key, values(events)))
        .collect()
}

/// What every row became last, and how many dead letters there were.
#[derive(Default)]
struct Seen {
    rows: Mutex<BTreeMap<Key, RowChange>>,
    letters: Mutex<usize>,
}

impl Outcome for Seen {
    fn row(&self, row: &RowChange) {
        let mut rows = self.rows.lock().unwrap();
        let before = rows.insert(row.key.clone(), row.clone());
        // Its windows stay open.
        let was_there = before.as_ref().is_some_and(|before| !before.sums.is_zero());
        let expect = match was_there {
            true => sinks::Expect::Present,
            false => sinks::Expect::Absent,
        };
        assert_eq!(row.expect, expect, "{before:?} {row:?}");
        // A row lives on one worker, and its epochs come in order.
        let earlier = before.is_none_or(|before| before.epoch < row.epoch);
        assert!(earlier, "twice in an epoch");
    }

    fn dead_letter(&self, _letter: &sinks::DeadLetter) {
        *self.letters.lock().unwrap() += 1;
    }
}

fn log(catalog: &Catalog, events: &[Event]) -> Vec<Partition> {
    let number = |name| {
        catalog
            .routes
            .iter()
            .position(|route| route.topic() == name)
            .unwrap()
    };
    let mut partitions: BTreeMap<(usize, i32), Vec<Kept>> = BTreeMap::new();
    for event in events {
        let kept = Kept {
            timestamp: event.time,
            key: None,
            value: Some(event.value()),
        };
        let place = (number(event.topic()), event.partition);
        partitions.entry(place).or_default().push(kept);
    }
    let partition = |((topic, partition), messages)| Partition {
        topic,
        partition,
        messages: Arc::new(messages),
    };
    partitions.into_iter().map(partition).collect()
}

/// All views, with windows that never close.
fn open_for_ever() -> Catalog {
    let forever = Override {
        lateness: Some(Lateness::Forever),
        ..Override::default()
    };
    let names = catalog(&BTreeMap::new()).unwrap().definitions;
    let all = names
        .iter()
        .map(|view| (view.name.to_owned(), forever.clone()));
    catalog(&all.collect()).unwrap()
}

fn replayed(events: &[Event], replay: Replay) -> (Rows, usize) {
    let catalog = Arc::new(open_for_ever());
    let seen = Arc::<Seen>::default();
    replay.run(&catalog, &log(&catalog, events), &seen).unwrap();
    let mut rows = Rows::new();
    for (key, became) in seen.rows.lock().unwrap().iter() {
        let definition = &catalog.definitions[usize::from(key.slot.view())];
        if !definition.joins.is_empty() {
            continue;
        }
        let values = row(definition, became, 0).unwrap().values;
        let [
            Value::Date(start),
            Value::Date(_),
            Value::Text(group),
            rest @ ..,
        ] = &values[..]
        else {
            panic!("a row begins with its window and its group: {values:?}");
        };
        let numbers = rest.iter().map(|value| match value {
            Value::Long(number) | Value::Date(number) => *number,
            other => panic!("{other:?}"),
        });
        rows.insert(
            (definition.name.clone(), *start, group.clone()),
            numbers.collect(),
        );
    }
    let letters = *seen.letters.lock().unwrap();
    (rows, letters)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_reading_of_a_log_gives_the_same_rows(
        events in prop::collection::vec(event(), 0..120),
        workers in 1usize..=4,
        turn in 1usize..40,
        tick in 0u64..3,
    ) {
        let tick = Duration::from_millis(tick);
        let replay = Replay { workers, tick, turn, max_ahead: Duration::MAX };
        let (rows, letters) = replayed(&events, replay);
        prop_assert_eq!(rows, naive(&events));
        prop_assert_eq!(letters, events.iter().filter(|event| event.is_broken).count());
    }
}

#[test]
fn no_kafka_timestamp_gives_a_row_outside_the_calendar() {
    let catalog = Arc::new(open_for_ever());
    let sale = Event {
        is_sale: true,
        partition: 0,
        time: 0,
        customer: 0,
        group: 0,
        quantity: i64::MAX,
        is_broken: false,
    };
    let mut log = log(&catalog, &[sale]);
    let kept = log[0].messages[0].clone();
    let times = [
        i64::MIN,
        i64::MIN / 1_000,
        -1,
        0,
        i64::MAX / 1_000,
        i64::MAX,
    ];
    let at = |timestamp| Kept {
        timestamp,
        ..kept.clone()
    };
    log[0].messages = Arc::new(times.map(at).to_vec());
    let seen = Arc::<Seen>::default();
    let replay = Replay {
        workers: 1,
        tick: Duration::ZERO,
        turn: 1,
        max_ahead: Duration::from_secs(86_400),
    };
    replay.run(&catalog, &log, &seen).unwrap();
    let rows = seen.rows.lock().unwrap();
    let by_kafka =
        |key: &&Key| catalog.definitions[usize::from(key.slot.view())].name == "sales_analysis";
    assert_eq!(rows.keys().filter(by_kafka).count(), 0);
    assert_eq!(*seen.letters.lock().unwrap(), times.len());
}
