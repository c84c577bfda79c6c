//! Numbers, times and values as people read them.

use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str};
use jiff::Timestamp;
use sinks::Value;

/// `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    grouped(&digits)
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `2d 03:04:05`, without the days where there are none.
pub(super) fn uptime(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match days {
        0 => format!("{hours:02}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}d {hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// A length of time in milliseconds in its two largest units, `268d 10h` or `1h 5m`;
/// what is smaller is dropped.
pub fn length(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.unsigned_abs();
    let units = [
        ("d", 86_400_000, u64::MAX),
        ("h", 3_600_000, 24),
        ("m", 60_000, 60),
        ("s", 1_000, 60),
        ("ms", 1, 1_000),
    ];
    let parts = units.map(|(unit, size, many)| (unit, millis / size % many));
    let Some(first) = parts.iter().position(|(_, n)| *n > 0) else {
        return "0s".to_owned();
    };
    let two = parts[first..].iter().take(2).filter(|(_, n)| *n > 0);
    let two: Vec<String> = two.map(|(unit, n)| format!("{n}{unit}")).collect();
    format!("{sign}{}", two.join(" "))
}

/// `2024-11-02 13:00`, UTC, from milliseconds since the UNIX epoch.
pub(super) fn moment(millis: i64) -> String {
    match Timestamp::from_millisecond(millis) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => format!("{millis} ms"),
    }
}

/// A value in a column of the status.
pub fn value(value: &Value) -> String {
    match value {
        Value::Long(long) => {
            let sign = if *long < 0 { "-" } else { "" };
            format!("{sign}{}", count(long.unsigned_abs()))
        }
        Value::Double(double) => format!("{double:.2}"),
        // Texts come from outside: an escape sequence must not reach a terminal.
        Value::Text(text) => text.chars().map(printable).collect(),
        Value::Date(millis) => moment(*millis),
        Value::Decimal { unscaled, scale } => decimal(*unscaled, *scale),
        // Null and the like; texts may be nested in it.
        other => other.to_string().chars().map(printable).collect(),
    }
}

fn printable(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

/// `unscaled / 10^scale`, all digits.
pub fn decimal(unscaled: i128, scale: u32) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let scale = scale as usize;
    // At least one digit before the point.
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    match fraction {
        "" => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    }
}

/// The lines of a table: the first column to the left, the others to the right.
pub fn aligned(cells: &[Vec<String>]) -> Vec<String> {
    let columns = cells.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let widths = cells.iter().map(|line| measure_text_width(&line[column]));
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let pad = |(column, cell): (usize, &String)| {
        let side = if column == 0 {
            Alignment::Left
        } else {
            Alignment::Right
        };
        pad_str(cell, widths[column], side, None).into_owned()
    };
    let lines = cells.iter();
    lines
        .map(|line| {
            line.iter()
                .enumerate()
                .map(pad)
                .collect::<Vec<_>>()
                .join("  ")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_readable() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(value(&Value::Long(i64::MIN)), "-9,223,372,036,854,775,808");
        assert_eq!(uptime(Duration::from_secs(3_661)), "01:01:01");
        assert_eq!(uptime(Duration::from_secs(86_400 * 2 + 5)), "2d 00:00:05");
        assert_eq!(moment(0), "1970-01-01 00:00");
        assert_eq!(moment(i64::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn a_length_of_time_has_its_two_largest_units() {
        for (millis, text) in [
            (0, "0s"),
            (850, "850ms"),
            (1_500, "1s 500ms"),
            (60_000, "1m"),
            (3_600_000 + 3_000, "1h"),
            (3_900_000, "1h 5m"),
            (268 * 86_400_000 + 10 * 3_600_000 + 59, "268d 10h"),
            (-7_200_000, "-2h"),
        ] {
            assert_eq!(length(millis), text);
        }
        assert_eq!(length(i64::MIN), "-106751991167d 7h");
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal(12_345, 2), "123.45");
        assert_eq!(decimal(-5, 2), "-0.05");
        assert_eq!(decimal(0, 3), "0.000");
        assert_eq!(decimal(7, 0), "7");
        assert_eq!(
            decimal(i128::MIN, 38),
            "-1.70141183460469231731687303715884105728"
        );
    }

    #[test]
    fn a_text_from_outside_cannot_move_the_cursor() {
        let text = Value::Text("a\x1b[2Jb\nc".to_owned());
        assert_eq!(value(&text), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
