//! A view and a window of it.

use serde::{Deserialize, Serialize};

/// Bits of a [`Slot`] that hold the window's index.
const INDEX_BITS: u32 = 48;
/// Added to a window's index, so that windows before 1970 sort before later ones.
const INDEX_BIAS: i64 = 1 << (INDEX_BITS - 1);

/// A view and a window of it, in eight bytes.
///
/// Slots order by view, then by window, and keys begin with their slot: the rows
/// of one window of one view stand side by side in an arrangement, and all of
/// them are found with a single seek.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Slot(u64);

impl Slot {
    /// The window number `index` (start divided by size) of view number `view`.
    ///
    /// An index needs 48 bits: with windows of at least a second that reaches
    /// beyond every year that a time can name.
    pub fn new(view: u16, index: i64) -> Slot {
        debug_assert!((-INDEX_BIAS..INDEX_BIAS).contains(&index));
        Slot((u64::from(view) << INDEX_BITS) | (index + INDEX_BIAS).cast_unsigned())
    }

    /// The least number of a window.
    pub const FIRST: i64 = -INDEX_BIAS;

    /// The same, if an index is in its bounds.
    pub fn checked(view: u16, index: i64) -> Option<Slot> {
        let bounds = -INDEX_BIAS..INDEX_BIAS;
        bounds.contains(&index).then(|| Slot::new(view, index))
    }

    /// The view's number.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "16 bits are left after the shift"
    )]
    pub fn view(self) -> u16 {
        (self.0 >> INDEX_BITS) as u16
    }

    /// The window's number: its start divided by its size.
    pub fn index(self) -> i64 {
        (self.0 & ((1 << INDEX_BITS) - 1)).cast_signed() - INDEX_BIAS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_slot_gives_back_what_it_was_made_of(view: u16, index in -INDEX_BIAS..INDEX_BIAS) {
            let slot = Slot::new(view, index);
            prop_assert_eq!((slot.view(), slot.index()), (view, index));
        }

        #[test]
        fn slots_order_by_view_then_window(
            a in (0u16..3, -5i64..5),
            b in (0u16..3, -5i64..5),
        ) {
            prop_assert_eq!(Slot::new(a.0, a.1).cmp(&Slot::new(b.0, b.1)), a.cmp(&b));
        }
    }
}
