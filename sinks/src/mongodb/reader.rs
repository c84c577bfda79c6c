//! Reads what a majority holds, so that nothing read is ever taken back.

use std::sync::Arc;

use ::mongodb::bson::{DateTime, Document, RawDocumentBuf, doc};
use ::mongodb::options::{CollectionOptions, ReadConcern};

use super::commands::Tables;
use super::connection::Connection;
use super::documents;
use crate::{Progress, Query, Reader, SinkError, StoredRow, Table};

/// A way to read the database.
#[derive(Debug)]
pub(super) struct MongoReader {
    connection: Arc<Connection>,
    tables: Arc<Tables>,
}

impl MongoReader {
    pub(super) fn new(connection: Arc<Connection>, tables: Arc<Tables>) -> MongoReader {
        MongoReader { connection, tables }
    }

    fn collection(&self, name: &str) -> ::mongodb::Collection<RawDocumentBuf> {
        let options = CollectionOptions::builder()
            .read_concern(ReadConcern::majority())
            .build();
        self.connection
            .database()
            .collection_with_options(name, options)
    }

    fn unreadable(&self, collection: &str, problem: &str) -> SinkError {
        SinkError::refused(
            self.connection.describe(),
            format!("a document of {collection} is not one of ours: {problem}"),
        )
    }
}

impl Reader for MongoReader {
    fn page(&self, table: usize, query: &Query) -> Result<Vec<StoredRow>, SinkError> {
        let table = Table::number(&self.tables.tables, table)?;
        let filter = filter(table, query)?;
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        let mut order = Document::new();
        if let Some(window) = table.window_start() {
            order.insert(window.name.as_str(), -1);
        }
        order.insert("_id", 1);
        let connection = &*self.connection;
        connection.block_on(async {
            let collection = self.collection(&table.name);
            let find = collection
                .find(filter)
                .sort(order)
                .skip(query.offset)
                .limit(i64::from(query.limit));
            let mut cursor = connection.within(find).await?;
            let mut rows = Vec::new();
            while connection.within(cursor.advance()).await? {
                let row = documents::stored_row(table, cursor.current())
                    .map_err(|problem| self.unreadable(&table.name, &problem))?;
                rows.push(row);
            }
            Ok(rows)
        })
    }

    fn newest_epoch(&self, table: usize) -> Result<Option<u64>, SinkError> {
        let table = Table::number(&self.tables.tables, table)?;
        let collection = self.collection(&table.name);
        let find = collection
            // Not those of others.
            .find_one(doc! {"epoch": {"$type": "long"}})
            .sort(doc! {"epoch": -1})
            .projection(doc! {"epoch": 1});
        let found = self.connection.block_on(self.connection.within(find))?;
        found
            .map(|document| {
                let epoch = document.get_i64("epoch").map_err(|error| error.to_string());
                epoch.and_then(|epoch| u64::try_from(epoch).map_err(|error| error.to_string()))
            })
            .transpose()
            .map_err(|problem| self.unreadable(&table.name, &problem))
    }

    fn progress(&self) -> Result<Option<Progress>, SinkError> {
        let collection = self.collection("progress");
        let find = collection.find_one(doc! {"_id": documents::PROGRESS_ID});
        let found = self.connection.block_on(self.connection.within(find))?;
        found
            .map(|document| {
                documents::stored_progress(&document)
                    .map_err(|problem| self.unreadable("progress", &problem))
            })
            .transpose()
    }

    fn ping(&self) -> Result<(), SinkError> {
        self.connection.block_on(self.connection.ping())
    }
}

fn filter(table: &Table, query: &Query) -> Result<Document, SinkError> {
    // A collection may also hold documents that another job wrote long ago.
    let mut filter = doc! {"epoch": {"$type": "long"}};
    let mut span = Document::new();
    if let Some(from) = query.from {
        span.insert("$gte", DateTime::from_millis(from));
    }
    if let Some(until) = query.until {
        span.insert("$lt", DateTime::from_millis(until));
    }
    if !span.is_empty() {
        let window = table.window_start().ok_or_else(|| {
            SinkError::bad_query(format!("{} has no windows to choose from", table.name))
        })?;
        filter.insert(window.name.as_str(), span);
    }
    let mut groups = Vec::new();
    for (name, text) in &query.groups {
        let column = table.group(name)?;
        groups.push(doc! {column.name.as_str(): {"$eq": text}});
    }
    if !groups.is_empty() {
        filter.insert("$and", groups);
    }
    Ok(filter)
}
