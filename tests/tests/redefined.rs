//! The database records the definitions of its rows: a view that has changed is refused by
//! its name also where no checkpoint knows what it was.

use end_to_end::checkpoint::Folder;
use end_to_end::mongo::block_on;
use end_to_end::oracle::{Ending, Store, VIEWS};
use end_to_end::pipeline::PATIENCE;
use end_to_end::samples::passing;
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Rules, Scene};
use mongodb::bson::{Document, doc};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

const HOUR: i64 = 3_600_000;
const CHANGED: &str = "sales_analysis";

fn two_hours() -> Rules {
    Rules::default().with_window(CHANGED, 2 * HOUR)
}

/// All rows, dead letters and what `progress` promises.
fn contents(store: &dyn Store) -> BTreeMap<&'static str, Vec<Document>> {
    let names = VIEWS.iter().map(|view| view.name);
    let of = |name| {
        let mut documents = store.documents(name);
        for document in &mut documents {
            // What a claim alone changes.
            for name in ["generation", "holder", "ended", "writers"] {
                document.remove(name);
            }
        }
        documents.sort_by_key(ToString::to_string);
        (name, documents)
    };
    names.chain(["dead_letters", "progress"]).map(of).collect()
}

/// A run ends with 1, says all of `named`, and has changed nothing.
fn refused(store: &dyn Store, pipeline: &Pipeline, named: &[&str]) {
    let before = contents(store);
    pipeline.clone().until_caught_up().start().fail(named);
    assert_eq!(contents(store), before);
}

/// A configuration of one view.
fn configured(pipeline: &Pipeline, view: &str, setting: &str) -> (Pipeline, tempfile::TempPath) {
    let mut file = tempfile::Builder::new()
        .suffix(".toml")
        .tempfile()
        .expect("a file");
    writeln!(file, "[views.{view}]\n{setting}").expect("a file");
    let path = file.into_temp_path();
    let pipeline = pipeline.clone().flag("--config", &path.to_string_lossy());
    (pipeline, path)
}

/// What `progress` says of the definition of a view.
fn definition(scene: &Scene, view: &str) -> Option<String> {
    let progress = scene.documents("progress").pop()?;
    let definitions = progress.get_document("definitions").ok()?;
    definitions.get_str(view).ok().map(ToOwned::to_owned)
}

#[test]
fn a_changed_view_is_refused_without_a_checkpoint() {
    let mut scene = Scene::new("redefined", 2);
    scene.produce(&passing(61, 100, (0, 6)));
    scene.run_and_check(&scene.pipeline());
    let database = format!("database {}", scene.database);
    for (view, setting, was, is) in [
        (CHANGED, "window = '2h'", "windows of 1h", "windows of 2h"),
        (CHANGED, "time = 'date_time'", "by kafka", "by date_time"),
        (CHANGED, "lateness = '3h'", "lateness 2h", "lateness 3h"),
        (
            CHANGED,
            "lateness = 'forever'",
            "lateness 2h",
            "lateness forever",
        ),
        (
            "revenue_analysis",
            "window = '2h'",
            "windows of 1h",
            "windows of 2h",
        ),
    ] {
        let (changed, _file) = configured(&scene.pipeline(), view, setting);
        let reset = format!("--reset-view {view}");
        let named = [view, &database, "it was", was, "it is", is, &reset];
        refused(&scene.mongo, &changed, &named);
    }
    let ahead = scene.pipeline().flag("--max-ahead", "2d");
    refused(&scene.mongo, &ahead, &[&database, "it was", "it is"]);

    // An empty checkpoint is of any definition; the rows in the database are not.
    let folder = Folder::new();
    let changed = folder.kept_by(&scene.pipeline().ruled_by(&two_hours()));
    refused(&scene.mongo, &changed, &[CHANGED, &database, "2h"]);
    scene.produce(&passing(62, 50, (6, 8)));
    scene.run_and_check(&scene.pipeline());
    scene.rules = two_hours();
    let changed = folder.kept_by(&scene.pipeline());
    scene.run_and_check(&changed.clone().flag("--reset-view", CHANGED));
    scene.produce(&passing(63, 50, (8, 10)));
    scene.run_and_check(&changed);
    assert!(definition(&scene, CHANGED).is_some_and(|text| text.contains("windows of 2h")));
    scene.run_and_check(&scene.pipeline());
}

/// A checkpoint fits the views of now, and the database has been written by others since.
#[test]
fn a_checkpoint_does_not_vouch_for_the_rows_in_the_database() {
    let mut scene = Scene::new("redefined-since", 2);
    let folder = Folder::new();
    scene.produce(&passing(61, 100, (0, 6)));
    scene.run_and_check(&folder.kept_by(&scene.pipeline()));
    let plain = scene.pipeline();
    scene.rules = two_hours();
    let changed = scene.pipeline().flag("--reset-view", CHANGED);
    scene.run_and_check(&changed);
    scene.rules = Rules::default();
    let before = folder.kept_by(&plain);
    let database = format!("database {}", scene.database);
    refused(&scene.mongo, &before, &[CHANGED, &database, "2h", "1h"]);
    scene.produce(&passing(62, 50, (6, 8)));
    scene.run_and_check(&before.clone().flag("--reset-view", CHANGED).workers(2));
    scene.produce(&passing(63, 50, (8, 10)));
    scene.run_and_check(&before);
}

