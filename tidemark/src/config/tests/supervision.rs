//! What a supervisor makes of its command line, and its processes of theirs.

use super::*;
use std::path::Path;

const RUN: [&str; 4] = ["--brokers", "k:1", "--mongodb-uri", "mongodb://db/"];

fn supervision(own: &[&str], run: &[&str]) -> Supervision {
    let args = [&["supervise"], own, &["--"], &RUN[..], run].concat();
    match load_with(&args, &[]) {
        Ok(Command::Supervise(supervision)) => supervision,
        Ok(other) => panic!("no supervision: {other:?}"),
        Err(error) => panic!("{error}"),
    }
}

/// The settings of one of its processes.
fn process(supervision: &Supervision, number: usize) -> Settings {
    let arguments = supervision.arguments(number, None, false);
    let arguments: Vec<_> = arguments
        .iter()
        .map(|text| text.to_str().unwrap())
        .collect();
    settings(&arguments, &[])
}

#[test]
fn each_process_is_told_its_place() {
    let three = supervision(
        &["-n", "3", "-w", "2", "--max-failures", "9"],
        &["--epoch", "1s"],
    );
    assert_eq!((three.processes, three.max_failures), (3, 9));
    for number in 0..3 {
        let settings = process(&three, number);
        let place = (settings.processes, settings.process, settings.workers);
        assert_eq!(place, (3, number, 2));
        assert_eq!(settings.epoch, Duration::from_secs(1));
        assert!(settings.supervised);
        assert_eq!(settings.status, Status::Off);
    }
    let arguments = three.arguments(1, Some(Path::new("hosts")), false);
    assert!(arguments.windows(2).any(|pair| pair == ["-h", "hosts"]));
}

#[test]
fn a_view_is_reset_by_the_first_start_alone() {
    let one = supervision(&[], &["--reset-view", "sales_analysis"]);
    let reset = |restarted| {
        let arguments = one.arguments(0, None, restarted);
        let arguments = arguments.iter().map(|text| text.to_str().unwrap());
        let environment = [("TIDEMARK_RESET_VIEW", "log_analysis")];
        let given = settings(&arguments.collect::<Vec<_>>(), &environment).reset_views;
        Vec::from_iter(given)
    };
    assert_eq!(reset(false), ["sales_analysis"]);
    assert_eq!(reset(true), [""; 0]);
}

#[test]
fn one_process_alone_keeps_its_status() {
    let one = supervision(&[], &[]);
    assert_eq!((one.processes, one.max_failures), (1, 5));
    assert_eq!(process(&one, 0).status, Status::Auto);
}

#[test]
fn process_0_serves_and_the_others_where_they_are_asked_to() {
    let at = |port| Http::At(format!("127.0.0.1:{port}").parse().unwrap());
    let http = |own: &[&str], run: &[&str]| {
        let two = supervision(&[&["-n", "2"], own].concat(), run);
        [process(&two, 0).http, process(&two, 1).http]
    };
    assert_eq!(http(&[], &[]), [Http::Default, Http::Off]);
    assert_eq!(http(&[], &["--http", "9000"]), [at(9000), Http::Off]);
    assert_eq!(
        http(&["--http-all"], &["--http", "9000"]),
        [at(9000), at(9001)]
    );
    assert_eq!(http(&["--http-all"], &[]), [Http::Default, Http::Default]);
    let args = [
        "supervise",
        "-n",
        "2",
        "--http-all",
        "--",
        "--http",
        "65535",
    ];
    let told = error(&[&args[..], &RUN].concat(), &[]);
    assert!(
        told.starts_with("--http: --http-all takes a port"),
        "{told}"
    );
}

#[test]
fn what_is_wrong_with_the_processes_is_wrong_with_the_supervisor() {
    for (args, named) in [
        (&["supervise", "--", "--no-such-flag"][..], "--no-such-flag"),
        (&["supervise", "--", "views"], "no other command"),
        (&["supervise", "-n", "2", "--", "-n", "3"], "--processes"),
        (&["supervise", "-n", "2"], "give --brokers"),
        (&["supervise", "--max-failures", "0"], "at least 1"),
        (&["supervise", "--brokers", "k:1"], "--brokers"),
    ] {
        let told = error(args, &[]);
        assert!(told.contains(named), "{args:?}: {told}");
    }
}
