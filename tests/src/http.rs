//! A GET, and nothing else of HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Status and body of `GET path` at `address` (`host:port`).
///
/// # Errors
/// When nobody answers, or not in HTTP.
pub fn get(address: &str, path: &str) -> Result<(u16, String), String> {
    let fault = |fault: std::io::Error| format!("{address}{path}: {fault}");
    let mut stream = TcpStream::connect(address).map_err(fault)?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .map_err(fault)?;
    // Version 1.0, so that the body ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").map_err(fault)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(fault)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("no HTTP: {answer}"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((
        status.ok_or_else(|| format!("no status: {head}"))?,
        body.to_owned(),
    ))
}

/// The body of a GET that must succeed, as JSON.
///
/// # Panics
/// When it does not succeed or is no JSON.
pub fn get_json(address: &str, path: &str) -> serde_json::Value {
    let (status, body) = get(address, path).expect("an HTTP answer");
    assert_eq!(status, 200, "GET {path}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|fault| panic!("GET {path}: {fault}: {body}"))
}
