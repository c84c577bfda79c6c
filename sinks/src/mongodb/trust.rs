//! Whose certificates are believed where the connection string names nobody: those that the
//! system trusts, as curl does.
//!
//! The driver has a list of its own, of public authorities, which knows nothing of a
//! company's.

use std::path::PathBuf;

use ::mongodb::options::{ClientOptions, Tls};

/// Lets the driver believe whom the system believes, unless the connection string says
/// otherwise. Where the system has no list, the driver's own is used.
pub(super) fn trust(options: &mut ClientOptions, system: impl FnOnce() -> Option<PathBuf>) {
    if let Some(Tls::Enabled(tls)) = &mut options.tls
        && tls.ca_file_path.is_none()
    {
        tls.ca_file_path = system();
    }
}

/// The file with the certificates that the system trusts: the one that `SSL_CERT_FILE`
/// names, or the first at a place where systems keep it.
pub(super) fn of_the_system() -> Option<PathBuf> {
    openssl_probe::probe().cert_file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(uri: &str, system: Option<&str>) -> Option<PathBuf> {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let options = runtime
            .unwrap()
            .block_on(ClientOptions::parse(uri).into_future());
        let mut options = options.unwrap();
        trust(&mut options, || system.map(PathBuf::from));
        match options.tls {
            Some(Tls::Enabled(tls)) => tls.ca_file_path,
            _ => None,
        }
    }

    #[test]
    fn the_system_is_believed_unless_somebody_is_named() {
        let system = Some("/etc/ssl/cert.pem");
        let path = |path: &str| Some(PathBuf::from(path));
        assert_eq!(
            trusted("mongodb://a/?tls=true", system),
            path("/etc/ssl/cert.pem")
        );
        let own = "mongodb://a/?tls=true&tlsCAFile=/own.pem";
        assert_eq!(trusted(own, system), path("/own.pem"));
        assert_eq!(trusted("mongodb://a/?tls=true", None), None);
        assert_eq!(trusted("mongodb://a/", system), None);
    }
}
