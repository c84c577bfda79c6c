//! What happens when a real MongoDB goes away in the middle.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::server::{Database, Server};
use common::{begin, claim, customers, puts, tables};
use mongodb::bson::{Document, doc};
use sinks::mongodb::{MongoDb, Timeouts};
use sinks::retry::{Retrying, wait_for};
use sinks::{Progress, Row, SinkError, Storage, Writer};

const REPLICATED: [&str; 2] = ["--replSet", "own"];

fn open(database: &Database) -> MongoDb {
    let timeouts = Timeouts {
        server_selection: Duration::from_secs(1),
        connect: Duration::from_secs(1),
        command: Duration::from_secs(2),
    };
    sinks::mongodb::open_with(&database.uri, &database.name, tables(), timeouts).unwrap()
}

/// A patient writer, and how often it failed.
fn patient(storage: &MongoDb) -> (Retrying, Arc<AtomicU32>) {
    let failures = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&failures);
    let observer = Arc::new(move |error: &SinkError, _| {
        assert!(error.is_temporary(), "{error}");
        count.fetch_add(1, Ordering::Relaxed);
    });
    begin(storage);
    let writer = storage.writer().unwrap();
    (Retrying::new(writer, observer, Arc::default()), failures)
}

/// What a writer and whoever disturbs it know of each other.
#[derive(Default)]
struct Work {
    stop: AtomicBool,
    /// Rounds written.
    rounds: AtomicU32,
}

