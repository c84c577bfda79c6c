//! Days and months as cells of windows, in UTC or a time zone.
//!
//! A cell begins when the clocks of the zone show its date and time for the first time, or, where
//! they never do, when they jump over it: a day that summer time begins at midnight starts at one
//! o'clock. Cells are as long as they are there: days of 23 or 25 hours among them.

use super::span::{Span, WindowError};
use super::{DAY, SECOND, write_millis};
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// What cells are multiples of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    /// Days, of which weeks are seven.
    Day,
    /// Months, of which quarters are three, and years twelve.
    Month,
}

/// Cells of days or months.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Calendar {
    unit: Unit,
    /// So many units make a cell.
    every: i64,
    /// How far after 1970-01-01 one of them begins.
    offset: Span,
    zone: Option<Zone>,
    /// The days that the zone has skipped, ascending: where each day is a cell, these are none.
    skipped: Vec<i64>,
}

/// A time zone, and its IANA name.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Zone {
    name: String,
    zone: TimeZone,
}

/// The time zone of an IANA name; none for UTC.
pub(super) fn zone(name: &str) -> Result<Option<Zone>, WindowError> {
    if name.eq_ignore_ascii_case("UTC") {
        return Ok(None);
    }
    // Not those of the machine: what a window is must not depend on where the program runs.
    let zones = TimeZoneDatabase::bundled();
    let zone = zones.get(name);
    let zone = zone.map_err(|_| WindowError::Zone(name.to_owned()))?;
    let name = zone.iana_name().unwrap_or(name).to_owned();
    Ok(Some(Zone { name, zone }))
}

/// All calendars there are. They live as long as the program, so that a window is copied like a
/// number; there are as many as there are different definitions.
static ALL: Mutex<Vec<&'static Calendar>> = Mutex::new(Vec::new());

impl Calendar {
    /// Cells of `every` units, of which one begins at 1970-01-01 plus the `offset`.
    pub(super) fn of(unit: Unit, every: i64, offset: Span, zone: Option<Zone>) -> &'static Self {
        let mut calendar = Calendar {
            unit,
            every,
            offset,
            zone,
            skipped: Vec::new(),
        };
        calendar.skipped = calendar.find_skipped();
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.iter().find(|known| ***known == calendar) {
            return known;
        }
        let calendar: &'static Calendar = Box::leak(Box::new(calendar));
        all.push(calendar);
        calendar
    }

    pub(super) fn zone(&self) -> Option<&str> {
        self.zone.as_ref().map(|zone| &zone.name[..])
    }

    pub(super) fn starts_on_seconds(&self) -> bool {
        self.offset.micros % SECOND == 0
    }

    /// Start of the cell number `index`, in microseconds since the UNIX epoch; the ends of all
    /// numbers where it is far from any date.
    pub(super) fn start(&self, index: i64) -> i64 {
        // Cells are of a day at the least.
        match index {
            index if index < -FAR / DAY => i64::MIN,
            index if index > FAR / DAY => i64::MAX,
            index => self.boundary(self.unnumbered(index)),
        }
    }

    /// The cell that holds a time: its number, start and end.
    pub(super) fn cell(&self, micros: i64) -> (i64, i64, i64) {
        let micros = micros.clamp(-FAR, FAR);
        // By the date there, which is right but for the hours around a change of the clocks.
        let mut place = self.place_of(self.to_local(micros));
        let (mut start, mut end) = (self.boundary(place), self.boundary(place + 1));
        while micros < start {
            place -= 1;
            (start, end) = (self.boundary(place), start);
        }
        while end <= micros {
            place += 1;
            (start, end) = (end, self.boundary(place + 1));
        }
        (self.numbered(place), start, end)
    }

    /// The number of a cell by its place, in which the skipped ones count.
    fn numbered(&self, place: i64) -> i64 {
        let before = self.skipped.partition_point(|skipped| *skipped < place);
        place - i64::try_from(before).unwrap_or(0)
    }

    fn unnumbered(&self, index: i64) -> i64 {
        let skipped = self.skipped.iter();
        skipped.fold(index, |place, skipped| place + i64::from(*skipped <= place))
    }

    /// When the cell at a place begins, in microseconds since the UNIX epoch.
    fn boundary(&self, place: i64) -> i64 {
        let Span {
            months,
            days,
            micros,
        } = self.offset;
        let day = match self.unit {
            Unit::Day => place * self.every,
            Unit::Month => first_day(place * self.every + months),
        };
        self.to_utc((day + days) * DAY + micros)
    }

    /// The place of the cell that holds a time of the zone's clocks.
    fn place_of(&self, local: i64) -> i64 {
        let Span {
            months,
            days,
            micros,
        } = self.offset;
        let day = (local - micros).div_euclid(DAY) - days;
        match self.unit {
            Unit::Day => day.div_euclid(self.every),
            Unit::Month => (month_of(day) - months).div_euclid(self.every),
        }
    }

    /// What the zone's clocks show at a time, as if it were in UTC.
    fn to_local(&self, micros: i64) -> i64 {
        match &self.zone {
            None => micros,
            Some(Zone { zone, .. }) => micros + seconds(zone.to_offset(known(micros))),
        }
    }

    /// When the zone's clocks show a time first, or jump over it.
    fn to_utc(&self, local: i64) -> i64 {
        let Some(Zone { zone, .. }) = &self.zone else {
            return local;
        };
        let shown = Offset::UTC.to_datetime(known(local));
        match zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => local - seconds(offset),
            AmbiguousOffset::Fold { before, .. } => local - seconds(before),
            AmbiguousOffset::Gap { before, .. } => {
                // At or after the jump, and before any other.
                let after = local - seconds(before);
                let jump = zone.preceding(known(after + 1)).next();
                jump.map_or(after, |jump| jump.timestamp().as_microsecond())
            }
        }
    }

    /// The places of cells that begin when the next ones do.
    fn find_skipped(&self) -> Vec<i64> {
        let Some(Zone { zone, .. }) = &self.zone else {
            return Vec::new();
        };
        if self.unit == Unit::Month || self.every > 1 {
            return Vec::new();
        }
        let mut skipped = Vec::new();
        // No rule for the years to come skips a day.
        let changes = zone.following(known(-FAR));
        for change in changes.take_while(|change| change.timestamp().as_microsecond() < YEAR_2100) {
            let at = change.timestamp().as_microsecond();
            let [before, after] = [at - 1, at].map(|at| self.place_of(self.to_local(at)));
            skipped.extend(
                (before..=after).filter(|place| self.boundary(*place) == self.boundary(place + 1)),
            );
        }
        skipped.dedup();
        skipped
    }

    /// For people, and to know a view again: with windows of `cells` cells.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, cells: i64) -> fmt::Result {
        write_units(f, self.unit, self.every * cells)?;
        if cells > 1 {
            f.write_str(" every ")?;
            write_units(f, self.unit, self.every)?;
        }
        let Span {
            months,
            days,
            micros,
        } = self.offset;
        if self.offset != Span::ZERO {
            f.write_str(" offset")?;
        }
        for (unit, count) in [(Unit::Month, months), (Unit::Day, days)] {
            if count != 0 {
                f.write_str(" ")?;
                write_units(f, unit, count)?;
            }
        }
        if micros != 0 {
            f.write_str(" ")?;
            write_millis(f, micros / 1_000)?;
        }
        match &self.zone {
            Some(Zone { name, .. }) => write!(f, " in {name}"),
            None => Ok(()),
        }
    }
}

