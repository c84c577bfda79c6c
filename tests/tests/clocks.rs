//! Clocks that are wrong: messages ahead of them, stray timestamps, none, and other units.
//! One such message spoils at most itself, through any restart.

use end_to_end::checkpoint::Folder;
use end_to_end::oracle::{Lateness, Store, parse_time};
use end_to_end::pipeline::PATIENCE;
use end_to_end::samples::{Sample, with};
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Rules, Scene};
use mongodb::bson::{Bson, Document};
use std::collections::BTreeMap;
use std::fs;

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// The time of day, in whole seconds.
fn now() -> i64 {
    jiff::Timestamp::now().as_second() * SECOND
}

/// 2099-01-01.
fn year_2099() -> i64 {
    parse_time("2099-01-01T00:00:00").expect("a time")
}

fn text(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).expect("a time");
    format!("\"{time}\"")
}

/// A line of the log that happened at one time and was sent at another.
fn line(sent: i64, happened: i64) -> Sample {
    let value = with("system_logs", &[("timestamp", &text(happened))]);
    Sample::new("system_logs", value).at(sent).partition(0)
}

fn sale(sent: i64, happened: i64, id: &str) -> Sample {
    let id = format!("\"{id}\"");
    let fields = [
        ("transaction_id", &*id),
        ("date_time", &text(happened)),
        ("product_id", "\"lamp\""),
        ("customer_id", "\"ada\""),
    ];
    Sample::new("transactions", with("transactions", &fields))
        .at(sent)
        .partition(0)
}

fn product(sent: i64, id: &str, price: &str) -> Sample {
    let id = format!("\"{id}\"");
    let value = with("products", &[("product_id", &*id), ("price", price)]);
    Sample::new("products", value).at(sent).partition(0)
}

fn customer(sent: i64, id: &str, gender: &str) -> Sample {
    let (id, gender) = (format!("\"{id}\""), format!("\"{gender}\""));
    let fields = [("customer_id", &*id), ("gender", &*gender)];
    Sample::new("customers", with("customers", &fields))
        .at(sent)
        .partition(0)
}

/// Reasons of dead letters, by view, with how many there are.
fn letters(documents: &[Document]) -> BTreeMap<(String, String), usize> {
    let mut letters = BTreeMap::new();
    for letter in documents {
        let view = letter.get_str("view").unwrap_or("-").to_owned();
        let reason = letter.get_str("reason").expect("a reason").to_owned();
        *letters.entry((view, reason)).or_default() += 1;
    }
    letters
}

/// The same, as it is expected.
fn wanted(of: &[(&str, &str, usize)]) -> BTreeMap<(String, String), usize> {
    let letter = |(view, reason, count): &(&str, &str, usize)| {
        (((*view).to_owned(), (*reason).to_owned()), *count)
    };
    of.iter().map(letter).collect()
}

#[test]
fn messages_ahead_of_the_clock_close_no_window() {
    let now = now();
    let scene = Scene::new("clocks-ahead", 1).ruled_by(Rules::default().with_clock(now));
    let mut samples = vec![line(now, now), sale(now, now, "first")];
    for ahead in [year_2099(), now + 2 * DAY] {
        samples.push(line(ahead, ahead));
        // The event's own time is right.
        samples.push(sale(ahead, now, "ahead"));
        samples.push(product(ahead, "lamp", "99"));
        samples.push(customer(ahead, "ada", "Other"));
    }
    samples.push(product(now, "lamp", "10"));
    samples.push(customer(now, "ada", "Female"));
    for number in 0..10 {
        samples.push(line(now + number, now + number));
        samples.push(sale(now + number, now + number, &format!("sale {number}")));
    }
    scene.produce(&samples);
    scene.run_and_check(&scene.pipeline().workers(2));
    let found = letters(&scene.documents("dead_letters"));
    let future = "from_the_future";
    let of_views = [
        ("log_analysis", future, 2),
        ("sales_analysis", future, 2),
        ("revenue_analysis", future, 6),
        ("product_analysis", future, 2),
        ("customer_analysis", future, 2),
    ];
    assert_eq!(found, wanted(&of_views));

    // SQLite keeps the same, and a restart changes nothing.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clocks.sqlite");
    let run = Pipeline::bare("clocks-sqlite")
        .flag("--brokers", &scene.services.brokers)
        .flag("--topic-prefix", &scene.prefix)
        .flag("--sqlite", &path.to_string_lossy());
    for workers in [1, 2] {
        run.clone().workers(workers).until_caught_up().run();
        scene.check_in(&Sqlite::open(&path).expect("a file"));
    }
}

