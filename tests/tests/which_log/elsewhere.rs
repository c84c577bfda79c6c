//! Another Kafka with topics of the same names, and a Kafka that has lost messages.

use crate::states::{State, TOPIC, all_end, all_refuse, fill, lines, read, scene};
use end_to_end::broker::Broker;
use end_to_end::kafka::Kafka;
use end_to_end::pipeline::PATIENCE;
use end_to_end::{Scene, Services, eventually};

/// Topics on a broker of a test's own, and the shared MongoDB.
fn scene_on(broker: &Broker, name: &str, counts: [usize; 2]) -> Scene {
    let uri = Services::find().mongodb_uri;
    let services = Services::elsewhere(broker.address.clone(), uri);
    let scene = Scene::on(services, name);
    scene.create(TOPIC, 2, 1);
    fill(&scene, counts);
    scene
}

#[test]
fn another_cluster_and_messages_that_are_lost() {
    let broker = Broker::start();
    another_cluster(&broker);
    lost_between_runs(&broker);
    lost_under_a_run(&broker);
}

/// A longer log under the same names in another cluster.
fn another_cluster(broker: &Broker) {
    let scene = scene("cluster", [60, 40]);
    let topic = scene.topic(TOPIC);
    let states = State::all(&scene);
    read(&states);
    let there = Kafka::connect(&broker.address);
    there.create(&topic, 2, 1);
    for line in lines(0, 200) {
        there.send(
            &topic,
            line.partition,
            line.timestamp,
            None,
            line.value.as_deref(),
        );
    }
    there.flush();
    let progress = states[0].progress().expect("progress");
    let log = progress.get_document("log").expect("a log");
    let cluster = log.get_str("cluster_id").expect("the id of the cluster");
    let named = [
        &format!("Kafka at {} is the cluster ", broker.address),
        &format!("what was read came from the cluster {cluster}"),
        "--reset-view",
        "empty --checkpoint",
    ];
    all_refuse(&states, &named, |state| state.elsewhere(&broker.address));
}

/// The broker loses the end of its log while nobody reads, and others take its place.
fn lost_between_runs(broker: &Broker) {
    let mut scene = scene_on(broker, "lost", [60, 0]);
    let topic = scene.topic(TOPIC);
    scene.produce(&lines(0, 40));
    let states = State::all(&scene);
    read(&states);
    broker.kill();
    broker.lose(&topic, 0, 60);
    broker.start_again();
    // Shorter than what was read,
    let short = format!("topic {topic} partition 0 was read up to offset 100, and now it ends at");
    all_refuse(
        &states,
        &[&short, "brokers have lost messages"],
        State::pipeline,
    );
    // and longer. The broker would not take messages that repeat those it has lost.
    scene.kafka = Kafka::connect(&broker.address);
    scene.produce(&lines(0, 90));
    let another = format!("topic {topic} partition 0 has another message at offset 99");
    all_refuse(&states, &[&another, "leader epoch"], State::pipeline);
}

/// The same under a run.
fn lost_under_a_run(broker: &Broker) {
    let mut scene = scene_on(broker, "lost-running", [60, 0]);
    let topic = scene.topic(TOPIC);
    scene.produce(&lines(0, 40));
    let states = [
        State::new(&scene, false, true),
        State::new(&scene, true, false),
    ];
    let runs: Vec<_> = states
        .iter()
        .map(|state| (state, state.pipeline().start()))
        .collect();
    for state in &states {
        eventually("all is read", PATIENCE, || match state.next(&scene, 0) {
            100 => Ok(()),
            next => Err(format!("{next}")),
        });
    }
    let before: Vec<_> = states.iter().map(State::contents).collect();
    broker.kill();
    broker.lose(&topic, 0, 60);
    broker.start_again();
    scene.kafka = Kafka::connect(&broker.address);
    scene.produce(&lines(0, 90));
    all_end(runs, &before, &[&topic, "have lost messages"]);
}
