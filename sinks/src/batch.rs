//! What is written at once.

use crate::{Limits, Log};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The changes of one or more whole epochs, consolidated: at most one write for
/// each row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// The last epoch it completes.
    pub epoch: u64,
    /// When it was made, in milliseconds since the UNIX epoch.
    pub made_at: i64,
    /// Rows that are new or changed, whole.
    pub puts: Vec<Row>,
    /// Rows that are no more.
    pub deletes: Vec<RowId>,
    /// These are deleted only where they were written last in an epoch before this one; where it is
    /// 0, in any case.
    pub deletes_before: u64,
    /// Events that could not be used.
    pub dead_letters: Vec<DeadLetter>,
    /// Whether these are believed not to be in the database yet, as [`Expect::Absent`] says it
    /// of a row.
    pub letters_are_new: bool,
    /// Ids of dead letters that are none after all.
    pub letter_deletes: Vec<String>,
    /// What to publish in the same transaction, where the storage
    /// [writes as one](crate::Storage::writes_as_one); another refuses it.
    pub progress: Option<Progress>,
}

impl Batch {
    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty()
            && self.deletes.is_empty()
            && self.dead_letters.is_empty()
            && self.letter_deletes.is_empty()
            && self.progress.is_none()
    }
}

/// Which row: the same for the same view, window and group, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId {
    /// Which of the storage's tables.
    pub table: usize,
    /// `_id` in it.
    pub id: crate::IdValue,
}

/// What is known of a row before it is written: whether the database has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// Nothing is: an earlier run may have written it.
    Either,
    /// It is believed not to be there yet: then it is written with less work, and no less
    /// right if it is there after all.
    Absent,
    /// It has been written, and must be there. Where it is not, somebody has deleted it, and
    /// the write fails with [`SinkError::Deleted`](crate::SinkError::Deleted).
    Present,
    /// It had been written, and was found to be deleted: it is restored.
    Deleted,
}

/// The current result of one window and group of a view.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which row.
    pub id: RowId,
    /// One value for each column of its table.
    pub values: Vec<super::Value>,
    /// True when its window has closed and it will never change again.
    pub is_final: bool,
    /// Whether it is in the database already, as far as is known.
    pub expect: Expect,
    /// The epoch in which it changed.
    pub epoch: u64,
    /// When it changed, in milliseconds since the UNIX epoch. Part of the row, so
    /// that a repeated write is the same write.
    pub updated_at: i64,
}

/// Why an event is in no row, or not in all that it would be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// It could not be decoded.
    Malformed,
    /// Its window had closed.
    Late,
    /// Some of the windows that hold its time had closed; it is in rows of the others.
    PartlyLate,
    /// Its time lies further ahead of its message than is believed.
    FromTheFuture,
    /// An expression of the view failed on it.
    Failed,
}

impl Reason {
    /// All there are.
    pub const ALL: [Reason; 5] = [
        Reason::Malformed,
        Reason::Late,
        Reason::PartlyLate,
        Reason::FromTheFuture,
        Reason::Failed,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::Late => "late",
            Reason::PartlyLate => "partly_late",
            Reason::FromTheFuture => "from_the_future",
            Reason::Failed => "failed",
        }
    }

    /// The other way.
    pub fn of(text: &str) -> Option<Reason> {
        Reason::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// An event that could not be used, kept whole with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Kafka topic.
    pub topic: String,
    /// Kafka partition.
    pub partition: i32,
    /// Kafka offset.
    pub offset: i64,
    /// Kafka timestamp, in milliseconds since the UNIX epoch; `None` where no date of the
    /// years 1 to 9999 can hold it.
    pub timestamp: Option<i64>,
    /// Why.
    pub reason: Reason,
    /// Why, as a sentence: which field, what was expected, what was found.
    pub detail: String,
    /// The view it is lost to; `None` where it is lost to all.
    pub view: Option<String>,
    /// Message key, whole.
    pub key: Option<Vec<u8>>,
    /// Message value, whole.
    pub value: Vec<u8>,
    /// The epoch in which it was read.
    pub epoch: u64,
}

impl DeadLetter {
    /// Its `_id`: the same for the same event and view, whenever it is read.
    pub fn id(&self) -> String {
        let place = format!("{}/{}/{}", self.topic, self.partition, self.offset);
        match &self.view {
            Some(view) => format!("{place}/{view}"),
            None => place,
        }
    }

    /// About how many bytes of memory it takes.
    pub fn size(&self) -> usize {
        let texts =
            self.topic.len() + self.detail.len() + self.view.as_ref().map_or(0, String::len);
        let bytes = self.value.len() + self.key.as_ref().map_or(0, Vec::len);
        size_of::<DeadLetter>() + texts + bytes
    }
}

/// How far the whole pipeline has come: everything through `epoch` is in the
/// database, and that is exactly the effect of all offsets below `offsets`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Complete through this epoch.
    pub epoch: u64,
    /// Topic → partition → the next offset to read.
    pub offsets: BTreeMap<String, BTreeMap<i32, i64>>,
    /// View → how far its event time has come; views without a watermark yet are
    /// not there.
    pub views: BTreeMap<String, ViewProgress>,
    /// Views that are being built: they have not read all messages below `offsets` yet, and are not
    /// among `views`.
    pub rebuilding: BTreeSet<String>,
    /// By which timestamps were believed, where rows and progress are written
    /// [as one](crate::Storage::writes_as_one); else [`WriteIntent`](crate::WriteIntent) has it.
    pub limits: Option<Limits>,
    /// When it was written, in milliseconds since the UNIX epoch.
    pub updated_at: i64,
    /// Which log `offsets` belong to; empty where an earlier version has written it.
    pub log: Log,
}

/// How far the event time of a view has come. In milliseconds since the UNIX epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewProgress {
    /// The watermark: every window that ends at or before it is final.
    pub watermark: i64,
    /// The end of the last final window.
    pub final_until: i64,
}
