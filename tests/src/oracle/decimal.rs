//! The text of an exact amount of money.

/// So many billionths, with at least two decimals and no further zero at the end:
/// `12.50`, `0.00`, `3.141`.
pub(super) fn decimal(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let digits = format!("{:010}", nanos.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - 9);
    let (cents, rest) = fraction.split_at(2);
    let rest = rest.trim_end_matches('0');
    format!("{sign}{whole}.{cents}{rest}")
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn has_two_decimals_or_as_many_as_it_needs() {
        assert_eq!(decimal(0), "0.00");
        assert_eq!(decimal(12_500_000_000), "12.50");
        assert_eq!(decimal(12_000_000_000), "12.00");
        assert_eq!(decimal(3_141_000_000), "3.141");
        assert_eq!(decimal(1), "0.000000001");
        assert_eq!(decimal(100_000_000_000_000), "100000.00");
        assert_eq!(decimal(100_000_000_000_010), "100000.00000001");
        assert_eq!(decimal(-1_250_000_000), "-1.25");
    }
}
