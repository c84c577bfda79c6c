//! Topics that a transactional producer writes: what is aborted is in no row, and
//! the markers at the end of a partition, which no consumer sees, are passed.

use end_to_end::http::get;
use end_to_end::pipeline::PATIENCE;
use end_to_end::process::free_port;
use end_to_end::samples::{Sample, shop, with};
use end_to_end::{Ending, Scene};

#[test]
fn transactions_that_are_committed_and_aborted() {
    let scene = Scene::new("transactions", 1);
    let transact = |seed, commit| {
        let messages: Vec<_> = shop(seed, 40)
            .into_iter()
            .filter_map(|sample| Some((scene.topic(sample.topic), sample.value?)))
            .collect();
        let id = format!("{}{seed}", scene.prefix);
        scene.kafka.transact(&id, &messages, commit);
    };
    transact(11, true);
    transact(12, false);
    scene.run_and_check(&scene.pipeline().workers(2));

    // And while it runs: the offsets that are published pass the markers too.
    let run = scene.pipeline().start();
    transact(13, true);
    transact(14, false);
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    run.drain();
}

/// Log lines that are well-formed, for partition 0.
fn lines(count: usize) -> Vec<Sample> {
    vec![Sample::new("system_logs", with("system_logs", &[])).partition(0); count]
}

/// The lines of the output of a run that name a partition as blocked.
fn blocked(output: &str) -> Vec<&str> {
    let lines = output.lines();
    lines
        .filter(|line| line.contains("is blocked by an open transaction"))
        .collect()
}

/// The lines that `log_analysis` counts.
fn counted(scene: &Scene) -> i64 {
    let documents = scene.documents("log_analysis");
    let totals = documents.iter().map(|row| row.get_i64("total_logs"));
    totals.map(|total| total.expect("a long")).sum()
}

#[test]
fn open_transaction_blocks_its_partition_and_is_reported() {
    let scene = Scene::new("open-transaction", 2);
    let logs = scene.topic("system_logs");
    let value = with("system_logs", &[]).into_bytes();
    let three = vec![(logs.clone(), value); 3];
    // One that has begun with nothing before it, too.
    let views = vec![(scene.topic("product_views"), b"{}".to_vec())];
    scene.produce(&lines(2));
    let id = scene.prefix.clone();
    let open = scene.kafka.open_transaction(&id, &[three, views].concat());
    scene.produce(&lines(20));
    let other = Sample::new("system_logs", with("system_logs", &[])).partition(1);
    scene.produce(&vec![other; 4]);
    let clause =
        format!("topic {logs} partition 0 is blocked by an open transaction at offset 2 since");
    let first = format!(
        "topic {} partition 0 is blocked by an open transaction at offset 0 since",
        scene.topic("product_views")
    );

    // A run that ends when it has caught up reads up to the transaction, and says so.
    let mut run = scene.pipeline().workers(2).until_caught_up().start();
    assert_eq!(run.process().exit_code(PATIENCE), Some(0));
    let output = run.process().output();
    let warned = |clause: &str| {
        let lines = blocked(&output).into_iter();
        lines
            .filter(|line| line.contains("WARN") && line.contains(clause))
            .count()
    };
    assert_eq!((warned(&clause), warned(&first)), (1, 1), "{output}");
    let last = output.lines().last().expect("a last line");
    for expected in [
        clause.as_str(),
        first.as_str(),
        ": 23 offsets from there on are not",
    ] {
        assert!(
            last.contains("done: ") && last.contains(expected),
            "{expected}: {last}"
        );
    }
    assert_eq!(counted(&scene), 6);

    // One that goes on reports it as well: in its log, when it is asked, on its page.
    let address = format!("127.0.0.1:{}", free_port());
    let mut run = scene.pipeline().flag("--http", &address).start();
    run.says(&clause);
    run.says(&first);
    for (path, expected) in [
        ("/pipeline/why/log_analysis/latest", &clause[..]),
        ("/pipeline/why/product_views_analysis/latest", &first),
        (
            "/pipeline",
            "blocked by an open transaction at offset 2 since",
        ),
        ("/pipeline", "Blocked by open transactions"),
        (
            "/metrics",
            &format!("tidemark_partition_blocked_offsets{{topic=\"{logs}\",partition=\"0\"}} 23"),
        ),
        (
            "/metrics",
            &format!("tidemark_partition_lag{{topic=\"{logs}\",partition=\"0\"}} 0"),
        ),
    ] {
        let (_, body) = get(&address, path).expect("an answer");
        assert!(body.contains(expected), "{path}: {expected}: {body}");
    }
    // And reads on as soon as it has ended.
    open.end(true);
    run.says("the transaction at offset 2 has ended");
    scene.await_caught_up();
    scene.check_as(Ending::Running);
    assert_eq!(counted(&scene), 29);
    run.interrupt();
    assert_eq!(run.process().exit_code(PATIENCE), Some(0));
    let output = run.process().output();
    let last = output.lines().last().expect("a last line");
    assert!(
        last.contains("done: ") && !last.contains("blocked"),
        "{last}"
    );
}
