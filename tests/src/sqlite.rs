//! What the pipeline wrote into the embedded store.
//!
//! Rows become documents, so that the same comparison serves both databases: a
//! column's storage class must be the one that its BSON type has there, and text
//! in a column of dates must be a date.

use crate::oracle::{Store, parse_time};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// Columns that hold moments.
const DATES: [&str; 5] = [
    "window_start",
    "window_end",
    "last_activity",
    "updated_at",
    "timestamp",
];

/// An SQLite file that the pipeline writes.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    /// Opens a file for reading, while the pipeline may be writing it.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn open(path: &Path) -> Result<Sqlite, String> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(|fault| format!("{}: {fault}", path.display()))?;
        Ok(Sqlite { connection })
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// When there is no such table.
    pub fn count(&self, table: &str) -> Result<i64, String> {
        let query = format!("SELECT count(*) FROM {table}");
        self.connection
            .query_row(&query, [], |row| row.get(0))
            .map_err(|fault| fault.to_string())
    }
}

impl Store for Sqlite {
    fn documents(&self, table: &str) -> Vec<Document> {
        let query = format!("SELECT * FROM {table}");
        let mut statement = self.connection.prepare(&query).expect("the table");
        let columns: Vec<_> = statement.column_names().map(ToOwned::to_owned).collect();
        let mut rows = statement.query([]).expect("its rows");
        let mut documents = Vec::new();
        while let Some(row) = rows.next().expect("the next row") {
            let mut document = Document::new();
            for column in &columns {
                let value = row.get_ref(column.as_str()).expect("a value");
                insert(&mut document, table, column, bson(column, value));
            }
            documents.push(document);
        }
        documents
    }
}

fn insert(document: &mut Document, table: &str, column: &str, value: Bson) {
    match column.strip_prefix("window_") {
        // The one view whose documents nest; a column's name has `_` for the dot.
        Some(inner) if table == "customer_analysis" => {
            let window = document.entry("window".to_owned());
            let window = window.or_insert_with(|| Bson::Document(Document::new()));
            window
                .as_document_mut()
                .expect("a document")
                .insert(inner, value);
        }
        _ => {
            document.insert(column, value);
        }
    }
}

/// A value with the BSON type that its column stands for; one that its column
/// cannot hold stays what it is, and the comparison will say so.
fn bson(column: &str, value: ValueRef<'_>) -> Bson {
    match (column, value) {
        (_, ValueRef::Null) => Bson::Null,
        ("final", ValueRef::Integer(flag @ 0..=1)) => Bson::Boolean(flag == 1),
        ("partition", ValueRef::Integer(number)) => {
            i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32)
        }
        (_, ValueRef::Integer(number)) => Bson::Int64(number),
        (_, ValueRef::Real(number)) => Bson::Double(number),
        (_, ValueRef::Blob(bytes)) => Bson::Binary(Binary {
            subtype: BinarySubtype::Generic,
            bytes: bytes.to_vec(),
        }),
        (_, ValueRef::Text(bytes)) => text(column, &String::from_utf8_lossy(bytes)),
    }
}

fn text(column: &str, text: &str) -> Bson {
    let whole = || Bson::String(text.to_owned());
    if DATES.contains(&column) {
        moment(text).map_or_else(whole, Bson::DateTime)
    } else if column == "offsets" {
        let offsets = serde_json::from_str::<serde_json::Value>(text).ok();
        offsets
            .and_then(|offsets| offsets_of(&offsets))
            .map_or_else(whole, Bson::Document)
    } else if column == "views" {
        let views = serde_json::from_str::<Document>(text).ok();
        views
            .and_then(|views| moments_of(&views))
            .map_or_else(whole, Bson::Document)
    } else if column == "log" {
        match serde_json::from_str(text)
            .ok()
            .and_then(|log| longs_of(&log))
        {
            Some(log @ Bson::Document(_)) => log,
            _ => whole(),
        }
    } else if column == "revenue" {
        text.parse().map_or_else(|_| whole(), Bson::Decimal128)
    } else {
        whole()
    }
}

/// `2024-11-02T13:00:00.000Z`.
fn moment(text: &str) -> Option<DateTime> {
    if text == "+010000-01-01T00:00:00.000Z" {
        // The end of the last day that a time can name.
        return Some(DateTime::from_millis(253_402_300_800_000));
    }
    let is_utc = text.ends_with('Z');
    parse_time(text)
        .filter(|_| is_utc)
        .map(DateTime::from_millis)
}

