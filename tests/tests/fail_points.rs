//! Aborted at every step of the protocol, gone on with by other numbers of workers and
//! processes: all documents are what the oracle says, and whoever watched them has never
//! seen one go back.
//!
//! ```text
//!   events in Kafka ─▶ run, aborts at a point ─▶ run, aborts at another ─▶ run to the end
//!                          └──────────── a reader watches ─────────────────────┘
//! ```

use end_to_end::checkpoint::Folder;
use end_to_end::kafka::Log;
use end_to_end::mongo::Mongo;
use end_to_end::pipeline::{FAILING, PATIENCE};
use end_to_end::process::binary;
use end_to_end::samples::passing;
use end_to_end::services::workspace;
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Scene, Watcher, eventually};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// A point, and how often it is passed before the process aborts there, counted from 1.
type At = (&'static str, u32);

/// Workers and processes.
const SHAPES: [(usize, usize); 4] = [(1, 1), (1, 3), (2, 1), (2, 2)];

/// Cases under way at the same time in each test.
const ABREAST: usize = 2;

const WRITING: &[At] = &[
    ("lane.made", 1),
    ("lane.made", 2),
    ("reach.before", 1),
    ("reach.before", 8),
    ("reach.after", 1),
    ("reach.after", 9),
    ("write.before", 1),
    ("write.before", 10),
    ("write.begun", 12),
    ("write.commit", 1),
    ("write.commit", 15),
    ("write.middle", 1),
    ("write.middle", 2),
    ("write.after", 1),
    ("write.after", 8),
    ("publish.before", 1),
    ("publish.before", 6),
    ("publish.after", 5),
];

const CLOSING: &[At] = &[
    ("close.decided", 1),
    ("close.decided", 12),
    ("close.told", 1),
    ("close.told", 60),
    ("close.write", 1),
    ("close.write", 3),
    ("close.written", 1),
    ("close.written", 2),
];

const SAVING: &[At] = &[
    ("file.before", 2),
    ("file.filled", 3),
    ("file.after", 4),
    ("manifest.before", 1),
    ("manifest.before", 3),
    ("manifest.after", 1),
    ("manifest.after", 4),
    ("clean.manifest", 2),
    ("clean.file", 1),
    ("clean.after", 3),
    ("merge.before", 1),
    ("merge.middle", 1),
    ("merge.after", 1),
];

/// These are passed when a run goes on after another.
const RESTARTING: &[At] = &[
    ("claim.before", 1),
    ("claim.raised", 1),
    ("claim.after", 1),
    ("start.taken", 1),
    ("start.cleared", 1),
    ("start.entered", 1),
    ("start.doubted", 1),
    ("start.doubted", 4),
    ("start.defined", 1),
    ("start.planned", 1),
    ("load.block", 1),
    ("load.block", 2),
    ("load.done", 1),
];

/// These when there is something to catch up with.
const CATCHING_UP: &[At] = &[("catch_up.behind", 1), ("catch_up.reached", 1)];

/// These when a run ends by itself, or because it is told to.
const ENDING: &[At] = &[
    ("manifest.last", 1),
    ("release.before", 1),
    ("release.after", 1),
];

/// These when a view is rebuilt, for which *never backwards* begins anew: `reset_view.rs` tries
/// them.
const REBUILDING: [&str; 3] = ["rebuild.release", "rebuild.sweep", "rebuild.swept"];

const WITH_SQLITE: &[At] = &[
    ("write.before", 1),
    ("write.before", 6),
    ("write.commit", 1),
    ("write.commit", 7),
    ("write.after", 1),
    ("write.after", 8),
    ("close.told", 40),
    ("close.write", 2),
    ("close.written", 2),
    ("file.after", 3),
    ("manifest.before", 2),
    ("manifest.after", 3),
    ("merge.after", 1),
];

const RESTARTING_WITH_SQLITE: &[At] = &[
    ("claim.before", 1),
    ("claim.after", 1),
    ("start.taken", 1),
    ("start.doubted", 2),
    ("start.planned", 1),
    ("load.block", 2),
];

/// Where a run aborts that leaves a checkpoint.
const SAVED: &[At] = &[("manifest.before", 6)];

/// Where runs abort that leave a checkpoint, and a database that is ahead of it: in the
/// last of them none is taken.
const AHEAD: &[At] = &[("manifest.before", 6), NONE_TAKEN];
const NONE_TAKEN: At = ("write.after", 3);

/// One way through aborts.
#[derive(Debug, Clone)]
struct Case {
    /// Where runs abort, one after the other.
    aborts: Vec<At>,
    last: Last,
}

/// What the last run that aborts is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// To go on.
    Runs,
    /// To end when it has caught up.
    CatchesUp,
    /// To end since it is told to, when something is written.
    IsInterrupted,
}

