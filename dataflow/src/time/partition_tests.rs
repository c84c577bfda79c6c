use super::super::WallClock;
use super::*;
use model::Span;
use std::time::Duration;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const HOUR_MILLIS: i64 = 3_600_000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;
/// What the clock says, in milliseconds: the hour from which event times count here.
const NOW: i64 = 500_000 * HOUR_MILLIS;

/// The times of a partition in one view, counted from [`NOW`].
struct One(PartitionTime);

impl One {
    fn new(lateness: Lateness) -> One {
        let rule = Rule {
            view: 0,
            window: Window::HOUR,
            lateness,
            notes_passing: true,
        };
        let trust = Trust {
            clock: WallClock::of(|| NOW),
            max_ahead: Duration::from_millis(DAY_MILLIS.cast_unsigned()),
        };
        One(PartitionTime::new(&[rule], trust))
    }

    /// The same after a message of now.
    fn begun(lateness: Lateness) -> One {
        let mut one = One::new(lateness);
        one.message(0, 0);
        one
    }

    /// A message sent so many milliseconds after now.
    fn message(&mut self, offset: i64, after: i64) -> Sent {
        self.0.message(offset, NOW + after)
    }

    /// Judges an event so many microseconds after now: the window, counted from then, or
    /// whether it is late (else it is from the future).
    fn judge(&mut self, time: i64) -> Result<i64, bool> {
        self.at(Some(NOW * 1_000 + time))
    }

    /// The same of an event that goes by its message's timestamp.
    fn judge_kafka(&mut self) -> Result<i64, bool> {
        self.at(None)
    }

    fn at(&mut self, time: Option<i64>) -> Result<i64, bool> {
        match self.0.judge(0, time) {
            Ok(Accepted { windows, missed }) => {
                assert_eq!((windows.end - windows.start, missed), (1, None));
                Ok(windows.start - NOW / HOUR_MILLIS)
            }
            Err(refusal) => Err(matches!(refusal, Refusal::Late { .. })),
        }
    }

    /// Clock and time of the current message, in milliseconds after now.
    fn stamp(&self) -> (Option<i64>, Option<i64>) {
        let Stamp { kafka, seen, .. } = self.0.stamp(0);
        let known = |time| (time != NEVER).then(|| time - NOW);
        (known(kafka), known(seen))
    }

    fn mark(&mut self) -> Mark {
        self.0.mark(0, 0, 0, 3, Holding::Yes)
    }

    /// The windows passed since the last mark, and when, counted from now.
    fn passed(&mut self) -> Vec<(i64, i64, i64)> {
        let passed = self.mark().views.remove(0).passed.into_iter();
        let counted = passed.map(|passed| {
            let through = passed.through - NOW / HOUR_MILLIS;
            (through, passed.moment - NOW, passed.offset)
        });
        counted.collect()
    }
}

const LATE: Result<i64, bool> = Err(true);
const REFUSED: Result<i64, bool> = Err(false);

fn lateness(hours: i64) -> Lateness {
    Lateness::Millis(hours * HOUR_MILLIS)
}

#[test]
fn event_is_late_once_the_end_of_its_window_is_passed() {
    let mut one = One::begun(lateness(1));
    assert_eq!(one.judge(10 * HOUR - 1), Ok(9));
    // The watermark is at 9:00 less a microsecond: the window that ends at 9 is open.
    assert_eq!(one.judge(8 * HOUR), Ok(8));
    assert_eq!(one.judge(10 * HOUR), Ok(10));
    let start = NOW * 1_000 + 8 * HOUR;
    assert_eq!(
        one.0.judge(0, Some(start)),
        Err(Refusal::Late {
            start,
            end: start + HOUR,
            watermark: start + HOUR
        })
    );
    assert_eq!(one.judge(9 * HOUR), Ok(9));
}

#[test]
fn nothing_is_late_or_from_the_future_where_windows_never_close() {
    let mut one = One::begun(Lateness::Forever);
    assert_eq!(one.judge(20 * HOUR), Ok(20));
    assert_eq!(one.judge(-20 * HOUR), Ok(-20));
    assert_eq!(one.judge(2_000 * HOUR), Ok(2_000));
}

