//! How long a restart takes, and what checkpoints cost.
//!
//! A topic set of a gigabyte, with a million rows open, real Kafka, real MongoDB:
//!
//! ```text
//!   read all ──┬── without checkpoints ─┐ throughput: time and processor time
//!              └── with checkpoints ────┤
//!                                       ▼
//!   kill -9, one more event ─▶ start ─▶ its row is there     (with the checkpoint; without)
//!   a hundredth of the rows changes ─▶ bytes of the next checkpoint, beside all of it
//! ```
//!
//! ```text
//! cargo bench --workspace --bench recovery -- [MEGABYTES] [RUNS]
//! ```

use end_to_end::checkpoint::Folder;
use end_to_end::mongo::block_on;
use end_to_end::oracle::VIEWS;
use end_to_end::samples::Sample;
use end_to_end::{Pipeline, Rules, Scene};
use mongodb::bson::{DateTime, Document, doc};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Bytes of Kafka that a round of the generator takes: about five events.
const BYTES_OF_A_ROUND: u64 = 1_220;
/// The same rounds again have their first hundredth in common with these.
const SEED: [&str; 6] = [
    "--seed",
    "7",
    "--start",
    "2026-10-01T00:00:00",
    // Of a gigabyte, about a million rows.
    "--times",
    "live",
];
const FOREVER: Duration = Duration::from_secs(1_800);
/// Asked for by the design.
const START: f64 = 3.0;
const FASTER: f64 = 10.0;
const DELTA: f64 = 0.05;
const THROUGHPUT: f64 = 0.95;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let megabytes = numbers.next().unwrap_or(1_000);
    let runs = numbers.next().unwrap_or(3);
    let rounds = megabytes * 1_000_000 / BYTES_OF_A_ROUND;
    let scene = Scene::without_topics("bench-recovery").ruled_by(Rules::everything_counts());
    generate(&scene, rounds);
    let events: i64 = scene.kafka.ends(&scene.topics()).values().sum();
    println!("{events} events, {megabytes} MB; {runs} runs of each, the median counts\n");

    let mut folder = Folder::new();
    let mut spent = [Vec::new(), Vec::new()];
    for _ in 0..runs {
        for saves in [false, true] {
            scene.mongo.drop_database();
            folder = Folder::new();
            let pipeline = match saves {
                true => saving(&scene, &folder),
                false => scene.pipeline(),
            };
            let (wall, cpu) = timed(&pipeline.workers(2).until_caught_up());
            let how = if saves { "with" } else { "without" };
            println!("read all, {how} checkpoints: {wall:.1} s, {cpu:.1} s of processors");
            spent[usize::from(saves)].push((wall, cpu));
        }
    }
    let [without, with] = spent.map(|spent| {
        let of = |part: fn(&(f64, f64)) -> f64| median(spent.iter().map(part).collect());
        (of(|s| s.0), of(|s| s.1))
    });
    let rows: u64 = VIEWS.iter().map(|view| count(&scene, view.name)).sum();
    println!("rows that are open: {rows}");
    verdict(
        "throughput with checkpoints / without, time",
        without.0 / with.0,
        THROUGHPUT,
        true,
    );
    verdict(
        "the same, processor time",
        without.1 / with.1,
        THROUGHPUT,
        true,
    );

    let mut number = 0;
    let mut restarts = |pipeline: &Pipeline, how: &str| {
        let mut all = Vec::new();
        for _ in 0..runs {
            number += 1;
            let took = first_row(&scene, pipeline, number);
            println!("kill -9, {how}: {took:.2} s from the start to the new row");
            all.push(took);
        }
        median(all)
    };
    let quick = restarts(&saving(&scene, &folder).workers(2), "with the checkpoint");
    let slow = restarts(&scene.pipeline().workers(2), "without");
    verdict("restart to the first correct row, s", quick, START, false);
    verdict("re-reading / restart", slow / quick, FASTER, true);

    let (whole, _) = files(&folder);
    generate(&scene, rounds / 100);
    saving(&scene, &folder)
        .flag("--checkpoint-interval", "1h")
        .workers(2)
        .until_caught_up()
        .run();
    let (after, newest) = files(&folder);
    println!("checkpoint: {whole} bytes before, {newest} bytes of the next (of {after})");
    verdict(
        "bytes of a checkpoint after 1 % / of all",
        newest as f64 / whole as f64,
        DELTA,
        false,
    );
}

