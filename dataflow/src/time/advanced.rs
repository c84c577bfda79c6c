//! What operators learn of event time: which windows are closed.

use super::NEVER;
use crate::Epoch;
use model::Slot;
use model::Stamp;
use std::collections::BTreeMap;

/// A view has come further in event time, in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advanced {
    /// Number of the view.
    pub view: u16,
    /// Its watermark, in microseconds.
    pub watermark: i64,
    /// The number of its last closed window; [`NEVER`] before the first.
    pub through: i64,
    /// Of a view that joins: the moments of the windows that are closed now, ascending.
    pub moments: Vec<Moment>,
    /// Of a view that joins: no window that is closed later has a moment before
    /// this one.
    pub horizon: i64,
}

/// As of when windows of a view that joins are closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The number of the last of the windows.
    pub through: i64,
    /// A Kafka timestamp, in milliseconds: messages count whose time is not later.
    pub at: i64,
    /// Of the view's own topic: partitions, and the offsets below which all their messages
    /// count, too. What a window has taken is in it when it closes, also where its timestamp
    /// was a stray one.
    pub own: Vec<(i32, i64)>,
}

impl Moment {
    /// Whether a message of the view's own topic counts.
    pub fn has(&self, stamp: Stamp) -> bool {
        let of_partition = |(partition, _): &&(i32, i64)| *partition == stamp.partition;
        let below = self.own.iter().find(of_partition);
        stamp.seen <= self.at || below.is_some_and(|(_, below)| stamp.offset < *below)
    }
}

/// Which windows are closed.
#[derive(Clone, Debug, Default)]
pub struct Closed {
    /// By view: the number of its last closed window.
    through: Vec<i64>,
}

impl Closed {
    /// Whether a window is closed.
    #[inline]
    pub fn has(&self, slot: Slot) -> bool {
        let through = self.through.get(usize::from(slot.view()));
        through.is_some_and(|through| slot.index() <= *through)
    }

    fn close(&mut self, view: u16, through: i64) -> i64 {
        let view = usize::from(view);
        if self.through.len() <= view {
            self.through.resize(view + 1, NEVER);
        }
        std::mem::replace(&mut self.through[view], through)
    }
}

/// Windows of a view that are closed in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The epoch.
    pub epoch: Epoch,
    /// Number of the view.
    pub view: u16,
    /// The first of the windows.
    pub from: i64,
    /// The last of them.
    pub through: i64,
    /// Their moments, where they matter: see [`Advanced::moments`].
    pub moments: Vec<Moment>,
}

impl Closing {
    /// The first of the windows' slots.
    pub fn first(&self) -> Slot {
        Slot::new(self.view, self.from.max(Slot::FIRST))
    }

    /// Whether a slot is one of them.
    pub fn has(&self, slot: Slot) -> bool {
        slot.view() == self.view && (self.from..=self.through).contains(&slot.index())
    }

    /// The moment of a window, if there is one.
    pub fn moment(&self, index: i64) -> Option<&Moment> {
        let place = self
            .moments
            .partition_point(|moment| moment.through < index);
        self.moments.get(place)
    }

    /// The same as a Kafka timestamp; [`NEVER`] where there is none.
    pub fn moment_at(&self, index: i64) -> i64 {
        self.moment(index).map_or(NEVER, |moment| moment.at)
    }
}

/// What an operator has learned of event time, by epoch.
#[derive(Debug, Default)]
pub struct Closings {
    coming: BTreeMap<Epoch, Vec<Advanced>>,
    closed: Closed,
    /// By view.
    horizons: BTreeMap<u16, i64>,
}

impl Closings {
    /// Takes in what is said of an epoch.
    pub fn learn(&mut self, epoch: Epoch, advanced: impl IntoIterator<Item = Advanced>) {
        self.coming.entry(epoch).or_default().extend(advanced);
    }

    /// Which windows are closed, as far as they have been taken.
    pub fn closed(&self) -> &Closed {
        &self.closed
    }

    /// The horizons of views that join: see [`Advanced::horizon`].
    pub fn horizons(&self) -> &BTreeMap<u16, i64> {
        &self.horizons
    }

    /// Closes the windows that are closed in the epochs before `frontier` (all
    /// there are, when it is `None`), and returns them.
    pub fn take_before(&mut self, frontier: Option<Epoch>) -> Vec<Closing> {
        let mut closings = Vec::new();
        for (epoch, advanced) in crate::epochs::take_before(&mut self.coming, frontier) {
            for Advanced {
                view,
                through,
                moments,
                horizon,
                ..
            } in advanced
            {
                let known = self.horizons.entry(view).or_insert(NEVER);
                *known = horizon.max(*known);
                let before = self.closed.close(view, through);
                if through > before {
                    closings.push(Closing {
                        epoch,
                        view,
                        from: before.saturating_add(1),
                        through,
                        moments,
                    });
                }
            }
        }
        closings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advanced(through: i64) -> Advanced {
        Advanced {
            view: 2,
            watermark: 0,
            through,
            moments: Vec::new(),
            horizon: NEVER,
        }
    }

    #[test]
    fn windows_close_once_and_in_the_epoch_they_close_in() {
        let mut closings = Closings::default();
        closings.learn(5, [advanced(10)]);
        closings.learn(7, [advanced(10)]);
        closings.learn(9, [advanced(13)]);
        assert_eq!(closings.take_before(Some(5)), []);
        assert!(!closings.closed().has(Slot::new(2, 10)));

        let first = closings.take_before(Some(6));
        assert_eq!(first.len(), 1);
        assert!(first[0].has(Slot::new(2, Slot::FIRST)) && first[0].has(Slot::new(2, 10)));
        assert!(!first[0].has(Slot::new(2, 11)) && !first[0].has(Slot::new(1, 10)));
        assert!(closings.closed().has(Slot::new(2, 10)));

        let rest = closings.take_before(None);
        assert_eq!(rest.len(), 1, "nothing closes in the seventh");
        assert_eq!((rest[0].epoch, rest[0].from, rest[0].through), (9, 11, 13));
    }

    #[test]
    fn a_window_has_the_moment_of_the_first_end_that_it_does_not_pass() {
        let closing = Closing {
            epoch: 1,
            view: 0,
            from: 3,
            through: 9,
            moments: [(4, 40), (9, 90)]
                .map(|(through, at)| Moment {
                    through,
                    at,
                    own: vec![(1, through)],
                })
                .to_vec(),
        };
        assert_eq!(
            [3, 4, 5, 9].map(|index| closing.moment_at(index)),
            [40, 40, 90, 90]
        );
        assert_eq!((closing.moment_at(10), closing.moment(10)), (NEVER, None));
    }

    #[test]
    fn a_moment_has_what_was_sent_by_then_and_what_was_read_by_then() {
        let moment = Moment {
            through: 4,
            at: 40,
            own: vec![(0, 7), (1, 5)],
        };
        let has = |partition, offset, seen| {
            moment.has(Stamp {
                kafka: 0,
                partition,
                offset,
                seen,
            })
        };
        assert!(has(0, 100, 40) && has(2, 100, 40));
        assert!(!has(0, 100, 41) && !has(2, 0, 41));
        assert!(has(0, 6, 9_999) && !has(0, 7, 9_999) && !has(1, 6, 9_999));
    }
}
