//! The command line: what it accepts, what it says, how it ends.

use end_to_end::pipeline::{PATIENCE, host_file};
use end_to_end::process::binary;
use end_to_end::samples::shop;
use end_to_end::{Ending, Pipeline, Process, Scene};
use std::process::{Command, Stdio};

/// Exit code and output of a command that ends by itself.
fn ended(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
    let mut process = Process::start("tidemark", name, &arguments, environment);
    (process.exit_code(PATIENCE), process.output())
}

#[test]
fn help() {
    let (code, output) = ended("help", &["--help"], &[]);
    assert_eq!(code, Some(0));
    for flag in [
        "--brokers",
        "--mongodb-uri",
        "--until-caught-up",
        "--config",
        "-w",
        "-n",
        "-p",
        "-h",
    ] {
        assert!(output.contains(flag), "{flag} is not in {output}");
    }
}

#[test]
fn the_version_is_that_of_the_build() {
    let (code, output) = ended("version", &["--version"], &[]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.starts_with("tidemark 0."), "{output}");
}

#[test]
fn shells_and_man_are_told_of_each_command() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script) = ended(shell, &["completions", shell], &[]);
        assert_eq!(code, Some(0), "{script}");
        for word in [
            "supervise",
            "checkpoint",
            "mongodb-uri-file",
            "http-token-file",
        ] {
            assert!(script.contains(word), "{shell}: {word} is not in {script}");
        }
    }
    let (code, output) = ended("csh", &["completions", "csh"], &[]);
    assert_eq!(code, Some(2), "{output}");

    let (code, page) = ended("man", &["man"], &[]);
    assert_eq!(code, Some(0), "{page}");
    for part in [
        ".TH tidemark 1",
        ".SH NAME",
        "max\\-in\\-flight",
        "TIDEMARK_KAFKA",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let folder = tempfile::tempdir().expect("a directory");
    let place = folder.path().join("man1");
    let (code, output) = ended("man1", &["man", &place.display().to_string()], &[]);
    assert_eq!(code, Some(0), "{output}");
    for page in [
        "tidemark.1",
        "tidemark-why.1",
        "tidemark-checkpoint-verify.1",
    ] {
        assert!(place.join(page).is_file(), "{page} is missing");
    }
}

