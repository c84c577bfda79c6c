//! The certificate that HTTPS is served with, and those that are asked for.

use super::{HttpTls, ServeError};
use model::with_causes;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;

/// What rustls is to do, read from files; TLS 1.2 and 1.3.
///
/// # Errors
/// [`ServeError::Certificate`], with the file.
pub(super) fn config(tls: &HttpTls) -> Result<ServerConfig, ServeError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let wrong = |setting, file: &Path, error: &dyn std::error::Error| ServeError::Certificate {
        setting,
        file: file.to_owned(),
        reason: with_causes(error),
    };
    let (certificate, key) = (&tls.certificate, &tls.key);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("--http-tls-cert", certificate, &error))?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let setting = "--http-client-ca";
            let mut authorities = RootCertStore::empty();
            for authority in certificates(setting, file)? {
                authorities
                    .add(authority)
                    .map_err(|error| wrong(setting, file, &error))?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
                    .build()
                    .map_err(|error| wrong(setting, file, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = certificates("--http-tls-cert", certificate)?;
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| wrong("--http-tls-key", key, &error))?;
    let mut config = builder
        .with_single_cert(chain, secret)
        .map_err(|error| wrong("--http-tls-key", key, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// All certificates of a file in PEM, one at least.
fn certificates(
    setting: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, ServeError> {
    let wrong = |reason| ServeError::Certificate {
        setting,
        file: file.to_owned(),
        reason,
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file)
        .map_err(|error| wrong(with_causes(&error)))?
        .collect();
    let found = found.map_err(|error| wrong(with_causes(&error)))?;
    match found.is_empty() {
        true => Err(wrong("there is no certificate in it".to_owned())),
        false => Ok(found),
    }
}
