//! What it costs to correct a price, beside how much has been sold.
//!
//! Sales are streamed into open windows, then prices change one at a time: the next
//! when the rows of the last have come out. What a change costs must follow the rows
//! that it changes, and not the sales that are open.
//!
//! ```text
//! cargo bench --workspace --bench corrections -- [SALES] [CHANGES]
//! ```

use dataflow::ingest::source::{Message, Position, Source, SourceError, Taken, Turn};
use dataflow::replay::{Outcome, Replay, telemetry};
use dataflow::views::Catalog;
use dataflow::views::key::Key;
use dataflow::views::rows::RowChange;
use shop::catalog;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PRODUCTS: u64 = 1_000;
const CUSTOMERS: u64 = 100_000;
/// 2024-01-01T00:00:00Z, in milliseconds.
const START: i64 = 1_704_067_200_000;
/// How many times as much a change may cost with a hundred times the sales.
const LIMIT: f64 = 2.0;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let most = numbers.next().unwrap_or(1_000_000);
    let changes = numbers.next().unwrap_or(2_000);
    println!("{changes} prices changed, one at a time, of {PRODUCTS} products\n");
    println!(
        "{:>12} {:>16} {:>16}",
        "open sales", "µs a change", "rows a change"
    );
    let costs: Vec<f64> = [most / 100, most / 10, most]
        .into_iter()
        .map(|sales| {
            let (micros, rows) = measure(sales, changes);
            println!("{sales:>12} {micros:>16.0} {rows:>16.1}");
            micros
        })
        .collect();
    let ratio = costs[2] / costs[0];
    let holds = ratio <= LIMIT;
    let verdict = if holds { "holds" } else { "missed" };
    println!(
        "\na hundred times the sales: {ratio:.2} times the cost (limit {LIMIT:.1}: {verdict})"
    );
    if !holds {
        std::process::exit(1);
    }
}

fn measure(sales: u64, changes: u64) -> (f64, f64) {
    let catalog = Arc::new(catalog(&Default::default()).expect("the views as they are"));
    let seen = Arc::<Seen>::default();
    let took = Arc::new(Mutex::new(Duration::ZERO));
    let (of, rows, time) = (Arc::clone(&catalog), Arc::clone(&seen), Arc::clone(&took));
    let source = move |_, _| -> Box<dyn Source> {
        let number = |name| of.routes.iter().position(|route| route.topic() == name);
        Box::new(Stream {
            topics: ["transactions", "products", "customers"]
                .map(|name| number(name).expect("a topic of the shop")),
            sales,
            changes,
            made: [0; 3],
            changed: 0,
            waits_for: 0,
            before: 0,
            started: None,
            found: false,
            seen: Arc::clone(&rows),
            took: Arc::clone(&time),
        })
    };
    let replay = Replay {
        workers: 1,
        // An epoch at every step: each change has its own.
        tick: Duration::ZERO,
        turn: 1,
        max_ahead: Duration::MAX,
    };
    let telemetry = telemetry(1, &catalog);
    seen.view.store(joined(&catalog), Ordering::Relaxed);
    replay
        .run_sources(&catalog, source, &telemetry, &seen)
        .expect("memory does not fail");
    let took = *took.lock().expect("no worker panics");
    let changed = seen.changed.load(Ordering::Relaxed) as f64;
    (
        took.as_secs_f64() * 1e6 / changes as f64,
        changed / changes as f64,
    )
}

/// Number of the view that joins.
fn joined(catalog: &Catalog) -> u64 {
    let place = catalog
        .definitions
        .iter()
        .position(|view| !view.joins.is_empty());
    place.expect("a view that joins") as u64
}

/// What has come out of the view that joins.
#[derive(Default)]
struct Seen {
    view: AtomicU64,
    orders: AtomicI64,
    rows: Mutex<HashMap<Key, i64>>,
    changed: AtomicU64,
}

