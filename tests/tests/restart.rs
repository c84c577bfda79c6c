//! Ended and started again, in an orderly way and not.

use end_to_end::pipeline::PATIENCE;
use end_to_end::samples::shop;
use end_to_end::{Scene, eventually};

#[test]
fn documents_are_replaced_and_none_doubled() {
    let scene = Scene::new("again", 3);
    scene.produce(&shop(1, 200));
    scene.run_and_check(&scene.pipeline().workers(2));
    let before: Vec<_> = scene.documents("sales_analysis");
    scene.run_and_check(&scene.pipeline().workers(3));
    assert_eq!(scene.documents("sales_analysis").len(), before.len());
    scene.produce(&shop(2, 200));
    scene.run_and_check(&scene.pipeline());
}

#[test]
fn killed_at_any_moment() {
    let scene = Scene::new("killed", 3);
    scene.produce(&shop(3, 3000));
    for batch in 4..7 {
        // Once it has written something, and so probably in the middle of more.
        let mut run = scene.pipeline().workers(2).flag("--epoch", "10ms").start();
        eventually("something is written", PATIENCE, || {
            run.assert_running();
            match scene.documents("sales_analysis").len() {
                0 => Err("no sales yet".to_owned()),
                _ => Ok(()),
            }
        });
        run.kill();
        scene.produce(&shop(batch, 100));
    }
    scene.run_and_check(&scene.pipeline().workers(2));
}

#[test]
fn a_process_does_not_wait_for_ever_for_one_that_is_gone() {
    let scene = Scene::new("widowed", 3);
    scene.produce(&shop(8, 100));
    let mut run = scene.pipeline().processes(2).start();
    scene.await_caught_up();
    run.process().kill();
    assert_eq!(
        run.last().exit_code(PATIENCE),
        Some(1),
        "the exit code of the one left"
    );
    drop(run);
    scene.produce(&shop(9, 100));
    scene.run_and_check(&scene.pipeline().processes(2));
}

#[test]
fn interrupted_in_the_middle() {
    let scene = Scene::new("interrupted", 3);
    scene.produce(&shop(10, 2000));
    let run = scene.pipeline().workers(2).start();
    eventually("something is written", PATIENCE, || {
        match scene.mongo.progress()? {
            None => Err("no progress yet".to_owned()),
            Some(_) => Ok(()),
        }
    });
    run.drain();
    scene.run_and_check(&scene.pipeline().workers(2));
}
