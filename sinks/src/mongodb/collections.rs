//! Which collections are there at the start, and whether rows can be kept in them.
//!
//! A collection may have been made by somebody else, with properties that show only when a
//! row does not fit: in the middle of a run, or never.

use ::mongodb::bson::{Document, RawDocumentBuf, doc};
use std::collections::BTreeMap;

use super::connection::{Connection, Failure};
use super::errors;
use crate::SinkError;

/// The options of those of `names` that are there, by name.
///
/// # Errors
/// The first of them that rows cannot be kept in, with the reason.
pub(super) async fn look(
    connection: &Connection,
    names: &[&str],
) -> Result<BTreeMap<String, Document>, SinkError> {
    let filter = doc! {"name": {"$in": names}};
    let batch = i32::try_from(names.len()).unwrap_or(i32::MAX);
    let whole = doc! {
        "listCollections": 1, "filter": filter.clone(), "cursor": {"batchSize": batch},
    };
    let found = match connection.run_code(raw(connection, &whole)?).await {
        // Who may use some collections may at least ask for their names.
        Err(failure) if failure.code == Some(errors::UNAUTHORIZED) => {
            let mut names = whole;
            names.extend(doc! {"nameOnly": true, "authorizedCollections": true});
            connection.run_code(raw(connection, &names)?).await
        }
        found => found,
    };
    let found = found.map_err(|failure| failure.error)?;
    let mut there = BTreeMap::new();
    for collection in first_batch(&found) {
        let Ok(name) = collection.get_str("name") else {
            continue;
        };
        if let Some(reason) = unfit(collection) {
            return Err(SinkError::misconfigured(
                connection.describe(),
                format!(
                    "the collection {name} {reason}. Rename or drop it, and it is made anew; or \
                     name another database"
                ),
            ));
        }
        there.insert(name.to_owned(), collection.clone());
    }
    Ok(there)
}

/// The documents of a reply that is whole in its first batch.
pub(super) fn first_batch(reply: &Document) -> impl Iterator<Item = &Document> {
    let batch = reply.get_document("cursor");
    let batch = batch.and_then(|cursor| cursor.get_array("firstBatch"));
    let items = batch.map_or(&[][..], Vec::as_slice);
    items.iter().filter_map(|item| item.as_document())
}

/// Why rows cannot be kept in a collection, as `listCollections` describes it.
fn unfit(collection: &Document) -> Option<String> {
    match collection.get_str("type") {
        Ok("view") => return Some("is a view, and nothing can be written to one".to_owned()),
        Ok("timeseries") => {
            return Some(
                "is a time-series collection, in which no document can be replaced".to_owned(),
            );
        }
        _ => {}
    }
    let empty = Document::new();
    let options = collection.get_document("options").unwrap_or(&empty);
    if let Ok(collation) = options.get_document("collation")
        && collation
            .get_str("locale")
            .is_ok_and(|locale| locale != "simple")
    {
        let locale = collation.get_str("locale").unwrap_or_default();
        let strength = collation.get_i32("strength").unwrap_or(3);
        let case = match strength {
            1 | 2 => ", which ignores case",
            _ => "",
        };
        return Some(format!(
            "compares texts by a collation ({locale}, strength {strength}{case}), so that \
             different ids can be taken for one; ids are compared byte for byte"
        ));
    }
    if options.get_bool("capped").is_ok_and(|capped| capped) {
        return Some("is capped: it drops rows, and lets none grow".to_owned());
    }
    // One that only warns, or is off, stops no row.
    let is_enforced = options.get_str("validationAction").unwrap_or("error") != "warn"
        && options.get_str("validationLevel").unwrap_or("strict") != "off";
    let validator = options.get_document("validator");
    if is_enforced && validator.is_ok_and(|validator| !validator.is_empty()) {
        return Some(
            "has a validator, which can refuse a row in the middle of a run; remove it, or set \
             its validationAction to warn"
                .to_owned(),
        );
    }
    None
}

pub(super) fn raw(
    connection: &Connection,
    command: &Document,
) -> Result<RawDocumentBuf, SinkError> {
    RawDocumentBuf::try_from(command)
        .map_err(|error| SinkError::refused(connection.describe(), error.to_string()))
}

/// The error of what was to be done with a collection, with the collection's name.
pub(super) fn about(connection: &Connection, what: &str, failure: Failure) -> SinkError {
    let database = connection.describe();
    match failure.error {
        SinkError::Unavailable { detail, .. } => {
            SinkError::unavailable(database, format!("{what}: {detail}"))
        }
        SinkError::Refused { detail, .. } => {
            SinkError::refused(database, format!("{what}: {detail}"))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_that_cannot_hold_rows_are_known_by_their_description() {
        for (described, expected) in [
            (
                doc! {"type": "view", "options": {"viewOn": "a"}},
                "is a view",
            ),
            (
                doc! {"type": "timeseries", "options": {}},
                "is a time-series",
            ),
            (
                doc! {"options": {"collation": {"locale": "en", "strength": 2}}},
                "ignores case",
            ),
            (
                doc! {"options": {"collation": {"locale": "sv", "strength": 3}}},
                "by a collation (sv, strength 3)",
            ),
            (
                doc! {"options": {"capped": true, "size": 4096}},
                "is capped",
            ),
            (
                doc! {"options": {"validator": {"total": {"$lt": 1}}}},
                "has a validator",
            ),
        ] {
            let reason = unfit(&described).expect(expected);
            assert!(reason.contains(expected), "{reason}");
        }
        for described in [
            doc! {"type": "collection", "options": {}},
            // All that is known where only names may be asked for.
            doc! {"name": "a", "type": "collection"},
            doc! {"options": {"collation": {"locale": "simple"}}},
            doc! {"options": {"validator": {"a": 1}, "validationAction": "warn"}},
            doc! {"options": {"validator": {"a": 1}, "validationLevel": "off"}},
            doc! {"options": {"clusteredIndex": {"key": {"_id": 1}, "unique": true}}},
        ] {
            assert_eq!(unfit(&described), None, "{described}");
        }
    }
}
