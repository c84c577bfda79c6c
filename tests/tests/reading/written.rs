//! The questions that are asked of a database that nobody writes to any more.

use super::shop::{PARTITIONS, two_days};
use super::{page, shown};
use end_to_end::mongosh::Shell;
use end_to_end::oracle::{Expected, Field, Key, Lateness, Reason, Row, expected};
use end_to_end::{Ending, Scene};
use mongodb::bson::{Bson, DateTime, Document, doc};
use std::collections::BTreeMap;

/// A database, and what the oracle says of it.
pub(crate) struct Written {
    scene: Scene,
    expected: Expected,
}

/// Compares what a block of the page finds with what it should.
type Check = fn(&Written, &str);

/// Each block, and its test.
pub(crate) const BLOCKS: [(&str, Check); 11] = [
    ("progress", progress),
    ("progress-document", progress_document),
    ("latest-final-window", latest_final_window),
    ("top-of-latest-final-window", top_of_latest_final_window),
    ("latest-final-day", latest_final_day),
    ("final-rows", final_rows),
    ("open-rows", open_rows),
    ("final-in-both", final_in_both),
    ("dead-letters", dead_letters),
    ("how-late", how_late),
    ("revenue-by-day", revenue_by_day),
];

#[test]
fn every_question_has_the_right_answer() {
    let scene = Scene::new("reading", PARTITIONS);
    scene.produce(&two_days());
    scene.run_and_check(&scene.pipeline().workers(2));
    let expected = scene.expected(Ending::CaughtUp);
    let written = Written { scene, expected };
    for (name, check) in BLOCKS {
        check(&written, &page().block(name));
    }
}

#[test]
fn where_nothing_is_final_nothing_is_returned() {
    let scene = Scene::new("reading-empty", 1);
    scene.pipeline().until_caught_up().run();
    let mut shell = Shell::new(&scene.mongo);
    for name in ["latest-final-window", "final-in-both", "revenue-by-day"] {
        assert!(shell.run(&page().block(name)).is_err(), "{name}");
    }
    let found = shell.documents(&page().block("final-rows"));
    assert_eq!(found, Ok(Vec::new()));
}

impl Written {
    fn shell(&self) -> Shell {
        Shell::new(&self.scene.mongo)
    }

    fn ask(&self, block: &str) -> Vec<Document> {
        let found = self.shell().documents(block);
        found.unwrap_or_else(|complaint| panic!("{complaint}: {block}"))
    }

    fn final_until(&self, view: &str) -> i64 {
        self.expected.watermarks[view].final_until
    }

    /// Rows of a view whose windows end at `until` or before, in order.
    fn until(&self, view: &str, until: i64) -> Vec<(&Key, &Row)> {
        let rows = self.expected.views[view].iter();
        rows.filter(|(_, row)| date(row, 1) <= until).collect()
    }

    /// The rows of its latest final window.
    fn latest(&self, view: &str) -> Vec<(&Key, &Row)> {
        let mut rows = self.until(view, self.final_until(view));
        let last = rows.last().expect("a final row").0.0;
        rows.retain(|(key, _)| key.0 == last);
        rows
    }
}

fn date(row: &Row, place: usize) -> i64 {
    match row.fields[place].1 {
        Field::Date(millis) => millis,
        _ => panic!("a date is number {place} of {row:?}"),
    }
}

fn long(row: &Row, name: &str) -> i64 {
    match row.fields.iter().find(|(field, _)| *field == name) {
        Some((_, Field::Long(number))) => *number,
        _ => panic!("{name} is a long of {row:?}"),
    }
}

fn moment(millis: i64) -> Bson {
    Bson::DateTime(DateTime::from_millis(millis))
}

/// The `_id` of a row, which says what window and group it is.
fn id((start, group): &Key) -> String {
    let start = jiff::Timestamp::from_millisecond(*start).expect("a time");
    format!("{start}|{}", group.join("|"))
}

fn ids(documents: &[Document]) -> Vec<&str> {
    documents
        .iter()
        .map(|document| document.get_str("_id").expect("an id"))
        .collect()
}

fn progress(written: &Written, block: &str) {
    let found = written.ask(block);
    let [found] = found.as_slice() else {
        panic!("{} documents", found.len());
    };
    let views = found.get_document("views").expect("views");
    assert_eq!(views.len(), written.expected.watermarks.len());
    for (view, at) in &written.expected.watermarks {
        let named = doc! {
            "watermark": moment(at.watermark),
            "final_until": moment(at.final_until),
        };
        assert_eq!(views.get(view), Some(&Bson::Document(named)), "{view}");
    }
    let ends = written.scene.kafka.ends(&written.scene.topics());
    let offsets = end_to_end::oracle::offsets(found).expect("offsets");
    assert_eq!(offsets, ends);
}

