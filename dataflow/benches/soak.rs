//! Whether state follows the open windows, and not the length of the run.
//!
//! Weeks of a shop's event time are streamed from memory in minutes, through all
//! seven views, with more than a thousand hourly windows that close one after the
//! other. After each tenth of the events it is measured what arrangements hold,
//! what the process holds, and what the tenth has cost. From the second tenth on,
//! all of it must be level.
//!
//! ```text
//! cargo bench --workspace --bench soak -- [EVENTS] [WORKERS]
//! ```

use cpu_time::ProcessTime;
use dataflow::ingest::source::{Message, Position, Source, SourceError, Taken, Turn};
use dataflow::replay::{Outcome, Replay, telemetry};
use dataflow::views::Catalog;
use dataflow::views::rows::RowChange;
use shop::catalog;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use telemetry::Telemetry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events an hour of event time has: with the default, more than a thousand hourly
/// windows open and close.
const AN_HOUR: u64 = 18_000;
/// Partitions of each topic.
const PARTITIONS: usize = 4;
const PRODUCTS: u64 = 1_000;
const CUSTOMERS: u64 = 20_000;
/// 2024-01-01T00:00:00Z, in milliseconds.
const START: u64 = 1_704_067_200_000;
/// How often of ten a topic has its turn, by the catalog's names.
const MIX: [(&str, u64); 4] = [
    ("transactions", 4),
    ("product_views", 4),
    ("customers", 1),
    ("products", 1),
];
/// Tenths of the run.
const PARTS: u64 = 10;
/// What may lie between the first and the last of the level tenths, of their mean.
const NOISE: f64 = 0.15;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let events = numbers.next().unwrap_or(20_000_000);
    let workers = usize::try_from(numbers.next().unwrap_or(2)).unwrap_or(2);
    let catalog = Arc::new(catalog(&Default::default()).expect("the views as they are"));
    let telemetry = telemetry(workers, &catalog);
    let samples = Arc::new(Mutex::new(vec![Sample::now(&telemetry)]));
    let closed = Arc::<Closed>::default();

    let hours = events / AN_HOUR;
    println!("{events} events, {hours} hours of event time, {workers} workers\n");
    let (of, at, to) = (
        Arc::clone(&catalog),
        Arc::clone(&telemetry),
        Arc::clone(&samples),
    );
    let source = move |worker, peers| -> Box<dyn Source> {
        let share = Share::new(&of, worker, peers, events);
        Box::new(Stream {
            sampler: (worker == 0).then(|| (Arc::clone(&at), Arc::clone(&to))),
            ..Stream::new(share, worker)
        })
    };
    let replay = Replay {
        workers,
        tick: Duration::from_millis(100),
        turn: 1_024,
        max_ahead: Duration::from_secs(86_400),
    };
    let started = Instant::now();
    replay
        .run_sources(&catalog, source, &telemetry, &closed)
        .expect("memory does not fail");
    let seconds = started.elapsed().as_secs_f64();
    // With what was still under way when the last event was read: a good part of a short
    // run.
    let spent = ProcessTime::now().as_duration();

    let samples = samples.lock().expect("no worker panics");
    let ok = report(&samples);
    let finals = closed.finals.load(Ordering::Relaxed);
    println!(
        "\n{finals} final rows, {} rows written in all; {:.0} events/s, {:.2} µs of CPU an event",
        closed.rows.load(Ordering::Relaxed),
        events as f64 / seconds,
        spent.as_secs_f64() * 1e6 / events as f64,
    );
    if !ok {
        std::process::exit(1);
    }
}

/// What was measured at one moment.
#[derive(Clone, Debug)]
struct Sample {
    cpu: Duration,
    wall: Instant,
    records: u64,
    bytes: u64,
    resident: u64,
}

impl Sample {
    fn now(telemetry: &Telemetry) -> Sample {
        let snapshot = telemetry.snapshot();
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let resident = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        Sample {
            cpu: ProcessTime::now().as_duration(),
            wall: Instant::now(),
            records: snapshot.arrangements.iter().map(|a| a.records).sum(),
            bytes: snapshot.arrangements.iter().map(|a| a.bytes).sum(),
            resident: resident.unwrap_or(0u64) * 4_096,
        }
    }
}

