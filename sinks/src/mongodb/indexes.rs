//! Collections and indexes, created where they are missing.
//!
//! | index of a view | serves |
//! | --- | --- |
//! | `_id`, which every collection has | one page after another: ids begin with the window's start |
//! | window start (newest first); only where there are windows | one window, a span of windows, the newest rows, sums over them |
//! | groups in order (without arrays), window start (newest first); only where it is asked for | one group over time |
//!
//! Each holds only fields that never change for a row, so that replacing it writes none of
//! them. But inserting a row writes all: two of them cost the server more than the
//! documents, which is why the last one has to be asked for.
//!
//! Nothing is asked for that is there, whatever its name, and no index is ever dropped.

use std::collections::BTreeMap;

use ::mongodb::bson::{Bson, Document, doc, rawdoc};
use futures_util::future::try_join_all;

use super::collections::{about, first_batch, look, raw};
use super::connection::Connection;
use super::{errors, lane, standing};
use crate::{SinkError, Table};

const DEAD_LETTERS: &str = "dead_letters";

/// The keys of a view's indexes.
fn of_view(table: &Table) -> Vec<Document> {
    let window = table.window_start().map(|column| column.name.as_str());
    let mut keys = Vec::new();
    if let Some(window) = window {
        keys.push(doc! {window: -1});
    }
    let mut by_group = Document::new();
    for group in table.indexed_groups() {
        by_group.insert(group.name.as_str(), 1);
    }
    if !by_group.is_empty() {
        if let Some(window) = window {
            by_group.insert(window, -1);
        }
        keys.push(by_group);
    }
    keys
}

/// By where it came from, and the newest of a reason.
fn of_dead_letters() -> Vec<Document> {
    vec![
        doc! {"topic": 1, "partition": 1, "offset": 1},
        doc! {"reason": 1, "timestamp": -1},
    ]
}

/// Creates whatever is missing. Idempotent; several may do it at a time. An index over rows
/// that are there already takes its time: it is waited for by `long`.
pub(super) async fn prepare(
    connection: &Connection,
    long: &Connection,
    tables: &[Table],
) -> Result<(), SinkError> {
    let replicated = connection.is_replicated().await?;
    if !replicated {
        tracing::warn!(
            database = connection.describe(),
            "this MongoDB is no replica set: nothing is kept on a second machine, and a run that \
             was replaced is not kept from writing rows until it notices"
        );
    }
    let mut wanted: BTreeMap<&str, Vec<Document>> = BTreeMap::from([
        (DEAD_LETTERS, of_dead_letters()),
        (standing::COLLECTION, Vec::new()),
        (lane::COLLECTION, Vec::new()),
    ]);
    for table in tables {
        // Several tables may be merged into one collection.
        let keys = wanted.entry(&table.name).or_default();
        for key in of_view(table) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    let names: Vec<&str> = wanted.keys().copied().collect();
    let there = look(connection, &names).await?;
    // Each of them waits for the server's disk: all at the same time.
    let made = wanted.into_iter().map(|(collection, keys)| {
        let is_there = there.contains_key(collection);
        async move {
            match (is_there, keys.is_empty()) {
                (true, true) => Ok(()),
                (true, false) => complete(connection, long, collection, keys, replicated).await,
                // Makes the collection as well.
                (false, false) => {
                    let how = How {
                        replicated,
                        long: false,
                    };
                    index(connection, collection, &keys, &[], how).await
                }
                (false, true) => create(connection, collection, replicated).await,
            }
        }
    });
    try_join_all(made).await.map(drop)
}

/// Creates those indexes of a collection that is there which no other index serves for.
async fn complete(
    connection: &Connection,
    long: &Connection,
    collection: &str,
    mut keys: Vec<Document>,
    replicated: bool,
) -> Result<(), SinkError> {
    let command = rawdoc! {"listIndexes": collection};
    let listed = match connection.run_code(command).await {
        Ok(listed) => listed,
        // Dropped meanwhile, or not to be asked: what is there is then created once more.
        Err(failure)
            if matches!(
                failure.code,
                Some(errors::UNAUTHORIZED | errors::NAMESPACE_NOT_FOUND)
            ) =>
        {
            Document::new()
        }
        Err(failure) => {
            let what = format!("listing the indexes of {collection}");
            return Err(about(connection, &what, failure));
        }
    };
    let there: Vec<&Document> = first_batch(&listed).collect();
    keys.retain(|key| !there.iter().any(|index| serves(index, key)));
    if keys.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = there
        .iter()
        .filter_map(|index| index.get_str("name").ok())
        .collect();
    let command = rawdoc! {"find": collection, "limit": 1, "projection": {"_id": 1}};
    let found = connection.run_code(command).await;
    let found =
        found.map_err(|failure| about(connection, &format!("reading {collection}"), failure))?;
    let has_rows = first_batch(&found).next().is_some();
    if has_rows {
        tracing::info!("creating an index of the rows in {collection}: many of them take minutes");
    }
    let how = How {
        replicated,
        long: has_rows,
    };
    let by = if has_rows { long } else { connection };
    index(by, collection, &keys, &names, how).await
}

/// Whether an index that is there, as `listIndexes` describes it, answers what one with
/// these keys would: its keys begin with them, or with their reverse.
fn serves(index: &Document, keys: &Document) -> bool {
    // These do not have all documents, or order them otherwise.
    let is_partial = ["partialFilterExpression", "collation", "sparse"]
        .iter()
        .any(|option| index.contains_key(option) && !index.get_bool(option).is_ok_and(|is| !is));
    let Ok(there) = index.get_document("key") else {
        return false;
    };
    if is_partial || there.len() < keys.len() {
        return false;
    }
    let direction = |value: &Bson| match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Int64(number) => Some(if *number < 0 { -1.0 } else { 1.0 }),
        Bson::Double(number) => Some(*number),
        // `hashed`, `text` and the like.
        _ => None,
    };
    let mut same = [true, true];
    for ((name, order), (wanted, other)) in there.iter().zip(keys) {
        let both = direction(order).zip(direction(other));
        let Some((order, other)) = both.filter(|_| name == wanted) else {
            return false;
        };
        let agree = (order < 0.0) == (other < 0.0);
        same[usize::from(agree)] = false;
    }
    same.contains(&true)
}

