//! Sending: to nobody, to a real Kafka, and to one that is away for a while.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use end_to_end::broker::Broker;
use end_to_end::kafka::Kafka;
use end_to_end::{Scene, eventually};
use generator::{Error, Options, run};

/// A port where nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn options(brokers: &str) -> Options {
    Options {
        quiet: true,
        seed: Some(1),
        ..Options::new(brokers)
    }
}

/// For the topics of a scene.
fn options_of(scene: &Scene) -> Options {
    Options {
        topic_prefix: scene.prefix.clone(),
        ..options(&scene.services.brokers)
    }
}

const PARTITIONS: i32 = 2;
const PATIENCE: Duration = Duration::from_secs(60);

/// How many events have come to some topics, by their full names.
fn arrived(kafka: &Kafka, topics: &[String]) -> u64 {
    let ends = kafka.ends(topics);
    ends.values().map(|end| u64::try_from(*end).unwrap()).sum()
}

/// Waits for so many events of some topics.
fn wait_for(kafka: &Kafka, events: u64, topics: &[String]) {
    eventually("events arrive", PATIENCE, || match arrived(kafka, topics) {
        enough if enough >= events => Ok(()),
        few => Err(format!("{few} of {events} events")),
    });
}

#[test]
fn without_a_broker_it_gives_up_after_five_seconds() {
    let brokers = closed_port();
    let started = Instant::now();
    let stop = AtomicBool::new(false);
    let error = run(&options(&brokers), &stop).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(8));
    assert!(matches!(error, Error::NoBroker { .. }));
    let line = error.to_string();
    assert!(
        line.contains(&brokers) && line.contains("--brokers"),
        "{line}"
    );
    assert!(line.contains("refused"), "{line}");
    assert!(!line.contains('\n'));
}

#[test]
fn the_program_says_so_in_one_line_and_exits_with_one() {
    let brokers = closed_port();
    let output = Command::new(env!("CARGO_BIN_EXE_generator"))
        .args(["--brokers", &brokers, "--count", "1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("error: no Kafka broker answered at"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn wrong_usage_exits_with_two() {
    for arguments in [
        &[][..],
        &["--brokers", "b:1", "--late", "2"],
        &["--brokers", "b:1", "--rate", "0"],
        &["--brokers", "b:1", "--every", "soon"],
        &["--brokers", "b:1", "--start", "2024-11-02"],
        &["--brokers", "b:1", "-X", "linger"],
        &["--brokers", "b:1", "--partitions", "0"],
        &["--brokers", "b:1", "--topics", "customers,no_such"],
        &["--brokers", "b:1", "--nonsense"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_generator"))
            .args(arguments)
            .env_remove("TIDEMARK_BROKERS")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn only_some_topics_are_filled() {
    let scene = Scene::new("filled", PARTITIONS);
    let filled = ["customers", "transactions"];
    let options = Options {
        count: Some(50),
        topics: filled.map(str::to_owned).into(),
        ..options_of(&scene)
    };
    let stop = AtomicBool::new(false);
    let report = run(&options, &stop).unwrap();
    assert!(report.is_complete(), "{report}");
    let filled = filled.map(|topic| scene.topic(topic));
    for topic in &report.topics {
        assert_eq!(topic.sent > 0, filled.contains(&topic.topic), "{report}");
    }
    let all = arrived(&scene.kafka, &scene.topics());
    assert_eq!(all, arrived(&scene.kafka, &filled));
}

#[test]
fn a_setting_that_is_none_is_an_error() {
    let mut options = options("127.0.0.1:1");
    options
        .properties
        .push(("no.such.thing".into(), "1".into()));
    let stop = AtomicBool::new(false);
    let error = run(&options, &stop).unwrap_err();
    assert!(error.to_string().contains("no.such.thing"), "{error}");
}

#[test]
fn everything_is_acknowledged() {
    let scene = Scene::new("everything-is-acknow", PARTITIONS);
    let mut options = options_of(&scene);
    options.count = Some(500);
    let stop = AtomicBool::new(false);
    let report = run(&options, &stop).unwrap();
    assert!(report.is_complete());
    assert_eq!(report.failure, None);
    assert_eq!(report.topics[5].acknowledged, 500);
    let said = report.to_string();
    let sent = report.sent();
    assert!(
        said.starts_with(&format!("sent {sent}, acknowledged {sent}, in ")),
        "{said}"
    );
    assert_eq!(said.lines().count(), 7);
}

#[test]
fn a_rate_is_kept() {
    let scene = Scene::new("a-rate-is-kept", PARTITIONS);
    let mut options = options_of(&scene);
    options.rate = Some(500.0);
    options.count = Some(200);
    let stop = AtomicBool::new(false);
    let report = run(&options, &stop).unwrap();
    assert!(report.is_complete());
    // The last round may be early by itself, and nothing else.
    let sent = u32::try_from(report.sent()).unwrap();
    let least = Duration::from_secs_f64(f64::from(sent - 12) / 500.0);
    assert!(report.elapsed >= least, "{sent} in {:?}", report.elapsed);
    assert!(
        report.elapsed < least + Duration::from_secs(2),
        "{:?}",
        report.elapsed
    );
}

#[test]
fn it_goes_on_until_it_is_stopped() {
    let scene = Scene::new("it-goes-on-until-it", PARTITIONS);
    let mut options = options_of(&scene);
    options.rate = Some(500.0);
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| run(&options, &stop));
        wait_for(&scene.kafka, 100, &scene.topics());
        stop.store(true, Ordering::Relaxed);
        run.join().unwrap().unwrap()
    });
    assert!(report.is_complete());
    assert!(report.sent() >= 100, "{}", report.sent());
}

#[test]
fn it_repeats_a_batch() {
    let scene = Scene::new("it-repeats-a-batch", PARTITIONS);
    let mut options = options_of(&scene);
    options.count = Some(10);
    options.every = Some(Duration::from_millis(300));
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| run(&options, &stop));
        wait_for(&scene.kafka, 30, &[scene.topic("system_logs")]);
        stop.store(true, Ordering::Relaxed);
        run.join().unwrap().unwrap()
    });
    assert!(report.is_complete());
    let rounds = report.topics[5].sent;
    assert!(
        rounds.is_multiple_of(10) && (30..=60).contains(&rounds),
        "{rounds}"
    );
    // Three batches are two intervals.
    assert!(report.elapsed >= Duration::from_millis(600));
}