/// The one that is shown has the fields and types of the one there is.
fn progress_document(written: &Written, block: &str) {
    let shown = written.ask(block).remove(0);
    let mut found = written.ask(&page().block("progress")).remove(0);
    // Topics of a test have a prefix.
    let plain = |offsets: &Document| -> Document {
        let topics = offsets.iter().map(|(topic, of_topic)| {
            let topic = topic.trim_start_matches(&written.scene.prefix);
            (topic.to_owned(), of_topic.clone())
        });
        topics.collect()
    };
    let offsets = plain(found.get_document("offsets").expect("offsets"));
    found.insert("offsets", offsets);
    let reaching = found.get_document_mut("reaching").expect("reaching");
    let offsets = plain(reaching.get_document("offsets").expect("offsets"));
    reaching.insert("offsets", offsets);
    let log = |document: &Document| document.get_document("log").expect("a log").clone();
    let shown_log = log(shown.get_document("reaching").expect("reaching"));
    // Which timestamps were believed is described, not shown.
    assert!(reaching.remove("limits").is_some());
    reaching.insert("log", as_shown(&log(reaching), &shown_log, &plain));
    found.insert("log", as_shown(&log(&found), &log(&shown), &plain));
    // Not all of the views are shown.
    let views = shown.get_document("views").expect("views").clone();
    let of_found = found.get_document_mut("views").expect("views");
    *of_found = views
        .keys()
        .map(|view| (view.clone(), of_found.get(view).expect("the view").clone()))
        .collect();
    let definitions = shown.get_document("definitions").expect("definitions");
    let of_found = found
        .get_document_mut("definitions")
        .expect("definitions of all views");
    *of_found = definitions
        .keys()
        .map(|view| (view.clone(), of_found.get(view).expect("the view").clone()))
        .collect();
    assert_eq!(shape(&Bson::Document(shown)), shape(&Bson::Document(found)));
}

/// Of a log those topics and partitions that are shown, under their `plain` names.
fn as_shown(found: &Document, shown: &Document, plain: &dyn Fn(&Document) -> Document) -> Document {
    let mut log = found.clone();
    for part in ["topic_ids", "last_read"] {
        let of = |log: &Document| log.get_document(part).expect("a document").clone();
        let (shown, mut found) = (of(shown), plain(&of(found)));
        found = shown
            .keys()
            .map(|topic| (topic.clone(), found.get(topic).expect("the topic").clone()))
            .collect();
        for (topic, partitions) in &shown {
            if let Bson::Document(partitions) = partitions {
                let of_topic = found.get_document(topic).expect("partitions").clone();
                let shown = partitions.keys();
                let shown = shown.map(|number| (number.clone(), of_topic.get(number).cloned()));
                let shown: Document = shown
                    .map(|(number, last)| (number, last.expect("the partition")))
                    .collect();
                found.insert(topic, shown);
            }
        }
        log.insert(part, found);
    }
    log
}

/// Names and types, in the order of names: topics and views are sets.
fn shape(value: &Bson) -> String {
    let Bson::Document(document) = value else {
        return format!("{:?}", value.element_type());
    };
    let fields: BTreeMap<_, _> = document
        .iter()
        .map(|(name, of)| (name, shape(of)))
        .collect();
    format!("{fields:?}")
}

fn latest_final_window(written: &Written, block: &str) {
    let row = written.latest("sales_analysis")[0].1;
    let window = doc! { "window_start": moment(date(row, 0)), "window_end": moment(date(row, 1)) };
    assert_eq!(written.ask(block), [window]);
}

fn top_of_latest_final_window(written: &Written, block: &str) {
    let mut rows = written.latest("sales_analysis");
    assert!(rows.len() > 3, "something is left out");
    rows.sort_by_key(|(key, row)| (-long(row, "number_of_sales"), key.1[0].clone()));
    let wanted: Vec<_> = rows.iter().take(3).map(|(key, _)| id(key)).collect();
    let found = written.ask(block);
    assert_eq!(ids(&found), wanted);
    assert!(found.iter().all(is_final));
}

fn is_final(row: &Document) -> bool {
    row.get_bool("final").expect("a flag")
}

fn latest_final_day(written: &Written, block: &str) {
    let rows = written.latest("customer_analysis");
    let wanted: Vec<_> = rows.iter().map(|(key, _)| id(key)).collect();
    assert_eq!(wanted.len(), 3, "of three genders");
    let found = written.ask(block);
    assert_eq!(ids(&found), wanted);
    assert!(found.iter().all(is_final));
}

/// Newest window first.
fn logs(written: &Written, is_final: bool) -> Vec<String> {
    let rows = written.expected.views["log_analysis"].iter();
    let mut keys: Vec<_> = rows
        .filter(|(_, row)| row.is_final == is_final)
        .map(|(key, _)| key)
        .collect();
    keys.sort_by_key(|(start, group)| (-start, group.clone()));
    assert!(!keys.is_empty(), "some are, some are not");
    keys.into_iter().map(id).collect()
}

fn final_rows(written: &Written, block: &str) {
    assert_eq!(ids(&written.ask(block)), logs(written, true));
}

