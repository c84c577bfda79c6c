//! What limits dead letters: the epoch that passes the limit is not written, nor any later one, and
//! the run after it comes to the same end.
//!
//! The log and the database are in memory; so is the way of a run, from the messages to the rows.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod memory;
mod shop;

use checkpoint::Store;
use dataflow::ingest::discovery::{Found, owner};
use dataflow::ingest::identity::{Readers, Unchanging};
use dataflow::ingest::memory::{Kept, MemorySource, Partition};
use dataflow::ingest::source::{Message, Position, Source, SourceError, Taken, Turn};
use dataflow::pipeline::{Parts, Pipeline, PipelineError};
use dataflow::recovery::Sources;
use dataflow::recovery::start::Checkpointing;
use dataflow::saving::{Cadence, Patience};
use dataflow::tally::{Judging, Limit, OverLimit};
use dataflow::time::{Trust, WallClock};
use dataflow::views::Catalog;
use end_to_end::Rules;
use memory::{Database, Seen, Ways};
use shop::{MAX_AHEAD, configured};
use sinks::{LetterCount, LogIdentity, Reader as _};
use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use telemetry::Telemetry;
use tempfile::TempDir;
use timely::worker::Worker;

/// How long a run may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A log line, and when it was sent.
const LINE: &str = r#"{"log_id":"1","timestamp":"2024-11-02T13:45:11","level":"INFO"}"#;
const SENT: i64 = 1_730_555_111_000;

/// A log of `system_logs`, a database, and perhaps checkpoints, for several runs.
struct World {
    catalog: Arc<Catalog>,
    topics: Arc<[String]>,
    log: Vec<Partition>,
    database: Arc<Database>,
    checkpoints: Option<(TempDir, Arc<Store>)>,
}

/// So many good messages, then malformed ones, then good ones again and so on.
fn messages(counts: &[usize]) -> Vec<Kept> {
    let mut messages = Vec::new();
    for (place, count) in counts.iter().enumerate() {
        let value = match place % 2 {
            0 => LINE.as_bytes(),
            _ => b"\0\0\0\0\x07{}",
        };
        let kept = Kept {
            timestamp: SENT,
            key: None,
            value: Some(value.to_vec()),
        };
        messages.extend(std::iter::repeat_n(kept, *count));
    }
    messages
}

/// A source that gives so many messages at a time.
struct Slow(MemorySource, usize);

impl Source for Slow {
    fn find(&mut self, each: &mut dyn FnMut(usize, i32)) -> Result<(), SourceError> {
        self.0.find(each)
    }

    fn read(
        &mut self,
        budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<Turn, SourceError> {
        self.0.read(budget.min(self.1), each)
    }

    fn pause(&mut self, paused: bool) {
        self.0.pause(paused);
    }

    fn positions(&mut self, each: &mut dyn FnMut(Position) -> bool) {
        self.0.positions(each);
    }
}

/// How a run is started.
#[derive(Clone, Copy)]
struct Run {
    workers: usize,
    /// Messages that a worker reads at a time: few of them make many epochs.
    at_once: usize,
    limit: Option<&'static str>,
    ends_by_itself: bool,
    max_in_flight: u64,
}

const RUN: Run = Run {
    workers: 1,
    at_once: 100,
    limit: None,
    ends_by_itself: true,
    max_in_flight: 100_000,
};

/// What is in the database.
#[derive(Debug, PartialEq)]
struct Written {
    events: i64,
    letters: usize,
}

impl World {
    /// With a partition for each log: see [`messages`].
    fn new(logs: &[&[usize]], as_one: bool, checkpoints: bool) -> World {
        let catalog = Arc::new(configured(&Rules::default().with_max_ahead(MAX_AHEAD)));
        let topics = catalog.routes.iter().map(|route| route.topic().to_owned());
        let topic = catalog.topic_number("system_logs").unwrap();
        let partition = |(number, log): (usize, &&[usize])| Partition {
            topic,
            partition: i32::try_from(number).unwrap(),
            messages: Arc::new(messages(log)),
        };
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(directory.path().to_str().unwrap()).unwrap());
        World {
            topics: topics.collect(),
            log: logs.iter().enumerate().map(partition).collect(),
            database: Arc::new(Database::new(&catalog, as_one)),
            checkpoints: checkpoints.then_some((directory, store)),
            catalog,
        }
    }

