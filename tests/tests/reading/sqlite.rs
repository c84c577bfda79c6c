//! The questions that are asked of an SQLite file.

use super::page;
use super::shop::{PARTITIONS, two_days};
use end_to_end::oracle::{Expected, Field};
use end_to_end::{Ending, Pipeline, Scene};
use rusqlite::Connection;
use rusqlite::types::Value;
use std::collections::BTreeMap;

type Check = fn(&Expected, &[Vec<String>]);

/// Each block, and its test.
pub(crate) const BLOCKS: [(&str, Check); 3] = [
    ("sqlite-progress", progress),
    ("sqlite-top-of-latest-final-window", top),
    ("sqlite-dead-letters", dead_letters),
];

#[test]
fn every_question_has_the_right_answer() {
    let scene = Scene::new("reading-sqlite", PARTITIONS);
    scene.produce(&two_days());
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("shop.sqlite");
    let pipeline = Pipeline::bare(scene.name())
        .flag("--brokers", &scene.services.brokers)
        .flag("--topic-prefix", &scene.prefix)
        .flag("--sqlite", &path.to_string_lossy());
    pipeline.until_caught_up().run();
    let expected = scene.expected(Ending::CaughtUp);
    let connection = Connection::open(&path).expect("the file");
    for (name, check) in BLOCKS {
        check(&expected, &ask(&connection, &page().block(name)));
    }
}

fn ask(connection: &Connection, query: &str) -> Vec<Vec<String>> {
    let mut statement = connection.prepare(query).expect(query);
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|place| row.get(place)).collect();
    let rows = statement.query_map([], row).expect(query);
    let rows: Result<Vec<Vec<Value>>, _> = rows.collect();
    let shown = |value: Value| match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        Value::Null => "null".to_owned(),
        other => panic!("{other:?} of {query}"),
    };
    let rows = rows.expect(query).into_iter();
    rows.map(|row| row.into_iter().map(shown).collect())
        .collect()
}

fn date(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).expect("a time");
    format!("{time:.3}")
}

fn progress(expected: &Expected, rows: &[Vec<String>]) {
    let at = expected.watermarks["sales_analysis"];
    let [row] = rows else {
        panic!("{rows:?}");
    };
    assert!(
        row[0].parse::<i64>().is_ok_and(|epoch| epoch > 0),
        "{row:?}"
    );
    assert_eq!(row[1..], [date(at.watermark), date(at.final_until)]);
}

fn top(expected: &Expected, rows: &[Vec<String>]) {
    let view = &expected.views["sales_analysis"];
    let last = view
        .iter()
        .filter(|(_, row)| row.is_final)
        .map(|(key, _)| key.0)
        .max();
    let number = |fields: &[(&str, Field)], name| {
        let field = fields.iter().find(|(field, _)| *field == name);
        match field {
            Some((_, Field::Long(number))) => *number,
            _ => panic!("no {name} in {fields:?}"),
        }
    };
    let of_window = view.iter().filter(|(key, _)| Some(key.0) == last);
    let mut wanted: Vec<_> = of_window
        .map(|(key, row)| {
            let sales = number(&row.fields, "number_of_sales");
            (
                -sales,
                key.1[0].clone(),
                number(&row.fields, "unique_customers"),
            )
        })
        .collect();
    wanted.sort();
    let wanted = wanted.into_iter().take(3);
    let wanted = wanted.map(|(sales, product, customers)| {
        vec![product, (-sales).to_string(), customers.to_string()]
    });
    assert_eq!(rows, wanted.collect::<Vec<_>>());
}

fn dead_letters(expected: &Expected, rows: &[Vec<String>]) {
    let mut counts: BTreeMap<(&str, Option<&str>), i64> = BTreeMap::new();
    for letter in &expected.dead_letters {
        *counts
            .entry((letter.reason.name(), letter.view))
            .or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(what, count)| (-count, what));
    let wanted = counts.into_iter().map(|((reason, view), count)| {
        let view = view.unwrap_or("null").to_owned();
        vec![reason.to_owned(), view, count.to_string()]
    });
    assert_eq!(rows, wanted.collect::<Vec<_>>());
}
