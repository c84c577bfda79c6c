//! A value of any type, in sixteen bytes.
//!
//! | type | held |
//! | --- | --- |
//! | TEXT, UUID | as an [`Id`]: UUIDs and up to fifteen bytes in place, longer texts shared |
//! | BOOLEAN, BIGINT, INT, DOUBLE, TIMESTAMP, DATE | in place |
//! | DECIMAL | in place while its digits fit 64 bits, else as text |
//! | JSON, arrays, structs | as text |
//! | several values | packed into one |
//!
//! Equal values have equal forms (`1.50` is `1.5`, `-0.0` is `0.0`), so that they can be compared
//! and hashed without a look at their type. The order of [`Ord`] is total and the same in
//! every process; that of the values is [`Datum::compare`].

use crate::Id;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt::{self, Write as _};

/// A value of any type, or NULL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Datum(Id);

/// A [`Datum`], taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// No value.
    Null,
    /// A truth value.
    Boolean(bool),
    /// An integer.
    Long(i64),
    /// A floating point number.
    Double(f64),
    /// `unscaled / 10^scale`, without zeros at the end of its decimals.
    Decimal {
        /// All digits, as one integer.
        unscaled: i128,
        /// How many of them stand behind the point.
        scale: u8,
    },
    /// Microseconds since the UNIX epoch.
    Timestamp(i64),
    /// Days since the UNIX epoch.
    Date(i64),
    /// A text, or a UUID as one.
    Text(&'a Id),
    /// JSON, an array or a struct, as canonical JSON.
    Document(&'a str),
    /// Several values: see [`Datum::unpack`].
    Packed(&'a str),
}

impl Scalar<'_> {
    /// An integer or a decimal in units of 10^-`scale`, which its own decimals do not exceed; 0 where
    /// it is neither.
    pub fn in_units(self, scale: u8) -> i128 {
        let (unscaled, own) = match self {
            Scalar::Long(value) => (i128::from(value), 0),
            Scalar::Decimal { unscaled, scale } => (unscaled, scale),
            _ => return 0,
        };
        let factor = 10i128.checked_pow(u32::from(scale.saturating_sub(own)));
        factor.map_or(0, |factor| unscaled.wrapping_mul(factor))
    }
}

const NULL: u8 = 0;
const BOOLEAN: u8 = 1;
const LONG: u8 = 2;
const DOUBLE: u8 = 3;
const DECIMAL: u8 = 4;
const TIMESTAMP: u8 = 5;
const DATE: u8 = 6;

/// Tags of texts that stand for something else.
const WIDE_DECIMAL: u8 = 1;
const DOCUMENT: u8 = 2;
const PACKED: u8 = 3;

impl Datum {
    /// No value.
    pub fn null() -> Datum {
        Datum(Id::number(NULL, 0, 0))
    }

    /// A truth value.
    pub fn boolean(value: bool) -> Datum {
        Datum(Id::number(BOOLEAN, u64::from(value), 0))
    }

    /// An integer.
    #[inline]
    pub fn long(value: i64) -> Datum {
        Datum(Id::number(LONG, value.cast_unsigned(), 0))
    }

    /// A floating point number. All that are no number are the same.
    pub fn double(value: f64) -> Datum {
        let value = if value.is_nan() { f64::NAN } else { value };
        // -0.0 and 0.0 make 0.0.
        let value = value + 0.0;
        Datum(Id::number(DOUBLE, value.to_bits(), 0))
    }

    /// `unscaled / 10^scale`.
    pub fn decimal(mut unscaled: i128, mut scale: u8) -> Datum {
        while scale > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        match i64::try_from(unscaled) {
            Ok(small) => Datum(Id::number(DECIMAL, small.cast_unsigned(), scale)),
            Err(_) => Datum(Id::tagged(WIDE_DECIMAL, &format!("{unscaled}e{scale}"))),
        }
    }

    /// A moment, in microseconds since the UNIX epoch.
    pub fn timestamp(micros: i64) -> Datum {
        Datum(Id::number(TIMESTAMP, micros.cast_unsigned(), 0))
    }

    /// A day, counted from the UNIX epoch.
    pub fn date(days: i64) -> Datum {
        Datum(Id::number(DATE, days.cast_unsigned(), 0))
    }

    /// A text.
    #[inline]
    pub fn text(text: &str) -> Datum {
        Datum(Id::new(text))
    }

    /// JSON, an array or a struct, as canonical JSON.
    pub fn document(json: &str) -> Datum {
        Datum(Id::tagged(DOCUMENT, json))
    }

    /// Whether it is NULL.
    #[inline]
    pub fn is_null(&self) -> bool {
        matches!(self.0.as_number(), Some((NULL, ..)))
    }

    /// What it is.
    pub fn get(&self) -> Scalar<'_> {
        if let Some((kind, bits, byte)) = self.0.as_number() {
            let value = bits.cast_signed();
            return match kind {
                BOOLEAN => Scalar::Boolean(value != 0),
                LONG => Scalar::Long(value),
                DOUBLE => Scalar::Double(f64::from_bits(bits)),
                DECIMAL => Scalar::Decimal {
                    unscaled: value.into(),
                    scale: byte,
                },
                TIMESTAMP => Scalar::Timestamp(value),
                DATE => Scalar::Date(value),
                _ => Scalar::Null,
            };
        }
        match self.0.as_tagged() {
            None => Scalar::Text(&self.0),
            Some((WIDE_DECIMAL, text)) => wide(text),
            Some((DOCUMENT, text)) => Scalar::Document(text),
            Some((_, text)) => Scalar::Packed(text),
        }
    }

    /// The id that holds it, whatever it is.
    pub fn as_id(&self) -> &Id {
        &self.0
    }

    /// How two values of one type are ordered: texts by their bytes, NULL before all others.
    pub fn compare(&self, other: &Datum) -> Ordering {
        match (self.get(), other.get()) {
            (Scalar::Null, Scalar::Null) => Ordering::Equal,
            (Scalar::Null, _) => Ordering::Less,
            (_, Scalar::Null) => Ordering::Greater,
            (Scalar::Boolean(one), Scalar::Boolean(other)) => one.cmp(&other),
            (Scalar::Long(one), Scalar::Long(other))
            | (Scalar::Timestamp(one), Scalar::Timestamp(other))
            | (Scalar::Date(one), Scalar::Date(other)) => one.cmp(&other),
            (Scalar::Double(one), Scalar::Double(other)) => one.total_cmp(&other),
            (
                Scalar::Decimal { unscaled, scale },
                Scalar::Decimal {
                    unscaled: other,
                    scale: other_scale,
                },
            ) => compare_decimals((unscaled, scale), (other, other_scale)),
            (Scalar::Text(one), Scalar::Text(other)) => {
                one.with_str(|one| other.with_str(|other| one.cmp(other)))
            }
            (Scalar::Document(one), Scalar::Document(other)) => one.cmp(other),
            _ => self.cmp(other),
        }
    }

    /// Several values as one; a single one stays as it is.
    pub fn pack(values: &[Datum]) -> Datum {
        if let [one] = values {
            return one.clone();
        }
        let mut text = String::with_capacity(32 * values.len());
        for value in values {
            // Writing to a string does not fail.
            let number = value.0.as_number();
            let tagged = value.0.as_tagged();
            let _ = match (number, tagged) {
                (Some((kind, bits, byte)), _) => write!(text, "n{kind},{bits},{byte};"),
                (None, Some((tag, held))) => write!(text, "g{tag},{}:{held}", held.len()),
                (None, None) => value
                    .0
                    .with_str(|held| write!(text, "{}:", held.len()).map(|()| text.push_str(held))),
            };
        }
        Datum(Id::tagged(PACKED, &text))
    }

    /// The values of which [`Datum::pack`] made this one, appended to `values`; itself where
    /// it is not packed.
    pub fn unpack(&self, values: &mut Vec<Datum>) {
        let Scalar::Packed(mut text) = self.get() else {
            return values.push(self.clone());
        };
        while let Some((value, rest)) = unpack_one(text) {
            values.push(value);
            text = rest;
        }
    }
}

