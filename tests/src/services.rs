//! The shared Kafka and MongoDB: where they are, and how a test breaks them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// Where the services are, as `scripts/services` wrote it.
#[derive(Debug, Clone)]
pub struct Services {
    /// `host:port,…` of the brokers.
    pub brokers: String,
    /// Connection string of the replica set.
    pub mongodb_uri: String,
    /// Where this cluster lives; `None` for the default place.
    directory: Option<PathBuf>,
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map(PathBuf::from).unwrap_or(own)
}

impl Services {
    /// The services that `scripts/services start` started, or others that the
    /// environment names.
    ///
    /// # Panics
    /// When there are none.
    pub fn find() -> Services {
        let directory = std::env::var_os("TIDEMARK_SERVICES_DIR").map(PathBuf::from);
        let home = directory
            .clone()
            .unwrap_or_else(|| workspace().join("target/services"));
        let file = home.join("env");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let written: BTreeMap<_, _> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let setting = |name: &str| {
            let value = std::env::var(name).ok();
            value.or_else(|| written.get(name).map(ToString::to_string)).unwrap_or_else(|| {
                panic!(
                    "{name} is neither in the environment nor in {}: run scripts/services start",
                    file.display()
                )
            })
        };
        Services {
            brokers: setting("TIDEMARK_BROKERS"),
            mongodb_uri: setting("TIDEMARK_MONGODB_URI"),
            directory,
        }
    }

    /// Ends a node at once, as `kill -9` does.
    pub fn kill(&self, node: &str) {
        self.command(&["kill", node]);
    }

    /// Brings a node back and waits until it answers. No harm if it runs.
    pub fn start(&self, node: &str) {
        self.command(&["start", node]);
    }

    /// Freezes a node: its connections stay open and nothing answers.
    pub fn pause(&self, node: &str) {
        self.command(&["pause", node]);
    }

    /// Thaws a node.
    pub fn resume(&self, node: &str) {
        self.command(&["resume", node]);
    }

    fn command(&self, arguments: &[&str]) {
        let script = workspace().join("scripts/services");
        let mut command = Command::new(&script);
        command.args(arguments);
        if let Some(directory) = &self.directory {
            command.env("TIDEMARK_SERVICES_DIR", directory);
        }
        let output = command.output().expect("scripts/services can be run");
        assert!(
            output.status.success(),
            "scripts/services {arguments:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A node that comes back when this goes out of scope, also when a test fails
/// half way: the tests after it need it.
#[derive(Debug)]
pub struct Outage<'a> {
    services: &'a Services,
    node: &'static str,
    how: How,
}

#[derive(Debug)]
enum How {
    Killed,
    Paused,
}

impl<'a> Outage<'a> {
    /// Kills `node`.
    pub fn kill(services: &'a Services, node: &'static str) -> Outage<'a> {
        services.kill(node);
        Outage {
            services,
            node,
            how: How::Killed,
        }
    }

    /// Freezes `node`.
    pub fn pause(services: &'a Services, node: &'static str) -> Outage<'a> {
        services.pause(node);
        Outage {
            services,
            node,
            how: How::Paused,
        }
    }

    /// Ends the outage.
    pub fn end(self) {}
}

impl Drop for Outage<'_> {
    fn drop(&mut self) {
        match self.how {
            How::Killed => self.services.start(self.node),
            How::Paused => self.services.resume(self.node),
        }
    }
}
