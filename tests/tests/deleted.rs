//! Rows that somebody else deletes: what is open comes back, what is final is named.

use end_to_end::checkpoint::Folder;
use end_to_end::mongo::block_on;
use end_to_end::oracle::{self, Ending, Store};
use end_to_end::pipeline::PATIENCE;
use end_to_end::samples::passing;
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Sample, Scene, eventually};
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

const VIEW: &str = "log_analysis";
const OTHER: &str = "interaction_analysis";

/// The rows of a view but for what says when they were written.
fn rows(store: &dyn Store, view: &str) -> Vec<Document> {
    let mut rows = store.documents(view);
    for row in &mut rows {
        row.remove("epoch");
        row.remove("updated_at");
    }
    rows.sort_by_key(ToString::to_string);
    rows
}

fn is_final(row: &Document) -> bool {
    row.get_bool("final").unwrap_or(false)
}

/// The number of rows that a run says it has restored, where it does so in one line.
fn restored(output: &str) -> Option<usize> {
    let said = "have been restored: ";
    assert!(output.matches(said).count() <= 1, "{output}");
    let number = output.split(said).nth(1)?.split_whitespace().next()?;
    number.parse().ok()
}

/// Runs to the end, and gives how many rows it has restored.
fn restores(pipeline: &Pipeline) -> Option<usize> {
    let mut run = pipeline.clone().until_caught_up().start();
    let process = run.process();
    let code = process.exit_code(PATIENCE);
    let output = process.output();
    assert_eq!(code, Some(0), "{output}");
    restored(&output)
}

fn delete(scene: &Scene, view: &str, which: Document) -> usize {
    let collection = scene.mongo.database().collection::<Document>(view);
    let deleted = block_on(async { collection.delete_many(which).await });
    let deleted = deleted.expect("the database answers").deleted_count;
    usize::try_from(deleted).expect("a small number")
}

fn drop_collection(scene: &Scene, view: &str) {
    let collection = scene.mongo.database().collection::<Document>(view);
    block_on(async { collection.drop().await }).expect("the database answers");
}

/// One more line in the newest row of `log_analysis`.
fn another_line() -> Sample {
    let samples = passing(61, 200, (0, 10)).into_iter();
    let mut lines = samples.filter(|sample| sample.topic == "system_logs");
    let last = lines
        .by_ref()
        .filter(|line| line.value != Some(b"no event".to_vec()));
    last.last().expect("a line")
}

#[test]
fn open_rows_come_back_and_final_ones_are_named() {
    let scene = Scene::new("deleted", 2);
    let folder = Folder::new();
    let pipeline = folder.kept_by(&scene.pipeline());
    scene.produce(&passing(61, 200, (0, 10)));
    scene.run_and_check(&pipeline);
    let before = [VIEW, OTHER].map(|view| rows(&scene.mongo, view));
    assert!(before.iter().all(|rows| rows.iter().any(is_final)));

    // All open ones of one view and one of the other, on whatever workers go on; and of final
    // ones the oldest, as a retention does.
    let oldest = before[0]
        .iter()
        .filter_map(|row| row.get_datetime("window_start").ok());
    let oldest = *oldest.min().expect("a row");
    let kept = delete(&scene, VIEW, doc! {"window_start": oldest});
    let one = before[1]
        .iter()
        .find(|row| !is_final(row))
        .expect("an open row");
    let one = one.get_str("_id").expect("an id");
    let open = delete(&scene, VIEW, doc! {"final": false});
    let open = open + delete(&scene, OTHER, doc! {"_id": one});
    assert!(kept > 0 && open > 1);
    let mut run = pipeline
        .clone()
        .workers(2)
        .processes(2)
        .until_caught_up()
        .start();
    let of_each = [0, 1].map(|process| {
        let process = run.member(process);
        let code = process.exit_code(PATIENCE);
        let output = process.output();
        assert_eq!(code, Some(0), "{output}");
        restored(&output).unwrap_or(0)
    });
    assert_eq!(of_each.iter().sum::<usize>(), open);
    let is_left = |row: &&Document| row.get_datetime("window_start").ok() != Some(&oldest);
    let left: Vec<_> = before[0].iter().filter(is_left).cloned().collect();
    assert_eq!(rows(&scene.mongo, VIEW), left);
    assert_eq!(rows(&scene.mongo, OTHER), before[1]);
    assert_eq!(restores(&pipeline), None, "nothing is missing any more");

    // Where the collection has a TTL index, all final rows may be gone.
    let collection = scene.mongo.database().collection::<Document>(OTHER);
    block_on(async {
        let options = IndexOptions::builder().name("retention".to_owned());
        let options = options.expire_after(Duration::from_secs(1 << 30)).build();
        let index = IndexModel::builder().keys(doc! {"updated_at": 1});
        let index = index.options(options).build();
        let made = collection.create_index(index).await;
        made.expect("the database answers");
    });
    assert!(delete(&scene, OTHER, doc! {"final": true}) > 0);
    assert_eq!(restores(&pipeline), None);
    block_on(async { collection.drop_index("retention").await }).expect("the database answers");

    drop_collection(&scene, VIEW);
    delete(&scene, OTHER, doc! {});
    let views = format!("--reset-view {OTHER},{VIEW}");
    pipeline
        .clone()
        .until_caught_up()
        .start()
        .fail(&[VIEW, OTHER, &scene.database, &views]);
    let other = delete(&scene, "revenue_analysis", doc! {"final": false});
    let resetting = pipeline.flag("--reset-view", &format!("{OTHER},{VIEW}"));
    assert_eq!(restores(&resetting), Some(other));
    scene.check();
}

