//! `docs/time.md` is true: its tables are sent to Kafka, and what comes of them is
//! what the page says.

use end_to_end::mongosh::Shell;
use end_to_end::oracle::{Expected, expected, parse_time};
use end_to_end::page::Page;
use end_to_end::pipeline::PATIENCE;
use end_to_end::samples::{Sample, object, with};
use end_to_end::{Ending, Pipeline, Process, Scene, eventually};
use mongodb::bson::{Bson, Document};
use std::collections::BTreeSet;
use std::io::Write as _;

const VIEW: &str = "log_analysis";

fn page() -> Page {
    Page::read("time.md")
}

/// A time of the page, which is one of its day unless it has a date.
fn time(text: &str) -> i64 {
    let text = match text.split_once(' ') {
        Some((date, time)) => format!("{date}T{time}"),
        None => format!("2026-11-24T{text}"),
    };
    parse_time(&text).unwrap_or_else(|| panic!("the page has a time {text:?}"))
}

/// What stands in a cell, unless that is nothing.
fn some(cell: &str) -> Option<&str> {
    (!matches!(cell, "" | "none")).then_some(cell)
}

/// One line of the example.
struct Line {
    number: usize,
    place: (i32, i64),
    sample: Sample,
    watermark_of_partition: Option<i64>,
    verdict: String,
    watermark: Option<i64>,
    becomes_final: BTreeSet<String>,
}

fn lines() -> Vec<Line> {
    let rows = page().table([
        "#",
        "partition",
        "offset",
        "Kafka timestamp",
        "event time",
        "level",
        "watermark of its partition",
        "verdict",
        "watermark of the view",
        "becomes final",
    ]);
    let line = |row: [String; 10]| {
        let [
            number,
            partition,
            offset,
            kafka,
            event,
            level,
            of_partition,
            verdict,
            of_view,
            closes,
        ] = row;
        let event = jiff::Timestamp::from_millisecond(time(&event)).expect("a time");
        let [id, event, said] = [&number, &event.to_string(), &level].map(|t| format!("\"{t}\""));
        let mut fields = vec![("log_id", &*id), ("timestamp", &event)];
        fields.extend(some(&level).map(|_| ("level", &*said)));
        let value = object(&fields);
        let partition = partition.parse().expect("a partition");
        Line {
            number: number.parse().expect("a number"),
            place: (partition, offset.parse().expect("an offset")),
            sample: Sample::new("system_logs", value)
                .partition(partition)
                .at(time(&kafka)),
            watermark_of_partition: some(&of_partition).map(time),
            verdict,
            watermark: some(&of_view).map(time),
            becomes_final: windows(&closes),
        }
    };
    rows.into_iter().map(line).collect()
}

/// `09:00–10:00, 10:00–11:00`
fn windows(cell: &str) -> BTreeSet<String> {
    let all = some(cell).into_iter().flat_map(|cell| cell.split(", "));
    all.map(ToOwned::to_owned).collect()
}

/// A topic of two partitions, and nothing else.
fn scene(name: &str) -> Scene {
    let scene = Scene::without_topics(name);
    scene.create("system_logs", 2, 1);
    scene
}

fn clock(row: &Document, field: &str) -> String {
    let date = row.get_datetime(field).expect("a date");
    let date = jiff::Timestamp::from_millisecond(date.timestamp_millis()).expect("a time");
    date.strftime("%H:%M:%S").to_string()
}

/// The windows that are final, of which rows are there.
fn final_windows(scene: &Scene) -> BTreeSet<String> {
    let rows = scene.documents(VIEW).into_iter();
    let rows = rows.filter(|row| row.get_bool("final").expect("a flag"));
    let short = |row: &Document, field| clock(row, field)[..5].to_owned();
    rows.map(|row| {
        format!(
            "{}–{}",
            short(&row, "window_start"),
            short(&row, "window_end")
        )
    })
    .collect()
}

/// Where each dead letter lies, and its reason.
fn dead_letters(scene: &Scene) -> BTreeSet<((i32, i64), String)> {
    let letters = scene.documents("dead_letters").into_iter();
    let letter = |letter: Document| {
        let place = (
            letter.get_i32("partition").expect("an int"),
            letter.get_i64("offset").expect("a long"),
        );
        (place, letter.get_str("reason").expect("a text").to_owned())
    };
    letters.map(letter).collect()
}

