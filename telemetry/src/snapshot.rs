//! What a telemetry says at one moment.

use std::time::Duration;

use super::{Blocked, CheckpointSnapshot, Offsets, Stage};

/// What the last write to the store showed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreState {
    /// Nothing has been written yet.
    Unknown,
    /// The last write was acknowledged.
    Writing,
    /// The last write failed and is being repeated.
    Retrying,
}

impl Snapshot {
    /// Whether the process does its work.
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Ready && self.database_away.is_none()
    }
}

/// Everything on a [`Telemetry`](super::Telemetry) at one moment. Counts are of this
/// process, since its start.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// How long the process has run.
    pub uptime: Duration,
    /// How far it has come.
    pub stage: Stage,
    /// One for each topic, in the order the telemetry was made with.
    pub topics: Vec<TopicSnapshot>,
    /// One for each table, in the order the telemetry was made with.
    pub tables: Vec<TableSnapshot>,
    /// The partitions this process reads, by topic and number.
    pub partitions: Vec<PartitionSnapshot>,
    /// Events each worker has read that are not yet written.
    pub in_flight: Vec<u64>,
    /// The newest epoch that was opened; `None` before the first.
    pub epoch_open: Option<u64>,
    /// The newest epoch that is written; `None` before the first.
    pub epoch_written: Option<u64>,
    /// Batches written.
    pub batches: u64,
    /// Rows in these batches.
    pub batch_rows: u64,
    /// How long their writes took, added up.
    pub write_time: Duration,
    /// Writes that failed and were repeated.
    pub write_retries: u64,
    /// Dead letters written.
    pub dead_letters: u64,
    /// What the last write showed of the store.
    pub store: StoreState,
    /// Since when the database is away, if it is.
    pub database_away: Option<jiff::Timestamp>,
    /// The checkpoints of this run, as far as this process takes part.
    pub checkpoints: CheckpointSnapshot,
    /// What the arrangements of this process hold, by worker.
    pub arrangements: Vec<ArrangementSnapshot>,
}

/// What an arrangement of a worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrangementSnapshot {
    /// Its name.
    pub name: String,
    /// The worker, counted over all processes.
    pub worker: usize,
    /// Updates.
    pub records: u64,
    /// Bytes that they take, without those of long texts.
    pub bytes: u64,
}

/// What was read of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSnapshot {
    /// Its name.
    pub name: String,
    /// Messages read, all of them: events, tombstones and malformed ones.
    pub events: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Messages without a value.
    pub tombstones: u64,
    /// Messages that could not be decoded.
    pub malformed: u64,
}

/// What a view was given, and what was written of it.
#[derive(Debug, Clone)]
pub struct TableSnapshot {
    /// Its shape.
    pub table: sinks::Table,
    /// Rows written, new or replaced.
    pub puts: u64,
    /// Rows deleted.
    pub deletes: u64,
    /// Events of its topic that it took.
    pub events: u64,
    /// Events that came too late for it.
    pub late: u64,
    /// Events that it took, and that came too late for some of its windows.
    pub partly_late: u64,
    /// Events whose time lay too far ahead for it.
    pub from_the_future: u64,
    /// Events that it could place nowhere: their messages have no timestamp, or their window
    /// is in no calendar.
    pub malformed: u64,
    /// Events that its condition leaves out.
    pub filtered: u64,
    /// Events on which one of its expressions failed.
    pub failed: u64,
    /// The rows with the greatest first aggregate in the newest window,
    /// greatest first.
    pub busiest: Vec<sinks::Row>,
}

/// How far a partition is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionSnapshot {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The worker that reads it, counted over all processes.
    pub worker: usize,
    /// How far it is read, and where it ends.
    pub offsets: Offsets,
    /// The open transaction that it cannot be read beyond, if there is one.
    pub blocked: Option<Blocked>,
    /// True while it is not read because too much is in flight.
    pub paused: bool,
}

impl PartitionSnapshot {
    /// Offsets that can be read and are not read yet.
    pub fn lag(&self) -> u64 {
        self.offsets.lag()
    }
}

impl Snapshot {
    /// Messages read of all topics.
    pub fn events(&self) -> u64 {
        self.topics.iter().map(|topic| topic.events).sum()
    }

    /// Rows written or deleted in all tables.
    pub fn rows(&self) -> u64 {
        let changes = |table: &TableSnapshot| table.puts + table.deletes;
        self.tables.iter().map(changes).sum()
    }

    /// Events that came too late, for each view that they came too late for.
    pub fn late(&self) -> u64 {
        self.tables.iter().map(|table| table.late).sum()
    }

    /// Offsets that can be read and are not read yet, of all partitions.
    pub fn lag(&self) -> u64 {
        self.partitions.iter().map(PartitionSnapshot::lag).sum()
    }

    /// The partitions that open transactions block, and what blocks each.
    pub fn blocked(&self) -> impl Iterator<Item = (&PartitionSnapshot, &Blocked)> {
        let partitions = self.partitions.iter();
        partitions.filter_map(|partition| Some((partition, partition.blocked.as_ref()?)))
    }

    /// Offsets that are not delivered because of open transactions, of all partitions.
    pub fn behind_transactions(&self) -> u64 {
        self.blocked().map(|(_, blocked)| blocked.behind).sum()
    }

    /// Epochs that are opened and not yet written.
    pub fn epochs_behind(&self) -> u64 {
        match (self.epoch_open, self.epoch_written) {
            (Some(open), Some(written)) => open.saturating_sub(written),
            (Some(open), None) => open.saturating_add(1),
            (None, _) => 0,
        }
    }

    /// Events that are read and not yet written.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.iter().sum()
    }
}
