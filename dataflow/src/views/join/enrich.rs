//! What is looked up, handed on with the newest version of what it looks up.

use super::entries::{Entry, Found};
use super::joiner::{Joined, Joiner, Waiting};
use super::versions::{Index, Superseded};
use crate::Epoch;
use crate::views::plan::LookupPlan;
use crate::views::rounds::{Logic, Round, cursors};
use crate::views::stateful::ValuesBatch;
use crate::views::sums::Sums;
use differential_dataflow::consolidation::consolidate;
use differential_dataflow::difference::{Abelian, IsZero, Semigroup};
use differential_dataflow::trace::cursor::{Cursor, Navigable, cursor_list};
use model::{Datum, Slot};
use std::sync::Arc;

/// An entry of a key, in an epoch, so much of it.
pub type EntryChange = ((Datum, Entry), Epoch, Sums);

/// What entries come to, each with the newest version of its key.
///
/// A new entry goes on once. A new version, if it is the newest, takes back what
/// its key's entries came to before, as far as it makes a difference to them. When a
/// window closes, its entries go on as of its moment for good, and are dropped.
/// (`forever`: no window will close.)
pub(super) fn enrich(
    forever: bool,
    plan: Arc<LookupPlan>,
) -> impl Logic<ValuesBatch<Datum, Entry, Sums>, Joined, EntryChange> {
    let mut index = Index::default();
    let mut superseded = Superseded::new();
    let schema = Arc::clone(&plan.schema);
    let waiting = plan.kinds.iter().map(|_| Waiting::new(&schema));
    let mut waiting: Vec<_> = waiting.collect();
    move |round, give, retract| {
        let mut joiner = Joiner {
            plan: &plan,
            waiting: &mut waiting,
            epoch: round.epoch,
        };
        if round.restored {
            restore(round, forever, &mut index, &mut superseded);
        }
        let epoch = round.epoch;
        let mut old: Vec<_> = round.before.iter().map(|b| (b.cursor(), b)).collect();
        let (mut new, storage) = cursor_list(round.new.to_vec());
        while let Some(id) = new.get_key(&storage) {
            let mut before = Vec::new();
            for (cursor, batch) in &mut old {
                cursor.seek_key(batch, id);
                if cursor.get_key(batch) == Some(id) {
                    read_versions(cursor, batch, &mut before);
                }
            }
            let mut after = before.clone();
            read_versions(&mut new, &storage, &mut after);
            let was = newest(&before);
            let is = newest(&after);
            if was != is {
                // What stood there before is behind the versions of each batch.
                for (cursor, batch) in &mut old {
                    while cursor.get_key(batch) == Some(id)
                        && let Some(entry) = cursor.get_val(batch)
                    {
                        let closed = slot(entry).is_none_or(|slot| round.closed.has(slot));
                        if !closed && !joiner.is_same(entry, was, is) {
                            cursor.map_times(batch, |_, sums| {
                                joiner.push(id, entry, was, negated(sums), give);
                                joiner.push(id, entry, is, sums.clone(), give);
                            });
                        }
                        cursor.step_val(batch);
                    }
                }
            }
            if after != before {
                supersede(id, &after, forever, &mut superseded);
            }
            while let Some(entry) = new.get_val(&storage) {
                if let Some(slot) = slot(entry).filter(|slot| !round.closed.has(*slot)) {
                    index.add(slot, id);
                    new.map_times(&storage, |_, sums| {
                        joiner.push(id, entry, is, sums.clone(), give);
                    });
                }
                new.step_val(&storage);
            }
            new.step_key(&storage);
        }

        close(round, &mut index, &mut joiner, give, retract);
        joiner.flush(give);

        let horizon = if forever {
            i64::MAX
        } else {
            round.horizon(plan.view)
        };
        let mut all = cursors(round);
        for (id, version) in superseded.take(horizon) {
            let mut found = Vec::new();
            let entry = Entry::Version(Box::new(version));
            for (cursor, batch) in &mut all {
                cursor.seek_key(batch, &id);
                if cursor.get_key(batch) == Some(&id) {
                    read_entries(cursor, batch, &entry, &mut found, |other| *other == entry);
                }
            }
            consolidate(&mut found);
            for (entry, sums) in found {
                retract(((id.clone(), entry), epoch + 1, negated(&sums)));
            }
        }
    }
}

/// The window of what looks something up.
fn slot(entry: &Entry) -> Option<Slot> {
    match entry {
        Entry::Version(_) => None,
        Entry::Left { slot, .. } => Some(*slot),
    }
}

fn negated(sums: &Sums) -> Sums {
    let mut negated = sums.clone();
    negated.negate();
    negated
}

/// Finds in what was restored which ids a window has, and which versions a newer
/// one has taken the place of.
fn restore<B>(
    round: &Round<'_, B>,
    forever: bool,
    index: &mut Index,
    superseded: &mut Superseded<Found>,
) where
    B: Navigable + Clone,
    B::Cursor: for<'a> Cursor<Key<'a> = &'a Datum, Val<'a> = &'a Entry, DiffGat<'a> = &'a Sums>,
{
    let (mut all, storage) = cursor_list(round.all());
    while let Some(id) = all.get_key(&storage) {
        let mut versions = Vec::new();
        read_versions(&mut all, &storage, &mut versions);
        supersede(id, &versions, forever, superseded);
        while let Some(entry) = all.get_val(&storage) {
            let mut sum = Sums::default();
            all.map_times(&storage, |_, sums| sum.plus_equals(sums));
            if let Some(slot) = slot(entry).filter(|_| !sum.is_zero()) {
                index.add(slot, id);
            }
            all.step_val(&storage);
        }
        all.step_key(&storage);
    }
}

