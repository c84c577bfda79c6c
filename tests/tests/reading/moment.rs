//! What a transaction that reads a snapshot shows while the pipeline writes.

use super::page;
use super::shop::{PARTITIONS, two_days};
use end_to_end::mongosh::Shell;
use end_to_end::oracle::{
    Expected, Key, Row, Rows, VIEWS, View, compare_view, expected_behind, offsets,
};
use end_to_end::pipeline::PATIENCE;
use end_to_end::{Ending, Scene, eventually};
use mongodb::bson::{DateTime, Document};
use std::thread;

pub(crate) const BLOCKS: [&str; 1] = ["moment"];

/// Messages that are sent at once.
const STEP: usize = 12;

/// What one look has shown, of each view.
struct Look {
    progress: Document,
    rows: Vec<[Vec<Document>; 2]>,
}

/// What the block shows, with the same questions about all views in it, so that all
/// are asked at the same moment.
fn look(shell: &mut Shell, block: &str) -> Look {
    const PAGE: &str = "sales_analysis";
    let named = |list: &str, view: &str| format!("{list}_of_{view}");
    let lists = ["settled", "ahead"];
    let mut all = String::new();
    for line in block.lines() {
        let of_list = lists
            .iter()
            .find(|list| line.contains(&format!("const {list} =")));
        for view in VIEWS.iter().filter(|_| of_list.is_some()) {
            let list = of_list.expect("a list");
            let line = line.replace(PAGE, view.name);
            all += &line.replace(list, &named(list, view.name));
            all.push('\n');
        }
        all += line;
        all.push('\n');
    }
    shell.run(&all).expect("a moment");
    let of = |name: &str| shell.named(name).expect("documents");
    let rows = VIEWS.map(|view| lists.map(|list| of(&named(list, view.name))));
    let sales = VIEWS.iter().position(|view| view.name == PAGE);
    let by_id = |rows: &[Document]| {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| row.get_str("_id").expect("an id").to_owned());
        rows
    };
    for (list, rows) in lists.iter().zip(&rows[sales.expect("the view")]) {
        assert_eq!(by_id(rows), by_id(&of(list)), "the same, asked again");
    }
    Look {
        progress: of("progress").remove(0),
        rows: rows.into(),
    }
}

#[test]
fn what_is_settled_is_what_the_offsets_say() {
    let scene = Scene::new("reading-moment", PARTITIONS);
    let pipeline = scene.pipeline().workers(2).flag("--idle-timeout", "1h");
    let run = pipeline.flag("--epoch", "10ms").start();
    let block = page().block("moment");
    let mut shell = Shell::new(&scene.mongo);
    let mut looks = Vec::new();
    // While it writes: some looks fall between rows and the progress that tells of them.
    thread::scope(|threads| {
        let sender = threads.spawn(|| {
            for samples in two_days().chunks(STEP) {
                scene.produce(samples);
            }
        });
        eventually("there is progress", PATIENCE, || {
            scene.mongo.progress()?.map(drop).ok_or("none".to_owned())
        });
        while !sender.is_finished() {
            looks.push(look(&mut shell, &block));
        }
    });
    scene.await_caught_up();
    looks.push(look(&mut shell, &block));
    run.drain();

    let log = scene.kafka.read(&scene.topics());
    let rules = scene.rules.clone().with_ending(Ending::Running);
    let mut before: Option<Document> = None;
    for Look { progress, rows } in &looks {
        if let Some(before) = &before {
            assert_onwards(before, progress);
        }
        before = Some(progress.clone());
        let offsets = offsets(progress).expect("offsets");
        let revenue = final_until(progress, "revenue_analysis");
        let Expected { views, .. } =
            expected_behind(&log.clone().until(&offsets), &scene.prefix, &rules, revenue);
        for (view, [settled, ahead]) in VIEWS.iter().zip(rows) {
            check(view, progress, &views[view.name], settled, ahead);
        }
    }
    let last = looks.last().expect("the last look");
    assert!(last.rows.iter().all(|[_, ahead]| ahead.is_empty()));
}

/// Compares the rows of a view with those that there were at the moment.
fn check(view: &View, progress: &Document, rows: &Rows, settled: &[Document], ahead: &[Document]) {
    let [ahead, there] = [ahead, settled].map(|documents| {
        let keys = documents.iter().map(|row| key(view, row));
        keys.collect::<Vec<_>>()
    });
    let mut wanted = rows.clone();
    wanted.retain(|key, _| !ahead.contains(key));
    if view.name == "revenue_analysis" {
        // Of which rows can go.
        wanted.retain(|key, _| there.contains(key));
    }
    if let Err(differences) = compare_view(view, &wanted, settled) {
        panic!("at {progress}: {differences}");
    }
    // All that `final_until` promises is there, whatever is ahead.
    let until = final_until(progress, view.name);
    let promised = rows.iter().filter(|(_, row)| Some(end(row)) <= until);
    for (key, row) in promised {
        assert!(row.is_final && there.contains(key), "{key:?} at {progress}");
    }
}

fn end(row: &Row) -> i64 {
    match row.fields[1].1 {
        end_to_end::oracle::Field::Date(millis) => millis,
        _ => panic!("no end of a window in {row:?}"),
    }
}

fn final_until(progress: &Document, view: &str) -> Option<i64> {
    let views = progress.get_document("views").expect("views");
    let of_view = views.get_document(view).ok()?;
    let until: DateTime = *of_view.get_datetime("final_until").expect("a date");
    Some(until.timestamp_millis())
}

/// Nothing that `progress` promises goes back.
fn assert_onwards(before: &Document, after: &Document) {
    let epoch = |progress: &Document| progress.get_i64("epoch").expect("a long");
    assert!(epoch(before) <= epoch(after));
    for view in &VIEWS {
        let until = [before, after].map(|progress| final_until(progress, view.name));
        assert!(until[0] <= until[1], "{}: {before}, {after}", view.name);
    }
    let [before, after] = [before, after].map(|progress| offsets(progress).expect("offsets"));
    for (place, offset) in before {
        assert!(after[&place] >= offset, "{place:?}");
    }
}

fn key(view: &View, row: &Document) -> Key {
    let start = match view.window[0].split_once('.') {
        Some((outer, inner)) => row
            .get_document(outer)
            .expect("a window")
            .get_datetime(inner),
        None => row.get_datetime(view.window[0]),
    };
    let group = view.groups.iter();
    let group = group.map(|name| row.get_str(name).expect("a text").to_owned());
    (start.expect("a date").timestamp_millis(), group.collect())
}