/// `{view: {name: moment}}`, with dates, in the order it was written.
fn moments_of(texts: &Document) -> Option<Document> {
    let mut document = Document::new();
    for (view, moments) in texts {
        let mut inner = Document::new();
        for (name, text) in moments.as_document()? {
            inner.insert(name, moment(text.as_str()?)?);
        }
        document.insert(view, inner);
    }
    Some(document)
}

/// JSON, with longs.
fn longs_of(json: &serde_json::Value) -> Option<Bson> {
    use serde_json::Value;
    Some(match json {
        Value::Null => Bson::Null,
        Value::Number(number) => Bson::Int64(number.as_i64()?),
        Value::String(text) => Bson::String(text.clone()),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| Some((name.clone(), longs_of(value)?)));
            Bson::Document(fields.collect::<Option<Document>>()?)
        }
        Value::Bool(_) | Value::Array(_) => return None,
    })
}

/// `{topic: {partition: offset}}`, with longs.
fn offsets_of(json: &serde_json::Value) -> Option<Document> {
    let mut document = Document::new();
    for (topic, partitions) in json.as_object()? {
        let mut inner = Document::new();
        for (partition, offset) in partitions.as_object()? {
            inner.insert(partition.clone(), offset.as_i64()?);
        }
        document.insert(topic.clone(), inner);
    }
    Some(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{Decimal128, doc};

    #[test]
    fn rows_become_documents() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writing = Connection::open(file.path()).unwrap();
        writing
            .execute_batch(
                "CREATE TABLE customer_analysis (_id TEXT, window_start TEXT, window_end TEXT,
                     total INTEGER, average REAL, final INTEGER, updated_at TEXT);
                 INSERT INTO customer_analysis VALUES ('x', '1970-01-01T00:00:00.000Z',
                     '1970-01-02T00:00:00.000Z', 2, 2.0, 0, 'soon');
                 CREATE TABLE progress (_id TEXT, offsets TEXT, views TEXT, log TEXT);
                 INSERT INTO progress VALUES ('tidemark', '{\"t\":{\"0\":5}}',
                     '{\"v\":{\"watermark\":\"1970-01-01T00:00:01.500Z\",
                     \"final_until\":\"1970-01-01T00:00:00.000Z\"}}',
                     '{\"cluster_id\":\"c\",\"last_read\":{\"t\":{\"0\":{\"offset\":4,\"hash\":null}}}}');
                 INSERT INTO progress VALUES ('unlike', '[]', '{\"v\":{\"watermark\":1500}}', '[]');
                 CREATE TABLE revenue_analysis (revenue TEXT);
                 INSERT INTO revenue_analysis VALUES ('12.50'), ('much');",
            )
            .unwrap();
        let store = Sqlite::open(file.path()).unwrap();
        assert_eq!(store.count("customer_analysis"), Ok(1));
        assert_eq!(
            store.documents("customer_analysis"),
            [doc! {
                "_id": "x",
                "window": {
                    "start": DateTime::from_millis(0),
                    "end": DateTime::from_millis(86_400_000),
                },
                "total": 2i64,
                "average": 2.0,
                "final": false,
                "updated_at": "soon",
            }]
        );
        assert_eq!(
            store.documents("progress"),
            [
                doc! {
                    "_id": "tidemark",
                    "offsets": { "t": { "0": 5i64 } },
                    "views": {
                        "v": {
                            "watermark": DateTime::from_millis(1500),
                            "final_until": DateTime::from_millis(0),
                        },
                    },
                    "log": {
                        "cluster_id": "c",
                        "last_read": { "t": { "0": { "offset": 4i64, "hash": null } } },
                    },
                },
                doc! {
                    "_id": "unlike",
                    "offsets": "[]",
                    "views": "{\"v\":{\"watermark\":1500}}",
                    "log": "[]",
                },
            ]
        );
        let exact: Decimal128 = "12.50".parse().unwrap();
        assert_eq!(
            store.documents("revenue_analysis"),
            [doc! { "revenue": exact }, doc! { "revenue": "much" }]
        );
    }
}
