//! The example, message by message, at once, and with pauses.

use super::{clock, page, running, some, time};
use end_to_end::mongosh::Shell;
use end_to_end::oracle::{Expected, expected};
use end_to_end::pipeline::PATIENCE;
use end_to_end::samples::{Sample, object};
use end_to_end::{Ending, Scene, eventually};
use mongodb::bson::{Bson, Document};
use std::collections::BTreeSet;

const VIEW: &str = "log_analysis";

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
    for of_the_run in [
        "generation",
        "ended",
        "holder",
        "definitions",
        "writers",
        "reaching",
        "log",
    ] {
        progress.remove(of_the_run);
    }
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
