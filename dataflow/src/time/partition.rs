//! The event time of one partition, and what is late in it.
//!
//! An event is late if and only if its window's end + lateness is at or before the
//! largest event time at earlier offsets of its own partition. That is decided
//! here, where the partition is read, from its log alone: neither the other
//! partitions nor the workers nor the pace have a part in it.

use super::{Holding, Mark, NEVER, Refusal, ViewMark};
use crate::views::window::{Lateness, Window};
use serde::{Deserialize, Serialize};

/// How a view judges events.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Number of the view.
    pub view: u16,
    /// Its windows.
    pub window: Window,
    /// How long they stay open.
    pub lateness: Lateness,
    /// Whether it is to be noted by which message a window was passed.
    pub notes_passing: bool,
}

/// The event time of one partition, for each view of its topic.
#[derive(Debug)]
pub struct PartitionTime {
    /// How far an event may be ahead of its message, in milliseconds.
    max_ahead: i64,
    /// The largest Kafka timestamp so far, in milliseconds.
    kafka: i64,
    /// From here on, in microseconds, an event of the current message is from
    /// the future.
    limit: i64,
    message: i64,
    views: Vec<ViewTime>,
    /// While messages are read that others have taken up before.
    again: Option<Again>,
}

/// What is read of a partition again, for those that are rebuilt.
#[derive(Debug)]
struct Again {
    /// From this offset on, messages are for all.
    until: i64,
    /// Whether that is for what is joined, too.
    joined: bool,
}

/// What a checkpoint keeps of a partition's event time: all that is not told by
/// its marks already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedTime {
    /// The largest Kafka timestamp so far, in milliseconds.
    pub kafka: i64,
    /// One for each view of the topic.
    pub views: Vec<SavedViewTime>,
}

/// What a checkpoint keeps of a partition's event time in one view, in
/// microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedViewTime {
    /// Number of the view.
    pub view: u16,
    /// The smallest event time so far.
    pub earliest: i64,
    /// The largest event time so far.
    pub latest: i64,
    /// The partition's watermark.
    pub watermark: i64,
    /// The last window that the watermark has passed.
    pub through: i64,
}

/// The event time of one partition in one view, in microseconds.
#[derive(Debug)]
pub struct ViewTime {
    rule: Rule,
    /// The smallest event time so far; beyond all times before the first.
    earliest: i64,
    latest: i64,
    watermark: i64,
    /// The last window that the watermark has passed.
    through: i64,
    passed: Vec<(i64, i64)>,
    /// Whether it is rebuilt.
    again: bool,
}

impl PartitionTime {
    /// A partition of which nothing has been read, with `rules` in the order of
    /// its topic's views.
    pub fn new(rules: &[Rule], max_ahead: i64) -> PartitionTime {
        let view = |rule: &Rule| ViewTime {
            rule: *rule,
            earliest: i64::MAX,
            latest: NEVER,
            watermark: NEVER,
            through: NEVER,
            passed: Vec::new(),
            again: false,
        };
        PartitionTime {
            max_ahead,
            kafka: NEVER,
            limit: NEVER,
            message: NEVER,
            views: rules.iter().map(view).collect(),
            again: None,
        }
    }

    /// What a checkpoint keeps of it, at the end of an epoch.
    pub fn save(&self) -> SavedTime {
        let view = |view: &ViewTime| SavedViewTime {
            view: view.rule.view,
            earliest: view.earliest,
            latest: view.latest,
            watermark: view.watermark,
            through: view.through,
        };
        SavedTime {
            kafka: self.kafka,
            views: self.views.iter().map(view).collect(),
        }
    }

    /// Goes on from what a checkpoint kept, as far as it knows the views.
    pub fn restore(&mut self, saved: &SavedTime) {
        self.kafka = saved.kafka;
        for view in &mut self.views {
            let mut known = saved.views.iter();
            if let Some(known) = known.find(|known| known.view == view.rule.view) {
                view.earliest = known.earliest;
                view.latest = known.latest;
                view.watermark = known.watermark;
                view.through = known.through;
            }
        }
    }

