//! Topics that a transactional producer writes: what is aborted is in no row, and
//! the markers at the end of a partition, which no consumer sees, are passed.

use end_to_end::samples::shop;
use end_to_end::{Ending, Scene};

#[test]
fn transactions_that_are_committed_and_aborted() {
    let scene = Scene::new("transactions", 1);
    let transact = |seed, commit| {
        let messages: Vec<_> = shop(seed, 40)
            .into_iter()
            .filter_map(|sample| Some((scene.topic(sample.topic), sample.value?)))
            .collect();
        let id = format!("{}{seed}", scene.prefix);
        scene.kafka.transact(&id, &messages, commit);
    };
    transact(11, true);
    transact(12, false);
    scene.run_and_check(&scene.pipeline().workers(2));

    // And while it runs: the offsets that are published pass the markers too.
    let run = scene.pipeline().start();
    transact(13, true);
    transact(14, false);
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    run.drain();
}
