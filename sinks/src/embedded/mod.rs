//! The embedded store: an SQLite file with a table a view.
//!
//! It is for whoever has no MongoDB, and keeps the same promises: a write is
//! one transaction, on disk when it returns, and writing the same batch again
//! changes nothing. Any SQLite tool can query the file while it is written:
//!
//! ```text
//!   sqlite3 tidemark.db 'SELECT * FROM sales_analysis ORDER BY window_start DESC LIMIT 10'
//! ```
//!
//! | file | subject |
//! | --- | --- |
//! | `schema` | tables, columns, indexes |
//! | `store` | the file, and who may write when |
//! | `generation` | which run may write |
//! | `writer`, `reader` | batches in, pages out |
//! | `values` | values as SQLite has them, arrays and documents as JSON |
//! | `errors` | which errors pass with time |

mod errors;
mod generation;
mod letters;
mod reader;
mod schema;
mod store;
mod values;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::claim::{self, Held};
use crate::{Claim, Holder, LetterCount, Reader, SinkError, Storage, Table, Writer};
use store::Store;

/// What errors call the file.
pub const SETTING: &str = "embedded store";

/// `_id` of the one row of the table `progress`.
const PROGRESS_ID: &str = "tidemark";

/// An SQLite file, opened for a set of views.
#[derive(Debug)]
pub struct Embedded {
    store: Arc<Store>,
    held: Held,
}

/// Opens the file at `path`, or creates it, for `tables`.
///
/// # Errors
///
/// [`SinkError::Misconfigured`] where the path or a table cannot be used,
/// [`SinkError::Refused`] where the file is something else than a database.
pub fn open(path: &Path, tables: Vec<Table>) -> Result<Embedded, SinkError> {
    Ok(Embedded {
        store: Arc::new(Store::open(path, tables)?),
        held: Held::default(),
    })
}

impl Storage for Embedded {
    fn prepare(&self) -> Result<(), SinkError> {
        self.store.prepare()
    }

    fn will_remake(&self, tables: &BTreeSet<usize>) {
        self.store.will_remake(tables);
    }

    fn remake(&self, table: usize) -> Result<(), SinkError> {
        let generation = self.held.generation(self.store.describe())?;
        self.store.remake(generation, table)
    }

    fn finish(&self) -> Result<(), SinkError> {
        self.store.finish()
    }

    fn claim(&self, claim: &Claim) -> Result<Holder, SinkError> {
        let holder = claim::claim(&*self.store, claim)?;
        self.held.set(holder.generation);
        Ok(holder)
    }

    fn enter(&self, holder: &Holder) -> Result<(), SinkError> {
        let store = &*self.store;
        store.read(|connection| generation::check(store, connection, holder.generation))?;
        self.held.set(holder.generation);
        Ok(())
    }

    fn define(&self, definitions: &BTreeMap<String, String>) -> Result<(), SinkError> {
        let (store, generation) = (&*self.store, self.held.generation(self.store.describe())?);
        store.write_as(generation, |connection, _| {
            generation::define(store, connection, generation, definitions)
        })
    }

    fn watch(&self, answer: bool) -> Result<(), SinkError> {
        let (store, generation) = (&*self.store, self.held.generation(self.store.describe())?);
        store.read(|connection| generation::check(store, connection, generation))?;
        match answer {
            true => generation::answer(store, generation),
            false => Ok(()),
        }
    }

    fn release(&self) -> Result<(), SinkError> {
        let generation = self.held.generation(self.store.describe())?;
        generation::end(&self.store, generation)
    }

    fn keep_count(&self, counted: LetterCount) -> Result<(), SinkError> {
        let generation = self.held.generation(self.store.describe())?;
        generation::count(&self.store, generation, counted)
    }

    fn writes_as_one(&self) -> bool {
        true
    }

    fn writer(&self) -> Result<Box<dyn Writer>, SinkError> {
        let generation = self.held.generation(self.store.describe())?;
        let store = Arc::clone(&self.store);
        Ok(Box::new(writer::EmbeddedWriter::new(store, generation)))
    }

    fn reader(&self) -> Result<Arc<dyn Reader>, SinkError> {
        Ok(Arc::new(reader::EmbeddedReader::new(Arc::clone(
            &self.store,
        ))?))
    }

    fn describe(&self) -> String {
        self.store.describe().to_owned()
    }
}
