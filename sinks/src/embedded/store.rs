//! The file, and who may write to it when.
//!
//! SQLite lets one write at a time. Writers of this process take turns at one
//! connection; other processes on the machine are waited for. Readers have
//! connections of their own and, with the write-ahead log, see the last
//! committed state without stopping anybody.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Params, TransactionBehavior, params_from_iter};

use super::errors;
use super::generation::{self, Held};
use super::schema::{self, Found, Schema};
use crate::{SinkError, Table};

/// How long to wait for another process that is writing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Switches to a write-ahead log. Whoever opens a fresh file at the same time
/// does so too, and SQLite does not wait by itself for that.
fn use_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // The answer is the mode: a row, where others have none.
        match connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome,
        }
    }
}

/// The file, with its one connection for writing.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    describe: String,
    pub(super) tables: Vec<Table>,
    pub(super) schemas: Vec<Schema>,
    writing: Mutex<Connection>,
    /// Tables, by number, that may have other columns until they are made anew.
    remade: Mutex<BTreeSet<usize>>,
}

impl Store {
    pub(super) fn open(path: &Path, tables: Vec<Table>) -> Result<Store, SinkError> {
        let schemas = tables
            .iter()
            .map(Schema::of)
            .collect::<Result<Vec<_>, _>>()?;
        check_names(&tables, &schemas)?;
        let describe = format!("SQLite file {}", path.display());
        let connection = Connection::open(path).map_err(|error| {
            SinkError::misconfigured(
                super::SETTING,
                format!(
                    "{} cannot be opened ({error}); it takes the path of a file in a directory \
                     that exists and is writable",
                    path.display()
                ),
            )
        })?;
        let store = Store {
            path: path.to_owned(),
            tables,
            schemas,
            writing: Mutex::new(connection),
            remade: Mutex::default(),
            describe,
        };
        store.configure().map_err(|error| store.failed(&error))?;
        Ok(store)
    }

