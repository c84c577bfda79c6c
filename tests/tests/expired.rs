//! Messages that Kafka dropped before they were read.

use end_to_end::pipeline::{PATIENCE, Run};
use end_to_end::samples::{Sample, with};
use end_to_end::{Pipeline, Scene};

fn lines(count: usize) -> Vec<Sample> {
    let line = Sample::new("system_logs", with("system_logs", &[])).partition(0);
    vec![line; count]
}

/// A pipeline that has read 100 log lines, and of the next 100 at most the first
/// before the 50 oldest of them expired.
fn behind(scene: &Scene, pipeline: &Pipeline) -> Run {
    scene.produce(&lines(100));
    let mut run = pipeline.start();
    scene.await_caught_up();
    run.process().pause();
    // A fetch that is under way is answered by the first message alone.
    scene.produce(&lines(1));
    scene.produce(&lines(99));
    scene.kafka.expire(&scene.topic("system_logs"), 0, 150);
    run.process().resume();
    run
}

#[test]
fn is_an_error_that_says_what_is_lost() {
    let scene = Scene::new("expired", 1);
    let mut run = behind(&scene, &scene.pipeline());
    assert_eq!(run.process().exit_code(PATIENCE), Some(1));
    let output = run.process().output();
    let topic = scene.topic("system_logs");
    let said = output.lines().any(|line| {
        line.contains(&topic)
            && (line.contains("100") || line.contains("101"))
            && (line.contains("149") || line.contains("150"))
    });
    assert!(said, "no line names {topic} and the range:\n{output}");
    assert!(
        output.contains("--on-expired"),
        "what can be done about it:\n{output}"
    );
}

#[test]
fn can_be_skipped() {
    let scene = Scene::new("skipped", 1);
    let run = behind(&scene, &scene.pipeline().flag("--on-expired", "skip"));
    scene.await_caught_up();
    run.drain();
    let documents = scene.documents("log_analysis");
    let total = documents
        .iter()
        .map(|row| row.get_i64("total_logs").expect("a long"))
        .sum();
    assert!(
        (150..=151i64).contains(&total),
        "{total} of 200 lines, of which 49 or 50 are lost"
    );
}

#[test]
fn what_expired_before_the_start_is_not_missed() {
    let scene = Scene::new("retained", 1);
    scene.produce(&lines(100));
    scene.kafka.expire(&scene.topic("system_logs"), 0, 40);
    scene.run_and_check(&scene.pipeline());
}
