//! Collections and indexes, created where they are missing.
//!
//! A view gets two indexes, and they serve what is asked of it:
//!
//! | index | serves |
//! | --- | --- |
//! | window start (newest first), `_id` | one window, a span of windows, the newest rows, page by page |
//! | groups in order, window start (newest first) | one group over time, and one group in one window |
//!
//! With the window first, the second could not read one group's rows in one
//! stretch; with `_id` last, the first keeps a page's order without sorting. Both
//! hold only fields that never change for a row, so that replacing it writes
//! neither.

use ::mongodb::bson::{Document, RawDocumentBuf, doc};
use futures_util::future::try_join_all;

use super::connection::Connection;
use super::{lane, standing};
use crate::{SinkError, Table};

/// The keys of a view's indexes.
fn of_view(table: &Table) -> Vec<Document> {
    let window = table.window_start().map(|column| column.name.as_str());
    let mut by_group = Document::new();
    for group in table.groups() {
        by_group.insert(group.name.as_str(), 1);
    }
    if let Some(window) = window
        && !by_group.is_empty()
    {
        by_group.insert(window, -1);
    }
    let by_window = window.map_or_else(Document::new, |window| doc! {window: -1, "_id": 1});
    let mut keys = vec![by_window, by_group];
    keys.retain(|key| !key.is_empty());
    keys
}

/// By where it came from, and the newest of a reason.
fn of_dead_letters() -> Vec<Document> {
    vec![
        doc! {"topic": 1, "partition": 1, "offset": 1},
        doc! {"reason": 1, "timestamp": -1},
    ]
}

/// Creates whatever is missing. Idempotent; several may do it at a time.
pub(super) async fn prepare(connection: &Connection, tables: &[Table]) -> Result<(), SinkError> {
    let replicated = connection.is_replicated().await?;
    if !replicated {
        tracing::warn!(
            database = connection.describe(),
            "this MongoDB is no replica set: nothing is kept on a second machine, and a run that \
             was replaced is not kept from writing rows until it notices"
        );
    }
    let there = connection
        .within(connection.database().list_collection_names())
        .await?;
    let views = tables.iter().map(|table| (&*table.name, of_view(table)));
    let letters = ("dead_letters", of_dead_letters());
    let progress = (standing::COLLECTION, Vec::new());
    let writers = (lane::COLLECTION, Vec::new());
    let all = views.chain([letters, progress, writers]);
    // Each of them waits for the server's disk: all at the same time.
    let made = all.map(|(collection, keys)| {
        let is_there = there.iter().any(|name| name == collection);
        async move {
            if !keys.is_empty() {
                // Makes the collection as well, where it is not there.
                index(connection, collection, &keys, replicated).await
            } else if !is_there {
                create(connection, collection, replicated).await
            } else {
                Ok(())
            }
        }
    });
    try_join_all(made).await.map(drop)
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
        Err(failure) if failure.code != Some(EXISTS) => Err(failure.error),
        // Another process was quicker.
        _ => Ok(()),
    }
}

async fn index(
    connection: &Connection,
    collection: &str,
    keys: &[Document],
    replicated: bool,
) -> Result<(), SinkError> {
    let indexes: Vec<Document> = keys
        .iter()
        // The name that every driver gives it: whoever created the same index
        // before us has created this one.
        .map(|key| {
            let parts: Vec<String> = key
                .iter()
                .map(|(field, order)| format!("{field}_{order}"))
                .collect();
            doc! {"key": key.clone(), "name": parts.join("_")}
        })
        .collect();
    let mut command = doc! {
        "createIndexes": collection,
        "indexes": indexes,
        "writeConcern": concern(connection, replicated)?,
    };
    if replicated {
        // By default it waits for every member, also for one that is away.
        command.insert("commitQuorum", "majority");
    }
    let reply = connection.run_long(raw(connection, &command)?).await?;
    super::replies::check_concern(connection.describe(), collection, &reply)
        .map_err(|failure| failure.error)
}

fn concern(connection: &Connection, replicated: bool) -> Result<Document, SinkError> {
    Document::try_from(connection.write_concern(replicated))
        .map_err(|error| SinkError::refused(connection.describe(), error.to_string()))
}

fn raw(connection: &Connection, command: &Document) -> Result<RawDocumentBuf, SinkError> {
    RawDocumentBuf::try_from(command)
        .map_err(|error| SinkError::refused(connection.describe(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Kind, Role};

    #[test]
    fn a_view_is_indexed_by_window_and_by_group_over_time() {
        let column = |name: &str, role| Column {
            name: name.into(),
            kind: Kind::Text,
            role,
        };
        let table = Table {
            name: "t".into(),
            columns: vec![
                column("window.start", Role::WindowStart),
                column("window.end", Role::WindowEnd),
                column("product_id", Role::Group),
                column("interaction_type", Role::Group),
                column("total", Role::Aggregate),
            ],
        };
        assert_eq!(
            of_view(&table),
            [
                doc! {"window.start": -1, "_id": 1},
                doc! {"product_id": 1, "interaction_type": 1, "window.start": -1},
            ]
        );
    }
}
