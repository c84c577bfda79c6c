//! Kafka without MongoDB: the same rows in the embedded store.

use end_to_end::samples::{Sample, shop, with};
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Rules, Scene};
use std::path::Path;

fn pipeline(scene: &Scene, path: &Path) -> Pipeline {
    Pipeline::bare(scene.name())
        .flag("--brokers", &scene.services.brokers)
        .flag("--topic-prefix", &scene.prefix)
        .flag("--sqlite", &path.to_string_lossy())
        .ruled_by(&scene.rules)
        .until_caught_up()
}

fn check(scene: &Scene, path: &Path) {
    scene.check_in(&Sqlite::open(path).expect("the file"));
}

#[test]
fn the_same_rows() {
    let scene = Scene::new("sqlite", 3);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("views.sqlite");
    let mut samples = shop(1, 300);
    samples.push(Sample::new("products", "no product").key([0xff]));
    scene.produce(&samples);
    pipeline(&scene, &path).workers(3).run();
    check(&scene, &path);

    // From the start again, into the same file, with more to read.
    scene.produce(&shop(2, 100));
    pipeline(&scene, &path).workers(2).run();
    check(&scene, &path);
}

#[test]
fn the_first_and_the_last_day() {
    let scene = Scene::new("sqlite-days", 1).ruled_by(Rules::everything_counts());
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("views.sqlite");
    for time in [
        "\"0001-01-01T00:00:00\"",
        "\"9999-12-31T23:59:59\"",
        "\"1969-12-31T23:59:59\"",
    ] {
        let login = with("customers", &[("last_login", time)]);
        scene.produce(&[Sample::new("customers", login)]);
    }
    pipeline(&scene, &path).run();
    check(&scene, &path);
}
