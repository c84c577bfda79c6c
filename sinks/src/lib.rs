//! Where rows go.
//!
//! A [`Storage`] is a database that holds the views: one [`Table`] a view, one
//! document (or row) for each window and group. Whoever computes the rows knows
//! nothing of MongoDB or SQLite, and nothing here knows Kafka or dataflow:
//!
//! ```text
//!   Batch (the changes of one or more whole epochs, one write a row)
//!     │
//!     ▼
//!   Writer::write ──▶ acknowledged by a majority ──▶ Writer::publish(Progress)
//!
//!   Reader::page  ◀── HTTP, tests, people
//! ```
//!
//! Writes are idempotent: a row is always replaced as a whole under a
//! deterministic id, so that the same [`Batch`] may be sent any number of times.

mod batch;
pub mod embedded;
mod error;
pub mod mongodb;
pub mod retry;
mod table;

pub use batch::{Batch, DeadLetter, Progress, Reason, Row, RowId, ViewProgress};
pub use error::SinkError;
pub use table::{Column, Kind, Role, Table, Value};

use std::sync::Arc;

/// A database opened for a set of views.
pub trait Storage: Send + Sync {
    /// Creates what is missing: tables or collections, and the indexes that the
    /// obvious queries need (window and group; window alone). Idempotent.
    fn prepare(&self) -> Result<(), SinkError>;

    /// A writer of its own for each worker; they may write at the same time.
    fn writer(&self) -> Result<Box<dyn Writer>, SinkError>;

    /// For reading what has been acknowledged.
    fn reader(&self) -> Result<Arc<dyn Reader>, SinkError>;

    /// To be called when nothing more will be written: leaves the data in the
    /// form in which others take it (in SQLite: in the one file).
    fn finish(&self) -> Result<(), SinkError> {
        Ok(())
    }

    /// What a person would call it: `mongodb at host:27017, database x`. Never
    /// holds a secret.
    fn describe(&self) -> String;
}

/// One worker's way into the database. Calls block until the database answers.
pub trait Writer: Send {
    /// Writes every row and dead letter of `batch`, each once, and returns when
    /// all of them are durable (in MongoDB: acknowledged by a majority).
    ///
    /// A batch that failed half way may be sent again, and must be the same.
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError>;

    /// Replaces the one document `{_id: "tidemark"}` of the collection
    /// `progress`. To be called when everything through `progress.epoch` has
    /// been written, by all writers.
    fn publish(&mut self, progress: &Progress) -> Result<(), SinkError>;

    /// Deletes the rows of table number `table` that are not final and were written
    /// in an epoch before this one: what an earlier run has left, when all that
    /// still is has been written again.
    ///
    /// Doing it twice, or late, takes no row of a later epoch.
    fn sweep(&mut self, table: usize, epoch: u64) -> Result<(), SinkError>;
}

/// One page of a view's rows.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Rows whose window starts at or after this, in milliseconds since the UNIX epoch.
    pub from: Option<i64>,
    /// Rows whose window starts before this, in milliseconds since the UNIX epoch.
    pub until: Option<i64>,
    /// Group columns that must equal a text.
    pub groups: Vec<(String, String)>,
    /// Rows to pass over, in the order of window start, newest first, then id.
    pub offset: u64,
    /// Rows to return at the most.
    pub limit: u32,
}

/// A row as it stands in the database.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRow {
    /// Its `_id`.
    pub id: String,
    /// One value for each column of its table.
    pub values: Vec<Value>,
    /// True when the window has closed: the row will never change again.
    pub is_final: bool,
    /// The epoch in which it last changed.
    pub epoch: i64,
    /// When it was written, in milliseconds since the UNIX epoch.
    pub updated_at: i64,
}

/// Reads what has been written.
pub trait Reader: Send + Sync {
    /// A page of the rows of table number `table`.
    fn page(&self, table: usize, query: &Query) -> Result<Vec<StoredRow>, SinkError>;

    /// The newest epoch of any row of table number `table`, if it has rows.
    fn newest_epoch(&self, table: usize) -> Result<Option<u64>, SinkError>;

    /// The `progress` document, if there is one yet.
    fn progress(&self) -> Result<Option<Progress>, SinkError>;

    /// Whether the database answers now.
    fn ping(&self) -> Result<(), SinkError>;
}
