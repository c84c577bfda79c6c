//! Where HTTP is served, and to whom.
//!
//! On this machine's own address (loopback) whoever is on the machine may read. On any
//! other, something has to ask who is there: a token, or a certificate of the client. That
//! nothing does has to be said in so many words.

use super::{ConfigError, Secret, cli::Options, layers::Layers};
use serve::{Http, HttpAccess, HttpTls};
use std::path::Path;

/// Shorter ones are guessed.
const SHORTEST_TOKEN: usize = 16;

/// What the settings say, if it is enough for where HTTP is served.
pub(super) fn access(
    options: &Options,
    layers: &Layers,
    warnings: &mut Vec<String>,
) -> Result<HttpAccess, ConfigError> {
    let http = options.http.as_ref().map(|http| http.value);
    let http = http.unwrap_or_default();
    let token = token(options, layers)?;
    let tls = tls(options, layers)?;
    let unauthenticated = options.http_unauthenticated.as_ref();
    let unauthenticated = unauthenticated.is_some_and(|b| b.value);
    let asks = match (&token, &tls) {
        (Some(_), _) => Some("http_token_file"),
        (None, Some(tls)) => tls.client_ca.as_ref().map(|_| "http_client_ca"),
        (None, None) => None,
    };
    match asks {
        Some(key) if unauthenticated => {
            let place = layers.place(key);
            let takes = format!("clients are asked for what {place} says; leave out one of them");
            return Err(layers.error("http_unauthenticated", takes));
        }
        None if !http.is_local() && !unauthenticated => {
            return Err(layers.error(
                "http",
                "other machines reach this address: give --http-token-file FILE (openssl rand \
                 -hex 32 makes a token), or --http-tls-cert, --http-tls-key and --http-client-ca \
                 to ask clients for a certificate, or --http-unauthenticated if all who reach it \
                 may read the shop's numbers",
            ));
        }
        _ => {}
    }
    let given = [
        ("http_token_file", token.is_some()),
        ("http_tls_cert", tls.is_some()),
        ("http_unauthenticated", unauthenticated),
    ];
    if http == Http::Off
        && let Some((key, _)) = given.iter().find(|(_, given)| *given)
    {
        warnings.push(format!(
            "{} does nothing here: no HTTP is served",
            layers.place(key)
        ));
    } else if !http.is_local() && token.is_some() && tls.is_none() {
        warnings.push(
            "the token of HTTP goes over the network in clear: give --http-tls-cert and \
             --http-tls-key, or let a proxy encrypt it"
                .to_owned(),
        );
    }
    Ok(HttpAccess {
        token,
        tls,
        unauthenticated,
    })
}

/// The token in the file that the settings name.
pub(super) fn token(options: &Options, layers: &Layers) -> Result<Option<Secret>, ConfigError> {
    let Some(file) = &options.http_token_file else {
        return Ok(None);
    };
    let token = read_secret(&file.value, "http_token_file", layers)?;
    let is_plain = |c: char| c.is_ascii_graphic();
    if token.expose().len() < SHORTEST_TOKEN || !token.expose().chars().all(is_plain) {
        let takes = format!(
            "{}: it takes a file with {SHORTEST_TOKEN} or more letters, digits and signs, \
             without a space; openssl rand -hex 32 makes such a token",
            file.value.display()
        );
        return Err(layers.error("http_token_file", takes));
    }
    Ok(Some(token))
}

fn tls(options: &Options, layers: &Layers) -> Result<Option<HttpTls>, ConfigError> {
    let certificate = options.http_tls_cert.as_ref();
    let key = options.http_tls_key.as_ref();
    let client_ca = options.http_client_ca.as_ref();
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(HttpTls {
            certificate: certificate.value.clone(),
            key: key.value.clone(),
            client_ca: client_ca.map(|file| file.value.clone()),
        })),
        (Some(_), None) => Err(layers.error(
            "http_tls_cert",
            "the certificate's private key is missing; give --http-tls-key",
        )),
        (None, Some(_)) => Err(layers.error(
            "http_tls_key",
            "the certificate of this key is missing; give --http-tls-cert",
        )),
        (None, None) if client_ca.is_some() => Err(layers.error(
            "http_client_ca",
            "clients show a certificate only by HTTPS; give --http-tls-cert and --http-tls-key",
        )),
        (None, None) => Ok(None),
    }
}

/// What is in a file, without the end of its line; `key` is the setting that names it.
pub(super) fn read_secret(path: &Path, key: &str, layers: &Layers) -> Result<Secret, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => match text.trim_end_matches(['\r', '\n']) {
            "" => Err(layers.error(key, format!("{} is empty", path.display()))),
            text => Ok(Secret::new(text)),
        },
        Err(error) => {
            let problem = format!("{} cannot be read: {error}", path.display());
            Err(layers.error(key, problem))
        }
    }
}
