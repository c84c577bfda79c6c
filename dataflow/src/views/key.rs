//! Which row: the view, the window and the group, in 40 bytes.

use events::Id;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// Columns of a view's events that a key has room for. (A view that joins may group
/// by one more: see [`pack`].)
pub const MAX_GROUPS: usize = 2;

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

/// Two texts as one id: a view that groups by more columns than a key has room for
/// packs the last of them.
pub fn pack(one: &Id, other: &Id) -> Id {
    let mut packed = String::new();
    one.push_to(&mut packed);
    let mut text = format!("{}:{packed}", packed.len());
    other.push_to(&mut text);
    Id::new(&text)
}

/// The two texts of which [`pack`] made an id.
fn unpack(id: &Id) -> (String, String) {
    let text = id.to_string();
    let parts = text.split_once(':').and_then(|(length, rest)| {
        let (one, other) = rest.split_at_checked(length.parse().ok()?)?;
        Some((one.to_owned(), other.to_owned()))
    });
    parts.unwrap_or_else(|| (text, String::new()))
}

/// Which row: the key of every arrangement of the views.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Key {
    /// View and window.
    pub slot: Slot,
    /// Values of the columns that the view groups by; unused ones are empty.
    pub group: [Id; MAX_GROUPS],
}

impl Key {
    /// The values of the columns that its view groups by, of which there are
    /// `count`.
    pub fn groups(&self, count: usize) -> Vec<String> {
        let mut texts: Vec<_> = self.group.iter().take(count).map(Id::to_string).collect();
        if count > MAX_GROUPS {
            let (one, other) = unpack(&self.group[MAX_GROUPS - 1]);
            texts.truncate(MAX_GROUPS - 1);
            texts.extend([one, other]);
        }
        texts
    }
}

/// By view, window and then group. Written out, since this is what arrangements
/// spend their time on: the derived one goes through the array's iterators.
impl Ord for Key {
    #[inline]
    fn cmp(&self, other: &Key) -> Ordering {
        let ([a, b], [c, d]) = (&self.group, &other.group);
        self.slot
            .cmp(&other.slot)
            .then_with(|| a.cmp(c))
            .then_with(|| b.cmp(d))
    }
}

impl PartialOrd for Key {
    #[inline]
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.slot.hash(state);
        for id in &self.group {
            id.hash(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_apart(one in ".{0,20}", other in ".{0,20}", third in ".{0,3}") {
            let key = Key {
                slot: Slot::new(0, 0),
                group: [Id::new(&third), pack(&Id::new(&one), &Id::new(&other))],
            };
            prop_assert_eq!(key.groups(3), [third.clone(), one, other]);
            prop_assert_eq!(key.groups(1), [third]);
        }

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
