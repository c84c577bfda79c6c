//! Runs that end well, or run on, and have counted next to nothing: they say so, or end otherwise.

use end_to_end::checkpoint::Folder;
use end_to_end::pipeline::{PATIENCE, Run};
use end_to_end::samples::{Sample, with};
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Process, Scene, eventually};
use std::io::Write;

/// Schema-registry framing: a zero byte and the id of a schema.
fn framed(topic: &'static str) -> Vec<u8> {
    [b"\0\0\0\0\x01", with(topic, &[]).as_bytes()].concat()
}

fn repeated(topic: &'static str, value: impl Into<Vec<u8>>, count: usize) -> Vec<Sample> {
    vec![Sample::new(topic, value); count]
}

/// Different sales, in which a text is another one.
fn sales(from: &str, to: &str, count: usize) -> Vec<Sample> {
    let sale = |number: usize| {
        let id = format!("\"{number}\"");
        let sale = with("transactions", &[("transaction_id", &id)]);
        Sample::new("transactions", sale.replace(from, to))
    };
    (0..count).map(sale).collect()
}

/// In partitions of the same topic that two workers read, in turns.
fn spread(samples: Vec<Sample>) -> Vec<Sample> {
    let places = (0..2).cycle();
    let spread = samples.into_iter().zip(places);
    spread
        .map(|(sample, place)| sample.partition(place))
        .collect()
}

/// Warnings about a topic or view of this full name.
fn warnings(output: &str, name: &str) -> Vec<String> {
    let about = format!("{name}: ");
    let lines = output.lines();
    let lines = lines.filter(|line| line.contains(" WARN ") && line.contains(&about));
    lines.map(str::to_owned).collect()
}

fn only<T: std::fmt::Debug>(items: &[T]) -> &T {
    match items {
        [one] => one,
        _ => panic!("expected one of {items:#?}"),
    }
}

/// The output of each process, when all have ended with this code.
fn ended(mut run: Run, processes: usize, code: i32) -> Vec<String> {
    let end = |index| {
        let process: &mut Process = run.member(index);
        let found = process.exit_code(PATIENCE);
        let output = process.output();
        assert_eq!(found, Some(code), "{output}");
        output
    };
    (0..processes).map(end).collect()
}

