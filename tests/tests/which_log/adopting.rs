//! States of earlier versions, which do not say which log was read.

use crate::states::{State, TOPIC, all_refuse, fill, scene};
use end_to_end::mongo::block_on;
use mongodb::bson::{Document, doc};

#[test]
fn a_database_that_does_not_say_which_log_was_read_belongs_to_the_one_that_is_there() {
    let scene = scene("adopting", [60, 40]);
    let topic = scene.topic(TOPIC);
    let state = State::new(&scene, false, false);
    state.pipeline().until_caught_up().run();
    let database = state.mongo().database();
    let progress = database.collection::<Document>("progress");
    let forget = doc! {"$unset": {"log": "", "reaching.log": ""}};
    block_on(async { progress.update_one(doc! {"_id": "tidemark"}, forget).await })
        .expect("it is changed");

    // Also where nothing new is read.
    let mut run = state.pipeline().until_caught_up().start();
    assert_eq!(
        run.process().exit_code(end_to_end::pipeline::PATIENCE),
        Some(0)
    );
    let output = run.process().output();
    let said = output.matches("does not say which log was read").count();
    assert_eq!(said, 1, "{output}");

    scene.kafka.recreate(&topic, 2);
    fill(&scene, [120, 80]);
    let again = format!("topic {topic} was deleted and made again");
    all_refuse(&[state], &[&again], State::pipeline);
}
