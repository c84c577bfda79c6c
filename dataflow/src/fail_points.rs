//! The points of the pipeline at which a test may end the process, beside those of the
//! [databases](sinks::fail_points), which tells how.
//!
//! A test aborts at each of them, and lets another run go on.

use model::is_armed;
use sinks::fail_points;
use std::path::Path;

/// The points of this crate, and what has happened when one is passed.
pub const POINTS: &[(&str, &str)] = &[
    (
        "start.taken",
        "the manifest is put in this run's name; the other processes know nothing",
    ),
    (
        "start.cleared",
        "the database holds nothing of views that are rebuilt, and still has their old definitions",
    ),
    (
        "start.defined",
        "the definitions of all views are recorded in the database; no worker has begun",
    ),
    (
        "start.entered",
        "a process that is not the first knows in whose name it writes",
    ),
    (
        "start.doubted",
        "of rows in doubt, those of a view have been read, and others have not",
    ),
    (
        "start.planned",
        "it is known where to go on, and no worker has begun",
    ),
    (
        "load.block",
        "a worker is about to read a block of a checkpoint's files",
    ),
    ("load.done", "a worker has read its share of the blocks"),
    (
        "catch_up.behind",
        "rows have come and wait, since an earlier run may have written newer ones",
    ),
    (
        "catch_up.reached",
        "all that an earlier run may have read is read, and no row has been written",
    ),
    (
        "close.decided",
        "it is known which windows close; what they hold is about to be told and dropped",
    ),
    (
        "close.told",
        "rows of windows that close have become final, on one worker; none is saved or written",
    ),
    (
        "close.write",
        "a checkpoint knows that windows have closed, and a batch with their final rows is \
         about to be written",
    ),
    (
        "close.written",
        "that batch is durable; the next checkpoint still holds its rows",
    ),
    (
        "file.before",
        "a worker's file of a checkpoint is about to be begun",
    ),
    ("file.filled", "it has all of its records, and no end"),
    (
        "file.after",
        "it is durable under its name; no manifest names it",
    ),
    (
        "manifest.before",
        "all files of a checkpoint are durable and all rows written; its manifest is not put",
    ),
    (
        "manifest.last",
        "the same of the last checkpoint of a run that ends",
    ),
    (
        "manifest.after",
        "it is put; nothing old is deleted, and nobody has been told",
    ),
    ("clean.manifest", "an old manifest is about to be deleted"),
    (
        "clean.file",
        "old manifests are deleted, and a file that only they named is about to be",
    ),
    (
        "clean.after",
        "what no checkpoint needs is deleted; nobody has been told that there is a new one",
    ),
    (
        "rebuild.release",
        "a view that is rebuilt has caught up with the others; none of its rows is written, and \
         those that it had are there",
    ),
    (
        "rebuild.sweep",
        "all rows of a view that is rebuilt are written, among those that it had before",
    ),
    (
        "rebuild.swept",
        "those that it had before are deleted, and its definition is recorded; no checkpoint \
         knows that it is complete",
    ),
    ("merge.before", "files are about to be merged"),
    (
        "merge.middle",
        "a merged file has its first sections, and not the others",
    ),
    (
        "merge.after",
        "a merged file is durable under its name; no manifest names it",
    ),
];

/// Set in the environment, it lets a program of the tests take topics for such as brokers before
/// Kafka 2.8 have: without ids.
const WITHOUT_TOPIC_IDS: &str = "TIDEMARK_WITHOUT_TOPIC_IDS";

/// Whether the ids of topics are looked at: always, but in a program of the tests.
pub(crate) fn topics_have_ids() -> bool {
    !is_armed() || std::env::var_os(WITHOUT_TOPIC_IDS).is_none()
}

/// The names of all points, those of the databases too.
pub fn names() -> impl Iterator<Item = &'static str> {
    let all = fail_points::POINTS.iter().chain(POINTS);
    all.map(|(name, _)| *name)
}

/// Whether a program of the tests reads nothing for backfills: as long as the file is there that
/// `HELD_BACKFILL` in the environment names. Never in any other program.
pub(crate) fn is_backfill_held() -> bool {
    let path = || std::env::var_os("HELD_BACKFILL");
    is_armed() && path().is_some_and(|path| Path::new(&path).exists())
}

/// How far the clock of a program of the tests is ahead, in milliseconds: what the file
/// holds that `FAKE_CLOCK` in the environment names, at this moment. 0 in any other program.
pub(crate) fn clock_ahead() -> i64 {
    if !is_armed() {
        return 0;
    }
    let path = std::env::var_os("FAKE_CLOCK");
    let text = path.and_then(|path| std::fs::read_to_string(path).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