#[test]
fn event_far_ahead_of_its_message_is_from_the_future_and_moves_nothing() {
    let mut one = One::begun(lateness(1));
    let limit = 24 * HOUR;
    assert_eq!(one.judge(limit + 1_000), REFUSED);
    assert_eq!(one.judge(0), Ok(0));
    // A day ahead, in whole milliseconds, is believed.
    assert_eq!(one.judge(limit + 999), Ok(24));
    assert_eq!(one.judge(0), LATE);
}

#[test]
fn spread_covers_late_events_but_none_from_the_future() {
    let mut one = One::begun(lateness(1));
    assert_eq!(one.0.spread(0), None);
    one.judge(5 * HOUR).unwrap();
    one.judge(HOUR).unwrap_err();
    one.judge(100 * HOUR).unwrap_err();
    let micros = NOW * 1_000;
    assert_eq!(one.0.spread(0), Some((micros + HOUR, micros + 5 * HOUR)));
}

#[test]
fn windows_closed_while_a_partition_was_silent_stay_closed() {
    let mut one = One::begun(lateness(1));
    let at = |hours| NOW * 1_000 + hours * HOUR;
    assert_eq!(one.judge(2 * HOUR), Ok(2));
    one.0.raise(&[at(5)]);
    assert_eq!(one.judge(3 * HOUR), LATE);
    assert_eq!(one.judge(5 * HOUR), Ok(5));
    let view = &one.mark().views[0];
    assert_eq!((view.latest, view.watermark), (at(5), at(5)));
}

#[test]
fn the_clock_is_what_two_neighbours_have_reached() {
    let mut one = One::new(lateness(1));
    let mut stamps = Vec::new();
    for (offset, after) in (0..).zip([100, 101, 900, 102, 103, 50, 104]) {
        one.message(offset, after);
        stamps.push(one.stamp());
    }
    assert_eq!(
        stamps,
        [
            (None, Some(100)),
            (Some(100), Some(101)),
            (Some(101), Some(900)),
            (Some(102), Some(102)),
            (Some(102), Some(103)),
            (Some(102), Some(102)),
            (Some(102), Some(104)),
        ]
    );
    assert_eq!(one.mark().least, NOW + 100);
    one.message(7, 105);
    assert_eq!(one.mark().least, NOW + 105);
    assert_eq!(one.mark().least, i64::MAX);
}

#[test]
fn a_message_ahead_of_the_clock_moves_nothing() {
    let mut one = One::new(lateness(1));
    let year = 365 * DAY_MILLIS;
    assert_eq!(one.message(0, 1), Sent::At(NOW + 1));
    assert_eq!(one.message(1, year), Sent::Ahead(NOW + year));
    assert_eq!((one.judge(0), one.judge_kafka()), (REFUSED, REFUSED));
    assert_eq!(one.stamp(), (None, None));
    one.message(2, 2);
    assert_eq!(one.stamp(), (Some(1), Some(2)));
    assert_eq!(one.judge(0), Ok(0));
    assert_eq!(one.judge_kafka(), Ok(0));
    let limits = one.mark().limits;
    assert_eq!(limits.len(), 1, "{limits:?}");
    assert_eq!((limits[0].offset, limits[0].until), (0, NOW + DAY_MILLIS));
}

#[test]
fn a_message_ahead_of_the_clock_counts_where_windows_never_close() {
    let mut one = One::begun(Lateness::Forever);
    one.message(1, 400 * DAY_MILLIS);
    assert_eq!(one.judge(HOUR), Ok(1));
    assert_eq!(one.judge_kafka(), Ok(400 * 24));
    assert_eq!(one.stamp(), (None, None));
}

#[test]
fn a_version_ahead_of_the_clock_is_none_for_a_view_whose_windows_close() {
    for (joining, takes) in [(lateness(1), false), (Lateness::Forever, true)] {
        let mut one = One::begun(Lateness::Forever);
        assert_eq!(one.0.judge_joined(joining), Ok(()));
        one.message(1, 400 * DAY_MILLIS);
        assert_eq!(one.0.judge_joined(joining).is_ok(), takes);
    }
}