    /// Messages below the offset `until` are read again: they are for these views only,
    /// and for what is joined if `joined`.
    pub fn read_again(&mut self, until: i64, views: &[u16], joined: bool) {
        for view in &mut self.views {
            view.again = views.contains(&view.rule.view);
        }
        self.again = Some(Again { until, joined });
    }

    /// Whether the current message is read again.
    #[inline]
    pub fn is_again(&self) -> bool {
        self.again.is_some()
    }

    /// Whether the current message is for the view at `place`.
    #[inline]
    pub fn is_for(&self, place: usize) -> bool {
        self.again.is_none() || self.views[place].again
    }

    /// Whether the current message is for what is joined.
    #[inline]
    pub fn is_for_joined(&self) -> bool {
        self.again.as_ref().is_none_or(|again| again.joined)
    }

    /// Takes up the message at `offset` with this Kafka timestamp, in milliseconds. To
    /// be called for every message, whatever it holds.
    #[inline]
    pub fn message(&mut self, offset: i64, kafka: i64) {
        if self
            .again
            .as_ref()
            .is_some_and(|again| offset >= again.until)
        {
            self.again = None;
        }
        self.message = kafka;
        self.kafka = self.kafka.max(kafka);
        // Times have microseconds, and count here by their whole milliseconds.
        self.limit = kafka
            .saturating_add(self.max_ahead)
            .saturating_add(1)
            .saturating_mul(1_000);
    }

    /// The partition's timestamps made non-decreasing: the largest so far, in
    /// milliseconds.
    pub fn kafka(&self) -> i64 {
        self.kafka
    }

    /// Judges an event of the current message for the view at `place`: the number
    /// of the window it belongs to.
    ///
    /// # Errors
    /// When it does not belong into the view (any more).
    #[inline]
    pub fn judge(&mut self, place: usize, time: i64) -> Result<i64, Refusal> {
        let view = &mut self.views[place];
        // Where no window ever closes, the future does no harm.
        if time >= self.limit && view.rule.lateness != Lateness::Forever {
            return Err(Refusal::FromTheFuture {
                time,
                kafka: self.message.saturating_mul(1_000),
            });
        }
        let index = view.rule.window.index_of(time);
        let is_late = view.rule.window.end_micros(index) <= view.watermark;
        view.earliest = view.earliest.min(time);
        if time > view.latest {
            view.advance(time, self.kafka);
        }
        if is_late {
            Err(view.late(index))
        } else {
            Ok(index)
        }
    }

    /// The smallest and the largest event time seen of the view at `place`, in
    /// microseconds; none before the first.
    pub fn spread(&self, place: usize) -> Option<(i64, i64)> {
        let view = &self.views[place];
        (view.latest != NEVER).then_some((view.earliest, view.latest))
    }

    /// Raises the watermarks to those of the views: a partition that was silent
    /// while windows were closed cannot open them again.
    pub fn raise(&mut self, watermarks: &[i64]) {
        for view in &mut self.views {
            let floor = watermarks[usize::from(view.rule.view)];
            if floor > view.watermark {
                view.watermark = floor;
                view.through = view.rule.window.last_before(floor);
            }
        }
    }

    /// What is to be told of the partition, whose next offset is `next`.
    pub fn mark(
        &mut self,
        topic: usize,
        partition: i32,
        worker: usize,
        next: i64,
        holding: Holding,
    ) -> Mark {
        let view = |view: &mut ViewTime| ViewMark {
            view: view.rule.view,
            latest: view.latest,
            watermark: view.watermark,
            passed: std::mem::take(&mut view.passed),
        };
        Mark {
            topic,
            partition,
            worker,
            next,
            holding,
            kafka: self.kafka,
            views: self.views.iter_mut().map(view).collect(),
        }
    }
}

impl ViewTime {
    fn advance(&mut self, time: i64, kafka: i64) {
        self.latest = time;
        let Lateness::Millis(lateness) = self.rule.lateness else {
            return;
        };
        let watermark = time.saturating_sub(lateness.saturating_mul(1_000));
        if watermark <= self.watermark {
            return;
        }
        self.watermark = watermark;
        if self.rule.notes_passing {
            let through = self.rule.window.last_before(watermark);
            if through > self.through {
                self.through = through;
                self.passed.push((through, kafka));
            }
        }
    }

