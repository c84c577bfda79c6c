//! Rows and dead letters as BSON documents, and back.
//!
//! Documents are built as raw bytes in the order of their fields. A row's is
//! always whole, so that replacing one leaves nothing of the former behind:
//!
//! ```text
//!   row          {_id, …columns…, final: bool, epoch: long, updated_at: date}
//!   dead letter  {_id, topic, partition: int, offset: long, timestamp: date|null,
//!                 reason, detail, view: string|null, key: binary|null, value: binary, epoch: long}
//! ```

use ::mongodb::bson::raw::{RawBsonRef, RawDocument, RawDocumentBuf, cstr};
use ::mongodb::bson::spec::BinarySubtype;
use ::mongodb::bson::{DateTime, RawBinaryRef};

use super::bytes::{Bytes, Open};
use super::decimal;
use super::layout::{Content, Field, Layout};
use crate::{Column, DeadLetter, Reason, Row, StoredLetter, StoredRow, Table, Value};

/// What a document may measure at the most, in bytes: the server's limit.
pub(super) const LARGEST: usize = 16 * 1024 * 1024;

/// Writes a row as the document that is `open`, and ends it; an error says what is wrong with the row.
pub(super) fn write_row(
    into: &mut Bytes,
    open: Open,
    table: &Table,
    layout: &Layout,
    row: &Row,
) -> Result<(), String> {
    if row.values.len() != table.columns.len() {
        return Err(format!(
            "row {:?} of {} has {} values for {} columns",
            row.id.id,
            table.name,
            row.values.len(),
            table.columns.len()
        ));
    }
    into.text("_id", &row.id.id);
    write_fields(into, &layout.fields, &table.columns, &row.values)
        .map_err(|problem| format!("row {:?} of {}: {problem}", row.id.id, table.name))?;
    into.bool("final", row.is_final);
    into.long("epoch", long(row.epoch));
    into.date("updated_at", row.updated_at);
    let length = into.end(open);
    if length > LARGEST {
        return Err(format!(
            "a row of {} measures {length} bytes, and a document holds {LARGEST}",
            table.name
        ));
    }
    Ok(())
}

fn write_fields(
    into: &mut Bytes,
    fields: &[Field],
    columns: &[Column],
    values: &[Value],
) -> Result<(), String> {
    for field in fields {
        let name = field.name.as_str();
        match &field.content {
            Content::Nested(inner) => {
                let nested = into.document(name);
                write_fields(into, inner, columns, values)?;
                into.end(nested);
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
                write_value(into, name, value);
            }
        }
    }
    Ok(())
}

fn write_value(into: &mut Bytes, name: &str, value: &Value) {
    match value {
        Value::Long(value) => into.long(name, *value),
        Value::Double(value) => into.double(name, *value),
        Value::Text(value) => into.text(name, value),
        Value::Date(millis) => into.date(name, *millis),
        Value::Decimal { unscaled, scale } => {
            into.decimal(name, decimal::encode(*unscaled, *scale));
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
    match letter.timestamp {
        Some(millis) => document.append(cstr!("timestamp"), DateTime::from_millis(millis)),
        None => document.append(cstr!("timestamp"), RawBsonRef::Null),
    }
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

/// Epochs and generations are counted in small steps: `i64` does not run out.
pub(super) fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
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

/// A document that [`dead_letter`] made, or what [`LETTER_FIELDS`] are left of it; an
/// error says what differs.
pub(super) fn stored_letter(document: &RawDocument) -> Result<StoredLetter, String> {
    let wrong = |error: ::mongodb::bson::error::Error| error.to_string();
    let reason = document.get_str("reason").map_err(wrong)?;
    let epoch = document.get_i64("epoch").map_err(wrong)?;
    let view = match document.get("view").map_err(wrong)? {
        Some(RawBsonRef::String(view)) => Some(view.to_owned()),
        _ => None,
    };
    Ok(StoredLetter {
        id: document.get_str("_id").map_err(wrong)?.to_owned(),
        topic: document.get_str("topic").map_err(wrong)?.to_owned(),
        partition: document.get_i32("partition").map_err(wrong)?,
        offset: document.get_i64("offset").map_err(wrong)?,
        reason: Reason::of(reason).ok_or_else(|| format!("{reason:?} is no reason"))?,
        view,
        epoch: u64::try_from(epoch).map_err(|_| format!("epoch {epoch} is below zero"))?,
    })
}

/// What of a dead letter is in a [`StoredLetter`].
pub(super) const LETTER_FIELDS: [&str; 6] =
    ["topic", "partition", "offset", "reason", "view", "epoch"];

/// A value of a column, if it is one.
pub(super) fn value(found: Option<RawBsonRef<'_>>) -> Option<Value> {
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

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
