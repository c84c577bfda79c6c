//! Of each key of a table, what its newest message says.

use super::entries::Version;
use super::joiner::{Joined, Waiting};
use super::versions::{Index, Superseded};
use crate::Epoch;
use crate::time::Moment;
use crate::views::plan::TablePlan;
use crate::views::rounds::{Logic, Round, cursors};
use crate::views::stateful::ValuesBatch;
use crate::views::sums::{COUNT, Sums};
use crate::views::terms::amount;
use differential_dataflow::difference::Abelian;
use differential_dataflow::trace::cursor::{Cursor, Navigable, cursor_list};
use model::{Datum, Slot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A version of a key of a table.
pub type VersionChange = ((Datum, Version), Epoch, isize);

/// A batch of versions, by key.
type Table = ValuesBatch<Datum, Version, isize>;

/// Changes of the rows of a table: a newer version takes the place of an older one.
///
/// An older one stays as long as a window may close as of a moment at which it was
/// the newest. (`forever`: no window will close.)
pub(super) fn newest(
    forever: bool,
    plan: Arc<TablePlan>,
) -> impl Logic<Table, Joined, VersionChange> {
    let mut index = Index::default();
    let mut superseded = Superseded::new();
    let mut waiting = Waiting::new(&plan.schema);
    move |round, give, retract| {
        if round.restored {
            restore(round, forever, &mut index, &mut superseded);
        }
        let mut going_on = GoingOn {
            plan: &plan,
            waiting: &mut waiting,
            epoch: round.epoch,
            give,
        };
        let mut before: Vec<_> = round.before.iter().map(|b| (b.cursor(), b)).collect();
        let (mut new, storage) = cursor_list(round.new.to_vec());
        while let Some(id) = new.get_key(&storage) {
            let mut versions = Versions::default();
            for (cursor, batch) in &mut before {
                versions.read(cursor, batch, id);
            }
            let was = versions.newest().cloned();
            let mut has_come = false;
            while let Some(version) = new.get_val(&storage) {
                let mut come = 0;
                new.map_times(&storage, |_, weight| come += weight);
                versions.add(version, come);
                if come > 0 {
                    if let Some(slot) = version.slot {
                        index.add(slot, id);
                    }
                    has_come = true;
                }
                new.step_val(&storage);
            }
            let is = versions.newest();
            if was.as_ref() != is {
                // What a closed window has, it keeps.
                for (version, times) in [(was.as_ref(), -1), (is, 1)] {
                    if let Some((version, slot)) = version.and_then(|v| Some((v, v.slot?)))
                        && !round.closed.has(slot)
                    {
                        going_on.push(version, slot, times);
                    }
                }
            }
            if has_come {
                supersede(id, &versions, forever, &mut superseded);
            }
            new.step_key(&storage);
        }

        let mut dropped = close(round, &mut index, &mut going_on);
        going_on.flush();
        let horizon = if forever {
            i64::MAX
        } else {
            round.horizon(plan.view)
        };
        let mut all: Vec<_> = cursors(round);
        for (id, version) in superseded.take(horizon) {
            // It may have gone with its window.
            let mut versions = Versions::default();
            for (cursor, batch) in &mut all {
                versions.read(cursor, batch, &id);
            }
            if versions.live().any(|live| *live == version) {
                dropped.insert((id, version));
            }
        }
        for version in dropped {
            retract((version, round.epoch + 1, -1));
        }
    }
}

/// Where versions go on to.
struct GoingOn<'a> {
    plan: &'a TablePlan,
    waiting: &'a mut Waiting,
    epoch: Epoch,
    give: &'a mut dyn FnMut(Joined),
}

impl GoingOn<'_> {
    /// A version of a window goes on, or is taken back: `times` is 1 or -1.
    fn push(&mut self, version: &Version, slot: Slot, times: i128) {
        let TablePlan {
            columns,
            lanes,
            next,
            ..
        } = self.plan;
        let (kept, amounts) = version.columns.split_at(columns.len());
        let mut sums = Sums::of_lane(COUNT, 1);
        for (lane, of_lane) in lanes.iter().zip(amounts) {
            sums.add(*lane, amount(of_lane));
        }
        if times < 0 {
            sums.negate();
        }
        self.waiting
            .push(slot, sums, columns.iter().copied().zip(kept));
        if self.waiting.is_full() {
            self.waiting.flush(next, self.epoch, self.give);
        }
    }

    fn flush(&mut self) {
        self.waiting.flush(&self.plan.next, self.epoch, self.give);
    }
}

