//! From a key and its sums to the row that is written.

use super::definition::{Definition, Output};
use super::key::{Key, MAX_GROUPS, pack};
use super::rows::RowChange;
use super::sums::{LATEST, Sums};
use events::Id;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use model::Slot;
use sinks::{Row, RowId, Value};
use std::fmt::Write as _;

/// A row as it became; `definition` is its view. `updated_at` is in milliseconds
/// since the UNIX epoch.
pub fn row(definition: &Definition, became: &RowChange, updated_at: i64) -> Row {
    let RowChange {
        key,
        epoch,
        sums,
        is_final,
        expect,
    } = became;
    let index = key.slot.index();
    let window = definition.window;
    let mut values = Vec::with_capacity(definition.table.columns.len());
    if !window.is_all() {
        values.push(Value::Date(window.start_millis(index)));
        values.push(Value::Date(window.end_millis(index)));
    }
    let groups = key.groups(definition.groups.len());
    let id = id(definition, key, &groups);
    values.extend(groups.into_iter().map(Value::Text));
    values.extend(definition.outputs.iter().map(|output| value(*output, sums)));
    Row {
        id,
        values,
        is_final: *is_final,
        expect: *expect,
        epoch: *epoch,
        updated_at,
    }
}

/// Which row: its table, and an `_id` made of the window's start and the group.
///
/// ```text
/// 2024-11-02T13:00:00Z|7b0c…|rating
/// ```
///
/// A `|` or `\` within a group is escaped by a `\`, so that different groups
/// have different ids. Without windows the groups alone make it, or `all` where there
/// are none.
pub fn row_id(definition: &Definition, key: &Key) -> RowId {
    id(definition, key, &key.groups(definition.groups.len()))
}

fn id(definition: &Definition, key: &Key, groups: &[String]) -> RowId {
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
        if group.bytes().any(|byte| matches!(byte, b'|' | b'\\')) {
            id.push_str(&group.replace('\\', "\\\\").replace('|', "\\|"));
        } else {
            id.push_str(group);
        }
    }
    RowId {
        table: usize::from(key.slot.view()),
        id,
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
    let mut groups = Vec::new();
    let before = definition.window_columns();
    for value in values.get(before..before + definition.groups.len())? {
        let Value::Text(text) = value else {
            return None;
        };
        groups.push(Id::new(text));
    }
    let mut group: [Id; MAX_GROUPS] = Default::default();
    if let [.., one, other] = &groups[..]
        && groups.len() > MAX_GROUPS
    {
        let packed = pack(one, other);
        groups.truncate(MAX_GROUPS - 1);
        groups.push(packed);
    }
    for (place, id) in group.iter_mut().zip(groups) {
        *place = id;
    }
    let slot = Slot::checked(view, index)?;
    Some(Key { slot, group })
}

fn value(output: Output, sums: &Sums) -> Value {
    match output {
        Output::Count => Value::Long(sums.count),
        Output::Unique => Value::Long(sums.unique),
        Output::Sum(sum) => Value::Long(saturate(sums.sums[sum])),
        Output::Average { sum, scale } => {
            let whole = i128::from(sums.count) * 10i128.pow(scale);
            Value::Double(quotient(sums.sums[sum], whole))
        }
        Output::Money(sum) => money(sums.sums[sum]),
        Output::Latest => Value::Date(saturate(sums.sums[LATEST].div_euclid(1_000))),
    }
}

/// An amount of money in billionths, with as many decimals as it needs: two at the
/// least.
fn money(mut unscaled: i128) -> Value {
    let mut scale = 9;
    while scale > 2 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    Value::Decimal { unscaled, scale }
}

