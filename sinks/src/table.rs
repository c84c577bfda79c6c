//! What a view looks like in a database.

use crate::SinkError;

/// A view's shape: its name and its columns, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Collection or table name.
    pub name: String,
    /// The columns that a row has values for. `_id`, `final`, `epoch` and
    /// `updated_at` come on top, in every table.
    pub columns: Vec<Column>,
    /// Whether ids sort as windows do: each begins with its window's start, as
    /// `2024-11-02T13:00:00Z`, and no window starts within a second. Then pages are read
    /// along the ids, and need no other index.
    pub ids_by_window: bool,
    /// Whether there is an index by group, besides the one by window.
    pub group_index: bool,
}

impl Table {
    /// The table that a [`RowId`](crate::RowId) or a reader means by `number`.
    pub(crate) fn number(tables: &[Table], number: usize) -> Result<&Table, SinkError> {
        tables.get(number).ok_or_else(|| {
            SinkError::bad_query(format!(
                "there is no table number {number}, only {}",
                tables.len()
            ))
        })
    }

    /// The column that holds the start of the window, if it has one.
    pub fn window_start(&self) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.role == Role::WindowStart)
    }

    /// The columns that the view groups by, in order.
    pub fn groups(&self) -> impl Iterator<Item = &Column> {
        self.columns
            .iter()
            .filter(|column| column.role == Role::Group)
    }

    /// The group column called `name`, or an error that lists those there are.
    pub(crate) fn group(&self, name: &str) -> Result<&Column, SinkError> {
        self.groups()
            .find(|column| column.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = self.groups().map(|column| column.name.as_str()).collect();
                SinkError::bad_query(format!(
                    "{} has no group column {name:?}; it groups by {}",
                    self.name,
                    names.join(", ")
                ))
            })
    }
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

impl Kind {
    /// Its BSON name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Long => "long",
            Kind::Double => "double",
            Kind::Text => "string",
            Kind::Date => "date",
            Kind::Decimal => "decimal",
        }
    }
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

impl Value {
    /// The kind of column it belongs in.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Long(_) => Kind::Long,
            Value::Double(_) => Kind::Double,
            Value::Text(_) => Kind::Text,
            Value::Date(_) => Kind::Date,
            Value::Decimal { .. } => Kind::Decimal,
        }
    }
}
