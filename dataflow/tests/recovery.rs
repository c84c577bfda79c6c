//! Runs that end at any moment, and others that go on after them with other numbers
//! of workers, give what the oracle says of the whole log: as if nothing had
//! happened. And whoever watched the rows has never seen one go back.
//!
//! The log and the database are in memory, so that they can end a run anywhere
//! between two writes of one row; checkpoints are files.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod memory;
mod shop;

use ::shop::{ProgramViews, catalog_with};
use checkpoint::Store;
use dataflow::ingest::discovery::{Found, owner};
use dataflow::ingest::identity::{Readers, Unchanging};
use dataflow::ingest::lanes::Lanes;
use dataflow::ingest::memory::{Kept, MemorySource, Partition};
use dataflow::ingest::source::Source;
use dataflow::pipeline::{Parts, Pipeline, PipelineError};
use dataflow::recovery::Sources;
use dataflow::recovery::rebuild::{self, Leftovers, OfLog};
use dataflow::recovery::start::Checkpointing;
use dataflow::saving::{Cadence, Patience};
use dataflow::sink::Sweep;
use dataflow::tally::Judging;
use dataflow::time::{Trust, WallClock};
use dataflow::views::Catalog;
use dataflow::views::column::Batch;
use dataflow::views::source::{Decoder, Source as TopicSource, SourceColumn};
use dataflow::views::view::View;
use end_to_end::Rules;
use end_to_end::oracle;
use events::Malformed;
use memory::{Database, Seen, Tables, Ways};
use model::{DataType, Datum, Lateness};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use shop::{
    Any, MAX_AHEAD, any_lateness, any_message, configured, configured_without, in_memory, log,
};
use sinks::{LogIdentity, Value};
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
    as_one: bool,
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
            as_one: kind.as_one,
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
        let topics: Arc<[String]> = self.topics[..views.routes.len()].into();
        let log = self.log.iter().filter(|part| part.topic < topics.len());
        let log: Vec<Partition> = log.cloned().collect();
        let generation = self.database.claim();
        self.database
            .delete_open(|number| run.deleted >> (number % 64) & 1 == 1);
        let found: Vec<_> = log.iter().map(found).collect();
        let reader = Seen {
            database: Arc::clone(&self.database),
            tables: Arc::clone(&tables),
        };
        let sources = Sources {
            catalog: views,
            topics: &topics,
            definitions: views.saved(MAX_AHEAD),
            reader: &reader,
            database: "the database".to_owned(),
            store: self.store.as_ref(),
            found,
            identity: LogIdentity::default(),
            readers: &Readers::new(views, &topics),
            brokers: Some("memory"),
            reset,
        };
        let none = BTreeSet::new();
        let taken = sources.take_checkpoint(generation, &none).unwrap();
        let rebuilt = sources.rebuilt(taken.as_ref()).unwrap();
        let in_place = sources
            .in_place(taken.as_ref(), &none, self.as_one)
            .unwrap();
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
            rebuild::clear(&rebuilt, &in_place, &none, &sources, writer, &define)
        });
        if cleared.is_err() {
            return;
        }
        let manifest = taken.map(|taken| {
            let changed = taken.changed.unwrap_or(taken.manifest);
            sources.commit(&changed).unwrap();
            changed
        });
        let start = sources.start(manifest.as_ref(), &in_place).unwrap();
        self.database
            .define(sources.definitions(&in_place).unwrap());
        self.database
            .rebuild(in_place.iter().map(|view| of_database(view)), start.first);
        let leftovers = Arc::new(Leftovers {
            catalog: Arc::clone(views),
            log: OfLog {
                topics: Arc::clone(&topics),
                found: sources.found,
            },
            reader: Arc::new(reader.clone()),
            before: start.first,
        });
        let database = Arc::clone(&self.database);
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
        let telemetry = Arc::new(Telemetry::new(run.workers, &topics, &[]));
        let steps = Arc::new(AtomicU64::new(0));
        let (catalog, topics) = (Arc::clone(views), Arc::clone(&topics));
        let (partitions, run) = (log, run.clone());
        let config = timely::Config::process(run.workers);
        let guards = timely::execute(config, move |worker| {
            let (index, peers) = (worker.index(), worker.peers());
            let mine = partitions.iter();
            let mine = mine.filter(|part| owner(part.topic, part.partition, peers) == index);
            let mine: Vec<Partition> = mine.cloned().collect();
            let source = MemorySource::new(mine.clone(), run.turn);
            let source: Box<dyn Source> = Box::new(source.from(&start.positions()));
            let backfill = &start.backfill.places;
            let second = mine.into_iter();
            let second = second.filter(|part| backfill.contains_key(&(part.topic, part.partition)));
            let second = MemorySource::new(second.collect(), run.turn).for_backfill();
            let source = Box::new(Lanes::new(source, Box::new(second)));
            let sweep = (index == 0 && !start.in_place.is_empty()).then(|| {
                let (leftovers, database) = (Arc::clone(&leftovers), Arc::clone(&database));
                let mut writer = ways.writers().rows;
                let sweep = move |views: &BTreeSet<u16>| {
                    let define = |definitions: &BTreeMap<_, _>| {
                        database.define(definitions.clone());
                        Ok(())
                    };
                    leftovers.delete(views, &mut *writer, &define)?;
                    Ok(())
                };
                Box::new(sweep) as Sweep
            });
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
                source: Box::new(|_| source),
                writers: ways.writers(),
                identity: Arc::new(Unchanging),
                telemetry: Arc::clone(&telemetry),
                start: start.clone(),
                checkpointing: checkpointing.clone(),
                tick: Duration::from_millis(run.tick),
                max_in_flight: 1_000,
                trust,
                judging: Judging::default(),
                sweep,
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

/// A seventh topic, whose messages are texts, and a view that counts them.
fn returns() -> Vec<View> {
    struct Reasons;
    impl Decoder for Reasons {
        fn decode(&self, value: &[u8], _: &[bool], into: &mut Batch) -> Result<(), Malformed> {
            into.push(0, &Datum::text(std::str::from_utf8(value).unwrap()));
            Ok(())
        }
    }
    let reason = SourceColumn {
        name: "reason".to_owned(),
        data_type: DataType::Text,
        is_nullable: false,
        is_time: false,
    };
    let source = Arc::new(TopicSource {
        name: "returns".to_owned(),
        columns: vec![reason],
        decoder: Box::new(Reasons),
    });
    let view = View::new(&source, "returns", "Returns by hour and reason");
    vec![
        view.lateness(Lateness::Forever)
            .group_by("reason")
            .count("returns"),
    ]
}

#[test]
fn a_seventh_topic_is_added_to_a_running_checkpoint() {
    const HOUR: i64 = 3_600_000;
    let mut runner = TestRunner::deterministic();
    let messages = prop::collection::vec(any_message(), 150);
    let messages = messages.new_tree(&mut runner).unwrap().current();
    let rules = Rules::default().with_max_ahead(MAX_AHEAD);
    let shop_log = log(&messages, 2);
    let six = Arc::new(catalog_with(&BTreeMap::new(), ProgramViews::and(Vec::new)).unwrap());
    let seven = Arc::new(catalog_with(&BTreeMap::new(), ProgramViews::and(returns)).unwrap());
    let sent = |offset: i64| Kept {
        timestamp: shop::START + offset * HOUR / 4,
        key: None,
        value: Some(
            ["broken", "late"][usize::try_from(offset % 2).unwrap()]
                .as_bytes()
                .to_vec(),
        ),
    };
    let of_seventh = (0..2).map(|partition| Partition {
        topic: 6,
        partition,
        messages: Arc::new((0..20).map(sent).collect()),
    });
    let whole = in_memory(&seven, &shop_log).into_iter().chain(of_seventh);
    let whole: Vec<Partition> = whole.collect();
    let run = |end| Run {
        workers: 2,
        turn: 7,
        tick: 1,
        every: 3,
        deleted: 0,
        end,
    };
    for writes in [2, 9, 40] {
        let directory = tempfile::tempdir().unwrap();
        let kind = Kind {
            checkpoints: true,
            as_one: false,
        };
        let world = World {
            change: Some((1, Arc::clone(&six), BTreeSet::new())),
            ..World::new(Arc::clone(&seven), whole.clone(), kind, directory.path())
        };
        world.run(0, &run(End::AfterSteps(u64::MAX)), false);
        world.run(1, &run(End::AfterWrites(writes)), false);
        world.run(2, &run(End::AfterSteps(u64::MAX)), true);

        let rules = rules.clone().with_limits(world.database.limits());
        let expected = oracle::expected(&shop_log, "", &rules);
        let (rows, _) = world.database.contents();
        shop::compare(
            &shop::shown_rows(&seven, rows.iter()),
            &shop::wanted_rows(&expected),
        );
        let counted = rows.iter().filter(|row| row.id.table == 7).map(|row| {
            let [
                Value::Date(start),
                _,
                Value::Text(reason),
                Value::Long(count),
            ] = &row.values[..]
            else {
                panic!("{row:?}")
            };
            ((start - shop::START) / HOUR, reason.clone(), *count)
        });
        let counted: BTreeSet<_> = counted.collect();
        let each = |hour| ["broken", "late"].map(|reason| (hour, reason.to_owned(), 4));
        assert_eq!(counted, (0..5).flat_map(each).collect(), "{writes} writes");
    }
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
