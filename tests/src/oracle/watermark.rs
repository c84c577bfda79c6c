//! How far event time has come: in a partition, in a view, and when it passed a
//! window's end.
//!
//! ```text
//!   largest event time of each partition ─ lateness ─▶ watermark of each partition
//!     ── minimum over those that hold (how did the run end?) ──▶ watermark of the view
//!     ── rounded down to a window's end ──▶ final until
//! ```

use super::event::Event;
use super::rules::{Ending, Lateness};
use super::time;
use super::window::window;
use std::collections::BTreeMap;

/// How far a view had come when the run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// All windows that end here or before are final.
    pub watermark: i64,
    /// The end of the last of them.
    pub final_until: i64,
}

impl Watermark {
    /// Of a view with windows of this size.
    pub(super) fn of(watermark: i64, size: i64) -> Watermark {
        // What lies beyond is no date to those who read it.
        let date = |millis: i64| {
            let (first, last) = (time::FIRST_SECOND * 1_000, time::LAST_SECOND * 1_000 + 999);
            millis.clamp(first, last)
        };
        Watermark {
            watermark: date(watermark),
            final_until: date(window(watermark, size).0),
        }
    }
}

/// How a view's largest event time grew in one partition, message by message.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    /// The largest event time, and the message by which it became that.
    steps: Vec<(i64, Step)>,
    /// Its clock at the end.
    last: Option<i64>,
}

/// A message by which a window may be passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    /// The moment.
    at: Option<i64>,
    /// Its offset.
    offset: i64,
}

/// As of when a window is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    /// What was sent by then counts. `None` where nothing says when that was: all.
    pub(super) at: Option<i64>,
    /// By partition of the view's own topic: and what stands before this offset.
    pub(super) own: BTreeMap<i32, i64>,
}

impl Course {
    /// Of a partition whose clock is this at its end.
    pub(super) fn until(last: Option<i64>) -> Course {
        Course {
            steps: Vec::new(),
            last,
        }
    }

    /// The next event has this time.
    pub(super) fn see(&mut self, time: i64, event: &Event) {
        self.step(time, event.reading.passes_at, event.stamp.offset);
    }

    fn step(&mut self, time: i64, at: Option<i64>, offset: i64) {
        if self.largest().is_none_or(|largest| time > largest) {
            self.steps.push((time, Step { at, offset }));
        }
    }

    pub(super) fn largest(&self) -> Option<i64> {
        self.steps.last().map(|&(time, _)| time)
    }

    /// Where the watermark of the partition is now; nowhere before its first event.
    pub(super) fn watermark(&self, lateness: Lateness) -> Option<i64> {
        behind(self.largest()?, lateness)
    }

    /// The message by which the watermark of the partition reached `end`.
    fn passed(&self, end: i64, lateness: Lateness) -> Option<Step> {
        // The steps rise, so that the first that reached it can be looked up.
        let before = self
            .steps
            .partition_point(|&(time, _)| behind(time, lateness) < Some(end));
        self.steps.get(before).map(|&(_, step)| step)
    }
}

/// The watermark of a partition whose largest event time is this.
fn behind(largest: i64, lateness: Lateness) -> Option<i64> {
    match lateness {
        Lateness::Within(millis) => Some(largest.saturating_sub(millis)),
        Lateness::Forever => None,
    }
}

/// The watermark of a view over all partitions of its topic, also the empty ones.
pub(super) fn watermark(
    courses: &BTreeMap<i32, Course>,
    lateness: Lateness,
    ending: Ending,
) -> Option<i64> {
    let all = courses.values().map(|course| course.watermark(lateness));
    match ending {
        Ending::CaughtUp => all.flatten().min(),
        // `None` is less than all others: one partition without is enough.
        Ending::Running => all.min().flatten(),
        Ending::AllIdle => all.flatten().max(),
    }
}

