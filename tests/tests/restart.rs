//! Ended and started again, in an orderly way and not.

use end_to_end::pipeline::PATIENCE;
use end_to_end::samples::shop;
use end_to_end::{Scene, eventually};
use mongodb::bson::{DateTime, Document};

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
        let started = DateTime::now();
        let mut run = scene.pipeline().workers(2).flag("--epoch", "10ms").start();
        eventually("something is written", PATIENCE, || {
            run.assert_running();
            let sales = scene.documents("sales_analysis");
            let is_new = |row: &Document| row.get_datetime("updated_at").unwrap() >= &started;
            match sales.iter().any(is_new) {
                true => Ok(()),
                false => Err("no sales of this run yet".to_owned()),
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
    // A little at a time, so that there is a middle.
    let pipeline = scene.pipeline().workers(2).flag("--epoch", "10ms");
    let run = pipeline.flag("--max-in-flight", "200").start();
    eventually("something is written", PATIENCE, || {
        match scene.mongo.progress()? {
            None => Err("no progress yet".to_owned()),
            Some(_) => Ok(()),
        }
    });
    run.drain();
    // What is written is what was read, no more and no less.
    scene.check_so_far();
    let epoch = |scene: &Scene| {
        let progress = scene.mongo.progress().expect("the database answers");
        progress
            .expect("progress")
            .get_i64("epoch")
            .expect("a long")
    };
    let before = epoch(&scene);
    scene.run_and_check(&scene.pipeline().workers(2));
    assert!(epoch(&scene) > before, "epochs grow through restarts");
}
