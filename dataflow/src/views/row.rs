//! From a key and its sums to the row that is written.

use super::definition::Definition;
use super::key::Key;
use super::rows::RowChange;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use model::{DataType, Datum, Scalar, Slot};
use sinks::{Row, RowId, Value};
use std::fmt::Write as _;

/// A row as it became; `definition` is its view. `updated_at` is in milliseconds
/// since the UNIX epoch. Nothing where it does not meet the view's condition.
pub fn row(definition: &Definition, became: &RowChange, updated_at: i64) -> Option<Row> {
    let RowChange {
        key,
        epoch,
        sums,
        is_final,
        expect,
    } = became;
    let index = key.slot.index();
    let window = definition.window;
    let groups = key.values(definition.groups.len());
    let fields = definition.fields(&groups, sums)?;
    let (group_types, field_types) = definition.types();
    let mut values = Vec::with_capacity(definition.table.columns.len());
    if !window.is_all() {
        values.push(Value::Date(window.start_millis(index)));
        values.push(Value::Date(window.end_millis(index)));
    }
    values.extend(
        groups
            .iter()
            .zip(group_types)
            .map(|(datum, of)| value(datum, of)),
    );
    values.extend(
        fields
            .iter()
            .zip(field_types)
            .map(|(datum, of)| value(datum, of)),
    );
    Some(Row {
        id: id(definition, key, &groups),
        values,
        is_final: *is_final,
        expect: *expect,
        epoch: *epoch,
        updated_at,
    })
}

/// Which row: its table, and an `_id` made of the window's start and the group.
///
/// ```text
/// 2024-11-02T13:00:00Z|7b0c…|rating
/// ```
///
/// Different groups have different ids: see [`Datum::push_to_id`]. Without windows the groups alone
/// make it, or `all` where there are none.
pub fn row_id(definition: &Definition, key: &Key) -> RowId {
    id(definition, key, &key.values(definition.groups.len()))
}

fn id(definition: &Definition, key: &Key, groups: &[Datum]) -> RowId {
    static PRINTER: DateTimePrinter = DateTimePrinter::new();
    let mut id = String::with_capacity(64);
    let is_windowed = !definition.window.is_all();
    if is_windowed {
        let start = definition.window.start_millis(key.slot.index());
        // The years that a time can name are within jiff's range, but for windows
        // that begin before the first of them: those are told by their number.
        // Writing to a string does not fail.
        match Timestamp::from_millisecond(start) {
            Ok(start) => drop(PRINTER.print_timestamp(&start, &mut id)),
            Err(_) => drop(write!(id, "{start}")),
        }
    } else if groups.is_empty() {
        id.push_str("all");
    }
    for (number, group) in groups.iter().enumerate() {
        if number > 0 || is_windowed {
            id.push('|');
        }
        group.push_to_id(&mut id);
    }
    RowId {
        table: usize::from(key.slot.view()),
        id: id.into(),
    }
}

/// The key of a row by its values: the other way. `view` is the number of the view.
/// `None` for values that no row of it has.
pub fn key(definition: &Definition, view: u16, values: &[Value]) -> Option<Key> {
    let index = match values.first() {
        _ if definition.window.is_all() => 0,
        Some(Value::Date(start)) => definition.window.index_starting(*start)?,
        _ => return None,
    };
    let before = definition.window_columns();
    let groups = values.get(before..before + definition.groups.len())?;
    let types = definition.types().0.iter();
    let groups: Option<Vec<_>> = groups
        .iter()
        .zip(types)
        .map(|(value, of)| datum(value, of))
        .collect();
    let slot = Slot::checked(view, index)?;
    Some(Key::new(slot, &groups?))
}

/// A value as a document holds it.
fn value(datum: &Datum, of: &DataType) -> Value {
    match (datum.get(), of) {
        (Scalar::Null, _) => Value::Null,
        (Scalar::Text(text), _) => Value::Text(text.to_string()),
        (Scalar::Document(text) | Scalar::Packed(text), _) => Value::Text(text.to_owned()),
        // It was checked when it was read.
        (Scalar::Long(value), DataType::Int) => Value::Int(i32::try_from(value).unwrap_or(0)),
        (Scalar::Long(value), _) => Value::Long(value),
        (Scalar::Boolean(value), _) => Value::Boolean(value),
        (Scalar::Double(value), _) => Value::Double(value),
        (Scalar::Decimal { unscaled, scale }, of) => decimal(unscaled, scale, of),
        (Scalar::Timestamp(micros), _) => Value::Date(micros.div_euclid(1_000)),
        (Scalar::Date(days), _) => Value::Date(days.saturating_mul(86_400_000)),
    }
}