#[test]
fn views_are_listed() {
    let (code, output) = ended("list", &["views"], &[]);
    assert_eq!(code, Some(0), "{output}");
    for word in [
        "customer_analysis",
        "product_analysis",
        "sales_analysis",
        "product_views_analysis",
        "interaction_analysis",
        "log_analysis",
        "last_login",
        "total_customers",
        "average_price",
        "unique_customers",
        "interaction_type",
        "transactions",
    ] {
        assert!(output.contains(word), "{word} is not in {output}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_it_takes() {
    let cases: [(&[&str], &str); 10] = [
        (&["--no-such-flag"], "--no-such-flag"),
        (&["--epoch", "soon"], "--epoch"),
        (&["--on-expired", "ignore"], "--on-expired"),
        (&["--max-dead-letters", "many"], "--max-dead-letters"),
        (&["--max-dead-letters", "101%"], "--max-dead-letters"),
        (&["-w", "none"], "-w"),
        (&["-w", "0"], "-w"),
        (&["-X", "no-equals-sign"], "-X"),
        (
            &[
                "--brokers",
                "127.0.0.1:1",
                "--sqlite",
                "/tmp/x",
                "-X",
                "no.such.property=1",
            ],
            "no.such.property",
        ),
        (&["--config", "/no/such/file.toml"], "/no/such/file.toml"),
    ];
    for (number, (arguments, named)) in cases.into_iter().enumerate() {
        let (code, output) = ended(&format!("usage-{number}"), arguments, &[]);
        assert_eq!(code, Some(2), "{arguments:?}: {output}");
        assert!(output.contains(named), "{named} is not in {output}");
    }
}

#[test]
fn wrong_configuration_ends_with_2_and_names_the_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let cases = [
        ("brokrs = \"x\"", "brokrs"),
        ("epoch = \"soon\"", "epoch"),
        ("[views.no_such_view]\nwindow = \"1h\"", "no_such_view"),
        ("[views.sales_analysis]\nwindow = \"never\"", "window"),
        (
            "[views.sales_analysis]\ntime = \"no_such_field\"",
            "no_such_field",
        ),
        ("this is no TOML", "TOML"),
    ];
    for (number, (text, named)) in cases.into_iter().enumerate() {
        let file = directory.path().join(format!("{number}.toml"));
        std::fs::write(&file, text).expect("a file");
        let path = file.to_string_lossy();
        let (code, output) = ended(&format!("config-{number}"), &["--config", &path], &[]);
        assert_eq!(code, Some(2), "{text}: {output}");
        assert!(output.contains(named), "{named} is not in {output}");
    }
}

#[test]
fn a_broker_that_is_away_ends_with_1_after_the_timeout() {
    let sqlite = tempfile::tempdir().expect("a directory");
    let path = sqlite
        .path()
        .join("views.sqlite")
        .to_string_lossy()
        .into_owned();
    let arguments = [
        "--brokers",
        "127.0.0.1:1",
        "--sqlite",
        &path,
        "--connect-timeout",
        "1s",
        "-w",
        "2",
    ];
    let (code, output) = ended("no-broker", &arguments, &[]);
    assert_eq!(code, Some(1), "{output}");
    assert_eq!(output.matches("Connection refused").count(), 1, "{output}");
    let mut patient = arguments;
    patient[5] = "4s";
    let (code, output) = ended("no-broker-yet", &patient, &[]);
    assert_eq!(code, Some(1), "{output}");
    // Each attempt is one line.
    let attempts = output.matches("does not answer yet").count();
    let lines = output.matches("Connection refused").count();
    assert!(attempts > 0 && lines == attempts + 1, "{output}");
    assert!(!output.contains("another 0 s"), "{output}");
    assert!(output.contains("127.0.0.1:1"), "which broker: {output}");
    assert!(
        output.contains("--connect-timeout") || output.contains("--brokers"),
        "what to do: {output}"
    );
}

#[test]
fn a_password_is_never_printed() {
    let brokers = Scene::without_topics("secret").services.brokers.clone();
    let uri = "mongodb://someone:hunter2secret@127.0.0.1:1/?serverSelectionTimeoutMS=500";
    let arguments = [
        "--brokers",
        &brokers,
        "--mongodb-uri",
        uri,
        "--connect-timeout",
        "2s",
    ];
    let (code, output) = ended("secret", &arguments, &[]);
    assert_eq!(code, Some(1), "{output}");
    let last = output.lines().rfind(|line| line.starts_with("tidemark: "));
    let last = last.unwrap_or_default();
    for part in ["127.0.0.1:1", "--mongodb-uri", "--connect-timeout"] {
        assert!(last.contains(part), "{part}: {output}");
    }
    assert!(!output.contains("hunter2secret"), "{output}");
}

#[test]
fn what_is_wrong_before_anything_runs_ends_with_2() {
    let directory = tempfile::tempdir().expect("a directory");
    let sqlite = directory.path().join("views.sqlite");
    let sqlite = sqlite.to_string_lossy();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    let scene = Scene::without_topics("wrong");
    let elsewhere = format!("{}/no/such/x.sqlite", directory.path().display());
    let cases: [(&[&str], &str); 5] = [
        (&["--sqlite", &sqlite, "--http", &taken], "--http"),
        (&["--sqlite", &elsewhere], "--sqlite"),
        (&["--mongodb-uri", "mongodb://a:1/?w=-1"], "--mongodb-uri"),
        (
            &["--sqlite", &sqlite, "-X", "sasl.jaas.config=x"],
            "sasl.jaas.config",
        ),
        (
            &[
                "--sqlite",
                &sqlite,
                "-X",
                "security.protocol=SASL_PLAINTEXT",
            ],
            "sasl.mechanism",
        ),
    ];
    for (number, (arguments, named)) in cases.into_iter().enumerate() {
        let arguments = [&["--brokers", &scene.services.brokers][..], arguments].concat();
        let (code, output) = ended(&format!("wrong-{number}"), &arguments, &[]);
        assert_eq!(code, Some(2), "{arguments:?}: {output}");
        let last = output.lines().rfind(|line| line.starts_with("tidemark: "));
        assert!(last.is_some_and(|last| last.contains(named)), "{output}");
    }
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    for arguments in [
        &["views"][..],
        &["man"],
        &["completions", "bash"],
        &["--help"],
    ] {
        let mut child = Command::new(binary("tidemark"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        // Nothing is read of it.
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(
            (ended.status.code(), said.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
    // A log that nobody reads is no reason to end otherwise.
    let mut child = Command::new(binary("tidemark"))
        .args(["--brokers", "127.0.0.1:1", "--sqlite", "/no/such/x.sqlite"])
        .args(["-X", "check.crcs=false"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(2));
}

#[test]
fn an_interrupt_drains() {
    let scene = Scene::new("drained", 2);
    scene.produce(&shop(1, 100));
    let run = scene.pipeline().workers(2).start();
    scene.await_caught_up();
    run.drain();
    scene.check_as(Ending::Running);
}

#[test]
fn environment_and_file_configure_like_flags() {
    let scene = Scene::new("configured", 2);
    scene.produce(&shop(2, 50));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tidemark.toml");
    // The file is wrong about the brokers; the environment, which wins, is right.
    let text = format!(
        "brokers = \"127.0.0.1:1\"\ndatabase = \"{}\"\n",
        scene.database
    );
    std::fs::write(&file, text).expect("a file");
    let arguments = [
        "--config".to_owned(),
        file.to_string_lossy().into_owned(),
        "--until-caught-up".to_owned(),
    ];
    let environment = [
        ("TIDEMARK_BROKERS", scene.services.brokers.as_str()),
        ("TIDEMARK_MONGODB_URI", scene.services.mongodb_uri.as_str()),
        ("TIDEMARK_TOPIC_PREFIX", scene.prefix.as_str()),
    ];
    let mut process = Process::start("tidemark", "configured", &arguments, &environment);
    assert_eq!(process.exit_code(PATIENCE), Some(0), "{}", process.output());
    scene.check();
}

#[test]
fn a_view_can_be_configured() {
    let scene = Scene::new("reshaped", 1);
    scene.produce(&shop(3, 50));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tidemark.toml");
    std::fs::write(&file, "[views.log_analysis]\nwindow = \"1d\"\n").expect("a file");
    scene
        .pipeline()
        .flag("--config", &file.to_string_lossy())
        .until_caught_up()
        .run();
    let documents = scene.documents("log_analysis");
    assert!(!documents.is_empty());
    for document in documents {
        let moment = |name| {
            document
                .get_datetime(name)
                .expect("a date")
                .timestamp_millis()
        };
        assert_eq!(
            moment("window_end") - moment("window_start"),
            86_400_000,
            "{document}"
        );
        assert_eq!(
            moment("window_start").rem_euclid(86_400_000),
            0,
            "{document}"
        );
    }
}

#[test]
fn logs_can_be_json() {
    let scene = Scene::new("json-logs", 1);
    scene.produce(&shop(4, 5));
    let mut run = scene
        .pipeline()
        .flag("--log-format", "json")
        .until_caught_up()
        .start();
    assert_eq!(run.process().exit_code(PATIENCE), Some(0));
    let output = run.process().output();
    assert!(!output.trim().is_empty(), "it says something");
    for line in output.lines() {
        let parsed = serde_json::from_str::<serde_json::Value>(line);
        assert!(parsed.is_ok_and(|line| line.is_object()), "no JSON: {line}");
    }
}

#[test]
fn an_interrupt_ends_what_waits_for_a_database() {
    let scene = Scene::new("impatient", 1);
    let pipeline = Pipeline::of(&scene)
        .flag(
            "--mongodb-uri",
            "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=500",
        )
        .flag("--connect-timeout", "600s");
    let mut run = pipeline.start();
    run.says("127.0.0.1:1");
    run.drain();
}

#[test]
fn an_interrupt_ends_what_waits_for_the_other_processes() {
    let scene = Scene::new("lonely", 1);
    // The first of two; the second never comes.
    let pipeline = Pipeline::of(&scene).flag("-n", "2").flag("-p", "0");
    let hosts = host_file(2);
    let mut run = pipeline.flag("-h", &hosts.path().to_string_lossy()).start();
    run.says("writing to");
    run.drain();
}
