//! MongoDB: a collection a view, a document a row.
//!
//! ```text
//!   Batch ─▶ transactions (cut by count and bytes) ─▶ commands (by collection) ─▶ documents
//!                  │                                                             (raw BSON)
//!                  ▼
//!   writer: four lanes, majority ─▶ replies (every part checked)
//! ```
//!
//! | file | subject |
//! | --- | --- |
//! | `config` | the connection string, and what it must not leak |
//! | `connection` | the client, its runtime, deadlines |
//! | `bytes`, `layout`, `documents`, `decimal` | rows and dead letters as BSON, and back |
//! | `standing`, `stored_log`, `holder` | the document of `progress`: what it says, and who may change it |
//! | `cut`, `commands`, `writer`, `replies` | from a batch to what a majority has acknowledged |
//! | `lane` | transactions: commands that are sent again, that come late, or from a run that was replaced |
//! | `eviction` | how a run that takes over stops the older ones |
//! | `errors` | which errors pass with time |
//! | `collections` | what is there at the start, and whether rows can be kept in it |
//! | `indexes` | what is created at the start |
//! | `reader` | pages of rows, progress |
//!
//! It takes a replica set (or a sharded cluster), as anybody does who wants
//! majorities; a single server works, and says at the start what it cannot do.

mod bytes;
mod collections;
mod commands;
mod config;
mod connection;
mod cut;
mod decimal;
mod documents;
mod errors;
mod eviction;
mod holder;
mod indexes;
mod lane;
mod layout;
mod letters;
mod reader;
mod replies;
mod standing;
mod stored_log;
mod totals;
mod trust;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use bytes::{Bytes, Open};
pub use config::{SETTING, Timeouts, database_in, is_of_the_server};

use crate::claim::{self, Held};
use crate::{Claim, Holder, LetterCount, Reader, SinkError, Storage, Table, Writer};
use commands::Tables;
use connection::Connection;

/// A MongoDB database, opened for a set of views.
#[derive(Debug)]
pub struct MongoDb {
    connection: Arc<Connection>,
    /// The same for the steps of a start, which may have less time for each command.
    starting: Connection,
    tables: Arc<Tables>,
    held: Held,
}

/// Opens `database` at the connection string `uri` for `tables`.
///
/// Waits for nothing: whether somebody is there shows at the first call. Its
/// calls block, and must not be made from asynchronous code.
///
/// # Errors
///
/// [`SinkError::Misconfigured`] where the connection string, the database's
/// name or a table cannot be used; [`SinkError::Unavailable`] where the name of
/// a `mongodb+srv` string cannot be looked up.
pub fn open(uri: &str, database: &str, tables: Vec<Table>) -> Result<MongoDb, SinkError> {
    open_with(uri, database, tables, Timeouts::default())
}

/// [`open`], waiting for as long as `timeouts` say.
pub fn open_with(
    uri: &str,
    database: &str,
    tables: Vec<Table>,
    timeouts: Timeouts,
) -> Result<MongoDb, SinkError> {
    config::check_tables(&tables)?;
    let tables = Tables::of(tables)?;
    let connection = Connection::open(uri, database, timeouts)?;
    Ok(MongoDb {
        starting: connection.within_at_most(Duration::MAX),
        connection: Arc::new(connection),
        tables: Arc::new(tables),
        held: Held::default(),
    })
}

impl MongoDb {
    /// Waits for no command of a start ([`Storage::prepare`], [`Storage::claim`],
    /// [`Storage::enter`], [`Storage::define`]) longer than `most`.
    #[must_use]
    pub fn starting_within(mut self, most: Duration) -> MongoDb {
        self.starting = self.connection.within_at_most(most);
        self
    }
}

impl Storage for MongoDb {
    fn prepare(&self) -> Result<(), SinkError> {
        let prepared = indexes::prepare(&self.starting, &self.connection, &self.tables.tables);
        self.starting.block_on(prepared)
    }

    fn claim(&self, claim: &Claim) -> Result<Holder, SinkError> {
        let holder = claim::claim(&self.starting, claim)?;
        self.held.set(holder.generation);
        Ok(holder)
    }

    fn enter(&self, holder: &Holder) -> Result<(), SinkError> {
        let connection = &self.starting;
        connection.block_on(holder::check(connection, holder.generation))?;
        self.held.set(holder.generation);
        Ok(())
    }

    fn define(&self, definitions: &BTreeMap<String, String>) -> Result<(), SinkError> {
        let connection = &self.starting;
        let generation = self.held.generation(connection.describe())?;
        connection.block_on(holder::define(connection, generation, definitions))
    }

    fn watch(&self, answer: bool) -> Result<(), SinkError> {
        let connection = &*self.connection;
        let generation = self.held.generation(connection.describe())?;
        connection.block_on(holder::watch(connection, generation, answer))
    }

    fn release(&self) -> Result<(), SinkError> {
        let connection = &*self.connection;
        let generation = self.held.generation(connection.describe())?;
        connection.block_on(holder::release(connection, generation))
    }

    fn keep_count(&self, counted: LetterCount) -> Result<(), SinkError> {
        let connection = &*self.connection;
        let generation = self.held.generation(connection.describe())?;
        connection.block_on(holder::keep_count(connection, generation, counted))
    }

    fn writes_as_one(&self) -> bool {
        false
    }

    fn writer(&self) -> Result<Box<dyn Writer>, SinkError> {
        let generation = self.held.generation(self.connection.describe())?;
        let (connection, tables) = (Arc::clone(&self.connection), Arc::clone(&self.tables));
        let writer = writer::MongoWriter::new(connection, tables, generation)?;
        Ok(Box::new(writer))
    }

    fn reader(&self) -> Result<Arc<dyn Reader>, SinkError> {
        Ok(Arc::new(reader::MongoReader::new(
            Arc::clone(&self.connection),
            Arc::clone(&self.tables),
        )))
    }

    fn describe(&self) -> String {
        self.connection.describe().to_owned()
    }
}
