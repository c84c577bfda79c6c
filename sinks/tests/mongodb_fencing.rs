//! A run that was replaced, stopped at every step of what it does and woken up after
//! the takeover: the server refuses what it still sends, and it learns who replaced it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::proxy::Proxy;
use common::server::{Database, Server};
use common::{START, claim, interactions, letter, offsets, puts, tables};
use mongodb::bson::{Document, doc};
use sinks::mongodb::MongoDb;
use sinks::{Batch, Claim, Holder, Progress, SinkError, Storage, WriteIntent, Writer};

const REPLICATED: [&str; 2] = ["--replSet", "own"];

/// The old run, which reaches the server through a proxy, and the new one.
struct Scene {
    old: MongoDb,
    new: MongoDb,
    proxy: Proxy,
    // Dropped at the end, while its server still runs.
    database: Database,
}

impl Scene {
    /// The old run has written a row and two dead letters.
    fn new(server: &Server, test: &str) -> (Scene, Box<dyn Writer>) {
        let proxy = Proxy::before(server.port());
        let database = Database::at(&server.uri(), test);
        let open = |uri: &str| sinks::mongodb::open(uri, &database.name, tables()).unwrap();
        let (old, new) = (open(&proxy.uri()), open(&server.uri()));
        old.prepare().unwrap();
        old.claim(&claim("old")).unwrap();
        let mut writer = old.writer().unwrap();
        let mut first = puts(vec![row(1)]);
        writer.write(&first).unwrap();
        first.puts.clear();
        first.dead_letters = vec![letter(1), letter(2)];
        writer.write(&first).unwrap();
        let scene = Scene {
            old,
            new,
            proxy,
            database,
        };
        (scene, writer)
    }

    fn take_over(&self) -> Holder {
        let taking = Claim {
            take_over: true,
            ..claim("new")
        };
        self.new.claim(&taking).unwrap()
    }

    /// All that there is, of both runs.
    fn documents(&self) -> Vec<Vec<Document>> {
        [
            "interaction_analysis",
            "dead_letters",
            "progress",
            "tidemark_writers",
        ]
        .map(|collection| self.database.documents(collection))
        .into()
    }

