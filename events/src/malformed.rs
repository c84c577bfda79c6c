//! Why a message is not an event.

/// Why a message is not an event of its topic, as a sentence for whoever has to
/// find its producer. What was found is quoted, cut off after 80 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes are not UTF-8.
    #[error("not UTF-8 from byte {at}")]
    NotUtf8 {
        /// The first byte that is wrong, counted from 0.
        at: usize,
    },
    /// The text is not JSON.
    #[error("not JSON at byte {at}: {problem}")]
    NotJson {
        /// Where the parser gave up: a byte, counted from 0.
        at: usize,
        /// What it met there.
        problem: String,
    },
    /// A whole JSON value, and then more.
    #[error("more text after the JSON object, from byte {at}")]
    TrailingData {
        /// The first byte that is too much, counted from 0.
        at: usize,
    },
    /// JSON, but not an object.
    #[error("not a JSON object but {found}")]
    NotAnObject {
        /// What was found.
        found: String,
    },
    /// A required field is not there.
    #[error("`{field}` is missing")]
    Missing {
        /// Which field.
        field: &'static str,
    },
    /// A required field is null.
    #[error("`{field}` is null, expected {expected}")]
    Null {
        /// Which field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A required field is of another type.
    #[error("`{field}` is {found}, expected {expected}")]
    WrongType {
        /// Which field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// A number is negative or too large.
    #[error("`{field}` is {found}, expected {expected}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// A text that should be a time is none.
    #[error("`{field}` is {found}, expected a time such as \"2024-11-02T13:45:11\"")]
    BadTime {
        /// Which field.
        field: &'static str,
        /// What was found.
        found: String,
    },
    /// Money with more decimals than can be kept exactly.
    #[error("`{field}` is {found}, expected no more than nine decimals")]
    TooManyDecimals {
        /// Which field.
        field: &'static str,
        /// What was found.
        found: String,
    },
    /// A known field is given more than once.
    #[error("`{field}` is given more than once")]
    Duplicate {
        /// Which field.
        field: &'static str,
    },
}

impl Malformed {
    /// The reason without anything of the message itself, so that messages with the same
    /// mistake have the same one, and no value of a message is in it.
    pub fn kind(&self) -> String {
        match self {
            Malformed::NotUtf8 { .. } => "not UTF-8".to_owned(),
            Malformed::NotJson { problem, .. } if problem == NOTHING => "an empty value".to_owned(),
            Malformed::NotJson { .. } => "not JSON".to_owned(),
            Malformed::TrailingData { .. } => "more text after the JSON object".to_owned(),
            Malformed::NotAnObject { found } => {
                format!("not a JSON object but {}", type_of(found))
            }
            Malformed::WrongType {
                field,
                expected,
                found,
            } => format!("`{field}` is {}, expected {expected}", type_of(found)),
            Malformed::OutOfRange {
                field, expected, ..
            } => format!("`{field}` is out of range, expected {expected}"),
            Malformed::BadTime { field, .. } => format!("`{field}` is not a time"),
            Malformed::TooManyDecimals { field, .. } => {
                format!("`{field}` has more than nine decimals")
            }
            Malformed::Missing { .. } | Malformed::Null { .. } | Malformed::Duplicate { .. } => {
                self.to_string()
            }
        }
    }
}

/// The problem of a text without a JSON value.
pub(crate) const NOTHING: &str = "there is nothing";

/// The type of a JSON text.
fn type_of(json: &str) -> &'static str {
    match json.bytes().next() {
        Some(b'"') => "a string",
        Some(b'[') => "an array",
        Some(b'{') => "an object",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use crate::{Malformed, Topic, Transactions};

    fn kind(json: &str) -> String {
        Transactions::decode(json.as_bytes()).unwrap_err().kind()
    }

    #[test]
    fn kinds_hold_nothing_of_the_message() {
        let event = |quantity: &str, time: &str| {
            format!(
                r#"{{"transaction_id":"t","customer_id":"c","product_id":"p","quantity":{quantity},
                    "date_time":{time},"status":"completed"}}"#
            )
        };
        for (json, expected) in [
            ("", "an empty value"),
            (" \n", "an empty value"),
            ("secret", "not JSON"),
            ("{\"secret\":", "not JSON"),
            ("{} secret", "more text after the JSON object"),
            ("\"secret\"", "not a JSON object but a string"),
            ("[{\"secret\":1}]", "not a JSON object but an array"),
            ("4711", "not a JSON object but a number"),
            ("true", "not a JSON object but a boolean"),
            ("null", "not a JSON object but null"),
            ("{}", "`transaction_id` is missing"),
            (
                &event("\"secret\"", "\"2024-11-02T13:45:11\""),
                "`quantity` is a string, expected an integer from 0 to 9223372036854775807",
            ),
            (
                &event("{\"int\":4711}", "\"2024-11-02T13:45:11\""),
                "`quantity` is an object, expected an integer from 0 to 9223372036854775807",
            ),
            (
                &event("-4711", "\"2024-11-02T13:45:11\""),
                "`quantity` is out of range, expected an integer from 0 to 9223372036854775807",
            ),
            (&event("1", "\"secret\""), "`date_time` is not a time"),
            (
                &event("1", "null"),
                "`date_time` is null, expected a string with a time",
            ),
        ] {
            assert_eq!(kind(json), expected, "{json}");
        }
        let not_utf8 = Transactions::decode(b"\xff").unwrap_err();
        assert_eq!(not_utf8.kind(), "not UTF-8");
        assert!(matches!(not_utf8, Malformed::NotUtf8 { at: 0 }));
    }
}
