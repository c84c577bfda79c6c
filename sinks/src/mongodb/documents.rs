//! Rows, dead letters and progress as BSON documents, and back.
//!
//! Documents are built as raw bytes in the order of their fields. A row's is
//! always whole, so that replacing one leaves nothing of the former behind:
//!
//! ```text
//!   row          {_id, …columns…, final: bool, epoch: long, updated_at: date}
//!   dead letter  {_id, topic, partition: int, offset: long, timestamp: date, reason,
//!                 detail, view: string|null, key: binary|null, value: binary, epoch: long}
//!   progress     {_id: "tidemark", epoch: long, offsets: {topic: {"0": long}},
//!                 views: {view: {watermark: date, final_until: date}}, updated_at: date}
//! ```

use std::collections::BTreeMap;

use ::mongodb::bson::raw::{CStr, CString, RawBsonRef, RawDocument, RawDocumentBuf, cstr};
use ::mongodb::bson::spec::BinarySubtype;
use ::mongodb::bson::{DateTime, RawBinaryRef};

use super::decimal;
use super::layout::{Content, Field, Layout};
use crate::{Column, DeadLetter, Progress, Row, StoredRow, Table, Value, ViewProgress};

/// What a document may measure at the most, in bytes: the server's limit.
pub(super) const LARGEST: usize = 16 * 1024 * 1024;

/// `_id` of the one document of the collection `progress`.
pub(super) const PROGRESS_ID: &str = "tidemark";

/// A row as a document; an error says what is wrong with the row.
pub(super) fn row(
    table: &Table,
    layout: &Layout,
    row: &Row,
    updated_at: i64,
) -> Result<RawDocumentBuf, String> {
    if row.values.len() != table.columns.len() {
        return Err(format!(
            "row {:?} of {} has {} values for {} columns",
            row.id.id,
            table.name,
            row.values.len(),
            table.columns.len()
        ));
    }
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), row.id.id.as_str());
    append_fields(&mut document, &layout.fields, &table.columns, &row.values)
        .map_err(|problem| format!("row {:?} of {}: {problem}", row.id.id, table.name))?;
    document.append(cstr!("final"), row.is_final);
    document.append(cstr!("epoch"), long(row.epoch));
    document.append(cstr!("updated_at"), DateTime::from_millis(updated_at));
    if document.as_bytes().len() > LARGEST {
        return Err(format!(
            "a row of {} measures {} bytes, and a document holds {LARGEST}",
            table.name,
            document.as_bytes().len()
        ));
    }
    Ok(document)
}

fn append_fields(
    document: &mut RawDocumentBuf,
    fields: &[Field],
    columns: &[Column],
    values: &[Value],
) -> Result<(), String> {
    for field in fields {
        match &field.content {
            Content::Nested(inner) => {
                let mut nested = RawDocumentBuf::new();
                append_fields(&mut nested, inner, columns, values)?;
                document.append(&field.name, nested);
            }
            Content::Column(number) => {
                let (column, value) = (&columns[*number], &values[*number]);
                if column.kind != value.kind() {
                    return Err(format!(
                        "column {} is a {} and got a {}",
                        column.name,
                        column.kind.as_str(),
                        value.kind().as_str()
                    ));
                }
                append_value(document, &field.name, value);
            }
        }
    }
    Ok(())
}

fn append_value(document: &mut RawDocumentBuf, name: &CStr, value: &Value) {
    match value {
        Value::Long(value) => document.append(name, *value),
        Value::Double(value) => document.append(name, *value),
        Value::Text(value) => document.append(name, value.as_str()),
        Value::Date(millis) => document.append(name, DateTime::from_millis(*millis)),
        Value::Decimal { unscaled, scale } => {
            document.append(name, decimal::encode(*unscaled, *scale));
        }
    }
}