/// Those of the lines.
fn refused<'a>(lines: impl IntoIterator<Item = &'a Line>) -> BTreeSet<((i32, i64), String)> {
    let refused = lines.into_iter().filter(|line| line.verdict != "accepted");
    refused
        .map(|line| (line.place, line.verdict.clone()))
        .collect()
}

/// The watermark that `progress` names.
fn watermark(scene: &Scene) -> Option<i64> {
    let progress = scene.mongo.progress().expect("the database answers")?;
    let views = progress.get_document("views").expect("views");
    let view = views.get_document(VIEW).ok()?;
    let watermark = view.get_datetime("watermark").expect("a date");
    Some(watermark.timestamp_millis())
}

/// A run that nothing but silence of `idle_timeout` can keep from going on.
fn running(scene: &Scene, idle_timeout: &str) -> Pipeline {
    scene.pipeline().flag("--idle-timeout", idle_timeout)
}

#[test]
fn after_each_message() {
    let scene = scene("time-steps");
    let run = running(&scene, "1h").start();
    let lines = lines();
    let mut closed = BTreeSet::new();
    for (count, line) in (1..).zip(&lines) {
        let number = line.number;
        assert_eq!(number, count, "lines are counted");
        scene.produce(std::slice::from_ref(&line.sample));
        scene.await_caught_up();
        let log = scene.kafka.read(&scene.topics());
        let mut last = log.messages.iter();
        assert!(
            last.any(|message| (message.partition, message.offset) == line.place),
            "{number} has no such place"
        );

        assert_eq!(watermark(&scene), line.watermark, "of the view, {number}");
        assert_eq!(dead_letters(&scene), refused(&lines[..count]), "{number}");
        closed.extend(line.becomes_final.iter().cloned());
        assert_eq!(final_windows(&scene), closed, "{number}");

        // The pipeline does not tell what a partition's is: the oracle does, which is
        // the view's where there is no other partition.
        let mut alone = log.clone();
        alone.messages.retain(|m| m.partition == line.place.0);
        alone.bounds.values_mut().for_each(|partitions| {
            partitions.retain(|partition, _| *partition == line.place.0);
        });
        let rules = scene.rules.clone().with_ending(Ending::Running);
        let Expected { watermarks, .. } = expected(&alone, &scene.prefix, &rules);
        let of_partition = watermarks.get(VIEW).map(|found| found.watermark);
        assert_eq!(of_partition, line.watermark_of_partition, "{number}");
    }
    run.drain();
    scene.check_as(Ending::Running);
    check_end(&scene);
}

#[test]
fn at_the_end() {
    let scene = scene("time-end");
    let samples: Vec<_> = lines().into_iter().map(|line| line.sample).collect();
    scene.produce(&samples);
    scene.run_and_check(&scene.pipeline().workers(2));
    check_end(&scene);
}

/// Compares the database with the documents on the page.
fn check_end(scene: &Scene) {
    let rows = page().table(["window_start", "window_end", "level", "total_logs", "final"]);
    let mut found: Vec<_> = scene
        .documents(VIEW)
        .iter()
        .map(|row| {
            [
                clock(row, "window_start"),
                clock(row, "window_end"),
                row.get_str("level").expect("a text").to_owned(),
                row.get_i64("total_logs").expect("a long").to_string(),
                row.get_bool("final").expect("a flag").to_string(),
            ]
        })
        .collect();
    found.sort();
    assert_eq!(found, rows);

    let lines = lines();
    let letters = page().table(["#", "_id", "reason", "detail"]);
    let mut found: Vec<_> = scene
        .documents("dead_letters")
        .iter()
        .map(|letter| {
            let text = |name| letter.get_str(name).expect("a text");
            let id = text("_id").trim_start_matches(&scene.prefix).to_owned();
            let place = (
                letter.get_i32("partition").expect("an int"),
                letter.get_i64("offset").expect("a long"),
            );
            let line = lines.iter().find(|line| line.place == place);
            let number = line.expect("a line of the example").number;
            let [reason, detail] = ["reason", "detail"].map(|name| text(name).replace('`', ""));
            (number, [number.to_string(), id, reason, detail])
        })
        .collect();
    found.sort();
    let found: Vec<_> = found.into_iter().map(|(_, letter)| letter).collect();
    assert_eq!(found, letters);

    let mut shell = Shell::new(&scene.mongo);
    let shown = shell
        .documents(&page().block("progress"))
        .expect("a document");
    let progress = scene.mongo.progress().expect("the database answers");
    let mut progress = progress.expect("progress");
    let mut offsets = Document::new();
    for (topic, of_topic) in progress.get_document("offsets").expect("offsets") {
        offsets.insert(topic.trim_start_matches(&scene.prefix), of_topic);
    }
    progress.insert("offsets", offsets);
    let mut shown = shown[0].clone();
    for varies in ["epoch", "updated_at"] {
        let kind = |document: &Document| document.get(varies).map(Bson::element_type);
        assert_eq!(kind(&shown), kind(&progress), "{varies}");
        shown.insert(varies, progress.get(varies));
    }
    assert_eq!(shown, progress);
}

