//! Why an event is not taken into a view.

use jiff::SignedDuration;
use model::{Window, shown};
use sinks::Reason;

/// Why an event is not taken into a view. Times are in microseconds since the
/// UNIX epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its window had closed.
    Late {
        /// Start of the window.
        start: i64,
        /// End of the window.
        end: i64,
        /// The watermark that had passed it.
        watermark: i64,
    },
    /// Some of its windows had closed, and others had not: those take it.
    PartlyLate {
        /// The windows.
        window: Window,
        /// The numbers of the first and the last that had closed.
        closed: (i64, i64),
        /// The number of the last that holds its time.
        last: i64,
        /// The watermark that had passed the former.
        watermark: i64,
    },
    /// Its message's timestamp lies further ahead of the clock than is believed.
    Ahead {
        /// The timestamp, in milliseconds.
        kafka: i64,
    },
    /// Its time lies further ahead of the clock than is believed; its message has none.
    AheadOfClock {
        /// Its time.
        time: i64,
    },
    /// It is placed by its message's timestamp, and there is none, nor any before it.
    NoTime,
    /// Its window is not within the years 1 to 9999.
    OutOfCalendar {
        /// Its time.
        time: i64,
    },
    /// Its time lies further ahead of its message's than is believed.
    FromTheFuture {
        /// Its time.
        time: i64,
        /// The message's timestamp.
        kafka: i64,
    },
}

impl Refusal {
    /// The reason for a dead letter.
    pub fn reason(self) -> Reason {
        match self {
            Refusal::Late { .. } => Reason::Late,
            Refusal::PartlyLate { .. } => Reason::PartlyLate,
            Refusal::FromTheFuture { .. }
            | Refusal::Ahead { .. }
            | Refusal::AheadOfClock { .. } => Reason::FromTheFuture,
            Refusal::NoTime | Refusal::OutOfCalendar { .. } => Reason::Malformed,
        }
    }

    /// A sentence for a dead letter, of an event whose time is called `name`.
    pub fn detail(self, name: &str) -> String {
        match self {
            Refusal::Late {
                start,
                end,
                watermark,
            } => format!(
                "the window {} to {} had closed {} before: the watermark was {}",
                shown(start),
                shown(end),
                span(watermark.saturating_sub(end)),
                shown(watermark),
            ),
            Refusal::PartlyLate {
                window,
                closed,
                last,
                watermark,
            } => format!(
                "the {} had closed {} before: the watermark was {}; the event counts in the {}",
                windows(window, closed),
                span(watermark.saturating_sub(window.end_micros(closed.1))),
                shown(watermark),
                windows(window, (closed.1.saturating_add(1), last)),
            ),
            Refusal::Ahead { kafka } => format!(
                "its message's timestamp {} is further ahead of the clock than --max-ahead allows",
                shown(kafka.saturating_mul(1_000)),
            ),
            Refusal::AheadOfClock { time } => format!(
                "its {name} {} is further ahead of the clock than --max-ahead allows; its message \
                 has no timestamp",
                shown(time),
            ),
            Refusal::NoTime => "its message has no timestamp, and none before it in its partition \
                                has one: there is no time by which it could be placed"
                .to_owned(),
            Refusal::OutOfCalendar { time } => format!(
                "its {name} {} lies in a window that is not within the years 1 to 9999",
                shown(time),
            ),
            Refusal::FromTheFuture { time, kafka } => format!(
                "its {name} {} is {} ahead of its message ({}), more than --max-ahead allows",
                shown(time),
                span(time.saturating_sub(kafka)),
                shown(kafka),
            ),
        }
    }
}

/// So many windows are named one by one.
const NAMED: i64 = 4;

