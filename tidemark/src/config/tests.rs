//! Who wins over whom, and what is said when something is wrong.

mod checkpoint;
mod http;
mod question;
mod secrets;
mod supervision;

use std::{ffi::OsString, num::NonZero, time::Duration};

use super::*;
use dataflow::tally::Limit;

fn known() -> [KnownView<'static>; 2] {
    [
        ("sales_analysis", "date_time"),
        ("log_analysis", "timestamp"),
    ]
    .map(|(name, time)| KnownView {
        name,
        times: vec!["kafka", time],
    })
}

fn load_with(args: &[&str], env: &[(&str, &str)]) -> Result<Command, ConfigError> {
    let args = std::iter::once("tidemark").chain(args.iter().copied());
    let env = env
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    load(args.map(OsString::from), env, &known())
}

fn settings(args: &[&str], env: &[(&str, &str)]) -> Settings {
    match load_with(args, env) {
        Ok(Command::Run(settings)) => *settings,
        Ok(other) => panic!("not a run: {other:?}"),
        Err(error) => panic!("{error}"),
    }
}

fn error(args: &[&str], env: &[(&str, &str)]) -> String {
    match load_with(args, env) {
        Ok(command) => panic!("this is valid: {command:?}"),
        Err(error) => error.to_string(),
    }
}

/// A file and its path as a text.
fn file(text: &str) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    let path = file.path().display().to_string();
    (file, path)
}

#[test]
fn without_anything_it_is_embedded() {
    let settings = settings(&[], &[]);
    let embedded = Source::Embedded {
        rate: Rate::PerSecond(NonZero::new(1000).unwrap()),
        seed: 1,
    };
    assert_eq!(settings.source, embedded);
    assert!(matches!(
        settings.store,
        Store::Sqlite {
            temporary: true,
            ..
        }
    ));
    assert_eq!(
        (settings.workers, settings.processes, settings.process),
        (1, 1, 0)
    );
    assert_eq!(settings.epoch, Duration::from_millis(100));
    assert_eq!(settings.connect_timeout, Duration::from_secs(30));
    assert_eq!(settings.discover_interval, Duration::from_secs(5));
    assert_eq!(settings.idle_timeout, Duration::from_secs(30));
    assert_eq!(settings.max_ahead, Duration::from_secs(86_400));
    assert_eq!(settings.max_in_flight, 500_000);
    assert!(!settings.allow_missing_topics);
    assert_eq!(settings.on_expired, OnExpired::Error);
    assert_eq!(settings.http, Http::Default);
    assert_eq!(settings.log.as_str(), "info");
    assert!(settings.warnings.is_empty());
}

#[test]
fn workers_share_what_is_in_flight() {
    let in_flight = |args: &[&str]| {
        let mongodb = ["--brokers", "k:1", "--mongodb-uri", "mongodb://db/"];
        settings(&[&mongodb[..], args].concat(), &[]).max_in_flight
    };
    assert_eq!(in_flight(&[]), 2_000_000);
    assert_eq!(in_flight(&["-w", "2"]), 1_000_000);
    assert_eq!(in_flight(&["-w", "2", "-n", "3"]), 500_000);
    assert_eq!(in_flight(&["-w", "8"]), 500_000);
    assert_eq!(in_flight(&["-w", "8", "--max-in-flight", "7"]), 7);
}

#[test]
fn flags_win_over_environment_wins_over_file() {
    let (_file, path) = file("workers = 2\nprocesses = 3\nepoch = '1s'\nbrokers = 'k:9092'\n");
    let env = [
        ("TIDEMARK_WORKERS", "4"),
        ("TIDEMARK_PROCESSES", "5"),
        ("TIDEMARK_SEED", ""),
    ];
    let settings = settings(&["--config", &path, "-w", "6"], &env);
    assert_eq!(settings.workers, 6);
    assert_eq!(settings.processes, 5);
    assert_eq!(settings.epoch, Duration::from_secs(1));
}

