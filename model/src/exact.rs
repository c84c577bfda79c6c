//! Exact sums and quotients, each rounded once.
//!
//! A finite double is an integer of 53 bits, times a power of two. As a multiple of the least
//! positive double, 2^-1074, it is an integer of up to 2,098 bits, and so is every sum of doubles.
//! Such an integer is kept as *lanes* of 32 bits: lane `i` counts in units of 2^(32 i − 1074). One
//! double changes one lane by less than 2^85, so that a lane of 128 bits has room for 2^42 of them
//! before anything has to be carried; and since lanes are plain integers, what was added can be taken
//! away again, in any order, exactly.
//!
//! Adding without carrying is the method of Kulisch's long accumulator (U. Kulisch, *Computer
//! Arithmetic and Validity*, 2008), with carries put off to the end.

/// Lanes that a sum of doubles may need.
pub const DOUBLE_LANES: u16 = 66;

/// The lane that a double changes, and by how much; `None` where it is not finite.
#[inline]
pub fn double_lane(value: f64) -> Option<(u16, i128)> {
    if !value.is_finite() {
        return None;
    }
    let bits = value.to_bits();
    let exponent = (bits >> 52) & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, shift) = match exponent {
        0 => (fraction, 0),
        exponent => (fraction | 1 << 52, exponent - 1),
    };
    let amount = i128::from(mantissa) << (shift % 32);
    let amount = if value.is_sign_negative() {
        -amount
    } else {
        amount
    };
    // At most 2,046 / 32.
    Some((u16::try_from(shift / 32).unwrap_or(0), amount))
}

/// A sum of doubles, or of other integers: sign and magnitude, lowest digit first, in units of
/// 2^`exponent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exact {
    negative: bool,
    digits: Vec<u32>,
    exponent: i32,
}

impl Exact {
    /// What lanes of doubles add up to, each by its number.
    pub fn of_double_lanes(lanes: impl Iterator<Item = (u16, i128)>) -> Exact {
        let mut all: Vec<i128> = Vec::new();
        for (lane, amount) in lanes {
            let lane = usize::from(lane);
            if all.len() <= lane {
                all.resize(lane + 1, 0);
            }
            all[lane] += amount;
        }
        Exact::carried(&all, -1074)
    }

    /// An integer.
    pub fn of_integer(value: i128) -> Exact {
        Exact::carried(&[value], 0)
    }

    /// Digits of 32 bits from lanes that may be larger, and of any sign.
    fn carried(lanes: &[i128], exponent: i32) -> Exact {
        let digits_of = |sign: i128| {
            let mut digits = Vec::with_capacity(lanes.len() + 4);
            let mut carry = 0i128;
            for lane in lanes {
                carry += lane * sign;
                digits.push(low(carry));
                carry >>= 32;
            }
            while carry != 0 && carry != -1 {
                digits.push(low(carry));
                carry >>= 32;
            }
            (digits, carry == -1)
        };
        let (mut digits, mut negative) = digits_of(1);
        if negative {
            // The magnitude is that of the opposite, which is positive.
            digits = digits_of(-1).0;
        }
        while digits.last() == Some(&0) {
            digits.pop();
        }
        negative &= !digits.is_empty();
        Exact {
            negative,
            digits,
            exponent,
        }
    }

    /// The double nearest to it, divided by `divisor` (which is not 0); ties go to even. Infinite
    /// beyond the range of doubles.
    ///
    /// The divisor is less than 2^127: bit by bit, the rest of it is.
    pub fn divided(&self, divisor: u128) -> f64 {
        // Enough digits behind the point for 64 bits of quotient, whatever the divisor.
        let mut scaled = vec![0; 7];
        scaled.extend_from_slice(&self.digits);
        let mut rest = 0u128;
        for digit in scaled.iter_mut().rev() {
            match u64::try_from(divisor) {
                Ok(divisor) => {
                    let part = rest << 32 | u128::from(*digit);
                    let divisor = u128::from(divisor);
                    *digit = low((part / divisor).cast_signed());
                    rest = part % divisor;
                }
                Err(_) => {
                    let whole = *digit;
                    *digit = 0;
                    for bit in (0..32).rev() {
                        rest = rest << 1 | u128::from(whole >> bit & 1);
                        *digit <<= 1;
                        if rest >= divisor {
                            rest -= divisor;
                            *digit |= 1;
                        }
                    }
                }
            }
        }
        let exact = Exact {
            negative: self.negative,
            digits: scaled,
            exponent: self.exponent - 7 * 32,
        };
        exact.rounded(rest != 0)
    }