/// One case for each of `points`, after the aborts `before` it.
fn cases(before: &[At], points: &[At], last: Last) -> Vec<Case> {
    let case = |at: &At| Case {
        aborts: [before, &[*at]].concat(),
        last,
    };
    points.iter().map(case).collect()
}

/// A command line that takes checkpoints often.
fn saving(pipeline: &Pipeline, folder: &Folder) -> Pipeline {
    pipeline
        .clone()
        .flag("--checkpoint", &folder.url())
        .flag("--checkpoint-interval", "100ms")
        // What this machine is busy with must not decide what is late.
        .flag("--idle-timeout", "1h")
}

/// One that reads `in_flight` events at a time, whatever the number of workers, so that
/// there is a middle.
fn slowly(pipeline: &Pipeline, shape: (usize, usize), in_flight: usize) -> Pipeline {
    let (workers, processes) = shape;
    let of_each = in_flight / (workers * processes);
    pipeline
        .clone()
        .flag("--epoch", "20ms")
        .flag("--max-in-flight", &of_each.to_string())
        .workers(workers)
        .processes(processes)
}

/// Aborts at each point of a case, and then runs to the end. `number` says with how many
/// workers, `written` whether there is progress in the database.
fn go_through(case: &Case, number: usize, pipeline: &Pipeline, written: &dyn Fn() -> bool) {
    let folder = Folder::new();
    let pipeline = saving(pipeline, &folder);
    let mut shapes = SHAPES.into_iter().cycle().skip(number);
    let mut left = case.aborts.len();
    for at in &case.aborts {
        let (point, passing) = at;
        left -= 1;
        let (shape, in_flight) = match *point {
            // There has to be a process that is not the first.
            "start.entered" => ((1, 3), 60),
            // Catching up has to take more than one epoch.
            "catch_up.behind" => (shapes.next().expect("a circle"), 4),
            // A batch has to have more rows than are worth but one transaction.
            "write.middle" | "lane.made" => (shapes.next().expect("a circle"), 6_000),
            _ => (shapes.next().expect("a circle"), 60),
        };
        let mut aborting = slowly(&pipeline, shape, in_flight).aborting_at(point, *passing);
        if *at == NONE_TAKEN {
            aborting = aborting.flag("--checkpoint-interval", "1h");
        }
        match case.last {
            Last::CatchesUp if left == 0 => aborting.until_caught_up().start().await_abort(),
            Last::IsInterrupted if left == 0 => {
                // So that there is something to save at the end.
                let run = aborting.flag("--checkpoint-interval", "1h").start();
                eventually("something is written", PATIENCE, || match written() {
                    true => Ok(()),
                    false => Err("nothing yet".to_owned()),
                });
                run.interrupt();
                run.await_abort();
            }
            _ => aborting.start().await_abort(),
        }
    }
    let (workers, processes) = shapes.next().expect("a circle");
    let last = pipeline.workers(workers).processes(processes);
    last.until_caught_up().run();
}

/// Says which case it was that failed.
struct Failing<'a>(&'a Case);

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- in {:?}", self.0);
        }
    }
}

/// Events that all cases of a table read.
struct Events {
    scene: Scene,
    log: Log,
}

/// Does each case of a table, a few at the same time.
fn each(name: &str, cases: &[Case], go: impl Fn(&Events, &Case, usize) + Sync) {
    let scene = Scene::new(name, 3);
    scene.produce(&passing(61, 450, (0, 14)));
    let log = scene.kafka.read(&scene.topics());
    let events = Events { scene, log };
    std::thread::scope(|threads| {
        for lane in 0..ABREAST {
            let (events, go) = (&events, &go);
            let own = cases.iter().enumerate().skip(lane).step_by(ABREAST);
            threads.spawn(move || {
                for (number, case) in own {
                    let _failing = Failing(case);
                    go(events, case, number);
                }
            });
        }
    });
}

