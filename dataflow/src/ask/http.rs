//! One question by HTTP. The answer comes from a machine nearby, of a library that
//! the server is made of as well.

use axum::body::{Body, to_bytes};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A longer answer is none of a pipeline's.
const LONGEST: usize = 64 << 20;

/// The status and the body of what is at a path.
pub(super) fn get(address: SocketAddr, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let asking = async { tokio::time::timeout(PATIENCE, ask(address, path)).await };
    runtime.block_on(asking).unwrap_or_else(|_| {
        let slow = format!("no answer within {} s", PATIENCE.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, slow))
    })
}

async fn ask(address: SocketAddr, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let stream = TcpStream::connect(address).await?;
    let (mut asking, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // It ends with the runtime, or tells the request what is wrong with it.
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header(CONNECTION, "close")
        .body(Body::empty())
        .map_err(io::Error::other)?;
    let answer = asking
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    let status = answer.status().as_u16();
    let body = to_bytes(Body::new(answer.into_body()), LONGEST)
        .await
        .map_err(io::Error::other)?;
    Ok((status, body.to_vec()))
}

/// A text as one segment of a path.
pub(super) fn escape(text: &str) -> String {
    let form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    // A + is a space in a form, and a + in a path.
    form.replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn any_text_is_one_segment() {
        assert_eq!(escape("2024-11-02 13:00+01"), "2024-11-02%2013%3A00%2B01");
        assert_eq!(escape("a/b?c#d%"), "a%2Fb%3Fc%23d%25");
    }

    #[test]
    fn what_is_no_http_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let other = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut asked = [0; 3];
            client.read_exact(&mut asked).unwrap();
            client.write_all(b"220 mail ready\r\n").unwrap();
            asked
        });
        assert!(get(address, "/").is_err());
        assert_eq!(&other.join().unwrap(), b"GET");
    }
}