#[test]
fn with_silences() {
    let scene = scene("time-silence");
    let run = running(&scene, "1s").start();
    let lines = lines();
    let mut sent = 0;
    for [messages, of_view, closed, late] in
        page().table(["messages", "watermark of the view", "final windows", "late"])
    {
        let numbers = messages.strip_suffix(", then silence").expect("silence");
        let (first, last) = numbers.split_once('–').unwrap_or((numbers, numbers));
        assert_eq!(first.parse(), Ok(sent + 1), "one after the other");
        let last = last.parse().expect("a number");
        for line in &lines[sent..last] {
            // One by one: how far they are may depend on which is idle meanwhile.
            scene.produce(std::slice::from_ref(&line.sample));
            scene.await_caught_up();
        }
        sent = last;
        let wanted = some(&of_view).map(time);
        // Where it comes to rest, and not a value that it only passes.
        let log = scene.kafka.read(&scene.topics());
        let rules = scene.rules.clone().with_ending(Ending::AllIdle);
        let Expected { watermarks, .. } = expected(&log, &scene.prefix, &rules);
        let rest = watermarks.get(VIEW).map(|found| found.watermark);
        assert_eq!(wanted, rest, "{messages}");
        eventually(&messages, PATIENCE, || match watermark(&scene) {
            found if found == wanted => Ok(()),
            found => Err(format!("the watermark is {found:?}, expected {wanted:?}")),
        });
        assert_eq!(final_windows(&scene), windows(&closed), "{messages}");
        let numbers = some(&late).into_iter().flat_map(|cell| cell.split(", "));
        let numbers: BTreeSet<usize> = numbers.map(|n| n.parse().expect("a number")).collect();
        let late = lines.iter().filter(|line| numbers.contains(&line.number));
        let late: BTreeSet<_> = late.map(|line| line.place).collect();
        let found = dead_letters(&scene).into_iter();
        let found = found.filter(|(_, reason)| reason == "late");
        assert_eq!(found.map(|(place, _)| place).collect::<BTreeSet<_>>(), late);
    }
    assert_eq!(sent, lines.len());
    run.drain();
}

/// A message of the second example.
fn joined(topic: &str, kafka: &str, message: &str) -> Sample {
    let parts: Vec<_> = message.split(", ").collect();
    let quoted = |text: &str| format!("\"{text}\"");
    let (topic, value) = match (topic, parts.as_slice()) {
        ("products", [id, category, price]) => {
            let (id, category) = (quoted(id), quoted(category));
            let fields = [
                ("product_id", &*id),
                ("category", &category),
                ("price", price),
            ];
            ("products", with("products", &fields))
        }
        ("customers", [id, gender]) => {
            let (id, gender) = (quoted(id), quoted(gender));
            let fields = [("customer_id", &*id), ("gender", &gender)];
            ("customers", with("customers", &fields))
        }
        ("transactions", [id, items, customer, status, at]) => {
            let (quantity, product) = items.split_once(" × ").expect("how many of what");
            let at = quoted(&format!("2026-11-24T{at}"));
            let [id, product, customer, status] = [id, product, customer, status].map(quoted);
            let fields = [
                ("transaction_id", &*id),
                ("product_id", &product),
                ("quantity", quantity),
                ("customer_id", &customer),
                ("status", &status),
                ("date_time", &at),
            ];
            ("transactions", with("transactions", &fields))
        }
        _ => panic!("no message of {topic}: {message}"),
    };
    Sample::new(topic, value).partition(0).at(time(kafka))
}

