//! What stands under a key in the arrangements of look-ups and tables.
//!
//! Under the key of a look-up stand its versions, and what is looked up. Versions come first, so
//! that they are found without passing over the rest; then everything of one kind and window stands
//! together.

use checkpoint::{Codec, OfView, byte};
use model::{Datum, Slot, Stamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A version of a key of a table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Version {
    /// How new it is.
    pub stamp: Stamp,
    /// Its window; none of a deletion.
    pub slot: Option<Slot>,
    /// What is kept of it.
    pub columns: Box<[Datum]>,
}

/// What stands under a key that is looked up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// What it is, from a message on.
    Version(Box<Found>),
    /// Something that looks it up.
    Left {
        /// Its kind, of its look-up's.
        kind: u16,
        /// Its window.
        slot: Slot,
        /// What is kept of it; unused ones are empty, and where there are more, the first are packed.
        columns: [Datum; PLACES],
    },
}

/// Columns that an entry holds as they are.
const PLACES: usize = 3;

/// What a look-up finds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Found {
    /// How new it is.
    pub stamp: Stamp,
    /// What is kept of it; nothing where it was deleted.
    pub columns: Option<Box<[Datum]>>,
}

impl Entry {
    /// A version of the key.
    pub(in crate::views) fn version(stamp: Stamp, columns: Box<[Datum]>) -> Entry {
        let columns = Some(columns);
        Entry::Version(Box::new(Found { stamp, columns }))
    }

    /// That there is no such key any more.
    pub(in crate::views) fn deletion(stamp: Stamp) -> Entry {
        let columns = None;
        Entry::Version(Box::new(Found { stamp, columns }))
    }

    /// Something that looks the key up.
    pub(in crate::views) fn left(
        kind: u16,
        slot: Slot,
        mut columns: impl ExactSizeIterator<Item = Datum>,
    ) -> Entry {
        let extra = columns.len().saturating_sub(PLACES);
        let mut held: [Datum; PLACES] = Default::default();
        let mut places = held.iter_mut();
        if extra > 0 {
            let packed: Vec<_> = columns.by_ref().take(extra + 1).collect();
            if let Some(first) = places.next() {
                *first = Datum::pack(&packed);
            }
        }
        places
            .zip(columns)
            .for_each(|(place, value)| *place = value);
        Entry::Left {
            kind,
            slot,
            columns: held,
        }
    }

    /// The first of a kind and window.
    pub(super) fn first(kind: u16, slot: Slot) -> Entry {
        Entry::left(kind, slot, std::iter::empty())
    }

    /// What it is, if it is a version.
    pub(super) fn found(&self) -> Option<&Found> {
        match self {
            Entry::Version(found) => Some(found),
            Entry::Left { .. } => None,
        }
    }
}

/// The values of an entry's `columns`, of which there are `count`.
pub(super) fn unpacked(columns: &[Datum; PLACES], count: usize) -> Cow<'_, [Datum]> {
    if count <= PLACES {
        return Cow::Borrowed(&columns[..count]);
    }
    let mut values = Vec::with_capacity(count);
    columns[0].unpack(&mut values);
    values.extend_from_slice(&columns[1..]);
    Cow::Owned(values)
}

checkpoint::codec_of_fields!(Version {
    stamp,
    slot,
    columns
});
checkpoint::codec_of_fields!(Found { stamp, columns });

/// A byte, and then what it holds.
impl Codec for Entry {
    fn put(&self, into: &mut Vec<u8>) {
        match self {
            Entry::Version(found) => {
                into.push(0);
                found.put(into);
            }
            Entry::Left {
                kind,
                slot,
                columns,
            } => {
                into.push(1);
                kind.put(into);
                slot.put(into);
                columns.put(into);
            }
        }
    }

    fn take(from: &mut &[u8]) -> Option<Entry> {
        match byte(from)? {
            0 => Found::take(from).map(|found| Entry::Version(Box::new(found))),
            1 => Some(Entry::Left {
                kind: Codec::take(from)?,
                slot: Codec::take(from)?,
                columns: Codec::take(from)?,
            }),
            _ => None,
        }
    }
}

impl OfView for Version {
    fn set_view(&mut self, view: u16) {
        if let Some(slot) = &mut self.slot {
            slot.set_view(view);
        }
    }
}

impl OfView for Entry {
    fn set_view(&mut self, view: u16) {
        if let Entry::Left { slot, .. } = self {
            slot.set_view(view);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_any_number_of_columns_comes_back() {
        for count in 0..7i64 {
            let values: Vec<_> = (0..count).map(Datum::long).collect();
            let slot = Slot::new(0, 5);
            let entry = Entry::left(2, slot, values.iter().cloned());
            assert!(Entry::first(2, slot) <= entry);
            let Entry::Left { columns, .. } = entry else {
                panic!("it is no version");
            };
            assert_eq!(unpacked(&columns, values.len()), values);
        }
    }

    #[test]
    fn an_entry_is_sixty_four_bytes() {
        assert!(size_of::<Entry>() <= 64);
    }
}