/// Notes of each version but the newest which one has taken its place. (`forever`: there will be no
/// moment after which a deletion can be forgotten.)
fn supersede(
    id: &Datum,
    versions: &[(Found, i64)],
    forever: bool,
    superseded: &mut Superseded<Found>,
) {
    superseded.note(id, &live(versions), |found| found.stamp);
    if let Some(newest) = newest(versions).filter(|found| found.columns.is_none() && !forever) {
        superseded.note_deletion(id, newest, newest.stamp);
    }
}

/// Hands on what closes as of its moment, and drops it.
fn close<B>(
    round: &Round<'_, B>,
    index: &mut Index,
    joiner: &mut Joiner<'_>,
    give: &mut dyn FnMut(Joined),
    retract: &mut dyn FnMut(EntryChange),
) where
    B: Navigable + Clone,
    B::Cursor: for<'a> Cursor<Key<'a> = &'a Datum, Val<'a> = &'a Entry, DiffGat<'a> = &'a Sums>,
{
    let kinds = u16::try_from(joiner.plan.kinds.len()).unwrap_or(u16::MAX);
    for closing in round.closings {
        let mut all = cursors(round);
        for (id, slots) in index.take(closing) {
            let mut versions = Vec::new();
            for (cursor, batch) in &mut all {
                cursor.seek_key(batch, &id);
                if cursor.get_key(batch) == Some(&id) {
                    read_versions(cursor, batch, &mut versions);
                }
            }
            let now = newest(&versions);
            for closed in slots {
                let mut entries = Vec::new();
                for wanted in 0..kinds {
                    let first = Entry::first(wanted, closed);
                    let is_its_kind = |entry: &Entry| matches!(entry, Entry::Left { kind, slot, .. } if *kind == wanted && *slot == closed);
                    for (cursor, batch) in &mut all {
                        if cursor.get_key(batch) == Some(&id) {
                            read_entries(cursor, batch, &first, &mut entries, is_its_kind);
                        }
                    }
                }
                consolidate(&mut entries);
                let then = as_of(&versions, closing.moment_at(closed.index()));
                for (entry, sums) in entries {
                    let gone = negated(&sums);
                    if !joiner.is_same(&entry, now, then) {
                        joiner.push(&id, &entry, now, gone.clone(), give);
                        joiner.push(&id, &entry, then, sums, give);
                    }
                    retract(((id.clone(), entry), round.epoch + 1, gone));
                }
            }
        }
    }
}

/// Reads what a cursor's key has from `first` on, as long as it is `wanted`.
fn read_entries<C>(
    cursor: &mut C,
    batch: &C::Storage,
    first: &Entry,
    entries: &mut Vec<(Entry, Sums)>,
    wanted: impl Fn(&Entry) -> bool,
) where
    C: for<'a> Cursor<Val<'a> = &'a Entry, DiffGat<'a> = &'a Sums>,
{
    cursor.rewind_vals(batch);
    cursor.seek_val(batch, first);
    while let Some(entry) = cursor.get_val(batch).filter(|entry| wanted(entry)) {
        cursor.map_times(batch, |_, sums| entries.push((entry.clone(), sums.clone())));
        cursor.step_val(batch);
    }
}

/// Adds up the versions that a cursor's key has, oldest first, and leaves the
/// cursor behind them.
fn read_versions<C>(cursor: &mut C, storage: &C::Storage, versions: &mut Vec<(Found, i64)>)
where
    C: for<'a> Cursor<Val<'a> = &'a Entry, DiffGat<'a> = &'a Sums>,
{
    while let Some(version) = cursor.get_val(storage).and_then(Entry::found) {
        let mut weight = 0;
        cursor.map_times(storage, |_, sums| weight += sums.count());
        match versions.binary_search_by(|(known, _)| known.cmp(version)) {
            Ok(place) => versions[place].1 += weight,
            Err(place) => versions.insert(place, (version.clone(), weight)),
        }
        cursor.step_val(storage);
    }
}

fn live(versions: &[(Found, i64)]) -> Vec<&Found> {
    let live = versions.iter().filter(|(_, weight)| *weight > 0);
    live.map(|(version, _)| version).collect()
}

fn newest(versions: &[(Found, i64)]) -> Option<&Found> {
    versions
        .iter()
        .rev()
        .find(|(_, weight)| *weight > 0)
        .map(|(version, _)| version)
}

/// The version that was the newest at a moment.
fn as_of(versions: &[(Found, i64)], moment: i64) -> Option<&Found> {
    let then = |(version, weight): &&(Found, i64)| *weight > 0 && version.stamp.seen <= moment;
    versions.iter().rev().find(then).map(|(version, _)| version)
}