/// A decimal with as many decimals as it needs: two at the least, as far as its type has them.
fn decimal(mut unscaled: i128, scale: u8, of: &DataType) -> Value {
    let declared = match of {
        DataType::Decimal { scale, .. } => *scale,
        _ => 0,
    };
    let mut scale = u32::from(scale);
    while scale < u32::from(declared.min(2)) {
        unscaled = unscaled.saturating_mul(10);
        scale += 1;
    }
    Value::Decimal { unscaled, scale }
}

/// The value of which a document holds this one; nothing where none has this form.
fn datum(value: &Value, of: &DataType) -> Option<Datum> {
    Some(match (value, of) {
        (Value::Null, _) => Datum::null(),
        (Value::Text(text), DataType::Json | DataType::Array(_) | DataType::Struct(_)) => {
            Datum::document(text)
        }
        (Value::Text(text), _) => Datum::text(text),
        (Value::Boolean(value), _) => Datum::boolean(*value),
        (Value::Int(value), _) => Datum::long((*value).into()),
        (Value::Long(value), _) => Datum::long(*value),
        (Value::Double(value), _) => Datum::double(*value),
        (Value::Decimal { unscaled, scale }, _) => {
            Datum::decimal(*unscaled, u8::try_from(*scale).ok()?)
        }
        (Value::Date(millis), DataType::Date) => Datum::date(millis.div_euclid(86_400_000)),
        (Value::Date(millis), _) => Datum::timestamp(millis.checked_mul(1_000)?),
        (Value::Array(_) | Value::Document(_), _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::sums::Sums;
    use model::Window;
    use std::collections::BTreeMap;

    fn sales() -> (u16, Definition) {
        let definitions = crate::shop::catalog(&BTreeMap::new()).unwrap().definitions;
        let number = definitions
            .iter()
            .position(|view| view.name == "interaction_analysis")
            .unwrap();
        (u16::try_from(number).unwrap(), definitions[number].clone())
    }

    fn key(window: i64, groups: [&str; 2]) -> Key {
        Key::new(Slot::new(sales().0, window), &groups.map(Datum::text))
    }

    #[test]
    fn an_id_names_window_and_group() {
        let id = |groups| row_id(&sales().1, &key(481_837, groups)).id;
        assert_eq!(
            id(["p-1", "rating"]),
            "2024-12-19T13:00:00Z|p-1|rating".into()
        );
        assert_ne!(id(["a|b", "c"]), id(["a", "b|c"]));
        assert_ne!(id(["a\\", "b"]), id(["a", "\\b"]));
        assert_ne!(id(["", "a"]), id(["a", ""]));
    }

    #[test]
    fn an_id_without_windows_names_the_group() {
        let mut definition = sales().1;
        definition.window = Window::ALL;
        definition.table.columns.drain(..2);
        let of = key(0, ["p|1", "rating"]);
        assert_eq!(row_id(&definition, &of).id, "p\\|1|rating".into());
        let became = RowChange {
            key: of.clone(),
            epoch: 7,
            sums: Sums::default(),
            is_final: false,
            expect: sinks::Expect::Either,
        };
        let row = row(&definition, &became, 99).unwrap();
        assert_eq!(row.values.len(), 4);
        let found = super::key(&definition, of.slot.view(), &row.values);
        assert_eq!(found, Some(of.clone()));
        definition.groups.clear();
        assert_eq!(row_id(&definition, &of).id, "all".into());
    }

    #[test]
    fn a_row_has_its_view_s_fields_in_order() {
        let mut sums = Sums::of_lane(0, 3);
        sums.add(1, 2);
        let became = RowChange {
            key: key(1, ["p", "rating"]),
            epoch: 7,
            sums,
            is_final: true,
            expect: sinks::Expect::Either,
        };
        let row = row(&sales().1, &became, 99).unwrap();
        assert_eq!(
            row.values,
            [
                Value::Date(3_600_000),
                Value::Date(7_200_000),
                Value::Text("p".into()),
                Value::Text("rating".into()),
                Value::Long(3),
                Value::Long(2),
            ]
        );
        assert_eq!((row.epoch, row.is_final), (7, true));
    }

    #[test]
    fn decimals_are_written_as_they_need_and_two_at_the_least() {
        let written = |unscaled, scale| {
            let of = DataType::Decimal {
                precision: 38,
                scale: 9,
            };
            value(&Datum::decimal(unscaled, scale), &of)
        };
        let decimal = |unscaled, scale| Value::Decimal { unscaled, scale };
        assert_eq!(written(12_500_000_000, 9), decimal(1_250, 2));
        assert_eq!(written(0, 0), decimal(0, 2));
        assert_eq!(written(3_141_000_000, 9), decimal(3_141, 3));
        assert_eq!(written(-1, 9), decimal(-1, 9));
    }
}
