//! Views whose rows are held back, since they are rebuilt in place: until they have caught up with
//! the others, the database keeps the rows that they had.

use super::catch_up::Place;
use crate::Epoch;
use crate::epochs::take_before;
use crate::time::Mark;
use std::collections::{BTreeMap, BTreeSet};

/// Views that are rebuilt in place, and what each still waits for.
#[derive(Clone, Debug, Default)]
pub struct Backfills {
    /// By view: the partitions of which its backfill has not caught up.
    waits: BTreeMap<u16, BTreeSet<Place>>,
    coming: BTreeMap<Epoch, Vec<(Place, Vec<u16>)>>,
}

impl Backfills {
    /// Those of `views` that are backfilled from some partition; `places` says which are, by
    /// partition.
    pub fn new(places: &BTreeMap<Place, Vec<u16>>, views: &BTreeSet<u16>) -> Backfills {
        let mut waits: BTreeMap<u16, BTreeSet<Place>> = BTreeMap::new();
        for (place, of_place) in places {
            for view in of_place.iter().filter(|view| views.contains(view)) {
                waits.entry(*view).or_default().insert(*place);
            }
        }
        Backfills {
            waits,
            coming: BTreeMap::new(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    /// Whether the rows of a view are held back.
    pub fn has(&self, view: u16) -> bool {
        self.waits.contains_key(&view)
    }

    /// Takes in what is said of partitions at the end of an epoch.
    pub fn hear(&mut self, epoch: Epoch, marks: &[Mark]) {
        if self.is_empty() {
            return;
        }
        let backfills = marks.iter().filter_map(|mark| {
            let backfill = mark.backfill.as_ref()?;
            let place = (mark.topic, mark.partition);
            let has_caught_up = backfill.at.is_none();
            has_caught_up.then(|| (place, backfill.views.clone()))
        });
        self.coming.entry(epoch).or_default().extend(backfills);
    }

    /// The views that have caught up by the end of the last epoch before `frontier` (`None`: of
    /// all there are). From now on their rows are not held back.
    pub fn take_caught_up(&mut self, frontier: Option<Epoch>) -> BTreeSet<u16> {
        let mut caught_up = BTreeSet::new();
        for (place, views) in take_before(&mut self.coming, frontier)
            .into_values()
            .flatten()
        {
            for view in views {
                if let Some(places) = self.waits.get_mut(&view) {
                    places.remove(&place);
                    if places.is_empty() {
                        self.waits.remove(&view);
                        caught_up.insert(view);
                    }
                }
            }
        }
        caught_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Backfill, BackfillAt, Holding, NEVER};

    fn mark(partition: i32, views: &[u16], at: Option<i64>) -> Mark {
        Mark {
            topic: 0,
            partition,
            worker: 0,
            next: 10,
            holding: Holding::Yes,
            kafka: NEVER,
            least: i64::MAX,
            untimed: false,
            limits: Vec::new(),
            views: Vec::new(),
            last_read: None,
            fingerprint: 0,
            backfill: Some(Backfill {
                views: views.to_vec(),
                least: i64::MAX,
                at: at.map(|next| BackfillAt {
                    next,
                    kafka: NEVER,
                    untimed: false,
                }),
            }),
        }
    }

    #[test]
    fn a_view_has_caught_up_when_the_last_of_its_partitions_has() {
        let places = [((0, 0), vec![1, 2]), ((0, 1), vec![1]), ((0, 2), vec![3])];
        let mut backfills = Backfills::new(&places.into(), &[1, 2].into());
        assert!(backfills.has(1) && backfills.has(2) && !backfills.has(3));
        backfills.hear(1, &[mark(0, &[1, 2], Some(5)), mark(2, &[3], None)]);
        backfills.hear(2, &[mark(0, &[1, 2], None)]);
        backfills.hear(4, &[mark(1, &[1], None)]);
        assert_eq!(backfills.take_caught_up(Some(2)), [].into());
        assert_eq!(backfills.take_caught_up(Some(3)), [2].into());
        assert!(backfills.has(1) && !backfills.has(2));
        assert_eq!(backfills.take_caught_up(None), [1].into());
        assert!(backfills.is_empty());
    }
}
