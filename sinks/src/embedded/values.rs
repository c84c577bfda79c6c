//! Values as SQLite has them, and back.

use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};

use crate::{IdValue, Kind, Value, json, text};

/// A value to be written. `date` writes a moment.
pub(super) fn written<'a>(value: &'a Value, date: impl FnOnce(i64) -> &'a str) -> ToSqlOutput<'a> {
    match value {
        Value::Null => ToSqlOutput::Owned(Owned::Null),
        Value::Boolean(value) => ToSqlOutput::from(*value),
        Value::Int(value) => ToSqlOutput::from(*value),
        Value::Long(value) => ToSqlOutput::from(*value),
        Value::Double(value) => ToSqlOutput::from(*value),
        Value::Text(value) => borrowed(value),
        Value::Date(millis) => borrowed(date(*millis)),
        Value::Decimal { unscaled, scale } => ToSqlOutput::from(text::decimal(*unscaled, *scale)),
        Value::Array(_) | Value::Document(_) => ToSqlOutput::from(json::write(value)),
    }
}

/// A scalar to be asked for.
pub(super) fn asked(value: &Value) -> Owned {
    match value {
        Value::Null => Owned::Null,
        Value::Boolean(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Long(value) => (*value).into(),
        Value::Double(value) => (*value).into(),
        Value::Text(value) => value.clone().into(),
        Value::Date(millis) => text::date(*millis).into(),
        Value::Decimal { unscaled, scale } => text::decimal(*unscaled, *scale).into(),
        Value::Array(_) | Value::Document(_) => json::write(value).into(),
    }
}

/// An `_id`. SQLite takes any number of NULLs for different ids: that one is an empty blob.
pub(super) fn id(id: &IdValue) -> ToSqlOutput<'_> {
    match id {
        IdValue::Text(text) => borrowed(text),
        other => ToSqlOutput::Owned(asked_id(other)),
    }
}

/// An `_id` to be asked for.
pub(super) fn asked_id(id: &IdValue) -> Owned {
    match id {
        IdValue::Null => Owned::Blob(Vec::new()),
        other => asked(&other.to_value()),
    }
}

pub(super) fn borrowed(text: &str) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
}

/// A value of a column of this kind, if it is one.
pub(super) fn stored(found: ValueRef<'_>, kind: &Kind) -> Option<Value> {
    if matches!(found, ValueRef::Null) {
        return Some(Value::Null);
    }
    Some(match kind {
        Kind::Boolean => Value::Boolean(found.as_i64().ok()? != 0),
        Kind::Int => Value::Int(found.as_i64().ok()?.try_into().ok()?),
        Kind::Long => Value::Long(found.as_i64().ok()?),
        Kind::Double => Value::Double(found.as_f64().ok()?),
        Kind::Text => Value::Text(found.as_str().ok()?.to_owned()),
        Kind::Date => Value::Date(text::millis(found.as_str().ok()?)?),
        Kind::Decimal => {
            let (unscaled, scale) = text::unscaled(found.as_str().ok()?)?;
            Value::Decimal { unscaled, scale }
        }
        Kind::Array(_) | Kind::Document(_) => json::read(found.as_str().ok()?, kind)?,
    })
}

/// An `_id` of this kind, if it is one.
pub(super) fn stored_id(found: ValueRef<'_>, kind: &Kind) -> Option<IdValue> {
    match found {
        ValueRef::Null => None,
        ValueRef::Blob(bytes) => bytes.is_empty().then_some(IdValue::Null),
        found => IdValue::new(stored(found, kind)?),
    }
}

/// An `_id` of this kind, or of whatever kind it was when it was written.
pub(super) fn any_id(found: ValueRef<'_>, kind: &Kind) -> Option<IdValue> {
    stored_id(found, kind).or_else(|| {
        let kind = match found {
            ValueRef::Integer(_) => Kind::Long,
            ValueRef::Real(_) => Kind::Double,
            _ => Kind::Text,
        };
        stored_id(found, &kind)
    })
}
