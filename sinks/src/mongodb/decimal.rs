//! Exact decimal numbers as MongoDB's `decimal128`.
//!
//! A decimal128 is sign, exponent of ten and a coefficient of up to 34 digits.
//! `unscaled / 10^scale` is just that with the exponent `-scale`, so the
//! conversion copies bits and cannot round:
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

/// `unscaled / 10^scale` exactly, or `None` where that takes more than 34
/// digits or an exponent below -6176.
///
/// Trailing zeros of the fraction are kept as long as there is room, as
/// MongoDB itself keeps them.
pub(super) fn encode(unscaled: i128, scale: u32) -> Option<Decimal128> {
    let mut coefficient = unscaled.unsigned_abs();
    let mut scale = scale;
    while (coefficient > LARGEST || scale > BIAS) && scale > 0 && coefficient.is_multiple_of(10) {
        if coefficient == 0 {
            scale = BIAS;
            break;
        }
        coefficient /= 10;
        scale -= 1;
    }
    if coefficient > LARGEST || scale > BIAS {
        return None;
    }
    let sign = u128::from(unscaled < 0) << 127;
    let exponent = u128::from(BIAS - scale) << COEFFICIENT_BITS;
    Some(Decimal128::from_bytes(
        (sign | exponent | coefficient).to_le_bytes(),
    ))
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
        let decimal = encode(unscaled, scale).unwrap();
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
    fn holds_34_digits_and_no_more() {
        let largest = 10i128.pow(34) - 1;
        reads(largest, 0, &"9".repeat(34));
        reads(
            -largest,
            9,
            &format!("-{}.{}", "9".repeat(25), "9".repeat(9)),
        );
        assert_eq!(encode(largest + 2, 9), None);
        assert_eq!(encode(i128::MAX, 9), None);
        assert_eq!(encode(i128::MIN, 0), None);
    }

    #[test]
    fn gives_up_zeros_before_it_gives_up() {
        let decimal = encode(10i128.pow(36), 9).unwrap();
        assert_eq!(decode(decimal), Some((10i128.pow(33), 6)));
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
            let decimal = encode(unscaled, scale).unwrap();
            proptest::prop_assert_eq!(decode(decimal), Some((unscaled, scale)));
        }
    }
}
