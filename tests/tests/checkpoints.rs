//! With checkpoints: killed again and again, final only after durable, in SQLite.

use end_to_end::checkpoint::Folder;
use end_to_end::http::get_json;
use end_to_end::oracle::{Store, VIEWS};
use end_to_end::pipeline::{PATIENCE, Run};
use end_to_end::process::free_port;
use end_to_end::samples::passing;
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Scene, Watcher, eventually};
use mongodb::bson::Document;
use std::path::Path;

/// Workers and processes.
const SHAPES: [(usize, usize); 4] = [(1, 1), (1, 3), (2, 1), (2, 2)];

/// A command line that takes checkpoints often, and reads a little at a time so that
/// there is a middle.
fn saving(pipeline: &Pipeline, folder: &Folder) -> Pipeline {
    pipeline
        .clone()
        .flag("--checkpoint", &folder.url())
        .flag("--checkpoint-interval", "200ms")
        .flag("--epoch", "20ms")
        .flag("--max-in-flight", "500")
        // What this machine is busy with must not decide what is late.
        .flag("--idle-timeout", "1h")
}

/// The greatest epoch of all rows.
fn newest(store: &dyn Store) -> i64 {
    let rows = VIEWS.iter().flat_map(|view| store.documents(view.name));
    rows.map(|row| row.get_i64("epoch").expect("a long"))
        .max()
        .unwrap_or(0)
}

/// Waits until rows are written that are newer than `before`.
fn await_rows(run: &mut Run, store: &dyn Store, before: i64) {
    eventually("something is written", PATIENCE, || {
        run.assert_running();
        match newest(store) > before {
            true => Ok(()),
            false => Err(format!("nothing after epoch {before}")),
        }
    });
}

/// Waits until a run has the right to write, and no longer.
fn await_generation(scene: &Scene, generation: i64) {
    eventually("it has the right to write", PATIENCE, || {
        let progress = scene.documents("progress").pop().unwrap_or_default();
        match progress.get_i64("generation").ok() == Some(generation) {
            true => Ok(()),
            false => Err(progress.to_string()),
        }
    });
}

/// Ends a run that catches up, and gives the number of events that it has read.
fn events_read(pipeline: &Pipeline) -> usize {
    let mut run = pipeline.clone().until_caught_up().start();
    let process = run.process();
    assert_eq!(process.exit_code(PATIENCE), Some(0), "{}", process.output());
    let output = process.output();
    let (before, _) = output.split_once(" events read").expect("a farewell");
    let number = before.rsplit(' ').next().expect("a word");
    number.parse().expect("a number")
}

#[test]
fn killed_again_and_again_by_a_watching_reader() {
    let scene = Scene::new("killed-saving", 3);
    let folder = Folder::new();
    let watcher = Watcher::follow(&scene.mongo);
    scene.produce(&passing(31, 300, (0, 8)));
    for round in 0..9u64 {
        let (workers, processes) = SHAPES[usize::try_from(round).expect("small") % SHAPES.len()];
        let pipeline = scene.pipeline().workers(workers).processes(processes);
        let last = folder.manifests().pop();
        let before = newest(&scene.mongo);
        let mut run = saving(&pipeline, &folder).start();
        let from = 8 + 4 * round;
        scene.produce(&passing(32 + round, 150, (from, from + 4)));
        match round % 3 {
            0 => folder.await_another(last),
            1 => await_rows(&mut run, &scene.mongo, before),
            _ => await_generation(&scene, 1 + i64::try_from(round).expect("small")),
        }
        match round {
            // Before it has caught up, perhaps: then nothing is written or saved.
            2 => run.drain(),
            _ => run.kill(),
        }
    }
    let read = events_read(&saving(&scene.pipeline().workers(2), &folder));
    scene.check();
    let held = scene.kafka.read(&scene.topics()).messages.len();
    assert!(read < held, "{read} events read of {held}");
    let seen = watcher.finish();
    assert!(seen.finals > 100 && seen.letters > 10, "{seen:?}");
    assert_eq!(seen.generation, 10, "{seen:?}");
}

/// Waits until everybody could know that windows have closed.
fn await_closing(address: &str) {
    eventually("windows close", PATIENCE, || {
        let views = get_json(address, "/api/watermarks");
        let all = views["views"].as_array().expect("views");
        let closed = |view: &&serde_json::Value| {
            let watermark = view["watermark"].as_str().unwrap_or("");
            watermark > "2024-11-02T10:00:00Z"
        };
        match all.iter().filter(closed).count() {
            7 => Ok(()),
            _ => Err(views.to_string()),
        }
    });
}

fn final_rows(scene: &Scene) -> usize {
    let rows = VIEWS.iter().flat_map(|view| scene.documents(view.name));
    let is_final = |row: &Document| row.get_bool("final").expect("a flag");
    rows.filter(is_final).count()
}

#[test]
fn final_only_when_a_checkpoint_knows() {
    let scene = Scene::new("durable", 2);
    let folder = Folder::new();
    let watcher = Watcher::follow(&scene.mongo);
    scene.produce(&passing(41, 300, (0, 14)));
    let address = format!("127.0.0.1:{}", free_port());
    let run = saving(&scene.pipeline().workers(2), &folder)
        .flag("--checkpoint-interval", "1h")
        .flag("--http", &address)
        .start();
    scene.await_caught_up();
    await_closing(&address);
    assert!(newest(&scene.mongo) > 0);
    assert_eq!(final_rows(&scene), 0, "nothing is durable");
    let progress = scene
        .mongo
        .progress()
        .expect("an answer")
        .expect("progress");
    let views = progress.get_document("views").expect("views");
    for (view, reached) in views {
        assert!(
            !reached.to_string().contains("final_until"),
            "{view}: {reached}"
        );
    }
    run.drain();
    assert!(final_rows(&scene) > 50);
    scene.check_so_far();
    assert_eq!(events_read(&saving(&scene.pipeline(), &folder)), 0);
    scene.check();
    watcher.finish();
}

fn into_sqlite(scene: &Scene, path: &Path) -> Pipeline {
    Pipeline::bare(scene.name())
        .flag("--brokers", &scene.services.brokers)
        .flag("--topic-prefix", &scene.prefix)
        .flag("--sqlite", &path.to_string_lossy())
}

#[test]
fn killed_again_and_again_with_sqlite() {
    let scene = Scene::new("killed-sqlite", 3);
    let folder = Folder::new();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("views.sqlite");
    let pipeline = saving(&into_sqlite(&scene, &path), &folder);
    scene.produce(&passing(51, 300, (0, 8)));
    for round in 0..4 {
        let last = folder.manifests().pop();
        let before = Sqlite::open(&path).map_or(0, |store| newest(&store));
        let mut run = pipeline.clone().workers(1 + round % 3).start();
        let from = 8 + 4 * round as u64;
        scene.produce(&passing(52 + round as u64, 150, (from, from + 4)));
        // It makes the tables before it takes a checkpoint.
        folder.await_another(last);
        if round % 2 == 1 {
            await_rows(&mut run, &Sqlite::open(&path).expect("the file"), before);
        }
        run.kill();
    }
    let read = events_read(&pipeline.workers(2));
    scene.check_in(&Sqlite::open(&path).expect("the file"));
    let held = scene.kafka.read(&scene.topics()).messages.len();
    assert!(read < held, "{read} events read of {held}");
}
