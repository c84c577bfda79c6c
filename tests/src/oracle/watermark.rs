//! How far event time has come: in a partition, in a view, and when it passed a
//! window's end.
//!
//! ```text
//!   largest event time of each partition ─ lateness ─▶ watermark of each partition
//!     ── minimum over those that hold (how did the run end?) ──▶ watermark of the view
//!     ── rounded down to a window's end ──▶ final until
//! ```

use super::rules::{Ending, Lateness};
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
        Watermark {
            watermark,
            final_until: window(watermark, size).0,
        }
    }
}

/// How a view's largest event time grew in one partition, message by message.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    /// The largest event time and the `k` of the message by which it became that.
    steps: Vec<(i64, i64)>,
    /// The `k` of its last message.
    last: Option<i64>,
}

impl Course {
    /// Of a partition whose last message has this `k`.
    pub(super) fn until(last: Option<i64>) -> Course {
        Course {
            steps: Vec::new(),
            last,
        }
    }

    /// The next message has this event time, and this `k` of its stamp.
    pub(super) fn see(&mut self, time: i64, k: i64) {
        if self.largest().is_none_or(|largest| time > largest) {
            self.steps.push((time, k));
        }
    }

    pub(super) fn largest(&self) -> Option<i64> {
        self.steps.last().map(|&(time, _)| time)
    }

    /// Where the watermark of the partition is now; nowhere before its first event.
    pub(super) fn watermark(&self, lateness: Lateness) -> Option<i64> {
        behind(self.largest()?, lateness)
    }

    /// The `k` at which the watermark of the partition reached `end`.
    fn passed(&self, end: i64, lateness: Lateness) -> Option<i64> {
        // The steps rise, so that the first that reached it can be looked up.
        let before = self
            .steps
            .partition_point(|&(time, _)| behind(time, lateness) < Some(end));
        self.steps.get(before).map(|&(_, k)| k)
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

/// When the window that ends there closed: at the `k` by which the last of the
/// partitions that passed it did so. `None` if none did.
///
/// A partition that did not pass it, and was idle when it closed, may have events in
/// it: all that it had sent by then count.
pub(super) fn closing(
    courses: &BTreeMap<i32, Course>,
    lateness: Lateness,
    end: i64,
) -> Option<i64> {
    let moments = courses.values().filter_map(|course| {
        let all = course.largest().and(course.last);
        course.passed(end, lateness).or(all)
    });
    moments.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Lateness = Lateness::Within(10);

    /// Event time and `k` of each message.
    fn course(messages: &[(i64, i64)]) -> Course {
        let mut course = Course::default();
        for &(time, k) in messages {
            course.see(time, k);
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
        assert_eq!(course.passed(90, TEN), Some(1));
        assert_eq!(course.passed(99, TEN), Some(2));
        assert_eq!(course.passed(100, TEN), Some(3));
        assert_eq!(course.passed(101, TEN), Some(5));
        assert_eq!(course.passed(191, TEN), None);
        assert_eq!(course.passed(100, Lateness::Forever), None);
    }

    #[test]
    fn a_window_closes_with_the_last_partition_that_passes_it() {
        let courses = BTreeMap::from([
            (0, course(&[(110, 7)])),
            (1, course(&[(110, 5)])),
            (2, course(&[(109, 9)])),
            (3, course(&[])),
        ]);
        assert_eq!(closing(&courses, TEN, 99), Some(9));
        assert_eq!(closing(&courses, TEN, 100), Some(7), "the third has not");
        assert_eq!(closing(&courses, TEN, 101), None);
    }
}
