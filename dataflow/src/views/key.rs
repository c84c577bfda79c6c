//! Which row: the view, the window and the group, in 40 bytes.

use events::Id;
use model::Slot;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// Columns of a view's events that a key has room for. (A view that joins may group
/// by one more: see [`pack`].)
pub const MAX_GROUPS: usize = 2;

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
    }
}