#[test]
fn every_flag_is_also_a_variable() {
    let env = [
        ("TIDEMARK_BROKERS", "a:1,b:2"),
        ("TIDEMARK_MONGODB_URI", "mongodb://db/"),
        ("TIDEMARK_DATABASE", "123"),
        ("TIDEMARK_UNTIL_CAUGHT_UP", "true"),
        ("TIDEMARK_ALLOW_MISSING_TOPICS", "true"),
        ("TIDEMARK_ON_EXPIRED", "skip"),
        ("TIDEMARK_HTTP", "off"),
        ("TIDEMARK_KAFKA_SASL_PASSWORD", "hunter2"),
        // As Kubernetes sets for a service of this name.
        ("TIDEMARK_KAFKA_SERVICE_HOST", "10.0.0.1"),
        ("TIDEMARK_KAFKA_PORT", "tcp://10.0.0.1:9092"),
        ("TIDEMARK_KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1"),
        ("TIDEMARK_LOG", "warn"),
    ];
    let settings = settings(&[], &env);
    let Source::Kafka {
        brokers,
        properties,
    } = &settings.source
    else {
        panic!("{:?}", settings.source)
    };
    assert_eq!(brokers, "a:1,b:2");
    assert_eq!(properties["sasl.password"].expose(), "hunter2");
    assert_eq!(properties.len(), 1, "{properties:?}");
    let Store::Mongodb { database, .. } = &settings.store else {
        panic!("{:?}", settings.store)
    };
    assert_eq!(database, "123");
    assert!(settings.until_caught_up);
    assert!(settings.allow_missing_topics);
    assert_eq!(settings.on_expired, OnExpired::Skip);
    assert_eq!(settings.http, Http::Off);
    assert_eq!(settings.log.as_str(), "warn");
}

#[test]
fn the_file_has_views_and_properties() {
    let (_file, path) = file(
        "brokers = 'k:9092'\n\
         [kafka]\nsecurity.protocol = 'SSL'\n'fetch.wait.max.ms' = 20\n\
         [views.sales_analysis]\nwindow = '30m'\ntime = 'date_time'\nlateness = 'forever'\n\
         group_index = true\n\
         [views.log_analysis]\nlateness = '3h'\n",
    );
    let args = ["--config", &path, "-X", "security.protocol=PLAINTEXT"];
    let settings = settings(&args, &[]);
    let Source::Kafka { properties, .. } = &settings.source else {
        panic!("{:?}", settings.source)
    };
    assert_eq!(properties["security.protocol"].expose(), "PLAINTEXT");
    assert_eq!(properties["fetch.wait.max.ms"].expose(), "20");
    let sales = ViewOverride {
        window: Some(Duration::from_secs(1800)),
        time: Some("date_time".to_owned()),
        lateness: Some(Lateness::Forever),
        group_index: Some(true),
    };
    assert_eq!(settings.views["sales_analysis"], sales);
    let three_hours = Lateness::Within(Duration::from_secs(3 * 3600));
    assert_eq!(settings.views["log_analysis"].lateness, Some(three_hours));
    assert_eq!(settings.views["log_analysis"].window, None);
}

#[test]
fn dead_letters_are_limited_by_a_number_or_a_share_in_any_layer() {
    let (_file, path) = file("max_dead_letters = 100\n");
    let limit = |args: &[&str], env: &[(&str, &str)]| settings(args, env).max_dead_letters;
    let share = [("TIDEMARK_MAX_DEAD_LETTERS", "0.5%")];
    assert_eq!(limit(&[], &[]), None);
    assert_eq!(limit(&["--config", &path], &[]), Some(Limit::Letters(100)));
    let from_environment = limit(&["--config", &path], &share);
    assert_eq!(from_environment, Some(Limit::Millionths(5_000)));
    let flag = ["--config", &path, "--max-dead-letters", "0"];
    assert_eq!(limit(&flag, &share), Some(Limit::Letters(0)));
}

