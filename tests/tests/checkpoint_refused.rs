//! What does not fit a checkpoint: other views, another database, another log, damage.
//! It is an error that says so, nothing is written, and what fits goes on.

use end_to_end::checkpoint::{Folder, damage};
use end_to_end::oracle::{Store, VIEWS};
use end_to_end::pipeline::PATIENCE;
use end_to_end::samples::passing;
use end_to_end::{Pipeline, Rules, Scene, Watcher};
use mongodb::bson::{Document, doc};
use std::collections::BTreeMap;
use std::fs;

/// A scene of which much has been read, with a checkpoint of it.
fn saved(name: &str) -> (Scene, Folder) {
    let scene = Scene::new(name, 2);
    let folder = Folder::new();
    scene.produce(&passing(61, 200, (0, 10)));
    scene.run_and_check(&folder.kept_by(&scene.pipeline()));
    (scene, folder)
}

/// What `progress` says of the run, beside how far everything is complete.
const OF_THE_RUN: [&str; 7] = [
    "reaching",
    "generation",
    "holder",
    "ended",
    "challenge",
    "answer",
    "writers",
];

/// All that a reader may rely on.
fn contents(scene: &Scene) -> BTreeMap<&'static str, Vec<Document>> {
    let names = VIEWS.iter().map(|view| view.name);
    let names = names.chain(["dead_letters", "progress"]);
    let of = |name| {
        let mut documents = scene.mongo.documents(name);
        for document in &mut documents {
            // Whose it is and what may come, not what it says.
            for name in OF_THE_RUN {
                document.remove(name);
            }
        }
        documents.retain(|document| document.len() > 1);
        documents.sort_by_key(ToString::to_string);
        (name, documents)
    };
    names.map(of).collect()
}

/// A run fails, names all that, and has written nothing.
fn refuses(scene: &Scene, pipeline: &Pipeline, named: &[&str]) {
    let before = contents(scene);
    let mut run = pipeline.clone().until_caught_up().start();
    let process = run.process();
    let code = process.exit_code(PATIENCE);
    let output = process.output();
    assert_eq!(code, Some(1), "{output}");
    let said = output
        .lines()
        .skip_while(|line| !line.starts_with("tidemark: "));
    let said = said.collect::<Vec<_>>().join("\n");
    for word in named {
        assert!(
            said.contains(word),
            "{word:?} is not in {said:?} of {output}"
        );
    }
    assert!(!output.contains("panicked"), "{output}");
    for (name, documents) in contents(scene) {
        assert_eq!(documents, before[name], "{name}");
    }
}

#[test]
fn a_view_that_has_changed() {
    let (scene, folder) = saved("changed");
    let rules = Rules::default().with_window("sales_analysis", 2 * 3_600_000);
    let changed = folder.kept_by(&scene.pipeline().ruled_by(&rules));
    let url = folder.url();
    refuses(
        &scene,
        &changed,
        &[
            "sales_analysis",
            &url,
            "it was",
            "1h",
            "it is",
            "2h",
            "--reset-view sales_analysis",
        ],
    );
    scene.produce(&passing(62, 50, (10, 13)));
    scene.run_and_check(&folder.kept_by(&scene.pipeline()));
}

#[test]
fn another_database() {
    let (scene, folder) = saved("elsewhere");
    let elsewhere = Scene::without_topics("elsewhere-empty");
    let pipeline = scene.pipeline().flag("--database", &elsewhere.database);
    let pipeline = folder.kept_by(&pipeline);
    let url = folder.url();
    refuses(
        &elsewhere,
        &pipeline,
        &[&url, &scene.prefix, "--database", "--checkpoint"],
    );
    scene.produce(&passing(62, 50, (10, 13)));
    scene.run_and_check(&folder.kept_by(&scene.pipeline()));
}

#[test]
fn other_topics() {
    let (scene, folder) = saved("other-topics");
    let others = Scene::new("others", 1);
    let pipeline = scene.pipeline().flag("--topic-prefix", &others.prefix);
    let pipeline = folder.kept_by(&pipeline);
    refuses(
        &scene,
        &pipeline,
        &[&scene.prefix, &others.prefix, "--topic-prefix"],
    );
}

#[test]
fn a_place_where_there_can_be_no_checkpoint() {
    let scene = Scene::new("no-place", 1);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let place = file.path().to_string_lossy();
    for (url, said) in [
        (&*place, "is a file"),
        ("ftp://host/x", "ftp:// is not known"),
    ] {
        let mut run = scene.pipeline().flag("--checkpoint", url).start();
        let process = run.process();
        let code = process.exit_code(PATIENCE);
        let output = process.output();
        assert_eq!(code, Some(2), "{output}");
        assert!(output.contains(url) && output.contains(said), "{output}");
    }
}