#[test]
fn a_stray_timestamp_spoils_at_most_its_own_message() {
    let now = now() - 6 * HOUR;
    for (name, stray) in [("stray-4h", now + 4 * HOUR), ("stray-2099", year_2099())] {
        let rules = Rules::default().with_clock(now + 6 * HOUR);
        let scene = Scene::new(&format!("clocks-{name}"), 1).ruled_by(rules);
        let minute = 60 * SECOND;
        let at = |minutes: i64| now + minutes * minute;
        scene.produce(&[
            product(stray, "other", "1"),
            product(at(0), "lamp", "10"),
            customer(stray, "eve", "Other"),
            customer(at(0), "ada", "Female"),
            sale(stray, at(1), "stray"),
            sale(at(1), at(1), "sold"),
            // A correction that is in time, and one that is after the moment.
            product(at(2), "lamp", "20"),
            sale(at(240), at(240), "closes"),
            sale(at(241), at(241), "next"),
            product(at(245), "lamp", "30"),
            product(at(246), "other", "2"),
            customer(at(246), "eve", "Other"),
            sale(at(246), at(246), "last"),
        ]);
        scene.run_and_check(&scene.pipeline().workers(2));
        let rows = scene.documents("revenue_analysis");
        let finals: Vec<_> = rows
            .iter()
            .filter(|row| row.get_bool("final").ok() == Some(true))
            .collect();
        let [row] = &finals[..] else {
            panic!("{name}: {rows:?}")
        };
        assert_eq!(row.get_str("gender").ok(), Some("Female"), "{name}: {row}");
        assert_eq!(
            row.get_str("category").ok(),
            Some("Home & Garden"),
            "{name}: {row}"
        );
        // The one that is four hours ahead has been accepted, and counts.
        let orders = if name == "stray-4h" { 2 } else { 1 };
        assert_eq!(row.get_i64("orders").ok(), Some(orders), "{name}: {row}");
        let revenue = row.get("revenue").expect("a sum").to_string();
        assert_eq!(revenue, format!("{}.00", orders * 3 * 20), "{name}: {row}");
    }
}

#[test]
fn timestamps_that_are_none_or_of_another_unit_are_named() {
    let now = now();
    let scene = Scene::new("clocks-units", 1).ruled_by(Rules::default().with_clock(now));
    let (seconds, micros) = (now / 1_000, now * 1_000);
    scene.produce(&[
        // Without one, its own time counts; there is none for a view by Kafka's.
        line(-1, now),
        line(-1, now + 3 * DAY),
        sale(-1, now, "none"),
        sale(now, now, "right"),
        sale(now, now, "right, too"),
        sale(-1, now, "by the clock of its partition"),
        product(seconds, "lamp", "10"),
        customer(micros, "ada", "Female"),
        customer(micros + 1, "ada", "Female"),
    ]);
    let mut run = scene.pipeline().until_caught_up().start();
    assert_eq!(run.process().exit_code(PATIENCE), Some(0));
    let output = run.process().output();
    scene.check();
    let found = letters(&scene.documents("dead_letters"));
    let of_views = [
        ("-", "malformed", 3),
        ("log_analysis", "from_the_future", 1),
        ("sales_analysis", "malformed", 1),
    ];
    assert_eq!(found, wanted(&of_views));
    for (topic, unit) in [("products", "seconds"), ("customers", "microseconds")] {
        let topic = scene.topic(topic);
        let said = format!("topic {topic}: Kafka timestamps look like {unit}");
        assert_eq!(output.matches(&said).count(), 1, "{said}: {output}");
    }
    let none = scene.documents("dead_letters").into_iter();
    let none = none.filter(|letter| letter.get("timestamp") == Some(&Bson::Null));
    for letter in none {
        let detail = letter.get_str("detail").expect("a detail");
        assert!(detail.contains(&micros.to_string()[..13]), "{detail}");
    }
}

#[test]
fn what_was_ahead_of_the_clock_stays_so_when_its_time_has_come() {
    let now = now();
    let scene = Scene::new("clocks-restart", 2).ruled_by(Rules::default().with_clock(now));
    let folder = tempfile::tempdir().expect("a folder");
    let clock = folder.path().join("clock");
    fs::write(&clock, "0").expect("a file");
    let mut samples = Vec::new();
    for number in 0..20 {
        samples.push(line(now + number, now + number));
        samples.push(sale(now + number, now + number, &format!("sale {number}")));
    }
    samples.insert(10, line(now + 2 * DAY, now + 2 * DAY));
    samples.insert(20, sale(now + 2 * DAY, now, "ahead"));
    samples.insert(30, product(now + 2 * DAY, "lamp", "99"));
    samples.push(product(now, "lamp", "10"));
    scene.produce(&samples);
    let checkpoints = Folder::new();
    let without = |scene: &Scene| scene.pipeline().clock_from(&clock).until_caught_up();
    let run = |scene: &Scene| checkpoints.kept_by(&without(scene));

    // Killed when all rows are written, and before any checkpoint.
    run(&scene)
        .aborting_at("manifest.last", 1)
        .start()
        .await_abort();
    fs::write(&clock, (3 * DAY).to_string()).expect("a file");
    for workers in [1, 3] {
        run(&scene).workers(workers).run();
        scene.check();
    }
    without(&scene).workers(2).run();
    scene.check();

    // Views that are rebuilt read it all again.
    let mut rules = scene.rules.clone();
    let views = ["log_analysis", "sales_analysis", "revenue_analysis"];
    for view in views {
        rules = rules.with_lateness(view, Lateness::Within(3 * HOUR));
    }
    let scene = scene.ruled_by(rules);
    let again = run(&scene).flag("--reset-view", &views.join(","));
    again.workers(2).run();
    scene.check();
    let documents = (&scene.mongo as &dyn Store).documents("dead_letters");
    assert_eq!(letters(&documents).values().sum::<usize>(), 5);
}
