//! How updates become batches: one sort an epoch.
//!
//! Differential's own batcher takes updates of any partially ordered times, in
//! small sorted chunks that it merges again and again. Epochs are totally ordered
//! and become complete one after the other, so here each keeps its updates in one
//! vector, which is sorted and consolidated once, when the epoch is complete: of
//! each update fewer comparisons, and far fewer moves. (While an epoch is long,
//! its vector is also consolidated whenever it has doubled, so that it does not
//! hold what cancels out.)

use crate::Epoch;
use differential_dataflow::batcher::merge::Sealer;
use differential_dataflow::batcher::{Batcher, Extract};
use differential_dataflow::consolidation::consolidate_updates;
use differential_dataflow::difference::Semigroup;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

/// A vector is not consolidated before it has so many updates.
const SMALL: usize = 1 << 16;

/// Updates by epoch, until they are sealed into a batch by `S`.
pub(super) struct EpochBatcher<D, R, S> {
    epochs: BTreeMap<Epoch, Updates<D, R>>,
    earliest: Antichain<Epoch>,
    sealer: PhantomData<S>,
}

struct Updates<D, R> {
    all: Vec<(D, Epoch, R)>,
    /// Consolidated next when there are so many.
    limit: usize,
}

impl<D, R, S> EpochBatcher<D, R, S> {
    pub(super) fn new() -> Self {
        EpochBatcher {
            epochs: BTreeMap::new(),
            earliest: Antichain::new(),
            sealer: PhantomData,
        }
    }
}

impl<D: Ord, R: Semigroup, S> Batcher<Vec<(D, Epoch, R)>> for EpochBatcher<D, R, S>
where
    S: Sealer<Vec<(D, Epoch, R)>>,
{
    fn insert(&mut self, container: &mut Vec<(D, Epoch, R)>) {
        let mut updates = container.drain(..).peekable();
        // Most often all of a container are of one epoch.
        while let Some(&(_, epoch, _)) = updates.peek() {
            let kept = self.epochs.entry(epoch).or_insert_with(|| Updates {
                all: Vec::new(),
                limit: SMALL,
            });
            while let Some(update) = updates.next_if(|(_, other, _)| *other == epoch) {
                kept.all.push(update);
            }
            if kept.all.len() >= kept.limit {
                consolidate_updates(&mut kept.all);
                kept.limit = SMALL.max(2 * kept.all.len());
            }
        }
    }
}

impl<D: Ord, R: Semigroup, S> Extract for EpochBatcher<D, R, S>
where
    S: Sealer<Vec<(D, Epoch, R)>>,
{
    type Time = Epoch;
    type Output = S::Output;

    fn extract<'a>(
        &'a mut self,
        upper: AntichainRef<'_, Epoch>,
    ) -> (Option<S::Output>, AntichainRef<'a, Epoch>) {
        let later = match upper.first() {
            Some(upper) => self.epochs.split_off(upper),
            None => BTreeMap::new(),
        };
        let complete = std::mem::replace(&mut self.epochs, later);
        let mut updates = Vec::new();
        for (_, mut epoch) in complete {
            if updates.is_empty() {
                updates = epoch.all;
            } else {
                updates.append(&mut epoch.all);
            }
        }
        consolidate_updates(&mut updates);
        self.earliest.clear();
        self.earliest.extend(self.epochs.keys().next().copied());
        (S::seal(&mut vec![updates]), self.earliest.borrow())
    }
}