#[test]
fn a_damaged_manifest_and_a_damaged_file() {
    let (scene, folder) = saved("damaged");
    let pipeline = folder.kept_by(&scene.pipeline());
    let manifest = folder.manifests().pop().expect("a manifest");
    let whole = fs::read(&manifest).expect("the manifest");
    damage(&manifest);
    let name = |path: &std::path::Path| {
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    refuses(&scene, &pipeline, &[&name(&manifest), "is damaged"]);
    fs::write(&manifest, whole).expect("the manifest");

    scene.produce(&passing(62, 50, (10, 13)));
    for file in folder.files() {
        let whole = fs::read(&file).expect("the file");
        damage(&file);
        refuses(&scene, &pipeline, &[&name(&file), "is damaged"]);
        fs::write(&file, whole).expect("the file");
    }
    scene.run_and_check(&pipeline);
}

#[test]
fn a_checkpoint_that_is_gone_is_begun_anew() {
    let (scene, folder) = saved("gone");
    let watcher = Watcher::follow(&scene.mongo);
    fs::remove_dir_all(folder.path()).expect("it goes");
    scene.produce(&passing(62, 50, (10, 13)));
    scene.run_and_check(&folder.kept_by(&scene.pipeline().workers(2)));
    assert!(watcher.finish().finals > 0);
}

/// As it is when a run was killed between writing rows and publishing progress, and its
/// checkpoint is gone: of what is final, only the rows themselves say so.
fn unpublished(name: &str) -> Scene {
    let (scene, _) = saved(name);
    end_to_end::mongo::block_on(async {
        let progress = scene.mongo.database().collection::<Document>("progress");
        let change = doc! {"$unset": {"views": ""}, "$set": {"epoch": 1_i64}};
        let changed = progress.update_one(doc! {}, change).await;
        assert_eq!(changed.expect("an answer").modified_count, 1);
    });
    scene
}

#[test]
fn what_was_final_before_it_was_published_stays_final() {
    for keeps in [true, false] {
        let scene = unpublished("unpublished");
        let folder = Folder::new();
        let watcher = Watcher::follow(&scene.mongo);
        scene.produce(&passing(62, 50, (10, 13)));
        let pipeline = match keeps {
            true => folder
                .kept_by(&scene.pipeline())
                .flag("--checkpoint-interval", "1h"),
            false => scene.pipeline().flag("--idle-timeout", "1h"),
        };
        let run = pipeline.start();
        scene.await_caught_up();
        run.drain();
        scene.run_and_check(&pipeline);
        let seen = watcher.finish();
        assert!(seen.finals > 0, "{seen:?}");
    }
}

#[test]
fn a_topic_that_was_deleted_and_made_again() {
    for keeps in [true, false] {
        let (scene, folder) = saved("recreated");
        let topic = scene.topic("system_logs");
        scene.kafka.recreate(&topic, 2);
        let pipeline = match keeps {
            true => folder.kept_by(&scene.pipeline()),
            false => scene.pipeline(),
        };
        let word = match keeps {
            true => "empty --checkpoint",
            false => "empty --database",
        };
        let again = format!("topic {topic} was deleted and made again");
        let named = [again.as_str(), "--reset-view log_analysis", word];
        refuses(&scene, &pipeline, &named);
    }
}

#[test]
fn messages_that_expired_since() {
    let (scene, folder) = saved("overtaken");
    let topic = scene.topic("system_logs");
    let end = scene.kafka.ends(std::slice::from_ref(&topic))[&(topic.clone(), 0)];
    let lines = passing(62, 400, (10, 13)).into_iter();
    let lines = lines.filter(|line| line.topic == "system_logs");
    scene.produce(&lines.map(|line| line.partition(0)).collect::<Vec<_>>());
    scene.kafka.expire(&topic, 0, end + 30);
    let pipeline = folder.kept_by(&scene.pipeline());
    let (from, to) = (end.to_string(), (end + 29).to_string());
    let named = [topic.as_str(), "partition 0", &from, &to, "--on-expired"];
    refuses(&scene, &pipeline, &named);

    let total = |scene: &Scene| -> i64 {
        let rows = scene.documents("log_analysis").into_iter();
        let counted = rows.map(|row| row.get_i64("total_logs").expect("a long"));
        let letters = scene.documents("dead_letters").into_iter();
        let letters = letters.filter(|letter| letter.get_str("topic").ok() == Some(&topic));
        counted.sum::<i64>() + i64::try_from(letters.count()).expect("few")
    };
    let before = total(&scene);
    pipeline
        .flag("--on-expired", "skip")
        .until_caught_up()
        .run();
    assert_eq!(
        total(&scene) - before,
        370,
        "400 were sent, and 30 have expired"
    );
}
