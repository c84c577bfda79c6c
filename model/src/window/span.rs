//! Windows by the lengths that people give them.

use super::calendar::{Calendar, Unit, zone};
use super::{DAY, Grid, SECOND, Window};
use std::fmt;

/// The longest window, in days,
pub(super) const MAX_DAYS: i64 = 10_000;
/// and in months.
const MAX_MONTHS: i64 = 12_000;
/// So many windows hold a time at the most.
const MAX_OVERLAP: i64 = 1_000;
/// A month is at least so long that a start moved by this many days stays within it.
const MAX_OFFSET_DAYS: i64 = 27;

/// A length of time as SQL has it. Neither a month nor (in a time zone) a day is always equally
/// long.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Months: twelve for a year.
    pub months: i64,
    /// Days: seven for a week.
    pub days: i64,
    /// Microseconds: of hours, minutes and seconds.
    pub micros: i64,
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span::micros(0);

    /// So many months.
    pub const fn months(months: i64) -> Span {
        Span {
            months,
            days: 0,
            micros: 0,
        }
    }

    /// So many days.
    pub const fn days(days: i64) -> Span {
        Span {
            months: 0,
            days,
            micros: 0,
        }
    }

    /// So many microseconds.
    pub const fn micros(micros: i64) -> Span {
        Span {
            months: 0,
            days: 0,
            micros,
        }
    }
}

/// There are no such windows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WindowError {
    /// Size or slide mix units that are not of one length.
    Mixed,
    /// Size or slide are too short or too long, or no whole milliseconds.
    Length,
    /// The size is no multiple of the slide, or too great a one.
    Multiple,
    /// The offset does not suit the windows.
    Offset,
    /// There is no time zone of this name.
    Zone(String),
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WindowError::Mixed => f.write_str(
                "a window's length is in months, or in days, or in hours and less; in a time zone \
                 not all of these are of one length, and months never are",
            ),
            WindowError::Length => f.write_str(
                "windows are of whole milliseconds, from a second to 10000 days or 1000 years, and \
                 at least a second apart",
            ),
            WindowError::Multiple => f.write_str(
                "a window's size is a multiple of its slide, at most 1000 times as long, and both \
                 are in the same unit",
            ),
            WindowError::Offset => f.write_str(
                "an offset is whole milliseconds; that of months is in months, at most 27 days and \
                 less than a day, that of days in a time zone in days and less than a day, any \
                 other in days and less",
            ),
            WindowError::Zone(name) => write!(f, "there is no time zone {name:?}"),
        }
    }
}

impl std::error::Error for WindowError {}

impl Window {
    /// Windows of `size` that do not overlap. See [`hopping`](Window::hopping).
    ///
    /// # Errors
    /// When there are no such windows.
    pub fn tumbling(size: Span, offset: Span, zone: Option<&str>) -> Result<Window, WindowError> {
        Window::hopping(size, size, offset, zone)
    }

    /// Windows of `size`, of which one begins every `slide`.
    ///
    /// One begins at 1970-01-01 plus the `offset`: in the time zone of the IANA name `zone`, if
    /// they are of days or months, else UTC. (So weeks begin on Thursdays, and with an offset of
    /// four days on Mondays.) Days of no time zone are of 24 hours; hours are never local.
    ///
    /// # Errors
    /// When there are no such windows.
    pub fn hopping(
        slide: Span,
        size: Span,
        offset: Span,
        zone_name: Option<&str>,
    ) -> Result<Window, WindowError> {
        let zone = zone_name.map(zone).transpose()?.flatten();
        let (unit, every, length) = match (slide, size) {
            (
                Span {
                    months,
                    days: 0,
                    micros: 0,
                },
                size,
            ) if months != 0 => match size {
                Span {
                    months: length,
                    days: 0,
                    micros: 0,
                } => (Some(Unit::Month), months, length),
                _ => return Err(WindowError::Mixed),
            },
            (
                Span {
                    months: 0,
                    days,
                    micros: 0,
                },
                size,
            ) if days != 0 && zone.is_some() => match size {
                Span {
                    months: 0,
                    days: length,
                    micros: 0,
                } => (Some(Unit::Day), days, length),
                _ => return Err(WindowError::Mixed),
            },
            // Only hours and less, of which days are no part where they are local.
            _ => {
                let local = zone.is_some() && (slide.days != 0 || size.days != 0);
                if local || slide.months != 0 || size.months != 0 {
                    return Err(WindowError::Mixed);
                }
                (None, flat(slide)?, flat(size)?)
            }
        };
        let (least, longest) = match unit {
            Some(Unit::Month) => (1, MAX_MONTHS),
            Some(Unit::Day) => (1, MAX_DAYS),
            None => (SECOND, MAX_DAYS * DAY),
        };
        let is_whole = unit.is_some() || (every % 1_000 == 0 && length % 1_000 == 0);
        if every < least || !(least..=longest).contains(&length) || !is_whole {
            return Err(WindowError::Length);
        }
        if length % every != 0 || length / every > MAX_OVERLAP {
            return Err(WindowError::Multiple);
        }
        let grid = match unit {
            None => Grid::Fixed {
                slide: every,
                offset: fixed_offset(offset, every)?,
            },
            Some(unit) => {
                let offset = calendar_offset(unit, offset, every)?;
                Grid::Calendar(Calendar::of(unit, every, offset, zone))
            }
        };
        Ok(Window {
            grid,
            cells: length / every,
        })
    }
}

/// Days of 24 hours and less, in microseconds.
fn flat(span: Span) -> Result<i64, WindowError> {
    let days = span.days.checked_mul(DAY);
    let all = days.and_then(|days| days.checked_add(span.micros));
    all.ok_or(WindowError::Length)
}

fn fixed_offset(offset: Span, slide: i64) -> Result<i64, WindowError> {
    let micros = flat(offset).map_err(|_| WindowError::Offset)?;
    match offset.months == 0 && micros % 1_000 == 0 {
        true => Ok(micros.rem_euclid(slide)),
        false => Err(WindowError::Offset),
    }
}

fn calendar_offset(unit: Unit, offset: Span, every: i64) -> Result<Span, WindowError> {
    let Span {
        months,
        days,
        micros,
    } = offset;
    let is_within_a_day = micros % 1_000 == 0 && (-DAY < micros && micros < DAY);
    let fits = match unit {
        Unit::Month => days.abs() <= MAX_OFFSET_DAYS,
        Unit::Day => months == 0,
    };
    if !fits || !is_within_a_day {
        return Err(WindowError::Offset);
    }
    Ok(match unit {
        Unit::Month => Span {
            months: months.rem_euclid(every),
            ..offset
        },
        Unit::Day => Span {
            days: days.rem_euclid(every),
            ..offset
        },
    })
}
