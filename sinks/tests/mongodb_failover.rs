//! The primary of a set of three is killed while batches are written, and a reader
//! follows every row: each state of it is seen once, and none after a newer one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use common::server::{Database, Server};
use common::{begin, interactions, puts, tables};
use mongodb::bson::Document;
use mongodb::change_stream::event::{ChangeStreamEvent, OperationType};
use sinks::mongodb::Timeouts;
use sinks::retry::Retrying;
use sinks::{Batch, Row, SinkError, Storage, Writer};

const ROWS: usize = 300;

/// What was seen of a row, in order: the round that wrote it, or that it was deleted.
type Seen = BTreeMap<String, Vec<Option<i64>>>;

/// Row `number` is there in every round, except that every third is there in odd ones
/// only.
fn is_there(number: usize, round: i64) -> bool {
    !number.is_multiple_of(3) || round % 2 == 1
}

fn batch(round: i64) -> Batch {
    let row = |number: usize| Row {
        // It went in the round before, or there was none.
        expect: match number.is_multiple_of(3) || round == 1 {
            true => sinks::Expect::Absent,
            false => sinks::Expect::Either,
        },
        ..interactions(0, &format!("p{number}"), "review", round)
    };
    let (there, gone): (Vec<_>, Vec<_>) = (0..ROWS).partition(|number| is_there(*number, round));
    Batch {
        epoch: u64::try_from(round).unwrap(),
        deletes: gone.into_iter().map(|number| row(number).id).collect(),
        ..puts(there.into_iter().map(row).collect())
    }
}

fn take_in(seen: &mut Seen, event: &ChangeStreamEvent<Document>) {
    let id = event.document_key.as_ref().unwrap().get_str("_id").unwrap();
    let state = match event.operation_type {
        OperationType::Delete => None,
        OperationType::Insert | OperationType::Replace => {
            let document = event.full_document.as_ref().unwrap();
            Some(document.get_i64("total").unwrap())
        }
        ref other => panic!("{other:?}"),
    };
    seen.entry(id.to_owned()).or_default().push(state);
}

/// Stops everybody when the test fails.
struct StopAll<'a>(&'a AtomicBool);

impl Drop for StopAll<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Waits for a condition, for two minutes.
#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nothing_is_lost_or_seen_twice_or_goes_back_when_the_primary_is_killed() {
    let (mut servers, uri) = Server::set_of_three();
    let database = Database::at(&uri, "failover");
    let timeouts = Timeouts {
        server_selection: Duration::from_secs(1),
        connect: Duration::from_secs(1),
        command: Duration::from_secs(4),
    };
    let storage = sinks::mongodb::open_with(&uri, &database.name, tables(), timeouts).unwrap();
    storage.prepare().unwrap();
    begin(&storage);

    let failed = Arc::new(AtomicBool::new(false));
    let failures = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&failures);
    let observer = Arc::new(move |error: &SinkError, _| {
        assert!(error.is_temporary(), "{error}");
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut writer = Retrying::new(storage.writer().unwrap(), observer, Arc::clone(&failed));
    let (rounds, stop) = (AtomicI64::new(0), AtomicBool::new(false));
    let last = AtomicI64::new(i64::MAX);
    let (begun, has_begun) = sync_channel(1);

    let (seen, last) = std::thread::scope(|scope| {
        let _stop = StopAll(&failed);
        let following = scope.spawn(|| {
            let mut seen = Seen::new();
            let begun = || begun.send(()).unwrap();
            database.follow("interaction_analysis", &failed, begun, |event| {
                take_in(&mut seen, event);
                // The last round is odd: all rows are there in the end.
                let last = Some(last.load(Ordering::Relaxed));
                let done = |states: &Vec<_>| states.last() == Some(&last);
                !(seen.len() == ROWS && seen.values().all(done))
            });
            seen
        });
        has_begun.recv().unwrap();
        let writing = scope.spawn(|| {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) || round % 2 == 0 {
                round += 1;
                writer.write(&batch(round)).unwrap();
                rounds.store(round, Ordering::Relaxed);
            }
            // Known before the last event of the round after it.
            last.store(round + 2, Ordering::Relaxed);
            for round in [round + 1, round + 2] {
                writer.write(&batch(round)).unwrap();
            }
            round + 2
        });
        for _ in 0..3 {
            let before = rounds.load(Ordering::Relaxed);
            wait_until("rounds", || rounds.load(Ordering::Relaxed) > before + 5);
            let failures_before = failures.load(Ordering::Relaxed);
            wait_until("a primary", || servers.iter().any(Server::is_primary));
            let primary = servers.iter().position(Server::is_primary).unwrap();
            servers[primary].kill();
            let before = rounds.load(Ordering::Relaxed);
            wait_until("rounds after a failover", || {
                rounds.load(Ordering::Relaxed) > before + 5
            });
            assert!(failures.load(Ordering::Relaxed) > failures_before);
            servers[primary].restart();
        }
        stop.store(true, Ordering::Relaxed);
        let last = writing.join().unwrap();
        let seen = following.join().unwrap();
        println!(
            "{last} rounds, {} failures",
            failures.load(Ordering::Relaxed)
        );
        (seen, last)
    });

    for (number, row) in batch(1).puts.iter().enumerate() {
        let expected: Vec<_> = (1..=last)
            .map(|round| is_there(number, round).then_some(round))
            .collect();
        assert_eq!(seen[&row.id.id.to_string()], expected, "{}", row.id.id);
    }
}
