//! Tumbling windows of event time, aligned to the UNIX epoch, UTC.

use std::fmt;

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// A tumbling window's size: windows `[start, start + size)` cover all of time,
/// and one of them starts at the UNIX epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    micros: i64,
}

impl Window {
    /// Windows of `seconds`, or `None` if that is not a second to 10,000 days.
    pub const fn of_seconds(seconds: i64) -> Option<Window> {
        if seconds < 1 || seconds > 10_000 * 86_400 {
            return None;
        }
        Some(Window { micros: seconds * SECOND })
    }

    /// Windows of an hour.
    pub const HOUR: Window = Window { micros: 3_600 * SECOND };

    /// Windows of a day.
    pub const DAY: Window = Window { micros: 86_400 * SECOND };

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

    /// Its size in seconds.
    pub fn seconds(self) -> i64 {
        self.micros / SECOND
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.seconds())
    }
}

/// How long after its end a window stays open for events that come late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lateness {
    /// For so many seconds of event time.
    Seconds(i64),
    /// Nothing is ever late; state grows with the number of windows.
    Forever,
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Lateness::Seconds(seconds) => write_seconds(f, seconds),
            Lateness::Forever => f.write_str("forever"),
        }
    }
}

/// `3600` as `1h`: the largest unit that needs no fraction.
fn write_seconds(f: &mut fmt::Formatter<'_>, seconds: i64) -> fmt::Result {
    for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds != 0 && seconds % size == 0 {
            return write!(f, "{}{unit}", seconds / size);
        }
    }
    write!(f, "{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_lies_in_its_window(micros in -62_135_596_800_000_000i64..253_402_300_800_000_000, seconds in 1i64..100_000) {
            let window = Window::of_seconds(seconds).unwrap();
            let index = window.index_of(micros);
            prop_assert!(window.start_millis(index) * 1_000 <= micros);
            prop_assert!(micros < window.end_millis(index) * 1_000);
            prop_assert_eq!(window.end_millis(index), window.start_millis(index + 1));
        }
    }

    #[test]
    fn sizes_print_as_people_write_them() {
        assert_eq!(Window::HOUR.to_string(), "1h");
        assert_eq!(Window::DAY.to_string(), "1d");
        assert_eq!(Window::of_seconds(90).unwrap().to_string(), "90s");
        assert_eq!(Lateness::Seconds(7_200).to_string(), "2h");
        assert_eq!(Lateness::Seconds(0).to_string(), "0s");
        assert_eq!(Window::of_seconds(0), None);
    }
}
