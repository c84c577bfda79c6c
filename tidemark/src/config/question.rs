//! What a running pipeline is asked, and where it is.

use super::{ConfigError, Http, Secret, cli, http, layers::Layers, text::FromText as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use url::Url;

/// Where a pipeline serves that was not told where: if it found that port free.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Why is a window still open?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Name of the view. Whether there is one, the pipeline knows.
    pub view: String,
    /// The start of the window, as it was given, or `latest`.
    pub window: String,
    /// Whom to ask.
    pub at: Endpoint,
}

/// Where a pipeline serves HTTP, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address as `http://HOST:PORT` or `https://HOST:PORT`.
    pub url: String,
    /// The token it asks for.
    pub token: Option<Secret>,
    /// Who has signed its certificate, in PEM; `None`: somebody whom the system trusts.
    pub ca: Option<PathBuf>,
    /// A certificate to show, and its private key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Endpoint {
    /// One that asks nobody who is there.
    pub fn open(url: String) -> Endpoint {
        Endpoint {
            url,
            token: None,
            ca: None,
            identity: None,
        }
    }
}

impl Question {
    /// Of the settings, it is the pipeline's own that say where it is. All others are not
    /// looked at: they are of the pipeline, and need not be right where it is only asked.
    pub(super) fn new(
        view: String,
        window: String,
        given: cli::Asking,
        layers: &Layers,
    ) -> Result<Question, ConfigError> {
        let identity = match (given.http_client_cert, given.http_client_key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                let takes = "a certificate to show and its key go together; give both";
                return Err(ConfigError::setting(
                    "--http-client-cert, --http-client-key",
                    takes,
                ));
            }
        };
        let is_secure = given.http_ca.is_some() || identity.is_some();
        Ok(Question {
            view,
            window,
            at: Endpoint {
                url: url(given.http, is_secure, layers)?,
                token: http::token(&layers.options, layers)?,
                ca: given.http_ca,
                identity,
            },
        })
    }
}

/// The address that was given; else that of the pipeline's settings. Where nothing says
/// otherwise it is HTTPS if certificates are spoken of: no token goes out in clear then.
fn url(given: Option<String>, is_secure: bool, layers: &Layers) -> Result<String, ConfigError> {
    let scheme = match is_secure || layers.options.http_tls_cert.is_some() {
        true => "https",
        false => "http",
    };
    let Some(text) = given else {
        let http = layers.options.http.as_ref();
        let http = http.map_or_else(Http::default, |http| http.value);
        let off = "off: a pipeline is asked by HTTP; it takes the address where it serves";
        let address = address(http).ok_or_else(|| layers.error("http", off))?;
        return Ok(format!("{scheme}://{address}"));
    };
    if let Some(address) = Http::from_text(&text).and_then(address) {
        return Ok(format!("{scheme}://{address}"));
    }
    let parsed = Url::parse(&text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    });
    match parsed {
        Some(url) if is_secure && url.scheme() == "http" => Err(ConfigError::setting(
            "--http",
            format!("{text}: certificates are of HTTPS; it takes https://"),
        )),
        Some(url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
        None => Err(ConfigError::setting(
            "--http",
            format!(
                "{text:?}: it takes an address such as 127.0.0.1:8080, a port of this machine \
                 such as 8080, or a URL such as https://tidemark.example:8443"
            ),
        )),
    }
}

/// A pipeline may serve on all addresses of its machine; one is enough to ask.
fn address(http: Http) -> Option<SocketAddr> {
    let mut address = match http {
        Http::Default => USUAL,
        Http::At(address) => address,
        Http::Off => return None,
    };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Some(address)
}
