//! Decimal numbers as MongoDB's `decimal128`.
//!
//! A decimal128 is sign, exponent of ten and a coefficient of up to 34 digits.
//! `unscaled / 10^scale` is just that with the exponent `-scale`, so the
//! conversion copies bits and does not round, as long as there is room:
//!
//! ```text
//!   127   126 ............ 113   112 ................ 0
//!   sign  exponent + 6176        coefficient
//! ```
//!
//! (Coefficients of 34 digits stay below 2^113. The format's other layout, with
//! the two bits below the sign set, is only for larger ones, which are not valid.)

use ::mongodb::bson::Decimal128;

const BIAS: u32 = 6176;
const COEFFICIENT_BITS: u32 = 113;
const DIGITS: u32 = 34;
const LARGEST: u128 = 10u128.pow(DIGITS) - 1;

/// `unscaled / 10^scale`, exactly where 34 digits are enough for that, or else the nearest
/// number that they are enough for; of two that are as near, the one with an even last digit.
///
/// Trailing zeros of the fraction are kept as long as there is room, as MongoDB itself keeps
/// them.
pub(super) fn encode(unscaled: i128, scale: u32) -> Decimal128 {
    let magnitude = unscaled.unsigned_abs();
    let (coefficient, exponent) = match magnitude <= LARGEST && scale <= BIAS {
        true => (magnitude, BIAS - scale),
        false => rounded(magnitude, scale),
    };
    let sign = u128::from(unscaled < 0) << 127;
    let exponent = u128::from(exponent) << COEFFICIENT_BITS;
    Decimal128::from_bytes((sign | exponent | coefficient).to_le_bytes())
}

/// Coefficient and exponent of the nearest number, where there are too many digits.
fn rounded(magnitude: u128, scale: u32) -> (u128, u32) {
    let digits = magnitude.checked_ilog10().map_or(1, |most| most + 1);
    // At least one of both is more than zero.
    let dropped = digits
        .saturating_sub(DIGITS)
        .max(scale.saturating_sub(BIAS));
    // What is below the smallest exponent is dropped: nothing is left of digits below 10^39.
    let (mut coefficient, mut exponent) = match 10u128.checked_pow(dropped) {
        None => (0, 0),
        Some(unit) => {
            let (kept, rest) = (magnitude / unit, magnitude % unit);
            let half = unit / 2;
            let is_up = rest > half || (rest == half && kept % 2 == 1);
            (kept + u128::from(is_up), (BIAS + dropped) - scale)
        }
    };
    if coefficient > LARGEST {
        // Rounded up to the next power of ten.
        coefficient /= 10;
        exponent += 1;
    }
    (coefficient, exponent)
}

