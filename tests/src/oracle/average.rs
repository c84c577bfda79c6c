//! The double nearest to an exact quotient.

/// `sum / count / 10^decimals`, rounded once.
///
/// The quotient is written out in decimal, further than any tie between two
/// doubles of that size goes, with one more digit if something is left; reading
/// a decimal is correctly rounded.
pub(super) fn average(sum: i128, count: usize, decimals: u32) -> f64 {
    let divisor = i128::try_from(count).expect("a small count") * 10i128.pow(decimals);
    let mut digits = (sum / divisor).to_string();
    let mut rest = sum % divisor;
    digits.push('.');
    for _ in 0..200 {
        rest *= 10;
        digits.push_str(&(rest / divisor).to_string());
        rest %= divisor;
    }
    digits.push(if rest == 0 { '0' } else { '1' });
    digits.parse().expect("a decimal number")
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the last bit is what is tested")]
mod tests {
    use super::average;

    #[test]
    fn of_small_numbers() {
        assert_eq!(average(0, 3, 9), 0.0);
        assert_eq!(average(10, 4, 0), 2.5);
        assert_eq!(average(1, 3, 0), 1.0 / 3.0);
        assert_eq!(average(100_000_000, 1, 9), 0.1);
        // 0.1 + 0.2 + 0.3 in floating point would give 0.20000000000000004.
        assert_eq!(average(600_000_000, 3, 9), 0.2);
    }

    #[test]
    fn rounds_once_at_a_tie() {
        // 2^53 + 1 lies half way between two doubles: to the even one.
        let tie = (1i128 << 53) + 1;
        assert_eq!(average(tie, 1, 0), 9_007_199_254_740_992.0);
        assert_eq!(average(tie * 3 + 1, 3, 0), 9_007_199_254_740_994.0);
        assert_eq!(average(tie * 3 - 1, 3, 0), 9_007_199_254_740_992.0);
    }
}
