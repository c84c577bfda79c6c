//! Points in time.
//!
//! A [`Timestamp`] is an integer, so that comparing and aligning one is cheap. Its
//! text is what Python's `isoformat()` writes: `2024-11-02T13:45:11`, with a
//! fraction where there is one, with an offset or `Z` where the producer knows of
//! time zones. Without an offset it is UTC.
//!
//! Every event holds such a text, so its parser is made for just this grammar:
//!
//! ```text
//! YYYY-MM-DD ('T' | ' ') hh:mm:ss [ '.' digit{1,9} ] [ 'Z' | ('+' | '-') hh:mm [ :ss ] ]
//! ```

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 60 * 60 * SECOND;
/// 0001-01-01T00:00:00.
const FIRST: i64 = days(1, 1, 1) * DAY;
/// 9999-12-31T23:59:59.999999.
const LAST: i64 = (days(9999, 12, 31) + 1) * DAY - 1;

/// Microseconds since the UNIX epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// A text that is not a point in time between the years 1 and 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time such as 2024-11-02T13:45:11")]
pub struct NotATime;

impl Timestamp {
    /// From milliseconds since the UNIX epoch, as Kafka has them. Those beyond
    /// 290,000 years become the last one that fits.
    #[inline]
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis.saturating_mul(1000))
    }

    /// Milliseconds since the UNIX epoch, rounded down.
    #[inline]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Microseconds since the UNIX epoch.
    #[inline]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Reads the grammar above. Digits of the fraction beyond microseconds are
    /// cut off.
    pub fn parse(text: &str) -> Result<Timestamp, NotATime> {
        read(text.as_bytes()).map(Timestamp).ok_or(NotATime)
    }
}

/// The microseconds that `text` stands for.
fn read(text: &[u8]) -> Option<i64> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let punctuation = [head[4], head[7], head[10], head[13], head[16]];
    if !matches!(&punctuation, b"--T::" | b"-- ::") {
        return None;
    }
    let year = two(head[0], head[1])? * 100 + two(head[2], head[3])?;
    let month = two(head[5], head[6])?;
    let day = two(head[8], head[9])?;
    let seconds = clock(two(head[11], head[12])?, two(head[14], head[15])?)?
        + sexagesimal(two(head[17], head[18])?)?;
    if year < 1 || !(1..=12).contains(&month) || day < 1 || day > month_length(year, month) {
        return None;
    }
    let (fraction, rest) = fraction(rest)?;
    let micros =
        days(year, month, day) * DAY + (seconds - offset(rest)?) * SECOND + i64::from(fraction);
    // An offset may lead out of the years that can be written.
    (FIRST..=LAST).contains(&micros).then_some(micros)
}

/// Two digits.
#[inline]
fn two(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
}

/// A minute or second.
#[inline]
fn sexagesimal(value: i64) -> Option<i64> {
    (value < 60).then_some(value)
}

/// Seconds of a time of day.
#[inline]
fn clock(hour: i64, minute: i64) -> Option<i64> {
    (hour < 24).then_some(hour * 3600 + sexagesimal(minute)? * 60)
}

/// Microseconds of a fraction, if there is one, and what follows it.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let Some((b'.', digits)) = text.split_first() else {
        return Some((0, text));
    };
    let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=9).contains(&length) {
        return None;
    }
    let (digits, rest) = digits.split_at(length);
    let nanos = (0..9).fold(0, |sum, at| {
        sum * 10 + digits.get(at).map_or(0, |digit| u32::from(digit - b'0'))
    });
    Some((nanos / 1000, rest))
}

/// Seconds that an offset is ahead of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, hour_minute, second) = match *text {
        [] | [b'Z'] => return Some(0),
        [sign, h, hh, b':', m, mm] => (sign, [h, hh, m, mm], 0),
        [sign, h, hh, b':', m, mm, b':', s, ss] => {
            (sign, [h, hh, m, mm], sexagesimal(two(s, ss)?)?)
        }
        _ => return None,
    };
    let [h, hh, m, mm] = hour_minute;
    let seconds = clock(two(h, hh)?, two(m, mm)?)? + second;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

const fn month_length(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since the UNIX epoch of a date of the Gregorian calendar. Years are
/// counted from March, so that the leap day is a year's last, and in cycles of
/// 400 years, which all have 146,097 days.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let cycle = year.div_euclid(400);
    let year = year.rem_euclid(400);
    let month = (month + 9) % 12;
    let day = (153 * month + 2) / 5 + day - 1;
    cycle * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468
}

/// The inverse of [`days`]: year, month and day.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let cycle = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (cycle * 400 + year + next, month, day)
}

impl fmt::Display for Timestamp {
    /// As `isoformat()`: no fraction where there is none, and no offset.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0.div_euclid(DAY));
        let micros = self.0.rem_euclid(DAY);
        let (seconds, fraction) = (micros / SECOND, micros % SECOND);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if fraction != 0 {
            write!(f, ".{fraction:06}")?;
        }
        Ok(())
    }
}

impl Serialize for Timestamp {
    /// Text for people (JSON); microseconds for machines (bincode).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(TimeVisitor)
        } else {
            i64::deserialize(deserializer).map(Timestamp)
        }
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2024-11-02T13:45:11")
    }

    #[inline]
    fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
        Timestamp::parse(text).map_err(E::custom)
    }
}