#[test]
fn a_database_without_definitions_adopts_those_of_the_next_run() {
    let scene = Scene::new("redefined-older", 1);
    scene.produce(&passing(61, 50, (0, 4)));
    scene.run_and_check(&scene.pipeline());
    let progress = scene.mongo.database().collection::<Document>("progress");
    let of_now = definition(&scene, CHANGED);
    block_on(async {
        let change = doc! {"$unset": {"definitions": ""}};
        let changed = progress.update_one(doc! {"_id": "tidemark"}, change);
        changed.await.expect("the database answers");
    });
    assert_eq!(definition(&scene, CHANGED), None);
    let mut run = scene.pipeline().until_caught_up().start();
    assert_eq!(run.process().exit_code(PATIENCE), Some(0));
    let output = run.process().output();
    let said = output.matches("does not record the definitions").count();
    assert_eq!(said, 1, "{output}");
    scene.check();
    assert_eq!(definition(&scene, CHANGED), of_now);
}

/// One run after the other into a file: what the first has begun, the next has to go on with.
#[test]
fn a_changed_view_in_sqlite() {
    let mut scene = Scene::new("redefined-sqlite", 2);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("views.sqlite");
    let sqlite = |scene: &Scene, path: &Path| {
        Pipeline::bare(scene.name())
            .flag("--brokers", &scene.services.brokers)
            .flag("--topic-prefix", &scene.prefix)
            .flag("--sqlite", &path.to_string_lossy())
            .ruled_by(&scene.rules)
    };
    scene.produce(&passing(61, 100, (0, 6)));
    // Nothing has ever been published.
    let aborting = sqlite(&scene, &path).aborting_at("write.commit", 1);
    aborting.start().await_abort();
    let stored = Sqlite::open(&path).expect("the file");
    assert_eq!(stored.count("progress"), Ok(0));
    let file = path.to_string_lossy();
    let changed = |scene: &Scene| sqlite(scene, &path).ruled_by(&two_hours());
    let named = [CHANGED, &*file, "it was", "1h", "it is", "2h"];
    refused(&stored, &changed(&scene), &named);
    sqlite(&scene, &path).until_caught_up().run();
    refused(&stored, &changed(&scene), &named);
    scene.rules = two_hours();
    let resetting = sqlite(&scene, &path).flag("--reset-view", CHANGED);
    resetting.until_caught_up().run();
    sqlite(&scene, &path).until_caught_up().run();
    let log = scene.kafka.read(&scene.topics());
    let rules = scene.rules.clone().with_ending(Ending::CaughtUp);
    let compared = end_to_end::oracle::compare_by(&log, &scene.prefix, &stored, &rules);
    assert!(compared.is_ok(), "{}", compared.unwrap_err());
}

/// The definitions are there before the first row is, whenever the run that writes it ends.
#[test]
fn a_run_that_dies_before_it_publishes_leaves_its_definitions() {
    for point in ["start.planned", "publish.before"] {
        let scene = Scene::new("redefined-died", 1);
        scene.produce(&passing(61, 30, (0, 3)));
        scene.pipeline().aborting_at(point, 1).start().await_abort();
        assert_eq!(scene.mongo.progress(), Ok(None), "{point}");
        let changed = scene.pipeline().ruled_by(&two_hours());
        refused(&scene.mongo, &changed, &[CHANGED, &scene.database, "2h"]);
        scene.run_and_check(&scene.pipeline());
    }
}

/// Aborted between any two steps of rebuilding it: there are never rows of both definitions.
#[test]
fn a_rebuild_that_dies_is_asked_for_again() {
    let mut scene = Scene::new("redefined-aborted", 1);
    scene.produce(&passing(61, 50, (0, 4)));
    scene.run_and_check(&scene.pipeline());
    let plain = scene.pipeline();
    let before = definition(&scene, CHANGED);
    scene.rules = two_hours();
    let resetting = scene.pipeline().flag("--reset-view", CHANGED);
    resetting
        .clone()
        .aborting_at("start.cleared", 1)
        .start()
        .await_abort();
    assert_eq!(definition(&scene, CHANGED), before);
    assert_eq!(scene.documents(CHANGED), []);
    refused(&scene.mongo, &scene.pipeline(), &[CHANGED]);
    // Taking back the change is as good as asking for it again.
    scene.rules = Rules::default();
    scene.run_and_check(&plain);
    scene.rules = two_hours();
    resetting
        .aborting_at("start.defined", 1)
        .start()
        .await_abort();
    assert_ne!(definition(&scene, CHANGED), before);
    scene.run_and_check(&scene.pipeline());
}
