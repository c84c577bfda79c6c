//! Events that cannot be read.
//!
//! Each kind of mistake that producers make, done to the JSON of a good event.

use rand::{Rng, RngExt};

/// Where an event's own id begins: `{"…_id":"`.
const FIRST_NAME: usize = 2;

/// A kind of mistake, and what does it. It returns false where this event has
/// nothing that it could be done to.
type Mistake = fn(&mut Vec<u8>, &mut dyn Rng) -> bool;

const MISTAKES: &[Mistake] = &[
    truncated,
    not_utf8,
    not_an_object,
    trailing_data,
    id_missing,
    id_null,
    id_of_wrong_type,
    id_twice,
    time_missing_its_clock,
    number_negative,
    number_as_text,
];

/// Makes a good event a bad one.
pub(crate) fn damage(json: &mut Vec<u8>, rng: &mut impl Rng) {
    let mut kind = rng.random_range(0..MISTAKES.len());
    // The first kinds can be done to every event.
    while !MISTAKES[kind](json, rng) {
        kind = (kind + 1) % MISTAKES.len();
    }
}

fn truncated(json: &mut Vec<u8>, rng: &mut dyn Rng) -> bool {
    // Without its last brace it is whole no more, wherever it ends.
    json.truncate(rng.random_range(1..json.len()));
    true
}

fn not_utf8(json: &mut Vec<u8>, rng: &mut dyn Rng) -> bool {
    let at = rng.random_range(0..json.len());
    json.splice(at..=at, [0xff]);
    true
}

fn not_an_object(json: &mut Vec<u8>, _: &mut dyn Rng) -> bool {
    json.insert(0, b'[');
    json.push(b']');
    true
}

fn trailing_data(json: &mut Vec<u8>, _: &mut dyn Rng) -> bool {
    json.extend_from_within(..);
    true
}

fn id_missing(json: &mut Vec<u8>, _: &mut dyn Rng) -> bool {
    json.insert(FIRST_NAME, b'_');
    true
}

fn id_null(json: &mut Vec<u8>, _: &mut dyn Rng) -> bool {
    replace_id(json, b"null")
}

fn id_of_wrong_type(json: &mut Vec<u8>, _: &mut dyn Rng) -> bool {
    replace_id(json, b"12345")
}

fn id_twice(json: &mut Vec<u8>, _: &mut dyn Rng) -> bool {
    let Some(end) = json.iter().position(|byte| *byte == b',') else {
        return false;
    };
    let id = json[1..=end].to_vec();
    json.splice(1..1, id);
    true
}

fn time_missing_its_clock(json: &mut Vec<u8>, _: &mut dyn Rng) -> bool {
    const DATE: usize = "2024-11-02".len();
    for name in ["\"last_login\":\"", "\"date_time\":\"", "\"timestamp\":\""] {
        if let Some(start) = after(json, name) {
            let quote = json[start..].iter().position(|byte| *byte == b'"');
            json.drain(start + DATE..start + quote.unwrap_or(DATE));
            return true;
        }
    }
    false
}

fn number_negative(json: &mut Vec<u8>, _: &mut dyn Rng) -> bool {
    let number = number(json);
    if let Some(start) = number {
        json.insert(start, b'-');
    }
    number.is_some()
}

fn number_as_text(json: &mut Vec<u8>, _: &mut dyn Rng) -> bool {
    let number = number(json);
    if let Some(start) = number {
        let rest = json[start..].iter();
        let length = rest.take_while(|byte| !b",}".contains(byte)).count();
        json.insert(start + length, b'"');
        json.insert(start, b'"');
    }
    number.is_some()
}

/// Where a required number begins, one that is never zero.
fn number(json: &[u8]) -> Option<usize> {
    ["\"quantity\":", "\"price\":", "\"view_duration\":"]
        .iter()
        .find_map(|name| after(json, name))
}

/// Puts another value in the place of the event's own id.
fn replace_id(json: &mut Vec<u8>, value: &[u8]) -> bool {
    let colon = json.iter().position(|byte| *byte == b':');
    let comma = json.iter().position(|byte| *byte == b',');
    let (Some(colon), Some(comma)) = (colon, comma) else {
        return false;
    };
    json.splice(colon + 1..comma, value.iter().copied());
    true
}

fn after(json: &[u8], text: &str) -> Option<usize> {
    json.windows(text.len())
        .position(|window| window == text.as_bytes())
        .map(|start| start + text.len())
}
