//! A view that is not what it was is rebuilt when it is asked for by its name; the
//! others go on as if nothing had happened.

use end_to_end::checkpoint::Folder;
use end_to_end::mongo::block_on;
use end_to_end::oracle::{Ending, Store, VIEWS, compare_view};
use end_to_end::pipeline::PATIENCE;
use end_to_end::poll::eventually;
use end_to_end::samples::passing;
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Rules, Scene, Watcher};
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

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

    // A start that does not name it goes on from there.
    let watcher = Watcher::follow(&scene.mongo);
    scene.produce(&passing(62, 100, (10, 16)));
    let plain = folder.kept_by(&scene.pipeline().ruled_by(&scene.rules));
    scene.run_and_check(&plain.workers(3));
    assert!(watcher.finish().finals > 0);

    // One that names it rebuilds it, also where it is as the checkpoint has it: whatever has
    // become of its rows.
    let before = others(&scene);
    block_on(async {
        let rows = scene.mongo.database().collection::<Document>(CHANGED);
        let change = doc! {"$set": {"total_quantity_sold": -1_i64}};
        let changed = rows.update_many(doc! {"final": true}, change).await;
        assert!(changed.expect("the database answers").modified_count > 0);
    });
    scene.run_and_check(&pipeline);
    assert_eq!(others(&scene), before);
}

/// What a view of one's own says of items sold, next to what `sales_analysis` says.
fn own_sales(store: &dyn Store, group: &str, factor: i64) {
    let rows = |view: &str, group: &str, items: &str, factor: i64| {
        let rows = store.documents(view).into_iter();
        let rows = rows.map(|row| {
            let start = row.get_datetime("window_start").expect("a window");
            let group = row.get_str(group).expect("a group").to_owned();
            let items = row.get_i64(items).expect("a number");
            ((start.timestamp_millis(), group), factor * items)
        });
        rows.collect::<BTreeMap<_, _>>()
    };
    let expected = rows(CHANGED, "product_id", "total_quantity_sold", factor);
    assert!(!expected.is_empty());
    assert_eq!(rows("own_sales", group, "items", 1), expected);
}

/// Waits until it has ended with 1, and has said all of this in the end.
fn refused(pipeline: &Pipeline, named: &[&str]) {
    pipeline.clone().until_caught_up().start().fail(named);
}

/// A view of a program in several forms, which differ in columns and in code. `of` makes the
/// command line, and `store` what it has written.
fn forms(store: &dyn Fn() -> Box<dyn Store>, of: &dyn Fn(&'static str) -> Pipeline) {
    let resetting = |form| of(form).flag("--reset-view", "own_sales");
    let run = |pipeline: Pipeline| pipeline.until_caught_up().run();
    run(of("first"));
    own_sales(&*store(), "product_id", 1);

    // What goes wrong before its first row is gone changes nothing for the former program.
    let named = ["own_sales", "--reset-view own_sales"];
    refused(&of("column"), &named);
    refused(&of("group"), &named);
    let dying = |point| {
        resetting("group")
            .aborting_at(point, 1)
            .start()
            .await_abort()
    };
    dying("start.taken");
    run(of("first"));
    own_sales(&*store(), "product_id", 1);
    // From then on only a rebuild helps; the same program goes on with it by itself.
    dying("start.cleared");
    refused(&of("first"), &named);
    run(of("group"));
    own_sales(&*store(), "product", 1);

    run(resetting("column"));
    own_sales(&*store(), "product_id", 1);
    let rows = store().documents("own_sales");
    assert!(rows.iter().all(|row| row.get_i64("sales").is_ok()));
    refused(&of("code"), &["own_sales", "version 2"]);
    run(resetting("code"));
    run(of("code"));
    own_sales(&*store(), "product_id", 2);
}

#[test]
fn a_view_with_other_columns_or_code_is_rebuilt() {
    let (scene, folder) = (Scene::new("reset-forms", 2), Folder::new());
    scene.produce(&passing(61, 100, (0, 10)));
    let of = |form| folder.kept_by(&scene.pipeline()).own_view(form);
    forms(&|| Box::new(scene.mongo.clone()), &of);
    // Without a checkpoint the database knows what its rows are of.
    let first = scene.pipeline().own_view("first");
    refused(&first, &["own_sales", "version 2", &scene.database]);
}

#[test]
fn a_view_with_other_columns_or_code_is_rebuilt_in_sqlite() {
    let (scene, folder) = (Scene::new("reset-forms-sqlite", 2), Folder::new());
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("views.sqlite");
    scene.produce(&passing(61, 100, (0, 10)));
    let of = |form| {
        let pipeline = Pipeline::bare(scene.name())
            .flag("--brokers", &scene.services.brokers)
            .flag("--topic-prefix", &scene.prefix)
            .flag("--sqlite", &path.to_string_lossy());
        folder.kept_by(&pipeline).own_view(form)
    };
    forms(&|| Box::new(Sqlite::open(&path).expect("the file")), &of);
}

/// All rows of the built-in views, to the last bit.
fn all_rows(scene: &Scene) -> BTreeMap<&'static str, Vec<Document>> {
    let mut rows = others(scene);
    let mut changed = scene.documents(CHANGED);
    changed.sort_by_key(ToString::to_string);
    rows.insert(CHANGED, changed);
    rows
}