/// A dead letter as a document of at most `largest` bytes.
///
/// Kafka can be set up for messages that no document can hold. Such a one keeps
/// as many of its first bytes as there is room for and says so in `detail`: one
/// oversized message must not stop everything behind it.
pub(super) fn dead_letter(letter: &DeadLetter, largest: usize) -> RawDocumentBuf {
    let whole = dead_letter_of(letter, letter.key.as_deref(), &letter.value, &letter.detail);
    let excess = whole.as_bytes().len().saturating_sub(largest);
    if excess == 0 {
        return whole;
    }
    let key = letter.key.as_deref().unwrap_or_default();
    let note = format!(
        "{} (more than a document can hold: of a key of {} bytes and a value of {} bytes only \
         the beginning is kept here; the whole is in Kafka for as long as {} retains it)",
        super::errors::shorten(&letter.detail),
        key.len(),
        letter.value.len(),
        letter.topic
    );
    // The note may be longer than the detail that it replaces.
    let excess = excess + note.len();
    let kept_value = letter.value.len().saturating_sub(excess);
    let excess = excess - (letter.value.len() - kept_value);
    let kept_key = key.len().saturating_sub(excess);
    dead_letter_of(
        letter,
        letter.key.as_ref().map(|key| &key[..kept_key]),
        &letter.value[..kept_value],
        &note,
    )
}

fn dead_letter_of(
    letter: &DeadLetter,
    key: Option<&[u8]>,
    value: &[u8],
    detail: &str,
) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), letter.id().as_str());
    document.append(cstr!("topic"), letter.topic.as_str());
    document.append(cstr!("partition"), letter.partition);
    document.append(cstr!("offset"), letter.offset);
    document.append(cstr!("timestamp"), DateTime::from_millis(letter.timestamp));
    document.append(cstr!("reason"), letter.reason.as_str());
    document.append(cstr!("detail"), detail);
    match &letter.view {
        Some(view) => document.append(cstr!("view"), view.as_str()),
        None => document.append(cstr!("view"), RawBsonRef::Null),
    }
    match key {
        Some(key) => document.append(cstr!("key"), binary(key)),
        None => document.append(cstr!("key"), RawBsonRef::Null),
    }
    document.append(cstr!("value"), binary(value));
    document.append(cstr!("epoch"), long(letter.epoch));
    document
}

fn binary(bytes: &[u8]) -> RawBinaryRef<'_> {
    RawBinaryRef {
        subtype: BinarySubtype::Generic,
        bytes,
    }
}

/// The progress document; an error names the topic that cannot be a field.
pub(super) fn progress(progress: &Progress) -> Result<RawDocumentBuf, String> {
    let mut offsets = RawDocumentBuf::new();
    for (topic, partitions) in &progress.offsets {
        let mut of_topic = RawDocumentBuf::new();
        for (partition, offset) in partitions {
            let partition = CString::try_from(partition.to_string())
                .map_err(|error| format!("partition {partition}: {error}"))?;
            of_topic.append(&partition, *offset);
        }
        // Dots in a topic's name stay dots: in a replacement they are part of
        // the field's name, not a path.
        let topic = CString::try_from(topic.as_str())
            .map_err(|error| format!("topic {topic:?}: {error}"))?;
        offsets.append(&topic, of_topic);
    }
    let mut views = RawDocumentBuf::new();
    for (view, reached) in &progress.views {
        let ViewProgress {
            watermark,
            final_until,
        } = *reached;
        let mut of_view = RawDocumentBuf::new();
        of_view.append(cstr!("watermark"), DateTime::from_millis(watermark));
        of_view.append(cstr!("final_until"), DateTime::from_millis(final_until));
        let view =
            CString::try_from(view.as_str()).map_err(|error| format!("view {view:?}: {error}"))?;
        views.append(&view, of_view);
    }
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), PROGRESS_ID);
    document.append(cstr!("epoch"), long(progress.epoch));
    document.append(cstr!("offsets"), offsets);
    document.append(cstr!("views"), views);
    document.append(
        cstr!("updated_at"),
        DateTime::from_millis(progress.updated_at),
    );
    Ok(document)
}

/// Epochs are counted from zero in small steps: `i64` does not run out.
pub(super) fn long(epoch: u64) -> i64 {
    i64::try_from(epoch).unwrap_or(i64::MAX)
}

