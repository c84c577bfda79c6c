//! What the dataflow costs beside a plain loop.
//!
//! Generated transactions and product views, in memory, go through decoding and
//! through `sales_analysis` and `product_views_analysis` with all their fields:
//! once by the dataflow, on one worker and on two, once by a hand-written loop
//! over hash maps. All in the same run, in turns, and the results are compared
//! before any time counts. What is printed are ratios: the machine drifts, they
//! stay.
//!
//! ```text
//! cargo bench --workspace --bench views -- [EVENTS] [RUNS]
//! ```

use cpu_time::ProcessTime;
use dataflow::Epoch;
use dataflow::ingest::memory::{Kept, Partition};
use dataflow::replay::{Outcome, Replay};
use dataflow::views::key::Key;
use dataflow::views::rows::RowChange;
use dataflow::views::sums::Sums;
use dataflow::views::{Catalog, Override};
use differential_dataflow::difference::Semigroup;
use events::{Id, ProductViews, Timestamp, Topic, Transactions};
use foldhash::fast::FixedState;
use generator::{Profile, Shop};
use model::Lateness;
use shop::catalog_of;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Partitions of each topic.
const PARTITIONS: usize = 4;
/// How long an epoch is.
const TICK: Duration = Duration::from_millis(100);

type Rows = BTreeMap<(String, i64, String), (i64, i64, i128)>;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let events = numbers.next().unwrap_or(2_000_000);
    let runs = numbers.next().unwrap_or(5);
    let wanted = |name: &str| ["sales_analysis", "product_views_analysis"].contains(&name);
    // The loop keeps every window; beside it, so does the dataflow.
    let forever = Override {
        lateness: Some(Lateness::Forever),
        ..Override::default()
    };
    let names = ["sales_analysis", "product_views_analysis"].map(str::to_owned);
    let open: BTreeMap<_, _> = names.map(|name| (name, forever.clone())).into();
    let [catalog, closing] = [open, BTreeMap::new()]
        .map(|overrides| Arc::new(catalog_of(&overrides, &wanted).expect("the views as they are")));
    let log = generate(&catalog, events);
    let bytes: usize = log.iter().flat_map(|p| p.messages.iter()).map(bytes).sum();
    println!(
        "{events} events of {} bytes in {} partitions",
        bytes / events,
        log.len()
    );

    let expected = by_loop(&log).1;
    for workers in [1, 2] {
        let rows = rows_of_dataflow(&catalog, &log, workers);
        assert!(rows == expected, "{workers} workers differ");
    }
    println!("{} rows, the same by loop and dataflow\n", expected.len());

    let mut seconds: BTreeMap<&str, Vec<Cost>> = BTreeMap::new();
    for _ in 0..runs {
        seconds.entry("loop").or_default().push(by_loop(&log).0);
        seconds
            .entry("one worker")
            .or_default()
            .push(by_dataflow(&catalog, &log, 1));
        seconds
            .entry("two workers")
            .or_default()
            .push(by_dataflow(&catalog, &log, 2));
        seconds
            .entry("one, closing")
            .or_default()
            .push(by_dataflow(&closing, &log, 1));
    }
    let median = |name: &str, of: fn(&Cost) -> f64| {
        let mut all: Vec<_> = seconds[name].iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        (all[all.len() / 2], all[0], all[all.len() - 1])
    };
    println!(
        "{:12} {:>24} {:>24} {:>14}",
        "", "CPU s (min..max)", "wall s (min..max)", "events/CPU s"
    );
    for name in ["loop", "one worker", "two workers", "one, closing"] {
        let (cpu, cpu_min, cpu_max) = median(name, |cost| cost.cpu);
        let (wall, wall_min, wall_max) = median(name, |cost| cost.wall);
        let rate = events as f64 / cpu;
        println!(
            "{name:12} {cpu:>8.2} ({cpu_min:>5.2}..{cpu_max:>5.2}) {wall:>9.2} ({wall_min:>5.2}..{wall_max:>5.2}) {rate:>14.0}"
        );
    }
    let cpu = |name| median(name, |cost| cost.cpu).0;
    let wall = |name| median(name, |cost| cost.wall).0;
    println!();
    report(
        "events per CPU-second, one worker / loop",
        cpu("loop") / cpu("one worker"),
        0.5,
        true,
    );
    report(
        "time, two workers / one",
        wall("two workers") / wall("one worker"),
        0.6,
        false,
    );
    report(
        "CPU, two workers / one",
        cpu("two workers") / cpu("one worker"),
        1.1,
        false,
    );
}

fn report(what: &str, ratio: f64, target: f64, at_least: bool) {
    let (sign, holds) = if at_least {
        ("≥", ratio >= target)
    } else {
        ("≤", ratio <= target)
    };
    let verdict = if holds { "holds" } else { "missed" };
    println!("{what:44} {ratio:>5.2}  (target {sign} {target:.2}: {verdict})");
}

struct Cost {
    cpu: f64,
    wall: f64,
}

fn timed<R>(run: impl FnOnce() -> R) -> (Cost, R) {
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    let result = run();
    let cost = Cost {
        cpu: cpu.elapsed().as_secs_f64(),
        wall: wall.elapsed().as_secs_f64(),
    };
    (cost, result)
}

fn bytes(kept: &Kept) -> usize {
    kept.value.as_ref().map_or(0, Vec::len)
}

