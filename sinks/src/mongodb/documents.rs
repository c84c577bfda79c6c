//! Rows and dead letters as BSON documents, and back.
//!
//! Documents are built as raw bytes in the order of their fields. A row's is
//! always whole, so that replacing one leaves nothing of the former behind; where rows are
//! merged into documents, all fields of one are set:
//!
//! ```text
//!   row          {_id, …columns…, final: bool, epoch: long, updated_at: date}
//!   merged row   {…columns…, _tidemark: {VIEW: {final: bool, epoch: long, updated_at: date}}}
//!   dead letter  {_id, topic, partition: int, offset: long, timestamp: date|null,
//!                 reason, detail, view: string|null, key: binary|null, value: binary, epoch: long}
//! ```

use ::mongodb::bson::raw::{RawBsonRef, RawDocument, RawDocumentBuf, cstr};
use ::mongodb::bson::spec::BinarySubtype;
use ::mongodb::bson::{Bson, DateTime, RawBinaryRef};

use super::bytes::{Bytes, Open, Place};
use super::decimal;
use super::layout::{Content, Field, Layout};
use crate::{Column, DeadLetter, IdValue, Reason, Row, StoredLetter, StoredRow, Table, Value};

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
    check_row(table, row)?;
    write_id(into, &row.id.id);
    write_columns(into, table, layout, row)?;
    write_state(into, row);
    check_size(table, into.end(open))
}

/// Writes a row as the fields that are to be set in a document, which is `open`, and ends it.
pub(super) fn write_merged(
    into: &mut Bytes,
    open: Open,
    table: &Table,
    layout: &Layout,
    row: &Row,
) -> Result<(), String> {
    check_row(table, row)?;
    write_columns(into, table, layout, row)?;
    if let Some(mark) = &layout.mark {
        let state = into.document(mark);
        write_state(into, row);
        into.end(state);
    }
    check_size(table, into.end(open))
}

/// Fails where a row has not the shape of those of `table`, or an `_id` that no document can
/// have: a decimal that would be rounded, so that two ids may become one.
fn check_row(table: &Table, row: &Row) -> Result<(), String> {
    if let IdValue::Decimal(decimal) = &row.id.id {
        let (unscaled, scale) = decimal.parts();
        let kept = decimal::decode(decimal::encode(unscaled, scale));
        let kept = kept.map(|(unscaled, scale)| Value::Decimal { unscaled, scale });
        if kept.and_then(IdValue::new).as_ref() != Some(&row.id.id) {
            return Err(format!(
                "row {:?} of {}: its _id has more digits than a decimal holds",
                row.id.id, table.name
            ));
        }
    }
    table.check_row(row)
}

fn check_size(table: &Table, length: usize) -> Result<(), String> {
    match length > LARGEST {
        false => Ok(()),
        true => Err(format!(
            "a row of {} measures {length} bytes, and a document holds {LARGEST}",
            table.name
        )),
    }
}

fn write_columns(
    into: &mut Bytes,
    table: &Table,
    layout: &Layout,
    row: &Row,
) -> Result<(), String> {
    write_fields(into, &layout.fields, &table.columns, &row.values)
        .map_err(|problem| format!("row {:?} of {}: {problem}", row.id.id, table.name))
}

/// Writes what every row has besides its columns.
fn write_state(into: &mut Bytes, row: &Row) {
    into.bool("final", row.is_final);
    into.long("epoch", long(row.epoch));
    into.date("updated_at", row.updated_at);
}

/// Writes `_id`.
pub(super) fn write_id(into: &mut Bytes, id: &IdValue) {
    const NAME: &str = "_id";
    match id {
        IdValue::Text(text) => into.text(NAME, text),
        IdValue::Null => into.null(NAME),
        IdValue::Boolean(value) => into.bool(NAME, *value),
        IdValue::Int(value) => into.int(NAME, *value),
        IdValue::Long(value) => into.long(NAME, *value),
        IdValue::Double(value) => into.double(NAME, value.get()),
        IdValue::Date(millis) => into.date(NAME, *millis),
        IdValue::Decimal(decimal) => {
            let (unscaled, scale) = decimal.parts();
            into.decimal(NAME, decimal::encode(unscaled, scale));
        }
    }
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
                if !column.kind.fits(value) {
                    return Err(column.misfit(value));
                }
                write_value(into, name, value);
            }
        }
    }
    Ok(())
}

