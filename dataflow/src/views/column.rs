//! Batches of typed columns: what a source makes of messages, and what expressions are
//! evaluated over.

use model::{DataType, Datum, Scalar};
use std::sync::Arc;

/// Rows, by column.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// How many rows there are.
    pub rows: usize,
    /// By the number of the column. What nobody wants is empty.
    pub columns: Vec<Column>,
    /// Their types.
    types: Arc<[DataType]>,
}

/// The values of a column, one for each row.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// They themselves; anything where a row has none.
    pub values: Values,
    /// Which rows are NULL; nothing where none is.
    pub nulls: Option<Vec<bool>>,
    /// Rows on which the expression failed, ascending, and why. Their values have no meaning.
    pub failed: Vec<(usize, String)>,
}

/// Values of one representation.
#[derive(Clone, Debug, Default)]
pub enum Values {
    /// None at all.
    #[default]
    None,
    /// INT, BIGINT, TIMESTAMP (microseconds), DATE (days); and DECIMAL in units of its scale, where
    /// all fit.
    Longs(Vec<i64>),
    /// DECIMAL, in units of its scale.
    Wides(Vec<i128>),
    /// DOUBLE.
    Doubles(Vec<f64>),
    /// BOOLEAN.
    Booleans(Vec<bool>),
    /// All others, and any type.
    Data(Vec<Datum>),
}

impl Batch {
    /// No rows yet, of columns of these types.
    pub fn new(types: Arc<[DataType]>) -> Batch {
        Batch {
            rows: 0,
            columns: types.iter().map(Column::of_type).collect(),
            types,
        }
    }

    /// The value of a row in a column.
    #[inline]
    pub fn datum(&self, column: usize, row: usize) -> Datum {
        self.columns[column].datum(&self.types[column], row)
    }

    /// Appends a value to a column.
    pub fn push(&mut self, column: usize, value: &Datum) {
        self.columns[column].push(&self.types[column], value);
    }

    /// Forgets all rows, and keeps what they took.
    pub fn clear(&mut self) {
        self.rows = 0;
        for column in &mut self.columns {
            column.nulls = None;
            column.failed.clear();
            match &mut column.values {
                Values::None => {}
                Values::Longs(values) => values.clear(),
                Values::Wides(values) => values.clear(),
                Values::Doubles(values) => values.clear(),
                Values::Booleans(values) => values.clear(),
                Values::Data(values) => values.clear(),
            }
        }
    }
}

impl Column {
    /// Of these values, none NULL.
    pub fn of(values: Values) -> Column {
        Column {
            values,
            nulls: None,
            failed: Vec::new(),
        }
    }

    /// Of a type, and without rows.
    pub fn of_type(data_type: &DataType) -> Column {
        Column::of(match data_type {
            DataType::Int | DataType::BigInt | DataType::Timestamp | DataType::Date => {
                Values::Longs(Vec::new())
            }
            DataType::Decimal { .. } => Values::Wides(Vec::new()),
            DataType::Double => Values::Doubles(Vec::new()),
            DataType::Boolean => Values::Booleans(Vec::new()),
            _ => Values::Data(Vec::new()),
        })
    }

    /// Appends an integer, or what is held as one.
    #[inline]
    pub fn push_long(&mut self, value: i64) {
        match &mut self.values {
            Values::Longs(values) => values.push(value),
            other => *other = Values::Longs(vec![value]),
        }
    }

    /// Appends a value that is held as it is.
    #[inline]
    pub fn push_datum(&mut self, value: Datum) {
        match &mut self.values {
            Values::Data(values) => values.push(value),
            other => *other = Values::Data(vec![value]),
        }
    }

    /// Appends a value of a type to a column [of that type](Column::of_type).
    pub fn push(&mut self, data_type: &DataType, value: &Datum) {
        let row = self.len();
        if value.is_null() || self.nulls.is_some() {
            let nulls = self.nulls.get_or_insert_with(|| vec![false; row]);
            nulls.push(value.is_null());
        }
        let scalar = value.get();
        match &mut self.values {
            Values::None => {}
            Values::Longs(values) => values.push(match scalar {
                Scalar::Long(value) | Scalar::Timestamp(value) | Scalar::Date(value) => value,
                _ => 0,
            }),
            Values::Wides(values) => values.push(scalar.in_units(match data_type {
                DataType::Decimal { scale, .. } => *scale,
                _ => 0,
            })),
            Values::Doubles(values) => values.push(match scalar {
                Scalar::Double(value) => value,
                _ => 0.0,
            }),
            Values::Booleans(values) => values.push(scalar == Scalar::Boolean(true)),
            Values::Data(values) => values.push(value.clone()),
        }
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::None => 0,
            Values::Longs(values) => values.len(),
            Values::Wides(values) => values.len(),
            Values::Doubles(values) => values.len(),
            Values::Booleans(values) => values.len(),
            Values::Data(values) => values.len(),
        }
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a row is NULL.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls[row])
    }

    /// Whether a row is TRUE, and not FALSE or NULL.
    #[inline]
    pub fn is_true(&self, row: usize) -> bool {
        let value = match &self.values {
            Values::Booleans(values) => values[row],
            Values::Data(values) => values[row].get() == Scalar::Boolean(true),
            _ => false,
        };
        value && !self.is_null(row)
    }

    /// The same of a column whose integers all fit 64 bits.
    #[inline]
    pub fn long(&self, row: usize) -> i64 {
        match &self.values {
            Values::Longs(values) => values[row],
            _ => 0,
        }
    }

    /// An integer of a row, or what is held as one; 0 where it is no number.
    #[inline]
    pub fn integer(&self, row: usize) -> i128 {
        match &self.values {
            Values::Longs(values) => values[row].into(),
            Values::Wides(values) => values[row],
            _ => 0,
        }
    }

    /// The value of a row, as one of a type.
    #[inline]
    pub fn datum(&self, data_type: &DataType, row: usize) -> Datum {
        if self.is_null(row) {
            return Datum::null();
        }
        match (&self.values, data_type) {
            (Values::Data(values), _) => values[row].clone(),
            (Values::None, _) => Datum::null(),
            (Values::Longs(values), DataType::Timestamp) => Datum::timestamp(values[row]),
            (Values::Longs(values), DataType::Date) => Datum::date(values[row]),
            (Values::Longs(_) | Values::Wides(_), DataType::Decimal { scale, .. }) => {
                Datum::decimal(self.integer(row), *scale)
            }
            (Values::Longs(values), _) => Datum::long(values[row]),
            (Values::Wides(values), _) => Datum::decimal(values[row], 0),
            (Values::Doubles(values), _) => Datum::double(values[row]),
            (Values::Booleans(values), _) => Datum::boolean(values[row]),
        }
    }
}
