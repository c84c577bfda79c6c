//! The commands that look into a checkpoint: what they say, how they end.

use end_to_end::Process;
use end_to_end::pipeline::PATIENCE;
use std::fs;
use std::path::Path;

/// Exit code and output of a command about the checkpoint at a place.
fn asked(name: &str, command: &[&str], url: &str) -> (Option<i32>, String) {
    let words = ["checkpoint"].iter().chain(command).chain([&url]);
    let arguments: Vec<_> = words.map(ToString::to_string).collect();
    let mut process = Process::start("tidemark", name, &arguments, &[]);
    (process.exit_code(PATIENCE), process.output())
}

#[test]
fn an_object_store_that_is_away_ends_with_1_and_says_which() {
    let arguments = ["checkpoint", "verify", "s3://shop/some/folder"].map(str::to_owned);
    let environment = [
        ("AWS_ACCESS_KEY_ID", "someone"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2secret"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT", "http://127.0.0.1:1"),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    let mut process = Process::start("tidemark", "away", &arguments, &environment);
    assert_eq!(process.exit_code(PATIENCE), Some(1), "{}", process.output());
    let output = process.output();
    assert!(
        output.contains("s3://shop/some/folder/manifests"),
        "{output}"
    );
    assert!(output.contains("127.0.0.1:1"), "{output}");
    assert!(!output.contains("hunter2secret"), "{output}");
}

/// A text as a path is given.
fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

const COMMANDS: [&[&str]; 3] = [&["inspect"], &["inspect", "--json"], &["verify"]];

#[test]
fn where_there_is_none_it_ends_with_1_and_makes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let nowhere = directory.path().join("nowhere");
    for command in COMMANDS {
        for place in [directory.path(), &nowhere] {
            let (code, output) = asked("no-checkpoint", command, text(place));
            assert_eq!(code, Some(1), "{output}");
            let said = format!("checkpoint {}: there is none", text(place));
            assert!(output.contains(&said), "{output}");
        }
    }
    let entries = fs::read_dir(directory.path()).expect("the directory");
    assert_eq!(entries.count(), 0);
}

#[test]
fn a_place_for_none_ends_with_2_and_says_what_it_takes() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("a file");
    for (url, said) in [
        (text(&file), "it is a file and not a directory"),
        ("ftp://host/x", "ftp:// is not known"),
        ("s3://ann:hunter2@bucket/x", "no credentials in the URL"),
    ] {
        for command in COMMANDS {
            let (code, output) = asked("no-place", command, url);
            assert_eq!(code, Some(2), "{url}: {output}");
            assert!(output.contains(said), "{output}");
            assert!(!output.contains("hunter2"), "{output}");
        }
    }
}

#[test]
fn one_that_cannot_be_read_ends_with_1_and_is_never_taken_for_none() {
    for (manifest, said) in [
        ("", "is damaged: it is no manifest"),
        (
            "{\"format\":9}",
            "has format 9, and this program reads format 3: run the version",
        ),
        (
            "{\"format\":1}",
            "has format 1, and this program reads format 3: it was written by an earlier version",
        ),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let folder = directory.path().join("manifests");
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("00000000000000000018.json"), manifest).expect("a manifest");
        for command in COMMANDS {
            let (code, output) = asked("damaged", command, text(directory.path()));
            assert_eq!(code, Some(1), "{output}");
            assert!(
                output.contains("manifests/00000000000000000018.json"),
                "{output}"
            );
            assert!(output.contains(said), "{output}");
        }
    }
}
