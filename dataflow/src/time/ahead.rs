//! Which timestamps of a partition are believed.
//!
//! Kafka timestamps come from clocks that can be wrong. One that is years ahead must not
//! close the windows of all honest events. So each partition has a *limit*:
//!
//! ```text
//!   timestamp ≤ limit                      believed
//!   timestamp > limit, the clock is read:
//!      ≤ clock + --max-ahead               believed; that sum is the new limit, and is recorded
//!      else                                not believed: from the future
//! ```
//!
//! The clock is asked at most once for each message, when it is read for the first time.
//! What it said is recorded, as `(offset, limit)`, before any row shows the message. Whoever
//! reads the same offset again follows the record and never the clock: so a message that was
//! not believed stays so, also when its time has come. Honest streams record about one limit
//! for each `--max-ahead`.

use super::NEVER;
use sinks::Limit;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The time of day: milliseconds since the UNIX epoch, in whole seconds.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl WallClock {
    /// That of the system; in the program with fail points, as far ahead as a test sets it.
    pub fn system() -> WallClock {
        WallClock::of(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let seconds = now.map_or(0, |now| now.as_secs());
            let millis = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
            millis.saturating_add(crate::fail_points::clock_ahead())
        })
    }

    /// One that says what `now` returns, in milliseconds.
    pub fn of(now: impl Fn() -> i64 + Send + Sync + 'static) -> WallClock {
        WallClock(Arc::new(now))
    }

    fn now(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

/// How far ahead messages may be.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Read when a message is ahead of all that has been believed.
    pub clock: WallClock,
    /// How far ahead of the clock a message may be, and an event of its message.
    pub max_ahead: Duration,
}

impl Trust {
    /// [`Trust::max_ahead`] in milliseconds, as times are.
    pub fn max_ahead_millis(&self) -> i64 {
        i64::try_from(self.max_ahead.as_millis()).unwrap_or(i64::MAX)
    }
}

/// What earlier runs have recorded: which timestamps of messages they believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// By topic and partition, by rising offsets; `None` where a program has run that
    /// recorded nothing, and believed all of them.
    pub limits: Option<BTreeMap<(usize, i32), Vec<Limit>>>,
    /// By topic and partition: messages below this offset have been judged. The clock has
    /// no say in them.
    pub judged: BTreeMap<(usize, i32), i64>,
}

/// Which timestamps of a partition are believed.
#[derive(Debug)]
pub(super) struct Ahead {
    clock: WallClock,
    /// In milliseconds.
    max_ahead: i64,
    /// Those of earlier runs, then those of this one.
    limits: Vec<Limit>,
    /// How many of them apply to the current message.
    applied: usize,
    /// How many of them have been told.
    told: usize,
    /// Messages below this offset have been judged.
    below: i64,
    limit: i64,
}

impl Ahead {
    pub(super) fn new(trust: Trust) -> Ahead {
        Ahead {
            max_ahead: trust.max_ahead_millis(),
            clock: trust.clock,
            limits: Vec::new(),
            applied: 0,
            told: 0,
            below: NEVER,
            limit: NEVER,
        }
    }

    /// How far an event may be ahead of its message, in milliseconds.
    pub(super) fn max_ahead(&self) -> i64 {
        self.max_ahead
    }

    /// Follows what has been recorded. `None`: by a program that recorded nothing and
    /// believed everything below `below`.
    pub(super) fn restore(&mut self, recorded: Option<Vec<Limit>>, below: i64) {
        self.below = below;
        self.told = 0;
        self.limits = match recorded {
            Some(limits) => {
                self.told = limits.len();
                limits
            }
            None if below > 0 => vec![
                Limit {
                    offset: 0,
                    until: i64::MAX,
                },
                Limit {
                    offset: below,
                    until: NEVER,
                },
            ],
            None => Vec::new(),
        };
        self.applied = 0;
        self.limit = NEVER;
    }

    /// Believes what `judged` has, which has read all messages that come here before.
    #[inline]
    pub(super) fn follow(&mut self, judged: &Ahead) {
        if self.below != i64::MAX {
            // Whatever it has gone on from.
            self.limits.clear();
            self.applied = 0;
            self.below = i64::MAX;
        }
        if self.limits.len() < judged.limits.len() {
            let new = &judged.limits[self.limits.len()..];
            self.limits.extend_from_slice(new);
            self.told = self.limits.len();
        }
    }

    /// The current message is at `offset`.
    #[inline]
    pub(super) fn seek(&mut self, offset: i64) {
        while let Some(next) = self.limits.get(self.applied)
            && next.offset <= offset
        {
            self.limit = next.until;
            self.applied += 1;
        }
    }

    /// Whether a time (in milliseconds) of the current message is surely believed.
    #[inline]
    pub(super) fn is_within(&self, millis: i64) -> bool {
        millis <= self.limit
    }

