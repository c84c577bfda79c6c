//! What an event costs beside how many groups there are.
//!
//! As many sales of 10, 1,000 and 100,000 products go from memory through decoding and
//! `sales_analysis`, with all its fields, on one worker, in turns. The windows of a day stay
//! open, so that state is found among as many rows as there are groups and hours, or sales.
//! What grows with the groups is what is looked up, sorted, kept and told; the time of an
//! event must grow with their logarithm at most.
//!
//! ```text
//! cargo bench --workspace --bench groups -- [EVENTS] [RUNS]
//! ```

use cpu_time::ProcessTime;
use dataflow::ingest::memory::{Kept, Partition};
use dataflow::replay::{Outcome, Replay};
use dataflow::views::rows::RowChange;
use dataflow::views::{Catalog, Override};
use events::{Timestamp, Topic, Transactions};
use model::Lateness;
use shop::catalog_of;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const GROUPS: [u64; 3] = [10, 1_000, 100_000];
const CUSTOMERS: u64 = 20_000;
const PARTITIONS: usize = 4;
/// 2024-01-01T00:00:00Z, in milliseconds.
const START: u64 = 1_704_067_200_000;
/// From the first event to the last, in milliseconds of event time.
const DAY: u64 = 86_400_000;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let events = numbers.next().unwrap_or(1_000_000);
    let runs = numbers.next().unwrap_or(5);
    let open = Override {
        lateness: Some(Lateness::Forever),
        ..Override::default()
    };
    let name = "sales_analysis";
    let overrides = BTreeMap::from([(name.to_owned(), open)]);
    let catalog = catalog_of(&overrides, &|view| view == name).expect("the view as it is");
    let catalog = Arc::new(catalog);

    let mut costs: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    let mut rows = BTreeMap::new();
    for _ in 0..runs {
        for groups in GROUPS {
            let log = log(&catalog, groups, events);
            let count = Arc::<Count>::default();
            let started = ProcessTime::now();
            replay(&catalog, &log, &count);
            let cost = started.elapsed().as_secs_f64() * 1e6 / events as f64;
            costs.entry(groups).or_default().push(cost);
            rows.insert(groups, count.0.load(Ordering::Relaxed));
        }
    }
    println!("{events} events, one worker, {runs} runs of each: median, least and greatest\n");
    println!("| groups | µs of CPU an event | rows told | of that with the fewest |");
    println!("| ---: | ---: | ---: | ---: |");
    let mut first = None;
    for (groups, costs) in &mut costs {
        costs.sort_by(f64::total_cmp);
        let median = costs[costs.len() / 2];
        println!(
            "| {groups} | {median:.2} ({:.2}–{:.2}) | {} | {:.2} |",
            costs[0],
            costs[costs.len() - 1],
            rows[groups],
            median / *first.get_or_insert(median)
        );
    }
}

/// Sales, as they would lie in Kafka.
fn log(catalog: &Catalog, groups: u64, events: u64) -> Vec<Partition> {
    let routes = &catalog.routes;
    let topic = routes.iter().position(|r| r.topic() == Transactions::NAME);
    let topic = topic.expect("a topic of the shop");
    let mut partitions = vec![Vec::new(); PARTITIONS];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    // Knuth's multiplier: a cheap sequence that looks random enough.
    let mut next = |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let id = |number: u64| format!("{number:08x}-0000-4000-8000-{number:012x}");
    for (number, partition) in (0..events).zip((0..PARTITIONS).cycle()) {
        let millis = (START + number * DAY / events).cast_signed();
        let time = Timestamp(millis * 1_000).to_string();
        let value = format!(
            r#"{{"transaction_id":"{}","customer_id":"{}","product_id":"{}","quantity":{},"date_time":"{time}","status":"completed","payment_method":"PayPal"}}"#,
            id(number),
            id(next(CUSTOMERS)),
            id(next(groups)),
            1 + next(5),
        );
        partitions[partition].push(Kept {
            timestamp: millis,
            key: None,
            value: Some(value.into_bytes()),
        });
    }
    let partition = |(partition, messages): (usize, Vec<Kept>)| Partition {
        topic,
        partition: i32::try_from(partition).unwrap_or(0),
        messages: Arc::new(messages),
    };
    partitions.into_iter().enumerate().map(partition).collect()
}

/// Counts rows, as anything downstream would at least look at them.
#[derive(Default)]
struct Count(AtomicU64);

impl Outcome for Count {
    fn row(&self, _row: &RowChange) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn replay(catalog: &Arc<Catalog>, log: &[Partition], outcome: &Arc<Count>) {
    let replay = Replay {
        workers: 1,
        tick: Duration::from_millis(100),
        turn: 1_024,
        max_ahead: Duration::from_millis(DAY),
    };
    replay
        .run(catalog, log, outcome)
        .expect("memory does not fail");
}
