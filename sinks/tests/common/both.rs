//! Both databases, for what is the same in them.

use sinks::{Batch, IdValue, Query, Reader, Row, RowId, Storage, StoredRow, Table, Value};

use super::server::Database;
use super::{START, begin};

/// A database of a test's own.
pub enum Place {
    MongoDb(Database),
    Sqlite(tempfile::TempDir),
}

impl Place {
    /// One in each.
    pub fn both(test: &str) -> [Place; 2] {
        [
            Place::MongoDb(Database::new(test)),
            Place::Sqlite(tempfile::tempdir().unwrap()),
        ]
    }

    /// As a run does that starts: what is missing is made, and whoever wrote is replaced.
    pub fn open(&self, tables: Vec<Table>) -> Box<dyn Storage> {
        let storage = self.try_open(tables).unwrap();
        storage.prepare().unwrap();
        begin(&*storage);
        storage
    }

    pub fn try_open(&self, tables: Vec<Table>) -> Result<Box<dyn Storage>, sinks::SinkError> {
        Ok(match self {
            Place::MongoDb(database) => {
                Box::new(sinks::mongodb::open(&database.uri, &database.name, tables)?)
            }
            Place::Sqlite(directory) => Box::new(sinks::embedded::open(
                &directory.path().join("tidemark.db"),
                tables,
            )?),
        })
    }

    pub fn name(&self) -> &'static str {
        match self {
            Place::MongoDb(_) => "MongoDB",
            Place::Sqlite(_) => "SQLite",
        }
    }

    /// The rows of a query, in SQLite.
    pub fn sql(&self, sql: &str) -> Vec<Vec<rusqlite::types::Value>> {
        let Place::Sqlite(directory) = self else {
            panic!("{} has no SQL", self.name());
        };
        let connection = rusqlite::Connection::open(directory.path().join("tidemark.db")).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| (0..columns).map(|n| row.get(n)).collect())
            .unwrap();
        rows.map(Result::unwrap).collect()
    }
}

pub fn any_id(table: usize, id: impl Into<Value>) -> RowId {
    RowId {
        table,
        id: IdValue::new(id.into()).unwrap(),
    }
}

pub fn row(id: RowId, values: Vec<Value>) -> Row {
    Row {
        id,
        values,
        is_final: false,
        expect: sinks::Expect::Either,
        epoch: 6,
        updated_at: START + 77,
    }
}

pub fn deletes(deletes: Vec<RowId>) -> Batch {
    Batch {
        deletes,
        ..super::puts(Vec::new())
    }
}

/// All rows, read in pages of two.
pub fn pages(reader: &dyn Reader, table: usize) -> Vec<StoredRow> {
    let mut all: Vec<StoredRow> = Vec::new();
    loop {
        let page = reader
            .page(
                table,
                &Query {
                    after: all.last().map(|row| row.id.clone()),
                    limit: 2,
                    ..Query::default()
                },
            )
            .unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
        assert!(all.len() < 1_000, "pages end");
    }
}

/// The ids of some rows.
pub fn ids(rows: &[StoredRow]) -> Vec<String> {
    rows.iter().map(|row| row.id.to_string()).collect()
}
