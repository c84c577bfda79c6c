//! Values that SQLite has no type for, as text that any tool reads and sorts.

use jiff::SignedDuration;
use jiff::civil::DateTime;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
/// After so many years the calendar repeats itself,
const CYCLE_YEARS: i32 = 400;
/// which are so many milliseconds.
const CYCLE_MILLIS: i64 = 146_097 * 86_400_000;

/// Milliseconds since the UNIX epoch as `2024-11-02T13:00:00.000Z`; `None`
/// outside of the years -9999 to 10399.
///
/// The window of the last day that a time can name ends in the year 10000: years
/// of five digits are written as ISO 8601 expands them, `+010000-01-01T…`.
pub(super) fn date(millis: i64) -> Option<String> {
    let at = |millis| EPOCH.checked_add(SignedDuration::from_millis(millis)).ok();
    match at(millis) {
        Some(moment) => Some(format!("{moment:.3}Z")),
        None => {
            let earlier = at(millis.checked_sub(CYCLE_MILLIS)?)?;
            let year = i32::from(earlier.year()) + CYCLE_YEARS;
            let rest = earlier.strftime("%m-%dT%H:%M:%S%.3f");
            (millis > 0).then(|| format!("+{year:06}-{rest}Z"))
        }
    }
}

/// The other way.
pub(super) fn millis(date: &str) -> Option<i64> {
    let since_epoch = |moment: &str| {
        let moment: DateTime = moment.parse().ok()?;
        i64::try_from(moment.duration_since(EPOCH).as_millis()).ok()
    };
    let moment = date.strip_suffix('Z')?;
    match moment.strip_prefix('+') {
        None => since_epoch(moment),
        Some(expanded) => {
            let (year, rest) = expanded.split_once('-')?;
            let year = year.parse::<i32>().ok()? - CYCLE_YEARS;
            Some(since_epoch(&format!("{year:04}-{rest}"))? + CYCLE_MILLIS)
        }
    }
}

/// `unscaled / 10^scale` in full: `-12.50`.
pub(super) fn decimal(unscaled: i128, scale: u32) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs().to_string();
    let scale = usize::try_from(scale).unwrap_or(usize::MAX);
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    // At least one digit stands before the point.
    let digits = format!("{digits:0>width$}", width = scale.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// The other way: unscaled value and scale.
pub(super) fn unscaled(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let scale = u32::try_from(fraction.len()).ok()?;
    Some((format!("{whole}{fraction}").parse().ok()?, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0).unwrap(), "1970-01-01T00:00:00.000Z");
        assert_eq!(date(-1).unwrap(), "1969-12-31T23:59:59.999Z");
        assert_eq!(date(1_730_552_400_000).unwrap(), "2024-11-02T13:00:00.000Z");
        assert_eq!(
            date(253_402_300_799_999).unwrap(),
            "9999-12-31T23:59:59.999Z"
        );
        assert_eq!(
            date(253_402_300_800_000).unwrap(),
            "+010000-01-01T00:00:00.000Z"
        );
        assert_eq!(
            millis("+010000-01-01T00:00:00.000Z"),
            Some(253_402_300_800_000)
        );
        assert_eq!(date(i64::MAX), None);
        assert_eq!(millis("x"), None);
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal(0, 0), "0");
        assert_eq!(decimal(0, 2), "0.00");
        assert_eq!(decimal(5, 2), "0.05");
        assert_eq!(decimal(-5, 2), "-0.05");
        assert_eq!(decimal(-1250, 2), "-12.50");
        assert_eq!(decimal(i128::MIN, 0), i128::MIN.to_string());
        assert_eq!(unscaled("x"), None);
        assert_eq!(unscaled(""), None);
    }

    proptest::proptest! {
        #[test]
        fn come_back(value: i128, scale in 0u32..50, moment in -1i64<<45..1<<47) {
            proptest::prop_assert_eq!(unscaled(&decimal(value, scale)), Some((value, scale)));
            let text = date(moment).unwrap();
            proptest::prop_assert_eq!(millis(&text), Some(moment));
        }

        #[test]
        fn dates_sort_as_moments_do(a in 0i64..1<<47, b in 0i64..1<<47) {
            proptest::prop_assert_eq!(a.cmp(&b), date(a).cmp(&date(b)));
        }
    }
}
