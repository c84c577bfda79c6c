//! What a running pipeline is asked, and where it is.

use super::{ConfigError, Http, layers::Layers};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where a pipeline serves that was not told where: if it found that port free.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Why is a window still open?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Name of the view. Whether there is one, the pipeline knows.
    pub view: String,
    /// The start of the window, as it was given, or `latest`.
    pub window: String,
    /// Where the pipeline serves HTTP.
    pub address: SocketAddr,
}

impl Question {
    /// Of the settings, it is the pipeline's own `http` that says where it is. All
    /// others are not looked at: they are of the pipeline, and need not be right
    /// where it is only asked.
    pub(super) fn new(
        view: String,
        window: String,
        layers: &Layers,
    ) -> Result<Question, ConfigError> {
        let http = layers.options.http.as_ref();
        let mut address = match http.map_or_else(Http::default, |http| http.value) {
            Http::Default => USUAL,
            Http::At(address) => address,
            Http::Off => {
                let takes =
                    "off: a pipeline is asked by HTTP; it takes the address where it serves";
                return Err(layers.error("http", takes));
            }
        };
        // A pipeline may serve on all addresses of its machine; one is enough to ask.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(Question {
            view,
            window,
            address,
        })
    }
}
