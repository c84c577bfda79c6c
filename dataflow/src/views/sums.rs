//! What a row is made of: everything a view aggregates, as one difference.
//!
//! Differential dataflow keeps a *difference* for each key, and adds differences
//! up. Usually it is a count. Here it is all the aggregates of a row at once: a vector of
//! integers, each in its *lane*. They consolidate wherever updates are merged, and a row is just
//! the sum of what is known of its key:
//!
//! ```text
//!   an event of quantity 3          lane 0 (count) +1   lane 1 +3
//!   a customer not seen before      lane 2 +1
//!   a later last_login              lane 3 + (new − old)
//! ```
//!
//! All of it can be subtracted again. Which aggregate has which lanes a view's
//! [`Lanes`](super::lanes::Lanes) say.

use checkpoint::{Codec, put_sparse, take_sparse};
use differential_dataflow::difference::{Abelian, IsZero, Monoid, Semigroup};
use serde::{Deserialize, Serialize};

/// Lanes that are held in place.
const NARROW: usize = 4;

/// The lane that counts events: a row is there as long as it is not 0.
pub const COUNT: u16 = 0;

/// The accumulated aggregates of one row, or a change of them. Sums wrap around at 128 bits, so
/// that whatever is added can be taken back exactly.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Sums(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
enum Repr {
    /// The first lanes, where there are no others and all fit.
    Narrow([i64; NARROW]),
    /// All that are not 0, in order.
    Sparse(Box<[(u16, i128)]>),
}

impl Sums {
    /// One event.
    #[inline]
    pub fn one() -> Sums {
        Sums(Repr::Narrow([1, 0, 0, 0]))
    }

    /// An amount in one lane.
    pub fn of_lane(lane: u16, amount: i128) -> Sums {
        let mut sums = Sums::default();
        sums.add(lane, amount);
        sums
    }

    /// What a lane holds.
    #[inline]
    pub fn get(&self, lane: u16) -> i128 {
        match &self.0 {
            Repr::Narrow(lanes) => lanes
                .get(usize::from(lane))
                .map_or(0, |sum| i128::from(*sum)),
            Repr::Sparse(lanes) => lanes
                .binary_search_by_key(&lane, |(lane, _)| *lane)
                .map_or(0, |place| lanes[place].1),
        }
    }

    /// How many events there are.
    #[inline]
    pub fn count(&self) -> i64 {
        match &self.0 {
            Repr::Narrow([count, ..]) => *count,
            // It fits a machine word, as the events themselves do.
            Repr::Sparse(_) => i64::try_from(self.get(COUNT)).unwrap_or(i64::MAX),
        }
    }

    /// Adds to a lane.
    #[inline]
    pub fn add(&mut self, lane: u16, amount: i128) {
        if let Repr::Narrow(lanes) = &mut self.0
            && let Some(sum) = lanes.get_mut(usize::from(lane))
            && let Ok(amount) = i64::try_from(amount)
            && let Some(added) = sum.checked_add(amount)
        {
            *sum = added;
            return;
        }
        self.add_slowly(&[(lane, amount)]);
    }

    /// The lanes that are not 0, and what they hold.
    pub fn lanes(&self) -> Vec<(u16, i128)> {
        match &self.0 {
            Repr::Narrow(lanes) => (0..)
                .zip(lanes)
                .filter(|(_, sum)| **sum != 0)
                .map(|(lane, sum)| (lane, i128::from(*sum)))
                .collect(),
            Repr::Sparse(lanes) => lanes.to_vec(),
        }
    }

    /// The same so many times.
    #[must_use]
    pub fn times(&self, factor: i128) -> Sums {
        let lanes = self.lanes().into_iter();
        Sums::of(
            lanes
                .map(|(lane, sum)| (lane, sum.wrapping_mul(factor)))
                .collect(),
        )
    }

    /// Sums of these lanes, which ascend.
    fn of(mut lanes: Vec<(u16, i128)>) -> Sums {
        lanes.retain(|(_, sum)| *sum != 0);
        let mut narrow = [0; NARROW];
        for (lane, sum) in &lanes {
            match (narrow.get_mut(usize::from(*lane)), i64::try_from(*sum)) {
                (Some(place), Ok(small)) => *place = small,
                _ => return Sums(Repr::Sparse(lanes.into())),
            }
        }
        Sums(Repr::Narrow(narrow))
    }

