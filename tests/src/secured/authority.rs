//! Certificates of a test's own.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Somebody who signs certificates. Its files go away with it.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

/// A certificate and its private key, in PEM.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key, in PKCS #8.
    pub key: PathBuf,
    /// Key and certificate in one file.
    pub both: PathBuf,
}

impl Authority {
    /// A new one, with its own certificate in a file.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(name: &str) -> Authority {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let directory = TempDir::new().expect("a directory");
        fs::write(directory.path().join("ca.pem"), issuer.pem()).expect("it is written");
        Authority { issuer, directory }
    }

    /// The file with its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A certificate of a server, for these names and addresses.
    pub fn server(&self, names: &[&str]) -> Signed {
        let mut params = params("server", names);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            // Members of a replica set are clients of each other.
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(params, &format!("server-{}", names.join("-")))
    }

    /// A certificate of a client with this common name, of the unit `clients`.
    pub fn client(&self, name: &str) -> Signed {
        let mut params = params(name, &[]);
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, "clients");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, name)
    }

    fn sign(&self, mut params: CertificateParams, file: &str) -> Signed {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let write = |ending: &str, text: String| {
            let path = self.directory.path().join(format!("{file}.{ending}"));
            fs::write(&path, text).expect("it is written");
            path
        };
        Signed {
            certificate: write("pem", certificate.pem()),
            key: write("key", key.serialize_pem()),
            both: write(
                "both.pem",
                format!("{}{}", key.serialize_pem(), certificate.pem()),
            ),
        }
    }

    /// A place for files that belong to it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