/// The other way: unscaled value and scale. `None` for infinities, NaN and
/// what does not fit an `i128`.
pub(super) fn decode(decimal: Decimal128) -> Option<(i128, u32)> {
    let bits = u128::from_le_bytes(decimal.bytes());
    if (bits >> 125) & 0b11 == 0b11 {
        return None;
    }
    let exponent = u32::try_from((bits << 1) >> (COEFFICIENT_BITS + 1)).ok()?;
    let coefficient = i128::try_from(bits & ((1 << COEFFICIENT_BITS) - 1)).ok()?;
    let (unscaled, scale) = match exponent.checked_sub(BIAS) {
        // A positive exponent of ten: it had too many digits.
        Some(tens) => (coefficient.checked_mul(10i128.checked_pow(tens)?)?, 0),
        None => (coefficient, BIAS - exponent),
    };
    let negative = bits >> 127 == 1;
    Some((if negative { -unscaled } else { unscaled }, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(unscaled: i128, scale: u32, text: &str) {
        let decimal = encode(unscaled, scale);
        // The driver's own reading and writing of text is the other opinion.
        assert_eq!(decimal.to_string(), text);
        assert_eq!(decimal, text.parse::<Decimal128>().unwrap());
        assert_eq!(decode(decimal), Some((unscaled, scale)));
    }

    #[test]
    fn says_what_its_text_says() {
        reads(0, 0, "0");
        reads(0, 2, "0.00");
        reads(1, 0, "1");
        reads(-1, 0, "-1");
        reads(1250, 2, "12.50");
        reads(-1250, 2, "-12.50");
        reads(5, 2, "0.05");
        reads(123_456_789_000_000_001, 9, "123456789.000000001");
    }

    #[test]
    fn holds_34_digits() {
        let largest = 10i128.pow(34) - 1;
        reads(largest, 0, &"9".repeat(34));
        reads(
            -largest,
            9,
            &format!("-{}.{}", "9".repeat(25), "9".repeat(9)),
        );
    }

    #[track_caller]
    fn becomes(unscaled: i128, scale: u32, text: &str) {
        let decimal = encode(unscaled, scale);
        assert_eq!(decimal.to_string(), text);
        assert_eq!(decimal, text.parse::<Decimal128>().unwrap());
    }

    #[test]
    fn gives_up_zeros_first() {
        let decimal = encode(10i128.pow(36), 9);
        assert_eq!(decode(decimal), Some((10i128.pow(33), 6)));
    }

    #[test]
    fn rounds_what_has_more_than_34_digits() {
        becomes(i128::MAX, 9, "170141183460469231731687303715.8841");
        becomes(-i128::MAX, 9, "-170141183460469231731687303715.8841");
        becomes(i128::MAX, 4, "1.701411834604692317316873037158841E+34");
        becomes(i128::MAX, 0, "1.701411834604692317316873037158841E+38");
        becomes(i128::MIN, 0, "-1.701411834604692317316873037158841E+38");
        let odd = 10i128.pow(34) + 10;
        let zeros = "0".repeat(31);
        for (last, rounded) in [(4, "1"), (5, "2"), (6, "2")] {
            becomes(odd + last, 1, &format!("10{zeros}{rounded}"));
        }
        // To the even one: down.
        becomes(10i128.pow(34) + 5, 1, &format!("1{}", "0".repeat(33)));
        becomes(10i128.pow(34) + 6, 1, &format!("1{}1", "0".repeat(32)));
        // Up to a number of one digit more.
        becomes(10i128.pow(35) - 1, 0, &format!("1.{}E+35", "0".repeat(33)));
        becomes(10i128.pow(35) - 6, 0, &format!("9.{}E+34", "9".repeat(33)));
        becomes(10i128.pow(34), 0, &format!("1.{}E+34", "0".repeat(33)));
    }

    #[test]
    fn rounds_what_is_below_the_smallest_exponent() {
        becomes(1239, 6_178, "1.2E-6175");
        becomes(1259, 6_178, "1.3E-6175");
        becomes(-5, 6_177, "-0E-6176");
        becomes(15, 6_177, "2E-6176");
        becomes(i128::MAX, 6_176 + 39, "0E-6176");
        becomes(i128::MAX, 6_176 + 38, "2E-6176");
        becomes(0, u32::MAX, "0E-6176");
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["NaN", "Infinity", "-Infinity"] {
            assert_eq!(decode(text.parse().unwrap()), None, "{text}");
        }
        assert_eq!(decode("1E+3".parse().unwrap()), Some((1000, 0)));
    }

    proptest::proptest! {
        #[test]
        fn comes_back(unscaled in -(10i128.pow(34) - 1)..10i128.pow(34), scale in 0u32..40) {
            let decimal = encode(unscaled, scale);
            proptest::prop_assert_eq!(decode(decimal), Some((unscaled, scale)));
        }

        /// So no sum is below one that is smaller.
        #[test]
        fn keeps_the_order(a: i128, b: i128, scale in 0u32..12) {
            // To the same scale: what was dropped may be more of one than of the other.
            let read = |unscaled| {
                let (kept, of) = decode(encode(unscaled, scale)).unwrap();
                kept * 10i128.pow(scale - of)
            };
            proptest::prop_assert_eq!(a.cmp(&b), read(a).cmp(&read(b)).then(a.cmp(&b)));
        }
    }
}
