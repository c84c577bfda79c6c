//! Money is exact.

use events::{Money, NotMoney};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_is_written_is_read(nanos in 0..=i64::MAX) {
        let money = Money(nanos);
        prop_assert_eq!(Money::parse(&money.to_string()), Ok(money));
        let json = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(&json, &money.to_string());
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
        let bytes = bincode::serialize(&money).unwrap();
        prop_assert_eq!(bincode::deserialize::<Money>(&bytes).unwrap(), money);
    }

    /// The same value, with the point moved and the exponent to make up for it.
    #[test]
    fn exponents_move_the_point(nanos in 0..=i64::MAX, left in 0..40usize, right in 0..40i64, zeros in 0..5usize) {
        let digits = format!("{nanos:0>width$}", width = left + 1);
        let (whole, fraction) = digits.split_at(digits.len() - left);
        let zeros = "0".repeat(zeros);
        let exponent = i64::try_from(left).unwrap() - 9;
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let token = format!("{whole}.{fraction}{zeros}0e{exponent}");
        prop_assert_eq!(Money::parse(&token), Ok(Money(nanos)), "{}", token);

        let token = format!("{nanos}{}e-{}", "0".repeat(usize::try_from(right).unwrap()), right + 9);
        if !token.starts_with('0') || nanos == 0 && right == 0 {
            prop_assert_eq!(Money::parse(&token), Ok(Money(nanos)), "{}", token);
        }
    }

    #[test]
    fn any_text_never_panics(text in "[0-9eE.+-]{0,30}") {
        let is_number = serde_json::from_str::<serde_json::Number>(&text).is_ok() || text.contains(['e', 'E']);
        if Money::parse(&text).is_ok() {
            prop_assert!(is_number, "{}", text);
        }
    }
}

#[test]
fn cases() {
    use NotMoney::{Negative, NotANumber, TooLarge, TooManyDecimals};
    for (token, expected) in [
        ("0", Ok(0)),
        ("-0", Ok(0)),
        ("-0.000e5", Ok(0)),
        ("0e999999999999999999999", Ok(0)),
        ("12", Ok(12_000_000_000)),
        ("12.50", Ok(12_500_000_000)),
        ("0.000000001", Ok(1)),
        ("0.0000000010000", Ok(1)),
        ("1e-9", Ok(1)),
        ("1E+2", Ok(100_000_000_000)),
        ("9223372036.854775807", Ok(i64::MAX)),
        ("9223372036.854775808", Err(TooLarge)),
        ("1e10", Err(TooLarge)),
        ("1e999999999999999999999", Err(TooLarge)),
        ("0.0000000001", Err(TooManyDecimals)),
        ("1e-10", Err(TooManyDecimals)),
        ("1e-999999999999999999999", Err(TooManyDecimals)),
        ("-0.01", Err(Negative)),
        ("-1e99", Err(Negative)),
        ("01", Err(NotANumber)),
        ("1.", Err(NotANumber)),
        (".5", Err(NotANumber)),
        ("1e", Err(NotANumber)),
        ("1e+", Err(NotANumber)),
        ("+1", Err(NotANumber)),
        ("--1", Err(NotANumber)),
        ("", Err(NotANumber)),
        ("\"1\"", Err(NotANumber)),
        ("NaN", Err(NotANumber)),
    ] {
        assert_eq!(Money::parse(token).map(Money::nanos), expected, "{token}");
    }
    assert_eq!(Money(-1_500_000_000).to_string(), "-1.5");
    assert_eq!(Money(i64::MIN).to_string(), "-9223372036.854775808");
}
