//! The latest of a time, kept incrementally.
//!
//! A maximum has no inverse: it cannot live in a difference. So an arrangement
//! holds times as values, and of each row one of them as a sum. Workers send what
//! they have seen in an epoch; whatever is not the latest any more is dropped at
//! once, so that of each row one time stays.

use super::changes::{LatestChange, SumsChange};
use super::key::Key;
use super::rounds::Logic;
use super::stateful::ValuesBatch;
use super::sums::Sums;
use super::windows::closing_values;
use differential_dataflow::trace::cursor::{Cursor, Navigable, cursor_list};

/// Times of rows, by row.
type Times = ValuesBatch<Key, i64, isize>;

/// Changes of the latest time of each row.
pub(super) fn latest() -> impl Logic<Times, SumsChange, LatestChange> {
    |round, give, retract| {
        let (mut new, storage) = cursor_list(round.new.to_vec());
        let mut before: Vec<_> = round.before.iter().map(|b| (b.cursor(), b)).collect();
        while let Some(key) = new.get_key(&storage) {
            if round.closed.has(key.slot) {
                new.step_key(&storage);
                continue;
            }
            // Few: one of before, and one of each worker that has seen any now.
            let mut times: Vec<(i64, isize)> = Vec::new();
            for (cursor, batch) in &mut before {
                cursor.seek_key(batch, key);
                if cursor.get_key(batch) == Some(key) {
                    while let Some(time) = cursor.get_val(batch) {
                        cursor.map_times(batch, |_, weight| add(&mut times, *time, *weight));
                        cursor.step_val(batch);
                    }
                }
            }
            let was = greatest(&times);
            while let Some(time) = new.get_val(&storage) {
                new.map_times(&storage, |_, weight| add(&mut times, *time, *weight));
                new.step_val(&storage);
            }
            let is = greatest(&times);
            if was != is {
                let mut change = i128::from(is.unwrap_or(0));
                change -= i128::from(was.unwrap_or(0));
                give(((key.clone(), ()), round.epoch, Sums::of_latest(change)));
            }
            // What is in a window that closes now is dropped below, all of it.
            for (time, weight) in times.into_iter().filter(|_| !round.closes(key.slot)) {
                let stays = isize::from(Some(time) == is);
                if weight > stays {
                    retract(((key.clone(), time), round.epoch + 1, stays - weight));
                }
            }
            new.step_key(&storage);
        }
        closing_values(round, |key, time, weight: isize| {
            retract(((key.clone(), *time), round.epoch + 1, -weight));
        });
    }
}

fn add(times: &mut Vec<(i64, isize)>, time: i64, weight: isize) {
    match times.iter_mut().find(|(known, _)| *known == time) {
        Some((_, sum)) => *sum += weight,
        None => times.push((time, weight)),
    }
}

fn greatest(times: &[(i64, isize)]) -> Option<i64> {
    let live = times.iter().filter(|(_, weight)| *weight > 0);
    live.map(|(time, _)| *time).max()
}