/// Notes which versions have been superseded. (`forever`: there will be no moment after which a
/// deletion can be forgotten.)
fn supersede(id: &Datum, versions: &Versions, forever: bool, superseded: &mut Superseded<Version>) {
    let live: Vec<_> = versions.live().collect();
    superseded.note(id, &live, |version| version.stamp);
    if let Some(newest) = versions
        .newest()
        .filter(|version| version.slot.is_none() && !forever)
    {
        superseded.note_deletion(id, newest, newest.stamp);
    }
}

/// Finds in what was restored which ids a window has, and which versions a newer
/// one has taken the place of.
fn restore<B>(
    round: &Round<'_, B>,
    forever: bool,
    index: &mut Index,
    superseded: &mut Superseded<Version>,
) where
    B: Navigable + Clone,
    B::Cursor: for<'a> Cursor<Key<'a> = &'a Datum, Val<'a> = &'a Version, DiffGat<'a> = &'a isize>,
{
    let (mut all, storage) = cursor_list(round.all());
    while let Some(id) = all.get_key(&storage) {
        let mut versions = Versions::default();
        while let Some(version) = all.get_val(&storage) {
            let mut weight = 0;
            all.map_times(&storage, |_, change| weight += change);
            versions.add(version, weight);
            if weight > 0
                && let Some(slot) = version.slot
            {
                index.add(slot, id);
            }
            all.step_val(&storage);
        }
        supersede(id, &versions, forever, superseded);
        all.step_key(&storage);
    }
}

/// Hands on what closes as of its moment, and returns what is not needed any more.
fn close<B>(
    round: &Round<'_, B>,
    index: &mut Index,
    going_on: &mut GoingOn<'_>,
) -> BTreeSet<(Datum, Version)>
where
    B: Navigable + Clone,
    B::Cursor: for<'a> Cursor<Key<'a> = &'a Datum, Val<'a> = &'a Version, DiffGat<'a> = &'a isize>,
{
    let mut dropped = BTreeSet::new();
    for closing in round.closings {
        let mut all = cursors(round);
        for (id, slots) in index.take(closing) {
            let mut versions = Versions::default();
            for (cursor, batch) in &mut all {
                versions.read(cursor, batch, &id);
            }
            let mut gone = None;
            for slot in slots {
                let moment = closing.moment(slot.index());
                let then = moment.and_then(|moment| versions.as_of(moment));
                let Some(then) = then else { continue };
                // One that is newer is of another window: what this one has taken is as old as
                // its moment.
                if then.slot == Some(slot) && versions.newest() != Some(then) {
                    going_on.push(then, slot, 1);
                }
                gone = gone.max(Some(then));
            }
            // What was older at that moment is not the newest at any later one.
            let is_older = |version: &Version| gone.is_some_and(|gone| version < gone);
            let is_gone = |version: &&Version| {
                is_older(version) || version.slot.is_some_and(|slot| closing.has(slot))
            };
            let gone = versions.live().filter(is_gone);
            dropped.extend(gone.map(|version| (id.clone(), version.clone())));
        }
    }
    dropped
}

/// The versions of one key, oldest first.
#[derive(Default)]
struct Versions {
    weights: BTreeMap<Version, isize>,
}

impl Versions {
    fn add(&mut self, version: &Version, weight: isize) {
        *self.weights.entry(version.clone()).or_default() += weight;
    }

    /// Adds what a cursor finds at an id that is not before the last one.
    fn read<C>(&mut self, cursor: &mut C, batch: &C::Storage, id: &Datum)
    where
        C: for<'a> Cursor<Key<'a> = &'a Datum, Val<'a> = &'a Version, DiffGat<'a> = &'a isize>,
    {
        cursor.seek_key(batch, id);
        if cursor.get_key(batch) == Some(id) {
            cursor.rewind_vals(batch);
            while let Some(version) = cursor.get_val(batch) {
                cursor.map_times(batch, |_, weight| self.add(version, *weight));
                cursor.step_val(batch);
            }
        }
    }

    fn live(&self) -> impl DoubleEndedIterator<Item = &Version> {
        let live = self.weights.iter().filter(|(_, weight)| **weight > 0);
        live.map(|(version, _)| version)
    }

    fn newest(&self) -> Option<&Version> {
        self.live().next_back()
    }

    fn as_of(&self, moment: &Moment) -> Option<&Version> {
        self.live().rfind(|version| moment.has(version.stamp))
    }
}