#[test]
fn events_without_a_timestamp_are_placed_by_their_own_time_or_the_clock() {
    let mut one = One::new(lateness(1));
    for (offset, none) in [(0, 0), (1, -1)] {
        assert_eq!(one.0.message(offset, none), Sent::Never);
        assert_eq!(one.0.judge(0, None), Err(Refusal::NoTime));
        assert_eq!(one.judge(HOUR), Ok(1));
        assert_eq!(one.judge(24 * HOUR + 1_000), REFUSED);
        assert!(one.mark().untimed);
    }
    one.message(2, 5 * HOUR_MILLIS);
    assert!(!one.mark().untimed);
    one.message(3, 6 * HOUR_MILLIS);
    one.0.message(4, 0);
    assert_eq!(one.judge_kafka(), Ok(5), "by the clock");
    assert_eq!(one.stamp(), (Some(5 * HOUR_MILLIS), Some(5 * HOUR_MILLIS)));
}

#[test]
fn timestamps_in_seconds_or_microseconds_are_recognised() {
    let mut one = One::new(lateness(1));
    assert_eq!(
        one.0.message(0, NOW / 1_000),
        Sent::Unit(NOW / 1_000, "seconds")
    );
    assert_eq!(
        one.0.message(1, NOW * 1_000),
        Sent::Unit(NOW * 1_000, "microseconds")
    );
    // Two days ahead in any unit, and what is neither.
    let ahead = NOW + 2 * DAY_MILLIS;
    assert_eq!(one.0.message(2, ahead * 1_000), Sent::Ahead(ahead * 1_000));
    assert_eq!(one.0.message(3, ahead / 1_000), Sent::At(ahead / 1_000));
    assert_eq!(one.0.message(4, i64::MAX), Sent::Ahead(i64::MAX));
    assert_eq!(one.0.message(5, NOW), Sent::At(NOW));
}

#[test]
fn windows_outside_the_calendar_are_refused_also_where_they_never_close() {
    for lateness in [lateness(1), Lateness::Forever] {
        let mut one = One::begun(lateness);
        let first = -62_135_596_800_000_000;
        let last = 253_402_300_800_000_000 - 1;
        assert!(one.0.judge(0, Some(first)).is_ok());
        let time = last;
        let refused = one.0.judge(0, Some(time)).unwrap_err();
        match lateness {
            Lateness::Forever => assert_eq!(refused, Refusal::OutOfCalendar { time }),
            Lateness::Millis(_) => assert!(matches!(refused, Refusal::FromTheFuture { .. })),
        }
    }
}

#[test]
fn a_window_is_passed_no_later_than_the_next_message_was_sent() {
    let mut one = One::new(lateness(1));
    one.message(0, 100);
    one.judge(3 * HOUR).unwrap();
    one.message(1, 150);
    one.judge(3 * HOUR + MINUTE).unwrap();
    one.judge(6 * HOUR).unwrap();
    assert_eq!(one.passed(), [(1, 100, 0), (4, 150, 1)]);
    assert_eq!(one.passed(), []);
    // By a stray one: as soon as the next has come, it was passed then.
    one.message(2, 9_000);
    one.judge(7 * HOUR).unwrap();
    one.message(3, 160);
    one.judge(8 * HOUR).unwrap();
    assert_eq!(one.passed(), [(5, 160, 2), (6, 160, 3)]);
    one.message(4, 9_000);
    one.judge(9 * HOUR).unwrap();
    assert_eq!(one.passed(), [(7, 9_000, 4)]);
    one.message(5, 170);
    assert_eq!(one.mark().least, NOW + 170);
    // One without a timestamp behind a stray one has its moment, and shares what becomes of it.
    one.message(6, 9_000);
    one.judge(10 * HOUR).unwrap();
    assert_eq!(one.0.message(7, -1), Sent::Never);
    one.judge(11 * HOUR).unwrap();
    one.message(8, 180);
    assert_eq!(one.passed(), [(8, 180, 6), (9, 180, 7)]);
}

