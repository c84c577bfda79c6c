//! What a row is made of: everything a view aggregates, as one difference.
//!
//! Differential dataflow keeps a *difference* for each key, and adds differences
//! up. Usually it is a count. Here it is all the aggregates of a row at once, so
//! that they consolidate wherever updates are merged, and a row is just the sum
//! of what is known of its key:
//!
//! ```text
//!   an event of quantity 3          count +1   sums[0] +3
//!   a customer not seen before      unique +1
//!   a later last_login             sums[1] + (new − old)
//! ```
//!
//! All of it can be subtracted again.

use differential_dataflow::difference::{Abelian, IsZero, Monoid, Semigroup};
use serde::{Deserialize, Serialize};

/// Sums that a view may keep, at the most.
pub const MAX_SUMS: usize = 2;

/// The accumulated aggregates of one row, or a change of them.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Sums {
    /// Events.
    pub count: i64,
    /// Distinct members (customers, say).
    pub unique: i64,
    /// Sums of whatever the view adds up. 128 bits: 64-bit values added without
    /// a bound do not overflow them. (Products of two such values could: they wrap
    /// around, so that whatever is added can still be taken back exactly.)
    pub sums: [i128; MAX_SUMS],
}

/// The sum that holds a view's latest time, in microseconds since the UNIX epoch:
/// one such time is live for each key at any moment, so that their sum is that
/// time.
pub const LATEST: usize = MAX_SUMS - 1;

impl Sums {
    /// A change of the latest time.
    pub fn of_latest(change: i128) -> Sums {
        let mut sums = Sums::default();
        sums.sums[LATEST] = change;
        sums
    }
}

impl IsZero for Sums {
    fn is_zero(&self) -> bool {
        *self == Sums::default()
    }
}

impl Semigroup for Sums {
    fn plus_equals(&mut self, other: &Self) {
        self.count += other.count;
        self.unique += other.unique;
        for (sum, other) in self.sums.iter_mut().zip(other.sums) {
            *sum = sum.wrapping_add(other);
        }
    }
}

impl Monoid for Sums {
    fn zero() -> Self {
        Sums::default()
    }
}

impl Abelian for Sums {
    fn negate(&mut self) {
        self.count = -self.count;
        self.unique = -self.unique;
        for sum in &mut self.sums {
            *sum = sum.wrapping_neg();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_sums() -> impl Strategy<Value = Sums> {
        let small = -1_000_000i64..1_000_000;
        (small.clone(), small.clone(), small.clone(), small).prop_map(|(count, unique, a, b)| {
            Sums {
                count,
                unique,
                sums: [i128::from(a), i128::from(b)],
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_added_can_be_taken_back(a in any_sums(), b in any_sums()) {
            let mut sum = a;
            sum.plus_equals(&b);
            let mut minus = b;
            minus.negate();
            sum.plus_equals(&minus);
            prop_assert_eq!(sum, a);
            minus.plus_equals(&b);
            prop_assert!(minus.is_zero());
        }
    }
}
