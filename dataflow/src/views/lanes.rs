//! Which lanes of a row's [`Sums`] an aggregate has, and what they come to.
//!
//! | aggregate | lanes |
//! | --- | --- |
//! | COUNT(*) | lane 0, which every row has |
//! | COUNT(x), and whatever is filtered | one |
//! | SUM, AVG of integers and decimals | the sum; and the number of values, where it is not that of events |
//! | SUM, AVG of DOUBLE | [`exact::DOUBLE_LANES`], of which few are not 0 |
//! | COUNT(DISTINCT x), SUM(DISTINCT x) | what each distinct value adds, once |
//! | MIN, MAX, … of what fits 64 bits | the value |
//! | MIN, MAX, … of all else | its bytes, fifteen a lane, behind all other lanes |

use super::extremes::Extreme;
use super::sums::{COUNT, Sums};
use checkpoint::Codec;
use model::exact::{self, DOUBLE_LANES, Exact};
use model::{DataType, Datum, Scalar};

/// The lanes of a view's rows.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    /// How each aggregate is computed.
    pub results: Vec<Aggregated>,
    /// Of aggregates over distinct values, by the number of the arrangement of members.
    pub distinct: Vec<DistinctLanes>,
    /// Of first values, by their number.
    pub extremes: Vec<ExtremeLanes>,
}

/// How an aggregate is computed from lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aggregated {
    /// What a lane holds.
    Count(u16),
    /// A sum, which is NULL where the lane `values` is 0.
    Sum {
        /// Its first lane.
        lane: u16,
        /// How many values there are.
        values: u16,
        /// What it is a sum of.
        of: Number,
    },
    /// A sum, divided by the number of values; NULL where there are none.
    Average {
        /// Its first lane.
        lane: u16,
        /// How many values there are.
        values: u16,
        /// What it is a sum of.
        of: Number,
    },
    /// Whether a lane is 0; NULL where the lane `values` is.
    IsZero {
        /// The lane.
        lane: u16,
        /// How many values there are.
        values: u16,
    },
    /// Whether a lane is not 0; NULL where the lane `values` is.
    IsNotZero {
        /// The lane.
        lane: u16,
        /// How many values there are.
        values: u16,
    },
    /// A first value, by its number.
    First(usize),
}

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Integers.
    Long,
    /// Decimals, in units of 10^-scale.
    Decimal(u8),
    /// Doubles.
    Double,
}

/// What each distinct value adds to a row.
#[derive(Clone, Debug, Default)]
pub struct DistinctLanes {
    /// One, in this lane.
    pub count: u16,
    /// Itself, from this lane on.
    pub sum: Option<(u16, Number)>,
}

/// Where the first of a row's values is held.
#[derive(Clone, Debug)]
pub struct ExtremeLanes {
    /// Where it says that there is one.
    pub present: u16,
    /// Where it is.
    pub first: u16,
    /// How many lanes there are for its bytes; none where it is held as an integer of this type.
    pub form: Form,
    /// Whether what goes with it is wanted, and not what it is ordered by.
    pub is_with: bool,
    /// Whether values may be taken back, so that all have to be kept.
    pub is_kept_all: bool,
}

/// How a value is held in lanes.
#[derive(Clone, Debug)]
pub enum Form {
    /// In one, as an integer; of this type.
    Integer(DataType),
    /// In up to so many, as bytes.
    Bytes(u16),
}

/// Bytes that a lane holds.
const BYTES: usize = 15;

impl Number {
    /// What values of a type are.
    pub fn of(data_type: &DataType) -> Number {
        match data_type {
            DataType::Decimal { scale, .. } => Number::Decimal(*scale),
            DataType::Double => Number::Double,
            _ => Number::Long,
        }
    }

    /// How many lanes its sums have.
    pub fn lanes(self) -> u16 {
        match self {
            Number::Double => DOUBLE_LANES,
            Number::Long | Number::Decimal(_) => 1,
        }
    }

    /// A value as an integer in its units; 0 where it is none.
    pub fn integer(self, value: Scalar<'_>) -> i128 {
        match self {
            Number::Long => value.in_units(0),
            Number::Decimal(scale) => value.in_units(scale),
            Number::Double => 0,
        }
    }

    /// What its lanes, from `lane` on, add up to.
    fn sum(self, sums: &Sums, lane: u16) -> Datum {
        match self {
            Number::Long => Datum::long(saturate(sums.get(lane))),
            Number::Decimal(scale) => Datum::decimal(sums.get(lane), scale),
            Number::Double => Datum::double(doubles(sums, lane).to_double()),
        }
    }

    /// The same divided by a number that is not 0, rounded once.
    fn average(self, sums: &Sums, lane: u16, values: u64) -> f64 {
        match self {
            Number::Long => Exact::of_integer(sums.get(lane)).divided(u128::from(values)),
            Number::Decimal(scale) => {
                let divisor = 10u128.pow(scale.into()).saturating_mul(values.into());
                Exact::of_integer(sums.get(lane)).divided(divisor)
            }
            Number::Double => doubles(sums, lane).divided(values.into()),
        }
    }
}

