//! How often and how much: the difference of what is joined.

use differential_dataflow::difference::{Abelian, IsZero, Monoid, Semigroup};
use serde::{Deserialize, Serialize};

/// Orders, and the items in them. Of a version of a product or customer: one order
/// of nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Pieces {
    /// Orders.
    pub orders: i64,
    /// Items; 128 bits, so that 64-bit quantities can be added without a bound.
    pub items: i128,
}

impl Pieces {
    /// One version.
    pub const ONE: Pieces = Pieces {
        orders: 1,
        items: 0,
    };

    /// One order of so many items.
    pub fn order(items: i64) -> Pieces {
        Pieces {
            orders: 1,
            items: i128::from(items),
        }
    }

    /// What takes it back.
    pub fn negated(mut self) -> Pieces {
        self.negate();
        self
    }
}

impl IsZero for Pieces {
    fn is_zero(&self) -> bool {
        *self == Pieces::default()
    }
}

impl Semigroup for Pieces {
    fn plus_equals(&mut self, other: &Self) {
        self.orders += other.orders;
        self.items += other.items;
    }
}

impl Monoid for Pieces {
    fn zero() -> Self {
        Pieces::default()
    }
}

impl Abelian for Pieces {
    fn negate(&mut self) {
        self.orders = -self.orders;
        self.items = -self.items;
    }
}
