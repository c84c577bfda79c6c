//! Topics that change while the pipeline runs.

use end_to_end::samples::{Sample, shop};
use end_to_end::{Ending, Rules, Scene, TOPICS};

#[test]
fn topics_that_grow() {
    let scene = Scene::new("growing", 2);
    let run = scene.pipeline().workers(2).start();
    for seed in 0..3 {
        scene.produce(&shop(seed, 150));
        scene.await_caught_up();
        scene.check_as(Ending::Running);
    }
    run.drain();
    scene.check_as(Ending::Running);
}

#[test]
fn partitions_that_are_added() {
    // No window closes before the partitions are there, or they would come too late.
    let scene = Scene::new("added", 1).ruled_by(Rules::everything_counts());
    scene.produce(&shop(5, 50));
    let run = scene.pipeline().workers(2).start();
    scene.await_caught_up();
    for topic in TOPICS {
        scene.kafka.grow(&scene.topic(topic), 3);
    }
    let spread = |(number, sample): (i32, Sample)| sample.partition(number % 3);
    scene.produce(&(0..).zip(shop(6, 50)).map(spread).collect::<Vec<_>>());
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    run.drain();
}

#[test]
fn topics_that_are_empty() {
    let scene = Scene::new("empty", 2);
    scene.run_and_check(&scene.pipeline().workers(2));
}

#[test]
fn a_topic_that_does_not_exist() {
    let scene = Scene::without_topics("absent");
    for topic in TOPICS.iter().filter(|topic| **topic != "system_logs") {
        scene.create(topic, 2, 1);
    }
    let samples = shop(7, 50)
        .into_iter()
        .filter(|sample| sample.topic != "system_logs");
    scene.produce(&samples.collect::<Vec<_>>());
    scene.run_and_check(&scene.pipeline());
}

#[test]
fn a_topic_that_is_created_later() {
    let scene = Scene::without_topics("later");
    for topic in TOPICS.iter().filter(|topic| **topic != "transactions") {
        scene.create(topic, 1, 1);
    }
    let (sales, rest): (Vec<_>, Vec<_>) = shop(8, 50)
        .into_iter()
        .partition(|sample| sample.topic == "transactions");
    scene.produce(&rest);
    let run = scene.pipeline().start();
    scene.await_caught_up();
    scene.create("transactions", 2, 1);
    scene.produce(&sales);
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    run.drain();
}
