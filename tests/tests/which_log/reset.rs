//! The way out: every view that reads the topic is rebuilt, and nothing else changes.

use crate::states::{State, all_refuse};
use end_to_end::oracle::VIEWS;
use end_to_end::samples::passing;
use end_to_end::{Pipeline, Rules, Scene};
use mongodb::bson::Document;

/// The views that read sales.
const READERS: [&str; 2] = ["sales_analysis", "revenue_analysis"];

fn rows_of_others(state: &State) -> Vec<(&'static str, Vec<Document>)> {
    let others = VIEWS.iter().filter(|view| !READERS.contains(&view.name));
    let rows = others.map(|view| {
        let mut rows = state.store().documents(view.name);
        if state.folder.is_none() {
            // Everything is read again.
            for row in &mut rows {
                row.remove("epoch");
                row.remove("updated_at");
            }
        }
        rows.sort_by_key(ToString::to_string);
        (view.name, rows)
    });
    rows.collect()
}

fn resetting(state: &State, views: &[&str]) -> Pipeline {
    state.pipeline().flag("--reset-view", &views.join(","))
}

#[test]
fn all_views_that_read_a_topic_made_again_are_rebuilt_if_all_are_named() {
    let scene = Scene::new("way-out", 2).ruled_by(Rules::default());
    scene.produce(&passing(81, 120, (0, 8)));
    let states = State::all(&scene);
    crate::states::read(&states);
    let others: Vec<_> = states.iter().map(rows_of_others).collect();

    let topic = scene.topic("transactions");
    scene.kafka.recreate(&topic, 2);
    let sales = |seed, hours| {
        let all = passing(seed, 150, hours).into_iter();
        all.filter(|sample| sample.topic == "transactions")
            .collect::<Vec<_>>()
    };
    scene.produce(&sales(82, (0, 8)));
    let again = format!("topic {topic} was deleted and made again");
    all_refuse(
        &states,
        &[&again, "revenue_analysis,sales_analysis"],
        State::pipeline,
    );
    let named = [again.as_str(), "name revenue_analysis as well"];
    all_refuse(&states, &named, |state| resetting(state, &READERS[..1]));

    let runs: Vec<_> = states
        .iter()
        .map(|state| resetting(state, &READERS).until_caught_up().start())
        .collect();
    runs.into_iter()
        .for_each(end_to_end::pipeline::Run::succeed);
    for (state, before) in states.iter().zip(others) {
        scene.check_in(&*state.store());
        assert!(rows_of_others(state) == before, "{}", state.name);
    }

    // From now on it is this topic that is read; where the option stays, the views are rebuilt
    // once more.
    scene.produce(&sales(83, (8, 12)));
    let runs: Vec<_> = states
        .iter()
        .map(|state| match state.folder {
            Some(_) => resetting(state, &READERS).workers(2),
            None => state.pipeline(),
        })
        .map(|pipeline| pipeline.until_caught_up().start())
        .collect();
    runs.into_iter()
        .for_each(end_to_end::pipeline::Run::succeed);
    for state in &states {
        scene.check_in(&*state.store());
    }
}
