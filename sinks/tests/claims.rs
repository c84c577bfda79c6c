//! Who may write: the same for both databases.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::server::Database;
use common::{claim, customers, log, offsets, puts, tables};
use sinks::{Claim, Holder, LetterCount, Log, Progress, SinkError, Standing, Storage, WriteIntent};

/// Opens the database of a test, as one more process.
type Open<'a> = &'a (dyn Fn() -> Box<dyn Storage> + Sync);

fn on_both(test: &str, scenario: impl Fn(Open<'_>)) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tidemark.db");
    scenario(&|| {
        let storage = sinks::embedded::open(&path, tables()).unwrap();
        storage.prepare().unwrap();
        Box::new(storage)
    });
    let database = Database::new(test);
    scenario(&|| {
        let storage = sinks::mongodb::open(&database.uri, &database.name, tables()).unwrap();
        storage.prepare().unwrap();
        Box::new(storage)
    });
}

/// Does `work` while whoever holds the database answers.
fn while_alive<T>(storage: &dyn Storage, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                storage.watch(true).unwrap();
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    })
}

#[track_caller]
fn is_replaced(result: Result<(), SinkError>, by: &Holder) {
    match result {
        Err(error @ SinkError::Replaced { .. }) => {
            assert!(!error.is_temporary());
            let text = error.to_string();
            let who = format!("{by} has taken over; this run (generation ");
            assert!(text.contains(&who), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

fn definitions(window: &str) -> BTreeMap<String, String> {
    let text = format!("windows of {window}");
    BTreeMap::from([("customer_analysis".to_owned(), text)])
}

fn standing(storage: &dyn Storage) -> Standing {
    storage.reader().unwrap().standing().unwrap()
}

#[test]
fn nothing_is_written_before_a_claim() {
    on_both("claim_first", |open| {
        let storage = open();
        assert_eq!(standing(&*storage), Standing::default());
        assert!(storage.writer().is_err());
        assert!(storage.watch(true).is_err());
        assert!(storage.define(&definitions("1h")).is_err());
        assert!(storage.release().is_err());
        let holder = storage.claim(&claim("a")).unwrap();
        let expected = Holder {
            generation: 1,
            host: "a".into(),
            process: 17,
            started_at: common::START,
        };
        assert_eq!(holder, expected);
        assert_eq!(
            standing(&*storage),
            Standing {
                holder: Some(expected),
                ..Standing::default()
            }
        );
        storage.watch(true).unwrap();
    });
}

#[test]
fn one_that_is_alive_keeps_it_unless_it_is_taken() {
    on_both("claim_alive", |open| {
        let (first, second) = (open(), open());
        let holder = first.claim(&claim("a")).unwrap();
        while_alive(&*first, || match second.claim(&claim("b")) {
            Err(error @ SinkError::Held { .. }) => {
                let text = error.to_string();
                assert!(text.contains(&holder.to_string()), "{text}");
                assert!(text.contains("--take-over"), "{text}");
            }
            other => panic!("{other:?}"),
        });
        first.watch(true).unwrap();

        let taking = Claim {
            take_over: true,
            ..claim("b")
        };
        let new = second.claim(&taking).unwrap();
        assert_eq!((new.generation, &*new.host), (2, "b"));
        is_replaced(first.watch(true), &new);
        is_replaced(first.watch(false), &new);
        is_replaced(first.define(&definitions("1h")), &new);
        assert_eq!(standing(&*second).definitions, BTreeMap::new());
        is_replaced(first.release(), &new);
        is_replaced(first.enter(&holder), &new);
        second.watch(true).unwrap();
    });
}

#[test]
fn one_that_does_not_answer_loses_it() {
    on_both("claim_silent", |open| {
        let (first, second) = (open(), open());
        first.claim(&claim("a")).unwrap();
        let mut writer = first.writer().unwrap();
        writer.write(&puts(vec![customers(0, "x", 1)])).unwrap();
        // A process other than 0 looks, and does not answer.
        first.watch(false).unwrap();
        let patience = Duration::from_millis(300);
        let asking = Claim {
            patience,
            ..claim("b")
        };
        let new = second.claim(&asking).unwrap();
        assert_eq!(new.generation, 2);

        let batch = puts(vec![customers(0, "x", 2), customers(1, "x", 2)]);
        is_replaced(writer.write(&batch), &new);
        is_replaced(writer.publish(&Progress::default()), &new);
        let reaching = WriteIntent {
            epoch: 9,
            ..WriteIntent::default()
        };
        is_replaced(writer.reach(&reaching), &new);
        let before = standing(&*second);
        assert_eq!((before.progress, before.reaching.epoch), (None, 0));
        second.writer().unwrap().write(&batch).unwrap();
    });
}

#[test]
fn one_that_has_ended_is_not_asked() {
    on_both("claim_ended", |open| {
        let (first, second) = (open(), open());
        let hour = Duration::from_secs(3_600);
        let patient = |host| Claim {
            patience: hour,
            ..claim(host)
        };
        first.claim(&patient("a")).unwrap();
        first.define(&definitions("1h")).unwrap();
        first.define(&definitions("2h")).unwrap();
        let mut writer = first.writer().unwrap();
        let reaching = WriteIntent {
            limits: None,
            epoch: 3,
            offsets: offsets(),
            log: log(),
        };
        writer.reach(&reaching).unwrap();
        let progress = Progress {
            epoch: 3,
            ..Progress::default()
        };
        writer.publish(&progress).unwrap();
        first.release().unwrap();
        assert!(standing(&*first).ended);

        let new = second.claim(&patient("b")).unwrap();
        assert_eq!(new.generation, 2);
        // What is said of the rows stays.
        assert_eq!(
            standing(&*second),
            Standing {
                progress: Some(progress),
                reaching,
                definitions: definitions("2h"),
                holder: Some(new),
                ended: false,
                counted: None,
            }
        );
    });
}

#[test]
fn what_was_counted_is_kept_until_a_run_ends_well() {
    on_both("claim_counted", |open| {
        let (first, second, third) = (open(), open(), open());
        let counted = |letters| LetterCount {
            messages: 1_000,
            letters,
        };
        first.claim(&claim("a")).unwrap();
        assert_eq!(standing(&*first).counted, None);
        first.keep_count(counted(11)).unwrap();

        let taking = |host| Claim {
            take_over: true,
            ..claim(host)
        };
        let new = second.claim(&taking("b")).unwrap();
        assert_eq!(standing(&*second).counted, Some(counted(11)));
        is_replaced(first.keep_count(counted(12)), &new);
        second.keep_count(counted(20)).unwrap();
        assert_eq!(standing(&*first).counted, Some(counted(20)));

        third.claim(&taking("c")).unwrap();
        third.release().unwrap();
        assert_eq!(standing(&*third).counted, None);
        assert!(standing(&*third).ended);
    });
}

#[test]
fn one_that_was_killed_on_this_machine_is_not_asked() {
    on_both("claim_killed", |open| {
        let (first, second) = (open(), open());
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let of = |process| Claim {
            process,
            patience: Duration::from_secs(3_600),
            ..claim("this one")
        };
        first.claim(&of(child.id())).unwrap();
        let asking = Claim {
            process: std::process::id(),
            ..claim("this one")
        };
        let answered = while_alive(&*first, || second.claim(&asking));
        assert!(matches!(answered, Err(SinkError::Held { .. })));
        child.kill().unwrap();
        child.wait().unwrap();
        second.claim(&of(std::process::id())).unwrap();
    });
}

/// The claim that got no answer has passed, and is made again.
#[test]
fn a_claim_that_is_made_again_does_not_ask_itself() {
    on_both("claim_again", |open| {
        let again = Claim {
            patience: Duration::from_secs(3_600),
            ..claim("a")
        };
        assert_eq!(open().claim(&again).unwrap().generation, 1);
        assert_eq!(open().claim(&again).unwrap().generation, 2);
    });
}

#[test]
fn of_many_that_claim_at_once_one_gets_it() {
    const MANY: usize = 6;
    on_both("claim_many", |open| {
        let (held, won) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let all_there = std::sync::Barrier::new(MANY);
        std::thread::scope(|scope| {
            for number in 0..MANY {
                let (held, won, all_there) = (&held, &won, &all_there);
                scope.spawn(move || {
                    let storage = open();
                    all_there.wait();
                    match storage.claim(&claim(&format!("host {number}"))) {
                        Ok(_) => {
                            won.fetch_add(1, Ordering::Relaxed);
                            while held.load(Ordering::Relaxed) < MANY - 1 {
                                storage.watch(true).unwrap();
                            }
                        }
                        Err(SinkError::Held { .. }) => {
                            held.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(other) => panic!("{other}"),
                    }
                });
            }
        });
        assert_eq!(won.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn of_many_that_take_over_at_once_each_gets_a_generation_of_its_own() {
    on_both("claim_taking", |open| {
        let mut generations: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..6)
                .map(|number| {
                    scope.spawn(move || {
                        let taking = Claim {
                            take_over: true,
                            ..claim(&format!("host {number}"))
                        };
                        open().claim(&taking).unwrap().generation
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        generations.sort_unstable();
        assert_eq!(generations, [1, 2, 3, 4, 5, 6]);
    });
}

#[test]
fn processes_of_a_run_write_under_one_generation() {
    on_both("claim_enter", |open| {
        let (first, second) = (open(), open());
        let holder = first.claim(&claim("a")).unwrap();
        second.enter(&holder).unwrap();
        for storage in [&first, &second] {
            let mut writer = storage.writer().unwrap();
            writer.write(&puts(vec![customers(0, "x", 1)])).unwrap();
            storage.watch(false).unwrap();
        }
        let later = Holder {
            generation: 2,
            ..holder
        };
        assert!(second.enter(&later).is_err(), "nobody has claimed that");
    });
}

#[test]
fn what_may_be_there_only_grows() {
    on_both("claim_reach", |open| {
        let storage = open();
        storage.claim(&claim("a")).unwrap();
        let mut writer = storage.writer().unwrap();
        let reaching = |epoch| WriteIntent {
            limits: None,
            epoch,
            offsets: offsets(),
            log: log(),
        };
        for epoch in [4, 9, 9] {
            writer.reach(&reaching(epoch)).unwrap();
            assert_eq!(standing(&*storage).reaching, reaching(epoch));
        }
        let error = writer.reach(&reaching(8)).unwrap_err();
        assert!(error.to_string().contains("through 9"), "{error}");
        let other = WriteIntent {
            epoch: 9,
            ..WriteIntent::default()
        };
        assert!(writer.reach(&other).is_err(), "9 said something else");
        let elsewhere = WriteIntent {
            log: Log::default(),
            ..reaching(9)
        };
        assert!(writer.reach(&elsewhere).is_err(), "9 was of another log");
        assert_eq!(standing(&*storage).reaching, reaching(9));
    });
}

/// What is read after a restart: everything of later epochs, and no more.
#[test]
fn what_was_written_after_an_epoch_comes_back() {
    on_both("claim_after", |open| {
        let storage = open();
        storage.claim(&claim("a")).unwrap();
        let mut writer = storage.writer().unwrap();
        let mut batch = puts(Vec::new());
        for epoch in 1..=6_u64 {
            let mut row = common::interactions(0, &format!("p{epoch}"), "review", 1);
            (row.epoch, row.is_final) = (epoch, epoch % 2 == 0);
            batch.puts.push(row);
            let mut letter = common::letter(i64::try_from(epoch).unwrap());
            letter.epoch = epoch;
            batch.dead_letters.push(letter);
        }
        writer.write(&batch).unwrap();

        let reader = storage.reader().unwrap();
        let mut rows = Vec::new();
        reader
            .written_after(1, 4, &mut |row| rows.push(row))
            .unwrap();
        rows.sort_by_key(|row| row.epoch);
        for (stored, row) in rows.iter().zip(&batch.puts[4..]) {
            assert_eq!((&stored.id, &stored.values), (&row.id.id, &row.values));
            assert_eq!(stored.is_final, row.is_final);
            assert_eq!(stored.updated_at, row.updated_at);
        }
        assert_eq!(rows.len(), 2);
        assert!(reader.written_after(7, 0, &mut |_| {}).is_err());

        let letters = || {
            let mut letters = Vec::new();
            reader
                .letters_after(4, &mut |letter| letters.push(letter))
                .unwrap();
            letters.sort_by_key(|letter| letter.epoch);
            letters
        };
        let expected = batch.dead_letters[4..]
            .iter()
            .map(|letter| sinks::StoredLetter {
                id: letter.id(),
                topic: letter.topic.clone(),
                partition: letter.partition,
                offset: letter.offset,
                reason: letter.reason,
                view: letter.view.clone(),
                epoch: letter.epoch,
            });
        let expected: Vec<_> = expected.collect();
        assert_eq!(letters(), expected);
        let none_after_all = sinks::Batch {
            letter_deletes: vec![expected[0].id.clone(), "never there".into()],
            ..puts(Vec::new())
        };
        writer.write(&none_after_all).unwrap();
        assert_eq!(letters(), expected[1..]);
    });
}

/// Progress within a batch is for a database that writes as one.
#[test]
fn rows_and_progress_in_one_batch() {
    on_both("claim_as_one", |open| {
        let storage = open();
        storage.claim(&claim("a")).unwrap();
        let batch = sinks::Batch {
            progress: Some(Progress {
                epoch: 6,
                offsets: offsets(),
                ..Progress::default()
            }),
            ..puts(vec![customers(0, "x", 1)])
        };
        let written = storage.writer().unwrap().write(&batch);
        let progress = storage.reader().unwrap().progress().unwrap();
        match storage.writes_as_one() {
            true => {
                written.unwrap();
                assert_eq!(progress, batch.progress);
            }
            false => {
                assert!(!written.unwrap_err().is_temporary());
                assert_eq!(progress, None);
            }
        }
    });
}
