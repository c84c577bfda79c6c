//! Which row: the view, the window and the group, in 40 bytes.

use model::{Datum, Slot};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// Values of a group that a key holds as they are. Where a view groups by more columns, all
/// but the last are packed into the first.
const PLACES: usize = 2;

/// Which row: the key of every arrangement of rows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Key {
    /// View and window.
    pub slot: Slot,
    /// Values of the columns that the view groups by.
    group: [Datum; PLACES],
}

impl Key {
    /// The row of a group.
    #[inline]
    pub fn new(slot: Slot, group: &[Datum]) -> Key {
        let group = match group {
            [] => Default::default(),
            [one] => [one.clone(), Datum::default()],
            [one, other] => [one.clone(), other.clone()],
            [many @ .., last] => [Datum::pack(many), last.clone()],
        };
        Key { slot, group }
    }

    /// The row of a group of one value.
    #[inline]
    pub(super) fn of_one(slot: Slot, value: Datum) -> Key {
        let group = [value, Datum::default()];
        Key { slot, group }
    }

    /// The row of a group of two.
    #[inline]
    pub(super) fn of_two(slot: Slot, one: Datum, other: Datum) -> Key {
        let group = [one, other];
        Key { slot, group }
    }

    /// What comes before all rows of a window.
    pub(super) fn first(slot: Slot) -> Key {
        // The empty text comes before all other values.
        Key::new(slot, &[])
    }

    /// The values of the columns that its view groups by, of which there are `count`.
    pub fn values(&self, count: usize) -> Vec<Datum> {
        let [one, other] = &self.group;
        let mut values = Vec::with_capacity(count);
        match count {
            0 => {}
            1 => values.push(one.clone()),
            2 => values.extend([one.clone(), other.clone()]),
            _ => {
                one.unpack(&mut values);
                values.push(other.clone());
            }
        }
        values
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
        for value in &self.group {
            value.hash(state);
        }
    }
}

checkpoint::codec_of_fields!(Key { slot, group });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_any_number_of_values_comes_back() {
        for count in 0..6i64 {
            let values: Vec<_> = (0..count).map(Datum::long).collect();
            let key = Key::new(Slot::new(3, 4), &values);
            assert_eq!(key.values(values.len()), values);
            assert!(Key::first(Slot::new(3, 4)) <= key);
        }
    }

    #[test]
    fn a_key_is_forty_bytes() {
        assert_eq!(size_of::<Key>(), 40);
    }
}
