//! Whether all is right: everything heals, the load rests, the pipeline catches up,
//! and then each document of each collection is compared with what the log gives.
//!
//! A pipeline that does not get on for [`HANG`] although nothing is broken any more is
//! as wrong as a document would be.

use crate::faults::World;
use end_to_end::http::get;
use end_to_end::oracle::{self, Ending, VIEWS};
use end_to_end::watcher::Seen;
use end_to_end::{Scene, Watcher};
use mongodb::bson::{Document, doc};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a healthy pipeline may make no progress.
const HANG: Duration = Duration::from_secs(60);
/// Between two looks.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// What has been compared so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How often all was compared.
    pub(crate) verdicts: usize,
    /// Messages in the log, at the last time.
    pub(crate) messages: usize,
    /// Rows, of all times and of the last.
    pub(crate) rows: (u64, u64),
    /// Dead letters, of all times and of the last.
    pub(crate) letters: (u64, u64),
    /// Processes whose counters were added up.
    pub(crate) counted: usize,
    /// What the watching reader has seen.
    pub(crate) seen: Seen,
}

/// How a run is left when all is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It goes on.
    Running,
    /// It is interrupted, and writes what it has.
    Drained,
    /// It is interrupted, and another one runs until it has caught up.
    CaughtUp,
}

impl Tally {
    /// Compares everything, with nothing broken and the load at rest; then follows the
    /// changes on.
    ///
    /// # Panics
    /// When something is wrong.
    pub(crate) fn take(
        &mut self,
        world: &mut World,
        scene: &Scene,
        watcher: Watcher,
        how: How,
    ) -> Watcher {
        await_caught_up(world, scene);
        let ending = match how {
            How::CaughtUp => Ending::CaughtUp,
            How::Running | How::Drained => Ending::Running,
        };
        if how != How::Running {
            end_run(world);
        }
        if how == How::CaughtUp {
            world.cast.run_until_caught_up();
        }
        self.compare(world, scene, ending, how);
        let seen = watcher.finish();
        self.add(&seen);
        world.cast.forget_logs();
        Watcher::follow(&scene.mongo)
    }

    fn compare(&mut self, world: &mut World, scene: &Scene, ending: Ending, how: How) {
        let log = scene.kafka.read(&scene.topics());
        let begun = Instant::now();
        // What has closed by now is told with the next checkpoint.
        while let Err(differences) = scene.differences(&log, ending) {
            assert!(
                how == How::Running && begun.elapsed() < HANG,
                "{} messages, {how:?}: {differences}",
                log.messages.len()
            );
            look_after(world, TICK * 10);
        }
        if let Some(run) = world.cast.run()
            && how == How::Running
        {
            let addresses = run.addresses().to_vec();
            // Those that are supervised serve none.
            if !addresses.is_empty() {
                check_counters(&addresses, &scene.prefix);
            }
            self.counted += addresses.len();
        }
        let rows = VIEWS.iter().map(|view| count(scene, view.name)).sum();
        let letters = count(scene, "dead_letters");
        self.verdicts += 1;
        self.messages = log.messages.len();
        self.rows = (self.rows.0 + rows, rows);
        self.letters = (self.letters.0 + letters, letters);
    }

    fn add(&mut self, seen: &Seen) {
        self.seen.rows += seen.rows;
        self.seen.finals += seen.finals;
        self.seen.letters += seen.letters;
        self.seen.progress += seen.progress;
        self.seen.generation = self.seen.generation.max(seen.generation);
    }
}

/// Looks after the cast for this long.
pub(crate) fn look_after(world: &mut World, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        world.cast.tend();
        std::thread::sleep(TICK);
    }
}

fn await_caught_up(world: &mut World, scene: &Scene) {
    let ends = scene.kafka.ends(&scene.topics());
    let mut last = (0, Instant::now());
    loop {
        look_after(world, TICK);
        let progress = scene.mongo.progress();
        let offsets = match &progress {
            Ok(Some(progress)) => oracle::offsets(progress).unwrap_or_default(),
            _ => BTreeMap::new(),
        };
        let at = |place| offsets.get(place).copied().unwrap_or(0);
        if ends.iter().all(|(place, end)| at(place) >= *end) && !world.cast.has_ghosts() {
            return;
        }
        let sum: i64 = offsets.values().sum();
        if sum != last.0 {
            last = (sum, Instant::now());
        }
        assert!(
            last.1.elapsed() < HANG,
            "nothing is broken, and there is no progress for {HANG:?}: {progress:?}, expected {ends:?}"
        );
    }
}

/// Interrupts the run and waits for its end.
fn end_run(world: &mut World) {
    let begun = Instant::now();
    let mut told = false;
    loop {
        match world.cast.run() {
            Some(run) if !told => {
                run.interrupt();
                told = true;
            }
            None if told => return,
            _ => {}
        }
        look_after(world, TICK / 2);
        assert!(
            begun.elapsed() < HANG,
            "an interrupted run has not ended after {HANG:?}"
        );
    }
}

fn count(scene: &Scene, collection: &str) -> u64 {
    let collection = scene.mongo.database().collection::<Document>(collection);
    let counted = collection.count_documents(doc! {});
    end_to_end::mongo::block_on(async { counted.await }).expect("a count")
}

/// Each message that a view's topic had is accounted for: in a row, or a dead letter,
/// or without a value.
fn check_counters(addresses: &[String], prefix: &str) {
    let mut sums = BTreeMap::new();
    for address in addresses {
        let (status, text) = get(address, "/metrics").expect("an answer");
        assert_eq!(status, 200, "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, value)) = line.rsplit_once(' ')
                && let Ok(value) = value.parse::<f64>()
            {
                *sums.entry(name.to_owned()).or_insert(0.0) += value;
            }
        }
    }
    let of = |name: &str, label: &str, value: &str| {
        let name = format!("tidemark_{name}_total{{{label}=\"{value}\"}}");
        *sums.get(&name).unwrap_or_else(|| panic!("no {name}"))
    };
    for view in &VIEWS {
        let topic = format!("{prefix}{}", view.topic);
        let read = of("events_read", "topic", &topic);
        let accounted = [
            of("view_events", "view", view.name),
            of("view_late", "view", view.name),
            of("view_from_the_future", "view", view.name),
            of("view_malformed", "view", view.name),
            of("malformed", "topic", &topic),
            of("tombstones", "topic", &topic),
        ];
        let sum: f64 = accounted.iter().sum();
        // Both are counts, which are exact in this type up to 2⁵³.
        assert!(
            (read - sum).abs() < 0.5,
            "{}: {read} messages read, accounted for {accounted:?}",
            view.name
        );
    }
}