/// Two views of one topic.
fn two_views() -> PartitionTime {
    let rule = |view| Rule {
        view,
        window: Window::HOUR,
        lateness: lateness(1),
        notes_passing: true,
    };
    let trust = Trust {
        clock: WallClock::of(|| NOW),
        max_ahead: Duration::from_millis(DAY_MILLIS.cast_unsigned()),
    };
    PartitionTime::new(&[rule(3), rule(5)], trust)
}

/// Reads messages sent so many hours after now, as events of these times.
fn read(time: &mut PartitionTime, first: i64, hours: &[i64]) -> Vec<Stamp> {
    let stamps = (first..).zip(hours).map(|(offset, after)| {
        let at = NOW + after * HOUR_MILLIS;
        time.message(offset, at);
        for place in [0, 1] {
            if time.is_for(place) {
                let _ = time.judge(place, Some(at * 1_000));
            }
        }
        time.stamp(0)
    });
    stamps.collect()
}

#[test]
fn backfilled_view_is_stamped_and_judged_as_if_it_had_read_all() {
    let log = [0, 1, 9, 2, 3, 4, 8];
    let (mut whole, mut current, mut second) = (two_views(), two_views(), two_views());
    let stamps = read(&mut whole, 0, &log);
    current.read_for(Audience::AllBut(vec![5]));
    second.read_for(Audience::Only(vec![5]));
    assert!(current.is_partial() && !second.is_partial());
    assert!(current.is_for(0) && !current.is_for(1) && !second.is_for(0));
    assert!(second.is_for_joined(5) && !second.is_for_joined(3));

    read(&mut current, 0, &log[..5]);
    let mark = current.mark(0, 0, 0, 5, Holding::Yes);
    assert_eq!(mark.views.len(), 1);
    for (offset, after) in (0..).zip(&log[..5]) {
        second.believe_like(&current);
        let stamp = stamps[usize::try_from(offset).unwrap()];
        assert_eq!(read(&mut second, offset, &[*after]), [stamp]);
    }
    let (backfill, marks) = second.backfill_mark(5, vec![5]);
    assert_eq!((marks.len(), marks[0].view), (1, 5));
    assert_eq!(backfill.at.unwrap().kafka, mark.kafka);
    current.take_over(second);
    assert!(!current.is_partial());
    assert_eq!(read(&mut current, 5, &log[5..]), stamps[5..]);
    assert_eq!(current.save(), whole.save());
}

/// A partition of a view with these windows, after a message of now.
fn of(window: Window, lateness: Lateness) -> PartitionTime {
    let rule = Rule {
        view: 0,
        window,
        lateness,
        notes_passing: true,
    };
    let trust = Trust {
        clock: WallClock::of(|| NOW),
        max_ahead: Duration::from_millis(DAY_MILLIS.cast_unsigned()),
    };
    let mut time = PartitionTime::new(&[rule], trust);
    time.message(0, NOW);
    time
}

fn hopping(slide: i64, size: i64) -> Window {
    let [slide, size] = [slide, size].map(Span::micros);
    Window::hopping(slide, size, Span::ZERO, None).unwrap()
}

