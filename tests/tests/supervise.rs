//! A supervisor and its processes.

use end_to_end::pipeline::PATIENCE;
use end_to_end::process::{is_alive, signal_to};
use end_to_end::samples::shop;
use end_to_end::{Ending, Pipeline, Process, Scene, eventually};

/// The numbers in the system of the processes that a supervisor has started, in the
/// order in which it did. Waits until there are so many.
fn children(supervisor: &Process, count: usize) -> Vec<u32> {
    eventually("processes are started", PATIENCE, || {
        let output = supervisor.output();
        let pids = output.lines().filter_map(|line| {
            let (_, pid) = line.split_once("started (pid ")?;
            pid.trim_end_matches(')').parse().ok()
        });
        let pids: Vec<u32> = pids.collect();
        match pids.len() >= count {
            true => Ok(pids),
            false => Err(output),
        }
    })
}

fn all_end(pids: &[u32]) {
    eventually("no process is left", PATIENCE, || {
        let left: Vec<_> = pids.iter().filter(|pid| is_alive(**pid)).collect();
        match left.is_empty() {
            true => Ok(()),
            false => Err(format!("{left:?} run")),
        }
    });
}

#[test]
fn a_killed_process_brings_all_of_them_back() {
    let scene = Scene::new("brought-back", 4);
    scene.produce(&shop(21, 300));
    let mut supervisor = scene.pipeline().processes(3).workers(2).supervise(&[]);
    scene.await_caught_up();
    let first = children(&supervisor, 3);
    signal_to(first[1], "KILL");
    supervisor.says("process 1 was ended by signal 9: failure 1 of 5", PATIENCE);
    let all = children(&supervisor, 6);
    all_end(&first);
    // A restart that has read as far has read all of it again.
    scene.produce(&shop(22, 300));
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    supervisor.interrupt();
    assert_eq!(
        supervisor.exit_code(PATIENCE),
        Some(0),
        "{}",
        supervisor.output()
    );
    all_end(&all);
    let output = supervisor.output();
    assert!(!output.contains("panicked"), "{output}");
    assert_eq!(output.matches("has ended: done").count(), 3, "{output}");
}

#[test]
fn a_hanging_process_is_killed_and_all_come_back() {
    let scene = Scene::new("hanging", 2);
    scene.produce(&shop(23, 100));
    let pipeline = scene.pipeline().processes(2).flag("--peer-timeout", "1s");
    let mut supervisor = pipeline.supervise(&[]);
    scene.await_caught_up();
    let first = children(&supervisor, 2);
    signal_to(first[0], "STOP");
    supervisor.says("process 0 was ended by signal 9", PATIENCE);
    all_end(&first);
    scene.produce(&shop(24, 100));
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    supervisor.interrupt();
    assert_eq!(supervisor.exit_code(PATIENCE), Some(0));
}

#[test]
fn all_done_is_done() {
    let scene = Scene::new("all-done", 3);
    scene.produce(&shop(25, 200));
    let pipeline = scene.pipeline().processes(2).until_caught_up();
    let mut supervisor = pipeline.supervise(&[]);
    assert_eq!(
        supervisor.exit_code(PATIENCE),
        Some(0),
        "{}",
        supervisor.output()
    );
    scene.check();
}

#[test]
fn it_gives_up() {
    for processes in [1, 2] {
        let pipeline = Pipeline::bare("gives-up")
            .processes(processes)
            .flag("--brokers", "127.0.0.1:1")
            .flag("--sqlite", "views.sqlite")
            .flag("--connect-timeout", "100ms");
        let mut supervisor = pipeline.supervise(&["--max-failures", "2"]);
        assert_eq!(supervisor.exit_code(PATIENCE), Some(1));
        let output = supervisor.output();
        let given_up = "given up after 2 failures in a row; the last one: process";
        assert!(output.contains(given_up), "{output}");
        assert!(output.contains("failure 1 of 2"), "{output}");
        let started = output.matches("started (pid").count();
        assert_eq!(started, 2 * processes, "{output}");
    }
}

#[test]
fn what_is_wrong_with_the_arguments_is_said_before_anything_starts() {
    for arguments in [
        &["--no-such-flag", "1"][..],
        &["--epoch", "soon"],
        &["--processes", "3"],
    ] {
        let pipeline = Pipeline::bare("wrong").processes(2);
        let pipeline = pipeline.flag(arguments[0], arguments[1]);
        let mut supervisor = pipeline.supervise(&[]);
        assert_eq!(supervisor.exit_code(PATIENCE), Some(2));
        let output = supervisor.output();
        assert!(output.contains(arguments[0]), "{output}");
        assert!(!output.contains("started"), "{output}");
    }
}

#[test]
fn a_process_that_ends_with_2_is_not_started_again() {
    let pipeline = Pipeline::bare("no-property")
        .flag("--brokers", "127.0.0.1:1")
        .flag("--sqlite", "views.sqlite")
        .flag("-X", "no.such.property=1");
    let mut supervisor = pipeline.supervise(&[]);
    assert_eq!(supervisor.exit_code(PATIENCE), Some(2));
    let output = supervisor.output();
    assert_eq!(output.matches("started (pid").count(), 1, "{output}");
    assert!(output.contains("ended with exit code 2"), "{output}");
}

#[test]
fn nothing_survives_the_supervisor() {
    let scene = Scene::new("orphans", 2);
    scene.produce(&shop(26, 100));
    let mut supervisor = scene.pipeline().processes(2).supervise(&[]);
    scene.await_caught_up();
    let children = children(&supervisor, 2);
    supervisor.kill();
    all_end(&children);
    let output = supervisor.output();
    assert!(output.contains("the supervisor is gone"), "{output}");
}
