//! Reads what a majority holds, so that nothing read is ever taken back.

use std::sync::Arc;

use ::mongodb::action::Find;
use ::mongodb::bson::{Bson, DateTime, Document, RawDocument, RawDocumentBuf, doc};
use ::mongodb::options::{CollectionOptions, ReadConcern};

use super::commands::Tables;
use super::connection::Connection;
use super::layout::{Layout, path};
use super::{documents, holder, letters, totals};
use crate::page::{Ids, no_id, window_of};
use crate::{
    DeadLetter, IdValue, LetterQuery, Query, Reader, SinkError, Standing, StoredLetter, StoredRow,
    Table, Total, Totals,
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

    /// The table of this number, and its layout.
    fn table(&self, number: usize) -> Result<(&Table, &Layout), SinkError> {
        let table = Table::number(&self.tables.tables, number)?;
        Ok((table, &self.tables.layouts[number]))
    }

    /// When the window starts that the row of this id is of.
    async fn window_of(&self, table: &Table, window: &str, id: &IdValue) -> Result<i64, SinkError> {
        let connection = &*self.connection;
        let collection = self.collection(&table.name);
        let find = collection.find_one(doc! {"_id": bson_id(id)});
        let found = connection.within(find.projection(doc! {window: 1})).await?;
        let start = found.and_then(|found| documents::date_at(&found, window));
        // It may be gone; most ids say it themselves.
        let start = start.or_else(|| window_of(id.as_text()?));
        start.ok_or_else(|| no_id(table, id))
    }

    /// Calls `each` with the ids of the rows of a table that `filter` finds.
    fn ids_of(
        &self,
        table: &Table,
        filter: Document,
        each: &mut dyn FnMut(IdValue),
    ) -> Result<(), SinkError> {
        let collection = self.collection(&table.name);
        let find = collection.find(filter);
        self.each(find.projection(doc! {"_id": 1}), |document| {
            let id = documents::stored_id(document);
            each(id.map_err(|problem| self.unreadable(&table.name, &problem))?);
            Ok(())
        })
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
        let (table, layout) = self.table(table)?;
        let connection = &*self.connection;
        connection.block_on(async {
            let (filter, order) = self.page_of(table, query).await?;
            if query.limit == 0 {
                return Ok(Vec::new());
            }
            let collection = self.collection(&table.name);
            let find = collection
                .find(filter)
                .sort(order)
                .skip(query.offset)
                .limit(i64::from(query.limit));
            let mut cursor = connection.within(find).await?;
            let mut rows = Vec::new();
            while connection.within(cursor.advance()).await? {
                let row = documents::stored_row(table, layout, cursor.current())
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
        let (table, layout) = self.table(table)?;
        let collection = self.collection(&table.name);
        let find = collection.find(later_than(&path(table, "epoch"), epoch));
        self.each(find, |document| {
            let row = documents::stored_row(table, layout, document)
                .map_err(|problem| self.unreadable(&table.name, &problem))?;
            each(row);
            Ok(())
        })
    }

    fn ids(
        &self,
        table: usize,
        from: &str,
        each: &mut dyn FnMut(IdValue),
    ) -> Result<(), SinkError> {
        let table = Table::number(&self.tables.tables, table)?;
        let mut filter = later_than(&path(table, "epoch"), 0);
        if !from.is_empty() {
            filter.insert("_id", doc! {"$gte": from});
        }
        self.ids_of(table, filter, each)
    }

    fn ids_before(
        &self,
        table: usize,
        epoch: u64,
        each: &mut dyn FnMut(IdValue),
    ) -> Result<(), SinkError> {
        let table = Table::number(&self.tables.tables, table)?;
        let earlier = doc! {"$lt": i64::try_from(epoch).unwrap_or(i64::MAX)};
        self.ids_of(table, doc! {path(table, "epoch"): earlier}, each)
    }

    fn has_finals(&self, table: usize) -> Result<bool, SinkError> {
        let table = Table::number(&self.tables.tables, table)?;
        let (connection, collection) = (&*self.connection, self.collection(&table.name));
        connection.block_on(async {
            // The oldest windows close first: most often the first row that is looked at is one.
            let mut filter = later_than(&path(table, "epoch"), 0);
            filter.insert(path(table, "final"), true);
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
        let find = letters.find(later_than("epoch", epoch)).projection(fields);
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
fn later_than(field: &str, epoch: u64) -> Document {
    doc! {field: {"$gt": documents::long(epoch)}}
}

impl MongoReader {
    /// Which rows a page is of, and in which order.
    async fn page_of(
        &self,
        table: &Table,
        query: &Query,
    ) -> Result<(Document, Document), SinkError> {
        match table.window_start() {
            Some(window) if table.ids_by_window => page_by_id(table, &window.name, query),
            Some(window) => {
                let mut after = None;
                if let Some(id) = &query.after {
                    let start = self.window_of(table, &window.name, id).await?;
                    after = Some((DateTime::from_millis(start), bson_id(id)));
                }
                page_by_window(table, &window.name, query, after)
            }
            None => page_without_windows(table, query),
        }
    }
}

/// A page where ids sort as windows do.
fn page_by_id(
    table: &Table,
    window: &str,
    query: &Query,
) -> Result<(Document, Document), SinkError> {
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
            filter.insert(window, span);
        }
    }
    Ok((filter, doc! {"_id": -1}))
}

/// The same where the order of ids is not that of windows: what is asked for is sorted.
/// `after`: the window and the id of the last row of the page before.
fn page_by_window(
    table: &Table,
    window: &str,
    query: &Query,
    after: Option<(DateTime, Bson)>,
) -> Result<(Document, Document), SinkError> {
    let mut filter = filter(table, query)?;
    if let Some((start, id)) = after {
        let further = [
            doc! {window: {"$lt": start}},
            doc! {window: start, "_id": {"$lt": id}},
        ];
        filter.insert("$or", further.to_vec());
    }
    Ok((filter, doc! {window: -1, "_id": -1}))
}

/// The same where there are no windows: by id alone.
fn page_without_windows(table: &Table, query: &Query) -> Result<(Document, Document), SinkError> {
    let mut filter = filter(table, query)?;
    match &query.after {
        None => {}
        // The last there is: null is less than all others.
        Some(IdValue::Null) => drop(filter.insert("_id", doc! {"$in": []})),
        Some(id) => {
            // A comparison finds only values of the same type.
            let further = [doc! {"_id": {"$lt": bson_id(id)}}, doc! {"_id": Bson::Null}];
            filter.insert("$or", further.to_vec());
        }
    }
    Ok((filter, doc! {"_id": -1}))
}

fn bson_id(id: &IdValue) -> Bson {
    documents::bson(&id.to_value())
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
    let mut filter = doc! {path(table, "epoch"): {"$type": "long"}};
    if let Some(span) = window_span(query) {
        let window = table.window_start().ok_or_else(|| {
            SinkError::bad_query(format!("{} has no windows to choose from", table.name))
        })?;
        filter.insert(window.name.as_str(), span);
    }
    let mut groups = Vec::new();
    for (name, value) in &query.groups {
        let column = table.group(name, value)?;
        groups.push(doc! {column.name.as_str(): {"$eq": documents::bson(value)}});
    }
    if !groups.is_empty() {
        filter.insert("$and", groups);
    }
    Ok(filter)
}
