//! The event time of one partition, and what is late in it.
//!
//! An event is late for a window if and only if the window's end + lateness is at or before the
//! largest event time at earlier offsets of the event's own partition. That is decided
//! here, where the partition is read, from its log alone: neither the other
//! partitions nor the workers nor the pace have a part in it. Where windows overlap, an event may
//! be late for the first of those that hold its time, and accepted for the others.
//!
//! **The clock of a partition** says how far its messages have come by their Kafka
//! timestamps. One stray timestamp must not move it: it is the largest time that two
//! neighbouring messages have both reached. Messages that are [not believed](super::ahead),
//! or have no timestamp, are no neighbours.
//!
//! ```text
//!   timestamp    100   101   900   102   103
//!   clock          -   100   101   102   102     min of each two, and never back
//!   message        100   101   900   102   103   max of its timestamp and the clock before
//! ```

use super::ahead::{Ahead, Recorded, Trust};
use super::{Backfill, BackfillAt, Holding, Mark, NEVER, Passed, Refusal, ViewMark};
use model::Stamp;
use model::{LAST_DATE, Lateness, Window, WindowCursor};
use serde::{Deserialize, Serialize};
use sinks::Limit;
use std::ops::Range;

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

/// The windows that take an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Their numbers, at least one.
    pub windows: Range<i64>,
    /// Why earlier ones that hold its time do not, if there are any: they had closed.
    pub missed: Option<Refusal>,
}

/// What the Kafka timestamp of a message says, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// When it was sent.
    At(i64),
    /// Nothing: it has none.
    Never,
    /// More than is believed.
    Ahead(i64),
    /// A number that looks like seconds or microseconds, and the name of these.
    Unit(i64, &'static str),
}

/// The event time of one partition, for each view of its topic.
#[derive(Debug)]
pub struct PartitionTime {
    ahead: Ahead,
    /// The partition's clock, in milliseconds; [`NEVER`] before the second message.
    clock: i64,
    /// The timestamp of the last message that was believed, in milliseconds.
    last: i64,
    /// Whether no message so far had a timestamp, and there were some.
    is_untimed: bool,
    /// Of the current message: its offset, timestamp, and time (in milliseconds).
    offset: i64,
    sent: Sent,
    seen: i64,
    /// From here on, in microseconds, an event of the current message is from
    /// the future.
    limit: i64,
    /// The least time of a message since the last mark.
    least: i64,
    views: Vec<ViewTime>,
    audience: Audience,
    /// [`PartitionTime::least`] of the messages of this epoch that came before a backfill has
    /// caught up.
    least_before: i64,
}

/// The views that a partition is read for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// All that there are.
    #[default]
    All,
    /// These, which are backfilled: the others are read for elsewhere.
    Only(Vec<u16>),
    /// All but these, which are backfilled and read for elsewhere.
    AllBut(Vec<u16>),
}

impl Audience {
    /// Whether a view is one of them.
    #[inline]
    pub fn has(&self, view: u16) -> bool {
        match self {
            Audience::All => true,
            Audience::Only(views) => views.contains(&view),
            Audience::AllBut(views) => !views.contains(&view),
        }
    }
}

/// What a checkpoint keeps of a partition's event time: all that is not told by
/// its marks already. `V` names a view: by its number while the program runs, by its name in the
/// checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedTime<V = u16> {
    /// The partition's clock, in milliseconds.
    pub kafka: i64,
    /// The timestamp of the last message that was believed, in milliseconds. A program that
    /// kept none had the largest of all as clock.
    #[serde(default)]
    pub last: Option<i64>,
    /// Whether no message had a timestamp.
    #[serde(default)]
    pub untimed: bool,
    /// Which timestamps have been believed; none where all were.
    #[serde(default)]
    pub limits: Option<Vec<Limit>>,
    /// One for each view of the topic.
    pub views: Vec<SavedViewTime<V>>,
}

/// What a checkpoint keeps of a partition's event time in one view, in
/// microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedViewTime<V = u16> {
    /// The view.
    pub view: V,
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
    windows: WindowCursor,
    /// So many windows before the last one hold a time, too.
    others: i64,
    /// Numbers of the first and the last window that a calendar has.
    calendar: (i64, i64),
    /// The smallest event time so far; beyond all times before the first.
    earliest: i64,
    latest: i64,
    watermark: i64,
    /// The last window that ends at or before the watermark,
    closed: i64,
    /// and the end of the one after it.
    next_end: i64,
    /// The last window that the watermark has passed, as far as that is noted.
    through: i64,
    passed: Vec<Passed>,
    /// Whether the partition is read for it here.
    is_here: bool,
}

