//! How updates become batches: one sort an epoch.
//!
//! Differential's own batcher takes updates of any partially ordered times, in
//! small sorted chunks that it merges again and again. Epochs are totally ordered
//! and become complete one after the other, so here each keeps its updates as they
//! came, and puts them in one vector, which is sorted and consolidated once, when the
//! epoch is complete: of each update fewer comparisons, and far fewer moves. (While an
//! epoch is long, they are also consolidated whenever they have doubled, so that it
//! does not hold what cancels out.)

use crate::Epoch;
use crate::epochs::take_before;
use differential_dataflow::batcher::{Batcher, Extract};
use differential_dataflow::consolidation::consolidate_updates;
use differential_dataflow::difference::Semigroup;
use std::collections::BTreeMap;
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

/// A vector is not consolidated before it has so many updates.
const SMALL: usize = 1 << 18;

/// Updates of data `D`, with differences `R`.
pub(super) type Updates<D, R> = Vec<(D, Epoch, R)>;

/// Updates by epoch, until they are sealed into a batch `B`.
pub(super) struct EpochBatcher<D, R, B> {
    epochs: BTreeMap<Epoch, Pending<D, R>>,
    /// The vector of an epoch before, which the next one fills again: a fresh one
    /// would have to be had from the system, page by page.
    spare: Updates<D, R>,
    earliest: Antichain<Epoch>,
    seal: fn(&mut Updates<D, R>) -> Option<B>,
}

struct Pending<D, R> {
    /// As they came. A vector that grew with them would be moved again and again, each
    /// time to memory that is had from the system.
    parts: Vec<Updates<D, R>>,
    count: usize,
    /// Consolidated next when there are so many.
    limit: usize,
}

impl<D, R> Default for Pending<D, R> {
    fn default() -> Self {
        Pending {
            parts: Vec::new(),
            count: 0,
            limit: SMALL,
        }
    }
}

impl<D: Ord, R: Semigroup> Pending<D, R> {
    fn add(&mut self, part: Updates<D, R>) {
        self.count += part.len();
        self.parts.push(part);
        if self.count >= self.limit {
            let mut all = Vec::with_capacity(self.count);
            self.parts
                .drain(..)
                .for_each(|mut part| all.append(&mut part));
            consolidate_updates(&mut all);
            self.count = all.len();
            self.limit = SMALL.max(2 * self.count);
            self.parts.push(all);
        }
    }
}

impl<D, R, B> EpochBatcher<D, R, B> {
    /// `seal` makes a batch of sorted and consolidated updates, and empties them.
    pub(super) fn new(seal: fn(&mut Updates<D, R>) -> Option<B>) -> Self {
        let (epochs, spare, earliest) = (BTreeMap::new(), Vec::new(), Antichain::new());
        EpochBatcher {
            epochs,
            spare,
            earliest,
            seal,
        }
    }
}

impl<D: Ord, R: Semigroup, B> Batcher<Updates<D, R>> for EpochBatcher<D, R, B> {
    fn insert(&mut self, container: &mut Updates<D, R>) {
        // Most often all of a container are of one epoch, and are kept as a whole.
        while let Some(&(_, epoch, _)) = container.first() {
            let same = |update: &&(D, Epoch, R)| update.1 == epoch;
            let run = container.iter().take_while(same).count();
            let later = container.split_off(run);
            let part = std::mem::replace(container, later);
            self.epochs.entry(epoch).or_default().add(part);
        }
    }
}

impl<D: Ord, R: Semigroup, B> Extract for EpochBatcher<D, R, B> {
    type Time = Epoch;
    type Output = B;

    fn extract<'a>(
        &'a mut self,
        upper: AntichainRef<'_, Epoch>,
    ) -> (Option<B>, AntichainRef<'a, Epoch>) {
        let complete = take_before(&mut self.epochs, upper.first().copied());
        self.earliest.clear();
        self.earliest.extend(self.epochs.keys().next().copied());

        if complete.is_empty() {
            return (None, self.earliest.borrow());
        }
        let mut updates = std::mem::take(&mut self.spare);
        updates.reserve_exact(complete.values().map(|pending| pending.count).sum());
        for mut part in complete.into_values().flat_map(|pending| pending.parts) {
            updates.append(&mut part);
        }
        consolidate_updates(&mut updates);
        // Not more than twice what was needed now: an epoch that was long once
        // shall not hold its memory for ever.
        let needed = updates.len();
        let batch = (self.seal)(&mut updates);
        updates.clear();
        updates.shrink_to(2 * needed);
        self.spare = updates;
        (batch, self.earliest.borrow())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Update = (u8, Epoch, i64);

    proptest! {
        /// However updates arrive and frontiers advance, each batch holds what has
        /// become complete, sorted and consolidated, and nothing is lost.
        #[test]
        fn batches_hold_what_is_complete(
            steps in prop::collection::vec((prop::collection::vec((0u8..5, 0u64..4, -2i64..3), 0..20), 0u64..3), 1..8)
        ) {
            let mut batcher = EpochBatcher::new(|updates: &mut Vec<Update>| Some(std::mem::take(updates)));
            let (mut frontier, mut waiting) = (0, Vec::<Update>::new());
            for (updates, advance) in steps {
                let mut updates: Vec<_> =
                    updates.into_iter().map(|(data, ahead, diff)| (data, frontier + ahead, diff)).collect();
                waiting.extend(&updates);
                batcher.insert(&mut updates);
                frontier += advance;

                let upper = Antichain::from_elem(frontier);
                let (batch, earliest) = batcher.extract(upper.borrow());
                let batch = batch.unwrap_or_default();
                let (mut complete, later): (Vec<_>, Vec<_>) =
                    waiting.into_iter().partition(|(_, epoch, _)| *epoch < frontier);
                consolidate_updates(&mut complete);
                prop_assert_eq!(batch, complete);
                prop_assert_eq!(earliest.first(), later.iter().map(|(_, epoch, _)| epoch).min());
                waiting = later;
            }
        }
    }
}
