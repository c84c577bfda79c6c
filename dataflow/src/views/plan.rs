//! A view made ready to be applied to events.

use super::contributions::Contributions;
use super::key::{Key, MAX_GROUPS};
use super::sums::{MAX_SUMS, Sums};
use super::view::{AggregateOf, EventTime, Feed, GetId, GetNumber, GetTime, KAFKA_TIME, View};
use events::{Id, Timestamp, Topic};
use model::Slot;
use model::Stamp;
use std::array;

/// A view as a worker applies it: what to take out of an event, and where each
/// of it goes in a row's [`Sums`].
pub struct Plan<T: Topic> {
    number: u16,
    time: EventTime<T>,
    what: What<T>,
}

/// What a view takes of an event.
enum What<T: Topic> {
    /// What it adds to its row.
    Row {
        groups: [Option<GetId<T>>; MAX_GROUPS],
        sums: [Option<GetNumber<T>>; MAX_SUMS],
        unique: Option<GetId<T>>,
        latest: Option<GetTime<T>>,
    },
    /// Whatever the join takes.
    Joined(Feed<T>),
}

/// A view asks for more than a row's key and sums have room for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("view {view} has {has} {what}; there is room for {room}")]
pub struct TooMany {
    view: &'static str,
    has: usize,
    what: &'static str,
    room: usize,
}

impl<T: Topic> Plan<T> {
    /// The plan of `view`, which is number `number` of all views.
    ///
    /// Sums are numbered in the order of the view's aggregates, as in
    /// [`Definition::of`](super::definition::Definition::of).
    pub fn of(view: View<T>, number: u16) -> Result<Plan<T>, TooMany> {
        let View {
            name,
            time,
            groups,
            aggregates,
            join,
            ..
        } = view;
        if let Some(join) = join {
            let what = What::Joined(join.feed);
            return Ok(Plan { number, time, what });
        }
        let mut sums = Vec::new();
        let mut unique = Vec::new();
        let mut latest = Vec::new();
        for aggregate in aggregates {
            match aggregate.of {
                AggregateOf::Count => {}
                AggregateOf::Sum(get) | AggregateOf::Average { get, .. } => sums.push(get),
                AggregateOf::Unique(get) => unique.push(get),
                AggregateOf::Latest(get) => latest.push(get),
            }
        }
        let check = |has, what, room| {
            if has > room {
                Err(TooMany {
                    view: name,
                    has,
                    what,
                    room,
                })
            } else {
                Ok(())
            }
        };
        check(groups.len(), "group columns", MAX_GROUPS)?;
        check(
            sums.len() + latest.len(),
            "sums, averages and latest times",
            MAX_SUMS,
        )?;
        check(unique.len(), "unique counts", 1)?;
        check(latest.len(), "latest times", 1)?;
        let what = What::Row {
            groups: array::from_fn(|i| groups.get(i).map(|group| group.get)),
            sums: array::from_fn(|i| sums.get(i).copied()),
            unique: unique.pop(),
            latest: latest.pop(),
        };
        Ok(Plan { number, time, what })
    }

    /// The time that places an event in a window; `None` where that is the timestamp of its
    /// message.
    #[inline]
    pub fn time(&self, event: &T::Event<'_>) -> Option<Timestamp> {
        match self.time {
            EventTime::Kafka => None,
            EventTime::Field(_, get) => Some(get(event)),
        }
    }

    /// Number of the view.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// What the view's time is called.
    pub fn time_name(&self) -> &'static str {
        match self.time {
            EventTime::Kafka => KAFKA_TIME,
            EventTime::Field(name, _) => name,
        }
    }

    /// Adds what an event contributes to the window number `index`.
    #[inline]
    pub fn apply(&self, event: &T::Event<'_>, index: i64, stamp: Stamp, into: &mut Contributions) {
        let slot = Slot::new(self.number, index);
        let (groups, gets, unique, latest) = match &self.what {
            What::Row {
                groups,
                sums,
                unique,
                latest,
            } => (groups, sums, unique, latest),
            What::Joined(feed) => return feed(event, slot, stamp, into),
        };
        let key = Key {
            slot,
            group: array::from_fn(|i| match groups[i] {
                Some(get) => get(event),
                None => Id::default(),
            }),
        };
        if let Some(get) = unique {
            into.member(&key, get(event));
        }
        if let Some(get) = latest {
            into.latest(&key, get(event).as_micros());
        }
        let mut sums = Sums {
            count: 1,
            ..Sums::default()
        };
        for (sum, get) in sums.sums.iter_mut().zip(gets) {
            if let Some(get) = get {
                *sum = i128::from(get(event));
            }
        }
        into.add(key, &sums);
    }
}