    /// Moves everything from the write-ahead log into the file, so that a copy of
    /// the file alone is complete.
    pub(super) fn finish(&self) -> Result<(), SinkError> {
        self.writing()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|error| self.failed(&error))
    }

    fn configure(&self) -> rusqlite::Result<()> {
        let connection = self.writing();
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(64);
        use_write_ahead_log(&connection)?;
        // What a writer says is written has to survive a power cut: NORMAL
        // would lose the last commits then, with progress already published.
        connection.pragma_update(None, "synchronous", "FULL")?;
        // After a burst, the log does not stay as large as it was.
        connection.query_row("PRAGMA journal_size_limit = 67108864", [], |_| Ok(()))?;
        // 32 MiB of pages, since rows are replaced in no order.
        connection.pragma_update(None, "cache_size", -32_768)
    }

    pub(super) fn describe(&self) -> &str {
        &self.describe
    }

    /// Something in the file is not what we write there.
    pub(super) fn unreadable(&self, table: &str, field: &str) -> SinkError {
        SinkError::refused(
            &self.describe,
            format!("a row of {table} has something else in {field} than was written there"),
        )
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) -> SinkError {
        errors::classify(&self.describe, error)
    }

    /// The connection for writing, when it is this thread's turn.
    ///
    /// A writer that panicked has left no transaction open (dropping one rolls
    /// it back), so its turn simply ends.
    fn writing(&self) -> MutexGuard<'_, Connection> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the last committed state, without waiting for whoever writes.
    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        look(&self.reading()?)
    }

    /// Runs one statement that changes a row or none; says whether it did.
    pub(super) fn change(&self, sql: &str, arguments: impl Params) -> Result<bool, SinkError> {
        let changed = self.writing().execute(sql, arguments);
        changed
            .map(|rows| rows > 0)
            .map_err(|error| self.failed(&error))
    }

    /// Does `work` in one transaction, if this generation is the current one: all of it
    /// is on disk in the end, or nothing.
    pub(super) fn write_as(
        &self,
        generation: u64,
        work: impl FnOnce(&Connection, &Held) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        self.transaction(|connection| {
            let held = generation::check(self, connection, generation)?;
            work(connection, &held)
        })
    }

    /// Does `work` in one transaction: all of it is on disk in the end, or nothing.
    fn transaction(
        &self,
        work: impl FnOnce(&Connection) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let mut connection = self.writing();
        let transaction = connection
            // Waits for its turn before it begins: a transaction that turned
            // from reading to writing half way would fail instead.
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| self.failed(&error))?;
        work(&transaction)?;
        transaction.commit().map_err(|error| self.failed(&error))
    }

    /// Creates what is missing; fails where a table is there with other columns.
    pub(super) fn prepare(&self) -> Result<(), SinkError> {
        self.transaction(|connection| {
            let run = |sql: &str| {
                connection
                    .execute_batch(sql)
                    .map_err(|error| self.failed(&error))
            };
            let is = |sql: &str, arguments: &[&str]| {
                connection
                    .query_row(sql, params_from_iter(arguments), |row| row.get::<_, i64>(0))
                    .map(|count| count > 0)
                    .map_err(|error| self.failed(&error))
            };
            let moves = is(schema::LETTERS_NEED_TIMESTAMP, &[])?;
            if moves {
                run(schema::MOVE_LETTERS)?;
            }
            run(schema::COMMON)?;
            if moves {
                run(schema::TAKE_LETTERS)?;
            }
            for (table, column, add) in schema::LATER_COLUMNS {
                if !is(schema::HAS_COLUMN, &[table, column])? {
                    run(add)?;
                }
            }
            for (number, (table, schema)) in self.tables.iter().zip(&self.schemas).enumerate() {
                run(&schema.create)?;
                if table.merged().is_some() {
                    for add in self.look(connection, number)?.additions(table) {
                        run(&add)?;
                    }
                }
                match schema.check(connection, table, &self.describe) {
                    // Its indexes are of other columns, too.
                    Err(_) if self.remade().contains(&number) => continue,
                    checked => checked?,
                }
                for index in &schema.indexes {
                    run(index)?;
                }
            }
            Ok(())
        })
    }

    /// Tables that [`Store::prepare`] takes whatever columns they have.
    pub(super) fn will_remake(&self, tables: &BTreeSet<usize>) {
        self.remade().clone_from(tables);
    }

    fn remade(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.remade.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a table anew that was made for other columns, if this generation is the
    /// current one. Whatever indexes others have made of it go with it.
    pub(super) fn remake(&self, generation: u64, number: usize) -> Result<(), SinkError> {
        let (Some(table), Some(schema)) = (self.tables.get(number), self.schemas.get(number))
        else {
            let problem = format!("there is no table number {number}");
            return Err(SinkError::refused(&self.describe, problem));
        };
        self.write_as(generation, |connection, _| {
            let run = |sql: &String| {
                let made = connection.execute_batch(sql);
                made.map_err(|error| self.failed(&error))
            };
            let found = self.look(connection, number)?;
            if found.is_none() {
                return Ok(());
            }
            if table.merged().is_some() {
                // What others have in it stays.
                found.removals(table).iter().try_for_each(run)?;
                let missing = self.look(connection, number)?;
                missing.additions(table).iter().try_for_each(run)?;
                schema.check(connection, table, &self.describe)?;
            } else {
                run(&format!("DROP TABLE {}", schema::quote(&table.name)))?;
                run(&schema.create)?;
            }
            schema.indexes.iter().try_for_each(run)
        })
    }

    /// How the table of this number differs from what it should be.
    fn look(&self, connection: &Connection, number: usize) -> Result<Found, SinkError> {
        let (table, schema) = (&self.tables[number], &self.schemas[number]);
        let found = schema.look(connection, table);
        found.map_err(|error| self.failed(&error))
    }

    /// A connection of its own for a reader.
    pub(super) fn reading(&self) -> Result<Connection, SinkError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(PATIENCE)?;
            Ok(connection)
        };
        open().map_err(|error| self.failed(&error))
    }
}

fn check_names(tables: &[Table], schemas: &[Schema]) -> Result<(), SinkError> {
    Table::check(tables)?;
    let own = ["dead_letters", "progress", "holder"];
    for (number, (table, schema)) in tables.iter().zip(schemas).enumerate() {
        if table.name.is_empty() || table.name.to_lowercase().starts_with("sqlite_") {
            return Err(SinkError::misconfigured(
                format!("table {:?}", table.name),
                "SQLite cannot have a table of this name",
            ));
        }
        // SQLite does not tell upper from lower case here.
        let name = table.name.to_lowercase();
        let mut others = tables[..number].iter().zip(schemas);
        let is_taken = |(other, columns): (&Table, &Schema)| {
            let is_shared = other.name == table.name && !schema.overlaps(columns);
            other.name.to_lowercase() == name && !is_shared
        };
        if own.contains(&&*name) || others.any(is_taken) {
            return Err(SinkError::misconfigured(
                format!("table {}", table.name),
                "there is another table of this name, or one with columns of the same names",
            ));
        }
    }
    Ok(())
}