/// A sum as the 64-bit integer that a document holds: beyond that range, the
/// nearest one there is.
fn saturate(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

/// The double nearest to `n / d` (ties to even): rounded once, from the exact
/// quotient. Zero where `d` is zero.
fn quotient(n: i128, d: i128) -> f64 {
    let (numerator, d, negative) = (n.unsigned_abs(), d.unsigned_abs(), (n < 0) != (d < 0));
    if numerator == 0 || d == 0 {
        return 0.0;
    }
    // At least 64 bits of the quotient, then one that tells whether anything
    // was left: the conversion to 53 bits then rounds as the exact value would.
    let mut exponent = numerator.leading_zeros();
    let shifted = numerator << exponent;
    let (mut q, mut rest) = (shifted / d, shifted % d);
    while q < 1 << 64 && rest < 1 << 127 {
        rest <<= 1;
        q <<= 1;
        if rest >= d {
            rest -= d;
            q |= 1;
        }
        exponent += 1;
    }
    if rest != 0 {
        q |= 1;
    }
    let exponent = i32::try_from(exponent).unwrap_or(i32::MAX);
    #[allow(clippy::cast_precision_loss, reason = "this is the one rounding")]
    let magnitude = q as f64 * 2f64.powi(-exponent);
    if negative { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Id;
    use model::{Slot, Window};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn sales() -> (u16, Definition) {
        let definitions = super::super::catalog(&BTreeMap::new()).unwrap().definitions;
        let number = definitions
            .iter()
            .position(|view| view.name == "interaction_analysis")
            .unwrap();
        (u16::try_from(number).unwrap(), definitions[number].clone())
    }

    fn key(window: i64, groups: [&str; 2]) -> Key {
        Key {
            slot: Slot::new(sales().0, window),
            group: groups.map(Id::new),
        }
    }

    #[test]
    fn an_id_names_window_and_group() {
        let id = |groups| row_id(&sales().1, &key(481_837, groups)).id;
        assert_eq!(id(["p-1", "rating"]), "2024-12-19T13:00:00Z|p-1|rating");
        assert_ne!(id(["a|b", "c"]), id(["a", "b|c"]));
        assert_ne!(id(["a\\", "b"]), id(["a", "\\b"]));
        assert_ne!(id(["", "a"]), id(["a", ""]));
    }

    #[test]
    fn an_id_without_windows_names_the_group() {
        let mut definition = Definition {
            window: Window::ALL,
            ..sales().1
        };
        definition.table.columns.drain(..2);
        let of = key(0, ["p|1", "rating"]);
        assert_eq!(row_id(&definition, &of).id, "p\\|1|rating");
        let became = RowChange {
            key: of.clone(),
            epoch: 7,
            sums: Sums::default(),
            is_final: false,
            expect: sinks::Expect::Either,
        };
        let row = row(&definition, &became, 99);
        assert_eq!(row.values.len(), 4);
        let found = super::key(&definition, of.slot.view(), &row.values);
        assert_eq!(found, Some(of.clone()));
        definition.groups.clear();
        assert_eq!(row_id(&definition, &of).id, "all");
    }

    #[test]
    fn a_row_has_its_view_s_fields_in_order() {
        let sums = Sums {
            count: 3,
            unique: 2,
            ..Sums::default()
        };
        let became = RowChange {
            key: key(1, ["p", "rating"]),
            epoch: 7,
            sums,
            is_final: true,
            expect: sinks::Expect::Either,
        };
        let row = row(&sales().1, &became, 99);
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
    fn money_has_the_decimals_it_needs() {
        let decimal = |unscaled, scale| Value::Decimal { unscaled, scale };
        assert_eq!(money(12_500_000_000), decimal(1_250, 2));
        assert_eq!(money(0), decimal(0, 2));
        assert_eq!(money(3_141_000_000), decimal(3_141, 3));
        assert_eq!(money(-1), decimal(-1, 9));
    }

    #[test]
    fn sums_beyond_64_bits_stop_at_the_nearest() {
        assert_eq!(saturate(i128::from(i64::MAX) + 1), i64::MAX);
        assert_eq!(saturate(i128::MIN), i64::MIN);
    }

    #[test]
    fn known_quotients() {
        assert_eq!(quotient(1, 3), 1.0 / 3.0);
        assert_eq!(quotient(-10, 4), -2.5);
        assert_eq!(quotient(0, 5), 0.0);
        assert_eq!(quotient(1, 0), 0.0);
        // Exactly between two doubles: to the even one, but not when more is left.
        let half = (1i128 << 53) + 1;
        assert_eq!(quotient(half, 1), 9_007_199_254_740_992.0);
        assert_eq!(
            quotient(half * 1_000_000_000_000 + 1, 1_000_000_000_000),
            9_007_199_254_740_994.0
        );
    }

    proptest! {
        #[test]
        fn a_quotient_of_integers_that_doubles_hold_is_theirs(n in -(1i64 << 53)..1 << 53, d in 1i64..1 << 53) {
            #[allow(clippy::cast_precision_loss, reason = "both are held exactly")]
            let expected = n as f64 / d as f64;
            prop_assert_eq!(quotient(n.into(), d.into()), expected);
        }

        #[test]
        fn a_quotient_is_the_decimal_expansion_s_double(n in 0i128..1 << 100, d in 1i128..1_000_000_000_000) {
            // 60 digits behind the point, and one more where anything is left.
            let mut digits = format!("{}.", n / d);
            let mut rest = n % d;
            for _ in 0..60 {
                rest *= 10;
                write!(digits, "{}", rest / d).unwrap();
                rest %= d;
            }
            if rest > 0 {
                digits.push('1');
            }
            prop_assert_eq!(quotient(n, d), digits.parse::<f64>().unwrap());
        }
    }
}
