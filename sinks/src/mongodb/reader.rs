//! Reads what a majority holds, so that nothing read is ever taken back.

use std::sync::Arc;

use ::mongodb::action::Find;
use ::mongodb::bson::{DateTime, Document, RawDocument, RawDocumentBuf, doc};
use ::mongodb::options::{CollectionOptions, ReadConcern};

use super::commands::Tables;
use super::connection::Connection;
use super::{documents, holder, letters, totals};
use crate::page::{Ids, no_id, window_of};
use crate::{
    DeadLetter, LetterQuery, Query, Reader, SinkError, Standing, StoredLetter, StoredRow, Table,
    Total, Totals,
};

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

    /// Calls `each` with all that is found, a part at a time.
    fn each(
        &self,
        find: Find<'_, RawDocumentBuf>,
        mut each: impl FnMut(&RawDocument) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let connection = &*self.connection;
        connection.block_on(async {
            let mut cursor = connection.within_long(find).await?;
            while connection.within_long(cursor.advance()).await? {
                each(cursor.current())?;
            }
            Ok(())
        })
    }

    /// All that a pipeline finds in `table`; an error of `read` says what is not as it
    /// should be.
    fn aggregated<T>(
        &self,
        table: &Table,
        pipeline: Vec<Document>,
        read: impl Fn(&RawDocument) -> Result<T, String>,
    ) -> Result<Vec<T>, SinkError> {
        let connection = &*self.connection;
        connection.block_on(async {
            let collection = self.collection(&table.name);
            let asked = collection.aggregate(pipeline).with_type::<RawDocumentBuf>();
            let mut cursor = connection.within(asked).await?;
            let mut all = Vec::new();
            while connection.within(cursor.advance()).await? {
                let found = read(cursor.current())
                    .map_err(|problem| self.unreadable(&table.name, &problem))?;
                all.push(found);
            }
            Ok(all)
        })
    }

    fn pipeline(&self, table: &Table, totals: &Totals) -> Result<Vec<Document>, SinkError> {
        let rows = Query {
            from: totals.from,
            until: totals.until,
            groups: totals.groups.clone(),
            ..Query::default()
        };
        totals::pipeline(table, filter(table, &rows)?, totals)
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
        let (filter, order) = page(table, query)?;
        if query.limit == 0 {
            return Ok(Vec::new());
        }
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

    fn totals(&self, table: usize, totals: &Totals) -> Result<Vec<Total>, SinkError> {
        let table = Table::number(&self.tables.tables, table)?;
        let pipeline = self.pipeline(table, totals)?;
        self.aggregated(table, pipeline, |found| totals::found(table, totals, found))
    }

    fn totals_query(&self, table: usize, totals: &Totals) -> Result<String, SinkError> {
        let table = Table::number(&self.tables.tables, table)?;
        Ok(totals::shell(table, self.pipeline(table, totals)?))
    }

    fn windows(&self, table: usize, from: Option<i64>) -> Result<Vec<(i64, u64)>, SinkError> {
        let table = Table::number(&self.tables.tables, table)?;
        let Some(window) = table.window_start() else {
            return Ok(Vec::new());
        };
        let from = DateTime::from_millis(from.unwrap_or(i64::MIN));
        // Both by the index on windows alone.
        let pipeline = [
            doc! {"$match": {window.name.as_str(): {"$gte": from}}},
            doc! {"$group": {"_id": format!("${}", window.name), "rows": {"$sum": 1_i64}}},
            doc! {"$sort": {"_id": 1}},
        ];
        self.aggregated(table, pipeline.into(), |found| {
            let start = found.get_datetime("_id").map(DateTime::timestamp_millis);
            let both = start.and_then(|start| Ok((start, found.get_i64("rows")?)));
            let (start, rows) = both.map_err(|error| error.to_string())?;
            Ok((start, u64::try_from(rows).unwrap_or(0)))
        })
    }

    fn letters(&self, query: &LetterQuery) -> Result<Vec<DeadLetter>, SinkError> {
        let collection = self.collection("dead_letters");
        let find = collection.find(letters::filter(query));
        let find = find.sort(doc! {"timestamp": -1, "_id": 1});
        let find = find.skip(query.offset.into()).limit(query.limit.into());
        let mut all = Vec::new();
        self.each(find, |document| {
            let letter = letters::whole(document)
                .map_err(|problem| self.unreadable("dead_letters", &problem))?;
            all.push(letter);
            Ok(())
        })?;
        Ok(all)
    }

    fn standing(&self) -> Result<Standing, SinkError> {
        let stored = self.connection.block_on(holder::look(&self.connection))?;
        Ok(stored.map(|stored| stored.standing).unwrap_or_default())
    }

    fn written_after(
        &self,
        table: usize,
        epoch: u64,
        each: &mut dyn FnMut(StoredRow),
    ) -> Result<(), SinkError> {
        let table = Table::number(&self.tables.tables, table)?;
        let collection = self.collection(&table.name);
        let find = collection.find(later_than(epoch));
        self.each(find, |document| {
            let row = documents::stored_row(table, document)
                .map_err(|problem| self.unreadable(&table.name, &problem))?;
            each(row);
            Ok(())
        })
    }

    fn ids(&self, table: usize, from: &str, each: &mut dyn FnMut(String)) -> Result<(), SinkError> {
        let table = Table::number(&self.tables.tables, table)?;
        let mut filter = later_than(0);
        if !from.is_empty() {
            filter.insert("_id", doc! {"$gte": from});
        }
        let collection = self.collection(&table.name);
        let find = collection.find(filter);
        self.each(find.projection(doc! {"_id": 1}), |document| {
            let id = document.get_str("_id");
            let id = id.map_err(|problem| self.unreadable(&table.name, &problem.to_string()))?;
            each(id.to_owned());
            Ok(())
        })
    }

    fn has_finals(&self, table: usize) -> Result<bool, SinkError> {
        let table = Table::number(&self.tables.tables, table)?;
        let (connection, collection) = (&*self.connection, self.collection(&table.name));
        connection.block_on(async {
            // The oldest windows close first: most often the first row that is looked at is one.
            let mut filter = later_than(0);
            filter.insert("final", true);
            let find = collection.find(filter).sort(doc! {"_id": 1}).limit(1);
            let mut found = connection.within_long(find).await?;
            if connection.within_long(found.advance()).await? {
                return Ok(true);
            }
            let mut indexes = connection.within(collection.list_indexes()).await?;
            while connection.within(indexes.advance()).await? {
                if matches!(indexes.current().get("expireAfterSeconds"), Ok(Some(_))) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    fn letters_after(
        &self,
        epoch: u64,
        each: &mut dyn FnMut(StoredLetter),
    ) -> Result<(), SinkError> {
        let mut fields = Document::new();
        for field in documents::LETTER_FIELDS {
            fields.insert(field, 1);
        }
        let letters = self.collection("dead_letters");
        let find = letters.find(later_than(epoch)).projection(fields);
        self.each(find, |document| {
            let letter = documents::stored_letter(document)
                .map_err(|problem| self.unreadable("dead_letters", &problem))?;
            each(letter);
            Ok(())
        })
    }

    fn ping(&self) -> Result<(), SinkError> {
        self.connection.block_on(self.connection.ping())
    }
}

/// Of a later epoch. A comparison finds only numbers, so not what another job wrote
/// long ago.
fn later_than(epoch: u64) -> Document {
    doc! {"epoch": {"$gt": documents::long(epoch)}}
}

/// Which rows a page is of, and in which order.
fn page(table: &Table, query: &Query) -> Result<(Document, Document), SinkError> {
    let Some(window) = table.window_start().filter(|_| table.ids_by_window) else {
        return page_by_window(table, query);
    };
    // By the span of ids, and not of windows: so the server reads along the one index that
    // has the order, and does not sort.
    let mut asked = query.clone();
    (asked.from, asked.until) = (None, None);
    let mut filter = filter(table, &asked)?;
    let ids = Ids::of(query);
    // Ids of other jobs are of other types as a rule, and do not count.
    let mut span = doc! {"$gte": ids.from};
    if let Some(below) = ids.below {
        span.insert("$lt", below);
    }
    filter.insert("_id", span);
    if table.group_index && !query.groups.is_empty() {
        // There is another index, by which it may be quicker.
        if let Some(span) = window_span(query) {
            filter.insert(window.name.as_str(), span);
        }
    }
    Ok((filter, doc! {"_id": -1}))
}

/// The same where the order of ids is not that of windows: what is asked for is sorted.
fn page_by_window(table: &Table, query: &Query) -> Result<(Document, Document), SinkError> {
    let mut filter = filter(table, query)?;
    let mut order = Document::new();
    if let Some(window) = table.window_start() {
        order.insert(window.name.as_str(), -1);
        if let Some(after) = &query.after {
            let start = window_of(after).ok_or_else(|| no_id(table, after))?;
            let start = DateTime::from_millis(start);
            let further = [
                doc! {window.name.as_str(): {"$lt": start}},
                doc! {window.name.as_str(): start, "_id": {"$lt": after}},
            ];
            filter.insert("$or", further.to_vec());
        }
    } else if let Some(after) = &query.after {
        filter.insert("_id", doc! {"$lt": after});
    }
    order.insert("_id", -1);
    Ok((filter, order))
}

/// The windows that are asked for, if not all are.
fn window_span(query: &Query) -> Option<Document> {
    let mut span = Document::new();
    if let Some(from) = query.from {
        span.insert("$gte", DateTime::from_millis(from));
    }
    if let Some(until) = query.until {
        span.insert("$lt", DateTime::from_millis(until));
    }
    (!span.is_empty()).then_some(span)
}

fn filter(table: &Table, query: &Query) -> Result<Document, SinkError> {
    // A collection may also hold documents that another job wrote long ago.
    let mut filter = doc! {"epoch": {"$type": "long"}};
    if let Some(span) = window_span(query) {
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
