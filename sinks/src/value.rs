//! Values of columns.

use crate::{Kind, json, text};
use std::fmt;

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value: of every kind.
    Null,
    /// True or false.
    Boolean(bool),
    /// 32-bit signed integer.
    Int(i32),
    /// 64-bit signed integer.
    Long(i64),
    /// 64-bit IEEE floating point number.
    Double(f64),
    /// Text.
    Text(String),
    /// Milliseconds since the UNIX epoch.
    Date(i64),
    /// `unscaled / 10^scale`, exact. (What `Decimal128` cannot hold exactly is the nearest that
    /// it can in MongoDB.)
    Decimal {
        /// All digits, as one integer.
        unscaled: i128,
        /// How many of them stand behind the point.
        scale: u32,
    },
    /// Any number of values, all of one kind.
    Array(Vec<Value>),
    /// Named values, as many and in the same order as in [`Kind::Document`].
    Document(Vec<(String, Value)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl Value {
    /// The BSON name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Boolean(_) => "bool",
            Value::Int(_) => "int",
            Value::Long(_) => "long",
            Value::Double(_) => "double",
            Value::Text(_) => "string",
            Value::Date(_) => "date",
            Value::Decimal { .. } => "decimal",
            Value::Array(_) => "array",
            Value::Document(_) => "object",
        }
    }

    /// About how many bytes its texts and what is nested in it take.
    pub(crate) fn nested_bytes(&self) -> usize {
        match self {
            Value::Text(text) => text.len(),
            // Each has a type and a name, which of an array's is its place, and ends.
            Value::Array(values) => values.iter().map(|value| 32 + value.nested_bytes()).sum(),
            Value::Document(fields) => {
                let fields = fields.iter();
                fields
                    .map(|(name, value)| 32 + name.len() + value.nested_bytes())
                    .sum()
            }
            _ => 0,
        }
    }
}

/// A scalar as it is in [`Kind::parse`], and what is nested as JSON.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Long(value) => write!(f, "{value}"),
            Value::Double(value) => write!(f, "{value}"),
            Value::Text(text) => f.write_str(text),
            Value::Date(millis) => f.write_str(&text::date(*millis)),
            Value::Decimal { unscaled, scale } => f.write_str(&text::decimal(*unscaled, *scale)),
            Value::Array(_) | Value::Document(_) => f.write_str(&json::write(self)),
        }
    }
}

impl Kind {
    /// The value of this kind that is written as a text. `null` is [`Value::Null`], but for a
    /// text, which is itself. `None` for what is no such value, and for arrays and documents.
    pub fn parse(&self, text: &str) -> Option<Value> {
        if text == "null" && *self != Kind::Text {
            return Some(Value::Null);
        }
        Some(match self {
            Kind::Text => Value::Text(text.to_owned()),
            Kind::Boolean => Value::Boolean(text.parse().ok()?),
            Kind::Int => Value::Int(text.parse().ok()?),
            Kind::Long => Value::Long(text.parse().ok()?),
            Kind::Double => Value::Double(text.parse().ok()?),
            Kind::Date => Value::Date(text::millis(text)?),
            Kind::Decimal => {
                let (unscaled, scale) = text::unscaled(text)?;
                Value::Decimal { unscaled, scale }
            }
            Kind::Array(_) | Kind::Document(_) => return None,
        })
    }
}

/// `_id` of a row: a text, or a scalar of another kind.
///
/// Equal ones are the same `_id` in a database, so that decimals have no zeros behind the last
/// digit, and there is only one zero.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdValue {
    /// Text.
    Text(String),
    /// [`Value::Null`].
    Null,
    /// [`Value::Boolean`].
    Boolean(bool),
    /// [`Value::Int`].
    Int(i32),
    /// [`Value::Long`].
    Long(i64),
    /// [`Value::Double`].
    Double(DoubleId),
    /// [`Value::Date`].
    Date(i64),
    /// [`Value::Decimal`]. (In a box, because an `IdValue` is then no larger than a text.)
    Decimal(Box<DecimalId>),
}

/// A [`Value::Double`] as an id. In the order of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DoubleId(u64);

const SIGN: u64 = 1 << 63;

impl DoubleId {
    fn new(double: f64) -> DoubleId {
        let bits = if double == 0.0 { 0 } else { double.to_bits() };
        let negative = bits & SIGN != 0;
        DoubleId(if negative { !bits } else { bits | SIGN })
    }

    /// The number.
    pub fn get(self) -> f64 {
        let positive = self.0 & SIGN != 0;
        f64::from_bits(if positive { self.0 & !SIGN } else { !self.0 })
    }
}

/// A [`Value::Decimal`] as an id, without zeros behind its last digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DecimalId {
    unscaled: i128,
    scale: u32,
}

impl DecimalId {
    fn new(mut unscaled: i128, mut scale: u32) -> DecimalId {
        if unscaled == 0 {
            scale = 0;
        }
        while scale > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        DecimalId { unscaled, scale }
    }

    /// All digits as one integer, and how many of them stand behind the point.
    pub fn parts(self) -> (i128, u32) {
        (self.unscaled, self.scale)
    }
}