fn open_rows(written: &Written, block: &str) {
    assert_eq!(ids(&written.ask(block)), logs(written, false));
}

fn final_in_both(written: &Written, block: &str) {
    let mut shell = written.shell();
    shell.run(block).expect("both");
    let views = [
        ("logs", "log_analysis"),
        ("interactions", "interaction_analysis"),
    ];
    let until = views.map(|(_, view)| written.final_until(view));
    let until = until.into_iter().min().expect("two");
    for (name, view) in views {
        let found = shell.named(name).expect("rows");
        assert!(found.iter().all(is_final), "{name}");
        let mut found = ids(&found);
        found.sort_unstable();
        let rows = written.until(view, until);
        let mut wanted: Vec<_> = rows.iter().map(|(key, _)| id(key)).collect();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{name}");
    }
}

fn dead_letters(written: &Written, block: &str) {
    let mut counts: BTreeMap<(&str, Option<&str>), i32> = BTreeMap::new();
    for letter in &written.expected.dead_letters {
        *counts
            .entry((letter.reason.name(), letter.view))
            .or_default() += 1;
    }
    let reasons: Vec<_> = counts.keys().map(|(reason, _)| *reason).collect();
    for reason in ["late", "from_the_future", "malformed"] {
        assert!(reasons.contains(&reason), "{reason}");
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(what, count)| (-count, what));
    let wanted = counts.into_iter().map(|((reason, view), count)| {
        doc! { "_id": { "reason": reason, "view": view }, "messages": count }
    });
    assert_eq!(shown(written.ask(block)), shown(wanted));
}

fn how_late(written: &Written, block: &str) {
    let mut late: BTreeMap<&'static str, Vec<i64>> = BTreeMap::new();
    for letter in &written.expected.dead_letters {
        if let (Some(view), Reason::Late { window, watermark }) = (letter.view, &letter.reason) {
            late.entry(view).or_default().push(watermark - window.1);
        }
    }
    assert!(late.len() > 1, "views differ");
    let wanted = late.iter().map(|(view, behind)| {
        doc! {
            "_id": *view,
            "messages": i32::try_from(behind.len()).expect("a few"),
            "least": behind.iter().min(),
            "most": behind.iter().max(),
        }
    });
    assert_eq!(shown(written.ask(block)), shown(wanted));

    // What the page says of `most`.
    let scene = &written.scene;
    let log = scene.kafka.read(&scene.topics());
    for (view, behind) in late {
        let most = behind.iter().max().expect("one");
        let Lateness::Within(lateness) = scene.rules.lateness[view] else {
            panic!("{view} waits for ever");
        };
        let late_with = |longer| {
            let lateness = Lateness::Within(lateness + longer);
            let rules = scene.rules.clone().with_lateness(view, lateness);
            let letters = expected(&log, &scene.prefix, &rules)
                .dead_letters
                .into_iter();
            letters
                .filter(|letter| letter.view == Some(view) && letter.reason.name() == "late")
                .count()
        };
        assert_ne!(late_with(*most), 0, "{view}");
        assert_eq!(late_with(most + 1), 0, "{view}");
    }
}

fn revenue_by_day(written: &Written, block: &str) {
    const DAY: i64 = 86_400_000;
    let view = "revenue_analysis";
    let over = written.final_until(view).div_euclid(DAY) * DAY;
    let mut days: BTreeMap<i64, (i64, i64, i128)> = BTreeMap::new();
    let mut left_out = 0;
    for (key, row) in &written.expected.views[view] {
        if key.1[2] != "completed" {
            continue;
        }
        if key.0 >= over {
            left_out += i32::from(row.is_final);
            continue;
        }
        let Some((_, Field::Decimal(revenue))) = row.fields.get(7) else {
            panic!("no revenue in {row:?}");
        };
        let day = days.entry(key.0.div_euclid(DAY) * DAY).or_default();
        day.0 += long(row, "orders");
        day.1 += long(row, "items");
        day.2 += billionths(revenue);
    }
    assert_eq!(days.len(), 1, "Monday is over");
    assert!(left_out > 0, "some of Tuesday is final");
    let found = written.ask(block);
    let found: Vec<_> = found
        .iter()
        .map(|day| {
            let start = day.get_datetime("_id").expect("a day").timestamp_millis();
            let Some(Bson::Decimal128(revenue)) = day.get("revenue") else {
                panic!("no decimal in {day}");
            };
            let long = |name| day.get_i64(name).expect("a long");
            let revenue = billionths(&revenue.to_string());
            (start, (long("orders"), long("items"), revenue))
        })
        .collect();
    assert_eq!(found, days.into_iter().collect::<Vec<_>>());
}

/// An amount such as `12.50`, exactly.
fn billionths(amount: &str) -> i128 {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    assert!(fraction.len() <= 9, "{amount}");
    format!("{whole}{fraction:0<9}").parse().expect("an amount")
}
