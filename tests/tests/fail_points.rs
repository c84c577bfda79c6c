//! Aborted at every step of the protocol, gone on with by other numbers of workers and
//! processes: all documents are what the oracle says, and whoever watched them has never
//! seen one go back.
//!
//! ```text
//!   events in Kafka ─▶ run, aborts at a point ─▶ run, aborts at another ─▶ run to the end
//!                          └──────────── a reader watches ─────────────────────┘
//! ```

use end_to_end::checkpoint::Folder;
use end_to_end::mongo::Mongo;
use end_to_end::pipeline::FAILING;
use end_to_end::process::binary;
use end_to_end::samples::passing;
use end_to_end::services::workspace;
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Scene, Watcher};
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
    ("lane.made", 3),
    ("reach.before", 1),
    ("reach.before", 8),
    ("reach.after", 1),
    ("reach.after", 9),
    ("write.before", 1),
    ("write.before", 10),
    ("write.begun", 20),
    ("write.commit", 1),
    ("write.commit", 35),
    ("write.middle", 1),
    ("write.middle", 15),
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
    ("start.entered", 1),
    ("start.doubted", 1),
    ("start.doubted", 4),
    ("start.planned", 1),
    ("load.block", 1),
    ("load.block", 4),
    ("load.done", 1),
    ("catch_up.behind", 1),
    ("catch_up.reached", 1),
];

/// These when a run ends by itself, or because it is told to.
const ENDING: &[At] = &[
    ("manifest.last", 1),
    ("release.before", 1),
    ("release.after", 1),
];

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
    ("catch_up.behind", 1),
    ("catch_up.reached", 1),
];

/// Where a run aborts that leaves checkpoints, and a database that is ahead of them.
const AHEAD: At = ("write.middle", 25);

/// The same with SQLite.
const AHEAD_IN_SQLITE: At = ("write.after", 12);

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
    /// To end since it is told to, after a checkpoint.
    IsInterrupted,
}

/// One case for each of `points`, after an abort `before` it.
fn cases(before: Option<At>, points: &[At], last: Last) -> Vec<Case> {
    let case = |at: &At| Case {
        aborts: before.into_iter().chain([*at]).collect(),
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

/// One that reads a little at a time so that there is a middle, whatever the number of
/// workers.
fn slowly(pipeline: &Pipeline, (workers, processes): (usize, usize)) -> Pipeline {
    let in_flight = (60 / (workers * processes)).to_string();
    pipeline
        .clone()
        .flag("--epoch", "20ms")
        .flag("--max-in-flight", &in_flight)
        .workers(workers)
        .processes(processes)
}

/// Aborts at each point of a case, and then runs to the end. `number` says with how many
/// workers.
fn go_through(case: &Case, number: usize, pipeline: &Pipeline) {
    let folder = Folder::new();
    let pipeline = saving(pipeline, &folder);
    let mut shapes = SHAPES.into_iter().cycle().skip(number);
    let mut left = case.aborts.len();
    for (point, passing) in &case.aborts {
        left -= 1;
        let shape = match *point {
            // There has to be a process that is not the first.
            "start.entered" => Some((1, 3)),
            _ => shapes.next(),
        };
        let before = folder.manifests().pop();
        let aborting = slowly(&pipeline, shape.expect("a circle")).aborting_at(point, *passing);
        match case.last {
            Last::CatchesUp if left == 0 => aborting.until_caught_up().start().await_abort(),
            Last::IsInterrupted if left == 0 => {
                let run = aborting.start();
                folder.await_another(before);
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

/// Does each case of a table, a few at the same time, with events that all of them read.
fn each(name: &str, cases: &[Case], go: impl Fn(&Scene, &Case, usize) + Sync) {
    let scene = Scene::new(name, 3);
    scene.produce(&passing(61, 450, (0, 14)));
    std::thread::scope(|threads| {
        for lane in 0..ABREAST {
            let (scene, go) = (&scene, &go);
            let own = cases.iter().enumerate().skip(lane).step_by(ABREAST);
            threads.spawn(move || {
                for (number, case) in own {
                    let _failing = Failing(case);
                    go(scene, case, number);
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

fn with_mongodb(scene: &Scene, case: &Case, number: usize) {
    let name = format!("{}-{number}", scene.database);
    let database = Database(Mongo::connect(&scene.services.mongodb_uri, &name));
    let watcher = Watcher::follow(&database.0);
    go_through(case, number, &scene.pipeline().flag("--database", &name));
    scene.check_in(&database.0);
    let seen = watcher.finish();
    assert!(seen.finals > 50 && seen.letters > 10, "{seen:?}");
}

fn with_sqlite(scene: &Scene, case: &Case, number: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("views.sqlite");
    let pipeline = Pipeline::bare(scene.name())
        .flag("--brokers", &scene.services.brokers)
        .flag("--topic-prefix", &scene.prefix)
        .flag("--sqlite", &path.to_string_lossy());
    go_through(case, number, &pipeline);
    scene.check_in(&Sqlite::open(&path).expect("the file"));
}

#[test]
fn while_it_writes() {
    let cases = cases(None, WRITING, Last::Runs);
    each("abort-write", &cases, with_mongodb);
}

#[test]
fn while_windows_close() {
    let cases = cases(None, CLOSING, Last::Runs);
    each("abort-close", &cases, with_mongodb);
}

#[test]
fn while_a_checkpoint_is_taken() {
    let cases = cases(None, SAVING, Last::Runs);
    each("abort-save", &cases, with_mongodb);
}

#[test]
fn while_it_starts_again() {
    let cases = cases(Some(AHEAD), RESTARTING, Last::Runs);
    each("abort-start", &cases, with_mongodb);
}

#[test]
fn while_it_ends() {
    let ends = [Last::CatchesUp, Last::IsInterrupted];
    let cases: Vec<_> = ends
        .into_iter()
        .flat_map(|last| cases(None, ENDING, last))
        .collect();
    each("abort-end", &cases, with_mongodb);
}

#[test]
fn with_sqlite_too() {
    let mut all = cases(None, WITH_SQLITE, Last::Runs);
    all.extend(cases(
        Some(AHEAD_IN_SQLITE),
        RESTARTING_WITH_SQLITE,
        Last::Runs,
    ));
    all.extend(cases(None, ENDING, Last::CatchesUp));
    each("abort-sqlite", &all, with_sqlite);
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
    for folder in ["sinks/src", "dataflow/src"] {
        passed_in(&workspace().join(folder), &mut passed);
    }
    assert_eq!(listed, passed, "listed, and passed in the sources");
    let tables = [WRITING, CLOSING, SAVING, RESTARTING, ENDING];
    let tried = tables.into_iter().flatten();
    let tried: BTreeSet<_> = tried.map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, tried, "listed, and tried");
}
