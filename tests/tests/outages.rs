//! A database or a broker that is away for a while.
//!
//! These tests break the services that all tests share, so they take turns; and
//! they are in a binary of their own, which `scripts/test` runs by itself.

use end_to_end::http::get;
use end_to_end::process::free_port;
use end_to_end::samples::shop;
use end_to_end::services::Outage;
use end_to_end::{Ending, Rules, Scene, TOPICS, eventually};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

fn my_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed has put everything back all the same.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A scene whose topics live on both brokers.
fn replicated(name: &str) -> Scene {
    let scene = Scene::without_topics(name);
    for topic in TOPICS {
        scene.create(topic, 2, 2);
    }
    scene
}

#[test]
fn mongodb_is_away_at_the_start() {
    let _turn = my_turn();
    let scene = Scene::new("no-database", 2);
    scene.produce(&shop(1, 100));
    let outage = Outage::kill(&scene.services, "mongodb-1");
    let mut run = scene.pipeline().workers(2).start();
    run.says("mongodb");
    run.assert_running();
    outage.end();
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    run.drain();
}

#[test]
fn mongodb_is_away_for_ten_seconds() {
    let _turn = my_turn();
    let scene = Scene::new("database-away", 2);
    scene.produce(&shop(2, 100));
    let mut run = scene.pipeline().workers(2).start();
    scene.await_caught_up();
    let outage = Outage::kill(&scene.services, "mongodb-1");
    let back = Instant::now() + Duration::from_secs(10);
    let mut seed = 3;
    while Instant::now() < back {
        scene.produce(&shop(seed, 50));
        seed += 1;
    }
    run.assert_running();
    outage.end();
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    run.drain();
}

#[test]
fn mongodb_is_frozen() {
    let _turn = my_turn();
    let scene = Scene::new("database-frozen", 2);
    scene.produce(&shop(3, 100));
    let address = format!("127.0.0.1:{}", free_port());
    let pipeline = scene.pipeline().workers(2);
    let mut run = pipeline.flag("--http", &address).start();
    scene.await_caught_up();
    let ready = || get(&address, "/readyz");
    eventually("it is ready", PATIENCE, || match ready()? {
        (200, _) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let outage = Outage::pause(&scene.services, "mongodb-1");
    // Also while there is nothing to write.
    eventually(
        "it is not ready",
        Duration::from_secs(15),
        || match ready()? {
            (503, said) if said.contains("database away since 20") => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
    let (code, page) = get(&address, "/pipeline").expect("a page");
    assert_eq!(code, 200);
    assert!(page.contains("<dd>database away since 20"), "{page}");
    assert_eq!(metric(&address, "tidemark_ready"), Ok(0.0));
    assert_eq!(get(&address, "/healthz").map(|(code, _)| code), Ok(200));
    scene.produce(&shop(4, 300));
    let back = Instant::now() + Duration::from_secs(5);
    eventually("some seconds have passed", PATIENCE, || {
        run.assert_running();
        if Instant::now() < back {
            Err("not yet".to_owned())
        } else {
            Ok(())
        }
    });
    outage.end();
    scene.await_caught_up();
    eventually("it is ready again", PATIENCE, || match ready()? {
        (200, _) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    scene.check_as(Ending::Running);
    run.drain();
}

#[test]
fn a_second_interrupt_does_not_wait_for_the_database() {
    let _turn = my_turn();
    let scene = Scene::new("stubborn", 2);
    scene.produce(&shop(11, 100));
    let mut run = scene.pipeline().workers(2).start();
    scene.await_caught_up();
    let outage = Outage::pause(&scene.services, "mongodb-1");
    scene.produce(&shop(12, 100));
    // The first is heard, and what has been read has nowhere to go.
    run.process().interrupt();
    run.says("Ctrl-C again");
    run.says("the same write again");
    run.process().interrupt();
    assert_eq!(run.process().exit_code(PATIENCE), Some(1));
    run.says("stopped at once");
    outage.end();
    scene.run_and_check(&scene.pipeline().workers(2));
}

/// The sum of a metric over all its labels.
fn metric(address: &str, name: &str) -> Result<f64, String> {
    let (_, text) = get(address, "/metrics")?;
    let values = text
        .lines()
        .filter(|line| {
            line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(values.sum())
}

#[test]
fn reading_waits_for_a_database_that_is_away() {
    const IN_FLIGHT: u32 = 500;
    let _turn = my_turn();
    // Nothing is late: a dead letter would weigh more than an event.
    let scene = Scene::new("backpressure", 2).ruled_by(Rules::everything_counts());
    scene.produce(&shop(7, 10));
    let address = format!("127.0.0.1:{}", free_port());
    let mut run = scene
        .pipeline()
        .workers(2)
        .flag("--max-in-flight", &IN_FLIGHT.to_string())
        .flag("--http", &address)
        .start();
    scene.await_caught_up();
    let outage = Outage::kill(&scene.services, "mongodb-1");
    scene.produce(&shop(8, 2_000));
    let paused = || metric(&address, "tidemark_partition_paused");
    eventually("partitions are paused", PATIENCE, || {
        run.assert_running();
        match paused()? {
            0.0 => Err("none is".to_owned()),
            _ => Ok(()),
        }
    });
    // Of the ten thousand that wait, no worker has taken up more than it may.
    let in_flight = metric(&address, "tidemark_in_flight_events").expect("metrics");
    assert!(
        in_flight > 0.0 && in_flight <= f64::from(2 * IN_FLIGHT),
        "{in_flight} in flight"
    );
    outage.end();
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    eventually("partitions go on", PATIENCE, || match paused()? {
        0.0 => Ok(()),
        some => Err(format!("{some} are paused")),
    });
    run.drain();
}

#[test]
fn a_broker_is_killed_and_brought_back() {
    let _turn = my_turn();
    let scene = replicated("broker-away");
    scene.produce(&shop(5, 100));
    let mut run = scene.pipeline().workers(2).start();
    scene.await_caught_up();
    let outage = Outage::kill(&scene.services, "kafka-2");
    scene.produce(&shop(6, 200));
    // The other broker took over, so that nothing has to wait for the first.
    scene.await_caught_up();
    run.assert_running();
    outage.end();
    scene.produce(&shop(7, 200));
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    run.drain();
}

#[test]
fn the_only_broker_of_a_partition_is_away() {
    let _turn = my_turn();
    // Without replicas: what kafka-2 has cannot be read until it is back.
    let scene = Scene::new("broker-alone", 2);
    scene.produce(&shop(8, 100));
    let mut run = scene.pipeline().workers(2).start();
    scene.await_caught_up();
    let outage = Outage::kill(&scene.services, "kafka-2");
    run.says(&second_broker(&scene));
    run.assert_running();
    outage.end();
    scene.produce(&shop(9, 100));
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    run.drain();
}

#[test]
fn the_only_broker_of_a_partition_is_away_at_the_start() {
    let _turn = my_turn();
    let scene = Scene::new("broker-late", 2);
    scene.produce(&shop(10, 100));
    let outage = Outage::kill(&scene.services, "kafka-2");
    let mut run = scene
        .pipeline()
        .workers(2)
        .flag("--connect-timeout", "120s")
        .start();
    run.says(&second_broker(&scene));
    run.assert_running();
    outage.end();
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    run.drain();
}

/// The address of kafka-2.
fn second_broker(scene: &Scene) -> String {
    let second = scene.services.brokers.split(',').nth(1);
    second.expect("two brokers").to_owned()
}
