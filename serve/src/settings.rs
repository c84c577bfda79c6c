//! Where HTTP is served, and to whom.

use model::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where HTTP is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Http {
    /// On 127.0.0.1:8080 or, where that is taken, on the next free port.
    #[default]
    Default,
    /// Here and nowhere else.
    At(SocketAddr),
    /// Not at all.
    Off,
}

impl Http {
    /// Whether only programs of this machine reach it.
    pub fn is_local(self) -> bool {
        match self {
            Http::At(address) => address.ip().is_loopback(),
            Http::Default | Http::Off => true,
        }
    }
}

/// Who may read by HTTP, and how it is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpAccess {
    /// What a client has to know; `None`: nothing.
    pub token: Option<Secret>,
    /// What HTTPS is served with; `None`: HTTP, in clear.
    pub tls: Option<HttpTls>,
    /// Whether it was said that nobody is to be asked.
    pub unauthenticated: bool,
}

/// What HTTPS is served with: files in PEM, read at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTls {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of the clients; `None`: a client needs no certificate.
    pub client_ca: Option<PathBuf>,
}
