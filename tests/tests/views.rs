//! Every view, from messages made by hand and from the generator's.

use end_to_end::samples::shop;
use end_to_end::{Rules, Scene};
use mongodb::bson::doc;

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
fn the_obvious_queries_have_an_index() {
    let scene = Scene::new("indexes", 1);
    scene.produce(&shop(3, 10));
    scene.run_and_check(&scene.pipeline());
    let expected = [
        ("customer_analysis", doc! { "window.start": 1, "gender": 1 }),
        (
            "product_analysis",
            doc! { "window_start": 1, "category": 1 },
        ),
        (
            "sales_analysis",
            doc! { "window_start": 1, "product_id": 1 },
        ),
        (
            "product_views_analysis",
            doc! { "window_start": 1, "product_id": 1 },
        ),
        (
            "revenue_analysis",
            doc! { "window_start": 1, "category": 1, "gender": 1, "status": 1 },
        ),
        (
            "interaction_analysis",
            doc! { "window_start": 1, "product_id": 1, "interaction_type": 1 },
        ),
        ("log_analysis", doc! { "window_start": 1, "level": 1 }),
    ];
    for (collection, wanted) in expected {
        let wanted: Vec<_> = wanted.keys().cloned().collect();
        let indexes = scene.mongo.indexes(collection);
        let names = |index: &mongodb::bson::Document| index.keys().cloned().collect::<Vec<_>>();
        // In whatever order of its fields: both ways serve the queries by window and by group.
        let serves = |index: &Vec<String>| wanted.iter().all(|name| index.contains(name));
        assert!(
            indexes.iter().map(names).any(|index| serves(&index)),
            "{collection}: {indexes:?}"
        );
        let by_window = |index: &Vec<String>| index.first() == wanted.first();
        assert!(
            indexes.iter().map(names).any(|index| by_window(&index)),
            "{collection}: {indexes:?}"
        );
    }
}
