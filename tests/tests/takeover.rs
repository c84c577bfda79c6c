//! Two runs and one database: who writes, and what the other one says.

use end_to_end::checkpoint::Folder;
use end_to_end::pipeline::{PATIENCE, Run, host_file};
use end_to_end::samples::{passing, shop};
use end_to_end::{Ending, Pipeline, Process, Scene, Watcher, eventually};
use mongodb::bson::Document;
use std::time::{Duration, Instant};

/// Within which it is noticed that another run is there.
const SECONDS: Duration = Duration::from_secs(15);

fn progress(scene: &Scene) -> Document {
    let progress = scene.mongo.progress().expect("the database answers");
    progress.expect("there is progress")
}

/// Waits until a generation writes.
fn await_generation(scene: &Scene, generation: i64) {
    eventually("it is the one that writes", PATIENCE, || {
        let progress = scene.mongo.progress()?.ok_or("no progress yet")?;
        match progress.get_i64("generation").ok() == Some(generation) {
            true => Ok(()),
            false => Err(progress.to_string()),
        }
    });
}

/// Ends with 1 and says who has taken over from it.
fn is_replaced(process: &mut Process, by: &Process, generation: i64) {
    assert_eq!(process.exit_code(SECONDS), Some(1), "{}", process.output());
    let output = process.output();
    let said = output.lines().find(|line| line.starts_with("tidemark: "));
    let said = said.unwrap_or_else(|| panic!("no reason in {output}"));
    let who = format!("generation {generation} (host ");
    let process = format!("process {}", by.id());
    for words in [&who, &process, "has taken over"] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert!(!output.contains("panicked"), "{output}");
}

fn pipeline(scene: &Scene) -> Pipeline {
    let pipeline = scene.pipeline().workers(2);
    pipeline
        .flag("--epoch", "20ms")
        .flag("--idle-timeout", "1h")
}

/// The same with checkpoints in a folder, if it is `saving`.
fn perhaps_saving(scene: &Scene, folder: &Folder, saving: bool) -> Pipeline {
    match saving {
        true => pipeline(scene)
            .flag("--checkpoint", &folder.url())
            .flag("--checkpoint-interval", "200ms"),
        false => pipeline(scene),
    }
}

/// A run that has written something and is idle.
fn idle(scene: &Scene, pipeline: &Pipeline) -> Run {
    scene.produce(&shop(71, 200));
    let run = pipeline.start();
    scene.await_caught_up();
    run
}

#[test]
fn a_second_run_is_refused_and_the_first_goes_on() {
    let scene = Scene::new("second", 2);
    let watcher = Watcher::follow(&scene.mongo);
    let mut first = idle(&scene, &pipeline(&scene));
    let mut second = pipeline(&scene).start();
    let code = second.process().exit_code(SECONDS);
    let output = second.process().output();
    assert_eq!(code, Some(2), "{output}");
    let who = format!("process {}", first.process().id());
    for words in ["is being written by generation 1", &who, "--take-over"] {
        assert!(output.contains(words), "{words:?} is not in {output}");
    }
    first.assert_running();
    scene.produce(&shop(72, 200));
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    first.drain();
    assert_eq!(watcher.finish().generation, 1);
}

#[test]
fn one_that_is_told_to_takes_over() {
    for saving in [false, true] {
        let scene = Scene::new("told", 2);
        let folder = Folder::new();
        let pipeline = perhaps_saving(&scene, &folder, saving);
        let watcher = Watcher::follow(&scene.mongo);
        let mut first = idle(&scene, &pipeline);
        let mut second = pipeline.clone().switch("--take-over").start();
        is_replaced(first.process(), second.process(), 2);
        scene.produce(&shop(72, 200));
        scene.await_caught_up();
        second.assert_running();
        // With its last checkpoint, what has closed is also told.
        second.drain();
        scene.check_as(Ending::Running);
        assert_eq!(watcher.finish().generation, 2);
    }
}

#[test]
fn all_processes_of_a_run_are_replaced() {
    let scene = Scene::new("all-told", 2);
    let watcher = Watcher::follow(&scene.mongo);
    let mut first = idle(&scene, &pipeline(&scene).processes(2));
    let mut second = pipeline(&scene).switch("--take-over").start();
    for member in [0, 1] {
        is_replaced(first.member(member), second.process(), 2);
    }
    scene.produce(&shop(72, 200));
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    second.drain();
    assert_eq!(watcher.finish().generation, 2);
}

#[test]
fn one_that_sleeps_is_replaced_and_wakes_up_too_late() {
    for saving in [false, true] {
        let scene = Scene::new("sleeper", 2);
        let folder = Folder::new();
        let pipeline = perhaps_saving(&scene, &folder, saving);
        let pipeline = pipeline.flag("--max-in-flight", "500");
        let watcher = Watcher::follow(&scene.mongo);
        // In the middle of its work.
        scene.produce(&passing(73, 1000, (0, 10)));
        let mut first = pipeline.start();
        eventually("the first writes", PATIENCE, || {
            scene.mongo.progress()?.ok_or("no progress yet")?;
            Ok(())
        });
        first.process().pause();
        let before = progress(&scene).get_i64("epoch").expect("a long");
        let mut second = pipeline.start();
        await_generation(&scene, 2);
        scene.produce(&passing(74, 300, (10, 14)));
        scene.await_caught_up();
        let progress = progress(&scene);
        assert!(progress.get_i64("epoch").expect("a long") > before);
        // What wakes up has read what all know to be older by now, and there is more.
        scene.produce(&passing(75, 300, (14, 18)));
        first.process().resume();
        is_replaced(first.process(), second.process(), 2);
        scene.await_caught_up();
        second.assert_running();
        second.drain();
        scene.check_so_far();
        scene.run_and_check(&pipeline);
        let seen = watcher.finish();
        assert_eq!(seen.generation, 3, "{seen:?}");
        assert!(seen.finals > 50, "{seen:?}");
    }
}

#[test]
fn what_was_read_while_it_waited_is_not_missed_in_the_log() {
    let scene = Scene::new("slow-heir", 2);
    let watcher = Watcher::follow(&scene.mongo);
    let first = idle(&scene, &pipeline(&scene));
    // It has found all partitions by now, and where they end.
    let (heir, hosts) = (pipeline(&scene).processes(2), host_file(2));
    let mut early = heir.start_one(0, &hosts);
    early.says("waiting for process 1", PATIENCE);
    scene.produce(&shop(73, 200));
    scene.await_caught_up();
    first.drain();
    let mut late = heir.start_one(1, &hosts);
    scene.produce(&shop(74, 200));
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    for process in [&mut early, &mut late] {
        process.assert_running();
        process.interrupt();
    }
    for process in [&mut early, &mut late] {
        assert_eq!(process.exit_code(PATIENCE), Some(0), "{}", process.output());
    }
    assert_eq!(watcher.finish().generation, 2);
}

#[test]
fn one_that_was_killed_is_not_waited_for() {
    let scene = Scene::new("at-once", 2);
    let watcher = Watcher::follow(&scene.mongo);
    idle(&scene, &pipeline(&scene)).kill();
    scene.produce(&shop(72, 200));
    let started = Instant::now();
    let mut second = pipeline(&scene).start();
    scene.await_caught_up();
    println!("caught up {:.1?} after the start", started.elapsed());
    let output = second.process().output();
    assert!(!output.contains("waiting 4.0 s for its answer"), "{output}");
    scene.check_as(Ending::Running);
    second.drain();
    assert_eq!(watcher.finish().generation, 2);
}