/// A row of the view that joins, as the page shows it.
fn revenue(row: &Document) -> [String; 9] {
    let shown = |name: &str| match row.get(name).expect("a field") {
        Bson::DateTime(_) => clock(row, name),
        Bson::String(text) => text.clone(),
        other => other.to_string(),
    };
    REVENUE.map(shown)
}

const REVENUE: [&str; 9] = [
    "window_start",
    "category",
    "gender",
    "status",
    "orders",
    "items",
    "revenue",
    "buyers",
    "final",
];

#[test]
fn as_of_the_moment() {
    let scene = Scene::without_topics("time-moment");
    for topic in ["products", "customers", "transactions"] {
        scene.create(topic, 1, 1);
    }
    let run = running(&scene, "1h").start();
    let mut samples = Vec::new();
    for [number, topic, kafka, message, amount, is_final] in page().table([
        "#",
        "topic",
        "Kafka timestamp",
        "message",
        "revenue of 09:00–10:00",
        "final",
    ]) {
        let sample = joined(&topic, &kafka, &message);
        scene.produce(std::slice::from_ref(&sample));
        samples.push(sample);
        scene.await_caught_up();
        let rows = scene.documents("revenue_analysis");
        let rows: Vec<_> = rows.iter().map(revenue).collect();
        let row = rows.iter().find(|row| row[0] == "09:00:00");
        let found = row.map(|row| (row[6].as_str(), row[8].as_str()));
        let wanted = some(&amount).map(|amount| (amount, is_final.as_str()));
        assert_eq!(found, wanted, "{number}");
    }
    run.drain();
    scene.check_as(Ending::Running);
    let rows = || {
        let rows = scene.documents("revenue_analysis");
        let mut rows: Vec<_> = rows.iter().map(revenue).collect();
        rows.sort();
        rows
    };
    assert_eq!(rows(), page().table(REVENUE));

    // At once, from the first message on, it is the same.
    let at_once = Scene::without_topics("time-moment-at-once");
    for topic in ["products", "customers", "transactions"] {
        at_once.create(topic, 1, 1);
    }
    at_once.produce(&samples);
    at_once.run_and_check(&at_once.pipeline().workers(2));
    let found = at_once.documents("revenue_analysis");
    let mut found: Vec<_> = found.iter().map(revenue).collect();
    found.sort();
    assert_eq!(found, rows());
}

#[test]
fn its_settings_are_taken() {
    let mut file = tempfile::Builder::new()
        .suffix(".toml")
        .tempfile()
        .expect("a file");
    let settings = page().block("time-settings");
    file.write_all(settings.as_bytes()).expect("a file");
    let path = file.path().to_string_lossy().into_owned();
    let arguments = ["views", "--config", &path].map(ToOwned::to_owned);
    let mut process = Process::start("tidemark", "time-settings", &arguments, &[]);
    assert_eq!(process.exit_code(PATIENCE), Some(0), "the exit code");
    let output = process.output();
    let about = |view: &str| {
        let from = output.find(view).expect("the view");
        let lines = output[from..].lines().skip(1);
        let lines = lines.take_while(|line| line.starts_with(' '));
        let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        words.collect::<Vec<_>>()
    };
    let sales = about("sales_analysis");
    for line in ["time date_time", "window 15m", "lateness 6h"] {
        assert!(sales.iter().any(|found| found == line), "{line}: {sales:?}");
    }
    let customers = about("customer_analysis");
    assert!(
        customers.iter().any(|found| found == "lateness forever"),
        "{customers:?}"
    );
}

#[test]
fn nothing_on_it_is_untested() {
    let blocks = page().blocks();
    let named = blocks.iter().filter(|block| !block.language.is_empty());
    let names: Vec<_> = named.map(|block| block.name.as_str()).collect();
    assert_eq!(names, ["progress", "time-settings"]);
}
