//! What whoever runs a pipeline does with it: goes back to an older checkpoint, moves
//! the database, lets Kafka compact a topic.

use end_to_end::checkpoint::Folder;
use end_to_end::mongo::{Mongo, block_on};
use end_to_end::oracle::{self, Ending};
use end_to_end::pipeline::PATIENCE;
use end_to_end::samples::{Sample, passing, with};
use end_to_end::{Scene, TOPICS, Watcher, eventually};
use mongodb::bson::{Document, doc};
use std::ops::Range;
use std::process::Command;

#[test]
fn a_backup_of_the_checkpoint_and_a_rollback_to_an_older_one() {
    let scene = Scene::new("backup", 2);
    let folder = Folder::new();
    let pipeline = folder.kept_by(&scene.pipeline());
    scene.produce(&passing(71, 200, (0, 8)));
    scene.run_and_check(&pipeline);
    let watcher = Watcher::follow(&scene.mongo);

    let backup = tempfile::tempdir().expect("a directory");
    let copied = Command::new("cp")
        .arg("-r")
        .args([folder.path(), backup.path().join("copy")])
        .status();
    assert!(copied.expect("cp").success());
    scene.produce(&passing(72, 100, (8, 12)));
    scene.run_and_check(&pipeline);

    // With the backup, and the database that is newer.
    let restored = pipeline.clone().flag(
        "--checkpoint",
        &backup.path().join("copy").to_string_lossy(),
    );
    scene.produce(&passing(73, 50, (12, 14)));
    scene.run_and_check(&restored.workers(3));

    // With the checkpoint before the newest.
    let newest = folder.manifests().pop().expect("a manifest");
    std::fs::remove_file(newest).expect("it goes");
    scene.produce(&passing(74, 50, (14, 16)));
    scene.run_and_check(&pipeline.workers(2));
    assert!(watcher.finish().finals > 0);
}

#[test]
fn a_database_that_was_moved() {
    let scene = Scene::new("moved", 2);
    let folder = Folder::new();
    scene.produce(&passing(75, 200, (0, 8)));
    scene.run_and_check(&folder.kept_by(&scene.pipeline()));
    let there = Scene::without_topics("moved-there");
    for name in scene.mongo.collections() {
        let collection = scene.mongo.database().collection::<Document>(&name);
        let out = doc! {"$out": {"db": &there.database, "coll": &name}};
        block_on(async { collection.aggregate([out]).await }).expect("a copy");
    }
    scene.produce(&passing(76, 100, (8, 12)));
    let pipeline = folder
        .kept_by(&scene.pipeline())
        .flag("--database", &there.database);
    pipeline.workers(2).until_caught_up().run();
    scene.check_in(&there.mongo);
}

/// Each of five customers logs in once a round, a quarter of an hour after the last.
fn logins(rounds: Range<u32>) -> Vec<Sample> {
    let customers = rounds.flat_map(|round| (0..5).map(move |customer| (round, customer)));
    let login = |(round, customer): (u32, u32)| {
        let id = format!("00000000-0000-4000-8000-00000000000{customer}");
        let time = format!(
            "\"2024-11-02T{:02}:{:02}:0{customer}\"",
            round / 4,
            15 * (round % 4)
        );
        let quoted = format!("\"{id}\"");
        let value = with(
            "customers",
            &[("customer_id", &quoted), ("last_login", &time)],
        );
        Sample::new("customers", value).key(id)
    };
    customers.map(login).collect()
}

#[test]
fn a_topic_that_is_compacted() {
    let scene = Scene::without_topics("compacted");
    for topic in TOPICS {
        match topic {
            "customers" => scene.kafka.create_compacted(&scene.topic(topic), 2),
            _ => scene.create(topic, 2, 1),
        }
    }
    let folder = Folder::new();
    let pipeline = folder.kept_by(&scene.pipeline());
    scene.produce(&logins(0..40));
    scene.run_and_check(&pipeline);
    let before = scene.kafka.read(&scene.topics());
    assert_eq!(before.messages.len(), 200);

    scene.kafka.compact(&scene.topic("customers"));
    scene.produce(&logins(40..41));
    let after = eventually("it is compacted", PATIENCE, || {
        let now = scene.kafka.read(&scene.topics());
        match now.messages.len() {
            few @ 0..100 => Ok((few, now)),
            many => Err(format!("{many} messages")),
        }
    });
    let (few, after) = after;
    assert!(few >= 5, "{few} messages");

    // What has been counted stays counted.
    let all = before.with(after);
    pipeline.workers(3).until_caught_up().run();
    let rules = scene.rules.clone().with_ending(Ending::CaughtUp);
    let compared = oracle::compare_by(&all, &scene.prefix, &scene.mongo, &rules);
    assert!(compared.is_ok(), "{}", compared.unwrap_err());

    // Whoever begins now knows what is left.
    let fresh = Scene::without_topics("compacted-fresh");
    let pipeline = scene.pipeline().flag("--database", &fresh.database);
    pipeline
        .flag("--idle-timeout", "1h")
        .until_caught_up()
        .run();
    scene.check_in(&Mongo::connect(
        &scene.services.mongodb_uri,
        &fresh.database,
    ));
}
