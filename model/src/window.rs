//! Tumbling windows of event time, aligned to the UNIX epoch, UTC.

use std::fmt;
use std::time::Duration;

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;
/// 0001-01-01T00:00:00Z, in microseconds.
pub const FIRST_DATE: i64 = -62_135_596_800 * SECOND;
/// 9999-12-31T23:59:59.999Z, in microseconds: the last that all readers of BSON know.
pub const LAST_DATE: i64 = 253_402_300_800 * SECOND - 1_000;

/// A tumbling window's size: windows `[start, start + size)` cover all of time,
/// and one of them starts at the UNIX epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    micros: i64,
}

impl Window {
    /// Windows of `size`: whole milliseconds, from a second to 10,000 days.
    /// `None` if it is anything else.
    pub fn of(size: Duration) -> Option<Window> {
        let micros = i64::try_from(size.as_micros()).ok()?;
        let fits = (SECOND..=10_000 * Window::DAY.micros).contains(&micros);
        let whole = size.subsec_nanos().is_multiple_of(1_000_000);
        (fits && whole).then_some(Window { micros })
    }

    /// Windows of an hour.
    pub const HOUR: Window = Window {
        micros: 3_600 * SECOND,
    };

    /// Windows of a day.
    pub const DAY: Window = Window {
        micros: 86_400 * SECOND,
    };

    /// The number of the window that holds a time (in microseconds since the
    /// UNIX epoch): its start, divided by its size.
    #[inline]
    pub fn index_of(self, micros: i64) -> i64 {
        micros.div_euclid(self.micros)
    }

    /// Start of the window number `index`, in milliseconds since the UNIX epoch.
    pub fn start_millis(self, index: i64) -> i64 {
        index * (self.micros / 1_000)
    }

    /// End (exclusive) of the window number `index`, in milliseconds since the UNIX epoch.
    pub fn end_millis(self, index: i64) -> i64 {
        (index + 1) * (self.micros / 1_000)
    }

    /// End (exclusive) of the window number `index`, in microseconds since the UNIX
    /// epoch; the largest there is, where that is beyond 64 bits.
    #[inline]
    pub fn end_micros(self, index: i64) -> i64 {
        index.saturating_add(1).saturating_mul(self.micros)
    }

    /// The numbers of the first and the last window whose start and end are dates of the
    /// years 1 to 9999.
    pub fn of_calendar(self) -> (i64, i64) {
        let first = self.index_of(FIRST_DATE - 1) + 1;
        (first, self.last_before(LAST_DATE))
    }

    /// The number of the last window that ends at or before a time, in
    /// microseconds since the UNIX epoch.
    pub fn last_before(self, micros: i64) -> i64 {
        self.index_of(micros).saturating_sub(1)
    }

    /// Whether no window starts within a second: then the ids of rows, which begin with it,
    /// sort as windows do.
    pub fn starts_on_seconds(self) -> bool {
        self.micros % SECOND == 0
    }

    /// Its size in milliseconds.
    pub fn millis(self) -> i64 {
        self.micros / 1_000
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_millis(f, self.millis())
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_lies_in_its_window(micros in -62_135_596_800_000_000i64..253_402_300_800_000_000, seconds in 1u64..100_000) {
            let window = Window::of(Duration::from_secs(seconds)).unwrap();
            let index = window.index_of(micros);
            prop_assert!(window.start_millis(index) * 1_000 <= micros);
            prop_assert!(micros < window.end_millis(index) * 1_000);
            prop_assert_eq!(window.end_micros(index), window.end_millis(index) * 1_000);
            let last = window.last_before(micros);
            prop_assert!(window.end_micros(last) <= micros && micros < window.end_micros(last + 1));
            prop_assert_eq!(window.end_millis(index), window.start_millis(index + 1));
        }
    }

    #[test]
    fn windows_of_the_calendar_begin_and_end_in_it() {
        for size in [1, 3_600, 86_400, 864_000_000] {
            let window = Window::of(Duration::from_secs(size)).unwrap();
            let (first, last) = window.of_calendar();
            let starts = |index| window.start_millis(index) * 1_000 >= FIRST_DATE;
            let ends = |index| window.end_micros(index) <= LAST_DATE;
            assert!(starts(first) && !starts(first - 1), "{size}");
            assert!(ends(last) && !ends(last + 1), "{size}");
        }
    }

    #[test]
    fn sizes_print_as_people_write_them() {
        assert_eq!(Window::HOUR.to_string(), "1h");
        assert_eq!(Window::DAY.to_string(), "1d");
        assert_eq!(
            Window::of(Duration::from_secs(90)).unwrap().to_string(),
            "90s"
        );
        assert_eq!(
            Window::of(Duration::from_millis(1_500))
                .unwrap()
                .to_string(),
            "1500ms"
        );
        assert_eq!(Lateness::Millis(7_200_000).to_string(), "2h");
        assert_eq!(Lateness::Millis(0).to_string(), "0ms");
    }

    #[test]
    fn a_window_is_a_second_to_ten_thousand_days() {
        assert_eq!(Window::of(Duration::from_millis(999)), None);
        assert_eq!(Window::of(Duration::from_micros(1_000_500)), None);
        assert_eq!(Window::of(Duration::from_secs(10_001 * 86_400)), None);
        assert!(Window::of(Duration::from_secs(10_000 * 86_400)).is_some());
    }
}
