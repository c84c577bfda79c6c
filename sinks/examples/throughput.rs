//! How many rows a second each database takes, and what a row costs here.
//!
//! ```text
//!   TIDEMARK_MONGODB_URI=mongodb://… cargo run --release -p sinks --example throughput
//! ```
//!
//! Rows are as wide as those of `sales_analysis`; each round writes all of them,
//! the first as new rows and the others as replacements. Then a row at a time is
//! written. Without the variable, only SQLite is measured.

use std::error::Error;
use std::time::{Duration, Instant};

use sinks::{Batch, Claim, Column, Expect, Kind, Role, Row, RowId, Storage, Table, Value};

const ROWS: usize = 200_000;
const ROWS_A_BATCH: usize = 20_000;
/// Batches of one row.
const SMALL: i64 = 500;
const HOUR: i64 = 3_600_000;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("throughput.db");
    let sqlite = sinks::embedded::open(&file, tables())?;
    measure("sqlite", &sqlite, 1)?;
    if let Ok(uri) = std::env::var("TIDEMARK_MONGODB_URI") {
        // Each in a database of its own, so that rows are new to it.
        for writers in [1, 4] {
            let name = format!("throughput_{}_{writers}", std::process::id());
            let mongodb = sinks::mongodb::open(&uri, &name, tables())?;
            measure("mongodb", &mongodb, writers)?;
        }
        println!("(the databases throughput_{}_* can go)", std::process::id());
    }
    Ok(())
}

fn tables() -> Vec<Table> {
    let column = |name: &str, kind, role| Column {
        name: name.into(),
        kind,
        role,
    };
    vec![Table {
        name: "sales_analysis".into(),
        columns: vec![
            column("window_start", Kind::Date, Role::WindowStart),
            column("window_end", Kind::Date, Role::WindowEnd),
            column("product_id", Kind::Text, Role::Group),
            column("number_of_sales", Kind::Long, Role::Aggregate),
            column("total_quantity_sold", Kind::Long, Role::Aggregate),
            column("unique_customers", Kind::Long, Role::Aggregate),
        ],
        ..Table::default()
    }]
}

fn batches(writer: usize, rows: usize, round: i64, expect: Expect) -> Vec<Batch> {
    let row = |number: usize| {
        let number = i64::try_from(number).unwrap_or(0);
        let start = 1_730_552_400_000 + number % 24 * HOUR;
        let product = format!("{number:08x}-0000-4000-8000-{writer:012x}");
        Row {
            id: RowId {
                table: 0,
                id: format!("{start}/{product}").into(),
            },
            values: vec![
                Value::Date(start),
                Value::Date(start + HOUR),
                Value::Text(product),
                Value::Long(round),
                Value::Long(number),
                Value::Long(number),
            ],
            is_final: false,
            expect,
            epoch: 1,
            updated_at: round,
        }
    };
    let numbers: Vec<usize> = (0..rows).collect();
    numbers
        .chunks(ROWS_A_BATCH)
        .enumerate()
        .map(|(epoch, numbers)| Batch {
            epoch: epoch as u64,
            made_at: round,
            puts: numbers.iter().map(|number| row(*number)).collect(),
            ..Batch::default()
        })
        .collect()
}

fn measure(name: &str, storage: &dyn Storage, writers: usize) -> Result<(), Box<dyn Error>> {
    storage.prepare()?;
    storage.claim(&Claim {
        host: "here".into(),
        process: std::process::id(),
        started_at: 0,
        take_over: true,
        patience: Duration::ZERO,
    })?;
    for (round, what) in [(1, "new"), (2, "replaced"), (3, "replaced")] {
        let expect = match round {
            1 => Expect::Absent,
            _ => Expect::Present,
        };
        let work: Vec<Vec<Batch>> = (0..writers)
            .map(|writer| batches(writer, ROWS / writers, round, expect))
            .collect();
        let (start, cpu) = (Instant::now(), cpu_time());
        std::thread::scope(|scope| {
            let threads: Vec<_> = work
                .iter()
                .map(|batches| {
                    scope.spawn(|| {
                        let mut writer = storage.writer()?;
                        batches.iter().try_for_each(|batch| writer.write(batch))
                    })
                })
                .collect();
            threads.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .map_err(|_| "a writer panicked".to_owned())?
                    .map_err(|error| error.to_string())
            })
        })?;
        let (wall, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
        println!(
            "{name}, {writers} writer(s), {ROWS} rows {what}: {:.0} rows/s, {:.2} µs of CPU a row",
            ROWS as f64 / wall.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / ROWS as f64
        );
    }
    latency(name, storage)
}

/// How long a batch of one row takes.
fn latency(name: &str, storage: &dyn Storage) -> Result<(), Box<dyn Error>> {
    let mut writer = storage.writer()?;
    let mut times = Vec::new();
    for round in 10..10 + SMALL {
        let batches = batches(0, 1, round, Expect::Either);
        let start = Instant::now();
        batches.iter().try_for_each(|batch| writer.write(batch))?;
        times.push(start.elapsed());
    }
    times.sort();
    println!(
        "{name}, a batch of one row: {:.2} ms (median), {:.2} ms (99 %)",
        times[times.len() / 2].as_secs_f64() * 1e3,
        times[times.len() * 99 / 100].as_secs_f64() * 1e3
    );
    Ok(())
}

/// CPU time of this process so far; zero where there is no `/proc`.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // User and system time are fields 14 and 15, in hundredths of a second; the
    // second field is the only one that may hold blanks, and ends with `)`.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let fields = after.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
