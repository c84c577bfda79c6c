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
use differential_dataflow::trace::cursor::{Cursor, cursor_list};
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
        let (mut new, new_storage) = cursor_list(round.new.to_vec());
        let (mut before, before_storage) = cursor_list(round.before.to_vec());
        let (mut all, all_storage) = cursor_list(round.all());
        while let Some(key) = new.get_key(&new_storage) {
            if round.closed.has(key.slot) {
                new.step_key(&new_storage);
                continue;
            }
            before.seek_key(&before_storage, key);
            all.seek_key(&all_storage, key);
            let was_there = before.get_key(&before_storage) == Some(key);
            let view = &lanes[usize::from(key.slot.view())].extremes;
            for (number, lanes) in (0..).zip(view) {
                let was = match was_there {
                    true => first(&mut before, &before_storage, number),
                    false => None,
                };
                let is = first(&mut all, &all_storage, number);
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
                seek(&mut all, &all_storage, number);
                while let Some((value, weight)) = at(&mut all, &all_storage, number) {
                    let stays = isize::from(Some(&value) == is.as_ref());
                    if weight > stays {
                        retract(((key.clone(), value), round.epoch + 1, stays - weight));
                    }
                    all.step_val(&all_storage);
                }
            }
            new.step_key(&new_storage);
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

/// Goes to the first value of a number that a cursor's key has.
fn seek<C>(cursor: &mut C, storage: &C::Storage, number: u16)
where
    C: for<'a> Cursor<Val<'a> = &'a Extreme, DiffGat<'a> = &'a isize>,
{
    // NULL comes before all others, and whatever ascends before what descends.
    let least = Extreme {
        number,
        is_descending: false,
        by: Datum::null(),
        with: Datum::null(),
    };
    cursor.rewind_vals(storage);
    cursor.seek_val(storage, &least);
}

/// The value of a number that a cursor has come to, and how often it is there.
fn at<C>(cursor: &mut C, storage: &C::Storage, number: u16) -> Option<(Extreme, isize)>
where
    C: for<'a> Cursor<Val<'a> = &'a Extreme, DiffGat<'a> = &'a isize>,
{
    let value = cursor.get_val(storage)?;
    let value = Some(value).filter(|value| value.number == number)?.clone();
    let mut sum = 0;
    cursor.map_times(storage, |_, weight| sum += weight);
    Some((value, sum))
}

/// The first value of a number that is there, of those that a cursor's key has.
fn first<C>(cursor: &mut C, storage: &C::Storage, number: u16) -> Option<Extreme>
where
    C: for<'a> Cursor<Val<'a> = &'a Extreme, DiffGat<'a> = &'a isize>,
{
    seek(cursor, storage, number);
    while let Some((value, weight)) = at(cursor, storage, number) {
        if weight > 0 {
            return Some(value);
        }
        cursor.step_val(storage);
    }
    None
}
