//! Values as JSON, and back.
//!
//! Dates and decimals are texts, and so are numbers that JSON has no word for.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::{Kind, Value, text};

/// A value as JSON. Names and numbers always have such a form.
pub(crate) fn write(value: &Value) -> String {
    serde_json::to_string(&Json(value)).unwrap_or_default()
}

struct Json<'a>(&'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => to.serialize_unit(),
            Value::Boolean(value) => to.serialize_bool(*value),
            Value::Int(value) => to.serialize_i32(*value),
            Value::Long(value) => to.serialize_i64(*value),
            Value::Double(value) if value.is_finite() => to.serialize_f64(*value),
            Value::Double(value) => to.collect_str(value),
            Value::Text(text) => to.serialize_str(text),
            Value::Date(millis) => to.serialize_str(&text::date(*millis)),
            Value::Decimal { unscaled, scale } => {
                to.serialize_str(&text::decimal(*unscaled, *scale))
            }
            Value::Array(values) => {
                let mut array = to.serialize_seq(Some(values.len()))?;
                for value in values {
                    array.serialize_element(&Json(value))?;
                }
                array.end()
            }
            Value::Document(fields) => {
                let mut object = to.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    object.serialize_entry(name, &Json(value))?;
                }
                object.end()
            }
        }
    }
}

/// A value of this kind, from its JSON. (Numbers are read here: `serde_json` may miss the last
/// digit of a double.)
pub(crate) fn read(json: &str, kind: &Kind) -> Option<Value> {
    let raw = json.trim();
    if raw == "null" {
        return Some(Value::Null);
    }
    let string = || serde_json::from_str::<String>(raw).ok();
    Some(match kind {
        Kind::Boolean => Value::Boolean(raw.parse().ok()?),
        Kind::Int => Value::Int(raw.parse().ok()?),
        Kind::Long => Value::Long(raw.parse().ok()?),
        Kind::Double if raw.starts_with('"') => Value::Double(string()?.parse().ok()?),
        Kind::Double => Value::Double(raw.parse().ok()?),
        Kind::Text => Value::Text(string()?),
        Kind::Date => Value::Date(text::millis(&string()?)?),
        Kind::Decimal => {
            let (unscaled, scale) = text::unscaled(&string()?)?;
            Value::Decimal { unscaled, scale }
        }
        Kind::Array(kind) => {
            let values: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
            let values = values.into_iter().map(|value| read(value.get(), kind));
            Value::Array(values.collect::<Option<_>>()?)
        }
        Kind::Document(kinds) => {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw).ok()?;
            let fields = kinds.iter().map(|(name, kind)| {
                let value = read(fields.get(name)?.get(), kind)?;
                Some((name.clone(), value))
            });
            Value::Document(fields.collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_is_json_that_comes_back() {
        let kind = Kind::Array(Box::new(Kind::Document(vec![
            ("b".into(), Kind::Text),
            ("a \"1\"".into(), Kind::Decimal),
            ("at".into(), Kind::Date),
            ("x".into(), Kind::Double),
        ])));
        let one = |x: f64| {
            Value::Document(vec![
                ("b".into(), Value::Text("\u{0}\"\u{1F4DA}".into())),
                (
                    "a \"1\"".into(),
                    Value::Decimal {
                        unscaled: -1250,
                        scale: 2,
                    },
                ),
                ("at".into(), Value::Date(0)),
                ("x".into(), Value::Double(x)),
            ])
        };
        let value = Value::Array(vec![one(0.1), Value::Null, one(f64::INFINITY)]);
        let text = write(&value);
        assert!(text.starts_with(
            "[{\"b\":\"\\u0000\\\"\u{1F4DA}\",\"a \\\"1\\\"\":\"-12.50\",\
             \"at\":\"1970-01-01T00:00:00.000Z\",\"x\":0.1},null,"
        ));
        assert_eq!(read(&text, &kind), Some(value));
        for other in ["{}", "[1]", "[{\"b\":\"x\"}]", "x", ""] {
            assert_eq!(read(other, &kind), None, "{other}");
        }
    }
}
