//! When a run has caught up with what an earlier one may have written.
//!
//! A run begins with the state of a checkpoint (or with none), which is older than
//! what an earlier run has written. Whatever it wrote now would go back behind that.
//! So it writes no row before it has read, of every partition, at least what that
//! one may have: then each of its rows is as new as any that are there.

use crate::Epoch;
use crate::epochs::take_before;
use crate::time::Mark;
use std::collections::BTreeMap;

/// A partition: the number of its topic, and its own.
pub type Place = (usize, i32);

/// The offsets that are still to be reached.
#[derive(Clone, Debug, Default)]
pub struct CatchUp {
    targets: BTreeMap<Place, i64>,
    coming: BTreeMap<Epoch, Vec<(Place, i64)>>,
}

impl CatchUp {
    /// Everything below these offsets has to be read first.
    pub fn new(targets: BTreeMap<Place, i64>) -> CatchUp {
        CatchUp {
            targets,
            coming: BTreeMap::new(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Takes in what is said of partitions at the end of an epoch.
    pub fn hear(&mut self, epoch: Epoch, marks: &[Mark]) {
        if !self.targets.is_empty() {
            let reached = marks.iter();
            let reached = reached.map(|mark| ((mark.topic, mark.partition), mark.next));
            self.coming.entry(epoch).or_default().extend(reached);
        }
    }

    /// Whether all of them are reached by the end of the last epoch before
    /// `frontier`, of which everything has been heard (`None`: of all there are).
    pub fn is_reached(&mut self, frontier: Option<Epoch>) -> bool {
        for (_, reached) in take_before(&mut self.coming, frontier) {
            for (place, next) in reached {
                if self
                    .targets
                    .get(&place)
                    .is_some_and(|target| next >= *target)
                {
                    self.targets.remove(&place);
                }
            }
        }
        self.targets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Holding, NEVER};

    fn mark(partition: i32, next: i64) -> Mark {
        Mark {
            topic: 0,
            partition,
            worker: 0,
            next,
            holding: Holding::Yes,
            kafka: NEVER,
            least: i64::MAX,
            untimed: false,
            limits: Vec::new(),
            views: Vec::new(),
            last_read: None,
            fingerprint: 0,
            backfill: None,
        }
    }

    #[test]
    fn it_is_reached_in_the_epoch_that_reaches_the_last() {
        let mut catch_up = CatchUp::new(BTreeMap::from([((0, 0), 10), ((0, 1), 5)]));
        catch_up.hear(1, &[mark(0, 9), mark(1, 7)]);
        catch_up.hear(3, &[mark(0, 12)]);
        assert!(!catch_up.is_reached(Some(3)));
        assert!(catch_up.is_reached(Some(4)));
    }

    #[test]
    fn nothing_to_reach_is_reached() {
        assert!(CatchUp::default().is_reached(Some(0)));
    }
}