#[test]
fn a_view_that_comes_or_goes_touches_nothing_of_the_others() {
    let (scene, folder) = saved("added");
    let plain = folder.kept_by(&scene.pipeline());
    let with_own = plain.clone().own_view("first");
    let content = |file: &PathBuf| fs::read(file).expect("a file");
    let files: BTreeMap<PathBuf, Vec<u8>> = folder
        .files()
        .into_iter()
        .map(|file| (file.clone(), content(&file)))
        .collect();
    let before = all_rows(&scene);

    // It need not be named, and what is known of the others is neither read nor written again.
    with_own.clone().until_caught_up().run();
    own_sales(&scene.mongo, "product_id", 1);
    assert_eq!(all_rows(&scene), before);
    let manifest = fs::read_to_string(folder.manifests().pop().expect("a manifest"));
    let manifest = manifest.expect("the manifest");
    for (file, bytes) in &files {
        assert!(content(file) == *bytes, "{}", file.display());
        let name = file.file_name().expect("a name").to_string_lossy();
        assert!(manifest.contains(&*name), "{name} is not in {manifest}");
    }

    // It goes: its rows stay. Back again, it has rows already.
    let rows = scene.documents("own_sales").len();
    scene.produce(&passing(62, 50, (10, 12)));
    plain.workers(2).until_caught_up().run();
    assert_eq!(scene.documents("own_sales").len(), rows);
    let way_out = "--reset-view own_sales";
    refused(&with_own, &["own_sales", "(not there)", way_out]);
    let resetting = with_own.flag("--reset-view", "own_sales");
    resetting.until_caught_up().run();
    own_sales(&scene.mongo, "product_id", 1);
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

/// Of which view `progress` says that it is being rebuilt.
fn rebuilding(scene: &Scene) -> Result<Vec<String>, String> {
    let progress = scene.mongo.progress()?.ok_or("there is no progress")?;
    let views = progress.get_document("views").map_err(|e| e.to_string())?;
    let is_rebuilt = |view: &Bson| {
        let view = view.as_document();
        view.is_some_and(|view| view.get_bool("rebuilding").unwrap_or(false))
    };
    let rebuilt = views.iter().filter(|(_, view)| is_rebuilt(view));
    Ok(rebuilt.map(|(name, _)| name.clone()).collect())
}

fn awaits_rebuilding(scene: &Scene, expected: &[&str]) {
    eventually("progress says what is rebuilt", PATIENCE, || {
        let rebuilt = rebuilding(scene)?;
        match rebuilt == expected {
            true => Ok(()),
            false => Err(format!("{rebuilt:?}, and not {expected:?}")),
        }
    });
}

/// The rows of the views that are not rebuilt, by view and `_id`, without what may differ from run
/// to run.
fn shown(scene: &Scene, views: &[&str]) -> BTreeMap<String, Document> {
    let of_view = |view: &&str| {
        let rows = scene.documents(view).into_iter();
        let rows = rows.map(|mut row| {
            row.remove("epoch");
            row.remove("updated_at");
            row.remove("final");
            (
                format!("{view} {}", row.get_str("_id").expect("an id")),
                row,
            )
        });
        rows.collect::<Vec<_>>()
    };
    views.iter().flat_map(of_view).collect()
}

#[test]
fn others_stay_current_while_views_are_rebuilt_and_added() {
    let (mut scene, folder) = saved("reset-alone");
    let held = tempfile::NamedTempFile::new().expect("a file");
    let before = scene.documents(CHANGED);
    let number = |manifest: &PathBuf| -> u64 {
        let name = manifest.file_stem().expect("a name").to_string_lossy();
        name.parse().expect("a number")
    };
    let at_start = number(&folder.manifests().pop().expect("a manifest"));
    let pipeline = folder.kept_by(&resetting(&mut scene, two_hours()));
    let pipeline = pipeline.own_view("first").holding_backfills(held.path());
    let run = pipeline.workers(2).start();
    scene.produce(&passing(62, 100, (9, 10)));
    scene.await_caught_up();
    awaits_rebuilding(&scene, &["own_sales", CHANGED]);
    // What others have read since is in their rows, and what is rebuilt has those that it had.
    let current = shown(&scene, &["interaction_analysis", "revenue_analysis"]);
    assert_eq!(scene.documents(CHANGED), before);
    assert!(scene.documents("own_sales").is_empty());
    // Checkpoints are committed, beside those of the start: one in its name, and one of the views of
    // now. A run that goes on from one begins to rebuild once more.
    eventually("a checkpoint is committed", PATIENCE, || {
        let newest = folder.manifests().pop().ok_or("no manifest")?;
        match number(&newest) > at_start + 2 {
            true => Ok(()),
            false => Err(format!("{at_start} and then {}", newest.display())),
        }
    });
    let newest = fs::read_to_string(folder.manifests().pop().expect("a manifest"));
    let newest = newest.expect("the manifest");
    assert!(
        newest.contains(r#""rebuilding":["own_sales","sales_analysis"]"#),
        "{newest}"
    );
    run.kill();
    assert_eq!(scene.documents(CHANGED), before);

    let plain = folder.kept_by(&scene.pipeline().ruled_by(&scene.rules));
    let plain = plain.own_view("first").holding_backfills(held.path());
    let run = plain.start();
    awaits_rebuilding(&scene, &["own_sales", CHANGED]);
    held.close().expect("the file goes");
    awaits_rebuilding(&scene, &[]);
    assert!(
        scene
            .documents(CHANGED)
            .iter()
            .all(|row| !is_of_an_hour(row))
    );
    run.drain();
    assert_eq!(
        shown(&scene, &["interaction_analysis", "revenue_analysis"]),
        current
    );
    assert!(!scene.documents("own_sales").is_empty());
    let last = folder.kept_by(&scene.pipeline().ruled_by(&scene.rules));
    last.own_view("first").until_caught_up().run();
    let expected = scene.expected(Ending::CaughtUp);
    for view in &VIEWS {
        let rows = scene.documents(view.name);
        let compared = compare_view(view, &expected.views[view.name], &rows);
        assert!(compared.is_ok(), "{}", compared.unwrap_err());
    }
}

#[test]
fn a_rebuild_that_dies_at_any_step_begins_once_more() {
    let (mut scene, folder) = saved("reset-steps");
    let resetting = folder.kept_by(&resetting(&mut scene, two_hours()));
    let plain = folder.kept_by(&scene.pipeline().ruled_by(&scene.rules));
    let steps = [
        ("start.cleared", true),
        ("rebuild.release", true),
        ("rebuild.sweep", false),
        ("rebuild.swept", false),
        ("manifest.before", false),
    ];
    for (number, (step, is_as_before)) in (0..).zip(steps) {
        let workers = if step.starts_with("rebuild") { 2 } else { 1 };
        scene.produce(&passing(63 + number, 20, (10, 11)));
        // It need not be asked for any more.
        let pipeline = if number == 0 { &resetting } else { &plain };
        let pipeline = pipeline.clone().workers(workers);
        pipeline.aborting_at(step, 1).start().await_abort();
        let rows = scene.documents(CHANGED);
        assert!(!rows.is_empty(), "{step}");
        assert_eq!(rows.iter().all(is_of_an_hour), is_as_before, "{step}");
    }
    scene.produce(&passing(70, 50, (10, 13)));
    scene.run_and_check(&plain.workers(3));
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
