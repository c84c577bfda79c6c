//! Commands that a real MongoDB gets late: given up by whoever sent them, sent
//! again and done, and then there after all, when the row has changed again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::proxy::Proxy;
use common::server::{Database, Server};
use common::{begin, customers, interactions, puts, tables};
use mongodb::bson::{Document, doc};
use sinks::mongodb::MongoDb;
use sinks::retry::Retrying;
use sinks::{Batch, Row, SinkError, Storage, Writer};

const REPLICATED: [&str; 2] = ["--replSet", "own"];

/// A server with a proxy before it, and what is written through that.
struct Scene {
    storage: MongoDb,
    // Dropped at the end, while its server still runs.
    database: Database,
    proxy: Proxy,
    server: Server,
}

impl Scene {
    fn new(test: &str, server: Server) -> Scene {
        let proxy = Proxy::before(server.port());
        let database = Database::at(&server.uri(), test);
        let storage = sinks::mongodb::open(&proxy.uri(), &database.name, tables()).unwrap();
        storage.prepare().unwrap();
        begin(&storage);
        Scene {
            storage,
            database,
            proxy,
            server,
        }
    }

    /// Writes `batch`, while its command of this name to the row's collection is
    /// held back.
    #[track_caller]
    fn write_twice(&self, writer: Box<dyn Writer>, command: &str, batch: &Batch) -> Retrying {
        let failures = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&failures);
        let observer = Arc::new(move |error: &SinkError, _| {
            assert!(error.is_temporary(), "{error}");
            count.fetch_add(1, Ordering::Relaxed);
        });
        let mut writer = Retrying::new(writer, observer, Arc::default());
        let before = self.lanes();
        self.proxy.hold(command, "interaction_analysis");
        writer.write(batch).unwrap();
        assert!(failures.load(Ordering::Relaxed) > 0);
        assert_eq!(self.lanes() - before, 2);
        writer
    }

    /// How many have been used.
    fn lanes(&self) -> usize {
        self.database.documents("tidemark_writers").len()
    }

    fn totals(&self) -> Vec<i64> {
        totals(&self.database)
    }
}

fn totals(database: &Database) -> Vec<i64> {
    let rows = database.documents("interaction_analysis");
    rows.iter()
        .map(|row| row.get_i64("total").unwrap())
        .collect()
}

fn row(total: i64) -> Row {
    interactions(0, "p", "review", total)
}

/// As much for the first lane as makes a second transaction of what comes after, so that the
/// row's command is the second lane's. A batch of nothing but the row's goes through the
/// first, and leaves the second as it is.
fn others() -> Vec<Row> {
    (0..100).map(|window| customers(window, "x", 1)).collect()
}

fn put_of(row: Row) -> Batch {
    let mut rows = others();
    rows.push(row);
    puts(rows)
}

fn delete() -> Batch {
    Batch {
        deletes: vec![row(0).id],
        ..puts(Vec::new())
    }
}

fn deletes() -> Batch {
    Batch {
        puts: others(),
        ..delete()
    }
}

#[track_caller]
fn is_refused(reply: &Document) {
    let name = reply.get_str("codeName");
    assert!(
        name.is_ok_and(|name| name == "TransactionTooOld"),
        "{reply}"
    );
}

#[test]
fn a_delete_that_comes_late_leaves_the_new_row() {
    let scene = Scene::new("late", Server::start_with(&REPLICATED));
    let writer = scene.storage.writer().unwrap();
    let mut writer = scene.write_twice(writer, "delete", &deletes());
    writer.write(&puts(vec![row(1)])).unwrap();
    let reply = scene.proxy.deliver(scene.server.port());
    assert_eq!(scene.totals(), [1], "{reply}");
    is_refused(&reply);
}

