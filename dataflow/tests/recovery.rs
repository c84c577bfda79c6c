//! Runs that end at any moment, and others that go on after them with other numbers
//! of workers, give what the oracle says of the whole log: as if nothing had
//! happened. And whoever watched the rows has never seen one go back.
//!
//! The log and the database are in memory, so that they can end a run anywhere
//! between two writes of one row; checkpoints are files.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod memory;
mod shop;

use checkpoint::Store;
use dataflow::ingest::discovery::{Found, owner};
use dataflow::ingest::identity::{Readers, Unchanging};
use dataflow::ingest::memory::{MemorySource, Partition};
use dataflow::pipeline::{Parts, Pipeline, PipelineError};
use dataflow::recovery::Sources;
use dataflow::recovery::rebuild;
use dataflow::recovery::start::Checkpointing;
use dataflow::saving::{Cadence, Patience};
use dataflow::tally::Judging;
use dataflow::time::{Trust, WallClock};
use dataflow::views::Catalog;
use end_to_end::Rules;
use end_to_end::oracle;
use memory::{Database, Seen, Tables, Ways};
use proptest::prelude::*;
use shop::{
    Any, MAX_AHEAD, any_lateness, any_message, configured, configured_without, in_memory, log,
};
use sinks::LogIdentity;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use telemetry::Telemetry;
use timely::worker::Worker;

/// How long a run over so few messages may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// One run of several.
#[derive(Clone, Debug)]
struct Run {
    workers: usize,
    turn: usize,
    /// Milliseconds of an epoch.
    tick: u64,
    /// Epochs of a checkpoint.
    every: u64,
    /// Before it, somebody deletes open rows: those of which the bit of the number is set.
    deleted: u64,
    end: End,
}

/// How a run ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// When it has written so many rows, letters and whatever else.
    AfterWrites(u64),
    /// When its workers have made so many steps.
    AfterSteps(u64),
    /// It is asked to stop, by then.
    Stopped(u64),
}

fn any_end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => (0..400u64).prop_map(End::AfterWrites),
        2 => (0..400u64).prop_map(End::AfterSteps),
        1 => (0..100u64).prop_map(End::Stopped),
    ]
}

prop_compose! {
    fn any_run()(
        workers in 1usize..=3,
        turn in 1usize..20,
        tick in 0u64..2,
        every in 1u64..8,
        deleted in prop_oneof![2 => Just(0), 1 => any::<u64>()],
        end in any_end(),
    ) -> Run {
        Run { workers, turn, tick, every, deleted, end }
    }
}

/// A change of views, between two runs.
#[derive(Clone, Debug)]
struct Change {
    /// Before which run.
    at: usize,
    /// The view that has another lateness before.
    view: usize,
    lateness: oracle::Lateness,
    /// The view that is not there before.
    left_out: Option<usize>,
}

prop_compose! {
    fn any_change()(
        at in 1usize..4,
        view in 0usize..7,
        lateness in any_lateness(),
        left_out in prop::option::of(0usize..7),
    ) -> Change {
        Change { at, view, lateness, left_out }
    }
}

/// What all runs share.
struct World {
    /// The views.
    catalog: Arc<Catalog>,
    /// The same, from the run on that asks for it; and the names of those that are
    /// others than before.
    change: Option<(usize, Arc<Catalog>, BTreeSet<String>)>,
    topics: Arc<[String]>,
    log: Vec<Partition>,
    database: Arc<Database>,
    store: Option<Arc<Store>>,
}

impl World {
    /// Nothing has been written yet; checkpoints are kept in a `directory`, if there are any.
    fn new(catalog: Arc<Catalog>, log: Vec<Partition>, kind: Kind, directory: &Path) -> World {
        let topics = catalog.routes.iter().map(|route| route.topic().to_owned());
        let store = || Arc::new(Store::open(directory.to_str().unwrap()).unwrap());
        World {
            topics: topics.collect(),
            log,
            database: Arc::new(Database::new(&catalog, kind.as_one)),
            store: kind.checkpoints.then(store),
            catalog,
            change: None,
        }
    }

