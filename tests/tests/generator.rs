//! The generator's own promises, by what lies in Kafka afterwards.

use end_to_end::oracle::{Judged, judge};
use end_to_end::pipeline::PATIENCE;
use end_to_end::{Process, Scene, TOPICS};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What the topics hold after the generator ran.
fn generated(name: &str, arguments: &[&str]) -> (Scene, Judged) {
    let scene = Scene::without_topics(name);
    scene.generate(arguments);
    let judged = judge(&scene.kafka.read(&scene.topics()), &scene.prefix);
    (scene, judged)
}

/// How many events of each topic there are.
fn counts(judged: &Judged) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for event in &judged.events {
        *counts.entry(event.topic).or_default() += 1;
    }
    counts
}

#[test]
fn a_round_is_a_round() {
    let (scene, judged) = generated("rounds", &["--count", "400", "--seed", "1"]);
    assert_eq!(judged.rejects, [], "every event is well-formed");
    let counts = counts(&judged);
    assert_eq!(
        counts["customers"] + counts["products"],
        400,
        "one or the other in each"
    );
    assert_eq!(counts["system_logs"], 400, "always one");
    let sales = counts["transactions"];
    assert!((380..=399).contains(&sales), "{sales} once there are both");
    assert_eq!(counts["product_views"], sales);
    assert_eq!(counts["user_interactions"], sales);

    // The key is an entity's id, so that one id stays on one partition.
    let log = scene.kafka.read(&scene.topics());
    let mut places: BTreeMap<_, BTreeSet<i32>> = BTreeMap::new();
    for message in &log.messages {
        let key = message.key.clone().expect("a key");
        places
            .entry((message.topic.clone(), key))
            .or_default()
            .insert(message.partition);
    }
    assert!(places.values().all(|partitions| partitions.len() == 1));
    let used: BTreeSet<_> = log
        .messages
        .iter()
        .map(|message| message.partition)
        .collect();
    assert_eq!(used.len(), 4, "all partitions are used");
}

#[test]
fn sales_refer_to_what_was_sent_before() {
    let (_scene, judged) = generated("known", &["--count", "200", "--seed", "2"]);
    let ids = |topic, field: &str| -> BTreeSet<String> {
        let of_topic = judged.events.iter().filter(|event| event.topic == topic);
        of_topic
            .map(|event| format!("{:?}", event.fields[field]))
            .collect()
    };
    for topic in ["transactions", "product_views", "user_interactions"] {
        assert!(
            ids(topic, "product_id").is_subset(&ids("products", "product_id")),
            "{topic}"
        );
        assert!(
            ids(topic, "customer_id").is_subset(&ids("customers", "customer_id")),
            "{topic}"
        );
    }
}

#[test]
fn the_same_seed_sends_the_same_bytes() {
    let arguments = [
        "--count",
        "200",
        "--seed",
        "3",
        "--start",
        "2024-11-02T13:45:11",
        "--late",
        "0.1",
        "--duplicates",
        "0.1",
        "--malformed",
        "0.1",
    ];
    let contents = |name| {
        let (scene, _) = generated(name, &arguments);
        let log = scene.kafka.read(&scene.topics());
        let message = |message: end_to_end::kafka::Message| {
            let topic = message.topic.trim_start_matches(&scene.prefix).to_owned();
            (
                topic,
                message.partition,
                message.timestamp,
                message.key,
                message.value,
            )
        };
        log.messages.into_iter().map(message).collect::<Vec<_>>()
    };
    let first = contents("seed-first");
    assert!(first.len() > 800);
    assert_eq!(first, contents("seed-second"));
}

#[test]
fn shares_are_what_was_asked_for() {
    let (_scene, judged) = generated(
        "shares",
        &[
            "--count",
            "2000",
            "--seed",
            "4",
            "--duplicates",
            "0.2",
            "--malformed",
            "0.1",
        ],
    );
    let total = judged.events.len() + judged.rejects.len();
    let near = |part: usize, of: usize, percent: usize| {
        let expected = of * percent / 100;
        (expected * 8 / 10..=expected * 12 / 10).contains(&part)
    };
    assert!(
        near(judged.rejects.len(), total, 10),
        "{} of {total}",
        judged.rejects.len()
    );
    // Of about five events a round, each fifth once more.
    let sent_once = 2000 * 5;
    let more = total - sent_once.min(total);
    assert!(near(more, sent_once, 20), "{more} more than {sent_once}");
}

#[test]
fn topics_are_created_as_asked() {
    let (scene, _) = generated(
        "created",
        &["--count", "1", "--seed", "5", "--partitions", "3"],
    );
    let log = scene.kafka.read(&scene.topics());
    assert_eq!(log.bounds.len(), TOPICS.len());
    assert!(log.bounds.values().all(|partitions| partitions.len() == 3));
}

#[test]
fn gives_up_without_a_broker() {
    let began = Instant::now();
    let arguments = ["--brokers", "127.0.0.1:1", "--count", "1"].map(ToOwned::to_owned);
    let mut process = Process::start("generator", "no-broker", &arguments, &[]);
    assert_eq!(process.exit_code(PATIENCE), Some(1));
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(15),
        "after {took:?} instead of 5 s"
    );
    assert!(
        process.output().contains("127.0.0.1:1"),
        "{}",
        process.output()
    );
}

#[test]
fn wrong_usage_ends_with_2() {
    let cases = [
        ("--late", "1.5"),
        ("--count", "many"),
        ("--times", "never"),
        ("--partitions", "0"),
        ("--no-such-flag", "1"),
    ];
    for (flag, value) in cases {
        let arguments = ["--brokers", "127.0.0.1:1", flag, value].map(ToOwned::to_owned);
        let mut process = Process::start("generator", "usage", &arguments, &[]);
        assert_eq!(process.exit_code(PATIENCE), Some(2), "{flag} {value}");
        assert!(process.output().contains(flag), "{}", process.output());
    }
}
