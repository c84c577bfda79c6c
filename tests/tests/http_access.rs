//! HTTP that others than this machine's own programs may reach.

use end_to_end::pipeline::{PATIENCE, Pipeline};
use end_to_end::process::free_port;
use end_to_end::secured::{Authority, Signed};
use end_to_end::{Process, eventually};
use std::fs;
use std::path::Path;
use std::process::Command;

const TOKEN: &str = "a-token-of-a-good-length";

/// A pipeline of the built-in shop that serves at a port; HTTP is there at once.
fn serving(arguments: &[&str]) -> (Process, u16) {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut all = vec!["--http", &address, "--rate", "50"];
    all.extend(arguments);
    let all: Vec<_> = all.into_iter().map(ToOwned::to_owned).collect();
    let process = Process::start("tidemark", "http-access", &all, &[]);
    process.says("serving http", PATIENCE);
    (process, port)
}

/// The status of what curl is given: `000` where there was no answer.
fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "10", "--output", "/dev/null"])
        .args(["--write-out", "%{http_code}"])
        .args(arguments)
        .output()
        .expect("curl");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asks why a window is open; its exit code and all that it says.
fn why(arguments: &[&str]) -> (Option<i32>, String) {
    let mut all = vec!["why", "log_analysis", "latest"];
    all.extend(arguments);
    let all: Vec<_> = all.into_iter().map(ToOwned::to_owned).collect();
    let mut asking = Process::start("tidemark", "why", &all, &[]);
    let code = asking.exit_code(PATIENCE);
    (code, asking.output())
}

/// Asks until it is answered: the first rows have to come.
fn answered(arguments: &[&str]) {
    eventually("it is answered", PATIENCE, || match why(arguments) {
        (Some(0), said) => {
            assert!(said.contains("log_analysis, window"), "{said}");
            Ok(())
        }
        other => Err(format!("{other:?}")),
    });
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

#[test]
fn a_token_opens_it() {
    let folder = tempfile::TempDir::new().expect("a directory");
    let token = folder.path().join("token");
    fs::write(&token, format!("{TOKEN}\n")).expect("it is written");
    let (_process, port) = serving(&["--http-token-file", text(&token)]);
    let url = format!("http://127.0.0.1:{port}");
    let page = format!("{url}/pipeline");
    assert_eq!(curl(&[&page]), "401");
    assert_eq!(curl(&[&page, "--user", "anyone:wrong"]), "401");
    assert_eq!(curl(&[&page, "--user", &format!("anyone:{TOKEN}")]), "200");
    let bearer = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(curl(&[&page, "--header", &bearer]), "200");
    assert_eq!(curl(&[&format!("{url}/healthz")]), "200");
    let (code, said) = why(&["--http", &url]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--http-token-file FILE"), "{said}");
    answered(&["--http", &url, "--http-token-file", text(&token)]);
}

#[test]
fn a_certificate_is_shown_and_asked_for() {
    let authority = Authority::new("the test's own");
    let stranger = Authority::new("a stranger");
    let own = authority.certificate();
    let Signed {
        certificate, key, ..
    } = authority.server(&["127.0.0.1"]);
    let me = authority.client("me");
    let other = stranger.client("me");
    let certificates = [
        "--http-tls-cert",
        text(&certificate),
        "--http-tls-key",
        text(&key),
    ];

    // Only encrypted.
    let (_process, port) = serving(&certificates);
    let url = format!("https://127.0.0.1:{port}");
    let page = format!("{url}/pipeline");
    assert_eq!(curl(&[&page, "--cacert", text(&own)]), "200");
    assert_eq!(
        curl(&[&page, "--cacert", text(&own), "--tls-max", "1.1"]),
        "000"
    );
    assert_eq!(
        curl(&[&page, "--cacert", text(&stranger.certificate())]),
        "000"
    );
    assert_eq!(curl(&[&page.replace("https", "http")]), "000");
    answered(&["--http", &url, "--http-ca", text(&own)]);
    let (code, said) = why(&["--http", &url]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("UnknownIssuer") || said.contains("certificate"),
        "{said}"
    );

    // And only for those with a certificate.
    let mutual = [&certificates[..], &["--http-client-ca", text(&own)]].concat();
    let (_process, port) = serving(&mutual);
    let url = format!("https://127.0.0.1:{port}");
    let page = format!("{url}/pipeline");
    let as_whom = |signed: &Signed| {
        let (certificate, key) = (text(&signed.certificate), text(&signed.key));
        curl(&[
            &page,
            "--cacert",
            text(&own),
            "--cert",
            certificate,
            "--key",
            key,
        ])
    };
    assert_eq!(as_whom(&me), "200");
    assert_eq!(as_whom(&other), "000");
    assert_eq!(curl(&[&page, "--cacert", text(&own)]), "000");
    let asking = ["--http", &url, "--http-ca", text(&own)];
    assert_eq!(why(&asking).0, Some(2));
    let identity = [
        "--http-client-cert",
        text(&me.certificate),
        "--http-client-key",
        text(&me.key),
    ];
    answered(&[&asking[..], &identity].concat());
}

#[test]
fn what_cannot_be_served_safely_is_not_served() {
    let folder = tempfile::TempDir::new().expect("a directory");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("it is written");
        path
    };
    let none = file("none.pem", "no certificate\n");
    let authority = Authority::new("the test's own");
    let one = authority.server(&["127.0.0.1"]);
    let two = authority.server(&["localhost"]);
    let cases: [(&[&str], &str); 4] = [
        (
            &["--http", "0.0.0.0:0"],
            "--http: other machines reach this address",
        ),
        (
            &[
                "--http-tls-cert",
                text(&none),
                "--http-tls-key",
                text(&one.key),
            ],
            "there is no certificate in it",
        ),
        (
            &[
                "--http-tls-cert",
                text(&one.certificate),
                "--http-tls-key",
                text(&two.key),
            ],
            "--http-tls-key",
        ),
        (
            &[
                "--http-tls-cert",
                "/none/there",
                "--http-tls-key",
                text(&one.key),
            ],
            "/none/there",
        ),
    ];
    for (arguments, part) in cases {
        let mut pipeline = Pipeline::bare("unserved");
        for word in arguments {
            pipeline = pipeline.switch(word);
        }
        let mut run = pipeline.start();
        let code = run.process().exit_code(PATIENCE);
        let output = run.process().output();
        assert_eq!(code, Some(2), "{output}");
        assert!(output.contains(part), "{part:?} is not in:\n{output}");
    }
}
