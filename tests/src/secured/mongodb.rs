//! A database that asks who is there: by TLS only, with access control.

use super::{Authority, PASSWORD, USER, server};
use crate::mongo::block_on;
use crate::poll::eventually;
use crate::process::free_port;
use crate::services::Services;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command};
use std::time::Duration;
use tempfile::TempDir;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A replica set of one, of a test's own. It ends with it.
pub struct SecuredMongodb {
    child: Child,
    _directory: TempDir,
    /// `host:port`.
    pub address: String,
    /// What verifies its certificate, as options of a URI.
    pub tls: String,
}

impl SecuredMongodb {
    /// Starts it, with a certificate of `authority` for 127.0.0.1, and waits until it takes
    /// writes. It knows [`USER`] by [`PASSWORD`], and the client certificate of [`USER`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(authority: &Authority) -> SecuredMongodb {
        let directory = TempDir::new().expect("a directory");
        let port = free_port();
        let certificate = authority.server(&["127.0.0.1"]);
        let key = directory.path().join("key");
        fs::write(&key, "a2V5IG9mIGEgdGVzdCdzIG93biBzZXQ=").expect("a key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its mode");
        fs::create_dir(directory.path().join("data")).expect("a directory");
        let mut command = Command::new(Services::program("MONGOD"));
        command
            .args(["--port", &port.to_string(), "--bind_ip", "127.0.0.1"])
            .args([
                "--nounixsocket",
                "--replSet",
                "secured",
                "--oplogSize",
                "64",
            ])
            .args(["--wiredTigerCacheSizeGB", "0.25", "--tlsMode", "requireTLS"])
            .arg("--tlsAllowConnectionsWithoutCertificates")
            .arg("--dbpath")
            .arg(directory.path().join("data"))
            .arg("--keyFile")
            .arg(&key)
            .arg("--tlsCertificateKeyFile")
            .arg(&certificate.both)
            .arg("--tlsCAFile")
            .arg(authority.certificate());
        let log = directory.path().join("log");
        let child = server(&mut command, &log);
        let mongodb = SecuredMongodb {
            child,
            _directory: directory,
            address: format!("127.0.0.1:{port}"),
            tls: format!("tls=true&tlsCAFile={}", authority.certificate().display()),
        };
        mongodb.found(&log);
        mongodb
    }

    /// Founds the set, and makes its users.
    fn found(&self, log: &std::path::Path) {
        let Self { address, tls, .. } = self;
        let first = format!("mongodb://{address}/?directConnection=true&{tls}");
        let set = doc! { "_id": "secured", "members": [{ "_id": 0, "host": address }] };
        let found = doc! { "replSetInitiate": set };
        eventually("the set is founded", PATIENCE, || {
            let logged = |error| format!("{error}: {:?}", fs::read_to_string(log));
            match order(&first, "admin", &found) {
                Err(error) if error.contains("already initialized") => Ok(()),
                other => other.map_err(logged),
            }
        });
        let role = |role: &str| doc! { "role": role, "db": "admin" };
        let root = doc! { "createUser": "root", "pwd": PASSWORD, "roles": [role("root")] };
        eventually("its first user is made", PATIENCE, || {
            order(&first, "admin", &root)
        });
        let as_root = format!("mongodb://root:{PASSWORD}@{address}/?directConnection=true&{tls}");
        let roles = [role("readWriteAnyDatabase"), role("clusterMonitor")];
        let user = doc! { "createUser": USER, "pwd": PASSWORD, "roles": roles.clone() };
        order(&as_root, "admin", &user).expect("a user");
        let subject = format!("OU=clients,CN={USER}");
        let by_certificate = doc! { "createUser": subject, "roles": roles };
        order(&as_root, "$external", &by_certificate).expect("a user by certificate");
    }

    /// A connection string for a user by password.
    pub fn uri(&self, user: &str, password: &str) -> String {
        let Self { address, tls, .. } = self;
        format!("mongodb://{user}:{password}@{address}/?replicaSet=secured&authSource=admin&{tls}")
    }
}

impl Drop for SecuredMongodb {
    fn drop(&mut self) {
        // It has ended by itself otherwise.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command on a connection of its own.
fn order(uri: &str, database: &str, command: &Document) -> Result<(), String> {
    block_on(async {
        let uri = format!("{uri}&serverSelectionTimeoutMS=2000");
        let client = Client::with_uri_str(&uri).await?;
        client
            .database(database)
            .run_command(command.clone())
            .await?;
        Ok(())
    })
    .map_err(|error: mongodb::error::Error| error.to_string())
}