/// 2000-01-01, in milliseconds: what a shop sends is younger.
const YEAR_2000: i64 = 946_684_800_000;

impl<V> SavedTime<V> {
    /// The same with views named otherwise; those that `name` does not know are left out.
    pub fn named<W>(self, name: impl Fn(V) -> Option<W>) -> SavedTime<W> {
        let view = |view: SavedViewTime<V>| {
            Some(SavedViewTime {
                view: name(view.view)?,
                earliest: view.earliest,
                latest: view.latest,
                watermark: view.watermark,
                through: view.through,
            })
        };
        SavedTime {
            kafka: self.kafka,
            last: self.last,
            untimed: self.untimed,
            limits: self.limits,
            views: self.views.into_iter().filter_map(view).collect(),
        }
    }
}

impl PartitionTime {
    /// A partition of which nothing has been read, with `rules` in the order of
    /// its topic's views.
    pub fn new(rules: &[Rule], trust: Trust) -> PartitionTime {
        let view = |rule: &Rule| ViewTime {
            rule: Rule {
                lateness: rule.window.lateness(rule.lateness),
                ..*rule
            },
            windows: WindowCursor::new(rule.window),
            others: rule.window.overlap() - 1,
            calendar: rule.window.of_calendar(),
            earliest: i64::MAX,
            latest: NEVER,
            watermark: NEVER,
            closed: NEVER,
            next_end: NEVER,
            through: NEVER,
            passed: Vec::new(),
            is_here: true,
        };
        PartitionTime {
            ahead: Ahead::new(trust),
            clock: NEVER,
            last: NEVER,
            is_untimed: false,
            offset: NEVER,
            sent: Sent::Never,
            seen: NEVER,
            limit: NEVER,
            least: i64::MAX,
            views: rules.iter().map(view).collect(),
            audience: Audience::All,
            least_before: i64::MAX,
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
            kafka: self.clock,
            last: Some(self.last),
            untimed: self.is_untimed,
            limits: Some(self.ahead.limits().to_vec()),
            views: self.here().map(view).collect(),
        }
    }

    /// Goes on from what a checkpoint kept, as far as it knows the views.
    pub fn restore(&mut self, saved: &SavedTime) {
        self.clock = saved.kafka;
        self.last = saved.last.unwrap_or(saved.kafka);
        self.is_untimed = saved.untimed;
        for view in &mut self.views {
            let mut known = saved.views.iter();
            if let Some(known) = known.find(|known| known.view == view.rule.view) {
                view.earliest = known.earliest;
                view.latest = known.latest;
                view.set_watermark(known.watermark);
                view.through = known.through;
            }
        }
    }

    /// Follows what earlier runs have recorded of it, by its topic and number; all before
    /// the offset `next` is read.
    pub fn follow(&mut self, recorded: &Recorded, place: (usize, i32), next: i64) {
        let judged = recorded.judged.get(&place).copied().unwrap_or(0);
        let limits = recorded.limits.as_ref();
        let limits = limits.map(|limits| limits.get(&place).cloned().unwrap_or_default());
        self.ahead.restore(limits, judged.max(next));
    }

    /// Its messages are for these views only, from the first one on.
    pub fn read_for(&mut self, audience: Audience) {
        for view in &mut self.views {
            view.is_here = audience.has(view.rule.view);
        }
        self.audience = audience;
    }

    /// Of a partition that is read a second time, for views that are backfilled: believes the
    /// timestamps that `current` has believed, which has judged all of its messages before.
    pub fn believe_like(&mut self, current: &PartitionTime) {
        self.ahead.follow(&current.ahead);
    }

    /// The backfill of some views has read what `self` has read, and ends: from now on the
    /// messages are for these views, too.
    pub fn take_over(&mut self, backfill: PartitionTime) {
        for (view, of_backfill) in self.views.iter_mut().zip(backfill.views) {
            if of_backfill.is_here {
                *view = of_backfill;
            }
        }
        // Where the beginning of the log has expired since, the backfill has seen less than
        // `self`, whose clock stays.
        self.audience = Audience::All;
        self.least_before = self.least_before.min(self.least);
        self.least = i64::MAX;
    }

    /// The views that it is read for.
    fn here(&self) -> impl Iterator<Item = &ViewTime> {
        self.views.iter().filter(|view| view.is_here)
    }

    /// Whether some views are backfilled, for which it is read elsewhere.
    #[inline]
    pub fn is_partial(&self) -> bool {
        matches!(self.audience, Audience::AllBut(_))
    }