#[test]
fn event_is_late_for_those_of_its_windows_whose_ends_are_passed() {
    let slide = 15 * MINUTE;
    let window = hopping(slide, HOUR);
    let mut time = of(window, lateness(1));
    let now = NOW * 1_000;
    let number = now / slide;
    let mut judge = |after: i64| match time.judge(0, Some(now + after)) {
        Ok(Accepted { windows, missed }) => {
            let windows = windows.start - number..windows.end - number;
            let missed = missed.map(|missed| match missed {
                Refusal::PartlyLate { closed, last, .. } => {
                    assert_eq!(closed.1 + 1, number + windows.start);
                    assert_eq!(last + 1, number + windows.end);
                    closed.0 - number..closed.1 + 1 - number
                }
                missed => panic!("{missed:?}"),
            });
            Some((windows, missed))
        }
        Err(Refusal::Late { end, .. }) => {
            assert_eq!(end, now + (after.div_euclid(slide) + 4) * slide);
            None
        }
        Err(refusal) => panic!("{refusal:?}"),
    };
    // From 09:30 to 10:30, and from each quarter until 10:15.
    assert_eq!(judge(10 * HOUR + 20 * MINUTE), Some((38..42, None)));
    // The watermark is 09:20. Of the windows of 08:50 the first ended at 09:00, the second at 09:15.
    assert_eq!(judge(8 * HOUR + 50 * MINUTE), Some((34..36, Some(32..34))));
    // A microsecond before the end of the next, and exactly at it.
    assert_eq!(judge(10 * HOUR + 30 * MINUTE - 1), Some((38..42, None)));
    assert_eq!(judge(8 * HOUR + 50 * MINUTE), Some((34..36, Some(32..34))));
    assert_eq!(judge(10 * HOUR + 30 * MINUTE), Some((39..43, None)));
    assert_eq!(judge(8 * HOUR + 50 * MINUTE), Some((35..36, Some(32..35))));
    // At the start of a window it counts in that, and at the end of one no longer in that.
    assert_eq!(judge(8 * HOUR + 45 * MINUTE), Some((35..36, Some(32..35))));
    assert_eq!(judge(8 * HOUR + 45 * MINUTE - 1), None);
    assert_eq!(judge(10 * HOUR + 45 * MINUTE - 1), Some((39..43, None)));
    assert_eq!(judge(8 * HOUR + 45 * MINUTE), Some((35..36, Some(32..35))));
    assert_eq!(judge(10 * HOUR + 45 * MINUTE), Some((40..44, None)));
    assert_eq!(judge(8 * HOUR + 45 * MINUTE), None);
    let passed = &time.mark(0, 0, 0, 1, Holding::Yes).views[0].passed;
    let through = passed.iter().map(|passed| passed.through - number);
    assert_eq!(through.collect::<Vec<_>>(), [33, 34, 35]);
}

#[test]
fn event_is_late_for_a_local_day_when_that_is_over() {
    let berlin = Window::tumbling(Span::days(1), Span::ZERO, Some("Europe/Berlin")).unwrap();
    let mut time = of(berlin, lateness(1));
    let start = berlin.start_micros(berlin.index_of(NOW * 1_000));
    let today = berlin.index_of(NOW * 1_000);
    let judge = |time: &mut PartitionTime, at| {
        let accepted = time.judge(0, Some(at));
        accepted.map(|accepted| accepted.windows.start - today).ok()
    };
    assert_eq!(judge(&mut time, start + HOUR - 1), Some(0));
    assert_eq!(judge(&mut time, start - 1), Some(-1));
    assert_eq!(judge(&mut time, start + HOUR), Some(0));
    assert_eq!(judge(&mut time, start - 1), None);
    assert_eq!(judge(&mut time, start), Some(0));
}

#[test]
fn nothing_is_late_from_the_future_or_without_time_where_there_are_no_windows() {
    let mut time = of(Window::ALL, lateness(1));
    let accepted = Ok(Accepted {
        windows: 0..1,
        missed: None,
    });
    for at in [NOW * 1_000, NOW * 3_000, 0, i64::MAX, i64::MIN] {
        assert_eq!(time.judge(0, Some(at)), accepted);
    }
    time.message(1, NOW + 400 * DAY_MILLIS);
    assert_eq!(time.judge(0, None), accepted);
    let mut time = of(Window::ALL, lateness(1));
    time.message(1, 0);
    assert_eq!(time.judge(0, None), accepted);
    let mark = time.mark(0, 0, 0, 2, Holding::Yes);
    assert_eq!(mark.views[0].watermark, NEVER);
}

#[test]
fn what_a_checkpoint_kept_closes_the_same_windows() {
    let window = hopping(15 * MINUTE, HOUR);
    let now = NOW * 1_000;
    let mut time = of(window, lateness(1));
    time.judge(0, Some(now + 10 * HOUR)).unwrap();
    let mut restored = of(window, lateness(1));
    restored.restore(&time.save());
    for after in (0..12).map(|quarter| 7 * HOUR + quarter * 15 * MINUTE) {
        let (one, other) = (
            time.judge(0, Some(now + after)),
            restored.judge(0, Some(now + after)),
        );
        assert_eq!(one, other);
    }
    assert_eq!(restored.save().views, time.save().views);
}