/// The first value of those packed, and the rest.
fn unpack_one(text: &str) -> Option<(Datum, &str)> {
    let (kind, rest) = match text.chars().next()? {
        kind @ ('n' | 'g') => (kind, &text[1..]),
        _ => ('t', text),
    };
    if kind == 'n' {
        let (number, rest) = rest.split_once(';')?;
        let mut parts = number.split(',');
        let kind = parts.next()?.parse().ok()?;
        let bits = parts.next()?.parse().ok()?;
        let byte = parts.next()?.parse().ok()?;
        return Some((Datum(Id::number(kind, bits, byte)), rest));
    }
    let (tag, rest) = match kind {
        'g' => rest
            .split_once(',')
            .and_then(|(tag, rest)| Some((tag.parse().ok()?, rest)))?,
        _ => (0, rest),
    };
    let (length, rest) = rest.split_once(':')?;
    let (held, rest) = rest.split_at_checked(length.parse().ok()?)?;
    let id = match tag {
        0 => Id::new(held),
        tag => Id::tagged(tag, held),
    };
    Some((Datum(id), rest))
}

/// A decimal of more than 64 bits, from its text.
fn wide(text: &str) -> Scalar<'_> {
    let parts = text.split_once('e');
    let parsed =
        parts.and_then(|(digits, scale)| Some((digits.parse().ok()?, scale.parse().ok()?)));
    parsed.map_or(Scalar::Null, |(unscaled, scale)| Scalar::Decimal {
        unscaled,
        scale,
    })
}

