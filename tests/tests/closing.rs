//! Windows that close: without further events, beside silent and empty partitions,
//! once and for good.

use end_to_end::http::get_json;
use end_to_end::oracle::{Lateness, parse_time};
use end_to_end::pipeline::PATIENCE;
use end_to_end::process::free_port;
use end_to_end::{Ending, Process, Rules, Sample, Scene, eventually};
use mongodb::bson::{DateTime, Document, doc};
use serde_json::json;

/// Milliseconds of a time of the day that these tests play on.
fn clock(time: &str) -> i64 {
    parse_time(&format!("2024-03-01T{time}:00")).expect("a time of day")
}

/// Sent when it happened.
fn sent(topic: &'static str, partition: i32, time: &str, value: &serde_json::Value) -> Sample {
    let sample = Sample::new(topic, value.to_string());
    sample.at(clock(time)).partition(partition)
}

fn line(partition: i32, time: &str) -> Sample {
    let value =
        json!({"log_id": time, "timestamp": format!("2024-03-01T{time}:00"), "level": "INFO"});
    sent("system_logs", partition, time, &value)
}

fn sale(id: &str, time: &str) -> Sample {
    let value = json!({
        "transaction_id": id, "customer_id": "c", "product_id": "p", "quantity": 2,
        "date_time": format!("2024-03-01T{time}:00"), "status": "completed",
    });
    sent("transactions", 0, time, &value)
}

fn product(id: &str, price: f64, time: &str) -> Sample {
    let value = json!({"product_id": id, "category": "Books", "price": price, "stock_quantity": 1});
    sent("products", 0, time, &value)
}

fn customer(id: &str, time: &str) -> Sample {
    let login = format!("2024-03-01T{time}:00");
    let value = json!({"customer_id": id, "gender": "Female", "last_login": login});
    sent("customers", 0, time, &value)
}

/// The one row of the window that starts then.
fn row(scene: &Scene, view: &str, start: &str) -> Result<Document, String> {
    let start = DateTime::from_millis(clock(start));
    let rows = scene.documents(view);
    let mut rows = rows
        .into_iter()
        .filter(|row| row.get_datetime("window_start").ok() == Some(&start));
    rows.next()
        .ok_or_else(|| format!("{view} has no row of {start}"))
}

/// Waits until the row of a window is final.
fn await_final(scene: &Scene, view: &str, start: &str) -> Document {
    let mut found = Document::new();
    eventually("the window closes", PATIENCE, || {
        found = row(scene, view, start)?;
        match found.get_bool("final") {
            Ok(true) => Ok(()),
            _ => Err(format!("{found}")),
        }
    });
    found
}

#[test]
fn silent_partitions_do_not_hold_windows_open_and_hold_them_again_when_they_speak() {
    // The third partition of each topic stays empty.
    let scene = Scene::new("idle", 3);
    scene.produce(&[line(0, "10:10"), line(0, "14:00"), line(1, "10:20")]);
    let run = scene
        .pipeline()
        .workers(2)
        .flag("--idle-timeout", "8s")
        .start();
    let ten = await_final(&scene, "log_analysis", "10:00");
    assert_eq!(ten.get_i64("total_logs").ok(), Some(2));
    let open = row(&scene, "log_analysis", "14:00").expect("a row");
    assert_eq!(open.get_bool("final").ok(), Some(false));
    let dead_letters = scene.documents("dead_letters");
    assert!(dead_letters.is_empty(), "{dead_letters:?}");

    // The second partition speaks again: for what has closed meanwhile it is too
    // late, though by its own events it would not be.
    scene.produce(&[line(1, "10:40"), line(1, "13:30"), line(0, "20:00")]);
    scene.await_caught_up();
    let watermark = |progress: &Document| {
        let views = progress.get_document("views").ok()?;
        let view = views.get_document("log_analysis").ok()?;
        let date = view.get_datetime("watermark").ok()?;
        Some(date.timestamp_millis())
    };
    let progress = scene.mongo.progress().expect("the database answers");
    let progress = progress.expect("there is progress");
    assert_eq!(
        watermark(&progress),
        Some(clock("12:00")),
        "it holds the watermark again, whatever the first has seen: {progress}"
    );
    let letters = scene.documents("dead_letters");
    let [late] = &letters[..] else {
        panic!("{letters:?}")
    };
    assert_eq!(late.get_str("reason").ok(), Some("late"));
    assert_eq!(late.get_str("view").ok(), Some("log_analysis"));
    let detail = late.get_str("detail").expect("a sentence");
    assert!(
        detail.starts_with("the window 2024-03-01T10:00:00Z to 2024-03-01T11:00:00Z had closed")
            && detail.ends_with("the watermark was 2024-03-01T12:00:00Z"),
        "{detail}"
    );

    // And silent once more, it does not.
    for window in ["13:00", "14:00"] {
        await_final(&scene, "log_analysis", window);
    }
    assert_eq!(
        row(&scene, "log_analysis", "10:00"),
        Ok(ten),
        "final is final"
    );
    run.drain();
}

