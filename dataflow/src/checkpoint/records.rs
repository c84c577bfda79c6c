//! The records of a file: what an arrangement says of one key and value.
//!
//! | section | record |
//! | --- | --- |
//! | rows | `(Key, Sums)` |
//! | members | `(Key, Id, isize)` |
//! | latest | `(Key, i64, isize)` |
//! | sales | `(Id, Sale, isize)` |
//! | by customer | `(Id, ByCustomer, Pieces)` |
//! | by product | `(Id, ByProduct, Pieces)` |
//! | finals | [`Final`] |

use super::codec::Codec;
use super::error::CheckpointError;
use crate::Epoch;
use crate::views::key::Key;
use crate::views::sums::Sums;
use differential_dataflow::difference::{IsZero as _, Semigroup};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::marker::PhantomData;

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

/// A record that can be merged with others of its section.
pub trait Record: Codec {
    /// Orders records by what they are about, as the runs of a file are ordered. Those
    /// that are equal so are added up.
    fn order(&self, other: &Self) -> Ordering;

    /// Adds a record about the same.
    fn add(&mut self, other: &Self);

    /// Whether it makes no difference.
    fn is_zero(&self) -> bool;

    /// Whether it is a final row of which everybody knows: one of an epoch up to this.
    fn is_told(&self, _through: Epoch) -> bool {
        false
    }
}

impl Record for (Key, Sums) {
    #[inline]
    fn order(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }

    #[inline]
    fn add(&mut self, other: &Self) {
        self.1.plus_equals(&other.1);
    }

    #[inline]
    fn is_zero(&self) -> bool {
        self.1.is_zero()
    }
}

impl<K: Codec + Ord, V: Codec + Ord, R: Codec + Semigroup> Record for (K, V, R) {
    #[inline]
    fn order(&self, other: &Self) -> Ordering {
        (&self.0, &self.1).cmp(&(&other.0, &other.1))
    }

    #[inline]
    fn add(&mut self, other: &Self) {
        self.2.plus_equals(&other.2);
    }

    #[inline]
    fn is_zero(&self) -> bool {
        self.2.is_zero()
    }
}

/// A final row is told, not added up: the same one twice is one.
impl Record for Final {
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    fn add(&mut self, _same: &Self) {}

    fn is_zero(&self) -> bool {
        false
    }

    fn is_told(&self, through: Epoch) -> bool {
        self.epoch <= through
    }
}

impl<A: Codec, B: Codec> Codec for (A, B) {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        self.0.put(into);
        self.1.put(into);
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<(A, B)> {
        Some((A::take(from)?, B::take(from)?))
    }
}

impl<A: Codec, B: Codec, C: Codec> Codec for (A, B, C) {
    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        self.0.put(into);
        self.1.put(into);
        self.2.put(into);
    }

    #[inline]
    fn take(from: &mut &[u8]) -> Option<(A, B, C)> {
        Some((A::take(from)?, B::take(from)?, C::take(from)?))
    }
}

/// Appends the bytes of a record.
#[inline]
pub fn encode<T: Codec>(record: &T, into: &mut Vec<u8>) {
    record.put(into);
}

/// All records of a block, whatever runs they are of.
pub fn decode<T: Codec>(payload: &[u8]) -> Records<'_, T> {
    Records {
        length: payload.len(),
        left: payload,
        kind: PhantomData,
    }
}

/// The records of a block. After an error there are no more.
pub struct Records<'a, T> {
    left: &'a [u8],
    /// Of the whole block, in bytes.
    length: usize,
    kind: PhantomData<T>,
}

impl<T> Records<'_, T> {
    /// How many bytes are behind.
    pub(super) fn behind(&self) -> usize {
        self.length - self.left.len()
    }
}

impl<T: Codec> Iterator for Records<'_, T> {
    type Item = Result<T, CheckpointError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let at = self.behind();
        let record = T::take(&mut self.left);
        if record.is_none() {
            self.left = &[];
        }
        Some(record.ok_or_else(|| no_record(at)))
    }
}

#[cold]
fn no_record(at: usize) -> CheckpointError {
    CheckpointError::damaged("a block", format!("no record of its section at byte {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::testing::{any_customer, any_final, any_member, any_product, any_sale};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::fmt::Debug;

    fn all_come_back<T: Codec + PartialEq + Debug>(records: &[T]) -> Result<(), TestCaseError> {
        let mut bytes = vec![];
        records.iter().for_each(|record| encode(record, &mut bytes));
        let decoded: Result<Vec<T>, _> = decode(&bytes).collect();
        prop_assert_eq!(decoded.unwrap(), records);
        // One byte less, and the last one is no record.
        if let Some(cut) = bytes.len().checked_sub(1) {
            let decoded: Vec<_> = decode::<T>(&bytes[..cut]).collect();
            prop_assert!(decoded.last().unwrap().is_err() || decoded.len() < records.len());
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn records_of_all_sections_come_back(
            members in vec(any_member(), 0..9), sales in vec(any_sale(), 0..9),
            customers in vec(any_customer(), 0..9), products in vec(any_product(), 0..9),
            finals in vec(any_final(), 0..9),
        ) {
            all_come_back(&members)?;
            all_come_back(&sales)?;
            all_come_back(&customers)?;
            all_come_back(&products)?;
            let rows: Vec<_> = finals.iter().map(|row| (row.key.clone(), row.sums)).collect();
            all_come_back(&rows)?;
            let latest: Vec<_> = finals.iter().map(|row| (row.key.clone(), row.closed_at, 1isize)).collect();
            all_come_back(&latest)?;
            all_come_back(&finals)?;
        }

        #[test]
        fn foreign_bytes_are_records_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
            let finals: Vec<_> = decode::<Final>(&bytes).collect();
            prop_assert!(finals.iter().rev().skip(1).all(Result::is_ok));
            let products: Vec<_> = decode::<(events::Id, crate::views::join::ByProduct, isize)>(&bytes).collect();
            prop_assert!(products.iter().rev().skip(1).all(Result::is_ok));
        }
    }
}
