//! What a message is that is not an event: the forms in which events arrive where a
//! producer, a converter or a connector is set up otherwise than this program reads.
//!
//! ```text
//!   value ─▶ bytes   (frames, compression, encodings, binary formats)
//!     └────▶ text    (JSON in a string, several objects, base64, other text formats)
//!              └───▶ object  (envelopes, wrappers, renamed fields, types)
//! ```
//!
//! Everything here is a guess from one message, made to help whoever has to find the
//! producer's setting. Nothing is decided by it, and no value of a message is in its text:
//! only names of fields.

mod bytes;
mod fields;
mod object;
mod text;

use std::fmt;

/// A form in which a message is not read. Its text says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Framed as by the serializers of a schema registry: a zero byte and a schema's id.
    SchemaRegistry {
        /// The schema's id.
        id: u32,
    },
    /// Framed as by another schema registry, which has this name.
    Registry(&'static str),
    /// Compressed by this method, inside the value.
    Compressed(&'static str),
    /// In this binary format.
    Binary(&'static str),
    /// JSON behind a byte order mark.
    ByteOrderMark,
    /// Text in this encoding, which is not UTF-8.
    Encoding(&'static str),
    /// JSON with so many bytes before it.
    Prefixed(usize),
    /// JSON with something behind it that is not JSON.
    Suffixed,
    /// No bytes at all.
    Empty,
    /// A JSON string that holds JSON.
    Twice,
    /// Encoded as text by this method.
    Encoded {
        /// The method.
        method: &'static str,
        /// What it holds, where that is known.
        holds: Option<Box<Form>>,
    },
    /// An array of objects.
    Array,
    /// Several objects one after the other.
    Several,
    /// The literal `null`.
    Null,
    /// The text ends in the middle of an object.
    Truncated,
    /// What Kafka Connect's `StringConverter` makes of a struct or map.
    ConnectString,
    /// A text in this format.
    Text(&'static str),
    /// NaN or Infinity, which JSON does not have.
    NotANumber,
    /// The envelope of Kafka Connect's `JsonConverter`.
    ConnectEnvelope,
    /// A change event of Debezium.
    Debezium {
        /// In the envelope of Kafka Connect's `JsonConverter`.
        in_envelope: bool,
    },
    /// An envelope of this name, whose field of this name holds the event.
    Envelope(&'static str, &'static str),
    /// The event is in this field.
    Wrapped(String),
    /// The event is in this field, as a text.
    WrappedText(String),
    /// Values are wrapped with their types, as this format does it.
    TypedValues(&'static str),
    /// An event of this other topic.
    OtherTopic(&'static str),
    /// Fields with other names: the field, and what it seems to be called.
    Renamed(Vec<(&'static str, String)>),
    /// A number is written as a text, in this field.
    QuotedNumber(&'static str),
    /// A time is written as a number, in this field.
    NumericTime(&'static str),
    /// A decimal number is written as base64, in this field.
    EncodedDecimal(&'static str),
    /// Names of fields that the topic does not have.
    Unknown(Vec<String>),
}

/// The form of a message of the topic of this name (without a prefix) that is not an event of it;
/// `None` where it is not known.
pub fn recognise(topic: &str, value: &[u8]) -> Option<Form> {
    if value.is_empty() {
        return Some(Form::Empty);
    }
    bytes::recognise(value).or_else(|| match std::str::from_utf8(value) {
        Ok(text) => text::recognise(topic, text),
        Err(_) => Some(bytes::not_text(value)),
    })
}

/// What to set in Kafka Connect for plain JSON.
const PLAIN_JSON: &str = "let the producer write plain JSON; in Kafka Connect, \
    value.converter=org.apache.kafka.connect.json.JsonConverter and value.converter.schemas.enable=false";

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::SchemaRegistry { id } => write!(
                f,
                "it is framed for a schema registry (a zero byte, the schema id {id}, then Avro, Protobuf or JSON \
                 Schema), which is not read: {PLAIN_JSON}"
            ),
            Form::Registry(name) => write!(
                f,
                "it is framed for {name}, whose frames are not read: {PLAIN_JSON}"
            ),
            Form::Compressed(method) => write!(
                f,
                "its value is compressed with {method}: send it as it is, and leave compression to Kafka \
                 (compression.type of the producer)"
            ),
            Form::Binary(format) => {
                write!(f, "it looks like {format}, which is not read: {PLAIN_JSON}")
            }
            Form::ByteOrderMark => f.write_str(
                "it begins with a byte order mark: write UTF-8 without one (in Python utf-8, not utf-8-sig)",
            ),
            Form::Encoding(encoding) => {
                write!(f, "it is {encoding}: write UTF-8, without a byte order mark")
            }
            Form::Prefixed(bytes) => write!(
                f,
                "{bytes} bytes precede the JSON object, such as a length or a frame: send the object alone"
            ),
            Form::Suffixed => f.write_str(
                "something that is not JSON follows the object, such as a zero byte: send the object alone",
            ),
            Form::Empty => f.write_str(
                "its value is empty: for a tombstone, send a message without a value (null)",
            ),
            Form::Twice => f.write_str(
                "it is JSON encoded twice, a string that holds JSON: encode it once (a serializer that makes JSON \
                 is given a text that is JSON already)",
            ),
            Form::Encoded { method, holds } => encoded(f, method, holds.as_deref()),
            Form::Array => f.write_str("it is an array: send one message for each event"),
            Form::Several => f.write_str(
                "it holds several objects, as lines or one after the other: send one message for each event",
            ),
            Form::Null => f.write_str(
                "it is the text null: for a tombstone, send a message without a value",
            ),
            Form::Truncated => f.write_str(
                "the object ends in its middle: look for a limit on its length between its origin and Kafka",
            ),
            Form::ConnectString => write!(
                f,
                "it is what Kafka Connect's StringConverter makes of a record: {PLAIN_JSON}"
            ),
            Form::Text(format) => write!(f, "it looks like {format}: write a JSON object"),
            Form::NotANumber => f.write_str(
                "it holds NaN or Infinity, which JSON does not have: write null or leave the field out (in Python \
                 json.dumps with allow_nan=False finds them)",
            ),
            Form::ConnectEnvelope => f.write_str(
                "it is the envelope of Kafka Connect's JsonConverter, {\"schema\": …, \"payload\": …}: set \
                 value.converter.schemas.enable=false",
            ),
            Form::Debezium { in_envelope } => debezium(f, *in_envelope),
            Form::Envelope(name, field) => write!(
                f,
                "it is {name}, and the event is in its field `{field}`: send what is in that field alone"
            ),
            Form::Wrapped(field) => write!(
                f,
                "the event seems to be in its field {}: send what is in that field alone",
                Name(field)
            ),
            Form::WrappedText(field) => write!(
                f,
                "the event seems to be in its field {}, as a text that holds JSON: send the object in it alone",
                Name(field)
            ),
            Form::TypedValues(format) => write!(
                f,
                "its values are wrapped with their types, as in {format}: write plain JSON values"
            ),
            Form::OtherTopic(topic) => {
                write!(f, "it is an event of the topic {topic}: send it there")
            }
            Form::Renamed(fields) => {
                f.write_str("fields seem to have other names: ")?;
                list(f, fields, |f, (field, found)| {
                    write!(f, "`{field}` is called {}", Name(found))
                })
            }
            Form::QuotedNumber(field) => write!(
                f,
                "`{field}` is a number in quotes: write it without them"
            ),
            Form::NumericTime(field) => write!(
                f,
                "`{field}` is a number: write times as ISO 8601 texts (in Kafka Connect the transform \
                 TimestampConverter with target.type=string, in Debezium time.precision.mode=isostring)"
            ),
            Form::EncodedDecimal(field) => write!(
                f,
                "`{field}` seems to be a decimal number as base64: set value.converter.decimal.format=NUMERIC, in \
                 Debezium decimal.handling.mode=double"
            ),
            Form::Unknown(names) => {
                f.write_str("it has fields that the topic does not know: ")?;
                list(f, names, |f, name| write!(f, "{}", Name(name)))
            }
        }
    }
}

fn encoded(f: &mut fmt::Formatter<'_>, method: &str, holds: Option<&Form>) -> fmt::Result {
    write!(f, "it is {method}")?;
    if let Some(holds) = holds {
        write!(f, " (and what it encodes: {holds})")?;
    }
    f.write_str(": send the bytes as they are")
}

fn debezium(f: &mut fmt::Formatter<'_>, in_envelope: bool) -> fmt::Result {
    f.write_str(
        "it is a change event of Debezium (before, after, op): add the transform \
         io.debezium.transforms.ExtractNewRecordState to the connector",
    )?;
    match in_envelope {
        true => f.write_str(", and value.converter.schemas.enable=false"),
        false => Ok(()),
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    each: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(place, item)| {
        if place > 0 {
            f.write_str(", ")?;
        }
        each(f, item)
    })
}

/// A name from a message, on one line, cut off where it is long.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 40;
        let (name, end) = match self.0.char_indices().nth(LONGEST) {
            Some((end, _)) => (&self.0[..end], "…"),
            None => (self.0, ""),
        };
        write!(f, "`{}{end}`", name.escape_debug())
    }
}

#[cfg(test)]
mod tests;
