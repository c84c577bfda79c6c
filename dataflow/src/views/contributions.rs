//! What the events of an epoch add to the views, before it is sent to the
//! workers that own the rows.
//!
//! A worker that read a hundred thousand sales of a thousand products in one
//! epoch sends a thousand sums, not a hundred thousand: everything that can be
//! added up here is added up here.

use super::key::Key;
use super::sums::Sums;
use differential_dataflow::difference::Semigroup;
use events::Id;
use foldhash::fast::FixedState;
use indexmap::IndexMap;
use indexmap::map::Entry;
use std::collections::HashMap;
use std::collections::hash_map;

type Map<V> = HashMap<Key, V, FixedState>;

/// What one worker's events of one epoch add to the views.
#[derive(Default)]
pub struct Contributions {
    /// In the order of their coming: where most events have a row of their own,
    /// new entries are written one behind the other, and taken the same way.
    sums: IndexMap<Key, Sums, FixedState>,
    members: Vec<(Key, Id)>,
    latest: Map<i64>,
    /// The latest time that this worker has sent for each key, in any epoch. It
    /// is what makes a maximum retractable: a later time is sent together with
    /// the retraction of the one before, so that of each worker one time lives.
    sent_latest: Map<i64>,
}

impl Contributions {
    /// Adds to the sums of a row.
    #[inline]
    pub fn add(&mut self, key: Key, sums: &Sums) {
        match self.sums.entry(key) {
            Entry::Occupied(mut entry) => entry.get_mut().plus_equals(sums),
            Entry::Vacant(entry) => {
                entry.insert(*sums);
            }
        }
    }

    /// Notes that a row has seen a member.
    #[inline]
    pub fn member(&mut self, key: &Key, member: Id) {
        self.members.push((key.clone(), member));
    }

    /// Notes that a row has seen a time.
    pub fn latest(&mut self, key: &Key, micros: i64) {
        match self.latest.get_mut(key) {
            Some(latest) => *latest = micros.max(*latest),
            None => {
                self.latest.insert(key.clone(), micros);
            }
        }
    }

    /// How many entries are waiting to be sent.
    pub fn len(&self) -> usize {
        self.sums.len() + self.members.len() + self.latest.len()
    }

    /// True when nothing is waiting to be sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the sums, one for each row.
    pub fn take_sums(&mut self) -> impl Iterator<Item = (Key, Sums)> + '_ {
        self.sums.drain(..)
    }

    /// Takes the members; some may be there more than once.
    pub fn take_members(&mut self) -> impl Iterator<Item = (Key, Id)> + '_ {
        self.members.drain(..)
    }

    /// Takes the changes of latest times: `(key, time, +1 or -1)`, such that of
    /// each key one time is live at most.
    pub fn take_latest(&mut self) -> impl Iterator<Item = (Key, i64, isize)> + '_ {
        let Contributions {
            latest,
            sent_latest,
            ..
        } = self;
        latest.drain().flat_map(|(key, micros)| {
            let changes = match sent_latest.entry(key.clone()) {
                hash_map::Entry::Vacant(entry) => {
                    entry.insert(micros);
                    [None, Some((key, micros, 1))]
                }
                hash_map::Entry::Occupied(mut entry) if micros > *entry.get() => {
                    let before = entry.insert(micros);
                    [Some((key.clone(), before, -1)), Some((key, micros, 1))]
                }
                hash_map::Entry::Occupied(_) => [None, None],
            };
            changes.into_iter().flatten()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::Slot;
    use super::*;

    fn key(group: &str) -> Key {
        Key {
            slot: Slot::new(0, 0),
            group: [Id::new(group), Id::default()],
        }
    }

    #[test]
    fn events_of_a_row_are_sent_as_one() {
        let mut contributions = Contributions::default();
        for quantity in 1..=4 {
            contributions.add(
                key("a"),
                &Sums {
                    count: 1,
                    sums: [quantity, 0],
                    ..Sums::default()
                },
            );
        }
        let sent: Vec<_> = contributions.take_sums().collect();
        assert_eq!(
            sent,
            [(
                key("a"),
                Sums {
                    count: 4,
                    sums: [10, 0],
                    ..Sums::default()
                }
            )]
        );
        assert!(contributions.is_empty());
    }

    #[test]
    fn one_latest_time_lives_for_each_key() {
        let mut contributions = Contributions::default();
        let mut epoch = |times: &[i64]| {
            for &time in times {
                contributions.latest(&key("a"), time);
            }
            contributions
                .take_latest()
                .map(|(_, time, diff)| (time, diff))
                .collect::<Vec<_>>()
        };
        assert_eq!(epoch(&[5, 3]), [(5, 1)]);
        assert_eq!(epoch(&[4]), []);
        assert_eq!(epoch(&[7, 9]), [(5, -1), (9, 1)]);
    }
}