    /// Lets the old run do `work` up to the pause, takes over, and lets it go on.
    #[track_caller]
    fn replace_during(&self, work: impl FnOnce() -> Result<(), SinkError> + Send) {
        std::thread::scope(|scope| {
            let working = scope.spawn(work);
            self.proxy.wait_for_pause();
            let started = Instant::now();
            let new = self.take_over();
            let took = started.elapsed();
            let mut writer = self.new.writer().unwrap();
            writer.write(&puts(vec![row(9)])).unwrap();
            let before = self.documents();
            self.proxy.resume();
            match working.join().unwrap() {
                Err(SinkError::Replaced { by, generation, .. }) => {
                    assert_eq!((by, generation), (new, 1));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(self.documents(), before);
            let rows = self.database.documents("interaction_analysis");
            let totals: Vec<_> = rows.iter().map(|row| row.get_i64("total")).collect();
            assert!(matches!(totals[..], [Ok(9)]), "{rows:?}");
            assert_eq!(self.database.documents("dead_letters").len(), 2);
            // A minute, if nobody had ended what the old run had begun.
            assert!(took < Duration::from_secs(20), "{took:?}");
        });
    }
}

fn row(total: i64) -> sinks::Row {
    interactions(0, "p", "review", total)
}

fn other_row() -> sinks::Row {
    interactions(0, "q", "review", 1)
}

/// A step of a transaction, before which the old run is stopped.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    /// Of the transaction that is done in place of one that was refused.
    BeginAgain,
    Change,
    Commit,
}

/// What changes the row or the letters, and the command that does so.
fn batches() -> [(Batch, &'static str, &'static str); 8] {
    let nothing = || puts(Vec::new());
    let put = puts(vec![row(2), other_row()]);
    let new = |batch: Batch| Batch {
        puts: batch
            .puts
            .into_iter()
            .map(|row| sinks::Row {
                expect: sinks::Expect::Absent,
                ..row
            })
            .collect(),
        ..batch
    };
    // One that is new, and one that is not as new as believed.
    let insert = new(puts(vec![other_row()]));
    let put_after_all = new(put.clone());
    let delete = Batch {
        deletes: vec![row(0).id],
        ..nothing()
    };
    let mut changed = letter(1);
    changed.detail = "changed".into();
    let letters = Batch {
        dead_letters: vec![changed, letter(3)],
        ..nothing()
    };
    let new_letters = Batch {
        dead_letters: vec![letter(3)],
        letters_are_new: true,
        ..nothing()
    };
    let new_letters_after_all = Batch {
        letters_are_new: true,
        ..letters.clone()
    };
    let letter_delete = Batch {
        letter_deletes: vec![letter(2).id()],
        ..nothing()
    };
    [
        (put, "update", "interaction_analysis"),
        (insert, "insert", "interaction_analysis"),
        (put_after_all, "update", "interaction_analysis"),
        (delete, "delete", "interaction_analysis"),
        (letters, "update", "dead_letters"),
        (new_letters, "insert", "dead_letters"),
        (new_letters_after_all, "update", "dead_letters"),
        (letter_delete, "delete", "dead_letters"),
    ]
}

/// Whether what it says to be new is there.
fn is_refused(batch: &Batch) -> bool {
    let is_there = |put: &sinks::Row| put.id == row(1).id;
    batch
        .puts
        .iter()
        .any(|put| put.expect == sinks::Expect::Absent && is_there(put))
        || batch.letters_are_new && batch.dead_letters.iter().any(|put| put.offset == 1)
}

#[test]
fn nothing_is_written_after_a_takeover_at_any_step_of_a_transaction() {
    let server = Server::start_with(&REPLICATED);
    for step in [Step::Begin, Step::BeginAgain, Step::Change, Step::Commit] {
        for (number, (batch, command, collection)) in batches().into_iter().enumerate() {
            if matches!(step, Step::BeginAgain) && !is_refused(&batch) {
                continue;
            }
            println!("{step:?} of {command} {collection}");
            let (scene, mut writer) = Scene::new(&server, &format!("fence_{step:?}_{number}"));
            match step {
                Step::Begin => scene.proxy.pause("update", "tidemark_writers"),
                Step::BeginAgain => scene.proxy.pause_after(1, "update", "tidemark_writers"),
                Step::Change => scene.proxy.pause(command, collection),
                Step::Commit => scene.proxy.pause_commit(),
            }
            scene.replace_during(|| writer.write(&batch));
        }
    }
}

/// A lane makes its document when it is used first.
#[test]
fn nobody_begins_to_write_after_a_takeover() {
    let server = Server::start_with(&REPLICATED);
    for (command, collection) in [("insert", "tidemark_writers"), ("update", "progress")] {
        let (scene, _writer) = Scene::new(&server, &format!("fence_first_{command}"));
        let mut another = scene.old.writer().unwrap();
        scene.proxy.pause(command, collection);
        scene.replace_during(|| another.write(&puts(vec![row(2)])));
    }
}

#[test]
fn nothing_is_published_after_a_takeover() {
    let server = Server::start_with(&REPLICATED);
    let (scene, mut writer) = Scene::new(&server, "fence_publish");
    let progress = Progress {
        epoch: 6,
        offsets: offsets(),
        updated_at: START,
        ..Progress::default()
    };
    scene.proxy.pause("update", "progress");
    scene.replace_during(|| writer.publish(&progress));
}

#[test]
fn nothing_is_reached_after_a_takeover() {
    let server = Server::start_with(&REPLICATED);
    let (scene, mut writer) = Scene::new(&server, "fence_reach");
    let reaching = WriteIntent {
        epoch: 6,
        offsets: offsets(),
        ..WriteIntent::default()
    };
    scene.proxy.pause("update", "progress");
    scene.replace_during(|| writer.reach(&reaching));
}

/// An answer that comes late is not one of the new run.
#[test]
fn nobody_answers_for_the_one_that_has_taken_over() {
    let server = Server::start_with(&REPLICATED);
    let (scene, _writer) = Scene::new(&server, "fence_answer");
    scene
        .database
        .command(doc! {"update": "progress", "updates": [
            {"q": {"_id": "tidemark"}, "u": {"$set": {"challenge": 5_i64}}},
        ]});
    scene.proxy.pause("update", "progress");
    scene.replace_during(|| {
        scene.old.watch(true)?;
        scene.old.watch(true)
    });
}

/// It was killed between its rows and the commit: the rows are free again in a moment,
/// and not after the minute that the server gives a transaction.
#[test]
fn what_a_killed_run_has_begun_is_ended() {
    let server = Server::start_with(&REPLICATED);
    let (scene, mut writer) = Scene::new(&server, "fence_killed");
    scene.proxy.pause_commit();
    std::thread::scope(|scope| {
        scope.spawn(|| writer.write(&puts(vec![row(2)])));
        scene.proxy.wait_for_pause();
        let started = Instant::now();
        scene.take_over();
        let claimed = started.elapsed();
        let mut new = scene.new.writer().unwrap();
        new.write(&puts(vec![row(3)])).unwrap();
        let took = started.elapsed();
        println!("claimed in {claimed:?}, row written after {took:?}");
        assert!(took < Duration::from_secs(20), "{took:?}");
        scene.proxy.resume();
    });
}

/// Publications and what may be there, given up, said again, and then there after all.
#[test]
fn what_is_said_of_epochs_never_goes_back() {
    let server = Server::start_with(&REPLICATED);
    let (scene, mut writer) = Scene::new(&server, "fence_late");
    let progress = |epoch| Progress {
        epoch,
        ..Progress::default()
    };
    let reaching = |epoch| WriteIntent {
        epoch,
        offsets: offsets(),
        ..WriteIntent::default()
    };
    for epoch in [7, 8] {
        scene.proxy.hold("update", "progress");
        assert!(writer.reach(&reaching(epoch)).unwrap_err().is_temporary());
        writer.reach(&reaching(epoch)).unwrap();
        scene.proxy.hold("update", "progress");
        let error = writer.publish(&progress(epoch)).unwrap_err();
        assert!(error.is_temporary(), "{error}");
        writer.publish(&progress(epoch)).unwrap();
    }
    let before = scene.documents();
    for held in 0..3 {
        let reply = scene.proxy.deliver(server.port());
        assert_eq!(reply.get_i32("n").unwrap(), 0, "{held}: {reply}");
    }
    assert_eq!(scene.documents(), before);
    assert!(writer.publish(&progress(7)).is_err(), "8 is complete");
}
