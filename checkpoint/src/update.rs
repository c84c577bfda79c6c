//! A part of the state of views, and how its updates become records.

use super::codec::Codec;
use super::error::CheckpointError;
use super::records::{RawRecord, no_record, put};
use model::{Datum, Id, Slot};
use std::borrow::Cow;

/// A part of the state of views: an arrangement whose keys are `K`.
pub struct Part<K> {
    /// What it is called, in checkpoints and for people.
    pub name: Cow<'static, str>,
    /// How many sums a record of it has; 0 where each is kept once, [`SPARSE`](crate::SPARSE)
    /// where each says so.
    pub sums: u8,
    /// Which view an update is of.
    pub view: ViewOf<K>,
}

/// Which view an update is of, by its number.
pub enum ViewOf<K> {
    /// The one that its key names.
    Key(fn(&K) -> u16),
    /// All are of this one.
    All(u16),
}

impl<K> Clone for Part<K> {
    fn clone(&self) -> Self {
        Part {
            name: self.name.clone(),
            ..*self
        }
    }
}

impl<K> Clone for ViewOf<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for ViewOf<K> {}

impl<K> ViewOf<K> {
    /// The number of the view of an update with this key.
    #[inline]
    pub fn number(self, key: &K) -> u16 {
        match self {
            ViewOf::Key(view) => view(key),
            ViewOf::All(view) => view,
        }
    }
}

/// What may say of which view it is. A section is of one view, so that no record says it.
pub trait OfView {
    /// The same of view number `view`.
    fn set_view(&mut self, view: u16);
}

impl OfView for Slot {
    fn set_view(&mut self, view: u16) {
        *self = Slot::new(view, self.index());
    }
}

impl OfView for Id {
    fn set_view(&mut self, _view: u16) {}
}

impl OfView for Datum {
    fn set_view(&mut self, _view: u16) {}
}

impl OfView for i64 {
    fn set_view(&mut self, _view: u16) {}
}

impl OfView for () {
    fn set_view(&mut self, _view: u16) {}
}

/// Appends an update as a record.
#[inline]
pub fn encode(key: &impl Codec, value: &impl Codec, diff: &impl Codec, into: &mut Vec<u8>) {
    let key = |into: &mut Vec<u8>| {
        key.put(into);
        value.put(into);
    };
    put(into, key, |into| diff.put(into));
}

/// The update of view number `view` that a record is.
///
/// # Errors
/// When it is none of these types.
#[inline]
pub fn decode<K, V, R>(record: RawRecord<'_>, view: u16) -> Result<((K, V), R), CheckpointError>
where
    K: Codec + OfView,
    V: Codec + OfView,
    R: Codec,
{
    let RawRecord { mut key, mut sums } = record;
    let found = (|| Some((K::take(&mut key)?, V::take(&mut key)?, R::take(&mut sums)?)))();
    match found {
        Some((mut one, mut other, diff)) if key.is_empty() && sums.is_empty() => {
            one.set_view(view);
            other.set_view(view);
            Ok(((one, other), diff))
        }
        _ => Err(no_record(0)),
    }
}
