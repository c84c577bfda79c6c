//! Whose certificates are believed where no property names anybody: those that the system
//! trusts, as curl does.
//!
//! OpenSSL is linked statically, and looks where it would have been installed itself. So the
//! file has to be named to it.

use rdkafka::config::ClientConfig;
use std::ffi::OsString;
use std::path::Path;

const LOCATION: &str = "ssl.ca.location";
/// Any of these says whom to believe.
const NAMED: [&str; 3] = [LOCATION, "ssl.ca.pem", "ssl.ca.certificate.stores"];
/// librdkafka's name for the places where systems keep the certificates that they trust.
const PROBE: &str = "probe";

/// Lets a client believe whom the system believes, unless its properties say otherwise. To
/// be called when all of them are set.
pub fn trust(config: &mut ClientConfig) {
    if NAMED.iter().all(|name| config.get(name).is_none()) {
        config.set(LOCATION, location(|name| std::env::var_os(name)));
    }
}

/// `SSL_CERT_FILE` and `SSL_CERT_DIR` are what OpenSSL's programs take.
fn location(variable: impl Fn(&str) -> Option<OsString>) -> String {
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .find_map(|name| {
            let path = variable(name)?.into_string().ok()?;
            Path::new(&path).exists().then_some(path)
        });
    named.unwrap_or_else(|| PROBE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_believed_unless_somebody_is_named() {
        let mut config = ClientConfig::new();
        trust(&mut config);
        assert!(config.get(LOCATION).is_some());
        for (name, value) in [(LOCATION, "/own.pem"), ("ssl.ca.pem", "PEM")] {
            let mut config = ClientConfig::new();
            config.set(name, value);
            trust(&mut config);
            assert_eq!(config.get(name), Some(value));
            assert!(name == LOCATION || config.get(LOCATION).is_none());
        }
    }

    #[test]
    fn variables_name_certificates_that_exist() {
        let none = |_: &str| None;
        assert_eq!(location(none), PROBE);
        let here = env!("CARGO_MANIFEST_DIR");
        let directory = |name: &str| (name == "SSL_CERT_DIR").then(|| here.into());
        assert_eq!(location(directory), here);
        let file =
            |name: &str| (name == "SSL_CERT_FILE").then(|| format!("{here}/Cargo.toml").into());
        assert_eq!(location(file), format!("{here}/Cargo.toml"));
        let missing = |_: &str| Some("/no/such/file.pem".into());
        assert_eq!(location(missing), PROBE);
    }
}