#[test]
fn a_row_that_is_deleted_while_it_is_open_ends_the_run() {
    let scene = Scene::new("deleted-running", 2);
    let folder = Folder::new();
    let pipeline = folder.kept_by(&scene.pipeline());
    scene.produce(&passing(61, 200, (0, 10)));
    scene.run_and_check(&pipeline);
    let run = pipeline.start();
    scene.produce(&[another_line()]);
    scene.await_caught_up();
    let open = delete(&scene, VIEW, doc! {"final": false});
    scene.produce(&[another_line()]);
    run.fail(&[VIEW, "are gone", &scene.database]);
    assert_eq!(restores(&pipeline), Some(open));
    scene.check();

    // Without its rows, the collection is made again by whoever writes the next one.
    let run = pipeline.start();
    scene.produce(&[another_line()]);
    scene.await_caught_up();
    drop_collection(&scene, VIEW);
    scene.produce(&[another_line()]);
    run.fail(&[VIEW, "are gone"]);
    pipeline
        .clone()
        .until_caught_up()
        .start()
        .fail(&[VIEW, "--reset-view"]);
    let resetting = pipeline.flag("--reset-view", VIEW);
    scene.run_and_check(&resetting);
}

/// Everything is read again, and a view that has no final row gets them again.
#[test]
fn without_checkpoints_a_dropped_collection_comes_back() {
    let scene = Scene::new("deleted-without", 1);
    scene.produce(&passing(61, 100, (0, 10)));
    scene.run_and_check(&scene.pipeline());
    assert!(rows(&scene.mongo, VIEW).iter().any(is_final));
    drop_collection(&scene, VIEW);
    scene.run_and_check(&scene.pipeline());
}

fn execute(path: &Path, sql: &str) -> usize {
    let connection = Connection::open(path).expect("the file");
    connection
        .busy_timeout(PATIENCE)
        .and_then(|()| connection.execute(sql, []))
        .expect("the statement")
}

#[test]
fn rows_that_are_deleted_in_sqlite() {
    let scene = Scene::new("deleted-sqlite", 2);
    let (folder, directory) = (Folder::new(), tempfile::tempdir().expect("a directory"));
    let path = directory.path().join("views.sqlite");
    let bare = Pipeline::bare(scene.name())
        .flag("--brokers", &scene.services.brokers)
        .flag("--topic-prefix", &scene.prefix)
        .flag("--sqlite", &path.to_string_lossy())
        .workers(2);
    let pipeline = folder.kept_by(&bare);
    let check = || {
        let log = scene.kafka.read(&scene.topics());
        let rules = scene.rules.clone().with_ending(Ending::CaughtUp);
        let stored = Sqlite::open(&path).expect("the file");
        let compared = oracle::compare_by(&log, &scene.prefix, &stored, &rules);
        assert!(compared.is_ok(), "{}", compared.unwrap_err());
    };
    scene.produce(&passing(61, 200, (0, 10)));
    pipeline.clone().until_caught_up().run();
    check();
    let open = execute(&path, "DELETE FROM log_analysis WHERE final = 0");
    assert!(open > 1);
    assert_eq!(restores(&pipeline), Some(open));
    check();

    let run = pipeline.start();
    scene.produce(&[another_line()]);
    let ends = scene.kafka.ends(&scene.topics());
    eventually("it writes", PATIENCE, || {
        let progress = Sqlite::open(&path)?.documents("progress");
        let offsets = oracle::offsets(progress.first().ok_or("no progress")?)?;
        match ends
            .iter()
            .all(|(place, end)| offsets.get(place).unwrap_or(&0) >= end)
        {
            true => Ok(()),
            false => Err(format!("{offsets:?}")),
        }
    });
    let open = execute(&path, "DELETE FROM log_analysis WHERE final = 0");
    scene.produce(&[another_line()]);
    run.fail(&[VIEW, "are gone", &path.to_string_lossy()]);
    execute(&path, "DELETE FROM interaction_analysis");
    let reset = format!("--reset-view {OTHER}");
    pipeline
        .clone()
        .until_caught_up()
        .start()
        .fail(&[OTHER, &reset]);
    let resetting = pipeline.flag("--reset-view", OTHER);
    assert_eq!(restores(&resetting), Some(open));
    check();
}