#[test]
fn what_is_final_does_not_change_by_corrections_and_what_is_open_does() {
    let scene = Scene::new("corrected", 1);
    scene.produce(&[
        product("p", 10.0, "09:00"),
        customer("c", "09:00"),
        sale("a", "09:30"),
        // With this, nine to ten has passed,
        sale("b", "12:10"),
        // and with these, whatever was sent until then has been read.
        product("q", 1.0, "12:20"),
        customer("d", "12:20"),
        sale("c", "12:20"),
    ]);
    let run = scene.pipeline().workers(2).start();
    let nine = await_final(&scene, "revenue_analysis", "09:00");
    let revenue = |row: &Document| row.get("revenue").map(ToString::to_string);
    assert_eq!(revenue(&nine).as_deref(), Some("20.00"));

    scene.produce(&[product("p", 12.5, "12:30")]);
    eventually(
        "the price moves what is open",
        PATIENCE,
        || match revenue(&row(&scene, "revenue_analysis", "12:00")?).as_deref() {
            Some("50.00") => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
    assert_eq!(row(&scene, "revenue_analysis", "09:00"), Ok(nine));
    scene.check_as(Ending::Running);
    run.drain();
    scene.run_and_check(&scene.pipeline());
}

#[test]
fn an_event_from_2099_closes_nothing() {
    let scene = Scene::new("future", 1);
    let ahead = json!({"log_id": "x", "timestamp": "2099-01-01T00:00:00", "level": "INFO"});
    scene.produce(&[
        line(0, "10:10"),
        sent("system_logs", 0, "10:11", &ahead),
        line(0, "09:00"),
        line(0, "10:20"),
    ]);
    scene.run_and_check(&scene.pipeline());
    assert_eq!(scene.documents("log_analysis").len(), 2);
    let letters = scene.documents("dead_letters");
    let [letter] = &letters[..] else {
        panic!("{letters:?}")
    };
    assert_eq!(letter.get_str("reason").ok(), Some("from_the_future"));
}

#[test]
fn a_restart_leaves_final_windows_alone() {
    let scene = Scene::new("left", 1);
    scene.produce(&[line(0, "10:10"), line(0, "14:00")]);
    scene.run_and_check(&scene.pipeline());
    // Nobody should; but so it can be seen which rows are written.
    let uri = &scene.services.mongodb_uri;
    end_to_end::mongo::block_on(async {
        let client = mongodb::Client::with_uri_str(uri).await.expect("a client");
        let rows = client
            .database(&scene.database)
            .collection::<Document>("log_analysis");
        let change = doc! {"$set": {"total_logs": 99_i64}};
        rows.update_many(doc! {}, change).await.expect("an answer");
    });
    scene.pipeline().until_caught_up().run();
    let total = |start| {
        let row = row(&scene, "log_analysis", start).expect("a row");
        row.get_i64("total_logs").ok()
    };
    assert_eq!(total("10:00"), Some(99), "final");
    assert_eq!(total("14:00"), Some(1), "open");
}

#[test]
fn times_spread_over_a_year_are_counted_where_nothing_closes() {
    let mut rules = Rules::default();
    for lateness in rules.lateness.values_mut() {
        *lateness = Lateness::Forever;
    }
    let scene = Scene::new("spread", 2).ruled_by(rules);
    scene.generate(&["--times", "spread", "--count", "300", "--seed", "5"]);
    scene.run_and_check(&scene.pipeline().workers(2));
    let letters = scene.documents("dead_letters");
    assert!(letters.is_empty(), "{letters:?}");
}

#[test]
fn a_running_pipeline_says_why_a_window_is_open() {
    let scene = Scene::new("why", 2);
    // The first partition has passed ten to eleven, the second has not.
    scene.produce(&[line(0, "10:10"), line(0, "14:00"), line(1, "10:20")]);
    let address = format!("127.0.0.1:{}", free_port());
    let run = scene.pipeline().workers(2).flag("--http", &address).start();
    scene.await_caught_up();
    eventually("the watermark is known", PATIENCE, || {
        let views = get_json(&address, "/api/watermarks?view=log_analysis");
        let text = views.to_string();
        match text.contains("2024-03-01T10:20:00Z") && text.contains("2024-03-01T14:00:00Z") {
            true => Ok(()),
            false => Err(text),
        }
    });
    let ask = |arguments: &[&str]| {
        let mut all = vec!["why"];
        all.extend(arguments);
        all.extend(["--http", &address]);
        let all: Vec<_> = all.into_iter().map(ToOwned::to_owned).collect();
        let mut asking = Process::start("tidemark", "why", &all, &[]);
        let code = asking.exit_code(PATIENCE);
        (code, asking.output())
    };
    let (code, answer) = ask(&["log_analysis", "2024-03-01T10:00:00Z"]);
    assert_eq!(code, Some(0), "{answer}");
    for part in [
        "open",
        "2024-03-01T13:00:00Z",
        "partition 1",
        "2024-03-01T10:20:00Z",
    ] {
        assert!(answer.contains(part), "{part} is not in:\n{answer}");
    }
    let (code, answer) = ask(&["no_such_view", "2024-03-01T10:00:00Z"]);
    assert_eq!(code, Some(2), "{answer}");
    run.drain();
}

#[test]
fn a_topic_that_is_mostly_late_is_told_of_once_and_loudly() {
    let scene = Scene::new("mostly-late", 1);
    scene.generate(&["--times", "spread", "--count", "1200", "--seed", "5"]);
    let mut run = scene.pipeline().until_caught_up().start();
    assert_eq!(run.process().exit_code(PATIENCE), Some(0));
    let output = run.process().output();
    let loud = |view: &str| {
        let setting = format!("[views.{view}] lateness = \"forever\"");
        output
            .lines()
            .filter(|line| line.contains(&setting))
            .count()
    };
    assert_eq!(loud("log_analysis"), 1, "{output}");
    assert_eq!(
        loud("sales_analysis"),
        0,
        "by its Kafka timestamp nothing is late: {output}"
    );
    scene.check();
}