    /// Whether a time (in milliseconds) of the current message, which is at `offset`, is
    /// believed.
    pub(super) fn believes(&mut self, offset: i64, millis: i64) -> bool {
        if millis <= self.limit {
            return true;
        }
        if offset < self.below {
            return false;
        }
        let limit = self.clock.now().saturating_add(self.max_ahead);
        if millis > limit {
            return false;
        }
        self.limit = limit;
        self.limits.push(Limit {
            offset,
            until: limit,
        });
        self.applied = self.limits.len();
        true
    }

    /// All limits that have been recorded or are to be.
    pub(super) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// Those that are new since this was last called.
    pub(super) fn take_new(&mut self) -> Vec<Limit> {
        let new = self.limits[self.told..].to_vec();
        self.told = self.limits.len();
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    const DAY: i64 = 86_400_000;

    /// A partition's, and the clock that it reads.
    fn ahead() -> (Ahead, Arc<AtomicI64>) {
        let now = Arc::new(AtomicI64::new(100 * DAY));
        let read = Arc::clone(&now);
        let trust = Trust {
            clock: WallClock::of(move || read.load(Ordering::SeqCst)),
            max_ahead: Duration::from_secs(86_400),
        };
        (Ahead::new(trust), now)
    }

    fn believes(ahead: &mut Ahead, offset: i64, millis: i64) -> bool {
        ahead.seek(offset);
        ahead.believes(offset, millis)
    }

    #[test]
    fn the_clock_is_read_once_for_each_max_ahead() {
        let (mut ahead, now) = ahead();
        assert!(believes(&mut ahead, 0, 100 * DAY));
        now.store(101 * DAY, Ordering::SeqCst);
        assert!(believes(&mut ahead, 1, 101 * DAY));
        let first = Limit {
            offset: 0,
            until: 101 * DAY,
        };
        assert_eq!(ahead.take_new(), [first]);
        assert!(believes(&mut ahead, 2, 101 * DAY + 1));
        let second = Limit {
            offset: 2,
            until: 102 * DAY,
        };
        assert_eq!(ahead.take_new(), [second]);
        assert_eq!(ahead.take_new(), []);
        // A clock that goes back does not lower it.
        now.store(0, Ordering::SeqCst);
        assert!(believes(&mut ahead, 3, 102 * DAY));
        assert!(!believes(&mut ahead, 4, 102 * DAY + 1));
        assert_eq!(ahead.limits(), [first, second]);
    }

    #[test]
    fn what_has_been_judged_is_judged_the_same_whatever_the_clock_says() {
        let (mut first, now) = ahead();
        let times = [100 * DAY, 103 * DAY, 101 * DAY, 102 * DAY];
        let judged: Vec<_> = (0..)
            .zip(times)
            .map(|(offset, time)| believes(&mut first, offset, time))
            .collect();
        assert_eq!(judged, [true, false, true, false]);

        now.store(110 * DAY, Ordering::SeqCst);
        let (mut second, _) = ahead();
        second.restore(Some(first.limits().to_vec()), 4);
        second.clock = WallClock::of(|| 110 * DAY);
        let again: Vec<_> = (0..)
            .zip(times)
            .map(|(offset, time)| believes(&mut second, offset, time))
            .collect();
        assert_eq!(again, judged);
        second.seek(4);
        assert!(second.believes(4, 110 * DAY));
        assert_eq!(second.take_new().len(), 1);
    }

    #[test]
    fn a_follower_believes_what_was_believed_before_it_and_never_reads_the_clock() {
        let (mut first, now) = ahead();
        let (mut follower, _) = ahead();
        follower.clock = WallClock::of(|| unreachable!("the clock has no say"));
        for (offset, time) in (0..).zip([100 * DAY, 103 * DAY, 101 * DAY, 104 * DAY]) {
            now.fetch_add(DAY, Ordering::SeqCst);
            let judged = believes(&mut first, offset, time);
            follower.follow(&first);
            assert_eq!(believes(&mut follower, offset, time), judged, "{offset}");
        }
        assert_eq!(follower.take_new(), []);
    }

    #[test]
    fn where_nothing_was_recorded_all_of_it_was_believed() {
        let (mut ahead, _) = ahead();
        ahead.restore(None, 10);
        assert!(believes(&mut ahead, 9, i64::MAX));
        assert!(!believes(&mut ahead, 10, 103 * DAY));
        let adopted = ahead.take_new();
        assert_eq!(adopted.len(), 2, "and is recorded from now on");
        ahead.restore(Some(adopted), 10);
        assert!(believes(&mut ahead, 9, i64::MAX));
        assert!(!believes(&mut ahead, 10, 103 * DAY));
    }
}
