//! What is computed of rows, a batch at a time.

use super::column::{Batch, Column};
use model::{DataType, Datum};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// An expression over the columns of a batch.
pub trait Expression: Send + Sync {
    /// The type of its values.
    fn data_type(&self) -> &DataType;

    /// Whether it may be NULL.
    fn is_nullable(&self) -> bool {
        true
    }

    /// Whether it is a column as it is.
    fn is_column(&self) -> bool {
        false
    }

    /// Numbers of the columns that it reads.
    fn columns(&self) -> Vec<usize>;

    /// Its values for all rows. A row on which it fails is among [`Column::failed`], and
    /// spoils no other.
    fn evaluate<'a>(&self, batch: &'a Batch) -> Cow<'a, Column>;

    /// As part of what a view means.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// A shared expression.
pub type Expr = Arc<dyn Expression>;

impl fmt::Debug for dyn Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)
    }
}

impl fmt::Display for dyn Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)
    }
}

/// A column as it is.
pub(super) struct ColumnOf {
    pub(super) place: usize,
    pub(super) name: String,
    pub(super) data_type: DataType,
    pub(super) is_nullable: bool,
}

impl Expression for ColumnOf {
    fn data_type(&self) -> &DataType {
        &self.data_type
    }

    fn is_nullable(&self) -> bool {
        self.is_nullable
    }

    fn is_column(&self) -> bool {
        true
    }

    fn columns(&self) -> Vec<usize> {
        vec![self.place]
    }

    #[inline]
    fn evaluate<'a>(&self, batch: &'a Batch) -> Cow<'a, Column> {
        Cow::Borrowed(&batch.columns[self.place])
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What a function makes of the values of a row, one for each input; or why it fails.
pub type Compute = dyn Fn(&[Datum]) -> Result<Datum, String> + Send + Sync;

/// A function of other expressions, row by row.
struct Computed {
    text: String,
    data_type: DataType,
    inputs: Vec<Expr>,
    compute: Arc<Compute>,
}

/// The expression that `compute` is, of `inputs`; `text` says what it computes, since of a
/// function nothing else is known.
pub fn computed(
    text: &str,
    data_type: DataType,
    inputs: Vec<Expr>,
    compute: impl Fn(&[Datum]) -> Result<Datum, String> + Send + Sync + 'static,
) -> Expr {
    Arc::new(Computed {
        text: text.to_owned(),
        data_type,
        inputs,
        compute: Arc::new(compute),
    })
}

/// The first of `expression` and `otherwise` that is not NULL.
pub fn coalesce(expression: Expr, otherwise: Datum) -> Expr {
    let data_type = expression.data_type().clone();
    let text = format!("COALESCE({expression}, {otherwise:?})");
    computed(&text, data_type, vec![expression], move |values| {
        let value = values.iter().find(|value| !value.is_null());
        Ok(value.unwrap_or(&otherwise).clone())
    })
}

impl Expression for Computed {
    fn data_type(&self) -> &DataType {
        &self.data_type
    }

    fn columns(&self) -> Vec<usize> {
        self.inputs
            .iter()
            .flat_map(|input| input.columns())
            .collect()
    }

    fn evaluate<'a>(&self, batch: &'a Batch) -> Cow<'a, Column> {
        let inputs: Vec<_> = self
            .inputs
            .iter()
            .map(|input| (input.evaluate(batch), input.data_type()))
            .collect();
        let mut column = Column::of_type(&self.data_type);
        let mut values = Vec::with_capacity(inputs.len());
        for row in 0..batch.rows {
            values.clear();
            values.extend(inputs.iter().map(|(column, of)| column.datum(of, row)));
            let failed = inputs.iter().find_map(|(column, _)| failure(column, row));
            let value = match failed {
                Some(why) => Err(why.to_owned()),
                None => (self.compute)(&values),
            };
            let value = value.unwrap_or_else(|why| {
                column.failed.push((row, why));
                Datum::null()
            });
            column.push(&self.data_type, &value);
        }
        Cow::Owned(column)
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why an expression has failed on a row, if it has.
pub(super) fn failure(column: &Column, row: usize) -> Option<&str> {
    let place = column.failed.binary_search_by_key(&row, |(row, _)| *row);
    place.ok().map(|place| column.failed[place].1.as_str())
}