/// The generator's transactions and product views, as they would lie in Kafka.
fn generate(catalog: &Catalog, events: usize) -> Vec<Partition> {
    let topics: Vec<_> = catalog.routes.iter().map(|route| route.topic()).collect();
    let number = |name| topics.iter().position(|topic| *topic == name);
    let wanted = [Transactions::NAME, ProductViews::NAME].map(number);
    let mut partitions: BTreeMap<(usize, usize), Vec<Kept>> = BTreeMap::new();
    let mut shop = Shop::new(&Profile::new(1, Timestamp(1_730_000_000_000_000)));
    let mut count = 0;
    while count < events {
        shop.round(|record| {
            let topic = number(record.topic);
            if let Some(topic) = topic.filter(|_| wanted.contains(&topic) && count < events) {
                let kept = Kept {
                    timestamp: record.timestamp_ms,
                    key: None,
                    value: Some(record.value.to_vec()),
                };
                partitions
                    .entry((topic, count % PARTITIONS))
                    .or_default()
                    .push(kept);
                count += 1;
            }
        });
    }
    let partition = |((topic, partition), messages)| Partition {
        topic,
        partition: i32::try_from(partition).unwrap_or(0),
        messages: Arc::new(messages),
    };
    partitions.into_iter().map(partition).collect()
}

/// Counts changes, as anything downstream would at least look at them.
#[derive(Default)]
struct Count(AtomicU64);

impl Outcome for Count {
    fn row(&self, _row: &RowChange) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Keeps what each row became last.
#[derive(Default)]
struct Keep(Mutex<HashMap<Key, (Epoch, Sums)>>);

impl Outcome for Keep {
    fn row(&self, row: &RowChange) {
        let RowChange {
            key, epoch, sums, ..
        } = row;
        let mut rows = self.0.lock().expect("no worker panics");
        let row = rows.entry(key.clone()).or_insert((*epoch, sums.clone()));
        if *epoch >= row.0 {
            *row = (*epoch, sums.clone());
        }
    }
}

fn replay(catalog: &Arc<Catalog>, log: &[Partition], workers: usize, outcome: &Arc<impl Outcome>) {
    let replay = Replay {
        workers,
        tick: TICK,
        turn: 1_024,
        max_ahead: Duration::from_secs(86_400),
    };
    replay
        .run(catalog, log, outcome)
        .expect("memory does not fail");
}

fn by_dataflow(catalog: &Arc<Catalog>, log: &[Partition], workers: usize) -> Cost {
    timed(|| replay(catalog, log, workers, &Arc::<Count>::default())).0
}

/// What the dataflow makes of the log, to be compared with what the loop makes.
fn rows_of_dataflow(catalog: &Arc<Catalog>, log: &[Partition], workers: usize) -> Rows {
    let kept = Arc::<Keep>::default();
    replay(catalog, log, workers, &kept);
    let rows = std::mem::take(&mut *kept.0.lock().expect("no worker panics"));
    let row = |(key, (_, sums)): (Key, (Epoch, Sums))| {
        let view = catalog.definitions[usize::from(key.slot.view())]
            .name
            .to_owned();
        // A sum comes first in both views, then the customers where they are counted.
        let unique = i64::try_from(sums.get(2)).expect("as many as there are events");
        let values = (sums.count(), unique, sums.get(1));
        let mut group = String::new();
        key.values(1)[0].push_to_id(&mut group);
        ((view, key.slot.index(), group), values)
    };
    rows.into_iter().map(row).collect()
}

#[derive(Default)]
struct Sale {
    count: i64,
    quantity: i128,
    customers: HashSet<Id, FixedState>,
}

/// What one would write by hand: no epochs, no workers, nothing kept for later.
fn by_loop(log: &[Partition]) -> (Cost, Rows) {
    const HOUR: i64 = 3_600_000_000;
    let (cost, (sales, views)) = timed(|| {
        let mut sales: HashMap<(i64, Id), Sale, FixedState> = HashMap::default();
        let mut views: HashMap<(i64, Id), (i64, i128), FixedState> = HashMap::default();
        for partition in log {
            for kept in partition.messages.iter() {
                let value = kept.value.as_deref().unwrap_or_default();
                // The catalog's topics: transactions are the third.
                if partition.topic == 2 {
                    let event = Transactions::decode(value).expect("well formed");
                    let hour = (kept.timestamp * 1_000).div_euclid(HOUR);
                    let sale = sales.entry((hour, event.product_id)).or_default();
                    sale.count += 1;
                    sale.quantity += i128::from(event.quantity);
                    sale.customers.insert(event.customer_id);
                } else {
                    let event = ProductViews::decode(value).expect("well formed");
                    let hour = event.timestamp.as_micros().div_euclid(HOUR);
                    let view = views.entry((hour, event.product_id)).or_default();
                    view.0.plus_equals(&1);
                    view.1 += i128::from(event.view_duration);
                }
            }
        }
        (sales, views)
    });
    let mut rows = Rows::new();
    for (
        (hour, product),
        Sale {
            count,
            quantity,
            customers,
        },
    ) in sales
    {
        let key = ("sales_analysis".to_owned(), hour, product.to_string());
        rows.insert(key, (count, customers.len() as i64, quantity));
    }
    for ((hour, product), (count, duration)) in views {
        let key = (
            "product_views_analysis".to_owned(),
            hour,
            product.to_string(),
        );
        rows.insert(key, (count, 0, duration));
    }
    (cost, rows)
}
