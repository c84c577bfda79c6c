//! Values that SQLite has no type for, as text that any tool reads and sorts.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// Milliseconds since the UNIX epoch as `2024-11-02T13:00:00.000Z`; `None`
/// outside of the years -9999 to 9999.
pub(super) fn date(millis: i64) -> Option<String> {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    let moment = Timestamp::from_millisecond(millis).ok()?;
    Some(PRINTER.timestamp_to_string(&moment))
}

/// The other way.
pub(super) fn millis(date: &str) -> Option<i64> {
    Some(date.parse::<Timestamp>().ok()?.as_millisecond())
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
