//! What is asked of a running pipeline, and where.

use super::*;

/// The question that is asked with these arguments.
fn why(args: &[&str], env: &[(&str, &str)]) -> Question {
    match load_with(&[&["why", "sales_analysis", "latest"], args].concat(), env) {
        Ok(Command::Why(question)) => question,
        Ok(other) => panic!("not a question: {other:?}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_question_goes_where_the_pipeline_serves() {
    let asked = why(&[], &[]);
    assert_eq!(
        (asked.view, asked.window),
        ("sales_analysis".to_owned(), "latest".to_owned())
    );
    assert_eq!(asked.at.url, "http://127.0.0.1:8080");
    let env = [("TIDEMARK_HTTP", "0.0.0.0:9000")];
    assert_eq!(why(&[], &env).at.url, "http://127.0.0.1:9000");
    assert_eq!(why(&["--http", "[::]:81"], &env).at.url, "http://[::1]:81");
    let (_file, path) = file("http = '10.0.0.1:80'\n");
    let asked = why(&["--config", &path], &[]);
    assert_eq!(asked.at.url, "http://10.0.0.1:80");
    // Settings of the pipeline that are not right here do not matter.
    why(
        &[],
        &[
            ("TIDEMARK_MONGODB_URI", "mongodb://db/"),
            ("TIDEMARK_PROCESS", "3"),
        ],
    );
}

#[test]
fn a_wrong_question_is_wrong_usage() {
    let question = ["why", "sales_analysis", "latest"];
    let said = error(&question, &[("TIDEMARK_HTTP", "off")]);
    assert!(
        said.starts_with("TIDEMARK_HTTP: off: a pipeline is asked by HTTP"),
        "{said}"
    );
    let here = [&question[..], &["--http", "here"]].concat();
    assert!(error(&here, &[]).contains("it takes an address such as"));
    for args in [&["why"][..], &["why", "sales_analysis"]] {
        let Err(ConfigError::Usage(usage)) = load_with(args, &[]) else {
            panic!("{args:?} is valid")
        };
        assert_eq!(usage.exit_code(), 2);
        assert!(usage.to_string().contains("<WINDOW>"), "{usage}");
    }
    let Err(ConfigError::Usage(help)) = load_with(&["why", "--help"], &[]) else {
        panic!("no help")
    };
    assert_eq!(help.exit_code(), 0);
    assert!(
        help.to_string()
            .contains("tidemark why sales_analysis latest"),
        "{help}"
    );
}

#[test]
fn a_pipeline_elsewhere_may_ask_who_is_there() {
    let (_token, token) = file("a-token-of-a-good-length");
    let asked = why(
        &[
            "--http",
            "https://shop.example:8443/",
            "--http-token-file",
            &token,
            "--http-ca",
            "ca.pem",
            "--http-client-cert",
            "me.pem",
            "--http-client-key",
            "me.key",
        ],
        &[],
    );
    assert_eq!(
        asked.at,
        Endpoint {
            url: "https://shop.example:8443".to_owned(),
            token: Some(Secret::new("a-token-of-a-good-length")),
            ca: Some("ca.pem".into()),
            identity: Some(("me.pem".into(), "me.key".into())),
        }
    );
    // The pipeline's own settings say it as well.
    let env = [
        ("TIDEMARK_HTTP", "10.0.0.1:80"),
        ("TIDEMARK_HTTP_TLS_CERT", "cert.pem"),
        ("TIDEMARK_HTTP_TOKEN_FILE", token.as_str()),
    ];
    let asked = why(&[], &env).at;
    assert_eq!(asked.url, "https://10.0.0.1:80");
    assert!(asked.token.is_some());
    let question = ["why", "sales_analysis", "latest"];
    let here = ["--http", "9000", "--http-ca", "ca.pem"];
    assert_eq!(why(&here, &[]).at.url, "https://127.0.0.1:9000");
    let clear = [
        &question[..],
        &["--http", "http://shop", "--http-ca", "ca.pem"],
    ]
    .concat();
    assert!(error(&clear, &[]).contains("it takes https://"));
    for wrong in [
        "ftp://shop",
        "https://ann:pw@shop",
        "https://shop/path",
        "https://shop/#x",
    ] {
        let said = error(&[&question[..], &["--http", wrong]].concat(), &[]);
        assert!(said.contains("or a URL such as"), "{said}");
    }
    let half = [&question[..], &["--http-client-cert", "me.pem"]].concat();
    assert!(error(&half, &[]).contains("give both"));
}
