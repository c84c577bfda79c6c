//! Sums over the rows of a table, by some of its columns.

use crate::{Kind, Role, SinkError, Table, Value};
use std::cmp::Ordering;

/// Which rows are added up, and how.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Rows whose window starts at or after this, in milliseconds since the UNIX epoch.
    pub from: Option<i64>,
    /// Rows whose window starts before this, in milliseconds since the UNIX epoch.
    pub until: Option<i64>,
    /// Group columns that must equal a value.
    pub groups: Vec<(String, Value)>,
    /// Columns that a sum is of: the start of the window, or group columns.
    pub by: Vec<String>,
    /// Columns that are added up: longs or decimals.
    pub sums: Vec<String>,
    /// Sums to return at the most.
    pub limit: u32,
}

/// What some rows come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Total {
    /// A value for each of [`Totals::by`].
    pub by: Vec<Value>,
    /// A value for each of [`Totals::sums`].
    pub sums: Vec<Value>,
    /// Whether all of these rows are final.
    pub is_final: bool,
}

impl Totals {
    /// The columns' places in `table`: those that sums are of, and those that are summed.
    ///
    /// # Errors
    /// A column that there is not, or that is of no use there.
    pub(crate) fn columns(&self, table: &Table) -> Result<(Vec<usize>, Vec<usize>), SinkError> {
        let place = |name: &String, fits: fn(Role, &Kind) -> bool, what: &str| {
            let found = table.columns.iter().position(|column| column.name == *name);
            let found =
                found.filter(|place| fits(table.columns[*place].role, &table.columns[*place].kind));
            found.ok_or_else(|| {
                SinkError::bad_query(format!("{} has no column {name:?} to {what}", table.name))
            })
        };
        let is_key = |role, _: &Kind| matches!(role, Role::WindowStart | Role::Group);
        let adds_up = |role, kind: &Kind| {
            role == Role::Aggregate && matches!(kind, Kind::Long | Kind::Decimal)
        };
        let by = self.by.iter().map(|name| place(name, is_key, "group by"));
        let sums = self.sums.iter().map(|name| place(name, adds_up, "add up"));
        Ok((
            by.collect::<Result<_, _>>()?,
            sums.collect::<Result<_, _>>()?,
        ))
    }
}

impl Total {
    /// Adds the values of one row more.
    pub(crate) fn add(&mut self, values: &[Value], is_final: bool) {
        self.is_final &= is_final;
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum = sum.plus(value);
        }
    }

    /// The largest first sum first, and among equals by what it is of.
    pub(crate) fn order(&self, other: &Total) -> Ordering {
        let sums = self.sums.first().zip(other.sums.first());
        let by_sum = sums.map_or(Ordering::Equal, |(one, other)| {
            other.approximate().total_cmp(&one.approximate())
        });
        let by = self.by.iter().zip(&other.by);
        let by_key = || by.map(|(one, other)| order(one, other));
        by_sum.then_with(|| {
            by_key()
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        })
    }
}

impl Kind {
    /// What no values of this kind come to.
    pub(crate) fn zero(&self) -> Value {
        match self {
            Kind::Decimal => Value::Decimal {
                unscaled: 0,
                scale: 0,
            },
            _ => Value::Long(0),
        }
    }
}

impl Value {
    /// The sum of two longs or two decimals, or of one and of null, which adds nothing; a long that would not fit stops at the
    /// largest there is, as in a row. Of anything else, the first.
    #[must_use]
    pub fn plus(&self, other: &Value) -> Value {
        match (self, other) {
            (Value::Long(a), Value::Long(b)) => Value::Long(a.saturating_add(*b)),
            (
                Value::Decimal { unscaled, scale },
                Value::Decimal {
                    unscaled: more,
                    scale: other,
                },
            ) => {
                let common = (*scale).max(*other);
                let at = |unscaled: i128, scale: u32| {
                    unscaled.saturating_mul(10i128.saturating_pow(common - scale))
                };
                Value::Decimal {
                    unscaled: at(*unscaled, *scale).saturating_add(at(*more, *other)),
                    scale: common,
                }
            }
            (Value::Null, other) => other.clone(),
            _ => self.clone(),
        }
    }

    /// A number for drawing and for order, without the last digits; 0 for what is none.
    #[allow(clippy::cast_precision_loss)]
    pub fn approximate(&self) -> f64 {
        match self {
            Value::Long(long) => *long as f64,
            Value::Double(double) => *double,
            Value::Decimal { unscaled, scale } => {
                *unscaled as f64 / 10f64.powi(i32::try_from(*scale).unwrap_or(i32::MAX))
            }
            Value::Int(int) => f64::from(*int),
            _ => 0.0,
        }
    }
}

/// The order of what sums are by: null first, then numbers and moments in their order, then
/// texts.
fn order(one: &Value, other: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Text(_) => 2,
        Value::Array(_) | Value::Document(_) => 3,
        _ => 1,
    };
    let whole = |value: &Value| match value {
        Value::Boolean(value) => Some(i64::from(*value)),
        Value::Int(value) => Some(i64::from(*value)),
        Value::Long(value) | Value::Date(value) => Some(*value),
        _ => None,
    };
    rank(one)
        .cmp(&rank(other))
        .then_with(|| match (one, other) {
            (Value::Text(one), Value::Text(other)) => one.cmp(other),
            _ => match (whole(one), whole(other)) {
                (Some(one), Some(other)) => one.cmp(&other),
                _ => {
                    let numbers = one.approximate().total_cmp(&other.approximate());
                    numbers.then_with(|| format!("{one:?}").cmp(&format!("{other:?}")))
                }
            },
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_added_exactly_whatever_their_scales() {
        let decimal = |unscaled, scale| Value::Decimal { unscaled, scale };
        assert_eq!(decimal(110, 2).plus(&decimal(5, 3)), decimal(1105, 3));
        let most = Value::Long(i64::MAX);
        assert_eq!(most.plus(&Value::Long(1)), most);
    }

    #[test]
    fn the_largest_is_first_and_equal_ones_are_in_order() {
        let total = |name: &str, sum| Total {
            by: vec![Value::Text(name.to_owned())],
            sums: vec![Value::Long(sum)],
            is_final: true,
        };
        let mut all = [total("c", 1), total("b", 2), total("a", 1)];
        all.sort_by(Total::order);
        assert_eq!(all, [total("b", 2), total("a", 1), total("c", 1)]);
    }
}
