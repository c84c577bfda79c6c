//! The records of a file: keys, and how much of each.
//!
//! ```text
//!   length of the key │ key │ sum │ sum │ …
//! ```
//!
//! A key is opaque bytes, which only its owner decodes. A section says how many sums its records
//! have, each a signed integer of up to 128 bits: records of one section with equal
//! keys add up, sum by sum, and one whose sums are all 0 makes no difference. So files are
//! merged, verified and inspected without knowing what is in them, also what belongs to views
//! that there are no more.
//!
//! Where sums are [`SPARSE`], each record says which it has: how many are not 0, and of each how many places it
//! stands behind the one before (of the first: its place), and the sum. So one section holds records of few
//! sums and of many.
//!
//! A record without sums is kept *once*: the same one twice is one. Its key begins with an epoch
//! (eight bytes, the uppermost first), and it is dropped when all through that epoch is done.

use super::codec::Codec;
use super::error::CheckpointError;
use model::Epoch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The number of a section, by which the manifest names it.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SectionId(pub u32);

impl fmt::Display for SectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "section {}", self.0)
    }
}

/// How many sums the records of a section have of which each says itself which it has.
pub const SPARSE: u8 = u8::MAX;

/// What the records of a block are of, and their form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Section {
    /// Its number.
    pub id: SectionId,
    /// How many sums each of its records has; 0 where each is kept once, [`SPARSE`] where each says so.
    pub sums: u8,
}

/// A record, as it lies among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// The bytes of its key.
    pub key: &'a [u8],
    /// Those of its sums.
    pub sums: &'a [u8],
}

impl RawRecord<'_> {
    /// Whether it makes no difference.
    pub(super) fn is_zero(&self) -> bool {
        // 0 is the only number of one byte that is 0.
        !self.sums.is_empty() && self.sums.iter().all(|byte| *byte == 0)
    }

    /// Whether it is kept once, and not beyond this epoch.
    pub(super) fn is_done(&self, through: Epoch) -> bool {
        let epoch = self
            .key
            .first_chunk()
            .map(|epoch| Epoch::from_be_bytes(*epoch));
        self.sums.is_empty() && epoch.is_some_and(|epoch| epoch <= through)
    }
}

/// The longest form of a sum, in bytes.
const LONGEST_SUM: usize = 19;

/// Appends a record, of which `key` and `sums` append the parts.
#[inline]
pub(super) fn put(
    into: &mut Vec<u8>,
    key: impl FnOnce(&mut Vec<u8>),
    sums: impl FnOnce(&mut Vec<u8>),
) {
    let start = into.len();
    into.push(0);
    key(into);
    let length = into.len() - start - 1;
    match u8::try_from(length) {
        Ok(short @ 0..0x80) => into[start] = short,
        _ => {
            let mut form = Vec::new();
            (length as u64).put(&mut form);
            into.splice(start..=start, form);
        }
    }
    sums(into);
}

/// Takes a record from the front; nothing where there is none.
#[inline]
fn take<'a>(from: &mut &'a [u8], sums: u8) -> Option<RawRecord<'a>> {
    let length = usize::try_from(u64::take(from)?).ok()?;
    let (key, rest) = from.split_at_checked(length)?;
    let mut end = 0;
    let numbers = match sums {
        SPARSE => {
            let mut after = rest;
            let numbers = u64::take(&mut after)?.checked_mul(2)?;
            end = rest.len() - after.len();
            numbers
        }
        sums => sums.into(),
    };
    for _ in 0..numbers {
        let longest = rest.get(end..)?.iter().take(LONGEST_SUM);
        end += 1 + longest.take_while(|byte| **byte >= 0x80).count();
    }
    let (sums, rest) = rest.split_at_checked(end)?;
    *from = rest;
    Some(RawRecord { key, sums })
}

