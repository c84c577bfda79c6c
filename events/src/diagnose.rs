//! Finding out what is wrong with a message.
//!
//! The cold way: it takes the message apart one question after the other, from
//! the bytes to the fields, and stops at the first that is answered with no.
//! Fields are asked in the order of their topic, not of the message, so that the
//! same mistake has the same reason whatever a producer's order of fields.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::fields::{Field, Kind, NotACount, parse_count};
use crate::malformed::{Malformed, NOTHING};
use crate::{Money, NotMoney, Timestamp};

/// The first reason why `json` is not an event with these fields; `None` if it is one.
pub(crate) fn diagnose(json: &[u8], fields: &[Field]) -> Option<Malformed> {
    examine(json, fields).err()
}

fn examine(json: &[u8], fields: &[Field]) -> Result<(), Malformed> {
    let text = std::str::from_utf8(json).map_err(|error| Malformed::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    let value = only_value(text)?;
    if !value.starts_with('{') {
        return Err(Malformed::NotAnObject {
            found: excerpt(value),
        });
    }
    let entries: Entries<'_> =
        serde_json::from_str(text).map_err(|error| not_json(text, &error))?;
    fields.iter().try_for_each(|field| entries.check(field))
}

/// The one JSON value that the text holds.
fn only_value(text: &str) -> Result<&str, Malformed> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = match values.next() {
        Some(Ok(value)) => value.get(),
        Some(Err(error)) => return Err(not_json(text, &error)),
        None => {
            return Err(Malformed::NotJson {
                at: 0,
                problem: NOTHING.into(),
            });
        }
    };
    let end = values.byte_offset();
    match text[end..].find(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')) {
        Some(more) => Err(Malformed::TrailingData { at: end + more }),
        None => Ok(value),
    }
}

fn not_json(text: &str, error: &serde_json::Error) -> Malformed {
    let at = if error.is_eof() {
        text.len()
    } else {
        let line = error.line().saturating_sub(1);
        let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        before + error.column().saturating_sub(1)
    };
    let whole = error.to_string();
    // It ends with the line and column, which a byte says better.
    let problem = whole.split(" at line ").next().unwrap_or_default();
    Malformed::NotJson {
        at,
        problem: problem.to_owned(),
    }
}

/// The fields of an object, each with its own JSON text.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl Entries<'_> {
    fn check(&self, field: &Field) -> Result<(), Malformed> {
        let mut tokens = self.0.iter().filter(|(name, _)| name == field.name);
        let token = tokens.next().map(|(_, token)| token.get());
        if tokens.next().is_some() {
            return Err(Malformed::Duplicate { field: field.name });
        }
        match (field.kind, token) {
            (Kind::Optional, _) => Ok(()),
            (_, None) => Err(Malformed::Missing { field: field.name }),
            (kind, Some("null")) => Err(Malformed::Null {
                field: field.name,
                expected: kind.expected(),
            }),
            (kind, Some(token)) => kind.check(token).map_err(|fault| fault.of(field, token)),
        }
    }
}

/// What can be wrong with a value.
enum Fault {
    Type,
    Range,
    Time,
    Decimals,
}

impl Fault {
    fn of(self, field: &Field, token: &str) -> Malformed {
        let (field, expected, found) = (field.name, field.kind.expected(), excerpt(token));
        match self {
            Fault::Type => Malformed::WrongType {
                field,
                expected,
                found,
            },
            Fault::Range => Malformed::OutOfRange {
                field,
                expected,
                found,
            },
            Fault::Time => Malformed::BadTime { field, found },
            Fault::Decimals => Malformed::TooManyDecimals { field, found },
        }
    }
}

impl Kind {
    fn expected(self) -> &'static str {
        match self {
            Kind::Text => "a string",
            Kind::Time => "a string with a time",
            Kind::Money => "a number from 0 to 9223372036.854775807",
            Kind::Count => "an integer from 0 to 9223372036854775807",
            Kind::Optional => "anything",
        }
    }

    fn check(self, token: &str) -> Result<(), Fault> {
        match self {
            Kind::Text => string(token).map(drop),
            Kind::Time => match Timestamp::parse(&string(token)?) {
                Ok(_) => Ok(()),
                Err(_) => Err(Fault::Time),
            },
            Kind::Money => match Money::parse(token) {
                Ok(_) => Ok(()),
                Err(NotMoney::NotANumber) => Err(Fault::Type),
                Err(NotMoney::Negative | NotMoney::TooLarge) => Err(Fault::Range),
                Err(NotMoney::TooManyDecimals) => Err(Fault::Decimals),
            },
            Kind::Count => match parse_count(token) {
                Ok(_) => Ok(()),
                Err(NotACount::NotAnInteger) => Err(Fault::Type),
                Err(NotACount::OutOfRange) => Err(Fault::Range),
            },
            Kind::Optional => Ok(()),
        }
    }
}

/// The value of a JSON string.
fn string(token: &str) -> Result<String, Fault> {
    serde_json::from_str(token).map_err(|_| Fault::Type)
}

/// The beginning of a JSON text.
fn excerpt(token: &str) -> String {
    const LONGEST: usize = 80;
    match token.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &token[..end]),
        None => token.to_owned(),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}
