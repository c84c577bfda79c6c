//! What stands under an id, told with the newest version of the id.

use super::OrderDiff;
use super::entries::Entry;
use super::versions::{Index, Superseded};
use crate::Epoch;
use crate::views::rounds::{Logic, Round, cursors};
use crate::views::stateful::ValuesBatch;
use differential_dataflow::consolidation::consolidate;
use differential_dataflow::difference::{IsZero, Semigroup};
use differential_dataflow::trace::cursor::{Cursor, Navigable, cursor_list};
use events::Id;
use std::mem::discriminant;

/// An entry of an id, in an epoch, so many times.
type Change<E> = ((Id, E), Epoch, OrderDiff);

/// Tells what entries come to, each joined with the newest version of its id: by
/// `tell`, which is linear in the pieces.
///
/// A new entry is told once. A new version, if it is the newest, takes back what
/// its id's entries came to before, as far as it makes a difference to them. When a
/// window closes, its entries are told as of its moment for good, and dropped.
/// (`forever`: no window will close.)
pub(super) fn enrich<E, D>(
    forever: bool,
    tell: impl Fn(&Id, &E, Option<&E::Version>, OrderDiff, Epoch, &mut dyn FnMut(D)) + 'static,
) -> impl Logic<ValuesBatch<Id, E, OrderDiff>, D, Change<E>>
where
    E: Entry,
    D: Clone + 'static,
{
    let mut index = Index::default();
    let mut superseded = Superseded::new();
    move |round, give, retract| {
        if round.restored {
            restore(round, &mut index, &mut superseded);
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
                        let closed = entry.slot().is_none_or(|slot| round.closed.has(slot));
                        if !closed && !entry.is_same(was, is) {
                            cursor.map_times(batch, |_, pieces| {
                                tell(id, entry, was, pieces.negated(), epoch, give);
                                tell(id, entry, is, *pieces, epoch, give);
                            });
                        }
                        cursor.step_val(batch);
                    }
                }
            }
            if after != before {
                supersede::<E>(id, &after, &mut superseded);
            }
            while let Some(entry) = new.get_val(&storage) {
                if let Some(slot) = entry.slot().filter(|slot| !round.closed.has(*slot)) {
                    index.add(slot, id);
                    new.map_times(&storage, |_, pieces| {
                        tell(id, entry, is, *pieces, epoch, give)
                    });
                }
                new.step_val(&storage);
            }
            new.step_key(&storage);
        }

        close(round, &mut index, &tell, give, retract);

        let horizon = if forever { i64::MAX } else { round.horizon };
        let mut all = cursors(round);
        for (id, version) in superseded.take(horizon) {
            let mut found = Vec::new();
            let entry = E::of(version);
            for (cursor, batch) in &mut all {
                cursor.seek_key(batch, &id);
                if cursor.get_key(batch) == Some(&id) {
                    read_entries(cursor, batch, &entry, &mut found, |other| *other == entry);
                }
            }
            consolidate(&mut found);
            for (entry, pieces) in found {
                retract(((id.clone(), entry), epoch + 1, pieces.negated()));
            }
        }
    }
}