/// The windows of these numbers as people read them.
fn windows(window: Window, (first, last): (i64, i64)) -> String {
    let named = |index: i64| {
        let [start, end] = [window.start_micros(index), window.end_micros(index)];
        format!("{} to {}", shown(start), shown(end))
    };
    let count = last.saturating_sub(first).saturating_add(1);
    match count {
        1 => format!("window {}", named(first)),
        2..=NAMED => {
            let all: Vec<_> = (first..last).map(named).collect();
            format!("windows {} and {}", all.join(", "), named(last))
        }
        _ => format!(
            "{count} windows from {} until {}",
            named(first),
            named(last)
        ),
    }
}

/// A length of time in microseconds as people read it, `1h 5m`: below a minute to
/// the microsecond, above to the second.
pub(crate) fn span(micros: i64) -> String {
    let precise = SignedDuration::from_micros(micros);
    let shown = if micros.unsigned_abs() < 60_000_000 {
        precise
    } else {
        SignedDuration::from_secs(precise.as_secs())
    };
    format!("{shown:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    #[test]
    fn a_letter_says_which_window_and_how_late() {
        let late = Refusal::Late {
            start: 0,
            end: 60 * MINUTE,
            watermark: 125 * MINUTE + 1,
        };
        assert_eq!(
            late.detail("kafka"),
            "the window 1970-01-01T00:00:00Z to 1970-01-01T01:00:00Z had closed 1h 5m before: \
             the watermark was 1970-01-01T02:05:00.000001Z"
        );
        let exactly = Refusal::Late {
            start: 0,
            end: MINUTE,
            watermark: MINUTE,
        };
        assert!(exactly.detail("kafka").contains("had closed 0s before"));
    }

    #[test]
    fn a_letter_names_the_windows_that_an_event_is_missing_in() {
        let slide = model::Span::micros(15 * MINUTE);
        let missing = |size, closed| {
            let size = model::Span::micros(size * MINUTE);
            let window = Window::hopping(slide, size, model::Span::ZERO, None).unwrap();
            let last = window.index_of(2 * 60 * MINUTE);
            let first = last - window.overlap() + 1;
            let refusal = Refusal::PartlyLate {
                window,
                closed: (first, first + closed - 1),
                last,
                watermark: window.end_micros(first + closed - 1) + MINUTE,
            };
            assert_eq!(refusal.reason(), Reason::PartlyLate);
            refusal.detail("kafka")
        };
        assert_eq!(
            missing(30, 1),
            "the window 1970-01-01T01:45:00Z to 1970-01-01T02:15:00Z had closed 1m before: the \
             watermark was 1970-01-01T02:16:00Z; the event counts in the window \
             1970-01-01T02:00:00Z to 1970-01-01T02:30:00Z"
        );
        assert_eq!(
            missing(45, 2),
            "the windows 1970-01-01T01:30:00Z to 1970-01-01T02:15:00Z and 1970-01-01T01:45:00Z to \
             1970-01-01T02:30:00Z had closed 1m before: the watermark was 1970-01-01T02:31:00Z; the \
             event counts in the window 1970-01-01T02:00:00Z to 1970-01-01T02:45:00Z"
        );
        let many = "the 7 windows from 1970-01-01T00:15:00Z to 1970-01-01T02:15:00Z until \
                    1970-01-01T01:45:00Z to 1970-01-01T03:45:00Z had closed 1m before";
        assert!(missing(120, 7).starts_with(many), "{}", missing(120, 7));
    }

    #[test]
    fn a_letter_from_the_future_says_how_far() {
        let ahead = Refusal::FromTheFuture {
            time: 3 * 24 * 60 * MINUTE,
            kafka: 0,
        };
        assert_eq!(
            ahead.detail("date_time"),
            "its date_time 1970-01-04T00:00:00Z is 72h ahead of its message \
             (1970-01-01T00:00:00Z), more than --max-ahead allows"
        );
        let never = Refusal::FromTheFuture {
            time: i64::MAX,
            kafka: i64::MIN,
        };
        assert!(never.detail("x").contains("µs after 1970"));
    }
}