#[test]
fn a_store_hides_those_of_lower_layers() {
    let (_file, path) = file("brokers = 'k:1'\nmongodb_uri = 'mongodb://file/'\n");
    let from_file = settings(&["--config", &path], &[]);
    assert!(matches!(from_file.store, Store::Mongodb { .. }));
    let env = [("TIDEMARK_MONGODB_URI", "mongodb://env/")];
    let flagged = settings(&["--config", &path, "--sqlite", "x.sqlite"], &env);
    let sqlite = Store::Sqlite {
        path: "x.sqlite".into(),
        temporary: false,
    };
    assert_eq!(flagged.store, sqlite);
}

#[test]
fn the_path_of_the_uri_names_the_database_unless_it_is_named_by_itself() {
    let (_file, named) = file("database = 'of_file'\n");
    let (_uri, in_file) = file("mongodb://ann:hunter2@db/of_uri_file?authSource=admin\n");
    let path = "mongodb://ann:hunter2@a:1,b:2/shop?authSource=admin&replicaSet=rs0";
    let env = [("TIDEMARK_DATABASE", "of_env")];
    for (args, env, expected) in [
        (&["--mongodb-uri", path][..], &[][..], "shop"),
        (&["--mongodb-uri-file", &in_file], &[], "of_uri_file"),
        (&["--mongodb-uri", path, "--database", "flag"], &env, "flag"),
        (&["--mongodb-uri", path], &env, "of_env"),
        (&["--mongodb-uri", path, "--config", &named], &[], "of_file"),
        (
            &["--mongodb-uri", "mongodb://db/"],
            &[],
            "ecommerce_website",
        ),
        (
            &["--mongodb-uri", "mongodb://db/admin"],
            &[],
            "ecommerce_website",
        ),
        (
            &["--mongodb-uri", "mongodb+srv://db.example.net/shop"],
            &[],
            "shop",
        ),
    ] {
        let settings = settings(&[&["--brokers", "k:1"], args].concat(), env);
        let Store::Mongodb { database, .. } = &settings.store else {
            panic!("{:?}", settings.store)
        };
        assert_eq!(database, expected, "{args:?}");
    }
}

#[test]
fn the_uri_may_be_in_a_file_of_its_own() {
    let (_file, path) = file("mongodb://ann:hunter2@db/\n");
    let settings = settings(&["--brokers", "k:1", "--mongodb-uri-file", &path], &[]);
    let Store::Mongodb { uri, .. } = &settings.store else {
        panic!("{:?}", settings.store)
    };
    assert_eq!(uri.expose(), "mongodb://ann:hunter2@db/");
}

#[test]
fn h_is_the_hostfile() {
    let (_file, path) = file("one:2101\ntwo:2101\n\n");
    let args = [
        "-n",
        "2",
        "-p",
        "1",
        "-w",
        "3",
        "-h",
        &path,
        "--brokers",
        "k:1",
    ];
    let settings = settings(
        &[&args[..], &["--mongodb-uri", "mongodb://db/"]].concat(),
        &[],
    );
    assert_eq!(settings.addresses, ["one:2101", "two:2101"]);
    let place = settings.place();
    assert_eq!((place.workers, place.process), (3, 1));
    assert_eq!(place.addresses, settings.addresses);
}

#[test]
fn other_processes_are_waited_for_without_end_unless_it_is_said() {
    let patience = settings(&[], &[]).patience();
    assert_eq!(patience.start, None);
    assert_eq!(patience.silence, Duration::from_secs(5));
    let args = ["--connect-timeout", "7s", "--peer-timeout", "2s"];
    let patience = settings(&args, &[]).patience();
    assert_eq!(patience.start, Some(Duration::from_secs(7)));
    assert_eq!(patience.silence, Duration::from_secs(2));
    let told = error(&["--peer-timeout", "900ms"], &[]);
    assert!(
        told.starts_with("--peer-timeout: it takes at least 1s"),
        "{told}"
    );
}

#[test]
fn help_is_help_only() {
    for args in [&["--help"][..], &["views", "--help"]] {
        let Err(ConfigError::Usage(help)) = load_with(args, &[]) else {
            panic!("no help")
        };
        assert_eq!(help.exit_code(), 0);
    }
    let (_file, path) = file("workers = 2\n");
    assert!(matches!(
        load_with(&["views", "--config", &path], &[]),
        Ok(Command::Views(_))
    ));
}

