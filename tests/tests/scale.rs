//! The generator's 100,000 rounds, in two topologies.

use end_to_end::Scene;

fn agrees(name: &str, processes: usize, workers: usize) {
    let scene = Scene::without_topics(name);
    scene.generate(&[
        "--count",
        "100000",
        "--seed",
        "42",
        "--times",
        "live",
        "--partitions",
        "6",
        "--replication",
        "1",
        "--late",
        "0.1",
        "--duplicates",
        "0.05",
        "--malformed",
        "0.02",
    ]);
    scene.run_and_check(&scene.pipeline().processes(processes).workers(workers));
}

#[test]
fn four_workers() {
    agrees("scale-workers", 1, 4);
}

#[test]
fn two_processes_of_two_workers() {
    agrees("scale-processes", 2, 2);
}
