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