#[test]
fn nothing_shows_a_secret() {
    let args = ["--brokers", "k:1", "-X", "sasl.password=hunter2"];
    let args = [&args[..], &["--mongodb-uri", "mongodb://ann:hunter2@db/"]].concat();
    let shown = format!("{:?}", settings(&args, &[]));
    assert!(!shown.contains("hunter2"), "{shown}");

    let (_file, path) = file("mongodb_uri = 'mongodb://ann:hunter2@db/\nworkers = 1\n");
    let shown = error(&["--config", &path], &[]);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.starts_with(&format!("{path}, line 1: not TOML")),
        "{shown}"
    );

    let shown = error(&["--mongodb-uri", "postgres://ann:hunter2@db/"], &[]);
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn an_error_in_the_file_names_file_key_and_what_it_takes() {
    let cases = [
        (
            "wokers = 2",
            "wokers: no such setting, did you mean workers?",
        ),
        (
            "zzz = 2",
            "zzz: no such setting; there are workers, processes,",
        ),
        (
            "workers = 'many'",
            "workers: \"many\": it takes a whole number of at least 1",
        ),
        (
            "workers = 0",
            "workers: \"0\": it takes a whole number of at least 1",
        ),
        (
            "workers = [1]",
            "workers: it takes a whole number of at least 1, and this is a sequence",
        ),
        (
            "epoch = 5",
            "epoch: \"5\": it takes a length of time of at least 1ms, such as 100ms, 2h or 1d",
        ),
        (
            "http = 'here'",
            "http: \"here\": it takes an address such as",
        ),
        (
            "[views.sales]",
            "views.sales: no such view, did you mean sales_analysis?",
        ),
        (
            "[views.zzz]",
            "views.zzz: no such view; there are sales_analysis, log_analysis",
        ),
        (
            "[views.sales_analysis]\nwidow = '1h'",
            "views.sales_analysis.widow: no such setting, did you mean window?",
        ),
        (
            "[views.sales_analysis]\ntime = 'timestamp'",
            "views.sales_analysis.time: \"timestamp\": it takes kafka or date_time",
        ),
        (
            "[views.sales_analysis]\nlateness = 'never'",
            "views.sales_analysis.lateness: \"never\": it takes a length of time such as 90s, 2h or 1d, or \"forever\"",
        ),
        (
            "[kafka]\ndebug = ['all']",
            "kafka.debug: it takes a text, and this is a sequence",
        ),
        ("kafka = 5", "kafka: it takes a map, and this is a"),
    ];
    for (text, expected) in cases {
        let (_file, path) = file(text);
        let error = error(&["--config", &path], &[]);
        assert!(
            error.starts_with(&format!("{path}: {expected}")),
            "{text}: {error}"
        );
    }
}

