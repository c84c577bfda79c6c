//! The types that columns have.

use std::fmt;

/// The type of a column: every one may be NULL as well, unless its column says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// A text.
    Text,
    /// A truth value.
    Boolean,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    BigInt,
    /// An exact decimal number.
    Decimal {
        /// Digits at the most, 38 or fewer.
        precision: u8,
        /// Those of them behind the point.
        scale: u8,
    },
    /// A 64-bit floating point number.
    Double,
    /// A moment, in microseconds.
    Timestamp,
    /// A day.
    Date,
    /// A UUID, written in lower case.
    Uuid,
    /// Any JSON.
    Json,
    /// Several of one type.
    Array(Box<DataType>),
    /// Named fields.
    Struct(Vec<(String, DataType)>),
}

impl fmt::Display for DataType {
    /// As it is written in a definition.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Text => f.write_str("TEXT"),
            DataType::Boolean => f.write_str("BOOLEAN"),
            DataType::Int => f.write_str("INT"),
            DataType::BigInt => f.write_str("BIGINT"),
            DataType::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            DataType::Double => f.write_str("DOUBLE"),
            DataType::Timestamp => f.write_str("TIMESTAMP"),
            DataType::Date => f.write_str("DATE"),
            DataType::Uuid => f.write_str("UUID"),
            DataType::Json => f.write_str("JSON"),
            DataType::Array(of) => write!(f, "{of}[]"),
            DataType::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (place, (name, of)) in fields.iter().enumerate() {
                    let comma = if place > 0 { ", " } else { "" };
                    write!(f, "{comma}{name} {of}")?;
                }
                f.write_str(">")
            }
        }
    }
}