impl Outcome for Seen {
    fn row(&self, row: &RowChange) {
        if u64::from(row.key.slot.view()) != self.view.load(Ordering::Relaxed) || row.is_final {
            return;
        }
        let mut rows = self.rows.lock().expect("no worker panics");
        let before = rows.insert(row.key.clone(), row.sums.count()).unwrap_or(0);
        self.orders
            .fetch_add(row.sums.count() - before, Ordering::Relaxed);
        self.changed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Customers and products, then sales, then one price after the other.
struct Stream {
    topics: [usize; 3],
    sales: u64,
    changes: u64,
    /// Messages made of each topic.
    made: [u64; 3],
    changed: u64,
    /// The count of changed rows that is left behind before the next change.
    waits_for: u64,
    before: u64,
    started: Option<Instant>,
    found: bool,
    seen: Arc<Seen>,
    took: Arc<Mutex<Duration>>,
}

impl Stream {
    /// The next message: its topic's place, and its value.
    fn next(&mut self) -> Option<(usize, String)> {
        let id = |number: u64| format!("{number:08x}-0000-4000-8000-{number:012x}");
        let [sales, products, customers] = self.made;
        let product = |number: u64, price: u64| {
            let category = ["Books", "Clothing", "Electronics"][(number % 3) as usize];
            format!(
                r#"{{"product_id":"{}","category":"{category}","price":{price}.5,"stock_quantity":1}}"#,
                id(number)
            )
        };
        if customers < CUSTOMERS {
            let gender = ["Male", "Female", "Other"][(customers % 3) as usize];
            let value = format!(
                r#"{{"customer_id":"{}","gender":"{gender}","last_login":"2024-01-01T00:00:00Z"}}"#,
                id(customers)
            );
            return Some((2, value));
        }
        if products < PRODUCTS {
            return Some((1, product(products, 1)));
        }
        if sales < self.sales {
            // A prime far from both: every product meets many customers.
            let customer = (sales * 7_919) % CUSTOMERS;
            let minute = sales % 120;
            let value = format!(
                r#"{{"transaction_id":"{}","customer_id":"{}","product_id":"{}","quantity":2,"date_time":"2024-01-01T{:02}:{:02}:00Z","status":"{}"}}"#,
                id(sales),
                id(customer),
                id(sales % PRODUCTS),
                minute / 60,
                minute % 60,
                ["completed", "pending"][(sales / PRODUCTS % 2) as usize],
            );
            return Some((0, value));
        }
        if self.seen.orders.load(Ordering::Relaxed) < self.sales.cast_signed() {
            return None;
        }
        let changed = self.seen.changed.load(Ordering::Relaxed);
        if self.started.is_none() {
            self.started = Some(Instant::now());
            self.before = changed;
        } else if changed <= self.waits_for {
            return None;
        }
        if self.changed == self.changes {
            return None;
        }
        self.waits_for = changed;
        self.changed += 1;
        Some((1, product(self.changed * 31 % PRODUCTS, 2 + self.changed)))
    }
}

impl Source for Stream {
    fn find(&mut self, each: &mut dyn FnMut(usize, i32)) -> Result<(), SourceError> {
        if !std::mem::replace(&mut self.found, true) {
            self.topics.iter().for_each(|topic| each(*topic, 0));
        }
        Ok(())
    }

    fn read(
        &mut self,
        budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<Turn, SourceError> {
        for _ in 0..budget {
            let is_done = self.changed == self.changes
                && self.seen.changed.load(Ordering::Relaxed) > self.waits_for;
            if is_done && let Some(started) = self.started {
                *self.took.lock().expect("no worker panics") = started.elapsed();
                self.seen.changed.fetch_sub(self.before, Ordering::Relaxed);
                return Ok(Turn::Finished);
            }
            let (changed, waits_for, started) = (self.changed, self.waits_for, self.started);
            let Some((place, value)) = self.next() else {
                return Ok(Turn::More);
            };
            let taken = each(Message {
                topic: self.topics[place],
                partition: 0,
                offset: self.made[place].cast_signed(),
                timestamp: START,
                key: None,
                value: Some(value.as_bytes()),
                backfill: false,
            });
            if taken == Taken::Later {
                (self.changed, self.waits_for, self.started) = (changed, waits_for, started);
                return Ok(Turn::Idle);
            }
            self.made[place] += 1;
        }
        Ok(Turn::More)
    }

    fn pause(&mut self, _paused: bool) {}

    fn positions(&mut self, each: &mut dyn FnMut(Position) -> bool) {
        for (topic, made) in self.topics.iter().zip(self.made) {
            each(Position {
                topic: *topic,
                partition: 0,
                next: made.cast_signed(),
                idle: false,
                last_read: None,
                fingerprint: 0,
                backfill: false,
            });
        }
    }
}
