//! What a view looks like in a database.

/// A view's shape: its name and its columns, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Collection or table name.
    pub name: String,
    /// The columns that a row has values for. `_id`, `final`, `epoch` and
    /// `updated_at` come on top, in every table.
    pub columns: Vec<Column>,
}

/// One field of every row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Field name. A dot nests: `window.start` is `{window: {start: …}}` in
    /// MongoDB and the column `window_start` in SQLite.
    pub name: String,
    /// The type of its values.
    pub kind: Kind,
    /// What it is for.
    pub role: Role,
}

/// The type of a column's values, by its BSON name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 64-bit signed integer.
    Long,
    /// 64-bit IEEE floating point number.
    Double,
    /// Text.
    Text,
    /// A moment, to the millisecond.
    Date,
    /// Exact decimal number.
    Decimal,
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Start of the window, inclusive.
    WindowStart,
    /// End of the window, exclusive.
    WindowEnd,
    /// One of the columns that the view groups by.
    Group,
    /// An aggregate.
    Aggregate,
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// 64-bit signed integer.
    Long(i64),
    /// 64-bit IEEE floating point number.
    Double(f64),
    /// Text.
    Text(String),
    /// Milliseconds since the UNIX epoch.
    Date(i64),
    /// `unscaled / 10^scale`, exact.
    Decimal {
        /// All digits, as one integer.
        unscaled: i128,
        /// How many of them stand behind the point.
        scale: u32,
    },
}