/// Appends what the sums of two records of one key come to, in a section of so many `sums`. They
/// wrap around, so that whatever is added can be taken back exactly. Nothing is appended where they are
/// no sums.
pub(super) fn add(sums: u8, mut one: &[u8], mut other: &[u8], into: &mut Vec<u8>) -> Option<()> {
    if sums == SPARSE {
        let sum = added(take_sparse(&mut one)?, take_sparse(&mut other)?);
        if !one.is_empty() || !other.is_empty() {
            return None;
        }
        put_sparse(&sum, into);
        return Some(());
    }
    let start = into.len();
    while !one.is_empty() || !other.is_empty() {
        let sum = i128::take(&mut one).zip(i128::take(&mut other));
        let Some((one, other)) = sum else {
            into.truncate(start);
            return None;
        };
        one.wrapping_add(other).put(into);
    }
    Some(())
}

/// Appends sums by their places, which ascend.
pub fn put_sparse(sums: &[(u16, i128)], into: &mut Vec<u8>) {
    (sums.len() as u64).put(into);
    let mut before = 0;
    for (place, sum) in sums {
        u64::from(place - before).put(into);
        before = *place;
        sum.put(into);
    }
}

/// Takes them from the front; nothing where they are no such sums.
pub fn take_sparse(from: &mut &[u8]) -> Option<Vec<(u16, i128)>> {
    let count = u64::take(from)?;
    let mut sums = Vec::new();
    let mut place = 0u16;
    for number in 0..count {
        let behind = u16::try_from(u64::take(from)?).ok()?;
        place = place.checked_add(behind)?;
        let sum = i128::take(from)?;
        if sum == 0 || (number > 0 && behind == 0) {
            return None;
        }
        sums.push((place, sum));
    }
    Some(sums)
}

/// The sums of both, without those that are 0.
fn added(one: Vec<(u16, i128)>, other: Vec<(u16, i128)>) -> Vec<(u16, i128)> {
    let mut all: BTreeMap<u16, i128> = one.into_iter().collect();
    for (place, sum) in other {
        let known = all.entry(place).or_default();
        *known = known.wrapping_add(sum);
    }
    all.retain(|_, sum| *sum != 0);
    all.into_iter().collect()
}

/// All records of a block.
pub fn records(payload: &[u8], section: Section) -> Records<'_> {
    Records {
        length: payload.len(),
        left: payload,
        section,
    }
}

/// The records of a block. After an error there are no more.
pub struct Records<'a> {
    left: &'a [u8],
    /// Of the whole block, in bytes.
    length: usize,
    section: Section,
}

impl Records<'_> {
    /// How many bytes are behind.
    pub(super) fn behind(&self) -> usize {
        self.length - self.left.len()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RawRecord<'a>, CheckpointError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let at = self.behind();
        let record = take(&mut self.left, self.section.sums);
        if record.is_none() {
            self.left = &[];
        }
        Some(record.ok_or_else(|| no_record(at)))
    }
}