/// Finds in what was restored which ids a window has, and which versions a newer
/// one has taken the place of.
fn restore<B, E>(round: &Round<'_, B>, index: &mut Index, superseded: &mut Superseded<E::Version>)
where
    B: Navigable + Clone,
    B::Cursor: for<'a> Cursor<Key<'a> = &'a Id, Val<'a> = &'a E, DiffGat<'a> = &'a OrderDiff>,
    E: Entry,
{
    let (mut all, storage) = cursor_list(round.all());
    while let Some(id) = all.get_key(&storage) {
        let mut versions = Vec::new();
        read_versions(&mut all, &storage, &mut versions);
        supersede::<E>(id, &versions, superseded);
        while let Some(entry) = all.get_val(&storage) {
            let mut sum = OrderDiff::default();
            all.map_times(&storage, |_, pieces| sum.plus_equals(pieces));
            if let Some(slot) = entry.slot().filter(|_| !sum.is_zero()) {
                index.add(slot, id);
            }
            all.step_val(&storage);
        }
        all.step_key(&storage);
    }
}

/// Notes of each version but the newest which one has taken its place.
fn supersede<E: Entry>(
    id: &Id,
    versions: &[(E::Version, i64)],
    superseded: &mut Superseded<E::Version>,
) {
    superseded.note(id, &live(versions), E::stamp);
}

/// Tells what closes as of its moment, and drops it.
fn close<B, E, D>(
    round: &Round<'_, B>,
    index: &mut Index,
    tell: &impl Fn(&Id, &E, Option<&E::Version>, OrderDiff, Epoch, &mut dyn FnMut(D)),
    give: &mut dyn FnMut(D),
    retract: &mut dyn FnMut(Change<E>),
) where
    B: Navigable + Clone,
    B::Cursor: for<'a> Cursor<Key<'a> = &'a Id, Val<'a> = &'a E, DiffGat<'a> = &'a OrderDiff>,
    E: Entry,
{
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
            for slot in slots {
                let mut entries = Vec::new();
                for first in E::firsts(slot) {
                    let is_its_kind = |entry: &E| {
                        entry.slot() == Some(slot) && discriminant(entry) == discriminant(&first)
                    };
                    for (cursor, batch) in &mut all {
                        if cursor.get_key(batch) == Some(&id) {
                            read_entries(cursor, batch, &first, &mut entries, is_its_kind);
                        }
                    }
                }
                consolidate(&mut entries);
                let then = as_of::<E>(&versions, closing.moment_at(slot.index()));
                for (entry, pieces) in entries {
                    if !entry.is_same(now, then) {
                        tell(&id, &entry, now, pieces.negated(), round.epoch, give);
                        tell(&id, &entry, then, pieces, round.epoch, give);
                    }
                    retract(((id.clone(), entry), round.epoch + 1, pieces.negated()));
                }
            }
        }
    }
}

/// Reads what a cursor's key has from `first` on, as long as it is `wanted`.
fn read_entries<C, E>(
    cursor: &mut C,
    batch: &C::Storage,
    first: &E,
    entries: &mut Vec<(E, OrderDiff)>,
    wanted: impl Fn(&E) -> bool,
) where
    C: for<'a> Cursor<Val<'a> = &'a E, DiffGat<'a> = &'a OrderDiff>,
    E: Entry,
{
    cursor.rewind_vals(batch);
    cursor.seek_val(batch, first);
    while let Some(entry) = cursor.get_val(batch).filter(|entry| wanted(entry)) {
        cursor.map_times(batch, |_, pieces| entries.push((entry.clone(), *pieces)));
        cursor.step_val(batch);
    }
}

/// Adds up the versions that a cursor's key has, oldest first, and leaves the
/// cursor behind them.
fn read_versions<C, E>(cursor: &mut C, storage: &C::Storage, versions: &mut Vec<(E::Version, i64)>)
where
    C: for<'a> Cursor<Val<'a> = &'a E, DiffGat<'a> = &'a OrderDiff>,
    E: Entry,
{
    while let Some(version) = cursor.get_val(storage).and_then(Entry::version) {
        let mut weight = 0;
        cursor.map_times(storage, |_, pieces| weight += pieces.orders);
        match versions.binary_search_by(|(known, _)| known.cmp(version)) {
            Ok(place) => versions[place].1 += weight,
            Err(place) => versions.insert(place, (version.clone(), weight)),
        }
        cursor.step_val(storage);
    }
}

fn live<V>(versions: &[(V, i64)]) -> Vec<&V> {
    let live = versions.iter().filter(|(_, weight)| *weight > 0);
    live.map(|(version, _)| version).collect()
}

fn newest<V>(versions: &[(V, i64)]) -> Option<&V> {
    versions
        .iter()
        .rev()
        .find(|(_, weight)| *weight > 0)
        .map(|(version, _)| version)
}

/// The version that was the newest at a moment.
fn as_of<E: Entry>(versions: &[(E::Version, i64)], moment: i64) -> Option<&E::Version> {
    let then =
        |(version, weight): &&(E::Version, i64)| *weight > 0 && E::stamp(version).seen <= moment;
    versions.iter().rev().find(then).map(|(version, _)| version)
}