    /// Runs until everything is read and written, or until there are too many dead letters.
    fn run(&self, run: Run) -> Result<(), OverLimit> {
        let reset = BTreeSet::new();
        let tables: Arc<[usize]> = (0..self.catalog.definitions.len()).collect();
        let generation = self.database.claim();
        let found = self.log.iter().map(|part| Found {
            topic: part.topic,
            partition: part.partition,
            low: 0,
            high: i64::try_from(part.messages.len()).unwrap(),
            end: i64::try_from(part.messages.len()).unwrap(),
        });
        let reader = Seen {
            database: Arc::clone(&self.database),
            tables: Arc::clone(&tables),
        };
        let store = self.checkpoints.as_ref().map(|(_, store)| store);
        let sources = Sources {
            catalog: &self.catalog,
            topics: &self.topics,
            definitions: self.catalog.saved(MAX_AHEAD),
            reader: &reader,
            database: "the database".to_owned(),
            store,
            found: found.collect(),
            reset: &reset,
            identity: LogIdentity::default(),
            readers: &Readers::new(&self.catalog, &self.topics),
            brokers: Some("memory"),
        };
        let manifest = sources
            .take_checkpoint(generation, &BTreeSet::new())
            .unwrap();
        let manifest = manifest.map(|taken| taken.manifest);
        let start = sources.start(manifest.as_ref(), &BTreeSet::new()).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let ways = Ways::new(&self.database, generation, u64::MAX, Arc::default(), tables);
        let checkpointing = store
            .cloned()
            .zip(manifest)
            .map(|(store, last)| Checkpointing {
                store,
                last,
                cadence: Cadence::every(NonZeroU64::new(3).unwrap()),
                patience: Patience {
                    abandoned: Arc::clone(&over),
                    failed: Arc::new(|| {}),
                },
            });
        let telemetry = Arc::new(Telemetry::new(run.workers, &self.topics, &[]));
        let (catalog, topics) = (Arc::clone(&self.catalog), Arc::clone(&self.topics));
        let log = self.log.clone();
        let told: Arc<Mutex<Option<OverLimit>>> = Arc::default();
        let tell = Arc::clone(&told);
        let guards = timely::execute(timely::Config::process(run.workers), move |worker| {
            let (index, peers) = (worker.index(), worker.peers());
            let mine = log.iter();
            let mine = mine.filter(|part| owner(part.topic, part.partition, peers) == index);
            let source = MemorySource::new(mine.cloned().collect(), run.at_once);
            let source = Slow(source.from(&start.positions()), run.at_once);
            let (failing, tell) = (Arc::clone(&over), Arc::clone(&tell));
            let parts = Parts {
                catalog: Arc::clone(&catalog),
                topics: Arc::clone(&topics),
                source: Box::new(|_| Box::new(source)),
                writers: ways.writers(),
                identity: Arc::new(Unchanging),
                telemetry: Arc::clone(&telemetry),
                start: start.clone(),
                checkpointing: checkpointing.clone(),
                tick: Duration::ZERO,
                max_in_flight: run.max_in_flight,
                trust: Trust {
                    clock: WallClock::of(|| shop::CLOCK),
                    max_ahead: Duration::from_millis(MAX_AHEAD.cast_unsigned()),
                },
                judging: Judging {
                    limit: run.limit.map(|limit| limit.parse::<Limit>().unwrap()),
                    before: start.counted,
                    ends_by_itself: run.ends_by_itself,
                },
                sweep: None,
                failed: Arc::new(move |error: PipelineError| match error {
                    PipelineError::DeadLetters(over) => {
                        assert!(tell.lock().unwrap().replace(over).is_none(), "told twice");
                        failing.store(true, Ordering::SeqCst);
                    }
                    other => panic!("{other}"),
                }),
            };
            let mut pipeline = Pipeline::build(worker, parts);
            let started = Instant::now();
            let step = |worker: &mut Worker, pause: Duration| {
                assert!(started.elapsed() < PATIENCE, "it does not end");
                worker.step_or_park(Some(pause.min(Duration::from_millis(5))));
                let is_over = over.load(Ordering::SeqCst);
                if is_over {
                    for dataflow in worker.installed_dataflows() {
                        worker.drop_dataflow(dataflow);
                    }
                }
                is_over
            };
            while !pipeline.is_done() {
                let pause = pipeline.tick();
                if step(worker, pause) {
                    return;
                }
            }
            pipeline.close();
            while worker.has_dataflows() {
                if step(worker, PATIENCE) {
                    return;
                }
            }
        });
        guards.unwrap().join().into_iter().for_each(Result::unwrap);
        let over = told.lock().unwrap().take();
        self.database.end(over.as_ref().map(|over| over.committed));
        over.map_or(Ok(()), Err)
    }

    /// As it is found by the next run.
    fn counted(&self) -> LetterCount {
        let reader = Seen {
            database: Arc::clone(&self.database),
            tables: Arc::default(),
        };
        reader.standing().unwrap().counted.unwrap_or_default()
    }

