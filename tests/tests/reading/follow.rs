//! A reader that follows what becomes final, and is interrupted.

use super::page;
use super::shop::{PARTITIONS, two_days};
use end_to_end::Scene;
use end_to_end::mongosh::{Shell, parse};
use mongodb::bson::Document;
use std::collections::BTreeMap;

pub(crate) const BLOCKS: [&str; 2] = ["follow-finals", "resume-finals"];

/// The row that a change brings, which must be final.
fn row(change: &Document) -> Document {
    let row = change.get_document("fullDocument").expect("a row").clone();
    assert_eq!(row.get_bool("final").ok(), Some(true), "{row}");
    row
}

fn by_id(rows: impl IntoIterator<Item = Document>) -> BTreeMap<String, Document> {
    let mut by_id = BTreeMap::new();
    for row in rows {
        let id = row.get_str("_id").expect("an id").to_owned();
        assert_eq!(by_id.insert(id, row), None, "it came twice");
    }
    by_id
}

fn final_rows(scene: &Scene, view: &str) -> BTreeMap<String, Document> {
    let rows = scene.documents(view).into_iter();
    by_id(rows.filter(|row| row.get_bool("final").expect("a flag")))
}

#[test]
fn each_row_that_becomes_final_comes_once() {
    let scene = Scene::new("reading-follow", PARTITIONS);
    let samples = two_days();
    let (first, second) = samples.split_at(samples.len() / 2);
    scene.produce(first);
    scene.run_and_check(&scene.pipeline().workers(2));
    let before: Vec<_> = ["log_analysis", "sales_analysis", "revenue_analysis"]
        .map(|view| (view, final_rows(&scene, view)))
        .into();

    let [follow, resume] = BLOCKS.map(|name| parse(&page().block(name)).expect("statements"));
    let mut shell = Shell::new(&scene.mongo);
    let [stream, already, change] = follow.as_slice() else {
        panic!("open, read, follow: {follow:?}");
    };
    shell.step(stream).expect("a stream");
    shell.step(already).expect("rows");
    scene.produce(second);
    // This reads all again, and writes no row that is final.
    scene.pipeline().workers(2).until_caught_up().run();
    shell.step(change).expect("a change");
    let already = shell.named("already").expect("rows");
    let mut come = vec![row(&shell.named("change").expect("a change").remove(0))];

    // In another place, with nothing but the place of the last change.
    let [stream, next] = resume.as_slice() else {
        panic!("open, follow: {resume:?}");
    };
    let after = final_rows(&scene, "log_analysis");
    shell.step(stream).expect("a stream");
    while already.len() + come.len() < after.len() {
        shell.step(next).expect("a change");
        come.push(row(&shell.named("next").expect("a change").remove(0)));
    }
    assert!(!already.is_empty() && come.len() > 2, "some of each");
    assert_eq!(by_id(already.into_iter().chain(come)), after);

    for (view, rows) in before {
        let after = final_rows(&scene, view);
        assert!(rows.len() < after.len(), "{view}");
        for (id, row) in rows {
            assert_eq!(after[&id], row, "never written again");
        }
    }
}

#[test]
fn what_is_final_is_all_there_after_a_restart() {
    let scene = Scene::new("reading-restart", PARTITIONS);
    let samples = two_days();
    let (first, second) = samples.split_at(samples.len() / 2);
    scene.produce(first);
    scene.run_and_check(&scene.pipeline().workers(2));
    scene.produce(second);
    scene.run_and_check(&scene.pipeline().workers(2));
}