fn write_units(f: &mut fmt::Formatter<'_>, unit: Unit, count: i64) -> fmt::Result {
    let (count, unit) = match unit {
        Unit::Day => return write!(f, "{count}d"),
        Unit::Month if count % 12 == 0 => (count / 12, "year"),
        Unit::Month => (count, "month"),
    };
    let plural = if count == 1 { "" } else { "s" };
    write!(f, "{count} {unit}{plural}")
}

/// Far from any date that a document can hold, and from the ends of 64 bits: 30,000 years, in
/// microseconds.
const FAR: i64 = 30_000 * 366 * DAY;
/// 2100-01-01, in microseconds.
const YEAR_2100: i64 = 4_102_444_800 * SECOND;
/// The first and the last second whose offset is asked for, with days between them and those that
/// can be told: in the first days of -9999, and 9999-12-29.
const KNOWN: (i64, i64) = (-377_704_944_000, 253_402_041_600);

/// A time in microseconds; of one before or after the years of which zones are known, the first
/// or the last of those.
fn known(micros: i64) -> Timestamp {
    let known = micros.clamp(KNOWN.0 * SECOND, KNOWN.1 * SECOND);
    Timestamp::from_microsecond(known).unwrap_or_default()
}

fn seconds(offset: Offset) -> i64 {
    i64::from(offset.seconds()) * SECOND
}

/// The first day of a month, counted from 1970-01-01, by the month counted from January 1970.
fn first_day(month: i64) -> i64 {
    // Years that begin in March have their leap day at the end; eras of 400 of them are all
    // alike.
    let from_march = month + 1_970 * 12 - 2;
    let (year, month) = (from_march.div_euclid(12), from_march.rem_euclid(12));
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5;
    era * DAYS_OF_ERA + day - MARCH_OF_YEAR_0
}

/// The month of a day: the other way.
fn month_of(day: i64) -> i64 {
    let day = day + MARCH_OF_YEAR_0;
    let (era, day) = (day.div_euclid(DAYS_OF_ERA), day.rem_euclid(DAYS_OF_ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    (era * 400 + year) * 12 + month + 2 - 1_970 * 12
}

const DAYS_OF_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const MARCH_OF_YEAR_0: i64 = 719_468;
