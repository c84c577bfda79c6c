//! Where rows go.
//!
//! A [`Storage`] is a database that holds the views: one [`Table`] a view, one
//! document (or row) for each window and group. Whoever computes the rows knows
//! nothing of MongoDB or SQLite, and nothing here knows Kafka or dataflow:
//!
//! ```text
//!   Storage::claim: one run may write; Storage::define: rows of which definitions
//!     │
//!     │          Batch (the changes of one or more whole epochs, one write a row)
//!     ▼            ▼
//!   Writer::reach, write ──▶ acknowledged by a majority ──▶ Writer::publish(Progress)
//!
//!   Reader::page  ◀── HTTP, tests, people
//! ```
//!
//! Writes are idempotent: a row is always written with all its columns under a
//! deterministic id, so that the same [`Batch`] may be sent any number of times.

mod alive;
mod batch;
mod claim;
pub mod embedded;
mod error;
pub mod fail_points;
mod generation;
mod json;
mod letters;
mod log;
pub mod mongodb;
mod page;
pub mod retry;
mod table;
mod text;
mod totals;
mod value;

pub use batch::{Batch, DeadLetter, Expect, Progress, Reason, Row, RowId, ViewProgress};
pub use error::SinkError;
pub use generation::{Claim, Holder, LetterCount, Limit, Limits, Standing, WriteIntent};
pub use letters::LetterQuery;
pub use log::{LastRead, Log, LogIdentity};
pub use table::{Column, Kind, Role, Table, WriteMode};
pub use totals::{Total, Totals};
pub use value::{DecimalId, DoubleId, IdValue, Value};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A database opened for a set of views.
pub trait Storage: Send + Sync {
    /// Creates what is missing: tables or collections, and their indexes (by window;
    /// by group, where a table is to have one). Idempotent; drops nothing.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] also where a table or collection of that name is there in
    /// which rows cannot be kept.
    fn prepare(&self) -> Result<(), SinkError>;

    /// To be called before [`Storage::prepare`], with the numbers of tables whose rows are
    /// about to be deleted: those may have been made for other columns than now.
    fn will_remake(&self, _tables: &BTreeSet<usize>) {}

    /// Gives table number `table` the columns of now, where a database has columns of its
    /// own (SQLite) and they are others. Its rows are to be deleted before; only after
    /// [`Storage::claim`].
    ///
    /// # Errors
    ///
    /// [`SinkError::Replaced`] when this generation is not the current one.
    fn remake(&self, _table: usize) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes the right to write, by compare-and-set of the generation: one more than
    /// the last, 1 at first. When it returns, no older generation can change a single
    /// document any more. (A MongoDB that is no replica set keeps it from publishing,
    /// and not from writing rows.)
    ///
    /// From then on somebody may ask whether this run is alive, and waits no longer than
    /// the patience of their claim: [`Storage::watch`] is to be called from now on.
    ///
    /// # Errors
    ///
    /// [`SinkError::Held`] when another run is alive and `claim.take_over` is false.
    /// After [`SinkError::Unavailable`] it may be made again, and does not ask itself.
    fn claim(&self, claim: &Claim) -> Result<Holder, SinkError>;

    /// Another process of the same run: writes under the generation that its process 0
    /// has claimed.
    ///
    /// # Errors
    ///
    /// [`SinkError::Replaced`] when that is not the current one.
    fn enter(&self, holder: &Holder) -> Result<(), SinkError>;

    /// Records the definitions of the views whose rows are written from now on, in place
    /// of those recorded before: to be called after [`Storage::claim`] and before the
    /// first row of a view that has changed. Durable when it returns.
    ///
    /// # Errors
    ///
    /// [`SinkError::Replaced`] when this generation is not the current one.
    fn define(&self, definitions: &BTreeMap<String, String>) -> Result<(), SinkError>;

    /// To be called every second or so by each process: looks whether it has been
    /// replaced and, where `answer` is true (in process 0), answers whoever asks
    /// whether the run is alive. Only reads unless somebody asks.
    ///
    /// # Errors
    ///
    /// [`SinkError::Replaced`] when a newer generation has taken over. When the database
    /// is away, nothing is known.
    fn watch(&self, answer: bool) -> Result<(), SinkError>;

    /// A clean end, when all processes have written everything: the next claim need
    /// not ask anybody, and what [`Storage::keep_count`] has kept is forgotten.
    fn release(&self) -> Result<(), SinkError>;

    /// The end of a run that has too many dead letters: what it has counted, as far as that is
    /// written. It is kept until a run ends well, and found as [`Standing::counted`].
    fn keep_count(&self, counted: LetterCount) -> Result<(), SinkError>;

    /// Whether all rows of an epoch go through one writer, together with the progress,
    /// in one transaction (SQLite), or many write at the same time (MongoDB).
    fn writes_as_one(&self) -> bool;

    /// A writer of its own for each worker; they may write at the same time. Only
    /// after [`Storage::claim`] or [`Storage::enter`].
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
    ///
    /// # Errors
    ///
    /// [`SinkError::Deleted`] when a row is not there that was [expected](Expect::Present).
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError>;