async fn create(
    connection: &Connection,
    collection: &str,
    replicated: bool,
) -> Result<(), SinkError> {
    const EXISTS: i32 = 48;
    let command = doc! {
        "create": collection,
        "writeConcern": concern(connection, replicated)?,
    };
    match connection.run_code(raw(connection, &command)?).await {
        Err(failure) if failure.code != Some(EXISTS) => {
            let what = format!("creating the collection {collection}");
            Err(about(connection, &what, failure))
        }
        // Another process was quicker.
        _ => Ok(()),
    }
}

/// How indexes are created.
#[derive(Clone, Copy)]
struct How {
    replicated: bool,
    /// Over rows that are there already.
    long: bool,
}

/// Creates indexes. `taken`: the names of those that are there.
async fn index(
    connection: &Connection,
    collection: &str,
    keys: &[Document],
    taken: &[&str],
    how: How,
) -> Result<(), SinkError> {
    let indexes: Vec<Document> = keys
        .iter()
        // The name that every driver gives it: whoever creates the same index at the same
        // time creates this one.
        .map(|key| {
            let parts: Vec<String> = key
                .iter()
                .map(|(field, order)| format!("{field}_{order}"))
                .collect();
            let mut name = parts.join("_");
            if taken.contains(&&*name) {
                name.push_str("_tidemark");
            }
            doc! {"key": key.clone(), "name": name}
        })
        .collect();
    let shown: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let what = format!("creating the index {} on {collection}", shown.join(" and "));
    let mut command = doc! {
        "createIndexes": collection,
        "indexes": indexes,
        "writeConcern": concern(connection, how.replicated)?,
    };
    if how.replicated {
        // By default it waits for every member, also for one that is away.
        command.insert("commitQuorum", "majority");
    }
    let command = raw(connection, &command)?;
    let reply = match how.long {
        true => connection.run_long(command).await,
        false => connection.run_code(command).await,
    };
    let reply = reply.map_err(|failure| about(connection, &what, failure))?;
    super::replies::check_concern(connection.describe(), collection, &reply)
        .map_err(|failure| failure.error)
}

fn concern(connection: &Connection, replicated: bool) -> Result<Document, SinkError> {
    Document::try_from(connection.write_concern(replicated))
        .map_err(|error| SinkError::refused(connection.describe(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Kind, Role};

    #[test]
    fn a_view_is_indexed_by_window_and_by_group_where_it_is_asked_for() {
        let column = |name: &str, role| Column {
            name: name.into(),
            kind: Kind::Text,
            role,
        };
        let mut table = Table {
            name: "t".into(),
            columns: vec![
                column("window.start", Role::WindowStart),
                column("window.end", Role::WindowEnd),
                column("product_id", Role::Group),
                column("interaction_type", Role::Group),
                column("total", Role::Aggregate),
            ],
            ..Table::default()
        };
        assert_eq!(of_view(&table), [doc! {"window.start": -1}]);
        table.group_index = true;
        assert_eq!(
            of_view(&table),
            [
                doc! {"window.start": -1},
                doc! {"product_id": 1, "interaction_type": 1, "window.start": -1},
            ]
        );
    }

    #[test]
    fn an_index_serves_when_its_keys_begin_with_those_that_are_wanted() {
        let one = doc! {"w": -1};
        let two = doc! {"a": 1, "w": -1};
        for (there, wanted) in [
            (doc! {"key": {"w": -1}, "name": "mine"}, &one),
            (doc! {"key": {"w": 1}}, &one),
            (doc! {"key": {"w": -1.0}}, &one),
            (doc! {"key": {"w": -1, "_id": 1}}, &one),
            (
                doc! {"key": {"w": 1}, "sparse": false, "unique": true},
                &one,
            ),
            (doc! {"key": {"a": 1, "w": -1}}, &two),
            (doc! {"key": {"a": -1_i64, "w": 1, "b": 1}}, &two),
        ] {
            assert!(serves(&there, wanted), "{there}");
        }
        for (there, wanted) in [
            (doc! {"key": {"_id": 1}}, &one),
            (doc! {"key": {"a": 1, "w": -1}}, &one),
            (doc! {"key": {"w": "hashed"}}, &one),
            (doc! {"key": {"w": -1}, "sparse": true}, &one),
            (
                doc! {"key": {"w": -1}, "partialFilterExpression": {"a": 1}},
                &one,
            ),
            (doc! {"key": {"w": -1}, "collation": {"locale": "en"}}, &one),
            (doc! {"key": {"a": 1}}, &two),
            (doc! {"key": {"a": 1, "w": 1}}, &two),
            (doc! {"key": {"w": -1, "a": 1}}, &two),
        ] {
            assert!(!serves(&there, wanted), "{there}");
        }
    }
}
