//! What the events of an epoch add to the views, before it is sent to the
//! workers that own the rows.
//!
//! A worker that read a hundred thousand sales of a thousand products in one
//! epoch sends a thousand sums, not a hundred thousand: everything that can be
//! added up here is added up here.

use super::catalog::Catalog;
use super::changes::Change;
use super::extremes::Extreme;
use super::join::{Entry, Version};
use super::key::Key;
use super::plan::Out;
use super::sums::Sums;
use differential_dataflow::difference::Semigroup;
use foldhash::fast::FixedState;
use indexmap::IndexMap;
use indexmap::map::Entry as Place;
use model::Datum;
use std::collections::HashMap;

/// What one worker's events of one epoch add to the views.
#[derive(Default)]
pub struct Contributions {
    /// In the order of their coming: where most events have a row of their own,
    /// new entries are written one behind the other, and taken the same way.
    sums: IndexMap<Key, Sums, FixedState>,
    /// By the number of the arrangement.
    members: Vec<Vec<(Key, Datum)>>,
    /// Of each number, the first.
    extremes: HashMap<(Key, u16), Extreme, FixedState>,
    /// By the number of the arrangement,
    tables: Vec<Vec<(Datum, Version)>>,
    /// both.
    lookups: Vec<Vec<((Datum, Entry), Sums)>>,
    /// How many there are of the last four.
    others: usize,
}

impl Contributions {
    /// None yet to the views of a catalog.
    pub fn new(catalog: &Catalog) -> Contributions {
        let mut contributions = Contributions::default();
        contributions
            .members
            .resize_with(catalog.members(), Vec::new);
        contributions
            .tables
            .resize_with(catalog.tables.len(), Vec::new);
        contributions
            .lookups
            .resize_with(catalog.lookups.len(), Vec::new);
        contributions
    }

    /// Takes up what comes of an event.
    #[inline]
    pub fn add(&mut self, out: Out) {
        let change = match out {
            Out::Change(change) => change,
            Out::Table(number, key, version) => {
                self.others += 1;
                return self.tables[number].push((key, version));
            }
            Out::Left(number, key, entry, sums) => {
                self.others += 1;
                return self.lookups[number].push(((key, entry), sums));
            }
        };
        match change {
            Change::Sums(key, sums) => match self.sums.entry(key) {
                Place::Occupied(mut entry) => entry.get_mut().plus_equals(&sums),
                Place::Vacant(entry) => {
                    entry.insert(sums);
                }
            },
            // Each comes once: what was read is not taken back here.
            Change::Member(number, key, member, _) => {
                self.others += 1;
                self.members[number].push((key, member));
            }
            Change::Extreme(key, extreme, _) => {
                let place = (key, extreme.number);
                match self.extremes.get_mut(&place) {
                    Some(first) => {
                        if extreme < *first {
                            *first = extreme;
                        }
                    }
                    None => {
                        self.others += 1;
                        self.extremes.insert(place, extreme);
                    }
                }
            }
        }
    }

    /// How many entries are waiting to be sent.
    pub fn len(&self) -> usize {
        self.sums.len() + self.others
    }

    /// True when nothing is waiting to be sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the sums, one for each row.
    pub fn take_sums(&mut self) -> impl Iterator<Item = (Key, Sums)> + '_ {
        self.sums.drain(..)
    }

    /// Takes the first values, one for each row and number.
    pub fn take_extremes(&mut self) -> impl Iterator<Item = (Key, Extreme)> + '_ {
        self.others -= self.extremes.len();
        self.extremes
            .drain()
            .map(|((key, _), extreme)| (key, extreme))
    }

    /// Takes the members for an arrangement; some may be there more than once.
    pub fn take_members(&mut self, number: usize) -> impl Iterator<Item = (Key, Datum)> + '_ {
        self.others -= self.members[number].len();
        self.members[number].drain(..)
    }

    /// Takes the versions for the arrangement of a table.
    pub fn take_table(&mut self, number: usize) -> impl Iterator<Item = (Datum, Version)> + '_ {
        self.others -= self.tables[number].len();
        self.tables[number].drain(..)
    }

    /// Takes what is for the arrangement of a look-up.
    pub fn take_lookup(
        &mut self,
        number: usize,
    ) -> impl Iterator<Item = ((Datum, Entry), Sums)> + '_ {
        self.others -= self.lookups[number].len();
        self.lookups[number].drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Slot;

    fn key(group: &str) -> Key {
        Key::new(Slot::new(0, 0), &[Datum::text(group)])
    }

    fn latest(group: &str, time: i64) -> Out {
        let extreme = Extreme {
            number: 0,
            is_descending: true,
            by: Datum::timestamp(time),
            with: Datum::null(),
        };
        Out::Change(Change::Extreme(key(group), extreme, 1))
    }

    #[test]
    fn what_is_of_one_row_is_one_entry() {
        let mut contributions = Contributions::default();
        contributions.members.push(Vec::new());
        for quantity in [3, 4] {
            let mut sums = Sums::one();
            sums.add(1, quantity);
            contributions.add(Out::Change(Change::Sums(key("a"), sums)));
            let member = Change::Member(0, key("a"), Datum::text("me"), 1);
            contributions.add(Out::Change(member));
            contributions.add(latest("a", 10 - 3 * i64::try_from(quantity).unwrap()));
        }
        assert_eq!(contributions.len(), 4);
        let (_, sums) = contributions.take_sums().next().unwrap();
        assert_eq!((sums.count(), sums.get(1)), (2, 7));
        assert_eq!(contributions.take_members(0).count(), 2);
        let (_, first) = contributions.take_extremes().next().unwrap();
        assert_eq!(first.by, Datum::timestamp(1));
        assert!(contributions.is_empty());
    }
}