    /// Whether the current message is for the view at `place`.
    #[inline]
    pub fn is_for(&self, place: usize) -> bool {
        self.views[place].is_here
    }

    /// Whether the current message is for a view of another topic that joins this one.
    #[inline]
    pub fn is_for_joined(&self, view: u16) -> bool {
        self.audience.has(view)
    }

    /// Takes up the message at `offset` with this Kafka timestamp, in milliseconds; 0 and
    /// below are none. To be called for every message, whatever it holds. Returns what the
    /// timestamp says.
    #[inline]
    pub fn message(&mut self, offset: i64, kafka: i64) -> Sent {
        self.ahead.seek(offset);
        self.offset = offset;
        self.sent = match kafka {
            kafka if kafka >= YEAR_2000 && self.ahead.is_within(kafka) => Sent::At(kafka),
            kafka => self.judge_timestamp(kafka),
        };
        match self.sent {
            Sent::At(kafka) => {
                self.seen = kafka.max(self.clock);
                self.clock = self.clock.max(self.last.min(kafka));
                self.last = kafka;
                self.is_untimed = false;
                // Times have microseconds, and count here by their whole milliseconds.
                self.limit = kafka
                    .saturating_add(self.ahead.max_ahead())
                    .saturating_add(1)
                    .saturating_mul(1_000);
                self.least = self.least.min(self.seen);
                for view in &mut self.views {
                    Passed::lower(view.passed.iter_mut().rev(), self.seen);
                }
            }
            Sent::Never | Sent::Ahead(_) | Sent::Unit(..) => {
                self.seen = self.clock;
                self.limit = i64::MAX;
                self.is_untimed = self.last == NEVER && self.sent == Sent::Never;
            }
        }
        self.sent
    }

    /// What a timestamp says that is not surely believed.
    #[cold]
    fn judge_timestamp(&mut self, kafka: i64) -> Sent {
        if kafka <= 0 {
            return Sent::Never;
        }
        // What is a date of these years in one unit is none in another.
        let units = [
            (kafka.saturating_mul(1_000), "seconds"),
            (kafka / 1_000, "microseconds"),
        ];
        for (millis, unit) in units {
            let is_usual = (YEAR_2000..=LAST_DATE / 1_000).contains(&millis);
            if is_usual && self.ahead.believes(self.offset, millis) {
                return Sent::Unit(kafka, unit);
            }
        }
        match self.ahead.believes(self.offset, kafka) {
            true => Sent::At(kafka),
            false => Sent::Ahead(kafka),
        }
    }

    /// How new the current message is, which is of this partition.
    #[inline]
    pub fn stamp(&self, partition: i32) -> Stamp {
        Stamp {
            kafka: self.clock,
            partition,
            offset: self.offset,
            seen: self.seen,
        }
    }

    /// Judges an event of the current message for the view at `place`: the windows that take
    /// it. `time` is the event's, in microseconds; `None` where the
    /// view goes by the timestamp of the message.
    ///
    /// # Errors
    /// When it does not belong into the view (any more).
    #[inline]
    pub fn judge(&mut self, place: usize, time: Option<i64>) -> Result<Accepted, Refusal> {
        let rule = self.views[place].rule;
        let is_bounded = rule.lateness != Lateness::Forever;
        let time = match (self.sent, time) {
            (Sent::At(kafka), None) => kafka.saturating_mul(1_000),
            (Sent::At(kafka), Some(time)) => {
                // Where no window ever closes, the future does no harm.
                if time >= self.limit && is_bounded {
                    let kafka = kafka.saturating_mul(1_000);
                    return Err(Refusal::FromTheFuture { time, kafka });
                }
                time
            }
            (_, time) => match self.untimed(time, is_bounded) {
                // Without windows no time is needed.
                Err(Refusal::NoTime) if rule.window.is_all() => {
                    return Ok(Accepted {
                        windows: 0..1,
                        missed: None,
                    });
                }
                time => time?,
            },
        };
        let view = &mut self.views[place];
        let last = view.windows.index_of(time);
        let first = last.saturating_sub(view.others);
        if first < view.calendar.0 || last > view.calendar.1 {
            return Err(Refusal::OutOfCalendar { time });
        }
        let closed = view.closed;
        view.earliest = view.earliest.min(time);
        if time > view.latest {
            // By a message without a timestamp: at the time of the one before it. So a message
            // that passes a window does so no sooner than those before it, and whichever
            // lowers the last of these moments knows which others to lower.
            view.advance(time, self.offset, self.last.max(self.clock));
        }
        if closed >= first {
            return view.late(first, last, closed);
        }
        Ok(Accepted {
            windows: first..last + 1,
            missed: None,
        })
    }

