//! A Kafka of one broker, of a test's own: another cluster than the shared one, and one
//! that may lose what it has.

use crate::kafka::Kafka;
use crate::poll::eventually;
use crate::services::Services;
use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// How long it may take to answer again.
const PATIENCE: Duration = Duration::from_secs(90);
/// Its node, as `scripts/services` names it.
const NODE: &str = "kafka-1";

/// One broker. It ends with the test.
pub struct Broker {
    services: Services,
    directory: TempDir,
    /// Where it is.
    pub address: String,
}

impl Broker {
    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start() -> Broker {
        let directory = TempDir::new().expect("a directory");
        let services = Services::alone(directory.path());
        services.start(NODE);
        let address = services.written("TIDEMARK_BROKERS");
        let address = address.split(',').next().expect("an address").to_owned();
        Broker {
            services,
            directory,
            address,
        }
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&self) {
        self.services.kill(NODE);
    }

    /// Freezes it: its connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.services.pause(NODE);
    }

    /// Thaws it.
    pub fn thaw(&self) {
        self.services.resume(NODE);
    }

    /// Brings it back and waits until it answers.
    pub fn start_again(&self) {
        self.services.start(NODE);
        let kafka = Kafka::connect(&self.address);
        eventually("the broker answers", PATIENCE, || kafka.answers());
    }

    /// While it does not run: takes away the messages of a partition from `offset` on, as far
    /// as they were sent apart from those before. It is as if a replica that had not got them
    /// yet had become the leader.
    ///
    /// # Panics
    /// When there is no such log.
    pub fn lose(&self, topic: &str, partition: i32, offset: i64) {
        let folder = self.log_of(topic, partition);
        let log = folder.join("00000000000000000000.log");
        let bytes = fs::read(&log).expect("the log");
        let mut at = 0;
        // Each batch begins with its first offset and the length of what follows.
        while let Some(header) = bytes.get(at..at + 12) {
            let first = i64::from_be_bytes(header[..8].try_into().expect("eight bytes"));
            let length = u32::from_be_bytes(header[8..].try_into().expect("four bytes"));
            if first >= offset {
                break;
            }
            at += 12 + usize::try_from(length).expect("a length");
        }
        assert!(at < bytes.len(), "nothing is lost: {} bytes", bytes.len());
        let file = OpenOptions::new().write(true).open(&log);
        let truncated = file.and_then(|file: File| file.set_len(at as u64));
        truncated.expect("the log can be cut");
        for index in ["index", "timeindex"] {
            // It is made again of the log.
            let _ = fs::remove_file(log.with_extension(index));
        }
    }

    fn log_of(&self, topic: &str, partition: i32) -> PathBuf {
        let data = self.directory.path().join(NODE).join("data");
        data.join(format!("{topic}-{partition}"))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.services.stop_all();
    }
}
