//! ISO 8601 as Python writes it, to milliseconds since the UNIX epoch.

use jiff::civil;

/// `2024-11-02T13:45:11`, with or without a fraction of up to nine digits, with
/// `Z`, an offset, or nothing, which means UTC. Rounded down.
pub fn parse(text: &str) -> Option<i64> {
    // Digits are shown as zeros: the shape alone says where everything is.
    if !text.is_ascii() || text.len() < 19 {
        return None;
    }
    let (head, rest) = text.split_at(19);
    if !["0000-00-00T00:00:00", "0000-00-00 00:00:00"].contains(&shape(head).as_str()) {
        return None;
    }
    let date = civil::Date::new(
        number(&head[..4])?,
        number(&head[5..7])?,
        number(&head[8..10])?,
    );
    let (hour, minute, second) = (&head[11..13], &head[14..16], &head[17..]);
    let clock = civil::Time::new(number(hour)?, number(minute)?, number(second)?, 0);
    let date = date.ok().filter(|date| date.year() >= 1)?;
    let local = date.to_datetime(clock.ok()?);

    let digits = rest.strip_prefix('.').map_or(0, |fraction| {
        fraction.len()
            - fraction
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len()
    });
    if rest.starts_with('.') && !(1..=9).contains(&digits) {
        return None;
    }
    let (fraction, zone) = rest.split_at(if digits == 0 { 0 } else { digits + 1 });
    let fraction = format!("{:0<3}", fraction.trim_start_matches('.'));
    let millis: i64 = fraction[..3].parse().ok()?;

    let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
    let seconds = local.duration_since(epoch).as_secs() - offset(zone)?;
    // The years that can be written are also the years that can be meant.
    (FIRST_SECOND..=LAST_SECOND)
        .contains(&seconds)
        .then_some(seconds * 1000 + millis)
}

/// 0001-01-01T00:00:00.
pub(super) const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59.
pub(super) const LAST_SECOND: i64 = 253_402_300_799;

/// Seconds ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if ["", "Z"].contains(&zone) {
        return Some(0);
    }
    if !["+00:00", "-00:00", "+00:00:00", "-00:00:00"].contains(&shape(zone).as_str()) {
        return None;
    }
    let parts: Vec<i64> = zone[1..]
        .split(':')
        .map_while(|part| part.parse().ok())
        .collect();
    let (hours, minutes) = (parts[0], parts[1]);
    let seconds = parts.get(2).copied().unwrap_or(0);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let ahead = hours * 3600 + minutes * 60 + seconds;
    Some(if zone.starts_with('-') { -ahead } else { ahead })
}

fn shape(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect()
}

fn number<T: std::str::FromStr>(digits: &str) -> Option<T> {
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_what_python_writes() {
        // Each by `date -u -d … +%s`.
        assert_eq!(parse("1970-01-01T00:00:00"), Some(0));
        assert_eq!(parse("2024-11-02T13:45:11"), Some(1_730_555_111_000));
        assert_eq!(parse("2024-11-02T13:45:11.5"), Some(1_730_555_111_500));
        assert_eq!(
            parse("2024-11-02T13:45:11.123999Z"),
            Some(1_730_555_111_123)
        );
        assert_eq!(parse("2024-11-02T13:45:11+05:30"), Some(1_730_535_311_000));
        assert_eq!(
            parse("2024-11-02T13:45:11-01:00:01"),
            Some(1_730_558_712_000)
        );
        assert_eq!(parse("2024-02-29T00:00:00"), Some(1_709_164_800_000));
    }

    #[test]
    fn reads_every_year_that_python_has() {
        assert_eq!(parse("0001-01-01T00:00:00"), Some(-62_135_596_800_000));
        assert_eq!(
            parse("9999-12-31T23:59:59.999999"),
            Some(253_402_300_799_999)
        );
    }

    #[test]
    fn rounds_down_before_1970() {
        assert_eq!(parse("1969-12-31T23:59:59.9999"), Some(-1));
        assert_eq!(parse("1969-12-31T23:59:58.0001"), Some(-2000));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "yesterday",
            "2024-11-02",
            "2024-13-01T00:00:00",
            "2023-02-29T00:00:00",
            "2024-11-02T24:00:00",
            "2024-11-02T13:45",
            "2024-11-02T13:45:11.",
            "2024-11-02T13:45:60",
            "2024-11-02T13:45:11z",
            "2024-11-02T13:45:11+5:30",
            "2024-11-02T13:45:11+24:00",
            "2024-11-02T13:45:11 Z",
            "0000-01-01T00:00:00",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-00:01",
            "２024-11-02T13:45:11",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