    /// The double nearest to it; ties go to even.
    pub fn to_double(&self) -> f64 {
        self.rounded(false)
    }

    /// `has_rest`: a little more than its digits say.
    fn rounded(&self, has_rest: bool) -> f64 {
        let Some(top) = self.digits.iter().rposition(|digit| *digit != 0) else {
            return 0.0;
        };
        let bits = i64::try_from(top).unwrap_or(i64::MAX) * 32
            + i64::from(32 - self.digits[top].leading_zeros());
        let exponent = i64::from(self.exponent);
        // How many of the lowest bits do not fit: 53 stay, or fewer below 2^-1022.
        let dropped = (bits - 53).max(-1074 - exponent);
        let bit = |place: i64| {
            usize::try_from(place / 32).is_ok_and(|digit| {
                place >= 0
                    && self
                        .digits
                        .get(digit)
                        .is_some_and(|digit| digit >> (place % 32) & 1 == 1)
            })
        };
        let mut mantissa = 0u64;
        for place in (dropped..bits).rev() {
            mantissa = mantissa << 1 | u64::from(bit(place));
        }
        let half = bit(dropped - 1);
        let below = has_rest || (0..dropped - 1).any(bit);
        if half && (below || mantissa & 1 == 1) {
            mantissa += 1;
        }
        let magnitude = scaled(mantissa, exponent + dropped);
        if self.negative { -magnitude } else { magnitude }
    }
}

/// `mantissa` (of at most 53 bits and a carry) times 2^`exponent`, which a double holds exactly
/// unless it is too large.
fn scaled(mantissa: u64, exponent: i64) -> f64 {
    #[allow(
        clippy::cast_precision_loss,
        reason = "it has at most 53 bits, or is 2^53"
    )]
    let mut value = mantissa as f64;
    let mut exponent = exponent;
    while exponent > 0 && value.is_finite() && value != 0.0 {
        let step = exponent.min(1_000);
        value *= power_of_two(step);
        exponent -= step;
    }
    while exponent < 0 && value != 0.0 {
        // Never into what is below the least double: it was rounded to fit.
        let step = exponent.max(-1_000);
        value *= power_of_two(step);
        exponent -= step;
    }
    value
}

fn power_of_two(exponent: i64) -> f64 {
    // -1000 to 1000.
    f64::from_bits((u64::try_from(exponent + 1023).unwrap_or(0)) << 52)
}

/// The lowest 32 bits.
fn low(value: i128) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(values: &[f64]) -> Exact {
        Exact::of_double_lanes(values.iter().map(|value| double_lane(*value).unwrap()))
    }

    #[test]
    fn what_cancels_out_is_gone() {
        assert_eq!(sum(&[1e300, 1.0, -1e300]).to_double(), 1.0);
        assert_eq!(sum(&[0.1; 10]).to_double(), 1.0);
        assert_eq!(sum(&[f64::MAX, f64::MAX]).to_double(), f64::INFINITY);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]).to_double(), f64::MAX);
        assert_eq!(sum(&[f64::MAX, f64::MAX]).divided(2), f64::MAX);
        assert_eq!(sum(&[]).to_double(), 0.0);
        assert_eq!(sum(&[5e-324]).divided(2), 0.0);
        assert_eq!(sum(&[5e-324, 1e-323]).divided(2), 1e-323);
        assert_eq!(Exact::of_integer(-10).divided(4), -2.5);
    }

    fn any_finite() -> impl Strategy<Value = f64> {
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("finite", |value| value.is_finite())
    }

    proptest! {
        #[test]
        fn one_double_is_itself(value in any_finite()) {
            prop_assert_eq!(sum(&[value]).to_double(), value);
            prop_assert_eq!(sum(&[value]).divided(1), value);
            prop_assert_eq!(sum(&[value, value, value]).divided(3), value);
        }

        #[test]
        fn two_doubles_add_up_as_the_machine_adds(a in any_finite(), b in any_finite()) {
            prop_assert_eq!(sum(&[a, b]).to_double(), a + b);
        }

        #[test]
        fn integers_are_divided_as_the_machine_does(n in -(1i64 << 53)..1 << 53, d in 1u128..1 << 53) {
            #[allow(clippy::cast_precision_loss, reason = "both are held exactly")]
            let expected = n as f64 / d as f64;
            prop_assert_eq!(Exact::of_integer(n.into()).divided(d), expected);
        }

        #[test]
        fn order_makes_no_difference(mut values in proptest::collection::vec(any_finite(), 0..20)) {
            let before = sum(&values);
            values.sort_by(f64::total_cmp);
            prop_assert_eq!(sum(&values), before);
        }
    }
}