/// A database of one case. It is dropped with it.
struct Database(Mongo);

impl Drop for Database {
    fn drop(&mut self) {
        self.0.drop_database();
    }
}

fn with_mongodb(Events { scene, log }: &Events, case: &Case, number: usize) {
    let name = format!("{}-{number}", scene.database);
    let database = Database(Mongo::connect(&scene.services.mongodb_uri, &name));
    let watcher = Watcher::follow(&database.0);
    let pipeline = scene.pipeline().flag("--database", &name);
    go_through(case, number, &pipeline, &|| {
        database
            .0
            .progress()
            .is_ok_and(|progress| progress.is_some())
    });
    scene.check_log_in(log, &database.0);
    let seen = watcher.finish();
    assert!(seen.finals > 50 && seen.letters > 10, "{seen:?}");
}

fn with_sqlite(Events { scene, log }: &Events, case: &Case, number: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("views.sqlite");
    let pipeline = Pipeline::bare(scene.name())
        .flag("--brokers", &scene.services.brokers)
        .flag("--topic-prefix", &scene.prefix)
        .flag("--sqlite", &path.to_string_lossy());
    go_through(case, number, &pipeline, &|| {
        let progress = Sqlite::open(&path).and_then(|store| store.count("progress"));
        progress.is_ok_and(|rows| rows > 0)
    });
    scene.check_log_in(log, &Sqlite::open(&path).expect("the file"));
}

#[test]
fn while_it_writes() {
    let cases = cases(&[], WRITING, Last::Runs);
    each("abort-write", &cases, with_mongodb);
}

#[test]
fn while_windows_close() {
    let cases = cases(&[], CLOSING, Last::Runs);
    each("abort-close", &cases, with_mongodb);
}

#[test]
fn while_a_checkpoint_is_taken() {
    let cases = cases(&[], SAVING, Last::Runs);
    each("abort-save", &cases, with_mongodb);
}

#[test]
fn while_it_starts_again() {
    let mut all = cases(SAVED, RESTARTING, Last::Runs);
    all.extend(cases(AHEAD, CATCHING_UP, Last::Runs));
    // And every second of them in a row.
    let again = RESTARTING.iter().step_by(2);
    all.push(Case {
        aborts: SAVED.iter().chain(again).copied().collect(),
        last: Last::Runs,
    });
    each("abort-start", &all, with_mongodb);
}

#[test]
fn while_it_ends() {
    each("abort-end", &endings(), with_mongodb);
}

#[test]
fn with_sqlite_too() {
    let mut all = cases(&[], WITH_SQLITE, Last::Runs);
    all.extend(cases(SAVED, RESTARTING_WITH_SQLITE, Last::Runs));
    all.extend(cases(AHEAD, CATCHING_UP, Last::Runs));
    all.extend(endings());
    each("abort-sqlite", &all, with_sqlite);
}

/// Runs that end by themselves, and others that are told to.
fn endings() -> Vec<Case> {
    let mut all = cases(&[], ENDING, Last::CatchesUp);
    all.extend(cases(&[], ENDING, Last::IsInterrupted));
    all
}

/// The names of the points that the sources below a folder pass.
fn passed_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            passed_in(&path, names);
        } else {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let calls = text.split("fail_point(\"").skip(1);
            names.extend(calls.filter_map(|call| call.split('"').next().map(str::to_owned)));
        }
    }
}

#[test]
fn every_point_is_listed_passed_and_tried() {
    let asked = Command::new(binary(FAILING)).arg("fail-points").output();
    let listed = String::from_utf8(asked.expect("an answer").stdout).expect("names");
    let listed: BTreeSet<_> = listed.lines().map(str::to_owned).collect();
    let mut passed = BTreeSet::new();
    for folder in [
        "sinks/src",
        "checkpoint/src",
        "dataflow/src",
        "tidemark/src",
    ] {
        passed_in(&workspace().join(folder), &mut passed);
    }
    assert_eq!(listed, passed, "listed, and passed in the sources");
    let tables = [WRITING, CLOSING, SAVING, RESTARTING, CATCHING_UP, ENDING];
    let tried = tables.into_iter().flatten();
    let tried = tried.map(|(name, _)| *name).chain(REBUILDING);
    let tried: BTreeSet<_> = tried.map(str::to_owned).collect();
    assert_eq!(listed, tried, "listed, and tried");
}
