//! Topics that do not exist: a misspelt prefix is not a shop without customers.

use end_to_end::pipeline::PATIENCE;
use end_to_end::poll::eventually;
use end_to_end::samples::shop;
use end_to_end::{Pipeline, Scene, TOPICS};

/// Runs to its end: the exit code, and all that is said.
fn run(pipeline: &Pipeline) -> (Option<i32>, String) {
    let mut run = pipeline.clone().until_caught_up().start();
    let process = run.process();
    let code = process.exit_code(PATIENCE);
    (code, process.output())
}

#[test]
fn catching_up_with_topics_that_do_not_exist_fails_and_names_the_nearest() {
    let scene = Scene::new("sought", 1);
    scene.produce(&shop(1, 5));
    let misspelt = scene.prefix.replace("sought", "suoght");
    let pipeline = scene.pipeline().flag("--topic-prefix", &misspelt);
    for processes in [1, 2] {
        let (code, said) = run(&pipeline.clone().processes(processes));
        assert_eq!(code, Some(1), "{said}");
        let error = said.split("tidemark: ").last().unwrap_or_default();
        assert!(error.contains(&format!("{misspelt}customers")), "{error}");
        let existing = error.split("The nearest that exist: ").nth(1);
        let existing = existing.and_then(|existing| existing.split(". Check").next());
        let existing: Vec<_> = existing.unwrap_or_default().split(", ").collect();
        for topic in scene.topics() {
            assert!(existing[..6].contains(&&*topic), "{topic}: {error}");
        }
        for word in ["--topic-prefix", "--brokers", "--allow-missing-topics"] {
            assert!(error.contains(word), "{word}: {error}");
        }
        assert!(!error.contains("__consumer_offsets"), "{error}");
    }
    assert_eq!(scene.mongo.progress(), Ok(None), "nothing has been claimed");

    let (code, said) = run(&pipeline.switch("--allow-missing-topics"));
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("nothing was read of"), "{said}");
}

#[test]
fn a_run_that_goes_on_warns_until_one_exists() {
    let scene = Scene::without_topics("awaited");
    let pipeline = scene.pipeline().flag("--discover-interval", "200ms");
    let mut waiting = pipeline.start();
    waiting.says("has none of the topics");
    let warnings = |output: &str| {
        let lines = output.lines();
        let warnings = lines.filter(|line| line.contains(" WARN ") && line.contains(&scene.prefix));
        warnings.count()
    };
    for topic in TOPICS {
        scene.create(topic, 1, 1);
    }
    scene.produce(&shop(1, 20));
    scene.await_caught_up();
    let output = waiting.process().output();
    assert_eq!(warnings(&output), 1, "once a minute: {output}");
    waiting.drain();

    // One that exists is enough, and whoever knows is not warned.
    let (some, none) = (Scene::without_topics("some"), Scene::without_topics("none"));
    some.create("customers", 1, 1);
    let allowed = none.pipeline().switch("--allow-missing-topics");
    for (scene, pipeline) in [(&some, some.pipeline()), (&none, allowed)] {
        let mut run = pipeline.start();
        eventually("it has started", PATIENCE, || {
            let progress = scene.documents("progress").pop();
            let started = progress.is_some_and(|progress| progress.contains_key("definitions"));
            started.then_some(()).ok_or_else(|| run.process().output())
        });
        run.interrupt();
        assert_eq!(run.process().exit_code(PATIENCE), Some(0));
        assert_eq!(run.process().output().matches(" WARN ").count(), 0);
    }
}

#[test]
fn some_that_are_missing_are_named_at_the_end() {
    let scene = Scene::without_topics("partial");
    let (existing, missing) = TOPICS.split_at(4);
    for topic in existing {
        scene.create(topic, 1, 1);
    }
    let samples = shop(3, 30).into_iter();
    let samples = samples.filter(|sample| existing.contains(&sample.topic));
    scene.produce(&samples.collect::<Vec<_>>());
    let (code, said) = run(&scene.pipeline());
    assert_eq!(code, Some(0), "{said}");
    let warning = said
        .lines()
        .find(|line| line.contains("nothing was read of"));
    let warning = warning.unwrap_or_else(|| panic!("no warning: {said}"));
    assert!(warning.contains(" WARN "), "{warning}");
    for topic in TOPICS {
        let named = warning.contains(&scene.topic(topic));
        assert_eq!(named, missing.contains(&topic), "{topic}: {warning}");
    }
    scene.check();
    let (code, said) = run(&scene.pipeline().switch("--allow-missing-topics"));
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("nothing was read of"), "{said}");
}