#[test]
fn an_error_elsewhere_names_the_variable_or_the_flag() {
    let (_hosts, hosts) = file("one:1\n");
    let (_bad, bad) = file("one\n");
    let (_two, two) = file("one:1\ntwo:1\n");
    let k = ["--brokers", "k:1"];
    let with = |args: &[&'static str]| [&k[..], args].concat();
    let hostfile = |file| [&k[..], &["-n", "2", "-h", file]].concat();
    type Case<'a> = (Vec<&'a str>, &'a [(&'a str, &'a str)], &'a str);
    let cases: Vec<Case<'_>> = vec![
        (
            vec![],
            &[("TIDEMARK_RATE", "fast")],
            "TIDEMARK_RATE: \"fast\": it takes a whole number of at least 1",
        ),
        (
            vec!["-p", "1"],
            &[],
            "--process: 1: with one process it takes 0;",
        ),
        (
            with(&["-n", "2", "-p", "2"]),
            &[],
            "--process: 2: with 2 processes it takes 0 to 1",
        ),
        (
            vec!["-n", "2"],
            &[],
            "--processes: 2: the generated shop is one process's own",
        ),
        (
            vec![],
            &[("TIDEMARK_PROCESSES", "2")],
            "TIDEMARK_PROCESSES: 2: the generated shop",
        ),
        (hostfile(&hosts), &[], "--hostfile: "),
        (hostfile(&bad), &[], "--hostfile: "),
        (
            hostfile(&two),
            &[],
            "--hostfile: several machines cannot share an SQLite file; give --mongodb-uri",
        ),
        (
            hostfile("/no/such"),
            &[],
            "--hostfile: /no/such cannot be read: ",
        ),
        (
            vec!["--config", "/no/such"],
            &[],
            "--config: /no/such cannot be read: ",
        ),
        (
            vec!["-X", "debug=all"],
            &[],
            "debug: a librdkafka property is of use with a real Kafka only",
        ),
        (
            with(&["-X", "bootstrap.servers=k"]),
            &[],
            "bootstrap.servers: ",
        ),
        (
            vec!["--brokers", "a,,b"],
            &[],
            "--brokers: \"a,,b\": it takes HOST:PORT",
        ),
        (
            vec!["--mongodb-uri", "x"],
            &[],
            "--mongodb-uri: it takes a URI that begins with mongodb://",
        ),
        (
            vec!["--mongodb-uri", "mongodb://d/", "--sqlite", "x"],
            &[],
            "--sqlite: rows go to one place; leave out this or --mongodb-uri",
        ),
        (
            vec!["--mongodb-uri", "mongodb://d/", "--database", "a.b"],
            &[],
            "--database: \"a.b\": it takes a name without space",
        ),
        (
            vec!["--mongodb-uri", "mongodb://d/a.b"],
            &[],
            "--mongodb-uri: \"a.b\": it takes a name without space",
        ),
        (
            vec!["--mongodb-uri", "mongodb://d/", "--database", "admin"],
            &[],
            "--database: \"admin\" is a database of the server itself",
        ),
        (
            vec!["--mongodb-uri", "mongodb://d/local"],
            &[],
            "--mongodb-uri: \"local\" is a database of the server itself",
        ),
        (
            vec!["--mongodb-uri", "mongodb://d/"],
            &[("TIDEMARK_BROKERS", "")],
            "--mongodb-uri: without --brokers events are made up",
        ),
        (
            vec!["--until-caught-up"],
            &[],
            "--until-caught-up: the generated shop never ends",
        ),
    ];
    for (args, env, expected) in cases {
        let error = error(&args, env);
        assert!(error.starts_with(expected), "{args:?}: {error}");
    }
    assert!(error(&hostfile(&hosts), &[]).contains("has 1 addresses and --processes is 2"));
    assert!(error(&hostfile(&bad), &[]).contains("\"one\": a line takes HOST:PORT"));
}

#[test]
fn a_wrong_flag_is_wrong_usage() {
    for (args, expected) in [
        (&["--epoch", "banana"][..], "it takes a length of time"),
        (&["-w", "0"], "it takes a whole number of at least 1"),
        (&["-X", "debug"], "it takes KEY=VALUE"),
        (&["--log", "info,=="], "it takes off, error"),
        (&["--wokers", "1"], "--workers"),
    ] {
        let Err(ConfigError::Usage(usage)) = load_with(args, &[]) else {
            panic!("{args:?} is valid")
        };
        assert_eq!(usage.exit_code(), 2);
        assert!(usage.to_string().contains(expected), "{usage}");
    }
}

#[test]
fn what_does_nothing_is_said() {
    let env = [
        ("TIDEMARK_BROKER", "k:1"),
        ("TIDEMARK_SERVICE_HOST", "10.0.0.1"),
    ];
    let args = ["--database", "x", "--allow-missing-topics"];
    let warnings = settings(&args, &env).warnings;
    assert_eq!(
        warnings,
        [
            "TIDEMARK_BROKER is no setting: did you mean TIDEMARK_BROKERS?",
            "--allow-missing-topics does nothing here: the generated shop has all topics",
            "--database does nothing here: rows go to an SQLite file",
        ]
    );
}