/// Prints each tenth, and whether the tenths from the second on are level.
fn report(samples: &[Sample]) -> bool {
    println!(
        "{:>5} {:>9} {:>9} {:>14} {:>14} {:>12}",
        "tenth", "CPU s", "wall s", "records", "arranged MB", "resident MB"
    );
    let mut columns: [Vec<f64>; 4] = Default::default();
    for (tenth, pair) in samples.windows(2).enumerate() {
        let [before, now] = pair else { continue };
        let cpu = (now.cpu - before.cpu).as_secs_f64();
        let wall = (now.wall - before.wall).as_secs_f64();
        let mega = |bytes: u64| bytes as f64 / 1e6;
        println!(
            "{:>5} {cpu:>9.2} {wall:>9.2} {:>14} {:>14.1} {:>12.1}",
            tenth + 1,
            now.records,
            mega(now.bytes),
            mega(now.resident)
        );
        let row = [cpu, now.records as f64, mega(now.bytes), mega(now.resident)];
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    println!();
    let names = [
        "CPU of a tenth",
        "records",
        "arranged bytes",
        "resident bytes",
    ];
    let mut ok = true;
    for (name, column) in names.into_iter().zip(&columns) {
        let level = &column[1..];
        let rise = slope(level) * (level.len() - 1) as f64;
        let mean = level.iter().sum::<f64>() / level.len() as f64;
        let share = rise / mean;
        let holds = share <= NOISE;
        ok &= holds;
        let verdict = if holds { "level" } else { "rises" };
        println!(
            "{name:16} from the second tenth to the last: {:+.1} % (limit +{:.0} %: {verdict})",
            100.0 * share,
            100.0 * NOISE
        );
    }
    ok
}

/// Of the line through values at equal distances, by least squares.
fn slope(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean_x = (n - 1.0) / 2.0;
    let mean_y = values.iter().sum::<f64>() / n;
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in values.iter().enumerate() {
        let x = x as f64 - mean_x;
        above += x * (y - mean_y);
        below += x * x;
    }
    above / below
}

#[derive(Default)]
struct Closed {
    finals: AtomicU64,
    rows: AtomicU64,
}

impl Outcome for Closed {
    fn row(&self, row: &RowChange) {
        self.rows.fetch_add(1, Ordering::Relaxed);
        if row.is_final {
            self.finals.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn dead_letter(&self, letter: &sinks::DeadLetter) {
        panic!("all events are good: {letter:?}");
    }
}

/// A worker's share of the topics.
struct Share {
    /// Topic, its name, partition and how often of ten it has its turn.
    partitions: Vec<(usize, &'static str, i32)>,
    /// Events that the share has in all.
    events: u64,
    /// Of which an hour has so many.
    an_hour: u64,
}

impl Share {
    fn new(catalog: &Catalog, worker: usize, peers: usize, events: u64) -> Share {
        let mut partitions = Vec::new();
        for (name, turns) in MIX {
            let topic = catalog
                .routes
                .iter()
                .position(|route| route.topic() == name);
            for partition in (0..PARTITIONS).filter(|p| p % peers == worker) {
                let place = (
                    topic.expect("a topic of the shop"),
                    name,
                    i32::try_from(partition).unwrap_or(0),
                );
                partitions.extend((0..turns).map(|_| place));
            }
        }
        Share {
            partitions,
            events: events / peers as u64,
            an_hour: AN_HOUR / peers as u64,
        }
    }
}

type Sampler = (Arc<Telemetry>, Arc<Mutex<Vec<Sample>>>);

/// Events made while they are read.
struct Stream {
    share: Share,
    found: bool,
    made: u64,
    /// The message that is offered next, if it was made and not taken.
    value: Vec<u8>,
    /// Place of the partition whose turn it is.
    turn: usize,
    /// The next offset of each topic's partitions.
    offsets: HashMap<(usize, i32), i64>,
    random: u64,
    sampler: Option<Sampler>,
}

impl Stream {
    fn new(share: Share, worker: usize) -> Stream {
        Stream {
            share,
            found: false,
            made: 0,
            value: Vec::new(),
            turn: 0,
            offsets: HashMap::new(),
            // Of its own for each worker: no two sales are the same.
            random: 0x9e37_79b9_7f4a_7c15 ^ worker as u64,
            sampler: None,
        }
    }

    fn offset(&self, topic: usize, partition: i32) -> i64 {
        self.offsets.get(&(topic, partition)).copied().unwrap_or(0)
    }

    /// Knuth's multiplier: a cheap sequence that looks random enough.
    fn random(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    /// Writes an event of a topic at a time, in milliseconds.
    fn write(&mut self, name: &str, time: u64) {
        let id = |number: u64| format!("{number:08x}-0000-4000-8000-{number:012x}");
        let time = jiff::Timestamp::from_millisecond(time.cast_signed()).expect("this century");
        let (customer, product) = (self.random(CUSTOMERS), self.random(PRODUCTS));
        let (unique, amount) = (self.made << 8 | self.random(256), 1 + self.random(500));
        let (customer_id, product_id) = (id(customer), id(product));
        let mut text = String::from_utf8(std::mem::take(&mut self.value)).unwrap_or_default();
        text.clear();
        // Writing to a string does not fail.
        let _ = match name {
            "transactions" => write!(
                text,
                r#"{{"transaction_id":"{unique:08x}-0000-4000-9000-{:012x}","customer_id":"{customer_id}","product_id":"{product_id}","quantity":{},"date_time":"{time}","status":"completed","payment_method":"PayPal"}}"#,
                self.random,
                amount % 5
            ),
            "product_views" => write!(
                text,
                r#"{{"view_id":"{}","customer_id":"{customer_id}","product_id":"{product_id}","timestamp":"{time}","view_duration":{amount}}}"#,
                id(unique)
            ),
            "customers" => write!(
                text,
                r#"{{"customer_id":"{customer_id}","gender":"{}","last_login":"{time}"}}"#,
                ["Male", "Female", "Other"][(customer % 3) as usize]
            ),
            _ => write!(
                text,
                r#"{{"product_id":"{product_id}","category":"{}","price":{amount}.99,"stock_quantity":7}}"#,
                ["Books", "Clothing", "Electronics"][(product % 3) as usize]
            ),
        };
        self.value = text.into_bytes();
    }
}

impl Source for Stream {
    fn find(&mut self, each: &mut dyn FnMut(usize, i32)) -> Result<(), SourceError> {
        if !std::mem::replace(&mut self.found, true) {
            for (topic, _, partition) in &self.share.partitions {
                each(*topic, *partition);
            }
        }
        Ok(())
    }

    fn read(
        &mut self,
        budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<Turn, SourceError> {
        for _ in 0..budget {
            if self.made == self.share.events {
                return Ok(Turn::Finished);
            }
            let (topic, name, partition) = self.share.partitions[self.turn];
            let time = START + self.made * 3_600_000 / self.share.an_hour;
            self.write(name, time);
            let offset = self.offset(topic, partition);
            let taken = each(Message {
                topic,
                partition,
                offset,
                timestamp: time.cast_signed(),
                key: None,
                value: Some(&self.value),
                backfill: false,
            });
            if taken == Taken::Later {
                return Ok(Turn::Idle);
            }
            self.offsets.insert((topic, partition), offset + 1);
            self.made += 1;
            self.turn = (self.turn + 1) % self.share.partitions.len();
            if self.made.is_multiple_of(self.share.events / PARTS)
                && let Some((telemetry, samples)) = &self.sampler
            {
                let mut samples = samples.lock().expect("no worker panics");
                samples.push(Sample::now(telemetry));
            }
        }
        Ok(Turn::More)
    }

    fn pause(&mut self, _paused: bool) {}

    fn positions(&mut self, each: &mut dyn FnMut(Position) -> bool) {
        for (topic, _, partition) in &self.share.partitions {
            each(Position {
                topic: *topic,
                partition: *partition,
                next: self.offset(*topic, *partition),
                idle: false,
                last_read: None,
                fingerprint: 0,
                backfill: false,
            });
        }
    }
}
