//! A process that writes to an SQLite file is killed at any moment: rows, dead letters
//! and progress are of the same batch.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{begin, interactions, letter, puts, tables};
use sinks::embedded::Embedded;
use sinks::{Batch, Progress, Storage};

/// Names the file to the process that is killed.
const FILE: &str = "TIDEMARK_TEST_KILLED_FILE";
const ROWS: usize = 200;
const TEST: &str = "rows_and_progress_are_of_the_same_batch_after_a_kill";

fn open(path: &Path) -> Embedded {
    let storage = sinks::embedded::open(path, tables()).unwrap();
    storage.prepare().unwrap();
    storage
}

fn epoch(storage: &Embedded) -> u64 {
    let progress = storage.reader().unwrap().progress().unwrap();
    progress.map_or(0, |progress| progress.epoch)
}

/// Writes one batch after another, until it is killed.
fn write_for_ever(path: &Path) {
    let storage = open(path);
    begin(&storage);
    let mut writer = storage.writer().unwrap();
    for epoch in epoch(&storage) + 1.. {
        let count = i64::try_from(epoch).unwrap();
        let rows = (0..ROWS).map(|row| interactions(0, &format!("p{row}"), "review", count));
        let batch = Batch {
            epoch,
            dead_letters: vec![letter(count)],
            progress: Some(Progress {
                epoch,
                ..Progress::default()
            }),
            ..puts(rows.collect())
        };
        writer.write(&batch).unwrap();
    }
}

fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([TEST, "--exact"])
        .env(FILE, path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn rows_and_progress_are_of_the_same_batch_after_a_kill() {
    if let Some(path) = std::env::var_os(FILE) {
        return write_for_ever(Path::new(&path));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tidemark.db");
    let storage = open(&path);
    for kills in 1..=15 {
        let before = epoch(&storage);
        let mut child = start(&path);
        let deadline = Instant::now() + Duration::from_secs(60);
        while epoch(&storage) < before + kills {
            assert!(Instant::now() < deadline, "nothing is written");
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let reader = storage.reader().unwrap();
        let standing = reader.standing().unwrap();
        let reached = standing.progress.unwrap().epoch;
        let mut rows = 0;
        let mut check = |row: sinks::StoredRow| {
            let count = sinks::Value::Long(i64::try_from(reached).unwrap());
            assert_eq!(row.values[4], count, "{reached}");
            rows += 1;
        };
        reader.written_after(1, 0, &mut check).unwrap();
        assert_eq!(rows, ROWS);
        let mut letters = 0;
        reader.letters_after(0, &mut |_| letters += 1).unwrap();
        assert_eq!(letters, reached);
        assert_eq!(standing.holder.unwrap().generation, kills);
    }
}