    /// Runs until the log is read and written, or until `run` ends. `last`: it is to
    /// go on to the end whatever it says.
    fn run(&self, number: usize, run: &Run, last: bool) {
        let (views, reset) = match &self.change {
            Some((at, before, _)) if number < *at => (before, &BTreeSet::new()),
            Some((_, _, changed)) => (&self.catalog, changed),
            None => (&self.catalog, &BTreeSet::new()),
        };
        let of_database = |name: &str| {
            let mut all = self.catalog.definitions.iter();
            all.position(|view| view.name == name).unwrap()
        };
        let tables = views.definitions.iter().map(|view| of_database(&view.name));
        let tables: Tables = tables.collect();
        let generation = self.database.claim();
        self.database
            .delete_open(|number| run.deleted >> (number % 64) & 1 == 1);
        let found: Vec<_> = self.log.iter().map(found).collect();
        let reader = Seen {
            database: &self.database,
            tables: Arc::clone(&tables),
        };
        let sources = Sources {
            catalog: views,
            topics: &self.topics,
            definitions: views.saved(MAX_AHEAD),
            reader: &reader,
            database: "the database".to_owned(),
            store: self.store.as_ref(),
            found,
            identity: LogIdentity::default(),
            readers: &Readers::new(views, &self.topics),
            brokers: Some("memory"),
            reset,
        };
        let none = BTreeSet::new();
        let taken = sources.take_checkpoint(generation, &none).unwrap();
        let rebuilt = sources.rebuilt(taken.as_ref()).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let writes = match run.end {
            End::AfterWrites(writes) if !last => writes,
            _ => u64::MAX,
        };
        let ways = Ways::new(
            &self.database,
            generation,
            writes,
            Arc::clone(&over),
            tables,
        );
        let emptied = rebuilt.iter().map(|view| {
            let name = views.definitions[usize::from(*view)].name.clone();
            (of_database(&name), name)
        });
        let cleared = self.database.emptying(emptied.collect(), || {
            let define = |definitions: &BTreeMap<_, _>| {
                self.database.define(definitions.clone());
                Ok(())
            };
            let writer = &mut *ways.writers().rows;
            rebuild::clear(&rebuilt, &none, &sources, writer, &define)
        });
        if cleared.is_err() {
            return;
        }
        let manifest = taken.map(|taken| {
            let changed = taken.changed.unwrap_or(taken.manifest);
            sources.commit(&changed).unwrap();
            changed
        });
        let start = sources.start(manifest.as_ref()).unwrap();
        self.database.define(sources.definitions().unwrap());
        let checkpointing = self.store.clone().zip(manifest).map(|(store, last)| {
            let every = NonZeroU64::new(run.every).unwrap();
            Checkpointing {
                store,
                last,
                cadence: Cadence::every(every),
                patience: Patience {
                    abandoned: Arc::clone(&over),
                    failed: Arc::new(|| {}),
                },
            }
        });
        let telemetry = Arc::new(Telemetry::new(run.workers, &self.topics, &[]));
        let steps = Arc::new(AtomicU64::new(0));
        let (catalog, topics) = (Arc::clone(views), Arc::clone(&self.topics));
        let (partitions, run) = (self.log.clone(), run.clone());
        let config = timely::Config::process(run.workers);
        let guards = timely::execute(config, move |worker| {
            let (index, peers) = (worker.index(), worker.peers());
            let mine = partitions.iter();
            let mine = mine.filter(|part| owner(part.topic, part.partition, peers) == index);
            let source = MemorySource::new(mine.cloned().collect(), run.turn);
            let source = source.from(&start.positions());
            let failing = Arc::clone(&over);
            // From run to run it becomes time for what was ahead of the clock.
            let clock = shop::CLOCK + i64::try_from(number).unwrap() * 3 * shop::MAX_AHEAD;
            let trust = Trust {
                clock: WallClock::of(move || clock),
                max_ahead: Duration::from_millis(MAX_AHEAD.cast_unsigned()),
            };
            let parts = Parts {
                catalog: Arc::clone(&catalog),
                topics: Arc::clone(&topics),
                source: Box::new(|_| Box::new(source)),
                writers: ways.writers(),
                identity: Arc::new(Unchanging),
                telemetry: Arc::clone(&telemetry),
                start: start.clone(),
                checkpointing: checkpointing.clone(),
                tick: Duration::from_millis(run.tick),
                max_in_flight: 1_000,
                trust,
                judging: Judging::default(),
                failed: Arc::new(move |error: PipelineError| {
                    // Or a later run has taken the checkpoint.
                    let replaced = error.to_string().contains("is there already");
                    assert!(memory::is_the_end(&error) || replaced, "{error}");
                    failing.store(true, Ordering::SeqCst);
                }),
            };
            let mut pipeline = Pipeline::build(worker, parts);
            let started = Instant::now();
            while !pipeline.is_done() {
                assert!(started.elapsed() < PATIENCE, "it does not end: {run:?}");
                let step = steps.fetch_add(1, Ordering::SeqCst);
                match run.end {
                    End::AfterSteps(end) if !last && step >= end => {
                        over.store(true, Ordering::SeqCst);
                    }
                    End::Stopped(end) if !last && step >= end => pipeline.stop(),
                    _ => {}
                }
                if over.load(Ordering::SeqCst) {
                    return drop_dataflows(worker);
                }
                let pause = pipeline.tick();
                worker.step_or_park(Some(pause.min(Duration::from_millis(5))));
            }
            pipeline.close();
            // What is published is not all: a checkpoint may still fail, and then its operator
            // never completes.
            while worker.has_dataflows() {
                assert!(started.elapsed() < PATIENCE, "it does not close: {run:?}");
                if over.load(Ordering::SeqCst) {
                    return drop_dataflows(worker);
                }
                worker.step_or_park(Some(Duration::from_millis(5)));
            }
        });
        for outcome in guards.unwrap().join() {
            outcome.unwrap();
        }
    }
}

