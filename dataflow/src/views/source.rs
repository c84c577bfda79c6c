//! Where a view's events come from: the columns of a topic, and how messages become rows of
//! them.

use super::column::Batch;
use super::expression::{ColumnOf, Expr};
use events::Malformed;
use model::DataType;
use std::fmt;
use std::sync::Arc;

/// A topic, as columns.
pub struct Source {
    /// Name of the topic, without a prefix.
    pub name: String,
    /// The columns.
    pub columns: Vec<SourceColumn>,
    /// Makes rows of messages.
    pub decoder: Box<dyn Decoder>,
}

/// A column of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub data_type: DataType,
    /// Whether a value may be missing.
    pub is_nullable: bool,
    /// Whether it may place events in windows.
    pub is_time: bool,
}

/// Makes rows of messages.
pub trait Decoder: Send + Sync {
    /// Appends what a message says to those columns of `into` that are `wanted`: one value to
    /// each.
    ///
    /// # Errors
    /// When it is malformed; then nothing has been appended.
    fn decode(&self, message: &[u8], wanted: &[bool], into: &mut Batch) -> Result<(), Malformed>;
}

impl Source {
    /// Its column called `name`; there may be none.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Names of the columns that may place events in windows.
    pub fn times(&self) -> impl Iterator<Item = &str> {
        let times = self.columns.iter().filter(|column| column.is_time);
        times.map(|column| column.name.as_str())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

/// The columns that a view computes with: those of its own source by their names, then those
/// of every source that it looks up, each as `source.column`. They may be NULL, where nothing
/// is found.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    columns: Vec<SourceColumn>,
    /// Where the columns of each source begin.
    begins: Vec<usize>,
}

/// Where a column is that does not exist: whoever uses it is refused when the view is planned.
pub(super) const MISSING: usize = usize::MAX;

impl Schema {
    /// That of a source.
    pub fn of(source: &Source) -> Schema {
        Schema {
            columns: source.columns.clone(),
            begins: vec![0],
        }
    }

    /// With the columns of another source, which is looked up.
    #[must_use]
    pub fn with(mut self, source: &Source) -> Schema {
        self.begins.push(self.columns.len());
        self.columns
            .extend(source.columns.iter().map(|column| SourceColumn {
                name: format!("{}.{}", source.name, column.name),
                is_nullable: true,
                is_time: false,
                ..column.clone()
            }));
        self
    }

    /// Of columns that are no source's.
    pub fn of_columns(columns: Vec<SourceColumn>) -> Schema {
        Schema {
            columns,
            begins: vec![0],
        }
    }

    /// The column of a name as an expression. A view that uses one that is not there is refused.
    pub fn column(&self, name: &str) -> Expr {
        let place = self.columns.iter().position(|column| column.name == name);
        let found = place.map(|place| &self.columns[place]);
        Arc::new(ColumnOf {
            place: place.unwrap_or(MISSING),
            name: name.to_owned(),
            data_type: found.map_or(DataType::Text, |column| column.data_type.clone()),
            is_nullable: found.is_none_or(|column| column.is_nullable),
        })
    }

    /// Names of the columns.
    pub(super) fn names(&self) -> Vec<&str> {
        self.columns
            .iter()
            .map(|column| column.name.as_str())
            .collect()
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The numbers of the columns of the source that is looked up as number `lookup` (from 0).
    pub(super) fn of_lookup(&self, lookup: usize) -> std::ops::Range<usize> {
        let begin = self.begins[lookup + 1];
        let end = self.begins.get(lookup + 2).copied();
        begin..end.unwrap_or(self.columns.len())
    }

    /// An empty batch of all columns.
    pub(super) fn batch(&self) -> Batch {
        let types = self.columns.iter().map(|column| column.data_type.clone());
        Batch::new(types.collect())
    }
}
