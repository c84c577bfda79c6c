//! Where to listen.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use tracing::info;

use super::Http;
use super::ServeError;

/// The port that is tried first.
const FIRST_PORT: u16 = 8080;
/// The port that is tried last.
const LAST_PORT: u16 = FIRST_PORT + 99;

/// Listens where `http` says; `None` where it says `off`.
pub(super) fn listen(http: Http) -> Result<Option<TcpListener>, ServeError> {
    match http {
        Http::Off => Ok(None),
        Http::At(address) => bind(address).map(Some),
        Http::Default => next_free().map(Some),
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| ServeError::Listen { address, source })
}

/// Only this machine's own programs reach it, since nobody asked for more.
fn next_free() -> Result<TcpListener, ServeError> {
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for port in FIRST_PORT..=LAST_PORT {
        match bind(local(port)) {
            Ok(listener) => return Ok(listener),
            Err(ServeError::Listen { source, .. }) if source.kind() == ErrorKind::AddrInUse => {
                info!("port {port} is taken, trying the next one for HTTP");
            }
            Err(other) => return Err(other),
        }
    }
    bind(local(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_was_asked_for_and_is_taken_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen(Http::At(address)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("--http {address}: cannot listen there")));
    }

    #[test]
    fn by_default_the_next_free_port_of_this_machine_is_taken() {
        let one = listen(Http::Default).unwrap().unwrap();
        let two = listen(Http::Default).unwrap().unwrap();
        let (one, two) = (one.local_addr().unwrap(), two.local_addr().unwrap());
        assert_ne!(one, two);
        assert!(one.ip().is_loopback() && two.ip().is_loopback());
    }

    #[test]
    fn off_is_nowhere() {
        assert!(listen(Http::Off).unwrap().is_none());
    }
}
