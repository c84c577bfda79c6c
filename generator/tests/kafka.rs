//! Sending: to nobody, and to librdkafka's own mock of a broker.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use generator::{Control, Error, Options, run};
use rdkafka::mocking::MockCluster;

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

fn cluster() -> MockCluster<'static, rdkafka::producer::DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    for topic in events::TOPICS {
        cluster.create_topic(topic, 2, 1).unwrap();
    }
    cluster
}

#[test]
fn without_a_broker_it_gives_up_after_five_seconds() {
    let brokers = closed_port();
    let started = Instant::now();
    let stop = AtomicBool::new(false);
    let error = run(&options(&brokers), Control::new(&stop)).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(8));
    assert!(matches!(error, Error::NoBroker { .. }));
    let line = error.to_string();
    assert!(
        line.contains(&brokers) && line.contains("--brokers"),
        "{line}"
    );
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
fn a_setting_that_is_none_is_an_error() {
    let mut options = options("127.0.0.1:1");
    options
        .properties
        .push(("no.such.thing".into(), "1".into()));
    let stop = AtomicBool::new(false);
    let error = run(&options, Control::new(&stop)).unwrap_err();
    assert!(error.to_string().contains("no.such.thing"), "{error}");
}

#[test]
fn everything_is_acknowledged() {
    let cluster = cluster();
    let mut options = options(&cluster.bootstrap_servers());
    options.count = Some(500);
    let stop = AtomicBool::new(false);
    let report = run(&options, Control::new(&stop)).unwrap();
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
fn a_rate_is_kept_until_it_is_stopped() {
    let cluster = cluster();
    let mut options = options(&cluster.bootstrap_servers());
    options.rate = Some(500.0);
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(2));
            stop.store(true, Ordering::Relaxed);
        });
        run(&options, Control::new(&stop)).unwrap()
    });
    assert!(report.is_complete());
    // The two seconds hold the start of the client too.
    assert!((300..=1010).contains(&report.sent()), "{}", report.sent());
    assert!(report.elapsed < Duration::from_secs(4));
}

#[test]
fn it_repeats_a_batch() {
    let cluster = cluster();
    let mut options = options(&cluster.bootstrap_servers());
    options.count = Some(10);
    options.every = Some(Duration::from_millis(500));
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(2800));
            stop.store(true, Ordering::Relaxed);
        });
        run(&options, Control::new(&stop)).unwrap()
    });
    assert!(report.is_complete());
    let rounds = report.topics[5].sent;
    assert!(
        rounds.is_multiple_of(10) && (20..=60).contains(&rounds),
        "{rounds}"
    );
}

#[test]
fn it_waits_for_its_reader() {
    let cluster = cluster();
    let mut options = options(&cluster.bootstrap_servers());
    options.count = Some(u64::MAX);
    let stop = AtomicBool::new(false);
    let read = AtomicU64::new(0);
    let limit = || read.load(Ordering::Relaxed) + 100;
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(1));
            read.store(5000, Ordering::Relaxed);
            std::thread::sleep(Duration::from_secs(1));
            stop.store(true, Ordering::Relaxed);
        });
        let control = Control {
            stop: &stop,
            limit: &limit,
        };
        run(&options, control).unwrap()
    });
    assert!(report.is_complete());
    assert!((5100..5110).contains(&report.sent()), "{}", report.sent());
}
