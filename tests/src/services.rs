//! The shared Kafka and MongoDB: where they are, and how a test breaks them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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
    /// What kind of services they are, as `scripts/services` takes it from the
    /// environment.
    kind: &'static [(&'static str, &'static str)],
}

/// A node with a proxy before it, which a test has to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxied {
    /// Its name, such as `kafka-1`.
    pub node: String,
    /// The port where the proxy has to listen: clients are told to come there.
    pub port: u16,
    /// The port where the proxy finds the node.
    pub to: u16,
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
        let written = written(&home);
        let setting = |name: &str| {
            let value = std::env::var(name).ok();
            value.or_else(|| written.get(name).cloned()).unwrap_or_else(|| {
                panic!(
                    "{name} is neither in the environment nor in {}: run scripts/services start",
                    home.join("env").display()
                )
            })
        };
        Services {
            brokers: setting("TIDEMARK_BROKERS"),
            mongodb_uri: setting("TIDEMARK_MONGODB_URI"),
            directory,
            kind: &[],
        }
    }

    /// Services of a test's own in `directory`: two brokers, three members of a replica
    /// set, and before each a proxy that the test runs. Nothing is started yet.
    ///
    /// # Panics
    /// When they cannot be had.
    pub fn own(directory: &Path) -> (Services, Vec<Proxied>) {
        let mut services = Services {
            brokers: String::new(),
            mongodb_uri: String::new(),
            directory: Some(directory.to_owned()),
            kind: &[("TIDEMARK_MONGODB_NODES", "3"), ("TIDEMARK_PROXIED", "1")],
        };
        services.command(&["addresses"]);
        let mut written = written(directory);
        let mut setting = |name: &str| written.remove(name).expect("addresses are written");
        services.brokers = setting("TIDEMARK_BROKERS");
        services.mongodb_uri = setting("TIDEMARK_MONGODB_URI");
        let proxies = setting("TIDEMARK_PROXIES");
        let proxied = |text: &str| {
            let mut parts = text.split(':');
            let node = parts.next()?.to_owned();
            let port = parts.next()?.parse().ok()?;
            let to = parts.next()?.parse().ok()?;
            Some(Proxied { node, port, to })
        };
        let proxies = proxies
            .split(',')
            .map(|text| proxied(text).expect("a proxy"));
        (services, proxies.collect())
    }

    /// Nodes of a test's own in `directory`, which it starts one by one. Nothing is started
    /// yet.
    pub fn alone(directory: &Path) -> Services {
        Services {
            brokers: String::new(),
            mongodb_uri: String::new(),
            directory: Some(directory.to_owned()),
            kind: &[],
        }
    }

    /// What `scripts/services` has written down of these.
    ///
    /// # Panics
    /// When it has not.
    pub fn written(&self, name: &str) -> String {
        let home = self.directory.clone();
        let home = home.unwrap_or_else(|| workspace().join("target/services"));
        let value = written(&home).remove(name);
        value.unwrap_or_else(|| panic!("{name} is not written in {}", home.display()))
    }

    /// Services that somebody else has started and will end.
    pub fn elsewhere(brokers: String, mongodb_uri: String) -> Services {
        Services {
            brokers,
            mongodb_uri,
            directory: None,
            kind: &[],
        }
    }

    /// Where `scripts/services` has put its programs: `MONGOD`, `KAFKA_JARS`.
    ///
    /// # Panics
    /// When it has not.
    pub fn program(name: &str) -> PathBuf {
        let home = std::env::var_os("TIDEMARK_SERVICES_DIR").map(PathBuf::from);
        let home = home.unwrap_or_else(|| workspace().join("target/services"));
        let written = written(&home).remove(name);
        written.map(PathBuf::from).unwrap_or_else(|| {
            panic!(
                "{name} is not in {}: run scripts/services start",
                home.join("env").display()
            )
        })
    }

    /// The file in which a broker of these services keeps a partition that has one replica,
    /// and not much in it.
    ///
    /// # Panics
    /// When no broker here has it.
    pub fn segment(&self, topic: &str, partition: i32) -> PathBuf {
        let home = self.directory.clone();
        let home = home.unwrap_or_else(|| workspace().join("target/services"));
        let file = format!("data/{topic}-{partition}/00000000000000000000.log");
        let files = ["kafka-1", "kafka-2"].map(|node| home.join(node).join(&file));
        let found = files.iter().find(|file| file.exists());
        found
            .unwrap_or_else(|| panic!("{topic}/{partition} is in none of {files:?}"))
            .clone()
    }

    /// Starts all nodes and waits until they answer. No harm if they run.
    pub fn start_all(&self) {
        self.command(&["start"]);
    }

    /// Ends all nodes and deletes what they have kept.
    pub fn reset(&self) {
        self.command(&["reset"]);
    }

    /// Ends all nodes; what they have kept stays.
    pub fn stop_all(&self) {
        self.command(&["stop"]);
    }

    /// The number in the system of a node's process, which runs or is frozen.
    ///
    /// # Panics
    /// When it has none.
    pub fn pid(&self, node: &str) -> u32 {
        let home = self.directory.clone();
        let home = home.unwrap_or_else(|| workspace().join("target/services"));
        let text = std::fs::read_to_string(home.join(node).join("pid")).expect("a pid file");
        let pid = text.split(' ').next().and_then(|pid| pid.parse().ok());
        pid.expect("a number")
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
        command.envs(self.kind.iter().copied());
        let output = command.output().expect("scripts/services can be run");
        assert!(
            output.status.success(),
            "scripts/services {arguments:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// What `scripts/services` has written down of the services in `home`.
fn written(home: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(home.join("env")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    lines.map(owned).collect()
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
