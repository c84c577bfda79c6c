//! The first of a row's values, in some order: minima, maxima, and what goes with them.
//!
//! A maximum has no inverse: it cannot live in a difference. So an arrangement
//! holds values, in the order in which one is preferred to another, and what is the first
//! is added to the row's sums, in lanes of its own; what was the first is taken away. Where values are
//! never taken back, all but the first are dropped at once, so that of each row one stays.

use super::changes::{ExtremeChange, SumsChange};
use super::key::Key;
use super::lanes::{ExtremeLanes, Lanes};
use super::rounds::Logic;
use super::stateful::ValuesBatch;
use super::sums::Sums;
use super::windows::closing_values;
use differential_dataflow::difference::{Abelian, IsZero, Semigroup};
use differential_dataflow::trace::cursor::{Cursor, Navigable, cursor_list};
use model::Datum;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::sync::Arc;

/// A value of which a row keeps the first.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Extreme {
    /// Which of the view's.
    pub number: u16,
    /// Whether the greatest comes first.
    pub is_descending: bool,
    /// What they are ordered by.
    pub by: Datum,
    /// What goes with it; of those with equal `by`, the least.
    pub with: Datum,
}

impl Ord for Extreme {
    fn cmp(&self, other: &Extreme) -> Ordering {
        let by = self.by.compare(&other.by);
        let by = if self.is_descending { by.reverse() } else { by };
        self.number
            .cmp(&other.number)
            .then(self.is_descending.cmp(&other.is_descending))
            .then(by)
            .then_with(|| self.with.compare(&other.with))
    }
}

impl PartialOrd for Extreme {
    fn partial_cmp(&self, other: &Extreme) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

checkpoint::codec_of_fields!(Extreme {
    number,
    is_descending,
    by,
    with
});

/// Values of rows, by row.
type Extremes = ValuesBatch<Key, Extreme, isize>;

/// Changes of the first values of each row. `lanes`: of all views, by number.
pub(super) fn extremes(lanes: Vec<Arc<Lanes>>) -> impl Logic<Extremes, SumsChange, ExtremeChange> {
    move |round, give, retract| {
        let (mut new, storage) = cursor_list(round.new.to_vec());
        let mut before = Values::of(round.before.iter());
        let mut all = Values::of(round.before.iter().chain(round.new));
        while let Some(key) = new.get_key(&storage) {
            if round.closed.has(key.slot) {
                new.step_key(&storage);
                continue;
            }
            before.seek_key(key);
            all.seek_key(key);
            let view = &lanes[usize::from(key.slot.view())].extremes;
            for (number, lanes) in (0..).zip(view) {
                let (was, is) = (before.first(number), all.first(number));
                if was != is {
                    let mut sums = of(lanes, is.as_ref());
                    let mut gone = of(lanes, was.as_ref());
                    gone.negate();
                    sums.plus_equals(&gone);
                    if !sums.is_zero() {
                        give(((key.clone(), ()), round.epoch, sums));
                    }
                }
                // What is in a window that closes now is dropped below, all of it.
                if lanes.is_kept_all || round.closes(key.slot) {
                    continue;
                }
                all.seek(number);
                while let Some((value, weight)) = all.next(number) {
                    let stays = isize::from(Some(&value) == is.as_ref());
                    if weight > stays {
                        retract(((key.clone(), value), round.epoch + 1, stays - weight));
                    }
                }
            }
            new.step_key(&storage);
        }
        closing_values(round, |key, value, weight: isize| {
            retract(((key.clone(), value.clone()), round.epoch + 1, -weight));
        });
    }
}

/// What a first value adds to its row.
fn of(lanes: &ExtremeLanes, value: Option<&Extreme>) -> Sums {
    let mut sums = Sums::default();
    if let Some(value) = value {
        lanes.put(value, &mut sums);
    }
    sums
}

/// The values of a key in several batches, in order. A cursor for each batch: one over all of them
/// moves the values of batches that are at another key, or at none.
struct Values<'a> {
    cursors: Vec<(&'a Extremes, <Extremes as Navigable>::Cursor)>,
    /// Which of them have the key.
    at_key: Vec<usize>,
}

impl<'a> Values<'a> {
    fn of(batches: impl Iterator<Item = &'a Extremes>) -> Values<'a> {
        Values {
            cursors: batches.map(|batch| (batch, batch.cursor())).collect(),
            at_key: Vec::new(),
        }
    }

    /// Goes to a key that is not before the last one.
    fn seek_key(&mut self, key: &Key) {
        self.at_key.clear();
        for (place, (batch, cursor)) in self.cursors.iter_mut().enumerate() {
            cursor.seek_key(batch, key);
            if cursor.get_key(batch) == Some(key) {
                self.at_key.push(place);
            }
        }
    }

    /// Goes to the first value of a number.
    fn seek(&mut self, number: u16) {
        // NULL comes before all others, and whatever ascends before what descends.
        let least = Extreme {
            number,
            is_descending: false,
            by: Datum::null(),
            with: Datum::null(),
        };
        for place in &self.at_key {
            let (batch, cursor) = &mut self.cursors[*place];
            cursor.rewind_vals(batch);
            cursor.seek_val(batch, &least);
        }
    }

    /// The next value of a number, and how often it is there.
    fn next(&mut self, number: u16) -> Option<(Extreme, isize)> {
        let values = self.at_key.iter().filter_map(|place| {
            let (batch, cursor) = &self.cursors[*place];
            cursor.get_val(batch).filter(|value| value.number == number)
        });
        let least = values.min()?.clone();
        let mut weight = 0;
        for place in &self.at_key {
            let (batch, cursor) = &mut self.cursors[*place];
            if cursor.get_val(batch) == Some(&least) {
                cursor.map_times(batch, |_, times| weight += times);
                cursor.step_val(batch);
            }
        }
        Some((least, weight))
    }

    /// The first value of a number that is there.
    fn first(&mut self, number: u16) -> Option<Extreme> {
        self.seek(number);
        while let Some((value, weight)) = self.next(number) {
            if weight > 0 {
                return Some(value);
            }
        }
        None
    }
}