// One test, since a broker of its own takes some seconds to start.
#[test]
fn a_broker_that_is_away_loses_nothing_and_is_not_waited_for_for_ever() {
    let broker = Broker::start();
    let kafka = Kafka::connect(&broker.address);
    let mut options = options(&broker.address);
    for topic in events::TOPICS {
        kafka.create(topic, PARTITIONS, 1);
    }
    let topics = events::TOPICS.map(str::to_owned);
    let begin = |options: &Options, meanwhile: &dyn Fn(&AtomicBool)| {
        let stop = AtomicBool::new(false);
        let before = arrived(&kafka, &topics);
        std::thread::scope(|scope| {
            let running = scope.spawn(|| run(options, &stop));
            wait_for(&kafka, before + 1, &topics);
            meanwhile(&stop);
            running.join().unwrap()
        })
    };

    // It comes back.
    options.rate = Some(1000.0);
    options.count = Some(800);
    let report = begin(&options, &|_| {
        broker.kill();
        broker.start_again();
    });
    let report = report.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.topics[5].sent, 800);

    // It is frozen when the run is stopped.
    options.rate = Some(100.0);
    options.count = None;
    let stopped = std::cell::Cell::new(Instant::now());
    let report = begin(&options, &|stop| {
        broker.freeze();
        let since = Instant::now();
        eventually("messages pile up", PATIENCE, || {
            match since.elapsed() > Duration::from_secs(1) {
                true => Ok(()),
                false => Err("not yet".to_owned()),
            }
        });
        stop.store(true, Ordering::Relaxed);
        stopped.set(Instant::now());
    });
    let (report, waited) = (report.unwrap(), stopped.get().elapsed());
    assert!(!report.is_complete(), "{report}");
    assert!(waited < Duration::from_secs(15), "{waited:?}");
    broker.thaw();

    // Messages fail for good.
    let timeout = ("message.timeout.ms".to_owned(), "1500".to_owned());
    options.properties.push(timeout);
    match begin(&options, &|_| broker.freeze()) {
        Ok(report) => {
            assert!(!report.is_complete(), "{report}");
            let failure = report.failure.unwrap();
            assert!(failure.contains("topic "), "{failure}");
        }
        // The client may notice first.
        Err(error) => assert!(matches!(error, Error::Send { .. }), "{error}"),
    }
    broker.thaw();
}

#[test]
fn the_program_drains_when_it_is_interrupted() {
    let scene = Scene::new("the-program-drains-w", PARTITIONS);
    let program = Command::new(env!("CARGO_BIN_EXE_generator"))
        .args(["--brokers", &scene.services.brokers, "--rate", "200"])
        .args(["--topic-prefix", &scene.prefix])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&scene.kafka, 1, &scene.topics());
    let killed = Command::new("kill")
        .args(["-INT", &program.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let output = program.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with("sent "), "{said}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("seed "), "{said}");
}
