//! What windows had is dropped when they close, on every worker, also while nothing
//! more comes.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use dataflow::ingest::memory::{Kept, MemorySource, Partition};
use dataflow::ingest::source::{Message, Position, Source, SourceError, Taken, Turn};
use dataflow::replay::{Outcome, Replay, telemetry};
use dataflow::views::Catalog;
use dataflow::views::rows::RowChange;
use serde_json::json;
use shop::catalog;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use telemetry::Telemetry;

const HOUR: i64 = 3_600_000;
/// 2024-01-01T00:00:00Z.
const START: i64 = 1_704_067_200_000;
/// Long enough for any machine; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Nothing;

impl Outcome for Nothing {
    fn row(&self, _row: &RowChange) {}
}

/// A partition of a topic.
fn partition(catalog: &Catalog, topic: &str, number: i32, messages: Vec<Kept>) -> Partition {
    let mut routes = catalog.routes.iter();
    Partition {
        topic: routes.position(|route| route.topic() == topic).unwrap(),
        partition: number,
        messages: Arc::new(messages),
    }
}

/// A sale of one of many products to one of many customers, at an hour.
fn sale(number: i64, hour: i64) -> Kept {
    let time = START + hour * HOUR + number % HOUR;
    let value = json!({
        "transaction_id": format!("sale {number} of hour {hour}"),
        "customer_id": format!("customer {}", number % 100),
        "product_id": format!("product {}", number % 40),
        "quantity": 1,
        "date_time": jiff::Timestamp::from_millisecond(time).unwrap().to_string(),
        "status": "completed",
    });
    kept(time, &value)
}

fn product(number: i64, time: i64) -> Kept {
    let id = format!("product {number}");
    let value = json!({"product_id": id, "category": "Books", "price": 1, "stock_quantity": 1});
    kept(time, &value)
}

fn customer(number: i64, time: i64) -> Kept {
    let login = jiff::Timestamp::from_millisecond(time).unwrap().to_string();
    let id = format!("customer {number}");
    let value = json!({"customer_id": id, "gender": "Other", "last_login": login});
    kept(time, &value)
}

fn kept(timestamp: i64, value: &serde_json::Value) -> Kept {
    Kept {
        timestamp,
        key: None,
        value: Some(value.to_string().into_bytes()),
    }
}

/// Reads from memory, then is silent until what is held is as little as it should
/// be, or patience is over.
struct Silent {
    source: MemorySource,
    telemetry: Arc<Telemetry>,
    since: Option<Instant>,
}

impl Source for Silent {
    fn find(&mut self, each: &mut dyn FnMut(usize, i32)) -> Result<(), SourceError> {
        self.source.find(each)
    }

    fn read(
        &mut self,
        budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<Turn, SourceError> {
        let turn = self.source.read(budget, each)?;
        if turn != Turn::Finished {
            return Ok(turn);
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let dropped = held(&self.telemetry)
            .iter()
            .all(|(name, records)| *records <= limit(name));
        Ok(match dropped || since.elapsed() > PATIENCE {
            true => Turn::Finished,
            false => Turn::Idle,
        })
    }

    fn pause(&mut self, paused: bool) {
        self.source.pause(paused);
    }

    fn positions(&mut self, each: &mut dyn FnMut(Position) -> bool) {
        self.source.positions(each);
    }
}

/// Updates that arrangements hold, over all workers.
fn held(telemetry: &Telemetry) -> BTreeMap<String, u64> {
    let mut held = BTreeMap::new();
    for arrangement in telemetry.snapshot().arrangements {
        *held.entry(arrangement.name).or_default() += arrangement.records;
    }
    held
}

/// What may be left of an arrangement, when all windows but the last few sales' are
/// closed: the products and customers, and a quarter that is not merged yet.
fn limit(name: &str) -> u64 {
    match name {
        "revenue_analysis.lookup_1" | "revenue_analysis.lookup_2" => 150 * 5 / 4,
        _ => 60,
    }
}

#[test]
fn what_closed_windows_had_is_dropped_while_nothing_comes() {
    let catalog = Arc::new(catalog(&BTreeMap::new()).unwrap());
    for workers in [1, 3] {
        let telemetry = telemetry(workers, &catalog);
        let late = START + 40 * HOUR;
        let log = [0, 1].map(|number| {
            let hours = (0..20).flat_map(|hour| (0..500).map(move |n| (n * 2 + number, hour)));
            let mut sales: Vec<_> = hours.map(|(n, hour)| sale(n, hour)).collect();
            // Two that close everything before them, and prove that more is read.
            sales.extend([sale(number, 40), sale(number, 41)]);
            partition(
                &catalog,
                "transactions",
                i32::try_from(number).unwrap(),
                sales,
            )
        });
        let products = (0..40)
            .map(|n| product(n, START))
            .chain([product(0, late + 2 * HOUR)]);
        let customers = (0..100)
            .map(|n| customer(n, START))
            .chain([customer(0, late + 2 * HOUR)]);
        let mut log = log.to_vec();
        log.push(partition(&catalog, "products", 0, products.collect()));
        log.push(partition(&catalog, "customers", 0, customers.collect()));

        let replay = Replay {
            workers,
            tick: Duration::from_millis(5),
            turn: 64,
            max_ahead: Duration::MAX,
        };
        let at = Arc::clone(&telemetry);
        let source = move |worker, peers| -> Box<dyn Source> {
            let mine = log.iter().skip(worker).step_by(peers).cloned().collect();
            Box::new(Silent {
                source: MemorySource::new(mine, 64),
                telemetry: Arc::clone(&at),
                since: None,
            })
        };
        replay
            .run_sources(&catalog, source, &telemetry, &Arc::new(Nothing))
            .unwrap();
        for (name, records) in held(&telemetry) {
            assert!(
                records <= limit(&name),
                "{workers} workers: {name} holds {records}"
            );
        }
    }
}
