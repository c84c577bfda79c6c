//! The closing act, which no run survives: a topic is deleted and made again under it.
//!
//! It has to notice, end with 1 and say which topic it is, and nothing of the new one may
//! have come into the database.

use crate::faults::World;
use crate::verdict::TICK;
use end_to_end::Scene;
use end_to_end::http::get;
use end_to_end::kafka::Kafka;
use end_to_end::oracle::VIEWS;
use end_to_end::poll::eventually;
use end_to_end::process::free_port;
use end_to_end::samples::with;
use mongodb::bson::Document;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Within which it has to notice.
const NOTICE: Duration = Duration::from_secs(30);
/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "system_logs";

/// All rows and dead letters.
fn contents(scene: &Scene) -> BTreeMap<&'static str, Vec<Document>> {
    let names = VIEWS.iter().map(|view| view.name);
    let sorted = |name| {
        let mut documents = scene.documents(name);
        documents.sort_by_key(ToString::to_string);
        (name, documents)
    };
    names.chain(["dead_letters"]).map(sorted).collect()
}

/// Plays it, when everything has been compared and nothing is broken. Returns how long the
/// run took to notice.
///
/// # Panics
/// When it does not, or the database has changed.
pub(crate) fn made_again(world: &mut World, scene: &Scene) -> Duration {
    let before = contents(scene);
    let topic = scene.topic(TOPIC);
    let ends = scene.kafka.ends(std::slice::from_ref(&topic));
    let address = format!("127.0.0.1:{}", free_port());
    let mut run = world.cast.start_last(&["--http", &address]);
    eventually("the last run is ready", PATIENCE, || {
        match get(&address, "/readyz") {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });

    scene.kafka.drop_topics(&[&topic]);
    scene.kafka.await_gone(&topic);
    let begun = Instant::now();
    // Another client: for this one it is the topic that was deleted.
    let kafka = Kafka::connect(&scene.services.brokers);
    kafka.create(&topic, 3, 2);
    let line = with(TOPIC, &[]).into_bytes();
    for ((_, partition), end) in ends {
        // Longer than before, so that whoever goes on at the old offset finds something.
        for _ in 0..end + 20 {
            kafka.send(&topic, Some(partition), None, None, Some(&line));
        }
    }
    kafka.flush();
    let code = run.exit_code(NOTICE.saturating_sub(begun.elapsed()) + TICK);
    let output = run.output();
    assert_eq!(code, Some(1), "a topic was made again: {output}");
    let again = format!("tidemark: topic {topic} was deleted and made again");
    assert!(output.contains(&again), "{output}");
    for (collection, documents) in contents(scene) {
        assert!(
            documents == before[collection],
            "{collection} has changed: {output}"
        );
    }
    begun.elapsed()
}