    /// The time, in microseconds, of an event whose message's timestamp says nothing.
    #[cold]
    fn untimed(&mut self, time: Option<i64>, is_bounded: bool) -> Result<i64, Refusal> {
        if let Sent::Ahead(kafka) = self.sent {
            return match is_bounded {
                true => Err(Refusal::Ahead { kafka }),
                false => Ok(time.unwrap_or(kafka.saturating_mul(1_000))),
            };
        }
        let Some(time) = time else {
            return match self.clock {
                NEVER => Err(Refusal::NoTime),
                clock => Ok(clock.saturating_mul(1_000)),
            };
        };
        let millis = time.div_euclid(1_000);
        match !is_bounded || self.ahead.believes(self.offset, millis) {
            true => Ok(time),
            false => Err(Refusal::AheadOfClock { time }),
        }
    }

    /// Whether a view of another topic, whose windows stay open so long, takes the current message
    /// as a version of what it joins.
    ///
    /// # Errors
    /// When it does not.
    #[inline]
    pub fn judge_joined(&self, lateness: Lateness) -> Result<(), Refusal> {
        match self.sent {
            Sent::Ahead(kafka) if lateness != Lateness::Forever => Err(Refusal::Ahead { kafka }),
            _ => Ok(()),
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
                view.set_watermark(floor);
                view.through = view.closed;
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
            kafka: self.clock,
            least: self.take_least(),
            untimed: self.is_untimed,
            limits: self.ahead.take_new(),
            views: self.views_here().map(view).collect(),
            last_read: None,
            fingerprint: 0,
            backfill: None,
        }
    }

    /// What is to be told of the partition where it is read for a backfill, with `next` as its
    /// next offset: of these views, whose marks are returned besides.
    pub fn backfill_mark(&mut self, next: i64, views: Vec<u16>) -> (Backfill, Vec<ViewMark>) {
        let Mark {
            kafka,
            least,
            untimed,
            views: marks,
            ..
        } = self.mark(0, 0, 0, next, Holding::Yes);
        let at = BackfillAt {
            next,
            kafka,
            untimed,
        };
        let backfill = Backfill {
            views,
            least,
            at: Some(at),
        };
        (backfill, marks)
    }

    fn views_here(&mut self) -> impl Iterator<Item = &mut ViewTime> {
        self.views.iter_mut().filter(|view| view.is_here)
    }

    /// The least time of a message since this was last called; of all messages, also of those
    /// before a backfill has caught up.
    pub fn take_least(&mut self) -> i64 {
        let before = std::mem::replace(&mut self.least_before, i64::MAX);
        std::mem::replace(&mut self.least, i64::MAX).min(before)
    }

    /// The least time of a message since the last mark, or since a backfill has caught up.
    pub fn least(&self) -> i64 {
        self.least
    }
}

impl ViewTime {
    /// The largest event time becomes `time`, by the message at `offset`, at this `moment` (in
    /// milliseconds).
    fn advance(&mut self, time: i64, offset: i64, moment: i64) {
        self.latest = time;
        let Lateness::Millis(lateness) = self.rule.lateness else {
            return;
        };
        let watermark = time.saturating_sub(lateness.saturating_mul(1_000));
        if watermark <= self.watermark {
            return;
        }
        self.set_watermark(watermark);
        if self.rule.notes_passing && self.closed > self.through {
            self.through = self.closed;
            self.passed.push(Passed {
                through: self.closed,
                moment,
                offset,
            });
        }
    }

    /// Raises the watermark.
    #[inline]
    fn set_watermark(&mut self, watermark: i64) {
        self.watermark = watermark;
        // Most often it passes the end of no window.
        if watermark >= self.next_end && watermark != NEVER {
            let window = self.rule.window;
            self.closed = window.last_before(watermark);
            self.next_end = window.end_micros(self.closed.saturating_add(1));
        }
    }

    /// Of an event whose windows are those from `first` to `last`: the windows through number
    /// `closed` had closed.
    #[cold]
    fn late(&self, first: i64, last: i64, closed: i64) -> Result<Accepted, Refusal> {
        let (window, watermark) = (self.rule.window, self.watermark);
        if closed >= last {
            return Err(Refusal::Late {
                start: window.start_micros(last),
                end: window.end_micros(last),
                watermark,
            });
        }
        Ok(Accepted {
            windows: closed + 1..last + 1,
            missed: Some(Refusal::PartlyLate {
                window,
                closed: (first, closed),
                last,
                watermark,
            }),
        })
    }
}

#[cfg(test)]
#[path = "partition_tests.rs"]
mod tests;