fn saving(scene: &Scene, folder: &Folder) -> Pipeline {
    scene.pipeline().flag("--checkpoint", &folder.url())
}

fn generate(scene: &Scene, rounds: u64) {
    let rounds = rounds.to_string();
    scene.generate(&[&["--count", &rounds, "--partitions", "4"][..], &SEED].concat());
}

/// Runs to the end; seconds, and seconds of processors.
fn timed(pipeline: &Pipeline) -> (f64, f64) {
    let (began, before) = (Instant::now(), processors());
    let mut run = pipeline.start();
    assert_eq!(run.process().exit_code(FOREVER), Some(0));
    (began.elapsed().as_secs_f64(), processors() - before)
}

/// What the processes that have ended have taken of processors, in seconds.
fn processors() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    // Of waited-for children: user and system, in hundredths of a second.
    let fields = fields.split(' ').skip(13).take(2);
    fields
        .map(|ticks| ticks.parse::<f64>().expect("ticks"))
        .sum::<f64>()
        / 100.0
}

/// One more event comes, then the pipeline is started, and killed when the event's row
/// is there. Returns the seconds from the start on.
fn first_row(scene: &Scene, pipeline: &Pipeline, number: u64) -> f64 {
    let level = format!("BENCH-{number}");
    let line =
        format!(r#"{{"log_id":"{level}","timestamp":"2026-09-30T11:12:13","level":"{level}"}}"#);
    scene.produce(&[Sample::new("system_logs", line)]);
    let window: jiff::Timestamp = "2026-09-30T11:00:00Z".parse().expect("a time");
    let window = DateTime::from_millis(window.as_millisecond());
    let wanted = doc! {"window_start": window, "level": &level, "total_logs": 1_i64};
    let rows = scene
        .mongo
        .database()
        .collection::<Document>("log_analysis");
    let began = Instant::now();
    let mut run = pipeline.start();
    let took = loop {
        let found = block_on(async { rows.find_one(wanted.clone()).await });
        if found.expect("an answer").is_some() {
            break began.elapsed();
        }
        assert!(began.elapsed() < FOREVER, "{}", run.process().output());
        run.assert_running();
        std::thread::sleep(Duration::from_millis(2));
    };
    run.kill();
    took.as_secs_f64()
}

/// Bytes of all files of the newest checkpoint, and of those that only it has.
fn files(folder: &Folder) -> (u64, u64) {
    let manifests = folder.manifests();
    let of = |manifest: &PathBuf| -> BTreeMap<String, u64> {
        let text = std::fs::read(manifest).expect("a manifest");
        let manifest: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        let files = manifest["manifest"]["files"].as_array().expect("files");
        let file = |file: &serde_json::Value| {
            let name = file["name"].as_str().expect("a name").to_owned();
            (name, file["bytes"].as_u64().expect("a length"))
        };
        files.iter().map(file).collect()
    };
    let [.., before, newest] = &manifests[..] else {
        panic!("{manifests:?}");
    };
    let (before, newest) = (of(before), of(newest));
    let new = newest
        .iter()
        .filter(|(name, _)| !before.contains_key(*name));
    (newest.values().sum(), new.map(|(_, bytes)| bytes).sum())
}

fn count(scene: &Scene, collection: &str) -> u64 {
    let rows = scene.mongo.database().collection::<Document>(collection);
    block_on(async { rows.count_documents(doc! {}).await }).expect("a count")
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn verdict(what: &str, value: f64, target: f64, at_least: bool) {
    let holds = if at_least {
        value >= target
    } else {
        value <= target
    };
    let (side, word) = match at_least {
        true => ("at least", if holds { "holds" } else { "missed" }),
        false => ("at most", if holds { "holds" } else { "missed" }),
    };
    println!("  {what}: {value:.3} (target: {side} {target}: {word})");
}