impl IdValue {
    /// A value as an id; `None` for arrays and documents.
    pub fn new(value: Value) -> Option<IdValue> {
        Some(match value {
            Value::Text(text) => IdValue::Text(text),
            Value::Null => IdValue::Null,
            Value::Boolean(value) => IdValue::Boolean(value),
            Value::Int(value) => IdValue::Int(value),
            Value::Long(value) => IdValue::Long(value),
            Value::Double(value) => IdValue::Double(DoubleId::new(value)),
            Value::Date(millis) => IdValue::Date(millis),
            Value::Decimal { unscaled, scale } => {
                IdValue::Decimal(Box::new(DecimalId::new(unscaled, scale)))
            }
            Value::Array(_) | Value::Document(_) => return None,
        })
    }

    /// Whether it is an id of a table whose ids are of this kind.
    pub fn fits(&self, kind: &Kind) -> bool {
        matches!(
            (self, kind),
            (IdValue::Text(_), Kind::Text)
                | (IdValue::Null, _)
                | (IdValue::Boolean(_), Kind::Boolean)
                | (IdValue::Int(_), Kind::Int)
                | (IdValue::Long(_), Kind::Long)
                | (IdValue::Double(_), Kind::Double)
                | (IdValue::Date(_), Kind::Date)
                | (IdValue::Decimal(_), Kind::Decimal)
        )
    }

    /// The id of this kind that is written as a text, see [`Kind::parse`].
    pub fn parse(kind: &Kind, text: &str) -> Option<IdValue> {
        kind.parse(text).and_then(IdValue::new)
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            IdValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// As a value.
    pub fn to_value(&self) -> Value {
        match self {
            IdValue::Text(text) => Value::Text(text.clone()),
            IdValue::Null => Value::Null,
            IdValue::Boolean(value) => Value::Boolean(*value),
            IdValue::Int(value) => Value::Int(*value),
            IdValue::Long(value) => Value::Long(*value),
            IdValue::Double(value) => Value::Double(value.get()),
            IdValue::Date(millis) => Value::Date(*millis),
            IdValue::Decimal(decimal) => {
                let (unscaled, scale) = decimal.parts();
                Value::Decimal { unscaled, scale }
            }
        }
    }

    /// About how many bytes it takes in a document.
    pub(crate) fn bytes(&self) -> usize {
        self.as_text().map_or(16, str::len)
    }
}

impl From<String> for IdValue {
    fn from(text: String) -> IdValue {
        IdValue::Text(text)
    }
}

impl From<&str> for IdValue {
    fn from(text: &str) -> IdValue {
        IdValue::Text(text.to_owned())
    }
}

/// In quotes, if it is a text.
impl fmt::Debug for IdValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdValue::Text(text) => fmt::Debug::fmt(text, f),
            other => fmt::Display::fmt(other, f),
        }
    }
}

/// As the [`Value`] is.
impl fmt::Display for IdValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdValue::Text(text) => f.write_str(text),
            other => fmt::Display::fmt(&other.to_value(), f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(value: Value) -> IdValue {
        IdValue::new(value).unwrap()
    }

    #[test]
    fn an_id_takes_no_more_than_a_text() {
        assert_eq!(size_of::<IdValue>(), size_of::<String>());
    }

    #[test]
    fn equal_numbers_are_one_id() {
        let decimal = |unscaled, scale| id(Value::Decimal { unscaled, scale });
        assert_eq!(decimal(150, 2), decimal(15, 1));
        assert_eq!(decimal(0, u32::MAX), decimal(0, 0));
        assert_ne!(decimal(150, 2), decimal(150, 1));
        assert_eq!(id(Value::Double(-0.0)), id(Value::Double(0.0)));
        assert_ne!(id(Value::Double(1.0)), id(Value::Long(1)));
    }

    #[test]
    fn an_id_is_read_from_its_text() {
        for (kind, value, text) in [
            (Kind::Text, Value::Text("null".into()), "null"),
            (Kind::Long, Value::Null, "null"),
            (Kind::Boolean, Value::Boolean(true), "true"),
            (Kind::Int, Value::Int(-7), "-7"),
            (Kind::Long, Value::Long(i64::MIN), "-9223372036854775808"),
            (Kind::Double, Value::Double(0.1), "0.1"),
            (Kind::Date, Value::Date(0), "1970-01-01T00:00:00.000Z"),
            (
                Kind::Decimal,
                Value::Decimal {
                    unscaled: -1250,
                    scale: 2,
                },
                "-12.5",
            ),
        ] {
            let id = id(value);
            assert_eq!(id.to_string(), text);
            assert_eq!(IdValue::parse(&kind, text), Some(id.clone()));
            assert!(id.fits(&kind), "{text}");
        }
        assert_eq!(IdValue::parse(&Kind::Int, "x"), None);
    }

    proptest::proptest! {
        #[test]
        fn doubles_are_in_their_order(a: f64, b: f64) {
            let (one, other) = (DoubleId::new(a), DoubleId::new(b));
            proptest::prop_assert_eq!(one.cmp(&other), a.partial_cmp(&b).unwrap());
            proptest::prop_assert_eq!(one.get(), a);
        }
    }
}
