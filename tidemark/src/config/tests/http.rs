//! To whom HTTP is served.

use super::*;

const TOKEN: &str = "a-token-of-a-good-length";

#[test]
fn other_machines_are_served_only_when_it_is_said_how() {
    let (_token, token) = file(&format!("{TOKEN}\n"));
    let open = ["--http", "0.0.0.0:8080"];
    let with = |more: &[&str]| settings(&[&open[..], more].concat(), &[]).http_access;
    let said = error(&open, &[]);
    assert!(
        said.starts_with("--http: other machines reach this address: give --http-token-file"),
        "{said}"
    );
    let everybody = with(&["--http-unauthenticated"]);
    assert!(everybody.unauthenticated && everybody.token.is_none());
    let asks = with(&["--http-token-file", &token]);
    assert_eq!(asks.token, Some(Secret::new(TOKEN)));
    let certificate = ["--http-tls-cert", "cert.pem", "--http-tls-key", "key.pem"];
    let encrypted = error(&[&open[..], &certificate].concat(), &[]);
    assert!(encrypted.contains("--http-client-ca"), "{encrypted}");
    let mutual = with(&[&certificate[..], &["--http-client-ca", "ca.pem"]].concat());
    let tls = mutual.tls.expect("certificates");
    assert_eq!(tls.client_ca, Some("ca.pem".into()));
    // This machine's own need nothing, and may be asked too.
    assert_eq!(settings(&[], &[]).http_access, HttpAccess::default());
    let env = [("TIDEMARK_HTTP_TOKEN_FILE", token.as_str())];
    assert!(
        settings(&["--http", "[::1]:80"], &env)
            .http_access
            .token
            .is_some()
    );
}

#[test]
fn settings_of_http_that_do_not_go_together_are_named() {
    let (_token, token) = file(TOKEN);
    let (_short, short) = file("secret");
    let (_spaces, spaces) = file("a token with spaces in it");
    for (args, starts) in [
        (
            &["--http-tls-cert", "c"][..],
            "--http-tls-cert: the certificate's private key",
        ),
        (
            &["--http-tls-key", "k"],
            "--http-tls-key: the certificate of this key",
        ),
        (
            &["--http-client-ca", "a"],
            "--http-client-ca: clients show a certificate only",
        ),
        (
            &["--http-token-file", "/none/there"],
            "--http-token-file: /none/there cannot be read",
        ),
        (
            &["--http-token-file", &token, "--http-unauthenticated"],
            "--http-unauthenticated: clients are asked for what --http-token-file says",
        ),
    ] {
        let said = error(args, &[]);
        assert!(said.starts_with(starts), "{said}");
    }
    for file in [&short, &spaces] {
        let said = error(&["--http-token-file", file], &[]);
        assert!(
            said.contains("it takes a file with 16 or more letters"),
            "{said}"
        );
        assert!(
            !said.contains("secret") && !said.contains("spaces in it"),
            "{said}"
        );
    }
}

#[test]
fn a_token_that_anyone_on_the_way_can_read_is_warned_of() {
    let (_token, token) = file(TOKEN);
    let open = ["--http", "10.0.0.1:80", "--http-token-file", &token];
    let warnings = settings(&open, &[]).warnings;
    assert!(
        warnings[0].contains("goes over the network in clear"),
        "{warnings:?}"
    );
    let local = settings(&["--http-token-file", &token], &[]);
    assert_eq!(local.warnings, Vec::<String>::new());
    let off = settings(&["--http", "off", "--http-token-file", &token], &[]);
    assert_eq!(
        off.warnings,
        ["--http-token-file does nothing here: no HTTP is served"]
    );
}