#[cold]
pub(super) fn no_record(at: usize) -> CheckpointError {
    CheckpointError::damaged("a block", format!("no record of its section at byte {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn section(sums: u8) -> Section {
        let id = SectionId(1);
        Section { id, sums }
    }

    fn encode(records: &[(Vec<u8>, Vec<i128>)]) -> Vec<u8> {
        let mut bytes = vec![];
        for (key, sums) in records {
            let put_sums = |into: &mut Vec<u8>| sums.iter().for_each(|sum| sum.put(into));
            put(&mut bytes, |into| into.extend_from_slice(key), put_sums);
        }
        bytes
    }

    fn sums_of(mut bytes: &[u8]) -> Vec<i128> {
        std::iter::from_fn(|| i128::take(&mut bytes)).collect()
    }

    proptest! {
        #[test]
        fn records_come_back(
            (count, records) in (0u8..4).prop_flat_map(|count| {
                let sums = vec(prop_oneof![any::<i128>(), -3i128..3], usize::from(count));
                (Just(count), vec((vec(any::<u8>(), 0..300), sums), 0..9))
            })
        ) {
            let bytes = encode(&records);
            let found: Result<Vec<_>, _> = super::records(&bytes, section(count)).collect();
            let found = found.unwrap();
            prop_assert_eq!(found.len(), records.len());
            for (found, (key, sums)) in found.iter().zip(&records) {
                prop_assert_eq!(found.key, key);
                prop_assert_eq!(&sums_of(found.sums), sums);
                let is_zero = count > 0 && sums.iter().all(|sum| *sum == 0);
                prop_assert_eq!(found.is_zero(), is_zero);
            }
            // One byte less, and the last one is no record.
            if let Some(cut) = bytes.len().checked_sub(1) {
                let cut: Vec<_> = super::records(&bytes[..cut], section(count)).collect();
                prop_assert!(cut.last().is_none_or(Result::is_err) || cut.len() < records.len());
            }
        }

        #[test]
        fn sparse_sums_add_up_and_cancel_out(
            one in proptest::collection::btree_map(any::<u16>(), any::<i128>(), 0..6),
            other in proptest::collection::btree_map(0u16..9, -3i128..3, 0..6),
        ) {
            let form = |sums: &BTreeMap<u16, i128>, sign: i128| {
                let sums = sums.iter().filter(|(_, sum)| **sum != 0);
                let sums: Vec<_> = sums.map(|(place, sum)| (*place, sum.wrapping_mul(sign))).collect();
                let mut bytes = Vec::new();
                put_sparse(&sums, &mut bytes);
                bytes
            };
            let (mut sum, mut back) = (Vec::new(), Vec::new());
            add(SPARSE, &form(&one, 1), &form(&other, 1), &mut sum).unwrap();
            add(SPARSE, &sum, &form(&other, -1), &mut back).unwrap();
            prop_assert_eq!(&back, &form(&one, 1));
            let mut bytes = Vec::new();
            put(&mut bytes, |into| into.push(7), |into| into.extend_from_slice(&sum));
            put(&mut bytes, |into| into.push(8), |into| put_sparse(&[], into));
            let found: Result<Vec<_>, _> = super::records(&bytes, section(SPARSE)).collect();
            let found = found.unwrap();
            prop_assert_eq!(found[0].sums, &sum);
            prop_assert!(found.len() == 2 && found[1].is_zero());
        }

        #[test]
        fn foreign_sparse_bytes_are_records_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
            let found: Vec<_> = super::records(&bytes, section(SPARSE)).collect();
            prop_assert!(found.iter().rev().skip(1).all(Result::is_ok));
            if let Some(Ok(one)) = found.first() {
                let mut into = vec![7];
                prop_assert!(add(SPARSE, one.sums, one.sums, &mut into).is_some() || into == [7]);
            }
        }

        #[test]
        fn foreign_bytes_are_records_or_an_error(bytes in vec(any::<u8>(), 0..200), sums in 0u8..5) {
            let found: Vec<_> = super::records(&bytes, section(sums)).collect();
            prop_assert!(found.iter().rev().skip(1).all(Result::is_ok));
            if let Some(Ok(one)) = found.first() {
                let mut into = vec![7];
                prop_assert!(add(2, one.sums, one.sums, &mut into).is_some() || into == [7]);
            }
        }

        #[test]
        fn what_is_added_can_be_taken_back(one in vec(any::<i128>(), 3), other in vec(any::<i128>(), 3)) {
            let form = |sums: &[i128]| {
                let mut bytes = vec![];
                sums.iter().for_each(|sum| sum.put(&mut bytes));
                bytes
            };
            let negated: Vec<_> = other.iter().map(|sum| sum.wrapping_neg()).collect();
            let (mut sum, mut back) = (vec![], vec![]);
            add(3, &form(&one), &form(&other), &mut sum).unwrap();
            add(3, &sum, &form(&negated), &mut back).unwrap();
            prop_assert_eq!(sums_of(&back), one);
        }
    }

    #[test]
    fn what_is_kept_once_is_done_with_its_epoch() {
        let mut bytes = vec![];
        let key = [&7u64.to_be_bytes()[..], b"rest"].concat();
        put(&mut bytes, |into| into.extend_from_slice(&key), |_| {});
        let record = super::records(&bytes, section(0)).next().unwrap().unwrap();
        assert!(!record.is_done(6) && record.is_done(7) && !record.is_zero());
    }
}