/// A replacement by an equal document is not remembered either.
#[test]
fn a_put_that_comes_late_leaves_the_new_row() {
    let scene = Scene::new("late_put", Server::start_with(&REPLICATED));
    let batch = put_of(row(1));
    scene.storage.writer().unwrap().write(&batch).unwrap();
    // As a process does that starts again.
    let writer = scene.storage.writer().unwrap();
    let mut writer = scene.write_twice(writer, "update", &batch);
    writer.write(&puts(vec![row(2)])).unwrap();
    let reply = scene.proxy.deliver(scene.server.port());
    assert_eq!(scene.totals(), [2], "{reply}");
    is_refused(&reply);
}

#[test]
fn an_insert_that_comes_late_does_not_bring_the_row_back() {
    let scene = Scene::new("late_insert", Server::start_with(&REPLICATED));
    let batch = put_of(Row {
        expect: sinks::Expect::Absent,
        ..row(1)
    });
    let writer = scene.storage.writer().unwrap();
    let mut writer = scene.write_twice(writer, "insert", &batch);
    writer.write(&delete()).unwrap();
    let reply = scene.proxy.deliver(scene.server.port());
    assert_eq!(scene.totals(), [0; 0], "{reply}");
    is_refused(&reply);
}

/// What a server had only in memory is gone then.
#[test]
fn a_delete_that_comes_after_a_restart_leaves_the_new_row() {
    let mut scene = Scene::new("late_restart", Server::start_with(&REPLICATED));
    let writer = scene.storage.writer().unwrap();
    let mut writer = scene.write_twice(writer, "delete", &deletes());
    writer.write(&puts(vec![row(1)])).unwrap();
    scene.server.kill();
    scene.server.restart();
    scene.server.wait_for_primary();
    let reply = scene.proxy.deliver(scene.server.port());
    assert_eq!(scene.totals(), [1], "{reply}");
    is_refused(&reply);
}

#[test]
fn a_delete_that_comes_to_the_next_primary_leaves_the_new_row() {
    let server = Server::start_uninitiated(&REPLICATED);
    let second = Server::start_uninitiated(&REPLICATED);
    server.initiate_with(&[&second]);
    let scene = Scene::new("late_primary", server);
    let writer = scene.storage.writer().unwrap();
    let mut writer = scene.write_twice(writer, "delete", &deletes());
    writer.write(&puts(vec![row(1)])).unwrap();
    Database::admin(&scene.server.uri()).command(doc! {"replSetStepDown": 60});
    second.wait_for_primary();
    let reply = scene.proxy.deliver(second.port());
    let there = Database::called(&second.uri(), scene.database.name.clone());
    assert_eq!(totals(&there), [1], "{reply}");
    is_refused(&reply);
}

/// Whoever gives a batch up and goes on with another is as safe.
#[test]
fn a_delete_of_a_batch_that_was_given_up_leaves_the_new_row() {
    let scene = Scene::new("late_given_up", Server::start_with(&REPLICATED));
    let mut writer = scene.storage.writer().unwrap();
    scene.proxy.hold("delete", "interaction_analysis");
    let error = writer.write(&deletes()).unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert_eq!(scene.lanes(), 2);
    writer.write(&puts(vec![row(1)])).unwrap();
    let reply = scene.proxy.deliver(scene.server.port());
    assert_eq!(scene.totals(), [1], "{reply}");
    is_refused(&reply);
}

/// The beginning of a transaction may come late as well.
#[test]
fn a_beginning_and_a_delete_that_come_late_leave_the_new_row() {
    let scene = Scene::new("late_beginning", Server::start_with(&REPLICATED));
    scene.proxy.hold("update", "tidemark_writers");
    let writer = scene.storage.writer().unwrap();
    let mut writer = scene.write_twice(writer, "delete", &deletes());
    writer.write(&puts(vec![row(1)])).unwrap();
    for _ in 0..2 {
        let reply = scene.proxy.deliver(scene.server.port());
        assert_eq!(scene.totals(), [1], "{reply}");
        is_refused(&reply);
    }
}
