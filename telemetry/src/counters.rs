//! What a telemetry counts of a topic and of a view.

use super::{
    busiest::Busiest,
    snapshot::{TableSnapshot, TopicSnapshot},
};
use sinks::Table;
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// What was read of a topic.
#[derive(Debug)]
pub(super) struct TopicCounters {
    name: String,
    pub(super) events: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) tombstones: AtomicU64,
    pub(super) malformed: AtomicU64,
    /// Whether it has been said that its timestamps look like another unit.
    pub(super) said_unit: AtomicBool,
}

/// What a view was given, and what was written of it.
#[derive(Debug)]
pub(super) struct TableCounters {
    table: Table,
    pub(super) puts: AtomicU64,
    pub(super) deletes: AtomicU64,
    pub(super) taken: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) partly_late: AtomicU64,
    pub(super) from_the_future: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) filtered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) busiest: Mutex<Busiest>,
}

impl TopicCounters {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            events: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            tombstones: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            said_unit: AtomicBool::new(false),
        }
    }

    pub(super) fn snapshot(&self) -> TopicSnapshot {
        let tombstones = self.tombstones.load(Relaxed);
        let malformed = self.malformed.load(Relaxed);
        TopicSnapshot {
            name: self.name.clone(),
            events: self.events.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            tombstones,
            malformed,
        }
    }
}

impl TableCounters {
    pub(super) fn new(table: &Table) -> Self {
        Self {
            puts: AtomicU64::new(0),
            deletes: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            late: AtomicU64::new(0),
            partly_late: AtomicU64::new(0),
            from_the_future: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            filtered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            busiest: Mutex::new(Busiest::new(table)),
            table: table.clone(),
        }
    }

    pub(super) fn snapshot(&self) -> TableSnapshot {
        let busiest = self.busiest.lock().unwrap_or_else(PoisonError::into_inner);
        TableSnapshot {
            table: self.table.clone(),
            puts: self.puts.load(Relaxed),
            deletes: self.deletes.load(Relaxed),
            events: self.taken.load(Relaxed),
            late: self.late.load(Relaxed),
            partly_late: self.partly_late.load(Relaxed),
            from_the_future: self.from_the_future.load(Relaxed),
            malformed: self.malformed.load(Relaxed),
            filtered: self.filtered.load(Relaxed),
            failed: self.failed.load(Relaxed),
            busiest: busiest.top(),
        }
    }
}
