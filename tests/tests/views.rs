//! Every view, from messages made by hand and from the generator's.

use end_to_end::oracle::VIEWS;
use end_to_end::samples::shop;
use end_to_end::{Rules, Scene};
use mongodb::bson::doc;
use std::io::Write as _;

#[test]
fn awkward_messages() {
    let scene = Scene::new("awkward", 3);
    scene.produce(&shop(1, 400));
    scene.run_and_check(&scene.pipeline());
}

#[test]
fn awkward_messages_of_which_none_is_late() {
    let scene = Scene::new("awkward-all", 3).ruled_by(Rules::everything_counts());
    scene.produce(&shop(1, 400));
    scene.run_and_check(&scene.pipeline());
    assert!(scene.documents("dead_letters").is_empty());
}

#[test]
fn a_shop_as_it_was_generated_by_the_original() {
    let scene = Scene::without_topics("spread");
    scene.generate(&[
        "--count",
        "500",
        "--seed",
        "7",
        "--times",
        "spread",
        "--partitions",
        "3",
        "--replication",
        "1",
    ]);
    scene.run_and_check(&scene.pipeline().workers(2));
}

#[test]
fn a_live_shop_with_everything_that_goes_wrong() {
    let scene = Scene::without_topics("live");
    scene.generate(&[
        "--count",
        "500",
        "--seed",
        "8",
        "--times",
        "live",
        "--partitions",
        "3",
        "--replication",
        "1",
        "--late",
        "0.1",
        "--duplicates",
        "0.05",
        "--malformed",
        "0.02",
    ]);
    scene.run_and_check(&scene.pipeline().workers(2));
}

#[test]
fn one_row_for_many_events() {
    // All on one key, at one moment, so that everything meets in one row.
    let scene = Scene::new("one-row", 4);
    let mut samples = shop(2, 1);
    samples.iter_mut().for_each(|sample| sample.key = None);
    let copies = |partition| {
        let of_partition = samples
            .iter()
            .map(move |sample| sample.clone().partition(partition));
        std::iter::repeat_n(of_partition, 250).flatten()
    };
    scene.produce(&(0..4).flat_map(copies).collect::<Vec<_>>());
    scene.run_and_check(&scene.pipeline().workers(3));
}

#[test]
fn a_view_is_indexed_by_window_and_by_group_where_it_is_asked_for() {
    let scene = Scene::new("indexes", 1);
    scene.produce(&shop(3, 10));
    scene.run_and_check(&scene.pipeline());
    for view in &VIEWS {
        let window = match view.name {
            "customer_analysis" => "window.start",
            _ => "window_start",
        };
        let expected = [doc! { "_id": 1 }, doc! { window: -1 }];
        assert_eq!(scene.mongo.indexes(view.name), expected, "{}", view.name);
    }

    // Asked for later it is added, and no longer asked for it stays.
    let mut file = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
    let text = "[views.interaction_analysis]\ngroup_index = true\n";
    file.write_all(text.as_bytes()).expect("a file");
    let path = file.path().to_string_lossy();
    scene.run_and_check(&scene.pipeline().flag("--config", &path));
    scene.run_and_check(&scene.pipeline());
    let expected = [
        doc! { "_id": 1 },
        doc! { "window_start": -1 },
        doc! { "product_id": 1, "interaction_type": 1, "window_start": -1 },
    ];
    assert_eq!(scene.mongo.indexes("interaction_analysis"), expected);
}
