//! Which ids a window has, and which versions are not needed any more.
//!
//! Both follow from what the arrangements hold; they are kept beside them so that
//! the end of a window, or of a version, costs what it drops and not a search.

use crate::time::Closing;
use foldhash::fast::FixedState;
use model::{Datum, Slot, Stamp};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The ids that have something of a window, by window.
#[derive(Default)]
pub(super) struct Index {
    ids: BTreeMap<Slot, HashSet<Datum, FixedState>>,
}

impl Index {
    /// Notes that an id has something of a window.
    pub(super) fn add(&mut self, slot: Slot, id: &Datum) {
        let ids = self.ids.entry(slot).or_default();
        if !ids.contains(id) {
            ids.insert(id.clone());
        }
    }

    /// Takes the ids that have something of the windows that close, in order, each
    /// with these windows.
    pub(super) fn take(&mut self, closing: &Closing) -> BTreeMap<Datum, Vec<Slot>> {
        let mut taken: BTreeMap<Datum, Vec<Slot>> = BTreeMap::new();
        while let Some((&slot, _)) = self.ids.range(closing.first()..).next() {
            if !closing.has(slot) {
                break;
            }
            for id in self.ids.remove(&slot).unwrap_or_default() {
                taken.entry(id).or_default().push(slot);
            }
        }
        taken
    }
}

/// Versions that a newer one has taken the place of, by the moment from which that one
/// counts: as of an earlier moment, they are still the newest.
pub(super) struct Superseded<V> {
    by: BTreeMap<i64, Vec<(Datum, V)>>,
}

impl<V: Ord + Clone> Superseded<V> {
    pub(super) fn new() -> Superseded<V> {
        Superseded {
            by: BTreeMap::new(),
        }
    }

    /// Notes which of the `versions` of an id, oldest first, have been superseded; `stamp`
    /// says how new one is. From the moment on from which any newer one counts, a version is
    /// not the newest.
    pub(super) fn note(&mut self, id: &Datum, versions: &[&V], stamp: impl Fn(&V) -> Stamp) {
        let mut newest_first = versions.iter().rev();
        let Some(newest) = newest_first.next() else {
            return;
        };
        let mut from = stamp(newest).seen;
        for version in newest_first {
            self.put(from, id, version);
            from = from.min(stamp(version).seen);
        }
    }

    /// Notes that a deletion is the newest of an id: from its own moment on, it says what no
    /// version at all says.
    pub(super) fn note_deletion(&mut self, id: &Datum, deletion: &V, stamp: Stamp) {
        self.put(stamp.seen, id, deletion);
    }

    fn put(&mut self, from: i64, id: &Datum, version: &V) {
        let versions = self.by.entry(from).or_default();
        versions.push((id.clone(), version.clone()));
    }

    /// Takes those that are not the newest as of `horizon` or any later moment.
    pub(super) fn take(&mut self, horizon: i64) -> BTreeSet<(Datum, V)> {
        let mut taken = BTreeSet::new();
        while let Some(entry) = self
            .by
            .first_entry()
            .filter(|entry| *entry.key() <= horizon)
        {
            taken.extend(entry.remove());
        }
        taken
    }
}
