//! Forms of texts.

use super::{Form, bytes, object};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::IgnoredAny;
use serde_json::Value;

/// The form of a text.
pub(super) fn recognise(topic: &str, text: &str) -> Option<Form> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => object::recognise(topic, &fields),
        Ok(Value::Array(items)) => items.iter().any(Value::is_object).then_some(Form::Array),
        Ok(Value::String(inner)) => Some(string(&inner)),
        Ok(Value::Null) => Some(Form::Null),
        Ok(Value::Bool(_) | Value::Number(_)) => None,
        Err(error) => binary(text).or_else(|| not_json(topic, text.trim(), error.is_eof())),
    }
}

/// The form of a JSON string.
fn string(inner: &str) -> Form {
    let begins = inner.trim_start().starts_with(['{', '[', '"']);
    if begins && serde_json::from_str::<IgnoredAny>(inner).is_ok() {
        return Form::Twice;
    }
    encoded(inner).unwrap_or(Form::Text("a JSON text"))
}

/// The form of bytes that are a text by chance.
fn binary(text: &str) -> Option<Form> {
    let is_binary = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    let format = bytes::binary(text.as_bytes()).filter(|_| text.contains(is_binary));
    format.map(Form::Binary)
}

/// The form of a text that is not JSON, or not JSON alone.
fn not_json(topic: &str, text: &str, ends_early: bool) -> Option<Form> {
    if !text.starts_with('{') {
        return other_text(topic, text);
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let first = values.next();
    if matches!(first, Some(Ok(Value::Object(_)))) {
        let more = matches!(values.next(), Some(Ok(Value::Object(_))));
        return Some(if more { Form::Several } else { Form::Suffixed });
    }
    if ends_early {
        return Some(Form::Truncated);
    }
    if has_a_number_that_is_none(text) {
        return Some(Form::NotANumber);
    }
    let inside = text[1..].trim_start();
    if inside.starts_with('\'') || inside.contains("': ") {
        return Some(Form::Text(
            "a Python dict or another object with single quotes (in Python: json.dumps, not str)",
        ));
    }
    let key = inside.split(['=', ':', '"', ',', '}']).next()?;
    let is_name = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
    match inside[key.len()..].bytes().next() {
        Some(b'=') if is_name => Some(Form::ConnectString),
        Some(b':') if is_name => Some(Form::Text("an object whose names have no quotes")),
        _ => None,
    }
}

fn other_text(topic: &str, text: &str) -> Option<Form> {
    if text.starts_with("Struct{") {
        return Some(Form::ConnectString);
    }
    if text.starts_with('<') {
        return Some(Form::Text("XML"));
    }
    if text.starts_with("%7B") || text.starts_with("%7b") {
        return Some(Form::Text("a URL-encoded text"));
    }
    let fields = crate::fields_of(topic);
    let named = fields.iter().filter(|field| {
        let begins = |pair: &str| {
            pair.split_once('=')
                .is_some_and(|(name, _)| name == field.name)
        };
        text.split('&').any(begins)
    });
    if named.count() > 1 {
        return Some(Form::Text("the fields of a form, joined by &"));
    }
    if let Some(form) = encoded(text) {
        return Some(form);
    }
    // An address before it, or another frame.
    let object = text.find('{');
    if let Some(place) = object.filter(|place| bytes::is_json_object(&text[*place..])) {
        return Some(Form::Prefixed(place));
    }
    let line = text.lines().next()?;
    let many = fields.len().saturating_sub(2).max(2);
    let is_delimited = |by: char| line.matches(by).count() >= many;
    let is_csv = [',', ';', '\t', '|'].into_iter().any(is_delimited);
    is_csv.then_some(Form::Text("CSV"))
}

/// Bytes that are encoded as text.
fn encoded(text: &str) -> Option<Form> {
    let text = text.trim();
    // Shorter ones may be words.
    if text.len() < 16 {
        return None;
    }
    let method = |method, bytes: &[u8]| match recognised(bytes) {
        Recognised::Json => Some(Form::Encoded {
            method,
            holds: None,
        }),
        Recognised::Form(holds) => Some(Form::Encoded {
            method,
            holds: Some(Box::new(holds)),
        }),
        Recognised::Nothing => None,
    };
    if let Some(bytes) = hex(text) {
        return method("hexadecimal", &bytes);
    }
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let lines: String = text.split_ascii_whitespace().collect();
    [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, lenient).decode(&lines).ok())
        .and_then(|bytes| method("base64", &bytes))
}

enum Recognised {
    Json,
    Form(Form),
    Nothing,
}

fn recognised(bytes: &[u8]) -> Recognised {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes::is_json_object(text) => Recognised::Json,
        _ => bytes::recognise(bytes).map_or(Recognised::Nothing, Recognised::Form),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    let digits: Option<Vec<u8>> = text.as_bytes().iter().map(digit).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect())
}

/// Whether a value is NaN or Infinity, outside of texts.
fn has_a_number_that_is_none(text: &str) -> bool {
    let mut rest = text;
    let mut in_text = false;
    while let Some(place) = rest.find(['"', '\\', 'N', 'I']) {
        let found = &rest[place..];
        let is_number = found.starts_with("NaN") || found.starts_with("Infinity");
        match found.as_bytes()[0] {
            b'"' => in_text = !in_text,
            b'\\' if in_text => {
                // Whatever is escaped does not end the text.
                let escaped = found[1..].chars().next().map_or(0, char::len_utf8);
                rest = &found[1 + escaped..];
                continue;
            }
            _ if !in_text && is_number => return true,
            _ => {}
        }
        rest = &found[1..];
    }
    false
}
