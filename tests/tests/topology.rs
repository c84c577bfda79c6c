//! The same documents, however the work is shared: by workers, by processes, over
//! any number of partitions.

use end_to_end::Scene;
use end_to_end::samples::shop;

fn agrees(name: &str, processes: usize, workers: usize, partitions: i32) {
    let scene = Scene::new(name, partitions);
    scene.produce(&shop(u64::from(partitions.unsigned_abs()), 300));
    scene.run_and_check(&scene.pipeline().processes(processes).workers(workers));
}

#[test]
fn one_worker_one_partition() {
    agrees("one-one", 1, 1, 1);
}

#[test]
fn one_worker_many_partitions() {
    agrees("one-many", 1, 1, 7);
}

#[test]
fn more_workers_than_partitions() {
    agrees("three-one", 1, 3, 1);
}

#[test]
fn three_workers_many_partitions() {
    agrees("three-many", 1, 3, 7);
}

#[test]
fn two_processes_one_partition() {
    agrees("two-processes-one", 2, 1, 1);
}

#[test]
fn two_processes_of_two_workers_many_partitions() {
    agrees("two-by-two", 2, 2, 7);
}

#[test]
fn partitions_that_are_empty() {
    let scene = Scene::new("hollow", 5);
    let samples = shop(4, 100).into_iter().map(|sample| sample.partition(3));
    scene.produce(&samples.collect::<Vec<_>>());
    scene.run_and_check(&scene.pipeline().workers(2));
}
