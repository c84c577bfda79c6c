//! Sending: to nobody, and to librdkafka's own mock of a broker.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use generator::{Control, Error, Options, run};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

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

const PARTITIONS: i32 = 2;
/// How long a broker is away: long enough for messages to pile up.
const OUTAGE: Duration = Duration::from_secs(1);

/// A broker of a test's own, and a look at what has come to it.
struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    consumer: BaseConsumer,
}

impl Broker {
    fn start() -> Broker {
        let cluster = MockCluster::new(1).unwrap();
        for topic in events::TOPICS {
            cluster.create_topic(topic, PARTITIONS, 1).unwrap();
        }
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .create()
            .unwrap();
        Broker { cluster, consumer }
    }

    fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Events of all topics, or of one.
    fn arrived(&self, topics: &[&str]) -> u64 {
        let end = |topic: &&str| {
            (0..PARTITIONS)
                .map(|partition| {
                    let patience = Duration::from_secs(10);
                    let bounds = self.consumer.fetch_watermarks(topic, partition, patience);
                    u64::try_from(bounds.unwrap().1).unwrap()
                })
                .sum::<u64>()
        };
        topics.iter().map(end).sum()
    }

    /// Waits for so many events of some topics, and says how many there are then.
    fn wait_for(&self, events: u64, topics: &[&str]) -> u64 {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let arrived = self.arrived(topics);
            if arrived >= events {
                return arrived;
            }
            assert!(Instant::now() < deadline, "{arrived} of {events} events");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
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
    let broker = Broker::start();
    let filled = ["customers", "transactions"];
    let options = Options {
        count: Some(50),
        topics: filled.map(str::to_owned).into(),
        ..options(&broker.address())
    };
    let stop = AtomicBool::new(false);
    let report = run(&options, Control::new(&stop)).unwrap();
    assert!(report.is_complete(), "{report}");
    for topic in &report.topics {
        let is_filled = filled.contains(&topic.topic.as_str());
        assert_eq!(topic.sent > 0, is_filled, "{report}");
    }
    assert_eq!(broker.arrived(&events::TOPICS), broker.arrived(&filled));
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
    let broker = Broker::start();
    let mut options = options(&broker.address());
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
fn a_rate_is_kept() {
    let broker = Broker::start();
    let mut options = options(&broker.address());
    options.rate = Some(500.0);
    options.count = Some(200);
    let stop = AtomicBool::new(false);
    let report = run(&options, Control::new(&stop)).unwrap();
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
    let broker = Broker::start();
    let mut options = options(&broker.address());
    options.rate = Some(500.0);
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| run(&options, Control::new(&stop)));
        broker.wait_for(100, &events::TOPICS);
        stop.store(true, Ordering::Relaxed);
        run.join().unwrap().unwrap()
    });
    assert!(report.is_complete());
    assert!(report.sent() >= 100, "{}", report.sent());
}

#[test]
fn it_repeats_a_batch() {
    let broker = Broker::start();
    let mut options = options(&broker.address());
    options.count = Some(10);
    options.every = Some(Duration::from_millis(300));
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| run(&options, Control::new(&stop)));
        broker.wait_for(30, &["system_logs"]);
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

#[test]
fn it_waits_for_its_reader() {
    let broker = Broker::start();
    let mut options = options(&broker.address());
    options.count = Some(u64::MAX);
    let stop = AtomicBool::new(false);
    let read = AtomicU64::new(0);
    let limit = || read.load(Ordering::Relaxed) + 100;
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let control = Control {
                stop: &stop,
                limit: &limit,
            };
            run(&options, control)
        });
        let arrived = broker.wait_for(100, &events::TOPICS);
        assert!(arrived < 110, "{arrived}");
        read.store(5000, Ordering::Relaxed);
        broker.wait_for(5100, &events::TOPICS);
        stop.store(true, Ordering::Relaxed);
        run.join().unwrap().unwrap()
    });
    assert!(report.is_complete());
    assert!((5100..5110).contains(&report.sent()), "{}", report.sent());
}

#[test]
fn a_broker_that_comes_back_loses_nothing() {
    let broker = Broker::start();
    let mut options = options(&broker.address());
    options.rate = Some(1000.0);
    options.count = Some(800);
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| run(&options, Control::new(&stop)));
        broker.wait_for(1, &events::TOPICS);
        broker.cluster.broker_down(1).unwrap();
        std::thread::sleep(OUTAGE);
        broker.cluster.broker_up(1).unwrap();
        run.join().unwrap().unwrap()
    });
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.topics[5].sent, 800);
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let broker = Broker::start();
    let mut options = options(&broker.address());
    options.rate = Some(100.0);
    let stop = AtomicBool::new(false);
    let (report, waited) = std::thread::scope(|scope| {
        let run = scope.spawn(|| run(&options, Control::new(&stop)));
        broker.wait_for(1, &events::TOPICS);
        broker.cluster.broker_down(1).unwrap();
        std::thread::sleep(OUTAGE);
        stop.store(true, Ordering::Relaxed);
        let stopped = Instant::now();
        (run.join().unwrap().unwrap(), stopped.elapsed())
    });
    assert!(!report.is_complete(), "{report}");
    assert!(waited < Duration::from_secs(15), "{waited:?}");
}

#[test]
fn messages_that_fail_for_good_end_the_run() {
    let broker = Broker::start();
    let mut options = options(&broker.address());
    options.rate = Some(100.0);
    options
        .properties
        .push(("message.timeout.ms".into(), "1500".into()));
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| run(&options, Control::new(&stop)));
        broker.wait_for(1, &events::TOPICS);
        broker.cluster.broker_down(1).unwrap();
        run.join().unwrap()
    });
    match report {
        Ok(report) => {
            assert!(!report.is_complete(), "{report}");
            let failure = report.failure.unwrap();
            assert!(failure.contains("topic "), "{failure}");
        }
        // The client may notice first.
        Err(error) => assert!(matches!(error, Error::Send { .. }), "{error}"),
    }
}

#[test]
fn the_program_drains_when_it_is_interrupted() {
    let broker = Broker::start();
    let program = Command::new(env!("CARGO_BIN_EXE_generator"))
        .args(["--brokers", &broker.address(), "--rate", "200"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    broker.wait_for(1, &events::TOPICS);
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