/// Waits until something was counted some more times.
fn wait_for_more(count: &AtomicU32, more: u32) {
    let until = count.load(Ordering::Relaxed) + more;
    let deadline = Instant::now() + Duration::from_secs(60);
    while count.load(Ordering::Relaxed) < until {
        assert!(Instant::now() < deadline, "no progress within a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Writes rounds of the same rows until told to stop, and some more then;
/// returns the last round.
fn keep_writing(writer: &mut Retrying, work: &Work) -> i64 {
    let mut round = 0;
    let mut left = 5;
    while left > 0 {
        round += 1;
        let rows = (0..6_000).map(|n| customers(n % 7, &format!("g{n}"), round));
        let mut batch = puts(rows.collect());
        batch.epoch = u64::try_from(round).unwrap();
        writer.write(&batch).unwrap();
        writer
            .publish(&Progress {
                epoch: batch.epoch,
                ..Progress::default()
            })
            .unwrap();
        work.rounds.fetch_add(1, Ordering::Relaxed);
        left -= i32::from(work.stop.load(Ordering::Relaxed));
    }
    round
}

#[track_caller]
fn everything_arrived(database: &Database, last: i64) {
    let rows = database.documents("customer_analysis");
    assert_eq!(rows.len(), 6_000);
    for row in rows {
        assert_eq!(row.get_i64("total").unwrap(), last, "{row}");
    }
    let progress = database.documents("progress");
    assert_eq!(progress[0].get_i64("epoch").unwrap(), last);
}

#[test]
fn killed_and_started_again() {
    let mut server = Server::start_with(&REPLICATED);
    let database = Database::at(&server.uri(), "killed");
    let storage = open(&database);
    storage.prepare().unwrap();
    let (mut writer, failures) = patient(&storage);
    let work = Work::default();
    let last = std::thread::scope(|scope| {
        let writing = scope.spawn(|| keep_writing(&mut writer, &work));
        for _ in 0..2 {
            wait_for_more(&work.rounds, 3);
            server.kill();
            wait_for_more(&failures, 2);
            server.restart();
            wait_for(|| storage.prepare(), Duration::from_secs(60), &work.stop).unwrap();
        }
        wait_for_more(&work.rounds, 3);
        work.stop.store(true, Ordering::Relaxed);
        writing.join().unwrap()
    });
    everything_arrived(&database, last);
}

#[test]
fn frozen_and_thawed() {
    let server = Server::start_with(&REPLICATED);
    let database = Database::at(&server.uri(), "frozen");
    let storage = open(&database);
    storage.prepare().unwrap();
    let (mut writer, failures) = patient(&storage);
    let work = Work::default();
    let last = std::thread::scope(|scope| {
        let writing = scope.spawn(|| keep_writing(&mut writer, &work));
        for _ in 0..2 {
            wait_for_more(&work.rounds, 3);
            server.freeze();
            // A command is given up and sent again, and both reach the server
            // when it thaws.
            wait_for_more(&failures, 2);
            server.thaw();
        }
        wait_for_more(&work.rounds, 3);
        work.stop.store(true, Ordering::Relaxed);
        writing.join().unwrap()
    });
    everything_arrived(&database, last);
}

#[test]
fn away_at_the_start() {
    let mut server = Server::start_with(&REPLICATED);
    let database = Database::at(&server.uri(), "start");
    server.kill();
    let storage = open(&database);
    let never = AtomicBool::new(false);
    let start = Instant::now();
    let error = wait_for(|| storage.prepare(), Duration::from_secs(2), &never).unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert!(start.elapsed() < Duration::from_secs(6));
    server.restart();
    wait_for(|| storage.prepare(), Duration::from_secs(60), &never).unwrap();
    let (mut writer, _) = patient(&storage);
    writer.write(&puts(vec![customers(0, "x", 1)])).unwrap();
    assert_eq!(database.documents("customer_analysis").len(), 1);
}

/// Compose files start a server and initiate its set some seconds later.
#[test]
fn a_set_is_one_before_it_is_initiated() {
    let counting = "reportOpWriteConcernCountersInServerStatus=true";
    let arguments = [&REPLICATED[..], &["--setParameter", counting]].concat();
    let server = Server::start_uninitiated(&arguments);
    let database = Database::at_unready(&server.uri(), "early");
    let storage = open(&database);
    let never = AtomicBool::new(false);
    let error = wait_for(|| storage.prepare(), Duration::from_secs(1), &never).unwrap_err();
    assert!(error.is_temporary(), "{error}");
    server.initiate();
    wait_for(|| storage.prepare(), Duration::from_secs(60), &never).unwrap();
    begin(&storage);
    let mut writer = storage.writer().unwrap();
    writer.write(&puts(vec![customers(0, "x", 1)])).unwrap();
    writer.publish(&Progress::default()).unwrap();

    // What is no transaction (a claim, a lane, progress) waited for a majority; and the
    // rows were one.
    let status = Database::admin(&server.uri()).command(doc! {"serverStatus": 1});
    let counters = status.get_document("opWriteConcernCounters").unwrap();
    let updates = counters.get_document("update").unwrap();
    assert_eq!(updates.get_i64("wmajority").unwrap(), 3, "{counters}");
    let sessions = Database::config(&server.uri()).documents("transactions");
    let committed = |session: &&Document| {
        session
            .get_str("state")
            .is_ok_and(|state| state == "committed")
    };
    assert_eq!(sessions.iter().filter(committed).count(), 1, "{sessions:?}");
}

#[test]
fn a_server_that_is_no_replica_set_works() {
    let server = Server::start();
    let database = Database::at(&server.uri(), "alone");
    let storage = open(&database);
    wait_for(
        || storage.prepare(),
        Duration::from_secs(60),
        &AtomicBool::new(false),
    )
    .unwrap();
    begin(&storage);
    let mut writer = storage.writer().unwrap();
    // One of the last batch is not as new as believed.
    for total in [1, 2] {
        let row = |window| Row {
            expect: sinks::Expect::Absent,
            ..customers(window, "x", total)
        };
        writer.write(&puts(vec![row(0), row(total)])).unwrap();
    }
    let rows = database.documents("customer_analysis");
    let total = |row: &Document| row.get_i64("total").unwrap();
    assert_eq!(rows.iter().map(total).collect::<Vec<_>>(), [2, 1, 2]);
    writer.publish(&Progress::default()).unwrap();
    let reader = storage.reader().unwrap();
    assert_eq!(reader.progress().unwrap(), Some(Progress::default()));
}

#[test]
fn a_wrong_password_is_refused_and_in_no_message() {
    let server = Server::start_with(&["--auth"]);
    let open = |password: &str| {
        let uri = format!("mongodb://anna:{password}@127.0.0.1:{}", server.port());
        sinks::mongodb::open(&uri, "shop", tables()).unwrap()
    };
    // Without a user yet, whoever is on this machine may create the first.
    Database::admin(&server.uri())
        .command(doc! {"createUser": "root", "pwd": "root", "roles": ["root"]});
    let root = format!("mongodb://root:root@127.0.0.1:{}", server.port());
    // `readWrite` on the one database is all that it takes.
    Database::admin(&root).command(doc! {"createUser": "anna", "pwd": "right-one", "roles": [
        {"role": "readWrite", "db": "shop"},
    ]});
    let right = open("right-one");
    right.prepare().unwrap();
    begin(&right);
    let mut writer = right.writer().unwrap();
    writer.write(&puts(vec![customers(0, "x", 1)])).unwrap();

    let wrong = open("wr0ng-one");
    let start = Instant::now();
    for result in [
        wrong.prepare(),
        wrong.claim(&claim("here")).map(drop),
        wrong.reader().unwrap().ping(),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("wr0ng-one"));
        assert!(error.to_string().contains("check user"), "{error}");
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}