/// A sum as the 64-bit integer that a column holds: beyond that range, the
/// nearest one there is.
fn saturate(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

fn doubles(sums: &Sums, first: u16) -> Exact {
    let lanes = sums.lanes().into_iter();
    let own = lanes.filter(|(lane, _)| (first..first + DOUBLE_LANES).contains(lane));
    Exact::of_double_lanes(own.map(|(lane, sum)| (lane - first, sum)))
}

impl Lanes {
    /// What an aggregate comes to.
    pub fn result(&self, number: usize, sums: &Sums) -> Datum {
        let is_there = |values: u16| sums.get(values) != 0;
        match &self.results[number] {
            Aggregated::Count(COUNT) => Datum::long(sums.count()),
            Aggregated::Count(lane) => Datum::long(saturate(sums.get(*lane))),
            Aggregated::Sum { lane, values, of } if is_there(*values) => of.sum(sums, *lane),
            Aggregated::Average { lane, values, of } if is_there(*values) => {
                // It is not negative: what was taken back had been there.
                let values = u64::try_from(sums.get(*values)).unwrap_or(u64::MAX);
                Datum::double(of.average(sums, *lane, values))
            }
            Aggregated::IsZero { lane, values } if is_there(*values) => {
                Datum::boolean(sums.get(*lane) == 0)
            }
            Aggregated::IsNotZero { lane, values } if is_there(*values) => {
                Datum::boolean(sums.get(*lane) != 0)
            }
            Aggregated::First(number) => self.extremes[*number].get(sums),
            _ => Datum::null(),
        }
    }
}

impl DistinctLanes {
    /// What a value adds to the sum so many times.
    pub(super) fn change_of_sum(&self, value: &Datum, times: i64) -> Sums {
        let mut sums = Sums::default();
        if let Some((lane, of)) = self.sum {
            match (of, value.get()) {
                (Number::Double, Scalar::Double(value)) => {
                    if let Some((place, amount)) = exact::double_lane(value) {
                        sums.add(lane + place, amount * i128::from(times));
                    }
                }
                (of, value) => sums.add(lane, of.integer(value).wrapping_mul(times.into())),
            }
        }
        sums
    }
}

impl ExtremeLanes {
    /// Adds the first value to a row that has none.
    pub(super) fn put(&self, value: &Extreme, sums: &mut Sums) {
        sums.add(self.present, 1);
        let value = if self.is_with { &value.with } else { &value.by };
        match &self.form {
            Form::Integer(_) => sums.add(self.first, bits(value.get()).into()),
            Form::Bytes(room) => {
                let mut bytes = Vec::new();
                value.put(&mut bytes);
                sums.add(self.first, bytes.len() as i128);
                for (lane, chunk) in (1..*room).zip(bytes.chunks(BYTES)) {
                    let mut whole = [0; 16];
                    whole[1..=chunk.len()].copy_from_slice(chunk);
                    sums.add(self.first + lane, i128::from_be_bytes(whole));
                }
            }
        }
    }

    /// The value that [`ExtremeLanes::put`] has added; NULL where there is none.
    fn get(&self, sums: &Sums) -> Datum {
        if sums.get(self.present) == 0 {
            return Datum::null();
        }
        match &self.form {
            // It was put there as an integer of 64 bits.
            Form::Integer(of) => value(of, i64::try_from(sums.get(self.first)).unwrap_or(0)),
            Form::Bytes(room) => {
                let length = usize::try_from(sums.get(self.first)).unwrap_or(0);
                let mut bytes = Vec::with_capacity(length);
                let needed = u16::try_from(length.div_ceil(BYTES)).unwrap_or(u16::MAX);
                for lane in 1..=needed.min(room - 1) {
                    bytes.extend_from_slice(&sums.get(self.first + lane).to_be_bytes()[1..]);
                }
                bytes.truncate(length);
                Datum::take(&mut &bytes[..]).unwrap_or_else(Datum::null)
            }
        }
    }
}

/// Whether values of a type are held as integers of 64 bits.
pub(super) fn is_integer(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int
            | DataType::BigInt
            | DataType::Double
            | DataType::Timestamp
            | DataType::Date
    )
}

fn bits(value: Scalar<'_>) -> i64 {
    match value {
        Scalar::Boolean(value) => value.into(),
        Scalar::Long(value) | Scalar::Timestamp(value) | Scalar::Date(value) => value,
        Scalar::Double(value) => value.to_bits().cast_signed(),
        _ => 0,
    }
}

fn value(of: &DataType, bits: i64) -> Datum {
    match of {
        DataType::Boolean => Datum::boolean(bits != 0),
        DataType::Double => Datum::double(f64::from_bits(bits.cast_unsigned())),
        DataType::Timestamp => Datum::timestamp(bits),
        DataType::Date => Datum::date(bits),
        _ => Datum::long(bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use differential_dataflow::difference::{Abelian, IsZero, Semigroup};
    use proptest::prelude::*;

    fn of_text(room: u16) -> ExtremeLanes {
        ExtremeLanes {
            present: 1,
            first: 2,
            form: Form::Bytes(room),
            is_with: false,
            is_kept_all: true,
        }
    }

    fn extreme(by: Datum) -> Extreme {
        let with = Datum::null();
        Extreme {
            number: 0,
            is_descending: false,
            by,
            with,
        }
    }

    proptest! {
        #[test]
        fn a_text_is_put_and_taken_away(one in ".{0,90}", other in ".{0,90}") {
            let lanes = of_text(100);
            let [one, other] = [one, other].map(|text| extreme(Datum::text(&text)));
            let mut sums = Sums::default();
            lanes.put(&one, &mut sums);
            prop_assert_eq!(lanes.get(&sums), one.by.clone());
            let mut gone = Sums::default();
            lanes.put(&one, &mut gone);
            gone.negate();
            lanes.put(&other, &mut gone);
            sums.plus_equals(&gone);
            prop_assert_eq!(lanes.get(&sums), other.by.clone());
            let mut gone = Sums::default();
            lanes.put(&other, &mut gone);
            gone.negate();
            sums.plus_equals(&gone);
            prop_assert!(sums.is_zero());
            prop_assert_eq!(lanes.get(&sums), Datum::null());
        }
    }
}