/// A document that [`row`] made; an error names the field that differs.
pub(super) fn stored_row(table: &Table, document: &RawDocument) -> Result<StoredRow, String> {
    let mut values = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let mut place = Some(RawBsonRef::Document(document));
        for part in column.name.split('.') {
            place = match place {
                Some(RawBsonRef::Document(inner)) => {
                    inner.get(part).map_err(|error| error.to_string())?
                }
                _ => None,
            };
        }
        values.push(value(place).ok_or_else(|| {
            format!(
                "{} is not what was written there: {}",
                column.name,
                place.map_or("missing".to_owned(), |found| format!("{found:?}"))
            )
        })?);
    }
    let wrong = |error: ::mongodb::bson::error::Error| error.to_string();
    Ok(StoredRow {
        id: document.get_str("_id").map_err(wrong)?.to_owned(),
        values,
        is_final: document.get_bool("final").map_err(wrong)?,
        epoch: document.get_i64("epoch").map_err(wrong)?,
        updated_at: document
            .get_datetime("updated_at")
            .map_err(wrong)?
            .timestamp_millis(),
    })
}

fn value(found: Option<RawBsonRef<'_>>) -> Option<Value> {
    Some(match found? {
        RawBsonRef::Int64(value) => Value::Long(value),
        RawBsonRef::Double(value) => Value::Double(value),
        RawBsonRef::String(value) => Value::Text(value.to_owned()),
        RawBsonRef::DateTime(value) => Value::Date(value.timestamp_millis()),
        RawBsonRef::Decimal128(value) => {
            let (unscaled, scale) = decimal::decode(value)?;
            Value::Decimal { unscaled, scale }
        }
        _ => return None,
    })
}

/// A document that [`progress`] made; an error says what differs.
pub(super) fn stored_progress(document: &RawDocument) -> Result<Progress, String> {
    let wrong = |error: ::mongodb::bson::error::Error| error.to_string();
    let mut offsets = BTreeMap::new();
    for entry in document.get_document("offsets").map_err(wrong)? {
        let (topic, partitions) = entry.map_err(wrong)?;
        let partitions = partitions
            .as_document()
            .ok_or_else(|| format!("offsets of {} are no document", topic.as_str()))?;
        let mut of_topic = BTreeMap::new();
        for entry in partitions {
            let (partition, offset) = entry.map_err(wrong)?;
            let place = || format!("offset of {}/{}", topic.as_str(), partition.as_str());
            of_topic.insert(
                partition
                    .as_str()
                    .parse()
                    .map_err(|error| format!("{}: {error}", place()))?,
                offset
                    .as_i64()
                    .ok_or_else(|| format!("{} is no long", place()))?,
            );
        }
        offsets.insert(topic.as_str().to_owned(), of_topic);
    }
    let epoch = document.get_i64("epoch").map_err(wrong)?;
    Ok(Progress {
        epoch: u64::try_from(epoch).map_err(|_| format!("epoch {epoch} is below zero"))?,
        offsets,
        views: stored_views(document)?,
        updated_at: document
            .get_datetime("updated_at")
            .map_err(wrong)?
            .timestamp_millis(),
    })
}

/// The views of a progress document: none where it was written before there
/// were watermarks.
fn stored_views(document: &RawDocument) -> Result<BTreeMap<String, ViewProgress>, String> {
    let wrong = |error: ::mongodb::bson::error::Error| error.to_string();
    let mut views = BTreeMap::new();
    let Some(found) = document.get("views").map_err(wrong)? else {
        return Ok(views);
    };
    for entry in found.as_document().ok_or("views are no document")? {
        let (view, reached) = entry.map_err(wrong)?;
        let millis = |name| {
            let date = reached
                .as_document()
                .and_then(|reached| reached.get_datetime(name).ok());
            date.map(DateTime::timestamp_millis)
                .ok_or_else(|| format!("{name} of {} is no date", view.as_str()))
        };
        let reached = ViewProgress {
            watermark: millis("watermark")?,
            final_until: millis("final_until")?,
        };
        views.insert(view.as_str().to_owned(), reached);
    }
    Ok(views)
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