/// When the window that ends there closed: at the moment at which the last of the
/// partitions that passed it did so. What a partition had sent before that, counts as well.
///
/// A partition that did not pass it, and was idle when it closed, may have events in
/// it: all that it had sent by then count.
pub(super) fn closing(courses: &BTreeMap<i32, Course>, lateness: Lateness, end: i64) -> Moment {
    let mut moment = Moment {
        at: None,
        own: BTreeMap::new(),
    };
    let with_events = courses
        .iter()
        .filter(|(_, course)| course.largest().is_some());
    for (partition, course) in with_events {
        let (at, below) = match course.passed(end, lateness) {
            Some(step) => (step.at, step.offset + 1),
            None => (course.last, i64::MAX),
        };
        moment.at = moment.at.max(at);
        moment.own.insert(*partition, below);
    }
    moment
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Lateness = Lateness::Within(10);

    /// Event time and `k` of each message.
    fn course(messages: &[(i64, i64)]) -> Course {
        let mut course = Course::default();
        for (offset, &(time, k)) in (0..).zip(messages) {
            course.step(time, Some(k), offset);
        }
        course
    }

    fn view(courses: &[Course], lateness: Lateness, ending: Ending) -> Option<i64> {
        let courses = (0..).zip(courses.iter().cloned()).collect();
        watermark(&courses, lateness, ending)
    }

    #[test]
    fn of_a_partition_follows_the_largest_event_time() {
        assert_eq!(course(&[]).watermark(TEN), None);
        assert_eq!(course(&[(100, 0)]).watermark(TEN), Some(90));
        assert_eq!(course(&[(100, 0), (50, 1)]).watermark(TEN), Some(90));
        assert_eq!(course(&[(100, 0), (101, 1)]).watermark(TEN), Some(91));
        assert_eq!(course(&[(100, 0)]).watermark(Lateness::Forever), None);
    }

    #[test]
    fn of_a_view_is_the_slowest_partition_s() {
        let both = [course(&[(100, 0)]), course(&[(70, 0)])];
        assert_eq!(view(&both, TEN, Ending::CaughtUp), Some(60));
        assert_eq!(view(&both, TEN, Ending::Running), Some(60));
    }

    #[test]
    fn a_partition_without_event_time_holds_while_it_may_have_some() {
        let one = [course(&[(100, 0)]), course(&[])];
        assert_eq!(view(&one, TEN, Ending::CaughtUp), Some(90));
        assert_eq!(view(&one, TEN, Ending::Running), None);
        assert_eq!(view(&one, TEN, Ending::AllIdle), Some(90));
    }

    #[test]
    fn with_all_partitions_idle_none_holds() {
        let both = [course(&[(100, 0)]), course(&[(70, 0)])];
        assert_eq!(view(&both, TEN, Ending::AllIdle), Some(90));
    }

    #[test]
    fn without_any_event_there_is_none() {
        for ending in [Ending::CaughtUp, Ending::Running, Ending::AllIdle] {
            assert_eq!(view(&[], TEN, ending), None, "{ending:?}");
            assert_eq!(view(&[course(&[])], TEN, ending), None, "{ending:?}");
            let some = [course(&[(100, 0)])];
            assert_eq!(view(&some, Lateness::Forever, ending), None, "{ending:?}");
        }
    }

    #[test]
    fn what_is_final_ends_with_a_window() {
        let until = |watermark| Watermark::of(watermark, 10).final_until;
        assert_eq!(until(20), 20);
        assert_eq!(until(29), 20);
        assert_eq!(until(30), 30);
        assert_eq!(until(-1), -10);
        assert_eq!(Watermark::of(29, 10).watermark, 29);
    }

    #[test]
    fn a_window_closes_with_the_message_that_reaches_its_end() {
        let course = course(&[(100, 1), (109, 2), (110, 3), (90, 4), (200, 5)]);
        let passed = |end, lateness| {
            let step = course.passed(end, lateness)?;
            Some((step.at?, step.offset))
        };
        assert_eq!(passed(90, TEN), Some((1, 0)));
        assert_eq!(passed(99, TEN), Some((2, 1)));
        assert_eq!(passed(100, TEN), Some((3, 2)));
        assert_eq!(passed(101, TEN), Some((5, 4)));
        assert_eq!(passed(191, TEN), None);
        assert_eq!(passed(100, Lateness::Forever), None);
    }

    #[test]
    fn a_window_closes_with_the_last_partition_that_passes_it() {
        let courses = BTreeMap::from([
            (0, course(&[(110, 7)])),
            (1, course(&[(110, 5)])),
            (2, course(&[(109, 9)])),
            (3, course(&[])),
        ]);
        let closing = |end| closing(&courses, TEN, end);
        assert_eq!(closing(99).at, Some(9));
        assert_eq!(closing(100).at, Some(7), "the third has not");
        assert_eq!(closing(101).at, None);
        let own = BTreeMap::from([(0, 1), (1, 1), (2, i64::MAX)]);
        assert_eq!(closing(100).own, own, "one without events says nothing");
    }
}