#[test]
fn a_topic_of_malformed_messages_is_warned_of() {
    let scene = Scene::new("mostly-malformed", 2);
    let twice = serde_json::to_string(&with("product_views", &[])).expect("a text");
    let connect = format!(r#"{{"schema":null,"payload":{}}}"#, with("products", &[]));
    let good = |count| sales("", "", count);
    let renamed = |count| sales("\"quantity\"", "\"qty\"", count);
    let mut gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec();
    gzip.extend([0xab; 40]);
    scene.produce(&spread(repeated("customers", framed("customers"), 50)));
    // Five for each of two processes.
    scene.produce(&spread(repeated("products", connect, 10)));
    scene.produce(&spread(good(3_000)));
    scene.produce(&spread(renamed(2_000)));
    scene.produce(&spread(repeated("product_views", twice, 50)));
    scene.produce(&spread(repeated("user_interactions", gzip, 50)));
    // Too few, and no more than half.
    scene.produce(&spread(repeated("system_logs", "x", 9)));
    let expected = [
        (
            "customers",
            "50 of its 50 messages (100 %)",
            "not JSON",
            "schema id 1",
        ),
        (
            "products",
            "10 of its 10 messages",
            "`product_id` is missing",
            "schemas.enable=false",
        ),
        (
            "transactions",
            "of its last 1,000 messages",
            "`quantity` is missing",
            "`quantity` is called `qty`",
        ),
        (
            "product_views",
            "50 of its 50 messages",
            "not a JSON object but a string",
            "twice",
        ),
        (
            "user_interactions",
            "50 of its 50 messages",
            "not UTF-8",
            "gzip",
        ),
    ];
    let check = |output: &str| {
        for (topic, share, reason, hint) in expected {
            let warnings = warnings(output, &scene.topic(topic));
            let warning = only(&warnings);
            for words in [share, reason, hint, "such as partition ", " offset "] {
                assert!(warning.contains(words), "{words:?} is not in {warning}");
            }
        }
        assert_eq!(
            warnings(output, &scene.topic("system_logs")),
            Vec::<String>::new()
        );
    };

    // One process says it of what both have read.
    let run = scene.pipeline().processes(2).until_caught_up().start();
    let outputs = ended(run, 2, 0);
    check(&outputs[0]);
    for (topic, ..) in expected {
        assert_eq!(
            warnings(&outputs[1], &scene.topic(topic)),
            Vec::<String>::new()
        );
    }
    scene.check();

    // While it runs, where there are enough; else when it is interrupted.
    let transactions = scene.topic("transactions");
    let mut run = scene.pipeline().workers(2).start();
    run.says(&format!("{transactions}: "));
    scene.await_caught_up();
    assert_eq!(
        warnings(&run.process().output(), &scene.topic("customers")),
        Vec::<String>::new()
    );
    run.interrupt();
    check(&ended(run, 1, 0)[0]);

    // Again when it had recovered, and once.
    let mut run = scene.pipeline().start();
    run.says(&format!("{transactions}: "));
    scene.produce(&good(1_000));
    scene.await_caught_up();
    for _ in 0..3 {
        scene.produce(&renamed(1_000));
        scene.await_caught_up();
    }
    eventually("it is said again", PATIENCE, || {
        let warnings = warnings(&run.process().output(), &transactions);
        (warnings.len() > 1)
            .then_some(())
            .ok_or(format!("{warnings:?}"))
    });
    run.interrupt();
    let output = ended(run, 1, 0).remove(0);
    assert_eq!(warnings(&output, &transactions).len(), 2, "{output}");
}

#[test]
fn a_run_of_mostly_late_events_says_so_at_its_end() {
    let scene = Scene::new("mostly-late", 2);
    let times = [
        "--times",
        "spread",
        "--seed",
        "5",
        "--start",
        "2026-11-15T12:00:00",
    ];
    scene.generate(&[&times[..], &["--count", "100"]].concat());
    let late = |output: &str, view: &str| {
        let about = warnings(output, view).into_iter();
        let late = about.filter(|line| line.contains(" events came too late and are dead letters"));
        late.collect::<Vec<_>>()
    };
    let views = ["interaction_analysis", "log_analysis", "revenue_analysis"];
    let run = scene.pipeline().until_caught_up().start();
    let output = ended(run, 1, 0).remove(0);
    for view in views {
        let late = late(&output, view);
        assert!(only(&late).contains("lateness = \"forever\""), "{late:?}");
        assert!(!only(&late).contains(" of its first "), "{late:?}");
    }
    // By Kafka's own time nothing is late.
    assert_eq!(late(&output, "sales_analysis"), Vec::<String>::new());

    // Neither of two processes reads a thousand of them.
    scene.generate(&[&times[..], &["--count", "1500"]].concat());
    let run = scene.pipeline().processes(2).until_caught_up().start();
    let outputs = ended(run, 2, 0);
    for view in views {
        let late = [0, 1].map(|process| late(&outputs[process], view).len());
        assert_eq!(late, [1, 0], "{view}: {}", outputs[0]);
    }
}

/// Waits until it has ended with 1 because of too many dead letters, and says so last.
fn has_too_many(run: Run, processes: usize, words: &[&str]) {
    let outputs = ended(run, processes, 1);
    let last = outputs[0].lines().last().unwrap_or_default();
    assert!(last.starts_with("tidemark: "), "{}", outputs[0]);
    for words in words {
        assert!(last.contains(words), "{words:?} is not in {last}");
    }
    for other in &outputs[1..] {
        assert!(other.contains("--max-dead-letters"), "{other}");
    }
}

fn letters(scene: &Scene) -> usize {
    scene.documents("dead_letters").len()
}

#[test]
fn too_many_dead_letters_end_a_run_before_they_are_written() {
    let scene = Scene::new("limited", 2);
    let folder = Folder::new();
    scene.produce(&spread(repeated(
        "transactions",
        with("transactions", &[]),
        60,
    )));
    scene.produce(&spread(repeated(
        "transactions",
        framed("transactions"),
        30,
    )));
    scene.produce(&repeated(
        "customers",
        with("customers", &[("gender", "null")]),
        1,
    ));
    let pipeline = scene.pipeline().flag("--checkpoint", &folder.url());
    let limited = |limit: &str| {
        pipeline
            .clone()
            .flag("--max-dead-letters", limit)
            .until_caught_up()
    };
    let transactions = scene.topic("transactions");
    let reason = format!("30 × {transactions}: not JSON (such as partition ");
    let said = [
        "31 dead letters in 91 messages",
        &reason,
        "1 × ",
        "`gender` is null",
    ];

    // However often, and of however many processes.
    has_too_many(limited("30").start(), 1, &said);
    has_too_many(limited("30").processes(2).start(), 2, &said);
    has_too_many(limited("34%").workers(2).start(), 1, &said);
    assert_eq!(letters(&scene), 0);
    assert!(scene.documents("sales_analysis").is_empty());
    let progress = scene.mongo.progress().expect("the database answers");
    assert!(progress.is_none_or(|progress| !progress.contains_key("epoch")));

    // Into SQLite, and with the setting in a file.
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("views.sqlite");
    let file = directory.path().join("tidemark.toml");
    let embedded = |limit: &str| {
        let mut text = std::fs::File::create(&file).expect("a file");
        writeln!(text, "max_dead_letters = {limit}").expect("a file");
        Pipeline::bare(scene.name())
            .flag("--brokers", &scene.services.brokers)
            .flag("--topic-prefix", &scene.prefix)
            .flag("--sqlite", &path.to_string_lossy())
            .flag("--config", &file.to_string_lossy())
            .until_caught_up()
    };
    has_too_many(embedded("30").start(), 1, &said);
    has_too_many(embedded("\"34%\"").workers(2).start(), 1, &said);
    let count = Sqlite::open(&path).expect("the file").count("dead_letters");
    assert_eq!(count, Ok(0));
    embedded("31").run();
    scene.check_in(&Sqlite::open(&path).expect("the file"));

    // As many as it may have, or no limit.
    limited("35%").processes(2).run();
    scene.check();
    // Those that are written do not count again.
    limited("0").run();

    // While it runs; what came before them is written.
    let run = pipeline.clone().flag("--max-dead-letters", "4").start();
    scene.produce(&repeated("transactions", with("transactions", &[]), 10));
    scene.produce(&repeated("transactions", framed("transactions"), 3));
    scene.await_caught_up();
    scene.produce(&repeated("transactions", framed("transactions"), 7));
    let said = [" dead letters in ", "more than --max-dead-letters 4 allows"];
    has_too_many(run, 1, &said);
    let written = letters(&scene);
    assert!((34..=35).contains(&written), "{written}");
    // It goes on to count where the run before has ended.
    has_too_many(
        limited("4").start(),
        1,
        &["of an earlier run that ended for the same reason"],
    );
    assert!(letters(&scene) <= 35);
    limited("10").run();
    scene.check();
    assert_eq!(letters(&scene), 41);
}
