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
    let judged = judge(
        &scene.kafka.read(&scene.topics()),
        &scene.prefix,
        &scene.rules,
    );
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

#[test]
fn lines_of_ones_own_are_sent_as_they_are() {
    let scene = Scene::without_topics("send");
    let program = end_to_end::process::binary("generator");
    let send = |topic: &str, lines: &str, more: &[&str]| {
        let mut child = std::process::Command::new(&program)
            .args(["send", topic, "--brokers", &scene.services.brokers])
            .args(["--topic-prefix", &scene.prefix])
            .args(more)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the generator starts");
        let mut input = child.stdin.take().expect("its input");
        // It may have refused before it reads.
        let _ = std::io::Write::write_all(&mut input, lines.as_bytes());
        drop(input);
        child.wait_with_output().expect("it ends")
    };
    let lines = "{\"log_id\": \"l-1\", \"level\": \"INFO\"}\n\n  not JSON\n";
    let sent = send("system_logs", lines, &["--at", "2026-11-24T09:40:00"]);
    assert!(sent.status.success(), "{sent:?}");
    assert!(
        String::from_utf8_lossy(&sent.stdout).contains("acknowledged 2"),
        "{sent:?}"
    );
    let log = scene.kafka.read(&scene.topics());
    let mut found: Vec<_> = log.messages.iter().collect();
    found.sort_by_key(|message| message.key.is_none());
    let text = |bytes: &Option<Vec<u8>>| {
        bytes
            .clone()
            .map(|b| String::from_utf8_lossy(&b).into_owned())
    };
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(text(&found[0].key).as_deref(), Some("l-1"));
    assert_eq!(text(&found[1].key), None);
    assert_eq!(text(&found[1].value).as_deref(), Some("  not JSON"));
    assert_eq!(found[0].timestamp, 1_795_513_200_000);

    let unknown = send("orders", "{}", &[]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("system_logs"),
        "{unknown:?}"
    );
    let nowhere = std::process::Command::new(&program)
        .env_remove("TIDEMARK_BROKERS")
        .output()
        .expect("the generator starts");
    assert_eq!(nowhere.status.code(), Some(2), "{nowhere:?}");
    assert!(
        String::from_utf8_lossy(&nowhere.stderr).contains("--brokers"),
        "{nowhere:?}"
    );
}
