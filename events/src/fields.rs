//! How single fields are read where their type alone does not say it.
//!
//! These functions work on the field's own JSON text, a slice of the message, so
//! that the fast decoder and the slow search for a reason judge by the same code.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

use crate::Text;

/// A field of a topic, for finding out what is wrong with one.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it must be.
    pub kind: Kind,
}

impl Field {
    pub(crate) const fn new(name: &'static str, kind: Kind) -> Field {
        Field { name, kind }
    }
}

/// What a field must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string, required.
    Text,
    /// A string that is a time, required.
    Time,
    /// An amount of money, required.
    Money,
    /// An integer that is not negative, required.
    Count,
    /// Anything, or nothing.
    Optional,
}

/// Why a JSON text is no count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotACount {
    #[error("not an integer")]
    NotAnInteger,
    #[error("negative or too large")]
    OutOfRange,
}

/// Reads a JSON text that must be an integer from 0 to `i64::MAX`.
pub(crate) fn parse_count(token: &str) -> Result<i64, NotACount> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotACount::NotAnInteger);
    }
    match token.parse() {
        // Minus zero is zero.
        Ok(count) if count >= 0 => Ok(count),
        _ => Err(NotACount::OutOfRange),
    }
}

/// A required count.
#[inline]
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let token: &RawValue = Deserialize::deserialize(deserializer)?;
    parse_count(token.get()).map_err(D::Error::custom)
}

/// A required status: British spelling is read as American.
#[inline]
pub(crate) fn status<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Text<'a>, D::Error> {
    let text = Text::deserialize(deserializer)?;
    Ok(if text == "cancelled" {
        Text::from("canceled")
    } else {
        text
    })
}

/// An optional text.
#[inline]
pub(crate) fn optional_text<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Text<'a>>, D::Error> {
    let token = <&RawValue>::deserialize(deserializer)?.get();
    let Some(inner) = token
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return Ok(None);
    };
    if !inner.contains('\\') {
        return Ok(Some(Text(Cow::Borrowed(inner))));
    }
    // Half of a surrogate pair is the one thing that can be wrong with it now.
    Ok(serde_json::from_str(token).ok())
}

/// An optional integer.
#[inline]
pub(crate) fn optional_int<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    let token = <&RawValue>::deserialize(deserializer)?.get();
    Ok(token.parse().ok())
}

/// An optional number: the double nearest to it.
#[inline]
pub(crate) fn optional_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    let token = <&RawValue>::deserialize(deserializer)?.get();
    // A JSON text that is not a number is no number to Rust either.
    Ok(token.parse().ok().filter(|number: &f64| number.is_finite()))
}
