//! A database that is not ours alone: its URI says more than where it is, and collections
//! are there already.

use end_to_end::Scene;
use end_to_end::mongo::{Mongo, block_on};
use end_to_end::pipeline::{PATIENCE, Pipeline};
use end_to_end::samples::shop;
use mongodb::bson::doc;

/// The scene's, with a path and more options in its URI, and without `--database`.
fn by_uri(scene: &Scene, path: &str, options: &str) -> Pipeline {
    let uri = scene
        .services
        .mongodb_uri
        .replace("/?", &format!("/{path}?"));
    Pipeline::bare(scene.name())
        .flag("--brokers", &scene.services.brokers)
        .flag("--mongodb-uri", &format!("{uri}{options}"))
        .flag("--topic-prefix", &scene.prefix)
}

#[test]
fn the_uri_names_the_database_and_reads_go_to_the_primary() {
    let scene = Scene::new("by-uri", 1);
    scene.produce(&shop(91, 20));
    let secondary = "&readPreference=secondary&maxStalenessSeconds=120";
    let pipeline = by_uri(&scene, &scene.database, secondary);
    scene.run_and_check(&pipeline);

    // What is named by itself goes before the path.
    scene.produce(&shop(92, 20));
    let other = format!("{}-other", scene.database);
    let nearest = "&readPreference=nearest&readPreferenceTags=dc:ny";
    let pipeline = by_uri(&scene, &other, nearest).flag("--database", &scene.database);
    let mut run = pipeline.until_caught_up().start();
    let code = run.process().exit_code(PATIENCE);
    let output = run.process().output();
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("readPreference has no effect"), "{output}");
    scene.check();
    let other = Mongo::connect(&scene.services.mongodb_uri, &other);
    assert!(other.collections().is_empty());
}

#[test]
fn a_collection_that_cannot_hold_rows_is_refused_before_anything_is_written() {
    let scene = Scene::new("unfit", 1);
    scene.produce(&shop(93, 20));
    for (view, options, expected) in [
        (
            "sales_analysis",
            doc! { "collation": { "locale": "en", "strength": 2 } },
            "ignores case",
        ),
        (
            "log_analysis",
            doc! { "validator": { "total_logs": { "$lt": 3 } } },
            "has a validator",
        ),
    ] {
        let mut create = doc! { "create": view };
        create.extend(options);
        let made = block_on(async { scene.mongo.database().run_command(create).await });
        made.expect("a collection");
        let mut run = scene.pipeline().until_caught_up().start();
        let code = run.process().exit_code(PATIENCE);
        let output = run.process().output();
        assert_eq!(code, Some(2), "{output}");
        let last = output.lines().last().unwrap_or_default();
        for part in [&format!("the collection {view} "), expected] {
            assert!(last.contains(part), "{part} in {output}");
        }
        assert_eq!(scene.mongo.collections(), [view]);
        scene.mongo.drop_database();
    }
    scene.run_and_check(&scene.pipeline());
}
