//! Bytes to events and back.
//!
//! The fast way trusts the message: one pass into a struct that borrows from it, by
//! [`quick`](crate::quick) where the message is as usual, and by `serde_json` where it is
//! not. It says little about what went wrong, and need not: a message that fails is read
//! again by [`diagnose`], which takes its time.

use serde::{Deserialize, Serialize};

use crate::diagnose::diagnose;
use crate::fields::Field;
use crate::malformed::Malformed;
use crate::quick::Quick;

/// Reads an event. `fields` are those of `E`, for the case that it fails.
#[inline]
pub(crate) fn decode<'a, E: Deserialize<'a> + Quick<'a>>(
    json: &'a [u8],
    fields: &[Field],
) -> Result<E, Malformed> {
    fast(json).map_err(|error| explain(json, fields, &error))
}

/// Why [`fast`] failed, as far as it knows.
pub(crate) enum Failure {
    NotUtf8,
    NotAnObject,
    Json(serde_json::Error),
}

#[inline]
pub(crate) fn fast<'a, E>(json: &'a [u8]) -> Result<E, Failure>
where
    E: Deserialize<'a> + Quick<'a>,
{
    // Once for the whole message: strings need no check of their own then, and
    // nor is there a place in it where bad bytes could hide.
    let text = std::str::from_utf8(json).map_err(|_| Failure::NotUtf8)?;
    match E::quick(text) {
        Some(event) => Ok(event),
        None => by_serde(text),
    }
}

/// Reads whatever JSON there is.
pub(crate) fn by_serde<'a, E: Deserialize<'a>>(text: &'a str) -> Result<E, Failure> {
    // Serde would also take the fields of a struct as an array.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Failure::NotAnObject);
    }
    serde_json::from_str(text).map_err(Failure::Json)
}

#[cold]
#[inline(never)]
fn explain(json: &[u8], fields: &[Field], failure: &Failure) -> Malformed {
    // Both ways use the same parsers, so that a reason is always found; if one day
    // they should differ, the event is malformed still, with what the fast way said.
    diagnose(json, fields).unwrap_or_else(|| Malformed::NotJson {
        at: 0,
        problem: match failure {
            Failure::NotUtf8 => "not UTF-8".into(),
            Failure::NotAnObject => "not an object".into(),
            Failure::Json(error) => error.to_string(),
        },
    })
}

/// Appends an event's JSON to `out`: the inverse of [`Topic::decode`](crate::Topic::decode).
pub fn encode<E: Serialize>(event: &E, out: &mut Vec<u8>) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, event).is_err() {
        // Memory does not fail to be written to, and the events of this crate hold
        // nothing that JSON cannot; half of any other value is worse than none.
        out.truncate(start);
    }
}
