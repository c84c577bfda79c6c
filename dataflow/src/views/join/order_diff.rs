//! How often and how much: the difference of what is joined.

use differential_dataflow::difference::{Abelian, IsZero, Monoid, Semigroup};
use serde::{Deserialize, Serialize};

/// Orders, and the items in them. Of a version of a product or customer: one order
/// of nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct OrderDiff {
    /// Orders.
    pub orders: i64,
    /// Items; 128 bits, so that 64-bit quantities can be added without a bound.
    pub items: i128,
}

impl OrderDiff {
    /// One version.
    pub const ONE: OrderDiff = OrderDiff {
        orders: 1,
        items: 0,
    };

    /// One order of so many items.
    pub fn order(items: i64) -> OrderDiff {
        OrderDiff {
            orders: 1,
            items: i128::from(items),
        }
    }

    /// What takes it back.
    pub fn negated(mut self) -> OrderDiff {
        self.negate();
        self
    }
}

impl IsZero for OrderDiff {
    fn is_zero(&self) -> bool {
        *self == OrderDiff::default()
    }
}

impl Semigroup for OrderDiff {
    fn plus_equals(&mut self, other: &Self) {
        self.orders += other.orders;
        self.items += other.items;
    }
}

impl Monoid for OrderDiff {
    fn zero() -> Self {
        OrderDiff::default()
    }
}

impl Abelian for OrderDiff {
    fn negate(&mut self) {
        self.orders = -self.orders;
        self.items = -self.items;
    }
}
