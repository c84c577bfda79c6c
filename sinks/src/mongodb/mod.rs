//! MongoDB: a collection a view, a document a row.
//!
//! ```text
//!   Batch ─▶ commands (cut by collection, count and bytes) ─▶ documents (raw BSON)
//!                  │
//!                  ▼
//!   writer: four lanes, retryable writes, majority ─▶ replies (every part checked)
//! ```
//!
//! | file | subject |
//! | --- | --- |
//! | `config` | the connection string, and what it must not leak |
//! | `connection` | the client, its runtime, deadlines |
//! | `layout`, `documents`, `decimal` | rows, dead letters and progress as BSON, and back |
//! | `commands`, `writer`, `replies` | from a batch to what a majority has acknowledged |
//! | `lane` | commands that are sent again, and those that come late |
//! | `errors` | which errors pass with time |
//! | `indexes` | what is created at the start |
//! | `reader` | pages of rows, progress |
//!
//! It takes a replica set (or a sharded cluster), as anybody does who wants
//! majorities; a single server works, and says at the start what it cannot do.

mod commands;
mod config;
mod connection;
mod decimal;
mod documents;
mod errors;
mod indexes;
mod lane;
mod layout;
mod reader;
mod replies;
mod writer;

use std::sync::Arc;

pub use config::Timeouts;

use crate::{Reader, SinkError, Storage, Table, Writer};
use commands::Tables;
use connection::Connection;
use layout::Layout;

/// A MongoDB database, opened for a set of views.
#[derive(Debug)]
pub struct MongoDb {
    connection: Arc<Connection>,
    tables: Arc<Tables>,
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
    let layouts = tables
        .iter()
        .map(Layout::of)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(MongoDb {
        connection: Arc::new(Connection::open(uri, database, timeouts)?),
        tables: Arc::new(Tables { tables, layouts }),
    })
}

impl Storage for MongoDb {
    fn prepare(&self) -> Result<(), SinkError> {
        self.connection
            .block_on(indexes::prepare(&self.connection, &self.tables.tables))
    }

    fn writer(&self) -> Result<Box<dyn Writer>, SinkError> {
        let writer =
            writer::MongoWriter::new(Arc::clone(&self.connection), Arc::clone(&self.tables))?;
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
