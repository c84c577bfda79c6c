//! What is known of checkpoints.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts of the checkpoints of a run, in the process that commits them.
#[derive(Debug, Default)]
pub(super) struct CheckpointCounters {
    count: AtomicU64,
    failures: AtomicU64,
    epoch: AtomicU64,
    made_at: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    commit_micros: AtomicU64,
}

/// A checkpoint that is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommittedCheckpoint {
    /// Its epoch.
    pub epoch: u64,
    /// When it was made, in milliseconds since the UNIX epoch.
    pub made_at: i64,
    /// Files that it consists of.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// The checkpoints of a run at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckpointSnapshot {
    /// Checkpoints committed.
    pub count: u64,
    /// Attempts to write something of them that failed, in this process.
    pub failures: u64,
    /// The epoch of the last; 0 before the first.
    pub epoch: u64,
    /// When it was made, in milliseconds since the UNIX epoch; 0 before the first.
    pub made_at: u64,
    /// Files that it consists of.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// How long committing took, added up.
    pub commit_time: Duration,
}

impl CheckpointCounters {
    pub(super) fn committed(&self, checkpoint: CommittedCheckpoint, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let made_at = u64::try_from(checkpoint.made_at).unwrap_or(0);
        self.count.fetch_add(1, Relaxed);
        self.epoch.store(checkpoint.epoch, Relaxed);
        self.made_at.store(made_at, Relaxed);
        self.files.store(checkpoint.files, Relaxed);
        self.bytes.store(checkpoint.bytes, Relaxed);
        self.commit_micros.fetch_add(micros, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    pub(super) fn snapshot(&self) -> CheckpointSnapshot {
        CheckpointSnapshot {
            count: self.count.load(Relaxed),
            failures: self.failures.load(Relaxed),
            epoch: self.epoch.load(Relaxed),
            made_at: self.made_at.load(Relaxed),
            files: self.files.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            commit_time: Duration::from_micros(self.commit_micros.load(Relaxed)),
        }
    }
}