fn compare_decimals(one: (i128, u8), other: (i128, u8)) -> Ordering {
    let scale = one.1.max(other.1);
    let scaled = |(unscaled, from): (i128, u8)| {
        10i128
            .checked_pow(u32::from(scale - from))
            .and_then(|factor| unscaled.checked_mul(factor))
    };
    match (scaled(one), scaled(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        // The one that leaves the range is further from zero.
        (None, _) => one.0.cmp(&0),
        (_, None) => 0.cmp(&other.0),
    }
}

impl From<Id> for Datum {
    #[inline]
    fn from(id: Id) -> Datum {
        Datum(id)
    }
}

impl fmt::Debug for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Scalar::Text(text) => fmt::Debug::fmt(text, f),
            scalar => fmt::Debug::fmt(&scalar, f),
        }
    }
}

impl Datum {
    /// Appends its form to a row's `_id`: canonical, NULL as `\N`, and `\` and `|` within texts
    /// escaped by a `\`. Times have microseconds where they need them.
    pub fn push_to_id(&self, id: &mut String) {
        let mut escaped = |text: &str| {
            if text.bytes().any(|byte| matches!(byte, b'|' | b'\\')) {
                id.push_str(&text.replace('\\', "\\\\").replace('|', "\\|"));
            } else {
                id.push_str(text);
            }
        };
        match self.get() {
            Scalar::Text(text) => text.with_str(escaped),
            Scalar::Document(text) | Scalar::Packed(text) => escaped(text),
            Scalar::Null => id.push_str("\\N"),
            // Writing to a string does not fail.
            Scalar::Boolean(value) => drop(write!(id, "{value}")),
            Scalar::Long(value) => drop(write!(id, "{value}")),
            Scalar::Double(value) => drop(write!(id, "{value}")),
            Scalar::Decimal { unscaled, scale } => push_decimal(unscaled, scale, id),
            Scalar::Timestamp(micros) => push_timestamp(micros, id),
            Scalar::Date(days) => {
                let mut text = String::new();
                push_timestamp(days.saturating_mul(86_400_000_000), &mut text);
                id.push_str(text.split('T').next().unwrap_or_default());
            }
        }
    }
}

/// Appends a decimal in plain digits.
fn push_decimal(unscaled: i128, scale: u8, into: &mut String) {
    let digits = unscaled.unsigned_abs().to_string();
    if unscaled < 0 {
        into.push('-');
    }
    let scale = usize::from(scale);
    let missing = (scale + 1).saturating_sub(digits.len());
    let digits = format!("{}{digits}", "0".repeat(missing));
    let (whole, decimals) = digits.split_at(digits.len() - scale);
    into.push_str(whole);
    if !decimals.is_empty() {
        into.push('.');
        into.push_str(decimals);
    }
}

