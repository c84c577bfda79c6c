//! The log becomes another one while a run reads, or while it is held.

use crate::states::{NOTICE, State, TOPIC, all_end, fill, scene};
use end_to_end::pipeline::{PATIENCE, Run};
use end_to_end::{Scene, eventually};
use std::time::Instant;

/// Lets a run of each state read all that there is, and go on.
fn started<'a>(scene: &Scene, states: &'a [State]) -> Vec<(&'a State, Run)> {
    let start = |state: &'a State| {
        let pipeline = state.pipeline().flag("--discover-interval", "500ms");
        (state, pipeline.start())
    };
    let runs: Vec<_> = states.iter().map(start).collect();
    let ends = scene.kafka.ends(&[scene.topic(TOPIC)]);
    for (state, _) in &runs {
        eventually("all is read", PATIENCE, || {
            let behind = ends
                .iter()
                .find(|((_, partition), end)| state.next(scene, *partition) < **end);
            match behind {
                None => Ok(()),
                Some(behind) => Err(format!("{}: {behind:?}", state.name)),
            }
        });
    }
    runs
}

#[test]
fn a_topic_made_again_under_a_run_or_while_it_is_held() {
    let scene = scene("under-a-run", [60, 40]);
    let topic = scene.topic(TOPIC);
    let again = format!("topic {topic} was deleted and made again");
    for held in [false, true] {
        let states = State::all(&scene);
        let mut runs = started(&scene, &states);
        let before: Vec<_> = states.iter().map(State::contents).collect();
        if held {
            runs.iter_mut().for_each(|(_, run)| run.process().pause());
        }
        scene.kafka.recreate(&topic, 2);
        // As long as before and longer, so that the client goes on where it was.
        fill(&scene, [90, 40]);
        if held {
            runs.iter_mut().for_each(|(_, run)| run.process().resume());
        }
        all_end(runs, &before, &[&again, "--reset-view log_analysis"]);
    }
}

#[test]
fn a_topic_that_is_deleted_under_a_run() {
    let scene = scene("deleted", [60, 40]);
    // Nothing was ever read of this one: it may go.
    scene.create("customers", 1, 1);
    let topic = scene.topic(TOPIC);
    let states = [
        State::new(&scene, false, true),
        State::new(&scene, true, false),
    ];
    let runs = started(&scene, &states);
    let before: Vec<_> = states.iter().map(State::contents).collect();
    scene.kafka.drop_topics(&[&scene.topic("customers")]);
    scene.kafka.await_gone(&scene.topic("customers"));
    scene.kafka.drop_topics(&[&topic]);
    let gone = format!("topic {topic} was read, and it does not exist any more");
    all_end(runs, &before, &[&gone, "--reset-view log_analysis"]);
}

#[test]
fn a_run_that_is_to_end_when_it_has_caught_up_ends_when_its_topic_is_gone() {
    let scene = scene("deleted-early", [2_000, 0]);
    // Hardly anything may be read at a time.
    let state = State::new(&scene, false, false);
    let pipeline = state.pipeline().flag("--max-in-flight", "1");
    let mut run = pipeline.until_caught_up().start();
    eventually("it has begun", PATIENCE, || match state.next(&scene, 0) {
        0 => Err("it has not".to_owned()),
        _ => Ok(()),
    });
    scene.kafka.drop_topics(&[&scene.topic(TOPIC)]);
    let begun = Instant::now();
    let code = run.process().exit_code(NOTICE);
    // It may have read all by then.
    assert!(
        matches!(code, Some(0 | 1)),
        "{code:?}: {}",
        run.process().output()
    );
    assert!(begun.elapsed() < NOTICE);
}
