//! Events whose fields have other names, or values of other types.

use super::Form;
use crate::{Field, FieldKind};
use serde_json::{Map, Value};

/// Names are alike from this value of Jaro and Winkler on.
const ALIKE: f64 = 0.8;
/// Names that are shown at the most.
const SHOWN: usize = 5;

/// What is the matter with the fields of an object that should be an event of the topic.
pub(super) fn recognise(topic: &str, object: &Map<String, Value>) -> Option<Form> {
    let fields = crate::fields_of(topic);
    let unknown: Vec<&str> = object
        .keys()
        .map(String::as_str)
        .filter(|name| fields.iter().all(|field| field.name != *name))
        .collect();
    let required = fields.iter().enumerate();
    let missing: Vec<_> = required
        .filter(|(_, field)| field.kind != FieldKind::Optional)
        .filter(|(_, field)| !object.contains_key(field.name))
        .collect();
    let renamed = missing.iter().filter_map(|(place, field)| {
        let found = look_alike(field.name, *place == 0, &unknown)?;
        Some((field.name, found.to_owned()))
    });
    let renamed: Vec<_> = renamed.take(SHOWN).collect();
    if !renamed.is_empty() {
        return Some(Form::Renamed(renamed));
    }
    if !missing.is_empty() && !unknown.is_empty() {
        let shown = unknown.into_iter().take(SHOWN);
        return Some(Form::Unknown(shown.map(str::to_owned).collect()));
    }
    fields
        .iter()
        .find_map(|field| wrong_type(field, object.get(field.name)?))
}

/// Which of the names seems to be meant for a field. `is_own`: it is the event's own id.
fn look_alike<'a>(field: &str, is_own: bool, names: &[&'a str]) -> Option<&'a str> {
    let plain = plain(field);
    let likeness = |name: &&'a str| {
        let other = self::plain(name);
        let is_id = is_own && matches!(other.as_str(), "id" | "uuid" | "key");
        let within = other.len() > 2 && (other.contains(&plain) || plain.contains(&other));
        let likeness = if other == plain {
            3.0
        } else if is_id {
            2.0
        } else if within {
            1.5
        } else if is_short_for(&other, &plain) {
            1.2
        } else {
            strsim::jaro_winkler(&plain, &other)
        };
        (likeness, *name)
    };
    let alike = names
        .iter()
        .map(likeness)
        .filter(|(alike, _)| *alike > ALIKE);
    let most = alike.max_by(|a, b| a.0.total_cmp(&b.0));
    most.map(|(_, name)| name)
}

/// Whether a name has some letters of another, in their order, from the first on.
fn is_short_for(short: &str, name: &str) -> bool {
    let mut letters = name.chars();
    let in_order = short
        .chars()
        .all(|letter| letters.any(|other| other == letter));
    short.len() > 2 && in_order && short.chars().next() == name.chars().next()
}

/// A name without case and separators.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// A value that holds what is meant in another type.
fn wrong_type(field: &Field, value: &Value) -> Option<Form> {
    match (field.kind, value) {
        (FieldKind::Time, Value::Number(_)) => Some(Form::NumericTime(field.name)),
        (FieldKind::Money | FieldKind::Count, Value::String(text)) => {
            if text.trim().parse::<f64>().is_ok() {
                return Some(Form::QuotedNumber(field.name));
            }
            let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
            let may_be_decimal = field.kind == FieldKind::Money
                && !text.is_empty()
                && text.len().is_multiple_of(4)
                && text.bytes().all(is_base64);
            may_be_decimal.then_some(Form::EncodedDecimal(field.name))
        }
        _ => None,
    }
}