/// Appends a moment as ISO 8601, with as many decimals of a second as it needs: none, three or
/// six.
fn push_timestamp(micros: i64, into: &mut String) {
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(moment) => drop(write!(into, "{moment}")),
        Err(_) => drop(write!(into, "{micros}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_datum() -> impl Strategy<Value = Datum> {
        prop_oneof![
            Just(Datum::null()),
            any::<bool>().prop_map(Datum::boolean),
            any::<i64>().prop_map(Datum::long),
            any::<f64>().prop_map(Datum::double),
            (any::<i128>(), 0..38u8).prop_map(|(unscaled, scale)| Datum::decimal(unscaled, scale)),
            (-1000..1000i128, 0..9u8).prop_map(|(unscaled, scale)| Datum::decimal(unscaled, scale)),
            any::<i64>().prop_map(Datum::timestamp),
            (-100_000..100_000i64).prop_map(Datum::date),
            ".{0,40}".prop_map(|text| Datum::text(&text)),
            any::<u128>().prop_map(|bits| Datum::from(Id::from_uuid(bits))),
            ".{0,40}".prop_map(|text| Datum::document(&text)),
        ]
    }

    proptest! {
        #[test]
        fn packed_values_come_back(values in proptest::collection::vec(any_datum(), 0..5)) {
            let mut found = Vec::new();
            Datum::pack(&values).unpack(&mut found);
            prop_assert_eq!(found, values);
        }

        #[test]
        fn stored_values_come_back(value in any_datum(), other in any_datum()) {
            let mut bytes = Vec::new();
            value.0.write_to(&mut bytes);
            Datum::pack(&[value.clone(), other.clone()]).0.write_to(&mut bytes);
            let mut left = &bytes[..];
            prop_assert_eq!(Id::read_from(&mut left).map(Datum), Some(value.clone()));
            prop_assert_eq!(Id::read_from(&mut left).map(Datum), Some(Datum::pack(&[value.clone(), other])));
            prop_assert!(left.is_empty());
            let coded = bincode::serialize(&value).unwrap();
            prop_assert_eq!(bincode::deserialize::<Datum>(&coded).unwrap(), value);
        }

        #[test]
        fn decimals_are_ordered_as_numbers(a in any::<i64>(), b in any::<i64>(), s in 0..9u8, t in 0..9u8) {
            let [one, other] = [(a, s), (b, t)].map(|(n, scale)| Datum::decimal(n.into(), scale));
            let wide = |n: i64, scale: u8| i128::from(n) * 10i128.pow(u32::from(9 - scale));
            prop_assert_eq!(one.compare(&other), wide(a, s).cmp(&wide(b, t)));
            prop_assert_eq!(one == other, wide(a, s) == wide(b, t));
        }

        #[test]
        fn different_values_have_different_ids(a in any_datum(), b in any_datum()) {
            let text = |datum: &Datum| { let mut id = String::new(); datum.push_to_id(&mut id); id };
            if std::mem::discriminant(&a.get()) == std::mem::discriminant(&b.get()) {
                prop_assert_eq!(text(&a) == text(&b), a == b);
            }
        }
    }

    #[test]
    fn equal_numbers_have_one_form() {
        assert_eq!(Datum::decimal(150, 2), Datum::decimal(15, 1));
        assert_eq!(Datum::double(-0.0), Datum::double(0.0));
        assert_ne!(Datum::long(1), Datum::decimal(1, 0));
        assert_ne!(Datum::text("1"), Datum::long(1));
    }

    #[test]
    fn ids_are_canonical() {
        let id = |datum: Datum| {
            let mut id = String::new();
            datum.push_to_id(&mut id);
            id
        };
        assert_eq!(id(Datum::decimal(-150, 2)), "-1.5");
        assert_eq!(id(Datum::decimal(5, 3)), "0.005");
        assert_eq!(id(Datum::text("a|b\\c")), "a\\|b\\\\c");
        assert_eq!(id(Datum::null()), "\\N");
        assert_eq!(id(Datum::text("\\N")), "\\\\N");
        assert_eq!(
            id(Datum::timestamp(1_700_000_000_000_000)),
            "2023-11-14T22:13:20Z"
        );
        assert_eq!(id(Datum::date(1)), "1970-01-02");
    }

    #[test]
    fn texts_are_ordered_by_their_bytes() {
        let uuid = Datum::text("7b0c6e4e-7b0c-4e4e-8b0c-7b0c6e4e7b0c");
        assert_eq!(Datum::text("a").compare(&uuid), Ordering::Greater);
        assert_eq!(Datum::text("7").compare(&uuid), Ordering::Less);
        assert_eq!(Datum::null().compare(&uuid), Ordering::Less);
    }
}