    fn late(&self, index: i64) -> Refusal {
        Refusal::Late {
            start: self.rule.window.start_millis(index).saturating_mul(1_000),
            end: self.rule.window.end_micros(index),
            watermark: self.watermark,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;
    const HOUR: i64 = 60 * MINUTE;

    fn partition(lateness: Lateness) -> PartitionTime {
        let rule = Rule {
            view: 0,
            window: Window::HOUR,
            lateness,
            notes_passing: true,
        };
        let mut partition = PartitionTime::new(&[rule], 24 * 3_600_000);
        partition.message(0, 0);
        partition
    }

    fn lateness(hours: i64) -> Lateness {
        Lateness::Millis(hours * 3_600_000)
    }

    #[test]
    fn an_event_is_late_from_the_moment_its_window_s_end_is_passed() {
        let mut one = partition(lateness(1));
        assert_eq!(one.judge(0, 10 * HOUR - 1), Ok(9));
        // The watermark is at 9:00 less a microsecond: the window that ends at 9 is open.
        assert_eq!(one.judge(0, 8 * HOUR), Ok(8));
        assert_eq!(one.judge(0, 10 * HOUR), Ok(10));
        assert_eq!(
            one.judge(0, 9 * HOUR - 1),
            Err(Refusal::Late {
                start: 8 * HOUR,
                end: 9 * HOUR,
                watermark: 9 * HOUR
            })
        );
        assert_eq!(one.judge(0, 9 * HOUR), Ok(9));
    }

    #[test]
    fn nothing_is_late_for_ever() {
        let mut one = partition(Lateness::Forever);
        assert_eq!(one.judge(0, 20 * HOUR), Ok(20));
        assert_eq!(one.judge(0, -20 * HOUR), Ok(-20));
        assert_eq!(one.judge(0, 2_000 * HOUR), Ok(2_000), "nor from the future");
    }

    #[test]
    fn the_future_is_not_believed_and_moves_nothing() {
        let mut one = partition(lateness(1));
        let limit = 24 * HOUR;
        assert!(matches!(
            one.judge(0, limit + 1_000),
            Err(Refusal::FromTheFuture { .. })
        ));
        assert_eq!(one.judge(0, 0), Ok(0));
        // A day ahead, in whole milliseconds, is believed.
        assert_eq!(one.judge(0, limit + 999), Ok(24));
        assert!(matches!(one.judge(0, 0), Err(Refusal::Late { .. })));
    }

    #[test]
    fn late_events_are_seen_and_those_of_the_future_are_not() {
        let mut one = partition(lateness(1));
        assert_eq!(one.spread(0), None);
        one.judge(0, 5 * HOUR).unwrap();
        one.judge(0, HOUR).unwrap_err();
        one.judge(0, 100 * HOUR).unwrap_err();
        assert_eq!(one.spread(0), Some((HOUR, 5 * HOUR)));
    }

    #[test]
    fn what_closed_while_it_was_silent_stays_closed() {
        let mut one = partition(lateness(1));
        assert_eq!(one.judge(0, 2 * HOUR), Ok(2));
        one.raise(&[5 * HOUR]);
        assert!(matches!(one.judge(0, 3 * HOUR), Err(Refusal::Late { .. })));
        assert_eq!(one.judge(0, 5 * HOUR), Ok(5));
        // Its own event time has not got that far, which is told as it is.
        let mark = one.mark(3, 7, 1, 9, Holding::Yes);
        assert_eq!(
            (mark.views[0].latest, mark.views[0].watermark),
            (5 * HOUR, 5 * HOUR)
        );
    }

    #[test]
    fn it_is_noted_by_which_message_a_window_was_passed() {
        let mut one = partition(lateness(1));
        one.message(0, 100);
        one.judge(0, 3 * HOUR).unwrap();
        one.message(0, 50);
        one.judge(0, 3 * HOUR + MINUTE).unwrap();
        one.judge(0, 6 * HOUR).unwrap();
        let mark = one.mark(0, 0, 0, 3, Holding::Yes);
        assert_eq!(mark.views[0].passed, [(1, 100), (4, 100)]);
        assert_eq!(one.mark(0, 0, 0, 3, Holding::Yes).views[0].passed, []);
    }
}