    fn written(&self) -> Written {
        let (rows, letters) = self.database.contents();
        let events = rows.iter().map(|row| match row.values[..] {
            [.., sinks::Value::Long(events)] => events,
            ref other => panic!("{other:?}"),
        });
        Written {
            events: events.sum(),
            letters: letters.len(),
        }
    }
}

/// Databases that many write to and that take an epoch as a whole, with checkpoints and without.
fn kinds() -> impl Iterator<Item = (bool, bool)> {
    [false, true]
        .into_iter()
        .flat_map(|one| [(one, false), (one, true)])
}

#[test]
fn the_epoch_that_passes_the_limit_is_not_written_and_the_next_run_comes_to_the_same_end() {
    let log: &[usize] = &[300, 5, 300, 25, 300];
    for (as_one, checkpoints) in kinds() {
        let world = World::new(&[log, log, &[1_000]], as_one, checkpoints);
        let limited = Run {
            workers: if as_one == checkpoints { 3 } else { 1 },
            limit: Some("20"),
            ends_by_itself: false,
            ..RUN
        };
        let mut before = LetterCount::default();
        for _ in 0..3 {
            let over = world.run(limited).unwrap_err();
            assert!(over.counted.letters > 20, "{over}");
            assert_eq!(over.before, before);
            // All epochs before it are written, whole; rows, if the run has caught up with the one
            // before.
            let Written { events, letters } = world.written();
            let messages = u64::try_from(events).unwrap() + letters as u64;
            assert_eq!(over.committed.letters, letters as u64);
            assert!(letters <= 20, "{over}");
            match before == LetterCount::default() {
                true => assert_eq!(over.committed.messages, messages),
                false => assert!(over.committed.messages >= messages),
            }
            before = over.committed;
            assert_eq!(world.counted(), before);
        }
        let allowed = Run {
            limit: Some("60"),
            workers: 2,
            ..limited
        };
        assert_eq!(world.run(allowed), Ok(()));
        let all = Written {
            events: 2_800,
            letters: 60,
        };
        assert_eq!(world.written(), all);
        assert_eq!(world.counted(), LetterCount::default());
    }
}

#[test]
fn letters_of_earlier_runs_do_not_count() {
    for (as_one, checkpoints) in kinds() {
        let mut world = World::new(&[&[100, 8]], as_one, checkpoints);
        let limited = Run {
            limit: Some("10"),
            ..RUN
        };
        for letters in [8, 16, 24] {
            assert_eq!(world.run(limited), Ok(()));
            assert_eq!(world.written().letters, letters);
            let log = &mut world.log[0];
            let mut longer = log.messages.to_vec();
            longer.extend(messages(&[100, 8]));
            log.messages = Arc::new(longer);
        }
    }
}

#[test]
fn a_small_run_that_ends_by_itself_writes_all_or_nothing() {
    for (as_one, checkpoints) in kinds() {
        for limit in ["20%", "150"] {
            let world = World::new(&[&[300, 100, 300], &[0, 100]], as_one, checkpoints);
            let limited = Run {
                limit: Some(limit),
                workers: 2,
                ..RUN
            };
            for _ in 0..2 {
                let over = world.run(limited).unwrap_err();
                assert_eq!(over.epoch, None);
                assert_eq!(over.committed, LetterCount::default());
                let nothing = Written {
                    events: 0,
                    letters: 0,
                };
                assert_eq!(world.written(), nothing);
            }
            let allowed = Run {
                limit: Some("25%"),
                ..limited
            };
            assert_eq!(world.run(allowed), Ok(()));
            assert_eq!(world.written().letters, 200);
        }
    }
}

#[test]
fn a_share_is_judged_from_a_thousand_messages_on() {
    // First three quarters, and a tenth after a thousand.
    let log: &[usize] = &[30, 90, 880, 100, 1_000];
    for (as_one, checkpoints) in kinds() {
        let world = World::new(&[log], as_one, checkpoints);
        let streaming = Run {
            limit: Some("10%"),
            ends_by_itself: false,
            ..RUN
        };
        let over = world.run(streaming).unwrap_err();
        assert!(over.counted.messages >= 1_000, "{over}");
        assert_eq!(over.limit.to_string(), "10%");
        let allowed = Run {
            limit: Some("20%"),
            ..streaming
        };
        assert_eq!(world.run(allowed), Ok(()));
        assert_eq!(world.written().letters, 190);
    }
}

#[test]
fn a_run_with_little_room_is_not_held_up() {
    for (as_one, checkpoints) in kinds() {
        let world = World::new(&[&[300, 5, 300]], as_one, checkpoints);
        let narrow = Run {
            limit: Some("5"),
            max_in_flight: 10,
            ..RUN
        };
        assert_eq!(world.run(narrow), Ok(()));
        let all = Written {
            events: 600,
            letters: 5,
        };
        assert_eq!(world.written(), all);
    }
}
