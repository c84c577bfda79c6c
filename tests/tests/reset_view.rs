//! A view that is not what it was is rebuilt when it is asked for by its name; the
//! others go on as if nothing had happened.

use end_to_end::checkpoint::Folder;
use end_to_end::oracle::{Ending, VIEWS};
use end_to_end::pipeline::PATIENCE;
use end_to_end::poll::eventually;
use end_to_end::samples::passing;
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Rules, Scene, Watcher};
use mongodb::bson::Document;
use std::collections::BTreeMap;

const HOUR: i64 = 3_600_000;
const CHANGED: &str = "sales_analysis";

fn two_hours() -> Rules {
    Rules::default().with_window(CHANGED, 2 * HOUR)
}

/// A scene of which much has been read, with a checkpoint of it.
fn saved(name: &str) -> (Scene, Folder) {
    let scene = Scene::new(name, 2);
    let folder = Folder::new();
    scene.produce(&passing(61, 200, (0, 10)));
    scene.run_and_check(&folder.kept_by(&scene.pipeline()));
    (scene, folder)
}

/// By other rules from now on, with the changed view to be rebuilt.
fn resetting(scene: &mut Scene, rules: Rules) -> Pipeline {
    scene.rules = rules;
    let pipeline = scene.pipeline().ruled_by(&scene.rules);
    pipeline.flag("--reset-view", CHANGED)
}

/// The rows of all other views, to the last bit.
fn others(scene: &Scene) -> BTreeMap<&'static str, Vec<Document>> {
    let others = VIEWS.iter().filter(|view| view.name != CHANGED);
    let rows = others.map(|view| {
        let mut rows = scene.documents(view.name);
        rows.sort_by_key(ToString::to_string);
        (view.name, rows)
    });
    rows.collect()
}

fn is_of_an_hour(row: &Document) -> bool {
    let [start, end] = ["window_start", "window_end"].map(|key| {
        let time = row.get_datetime(key).expect("a time");
        time.timestamp_millis()
    });
    end - start == HOUR
}

#[test]
fn it_is_rebuilt_and_the_others_stay() {
    let (mut scene, folder) = saved("reset");
    let before = others(&scene);
    assert!(before.values().all(|rows| !rows.is_empty()));
    let pipeline = folder.kept_by(&resetting(&mut scene, two_hours()));
    scene.run_and_check(&pipeline.clone().workers(2).processes(2));
    assert_eq!(others(&scene), before);

    // Once it is as the checkpoint has it, nothing is rebuilt any more.
    let watcher = Watcher::follow(&scene.mongo);
    scene.produce(&passing(62, 100, (10, 16)));
    scene.run_and_check(&pipeline.workers(3));
    assert!(watcher.finish().finals > 0);
}

#[test]
fn the_view_that_joins_is_rebuilt_from_all_that_it_joins() {
    let (mut scene, folder) = saved("reset-joined");
    let rules = Rules::default().with_window("revenue_analysis", 2 * HOUR);
    scene.rules = rules;
    let pipeline = scene.pipeline().ruled_by(&scene.rules);
    let pipeline = folder
        .kept_by(&pipeline)
        .flag("--reset-view", "revenue_analysis");
    scene.produce(&passing(62, 100, (10, 13)));
    scene.run_and_check(&pipeline.workers(2));
}

#[test]
fn a_run_that_dies_meanwhile_begins_to_rebuild_again() {
    let (mut scene, folder) = saved("reset-killed");
    let rebuilding = folder.kept_by(&resetting(&mut scene, two_hours()));
    let run = rebuilding.start();
    eventually("its rows are gone", PATIENCE, || {
        let rows = scene.documents(CHANGED);
        match rows.iter().any(is_of_an_hour) {
            true => Err(format!("{} rows", rows.len())),
            false => Ok(()),
        }
    });
    run.kill();
    // Whether or not it has come to an end: it need not be asked for any more.
    scene.produce(&passing(62, 50, (10, 13)));
    let plain = scene.pipeline().ruled_by(&scene.rules);
    scene.run_and_check(&folder.kept_by(&plain).workers(3));
}

#[test]
fn without_checkpoints_what_was_there_goes() {
    let mut scene = Scene::new("reset-all", 2);
    scene.produce(&passing(61, 200, (0, 10)));
    scene.run_and_check(&scene.pipeline());
    let pipeline = resetting(&mut scene, two_hours());
    scene.run_and_check(&pipeline);
}

#[test]
fn a_view_in_sqlite() {
    let mut scene = Scene::new("reset-sqlite", 2);
    let (folder, directory) = (Folder::new(), tempfile::tempdir().expect("a directory"));
    let path = directory.path().join("views.sqlite");
    let sqlite = |pipeline: Pipeline| {
        folder
            .kept_by(&pipeline)
            .flag("--sqlite", &path.to_string_lossy())
            .until_caught_up()
    };
    let bare = |scene: &Scene| {
        let pipeline = Pipeline::bare(scene.name());
        let pipeline = pipeline.flag("--brokers", &scene.services.brokers);
        let pipeline = pipeline.flag("--topic-prefix", &scene.prefix);
        pipeline.ruled_by(&scene.rules)
    };
    scene.produce(&passing(61, 200, (0, 10)));
    sqlite(bare(&scene)).run();
    scene.rules = two_hours();
    sqlite(bare(&scene)).flag("--reset-view", CHANGED).run();
    let log = scene.kafka.read(&scene.topics());
    let rules = scene.rules.clone().with_ending(Ending::CaughtUp);
    let stored = Sqlite::open(&path).expect("the file");
    let compared = end_to_end::oracle::compare_by(&log, &scene.prefix, &stored, &rules);
    assert!(compared.is_ok(), "{}", compared.unwrap_err());
}

#[test]
fn a_name_that_no_view_has_is_refused() {
    let (scene, folder) = saved("reset-unknown");
    for pipeline in [scene.pipeline(), folder.kept_by(&scene.pipeline())] {
        let mut run = pipeline.flag("--reset-view", "sales").start();
        let process = run.process();
        let code = process.exit_code(PATIENCE);
        let output = process.output();
        assert_eq!(code, Some(2), "{output}");
        for word in ["--reset-view sales: there is no such view", CHANGED] {
            assert!(output.contains(word), "{word:?} is not in {output}");
        }
    }
}
