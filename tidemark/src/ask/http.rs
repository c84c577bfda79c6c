//! One question by HTTP or HTTPS.

use super::AskError;
use crate::config::Endpoint;
use model::with_causes;
use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect};
use std::path::Path;
use std::time::Duration;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A longer answer is none of a pipeline's.
const LONGEST: usize = 64 << 20;

/// The status and the body of what is at a path.
pub(super) fn get(at: &Endpoint, path: &str) -> Result<(u16, Vec<u8>), AskError> {
    let client = client(at)?;
    let away = |reason: String| AskError::Away {
        url: at.url.clone(),
        reason,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| away(error.to_string()))?;
    runtime.block_on(ask(&client, at, path)).map_err(|error| {
        let reason = with_causes(&error.without_url());
        // The library tells failures of TLS from others in its words only.
        match reason.contains("certificate") || reason.contains("received fatal alert") {
            true => AskError::Untrusted {
                url: at.url.clone(),
                reason,
            },
            false => away(reason),
        }
    })
}

async fn ask(client: &Client, at: &Endpoint, path: &str) -> reqwest::Result<(u16, Vec<u8>)> {
    let mut request = client.get(format!("{}{path}", at.url));
    if let Some(token) = &at.token {
        request = request.bearer_auth(token.expose());
    }
    let mut answer = request.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST {
            break;
        }
    }
    Ok((answer.status().as_u16(), body))
}

/// One that goes straight there, and knows the certificates that were given.
fn client(at: &Endpoint) -> Result<Client, AskError> {
    // The library needs to be told which cryptography to use; whatever is chosen already
    // is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = ClientBuilder::new()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(PATIENCE);
    if let Some(ca) = &at.ca {
        let unusable = |reason| unusable(ca, reason);
        let authorities = Certificate::from_pem_bundle(&read(ca)?);
        let authorities = authorities.map_err(|error| unusable(with_causes(&error)))?;
        if authorities.is_empty() {
            return Err(unusable("it holds no certificate in PEM".to_owned()));
        }
        client = client.tls_certs_only(authorities);
    }
    if let Some((certificate, key)) = &at.identity {
        let mut pem = read(certificate)?;
        pem.push(b'\n');
        pem.extend(read(key)?);
        let identity = Identity::from_pem(&pem);
        let identity = identity.map_err(|error| unusable(certificate, with_causes(&error)))?;
        client = client.identity(identity);
    }
    client.build().map_err(|error| AskError::Away {
        url: at.url.clone(),
        reason: with_causes(&error),
    })
}

fn read(file: &Path) -> Result<Vec<u8>, AskError> {
    std::fs::read(file).map_err(|error| unusable(file, error.to_string()))
}

fn unusable(file: &Path, reason: String) -> AskError {
    let file = file.to_owned();
    AskError::Certificate { file, reason }
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
        let url = format!("http://{}", listener.local_addr().unwrap());
        let other = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut asked = [0; 3];
            client.read_exact(&mut asked).unwrap();
            client.write_all(b"220 mail ready\r\n").unwrap();
            asked
        });
        let at = Endpoint::open(url);
        assert!(get(&at, "/").is_err());
        assert_eq!(&other.join().unwrap(), b"GET");
    }
}