/// Writes a value under a name that holds no NUL: those within it are those of its kind, which
/// were checked.
fn write_value(into: &mut Bytes, name: &str, value: &Value) {
    match value {
        Value::Null => into.null(name),
        Value::Boolean(value) => into.bool(name, *value),
        Value::Int(value) => into.int(name, *value),
        Value::Array(values) => {
            let array = into.array(name);
            let mut place = Place::default();
            for (number, value) in values.iter().enumerate() {
                write_value(into, place.name(number), value);
            }
            into.end(array);
        }
        Value::Document(fields) => {
            let document = into.document(name);
            for (name, value) in fields {
                write_value(into, name, value);
            }
            into.end(document);
        }
        Value::Long(value) => into.long(name, *value),
        Value::Double(value) => into.double(name, *value),
        Value::Text(value) => into.text(name, value),
        Value::Date(millis) => into.date(name, *millis),
        Value::Decimal { unscaled, scale } => {
            into.decimal(name, decimal::encode(*unscaled, *scale));
        }
    }
}

/// A scalar as the driver has it.
pub(super) fn bson(value: &Value) -> Bson {
    match value {
        Value::Boolean(value) => Bson::Boolean(*value),
        Value::Int(value) => Bson::Int32(*value),
        Value::Long(value) => Bson::Int64(*value),
        Value::Double(value) => Bson::Double(*value),
        Value::Text(text) => Bson::String(text.clone()),
        Value::Date(millis) => Bson::DateTime(DateTime::from_millis(*millis)),
        Value::Decimal { unscaled, scale } => Bson::Decimal128(decimal::encode(*unscaled, *scale)),
        Value::Null | Value::Array(_) | Value::Document(_) => Bson::Null,
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

/// What is in a document at a path of names with dots between them.
fn at<'a>(document: &'a RawDocument, path: &str) -> Result<Option<RawBsonRef<'a>>, String> {
    let mut place = Some(RawBsonRef::Document(document));
    for part in path.split('.') {
        place = match place {
            Some(RawBsonRef::Document(inner)) => {
                inner.get(part).map_err(|error| error.to_string())?
            }
            _ => None,
        };
    }
    Ok(place)
}

/// The moment that is in a document at a path.
pub(super) fn date_at(document: &RawDocument, path: &str) -> Option<i64> {
    match value(at(document, path).ok()?)? {
        Value::Date(millis) => Some(millis),
        _ => None,
    }
}

/// A document that [`write_row`] made, or that has what [`write_merged`] did; an error names the
/// field that differs.
pub(super) fn stored_row(
    table: &Table,
    layout: &Layout,
    document: &RawDocument,
) -> Result<StoredRow, String> {
    let mut values = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let place = at(document, &column.name)?;
        values.push(value(place).ok_or_else(|| {
            format!(
                "{} is not what was written there: {}",
                column.name,
                place.map_or("missing".to_owned(), |found| format!("{found:?}"))
            )
        })?);
    }
    let wrong = |error: ::mongodb::bson::error::Error| error.to_string();
    let state = match &layout.mark {
        None => document,
        Some(mark) => match at(document, mark)? {
            Some(RawBsonRef::Document(state)) => state,
            _ => return Err(format!("{mark} is no document")),
        },
    };
    Ok(StoredRow {
        id: stored_id(document).and_then(|id| match id.fits(&table.id) {
            true => Ok(id),
            false => Err(format!("_id {id:?} is no {}", table.id.as_str())),
        })?,
        values,
        is_final: state.get_bool("final").map_err(wrong)?,
        epoch: state.get_i64("epoch").map_err(wrong)?,
        updated_at: state
            .get_datetime("updated_at")
            .map_err(wrong)?
            .timestamp_millis(),
    })
}

/// The `_id` of a row, of whatever kind.
pub(super) fn stored_id(document: &RawDocument) -> Result<IdValue, String> {
    let found = document.get("_id").map_err(|error| error.to_string())?;
    let id = value(found).and_then(IdValue::new);
    id.ok_or_else(|| format!("_id is {found:?}"))
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
        RawBsonRef::Null => Value::Null,
        RawBsonRef::Boolean(value) => Value::Boolean(value),
        RawBsonRef::Int32(value) => Value::Int(value),
        RawBsonRef::Array(values) => {
            let values = values.into_iter().map(|found| value(found.ok()));
            Value::Array(values.collect::<Option<_>>()?)
        }
        RawBsonRef::Document(fields) => {
            let fields = fields.into_iter().map(|field| {
                let (name, found) = field.ok()?;
                Some((name.as_str().to_owned(), value(Some(found))?))
            });
            Value::Document(fields.collect::<Option<_>>()?)
        }
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
