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
const LARGEST: u128 = 10u128.pow(34) - 1;

/// `unscaled / 10^scale`, exactly where 34 digits are enough for that.
///
/// Trailing zeros of the fraction are kept as long as there is room, as
/// MongoDB itself keeps them. Where there is none, digits at the end of the
/// fraction are dropped; what has too many before the point stops at the largest
/// (or smallest) number of 34 digits, as sums of whole numbers stop at the
/// largest long: a sum beyond everything must not end the run.
pub(super) fn encode(unscaled: i128, scale: u32) -> Decimal128 {
    let mut coefficient = unscaled.unsigned_abs();
    let mut scale = scale;
    while (coefficient > LARGEST && scale > 0) || scale > BIAS {
        if coefficient == 0 {
            scale = BIAS;
            break;
        }
        coefficient /= 10;
        scale -= 1;
    }
    let coefficient = coefficient.min(LARGEST);
    let sign = u128::from(unscaled < 0) << 127;
    let exponent = u128::from(BIAS - scale) << COEFFICIENT_BITS;
    Decimal128::from_bytes((sign | exponent | coefficient).to_le_bytes())
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
        // A positive exponent of ten: somebody else wrote it.
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
    fn drops_digits_of_the_fraction_that_there_is_no_room_for() {
        let whole = "170141183460469231731687303715";
        becomes(i128::MAX, 9, &format!("{whole}.8841"));
        becomes(-i128::MAX, 9, &format!("-{whole}.8841"));
        becomes(10i128.pow(34) + 9, 1, &format!("1{}", "0".repeat(33)));
        // Below the smallest exponent.
        becomes(1239, 6_178, "1.2E-6175");
        becomes(-5, 6_177, "-0E-6176");
        becomes(0, u32::MAX, "0E-6176");
    }

    #[test]
    fn stops_at_the_largest_and_the_smallest() {
        let largest = "9".repeat(34);
        becomes(10i128.pow(34), 0, &largest);
        becomes(-(10i128.pow(34)), 0, &format!("-{largest}"));
        becomes(i128::MAX, 4, &largest);
        becomes(i128::MIN, 0, &format!("-{largest}"));
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
