//! What the events of an epoch add to the views, before it is sent to the
//! workers that own the rows.
//!
//! A worker that read a hundred thousand sales of a thousand products in one
//! epoch sends a thousand sums, not a hundred thousand: everything that can be
//! added up here is added up here.

use super::join::{ByCustomer, ByProduct, Sale};
use super::key::Key;
use super::sums::Sums;
use differential_dataflow::difference::Semigroup;
use events::Id;
use foldhash::fast::FixedState;
use indexmap::IndexMap;
use indexmap::map::Entry;
use std::collections::HashMap;

type Map<V> = HashMap<Key, V, FixedState>;

/// What one worker's events of one epoch add to the views.
#[derive(Default)]
pub struct Contributions {
    /// In the order of their coming: where most events have a row of their own,
    /// new entries are written one behind the other, and taken the same way.
    sums: IndexMap<Key, Sums, FixedState>,
    members: Vec<(Key, Id)>,
    latest: Map<i64>,
    sales: Vec<(Id, Sale)>,
    customers: Vec<(Id, ByCustomer)>,
    products: Vec<(Id, ByProduct)>,
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

    /// Notes a version of a sale, by its transaction's id.
    #[inline]
    pub fn sale(&mut self, id: Id, sale: Sale) {
        self.sales.push((id, sale));
    }

    /// Notes a version of a customer.
    #[inline]
    pub fn customer(&mut self, id: Id, version: ByCustomer) {
        self.customers.push((id, version));
    }

    /// Notes a version of a product.
    #[inline]
    pub fn product(&mut self, id: Id, version: ByProduct) {
        self.products.push((id, version));
    }

    /// How many entries are waiting to be sent.
    pub fn len(&self) -> usize {
        let joined = self.sales.len() + self.customers.len() + self.products.len();
        self.sums.len() + self.members.len() + self.latest.len() + joined
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

    /// Takes the latest times, one for each row.
    pub fn take_latest(&mut self) -> impl Iterator<Item = (Key, i64)> + '_ {
        self.latest.drain()
    }

    /// Takes the versions of sales.
    pub fn take_sales(&mut self) -> impl Iterator<Item = (Id, Sale)> + '_ {
        self.sales.drain(..)
    }

    /// Takes the versions of customers.
    pub fn take_customers(&mut self) -> impl Iterator<Item = (Id, ByCustomer)> + '_ {
        self.customers.drain(..)
    }

    /// Takes the versions of products.
    pub fn take_products(&mut self) -> impl Iterator<Item = (Id, ByProduct)> + '_ {
        self.products.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Slot;

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
    fn one_latest_time_is_sent_for_each_row() {
        let mut contributions = Contributions::default();
        for time in [5, 9, 3] {
            contributions.latest(&key("a"), time);
        }
        assert_eq!(
            contributions.take_latest().collect::<Vec<_>>(),
            [(key("a"), 9)]
        );
        assert!(contributions.is_empty());
    }
}
