//! Several processes: how they find each other, and what follows when one is lost.

use end_to_end::pipeline::{PATIENCE, host_file};
use end_to_end::samples::shop;
use end_to_end::{Process, Scene};
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

/// Within which a loss is noticed that can be seen.
const SECONDS: Duration = Duration::from_secs(10);

/// Waits until a process has ended because of another one, and has told so in peace.
fn ends_with(process: &mut Process, expected: &[&str]) {
    assert_eq!(process.exit_code(SECONDS), Some(1), "{}", process.output());
    let output = process.output();
    for words in expected {
        assert!(output.contains(words), "{words:?} is not in {output}");
    }
    assert!(!output.contains("panicked"), "{output}");
    let last: Vec<_> = output
        .lines()
        .filter(|line| line.starts_with("tidemark: "))
        .collect();
    assert_eq!(last.len(), 1, "one line that says why: {output}");
}

#[test]
fn one_of_three_is_killed() {
    let scene = Scene::new("killed-of-three", 4);
    scene.produce(&shop(11, 300));
    let pipeline = scene.pipeline().processes(3);
    let mut run = pipeline.start();
    scene.await_caught_up();
    run.member(1).kill();
    for left in [0, 2] {
        ends_with(run.member(left), &["process 1 (127.0.0.1:", "is lost"]);
    }
    drop(run);
    scene.run_and_check(&pipeline);
}

#[test]
fn one_of_three_hangs() {
    let scene = Scene::new("hangs", 4);
    scene.produce(&shop(12, 300));
    let pipeline = scene.pipeline().processes(3).flag("--peer-timeout", "2s");
    let mut run = pipeline.start();
    scene.await_caught_up();
    run.last().pause();
    for left in [0, 1] {
        ends_with(
            run.member(left),
            &["process 2 (127.0.0.1:", "silent for 2.0 s"],
        );
    }
    run.last().resume();
    ends_with(run.last(), &["has given this one up", "silent for 2.0 s"]);
}

#[test]
fn they_must_be_set_alike() {
    let scene = Scene::new("differ", 1);
    let hosts = host_file(2);
    let one = scene.pipeline().processes(2);
    for (two, setting) in [
        (one.clone().workers(3), ["--workers 3", "--workers 1"]),
        (
            one.clone().flag("--epoch", "1s"),
            ["--epoch 1000ms", "--epoch 100ms"],
        ),
    ] {
        let started = [one.start_one(0, &hosts), two.start_one(1, &hosts)];
        for mut process in started {
            assert_eq!(process.exit_code(PATIENCE), Some(2), "{}", process.output());
            let output = process.output();
            for value in setting {
                assert!(output.contains(value), "{value} is not in {output}");
            }
        }
    }
}

#[test]
fn two_of_the_same_number() {
    let scene = Scene::new("twins", 1);
    let hosts = host_file(2);
    let pipeline = scene.pipeline().processes(2);
    let first = pipeline.start_one(0, &hosts);
    first.says("waiting for process 1", PATIENCE);
    let mut second = pipeline.start_one(0, &hosts);
    assert_eq!(second.exit_code(PATIENCE), Some(2));
    let output = second.output();
    assert!(output.contains("running with --process 0?"), "{output}");
}

#[test]
fn a_name_of_its_own_that_is_not_there_is_waited_for() {
    let scene = Scene::new("nameless", 1);
    let mut hosts = tempfile::NamedTempFile::new().expect("a host file");
    let other = end_to_end::process::free_port();
    // The second is kept for documentation: no machine has it.
    writeln!(
        hosts,
        "no-such-host.invalid:7000\n192.0.2.1:7001\n127.0.0.1:{other}"
    )
    .expect("a host file");
    let pipeline = scene.pipeline().processes(3);
    let timed = pipeline.clone().flag("--connect-timeout", "3s");
    for (process, what) in [(0, "cannot be resolved"), (1, "is none of this machine's")] {
        let mut waiting = pipeline.start_one(process, &hosts);
        let output = waiting.says("trying again until it is", PATIENCE);
        assert!(output.contains(what), "{output}");
        assert!(!output.contains("nother process"), "{output}");
        waiting.interrupt();
        assert_eq!(waiting.exit_code(SECONDS), Some(0));
        let mut waiting = timed.start_one(process, &hosts);
        assert_eq!(waiting.exit_code(PATIENCE), Some(1));
        let output = waiting.output();
        let last = output.lines().rfind(|line| line.starts_with("tidemark: "));
        let last = last.unwrap_or_default();
        assert!(last.contains(what) && last.contains("for 3 s"), "{output}");
    }
}

#[test]
fn one_comes_late_and_strangers_come_before_it() {
    let scene = Scene::new("late", 3);
    scene.produce(&shop(13, 200));
    let hosts = host_file(2);
    let text = std::fs::read_to_string(hosts.path()).expect("the host file");
    let address = text.lines().next().expect("an address").to_owned();
    let pipeline = scene.pipeline().processes(2).until_caught_up();
    let mut first = pipeline.start_one(0, &hosts);
    let second_address = text.lines().nth(1).expect("an address");
    let line = format!("waiting for process 1 ({second_address})");
    first.says(&line, PATIENCE);
    let connect = || TcpStream::connect(&address).expect("it listens");
    let _silent: Vec<_> = (0..3).map(|_| connect()).collect();
    connect()
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("written");
    connect().write_all(&[0; 100_000]).ok();
    connect()
        .write_all(b"TIDEMARK\0\0\0\x01\x01\xff\xff\xff\xff")
        .ok();
    first.assert_running();
    let mut second = pipeline.start_one(1, &hosts);
    for process in [&mut first, &mut second] {
        assert_eq!(process.exit_code(PATIENCE), Some(0), "{}", process.output());
    }
    scene.check();
}

#[test]
fn ctrl_c_while_waiting_ends_at_once() {
    let scene = Scene::new("impatient", 1);
    let hosts = host_file(3);
    let mut waiting = scene.pipeline().processes(3).start_one(1, &hosts);
    let output = waiting.says("waiting for process 0 (", PATIENCE);
    assert!(output.contains("process 2 ("), "{output}");
    waiting.interrupt();
    assert_eq!(waiting.exit_code(SECONDS), Some(0));
}

#[test]
fn the_wait_may_have_an_end() {
    let scene = Scene::new("alone", 1);
    let hosts = host_file(2);
    let pipeline = scene
        .pipeline()
        .processes(2)
        .flag("--connect-timeout", "3s");
    let mut alone = pipeline.start_one(1, &hosts);
    assert_eq!(alone.exit_code(PATIENCE), Some(1));
    let output = alone.output();
    assert!(
        output.contains("not all processes came within 3 s: process 0 ("),
        "{output}"
    );
}

#[test]
fn ctrl_c_to_all_of_them_while_they_start_is_no_failure() {
    let scene = Scene::new("stopped-early", 3);
    scene.produce(&shop(14, 100));
    for (moment, of) in [
        ("writing to", 0),
        ("all 3 processes are here", 0),
        ("all 3 processes are here", 1),
        ("all 3 processes are here", 2),
    ] {
        let mut run = scene.pipeline().processes(3).start();
        // Who has not said a word yet may not listen yet, and a signal just ends it.
        for process in 0..3 {
            run.member(process).says("writing to", PATIENCE);
        }
        run.member(of).says(moment, PATIENCE);
        for process in 0..3 {
            run.member(process).interrupt();
        }
        for number in 0..3 {
            let process = run.member(number);
            let code = process.exit_code(SECONDS);
            assert_eq!(code, Some(0), "{moment}: {number}: {}", process.output());
        }
    }
}
