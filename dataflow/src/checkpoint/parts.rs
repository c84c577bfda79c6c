//! The parts of a view's state, and how their updates become records.
//!
//! | part | key of a record | its sums |
//! | --- | --- | --- |
//! | rows | [`Key`] | [`Sums`](crate::views::sums::Sums) |
//! | members | `Key`, id | count |
//! | latest | `Key`, time | count |
//! | finals | epoch, `Key`, `Sums`, when its window closed | none: kept once |
//! | sales | id, [`Sale`] | count |
//! | by_customer | id, [`ByCustomer`] | [`Pieces`](crate::views::join::Pieces) |
//! | by_product | id, [`ByProduct`] | `Pieces` |
//!
//! A section is of one view, so that no record says of which view it is: [`OfView`] gives it the
//! number that the view has now.

use super::codec::Codec;
use super::error::CheckpointError;
use super::records::{RawRecord, no_record, put};
use crate::Epoch;
use crate::views::join::{ByCustomer, ByProduct, Sale};
use crate::views::key::{Key, Slot};
use crate::views::sums::Sums;
use events::Id;
use serde::{Deserialize, Serialize};

/// A part of a view's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// What rows add up to.
    Rows,
    /// Members of rows.
    Members,
    /// Latest times of rows.
    Latest,
    /// Rows whose windows have closed, until their documents are known to be final.
    Finals,
    /// Sales by transaction.
    Sales,
    /// What is known by customer.
    ByCustomer,
    /// What is known by product.
    ByProduct,
}

impl Part {
    /// All of them, in the order of their numbers.
    pub const ALL: [Part; 7] = [
        Part::Rows,
        Part::Members,
        Part::Latest,
        Part::Finals,
        Part::Sales,
        Part::ByCustomer,
        Part::ByProduct,
    ];

    /// What each is called, and how many sums its records have.
    pub const FORMS: [(&'static str, u8); 7] = [
        ("rows", 4),
        ("members", 1),
        ("latest", 1),
        ("finals", 0),
        ("sales", 1),
        ("by_customer", 2),
        ("by_product", 2),
    ];

    /// Its number.
    pub fn number(self) -> usize {
        self as usize
    }
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

/// What may say of which view it is.
pub trait OfView {
    /// The same of view number `view`.
    fn set_view(&mut self, view: u16);
}

impl OfView for Slot {
    fn set_view(&mut self, view: u16) {
        *self = Slot::new(view, self.index());
    }
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

impl OfView for Id {
    fn set_view(&mut self, _view: u16) {}
}

impl OfView for i64 {
    fn set_view(&mut self, _view: u16) {}
}

impl OfView for () {
    fn set_view(&mut self, _view: u16) {}
}

/// Appends an update as a record.
#[inline]
pub fn encode(key: &impl Codec, value: &impl Codec, diff: &impl Codec, into: &mut Vec<u8>) {
    let key = |into: &mut Vec<u8>| {
        key.put(into);
        value.put(into);
    };
    put(into, key, |into| diff.put(into));
}

/// The update of view number `view` that a record is.
///
/// # Errors
/// When it is none of these types.
#[inline]
pub fn decode<K, V, R>(record: RawRecord<'_>, view: u16) -> Result<((K, V), R), CheckpointError>
where
    K: Codec + OfView,
    V: Codec + OfView,
    R: Codec,
{
    let RawRecord { mut key, mut sums } = record;
    let found = (|| Some((K::take(&mut key)?, V::take(&mut key)?, R::take(&mut sums)?)))();
    match found {
        Some((mut one, mut other, diff)) if key.is_empty() && sums.is_empty() => {
            one.set_view(view);
            other.set_view(view);
            Ok(((one, other), diff))
        }
        _ => Err(no_record(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::{Section, SectionId, records};
    use super::*;
    use crate::checkpoint::testing::{any_customer, any_final, any_member, any_product, any_sale};
    use crate::views::join::Pieces;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::fmt::Debug;

    /// Updates come back from the records of a part as those of view number 2.
    fn come_back<K, V, R>(part: Part, updates: &[(K, V, R)]) -> Result<(), TestCaseError>
    where
        K: Codec + OfView + PartialEq + Debug + Clone,
        V: Codec + OfView + PartialEq + Debug + Clone,
        R: Codec + PartialEq + Debug + Clone,
    {
        let mut bytes = vec![];
        for (key, value, diff) in updates {
            encode(key, value, diff, &mut bytes);
        }
        let (_, sums) = Part::FORMS[part.number()];
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
            members in vec(any_member(), 0..9), sales in vec(any_sale(), 0..9),
            customers in vec(any_customer(), 0..9), products in vec(any_product(), 0..9),
            finals in vec(any_final(), 0..9),
        ) {
            come_back(Part::Members, &members)?;
            come_back(Part::Sales, &sales)?;
            come_back(Part::ByCustomer, &customers)?;
            come_back(Part::ByProduct, &products)?;
            let rows: Vec<_> = finals.iter().map(|row| (row.key.clone(), (), row.sums)).collect();
            come_back(Part::Rows, &rows)?;
            let latest: Vec<_> = finals.iter().map(|row| (row.key.clone(), row.closed_at, 1isize)).collect();
            come_back(Part::Latest, &latest)?;
            let finals: Vec<_> = finals.into_iter().map(|row| (row, (), ())).collect();
            come_back(Part::Finals, &finals)?;
        }

        #[test]
        fn foreign_bytes_are_no_update(key in vec(any::<u8>(), 0..80), sums in vec(any::<u8>(), 0..9)) {
            let record = RawRecord { key: &key, sums: &sums };
            // Whatever it is, it is an answer.
            let _ = decode::<Id, ByProduct, Pieces>(record, 1);
            let _ = decode::<Final, (), ()>(record, 1);
        }
    }
}
