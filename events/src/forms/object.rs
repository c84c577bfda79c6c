//! Forms of JSON objects: envelopes, wrappers, and events with other names or types.

use super::{Form, fields};
use crate::{FieldKind, TOPICS};
use serde_json::{Map, Value};

type Fields = Map<String, Value>;

/// The form of an object that is not an event of the topic.
pub(super) fn recognise(topic: &str, object: &Fields) -> Option<Form> {
    envelope(object)
        .or_else(|| other_topic(topic, object))
        .or_else(|| wrapped(topic, object))
        .or_else(|| typed_values(topic, object))
        .or_else(|| fields::recognise(topic, object))
}

/// Envelopes that are known by their fields.
fn envelope(object: &Fields) -> Option<Form> {
    let has = |name: &str| object.contains_key(name);
    let all = |names: &[&str]| names.iter().all(|name| has(name));
    if all(&["schema", "payload"]) && object.len() == 2 {
        let in_envelope = object.get("payload").and_then(Value::as_object);
        return Some(match in_envelope.is_some_and(is_change) {
            true => Form::Debezium { in_envelope: true },
            false => Form::ConnectEnvelope,
        });
    }
    if is_change(object) {
        return Some(Form::Debezium { in_envelope: false });
    }
    let known: [(&[&str], &str, &str); 7] = [
        (&["specversion", "type", "data"], "a CloudEvent", "data"),
        (
            &["specversion", "type", "data_base64"],
            "a CloudEvent, with its data as base64",
            "data_base64",
        ),
        (
            &["operationType", "fullDocument"],
            "a change event of MongoDB (publish.full.document.only=true)",
            "fullDocument",
        ),
        (
            &["database", "table", "isDdl", "data"],
            "a change event of Canal",
            "data",
        ),
        (
            &["database", "table", "type", "data"],
            "a change event of Maxwell",
            "data",
        ),
        (
            &["metadata", "data"],
            "a record with metadata, as AWS DMS writes it",
            "data",
        ),
        (&["records"], "a request of the Kafka REST proxy", "records"),
    ];
    let found = known.into_iter().find(|(names, ..)| all(names));
    found.map(|(_, name, field)| Form::Envelope(name, field))
}

/// Whether it is a change event of Debezium.
fn is_change(object: &Fields) -> bool {
    let has = |name: &str| object.contains_key(name);
    has("op") && (has("after") || has("before"))
}

/// Whether another topic takes it as it is.
fn other_topic(topic: &str, object: &Fields) -> Option<Form> {
    let json = serde_json::to_vec(object).ok()?;
    let others = TOPICS.into_iter().filter(|other| *other != topic);
    let mut fitting = others.filter(|other| crate::is_event_of(other, &json));
    fitting.next().map(Form::OtherTopic)
}

/// Whether a field holds an object, or a text of one, with most of the topic's fields.
fn wrapped(topic: &str, object: &Fields) -> Option<Form> {
    object.iter().find_map(|(name, value)| match value {
        Value::Object(inner) => is_about(topic, inner).then(|| Form::Wrapped(name.clone())),
        Value::Array(items) => {
            let about = |item: &Value| item.as_object().is_some_and(|inner| is_about(topic, inner));
            items.iter().any(about).then(|| Form::Wrapped(name.clone()))
        }
        Value::String(text) if text.trim_start().starts_with('{') => {
            let inner: Fields = serde_json::from_str(text).ok()?;
            is_about(topic, &inner).then(|| Form::WrappedText(name.clone()))
        }
        _ => None,
    })
}

/// Whether an object has more than half of the fields that the topic requires.
fn is_about(topic: &str, object: &Fields) -> bool {
    let required = crate::fields_of(topic).iter();
    let required = required.filter(|field| field.kind != FieldKind::Optional);
    let (mut there, mut all) = (0, 0);
    for field in required {
        all += 1;
        there += usize::from(object.contains_key(field.name));
    }
    2 * there > all
}

/// Whether values of the topic's fields are objects that name their type.
fn typed_values(topic: &str, object: &Fields) -> Option<Form> {
    const AVRO: [&str; 7] = [
        "int", "long", "float", "double", "string", "bytes", "boolean",
    ];
    const DYNAMO: [&str; 5] = ["S", "N", "B", "BOOL", "NULL"];
    let of_topic = crate::fields_of(topic).iter();
    let values = of_topic.filter_map(|field| object.get(field.name)?.as_object());
    let mut types = values.filter(|inner| inner.len() == 1);
    types.find_map(|inner| {
        let name = inner.keys().next()?.as_str();
        if name.starts_with('$') {
            Some(Form::TypedValues(
                "MongoDB's Extended JSON (output.json.formatter=…SimplifiedJson in its connector)",
            ))
        } else if AVRO.contains(&name) {
            Some(Form::TypedValues("Avro's JSON encoding"))
        } else if DYNAMO.contains(&name) {
            Some(Form::TypedValues("DynamoDB"))
        } else {
            None
        }
    })
}
