//! A broker that asks who is there, by TLS, SASL or both.

use super::{Authority, PASSWORD, USER, server};
use crate::kafka::Kafka;
use crate::poll::eventually;
use crate::process::free_port;
use crate::services::Services;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command};
use std::time::Duration;
use tempfile::TempDir;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(90);
/// Any will do; it is 16 bytes in base 64.
const CLUSTER: &str = "c2VjdXJlZC1rYWZrYS0xMg";

/// A broker of a test's own. It ends with it.
pub struct SecuredKafka {
    child: Child,
    _directory: TempDir,
    /// Where anybody may come: for the test itself.
    pub open: String,
    /// Where a password is asked for, by TLS (`SASL_SSL`).
    pub sasl: String,
    /// Where a certificate is asked for (`SSL`).
    pub mutual: String,
    /// Where it answers, and advertises an address at which it does not: a name that does not
    /// resolve, a port that refuses, and one that accepts and is silent.
    pub misplaced: [Misplaced; 3],
    _silent: TcpListener,
}

/// A listener, and the address that is advertised for it.
#[derive(Debug, Clone)]
pub struct Misplaced {
    /// Where it answers.
    pub address: String,
    /// Where it says that it does.
    pub advertised: String,
}

impl SecuredKafka {
    /// Starts it, with a certificate of `authority` for 127.0.0.1, and waits until it
    /// answers. It knows [`USER`] by [`PASSWORD`] in each mechanism.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(authority: &Authority) -> SecuredKafka {
        let directory = TempDir::new().expect("a directory");
        let [controller, open, sasl, mutual] = [(); 4].map(|()| free_port());
        let certificate = authority.server(&["127.0.0.1"]);
        let home = directory.path().display();
        let at = |port: u16| format!("127.0.0.1:{port}");
        // Connections wait in the system's queue, and nobody takes them.
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let misplaced = [
            "no-such-host.invalid:9092".to_owned(),
            at(free_port()),
            silent.local_addr().expect("its address").to_string(),
        ]
        .map(|advertised| Misplaced {
            address: at(free_port()),
            advertised,
        });
        let mut listeners = format!(
            "OPEN://{},SASL://{},MUTUAL://{}",
            at(open),
            at(sasl),
            at(mutual)
        );
        let mut advertised = listeners.clone();
        let mut protocols = String::new();
        for (number, place) in misplaced.iter().enumerate() {
            // Writing to a String does not fail.
            let _ = write!(listeners, ",ELSEWHERE{number}://{}", place.address);
            let _ = write!(advertised, ",ELSEWHERE{number}://{}", place.advertised);
            let _ = write!(protocols, ",ELSEWHERE{number}:PLAINTEXT");
        }
        let mut settings = format!(
            "\
node.id=1
process.roles=broker,controller
controller.quorum.voters=1@{}
controller.listener.names=CONTROLLER
inter.broker.listener.name=OPEN
listeners=CONTROLLER://{},{listeners}
advertised.listeners={advertised}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,OPEN:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL{protocols}
log.dirs={home}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
log.retention.ms=-1
log.message.timestamp.before.max.ms=9223372036854775807
log.message.timestamp.after.max.ms=9223372036854775807
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=8388608
ssl.keystore.type=PEM
ssl.keystore.location={}
ssl.truststore.type=PEM
ssl.truststore.location={}
listener.name.mutual.ssl.client.auth=required
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
",
            at(controller),
            at(controller),
            certificate.both.display(),
            authority.certificate().display(),
        );
        let plain = format!(
            "org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_{USER}=\"{PASSWORD}\";"
        );
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned();
        for (mechanism, module) in [
            ("plain", &plain),
            ("scram-sha-256", &scram),
            ("scram-sha-512", &scram),
        ] {
            // Writing to a String does not fail.
            let _ = writeln!(
                settings,
                "listener.name.sasl.{mechanism}.sasl.jaas.config={module}"
            );
        }
        let file = directory.path().join("server.properties");
        fs::write(&file, settings).expect("its settings");
        let file = file.display().to_string();

        let mut format = java("kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER, "-c", &file]);
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let user = format!("{mechanism}=[name={USER},password={PASSWORD}]");
            format.args(["--add-scram", &user]);
        }
        let formatted = format.output().expect("java");
        assert!(formatted.status.success(), "{formatted:?}");

        let log = directory.path().join("log");
        let child = server(java("kafka.Kafka").arg(&file), &log);
        let kafka = SecuredKafka {
            child,
            _directory: directory,
            open: at(open),
            sasl: at(sasl),
            mutual: at(mutual),
            misplaced,
            _silent: silent,
        };
        let client = Kafka::connect(&kafka.open);
        eventually("the broker answers", PATIENCE, || {
            let answers = client.answers();
            answers.map_err(|error| format!("{error}: {:?}", fs::read_to_string(&log)))
        });
        kafka
    }
}

impl Drop for SecuredKafka {
    fn drop(&mut self) {
        // It has ended by itself otherwise.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn java(main: &str) -> Command {
    let jars = Services::program("KAFKA_JARS");
    let mut command = Command::new("java");
    command
        .args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .args(["-cp", &format!("{}/*", jars.display()), main]);
    command
}
