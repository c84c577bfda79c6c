//! Values as text that any tool reads and sorts: what SQLite has no type for, and ids.

use crate::Limits;
use jiff::SignedDuration;
use jiff::civil::DateTime;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
/// After so many years the calendar repeats itself,
const CYCLE_YEARS: i64 = 400;
/// which are so many milliseconds.
const CYCLE_MILLIS: i64 = 146_097 * 86_400_000;

/// Milliseconds since the UNIX epoch as `2024-11-02T13:00:00.000Z`.
///
/// Every moment has a text, since the timestamp of a Kafka message may be any
/// number: years that do not have four digits are written as ISO 8601 expands
/// them, `+010000-01-01T…`.
pub(crate) fn date(millis: i64) -> String {
    // The moment that stands at the same place in the years 1970 to 2369.
    let alike = SignedDuration::from_millis(millis.rem_euclid(CYCLE_MILLIS));
    let alike = EPOCH.saturating_add(alike);
    let year = i64::from(alike.year()) + millis.div_euclid(CYCLE_MILLIS) * CYCLE_YEARS;
    let rest = alike.strftime("%m-%dT%H:%M:%S%.3fZ");
    if (0..=9_999).contains(&year) {
        format!("{year:04}-{rest}")
    } else {
        format!("{year:+07}-{rest}")
    }
}

/// The other way.
pub(crate) fn millis(date: &str) -> Option<i64> {
    let sign = usize::from(date.starts_with(['+', '-']));
    let (year, rest) = date.split_at_checked(sign + date.get(sign..)?.find('-')?)?;
    let year: i64 = year.parse().ok()?;
    let cycles = (year - 1_970).div_euclid(CYCLE_YEARS);
    let alike = format!("{}{}", year - cycles * CYCLE_YEARS, rest.strip_suffix('Z')?);
    let alike: DateTime = alike.parse().ok()?;
    let millis = i64::try_from(alike.duration_since(EPOCH).as_millis()).ok()?;
    cycles.checked_mul(CYCLE_MILLIS)?.checked_add(millis)
}

/// Which timestamps are believed, as JSON. Names and numbers always have such a form.
pub(crate) fn limits(limits: Option<&Limits>) -> Option<String> {
    limits.and_then(|limits| serde_json::to_string(limits).ok())
}

/// The other way; an error where it is no such text.
pub(crate) fn stored_limits(json: Option<String>) -> Result<Option<Limits>, serde_json::Error> {
    json.map(|json| serde_json::from_str(&json)).transpose()
}

/// `unscaled / 10^scale` in full: `-12.50`.
pub(crate) fn decimal(unscaled: i128, scale: u32) -> String {
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
pub(crate) fn unscaled(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let scale = u32::try_from(fraction.len()).ok()?;
    Some((format!("{whole}{fraction}").parse().ok()?, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(date(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(date(1_730_552_400_000), "2024-11-02T13:00:00.000Z");
        assert_eq!(date(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
        assert_eq!(date(253_402_300_800_000), "+010000-01-01T00:00:00.000Z");
        assert_eq!(
            millis("+010000-01-01T00:00:00.000Z"),
            Some(253_402_300_800_000)
        );
        assert_eq!(date(-62_167_219_200_001), "-000001-12-31T23:59:59.999Z");
        assert_eq!(date(i64::MAX), "+292278994-08-17T07:12:55.807Z");
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
            let text = date(moment);
            proptest::prop_assert_eq!(millis(&text), Some(moment));
        }

        #[test]
        fn dates_sort_as_moments_do(a in 0i64..1<<47, b in 0i64..1<<47) {
            proptest::prop_assert_eq!(a.cmp(&b), date(a).cmp(&date(b)));
        }
    }
}