    /// Says what may be in the database from now on: to be called before rows of
    /// that epoch are written, and returns when it is durable.
    ///
    /// Epochs only grow, also over generations: a second call for an epoch must say
    /// the same.
    fn reach(&mut self, reaching: &WriteIntent) -> Result<(), SinkError>;

    /// Says in the one document `{_id: "tidemark"}` of `progress` how far everything
    /// is complete. To be called when everything through `progress.epoch` has been
    /// written, by all writers. Epochs only grow.
    fn publish(&mut self, progress: &Progress) -> Result<(), SinkError>;
}

/// One page of a view's rows.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Rows whose window starts at or after this, in milliseconds since the UNIX epoch.
    pub from: Option<i64>,
    /// Rows whose window starts before this, in milliseconds since the UNIX epoch.
    pub until: Option<i64>,
    /// Group columns that must equal a value.
    pub groups: Vec<(String, Value)>,
    /// Only rows that come after the one of this id, in the order of window start, newest
    /// first (where there are windows), then id, the greatest first: the last one of the page
    /// before.
    pub after: Option<IdValue>,
    /// Rows to pass over, in that order.
    pub offset: u64,
    /// Rows to return at the most.
    pub limit: u32,
}

/// A row as it stands in the database.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRow {
    /// Its `_id`.
    pub id: IdValue,
    /// One value for each column of its table.
    pub values: Vec<Value>,
    /// True when the window has closed: the row will never change again.
    pub is_final: bool,
    /// The epoch in which it last changed.
    pub epoch: i64,
    /// When it was written, in milliseconds since the UNIX epoch.
    pub updated_at: i64,
}

/// A dead letter as it stands in the database, without the message itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLetter {
    /// Its `_id`: [`DeadLetter::id`].
    pub id: String,
    /// Kafka topic.
    pub topic: String,
    /// Kafka partition.
    pub partition: i32,
    /// Kafka offset.
    pub offset: i64,
    /// Why it could not be used.
    pub reason: Reason,
    /// The view it is lost to; `None` where it is lost to all.
    pub view: Option<String>,
    /// The epoch in which it was read.
    pub epoch: u64,
}

/// Reads what has been written.
pub trait Reader: Send + Sync {
    /// A page of the rows of table number `table`.
    fn page(&self, table: usize, query: &Query) -> Result<Vec<StoredRow>, SinkError>;

    /// Sums over the rows of table number `table`: the largest first sum first.
    fn totals(&self, table: usize, totals: &Totals) -> Result<Vec<Total>, SinkError>;

    /// How a person would ask the database for the same.
    fn totals_query(&self, table: usize, totals: &Totals) -> Result<String, SinkError>;

    /// The windows that table number `table` has rows of, from `from` on, the oldest first:
    /// when each starts, in milliseconds since the UNIX epoch, and how many rows it has.
    fn windows(&self, table: usize, from: Option<i64>) -> Result<Vec<(i64, u64)>, SinkError>;

    /// A page of the dead letters, with their messages.
    fn letters(&self, query: &LetterQuery) -> Result<Vec<DeadLetter>, SinkError>;

    /// How far everything is complete, if anything has been published yet.
    fn progress(&self) -> Result<Option<Progress>, SinkError> {
        self.standing().map(|standing| standing.progress)
    }

    /// All that the `progress` document says.
    fn standing(&self) -> Result<Standing, SinkError>;

    /// Calls `each` with every row of table number `table`, final ones too, that is
    /// of an epoch later than `epoch`; in any order.
    fn written_after(
        &self,
        table: usize,
        epoch: u64,
        each: &mut dyn FnMut(StoredRow),
    ) -> Result<(), SinkError>;

    /// Calls `each` with the id of every row of table number `table`, final ones too, that is
    /// not less than `from`, whatever columns it has; in any order. With an empty `from`, of
    /// all rows; another one is for tables whose ids are texts.
    fn ids(&self, table: usize, from: &str, each: &mut dyn FnMut(IdValue))
    -> Result<(), SinkError>;

    /// Calls `each` with the id of every row of table number `table`, final ones too, that was
    /// written last in an epoch before `epoch`, whatever columns it has; in any order.
    fn ids_before(
        &self,
        table: usize,
        epoch: u64,
        each: &mut dyn FnMut(IdValue),
    ) -> Result<(), SinkError>;

    /// Whether table number `table` has final rows, or an index of the user's by which the
    /// database deletes rows after a time.
    fn has_finals(&self, table: usize) -> Result<bool, SinkError>;

    /// Calls `each` with every dead letter of an epoch later than `epoch`; in any
    /// order.
    fn letters_after(
        &self,
        epoch: u64,
        each: &mut dyn FnMut(StoredLetter),
    ) -> Result<(), SinkError>;

    /// Whether the database answers now.
    fn ping(&self) -> Result<(), SinkError>;
}
