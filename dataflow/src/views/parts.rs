//! The parts of a view's state.
//!
//! | part | key of a record | its sums |
//! | --- | --- | --- |
//! | rows | [`Key`] | [`Sums`] |
//! | members | `Key`, id | count |
//! | latest | `Key`, time | count |
//! | finals | epoch, `Key`, `Sums`, when its window closed | none: kept once |
//! | sales | id, [`Sale`] | count |
//! | by_customer | id, [`ByCustomer`] | [`OrderDiff`](super::join::OrderDiff) |
//! | by_product | id, [`ByProduct`] | `OrderDiff` |
//!
//! A section is of one view, so that no record says of which view it is.

use super::join::{ByCustomer, ByProduct, Sale};
use super::key::Key;
use super::sums::Sums;
use crate::Epoch;
use checkpoint::{OfView, Part, ViewOf};
use events::Id;
use serde::{Deserialize, Serialize};

/// What rows add up to.
pub(super) const ROWS: Part<Key> = by_row("rows", 4);
/// Members of rows.
pub(super) const MEMBERS: Part<Key> = by_row("members", 1);
/// Latest times of rows.
pub(super) const LATEST: Part<Key> = by_row("latest", 1);
/// Rows whose windows have closed, until their documents are known to be final.
pub(super) const FINALS: Part<Final> = Part {
    name: "finals",
    sums: 0,
    view: ViewOf::Key(|row| row.key.slot.view()),
};

/// Sales by transaction, of the view that joins them.
pub(super) fn sales(view: u16) -> Part<Id> {
    by_id("sales", 1, view)
}

/// What is known by customer, for the view that joins it.
pub(super) fn by_customer(view: u16) -> Part<Id> {
    by_id("by_customer", 2, view)
}

/// What is known by product, for the view that joins it.
pub(super) fn by_product(view: u16) -> Part<Id> {
    by_id("by_product", 2, view)
}

/// What all of them are called, and how many sums their records have.
pub fn all() -> Vec<(&'static str, u8)> {
    let by_id = [sales(0), by_customer(0), by_product(0)];
    let by_id = by_id.map(|part| (part.name, part.sums));
    let by_row = [ROWS, MEMBERS, LATEST].map(|part| (part.name, part.sums));
    let finals = [(FINALS.name, FINALS.sums)];
    by_row.into_iter().chain(finals).chain(by_id).collect()
}

const fn by_row(name: &'static str, sums: u8) -> Part<Key> {
    Part {
        name,
        sums,
        view: ViewOf::Key(|key| key.slot.view()),
    }
}

fn by_id(name: &'static str, sums: u8, view: u16) -> Part<Id> {
    let view = ViewOf::All(view);
    Part { name, sums, view }
}

/// A row whose window has closed, kept until its document is known to be final.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Final {
    /// Which row.
    pub key: Key,
    /// The epoch in which its window closed.
    pub epoch: Epoch,
    /// What it is.
    pub sums: Sums,
    /// When that was, in milliseconds since the UNIX epoch.
    pub closed_at: i64,
}

impl OfView for Key {
    fn set_view(&mut self, view: u16) {
        self.slot.set_view(view);
    }
}

impl OfView for Sale {
    fn set_view(&mut self, view: u16) {
        self.slot.set_view(view);
    }
}

impl OfView for ByCustomer {
    fn set_view(&mut self, view: u16) {
        match self {
            ByCustomer::Is(_) => {}
            ByCustomer::Bought(bought) => bought.slot.set_view(view),
        }
    }
}

impl OfView for ByProduct {
    fn set_view(&mut self, view: u16) {
        match self {
            ByProduct::Is(_) => {}
            ByProduct::Sold(sold) => sold.slot.set_view(view),
            ByProduct::Buyer(buyer) => buyer.slot.set_view(view),
        }
    }
}

impl OfView for Final {
    fn set_view(&mut self, view: u16) {
        self.key.set_view(view);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{any_customer, any_final, any_member, any_product, any_sale};
    use super::*;
    use crate::views::join::OrderDiff;
    use checkpoint::{Codec, RawRecord, Section, SectionId, decode, encode, records};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::fmt::Debug;

    /// Updates come back from the records of a part as those of view number 2.
    fn come_back<K, V, R>(sums: u8, updates: &[(K, V, R)]) -> Result<(), TestCaseError>
    where
        K: Codec + OfView + PartialEq + Debug + Clone,
        V: Codec + OfView + PartialEq + Debug + Clone,
        R: Codec + PartialEq + Debug + Clone,
    {
        let mut bytes = vec![];
        for (key, value, diff) in updates {
            encode(key, value, diff, &mut bytes);
        }
        let id = SectionId(9);
        let records = records(&bytes, Section { id, sums });
        let found = records.map(|record| decode::<K, V, R>(record.unwrap(), 2).unwrap());
        let expected = updates.iter().cloned().map(|(mut key, mut value, diff)| {
            key.set_view(2);
            value.set_view(2);
            ((key, value), diff)
        });
        prop_assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        Ok(())
    }

    proptest! {
        #[test]
        fn updates_of_all_parts_come_back(
            members in vec(any_member(), 0..9), versions in vec(any_sale(), 0..9),
            customers in vec(any_customer(), 0..9), products in vec(any_product(), 0..9),
            finals in vec(any_final(), 0..9),
        ) {
            come_back(MEMBERS.sums, &members)?;
            come_back(sales(0).sums, &versions)?;
            come_back(by_customer(0).sums, &customers)?;
            come_back(by_product(0).sums, &products)?;
            let rows: Vec<_> = finals.iter().map(|row| (row.key.clone(), (), row.sums)).collect();
            come_back(ROWS.sums, &rows)?;
            let latest: Vec<_> = finals.iter().map(|row| (row.key.clone(), row.closed_at, 1isize)).collect();
            come_back(LATEST.sums, &latest)?;
            let finals: Vec<_> = finals.into_iter().map(|row| (row, (), ())).collect();
            come_back(FINALS.sums, &finals)?;
        }

        #[test]
        fn foreign_bytes_are_no_update(key in vec(any::<u8>(), 0..80), sums in vec(any::<u8>(), 0..9)) {
            let record = RawRecord { key: &key, sums: &sums };
            // Whatever it is, it is an answer.
            let _ = decode::<Id, ByProduct, OrderDiff>(record, 1);
            let _ = decode::<Final, (), ()>(record, 1);
        }
    }
}