    /// Adds lanes, which ascend.
    #[cold]
    fn add_slowly(&mut self, other: &[(u16, i128)]) {
        let one = self.lanes();
        let mut sum = Vec::with_capacity(one.len() + other.len());
        let (mut one, mut other) = (one.into_iter().peekable(), other.iter().copied().peekable());
        loop {
            match (one.peek(), other.peek()) {
                (Some((a, x)), Some((b, y))) if a == b => {
                    sum.push((*a, x.wrapping_add(*y)));
                    one.next();
                    other.next();
                }
                (Some((a, _)), Some((b, _))) if a < b => sum.extend(one.next()),
                (_, Some(_)) => sum.extend(other.next()),
                (Some(_), None) => sum.extend(one.next()),
                (None, None) => break,
            }
        }
        *self = Sums::of(sum);
    }
}

impl Default for Sums {
    fn default() -> Sums {
        Sums(Repr::Narrow([0; NARROW]))
    }
}

impl IsZero for Sums {
    #[inline]
    fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Narrow(lanes) if lanes == [0; NARROW])
    }
}

impl Semigroup for Sums {
    #[inline]
    fn plus_equals(&mut self, other: &Self) {
        if let (Repr::Narrow(one), Repr::Narrow(other)) = (&mut self.0, &other.0) {
            let mut sum = [0; NARROW];
            let mut fits = true;
            for lane in 0..NARROW {
                let (added, overflows) = one[lane].overflowing_add(other[lane]);
                sum[lane] = added;
                fits &= !overflows;
            }
            if fits {
                *one = sum;
                return;
            }
        }
        self.add_slowly(&other.lanes());
    }
}

impl Monoid for Sums {
    fn zero() -> Self {
        Sums::default()
    }
}

impl Abelian for Sums {
    fn negate(&mut self) {
        if let Repr::Narrow(lanes) = &mut self.0
            && lanes.iter().all(|sum| *sum != i64::MIN)
        {
            lanes.iter_mut().for_each(|sum| *sum = -*sum);
            return;
        }
        let lanes = self.lanes().into_iter();
        *self = Sums::of(
            lanes
                .map(|(lane, sum)| (lane, sum.wrapping_neg()))
                .collect(),
        );
    }
}

impl Codec for Sums {
    fn put(&self, into: &mut Vec<u8>) {
        put_sparse(&self.lanes(), into);
    }

    fn take(from: &mut &[u8]) -> Option<Sums> {
        take_sparse(from).map(Sums::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn any_lanes() -> impl Strategy<Value = BTreeMap<u16, i128>> {
        let amount = prop_oneof![-3i128..4, any::<i64>().prop_map(i128::from), any::<i128>(),];
        prop::collection::btree_map(prop_oneof![0u16..6, any::<u16>()], amount, 0..6)
    }

    fn sums(lanes: &BTreeMap<u16, i128>) -> Sums {
        let mut sums = Sums::default();
        lanes
            .iter()
            .for_each(|(lane, amount)| sums.add(*lane, *amount));
        sums
    }

    proptest! {
        #[test]
        fn lanes_add_up_and_cancel_out(one in any_lanes(), other in any_lanes()) {
            let (a, mut b) = (sums(&one), sums(&other));
            let mut sum = a.clone();
            sum.plus_equals(&b);
            let all = one.keys().chain(other.keys());
            for lane in all {
                let expected = one.get(lane).unwrap_or(&0).wrapping_add(*other.get(lane).unwrap_or(&0));
                prop_assert_eq!(sum.get(*lane), expected);
            }
            b.negate();
            sum.plus_equals(&b);
            // One vector has one form, however it came about.
            prop_assert_eq!(&sum, &a);
            sum.negate();
            sum.plus_equals(&a);
            prop_assert!(sum.is_zero());
            let mut bytes = Vec::new();
            a.put(&mut bytes);
            prop_assert_eq!(Sums::take(&mut &bytes[..]), Some(a));
        }
    }

    #[test]
    fn a_row_of_few_narrow_sums_is_held_in_place() {
        assert!(size_of::<Sums>() <= 40);
    }
}