/// Ends a worker as it stands. Threads that write may still do something.
fn drop_dataflows(worker: &mut Worker) {
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

fn found(part: &Partition) -> Found {
    Found {
        topic: part.topic,
        partition: part.partition,
        low: 0,
        high: i64::try_from(part.messages.len()).unwrap(),
        end: i64::try_from(part.messages.len()).unwrap(),
    }
}

/// How often the database is written to by one.
#[derive(Clone, Copy, Debug)]
struct Kind {
    checkpoints: bool,
    as_one: bool,
}

fn check(
    messages: &[Any],
    partitions: i32,
    rules: &Rules,
    kind: Kind,
    runs: &[Run],
    change: Option<&Change>,
) {
    let log = log(messages, partitions);
    let catalog = Arc::new(configured(rules));
    let change = change.map(|change| {
        let name = |view: usize| shop::known_name(&catalog.definitions[view].name);
        let mut before = rules.clone();
        before.lateness.insert(name(change.view), change.lateness);
        let left_out = change.left_out.map(name);
        let changed = left_out.into_iter().chain([name(change.view)]);
        let catalog = Arc::new(configured_without(&before, left_out));
        let at = change.at.min(runs.len() - 1);
        (at, catalog, changed.map(str::to_owned).collect())
    });
    let directory = tempfile::tempdir().unwrap();
    let read = in_memory(&catalog, &log);
    let world = World {
        change,
        ..World::new(catalog, read, kind, directory.path())
    };
    for (number, run) in runs.iter().enumerate() {
        world.run(number, run, number + 1 == runs.len());
    }

    let rules = rules.clone().with_limits(world.database.limits());
    let expected = oracle::expected(&log, "", &rules);
    let (rows, letters) = world.database.contents();
    let rows = shop::shown_rows(&world.catalog, rows.iter());
    shop::compare(&rows, &shop::wanted_rows(&expected));
    assert_eq!(letters, shop::wanted_letters(&expected));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn whatever_ends_a_run_the_next_goes_on(
        messages in prop::collection::vec(any_message(), 0..200),
        partitions in 1..=3i32,
        lateness in prop::collection::vec(any_lateness(), 7),
        checkpoints in prop::bool::weighted(0.8),
        as_one in prop::bool::weighted(0.3),
        runs in prop::collection::vec(any_run(), 1..5),
        change in prop::option::weighted(0.3, any_change()),
    ) {
        let mut rules = Rules::default().with_max_ahead(MAX_AHEAD);
        for (of_view, lateness) in rules.lateness.values_mut().zip(lateness) {
            *of_view = lateness;
        }
        check(&messages, partitions, &rules, Kind { checkpoints, as_one }, &runs, change.as_ref());
    }

    #[test]
    fn whatever_ends_a_run_windows_of_any_kind_go_on(
        looks in prop::collection::vec(shop::windows::any_look(), 0..200),
        checkpoints in prop::bool::weighted(0.8),
        as_one in prop::bool::weighted(0.3),
        runs in prop::collection::vec(any_run(), 1..5),
    ) {
        let catalog = Arc::new(shop::windows::catalog());
        let log = shop::windows::log(&catalog, &looks);
        let directory = tempfile::tempdir().unwrap();
        let world = World::new(catalog, log, Kind { checkpoints, as_one }, directory.path());
        for (number, run) in runs.iter().enumerate() {
            world.run(number, run, number + 1 == runs.len());
        }
        let (rows, letters) = shop::windows::expected(&looks);
        let (found, found_letters) = world.database.contents();
        shop::compare(&shop::shown_rows(&world.catalog, found.iter()), &rows);
        prop_assert_eq!(found_letters, letters);
    }
}
