//! The log has become another one between two runs.

use crate::states::{State, TOPIC, all_refuse, fill, lines, read, scene};

/// The id of the topic, as each state has it.
fn topic_id(state: &State, topic: &str) -> String {
    let progress = state.progress().expect("progress");
    let log = progress.get("log").expect("a log").clone();
    let log = match log {
        mongodb::bson::Bson::Document(log) => log,
        // A text, in SQLite.
        text => serde_json::from_str(text.as_str().expect("a text")).expect("JSON"),
    };
    let ids = log.get_document("topic_ids").expect("ids of topics");
    ids.get_str(topic).expect("an id").to_owned()
}

#[test]
fn a_topic_made_again_is_another_log_however_long_it_is() {
    let scene = scene("made-again", [60, 40]);
    let topic = scene.topic(TOPIC);
    let states = State::all(&scene);
    read(&states);
    let ids: Vec<_> = states.iter().map(|state| topic_id(state, &topic)).collect();
    assert!(ids.windows(2).all(|ids| ids[0] == ids[1]), "{ids:?}");
    // Empty, shorter, exactly as long, with one partition only that is longer, and longer.
    for counts in [[0, 0], [20, 10], [60, 40], [60, 90], [120, 80]] {
        scene.kafka.recreate(&topic, 2);
        fill(&scene, counts);
        let named = [
            &format!("topic {topic} was deleted and made again"),
            &format!("its id was {}", ids[0]),
            "--reset-view log_analysis",
            "empty --checkpoint",
        ];
        all_refuse(&states, &named, State::pipeline);
    }
    for state in &states {
        assert_eq!(state.counted(), 100, "{}", state.name);
    }
    // Several processes refuse like one.
    all_refuse(&states[..2], &["was deleted and made again"], |state| {
        state.pipeline().processes(2)
    });
}

#[test]
fn a_topic_that_is_gone_and_one_with_fewer_partitions() {
    let scene = scene("fewer", [60, 40]);
    let topic = scene.topic(TOPIC);
    let states = State::all(&scene);
    read(&states);
    scene.kafka.drop_topics(&[&topic]);
    scene.kafka.await_gone(&topic);
    let gone = format!("topic {topic} was read, and it does not exist any more");
    all_refuse(
        &states,
        &[&gone, "--reset-view log_analysis"],
        State::pipeline,
    );

    scene.create(TOPIC, 1, 1);
    scene.produce(&lines(0, 200));
    let again = format!("topic {topic} was deleted and made again");
    all_refuse(&states, &[&again], State::pipeline);
}

#[test]
fn a_topic_of_which_nothing_was_read_may_become_another() {
    let scene = scene("unread", [60, 40]);
    scene.create("customers", 2, 1);
    let states = State::all(&scene);
    read(&states);
    scene.kafka.recreate(&scene.topic("customers"), 1);
    fill(&scene, [5, 5]);
    read(&states);
    for state in &states {
        assert_eq!(state.counted(), 110, "{}", state.name);
    }
}
