//! The parts of a view's state.
//!
//! | part | key of a record | its sums |
//! | --- | --- | --- |
//! | rows | [`Key`] | [`Sums`] |
//! | members, members_2, … | `Key`, value | count |
//! | extremes | `Key`, [`Extreme`](super::extremes::Extreme) | count |
//! | finals | epoch, `Key`, `Sums`, when its window closed | none: kept once |
//! | table | key, [`Version`](super::join::Version) | count |
//! | lookup_1, lookup_2, … | key, [`Entry`](super::join::Entry) | `Sums` |
//!
//! A section is of one view, so that no record says of which view it is.

use super::definition::Definition;
use super::key::Key;
use super::sums::Sums;
use crate::Epoch;
use checkpoint::{Codec, OfView, Part, SPARSE, ViewOf};
use model::Datum;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What final rows are called.
pub(super) const FINALS: &str = "finals";

/// What rows add up to.
pub(super) fn rows() -> Part<Key> {
    by_row(Cow::Borrowed("rows"), SPARSE)
}

/// Members of rows, of the views' aggregates over distinct values of one number.
pub(super) fn members(number: usize) -> Part<Key> {
    by_row(members_name(number), 1)
}

fn members_name(number: usize) -> Cow<'static, str> {
    match number {
        0 => Cow::Borrowed("members"),
        number => Cow::Owned(format!("members_{}", number + 1)),
    }
}

/// Values of which rows keep the first.
pub(super) fn extremes() -> Part<Key> {
    by_row(Cow::Borrowed("extremes"), 1)
}

/// Versions of the keys of a view's table.
pub(super) fn table(view: u16) -> Part<Datum> {
    let view = ViewOf::All(view);
    Part {
        name: Cow::Borrowed("table"),
        sums: 1,
        view,
    }
}

/// What a view looks up as number `stage`, from 1, and what looks it up.
pub(super) fn lookup(view: u16, stage: usize) -> Part<Datum> {
    Part {
        name: Cow::Owned(format!("lookup_{stage}")),
        sums: SPARSE,
        view: ViewOf::All(view),
    }
}

fn by_row(name: Cow<'static, str>, sums: u8) -> Part<Key> {
    Part {
        name,
        sums,
        view: ViewOf::Key(|key| key.slot.view()),
    }
}

/// What all parts of a view's state are called, and how many sums their records have.
pub fn of(view: &Definition) -> Vec<(String, u8)> {
    let mut parts = vec![rows()];
    parts.extend((0..view.lanes.distinct.len()).map(members));
    if !view.lanes.extremes.is_empty() {
        parts.push(extremes());
    }
    let parts = parts.into_iter().map(|part| (part.name, part.sums));
    let table = view.is_of_table.then(|| table(0));
    let lookups = (1..=view.lookups).map(|stage| lookup(0, stage));
    let joined = table
        .into_iter()
        .chain(lookups)
        .map(|part| (part.name, part.sums));
    let all = parts
        .chain(joined)
        .map(|(name, sums)| (name.into_owned(), sums));
    all.chain([(FINALS.to_owned(), 0)]).collect()
}

/// A row whose window has closed, kept until its document is known to be final.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Final {
    /// Which row.
    pub key: Key,
    /// The epoch in which its window closed.
    pub epoch: Epoch,
    /// What it is.
    pub sums: Sums,
    /// When that was, in milliseconds since the UNIX epoch.
    pub closed_at: i64,
}

/// The epoch comes first, in eight bytes, the uppermost first: as records that are kept once
/// begin.
impl Codec for Final {
    fn put(&self, into: &mut Vec<u8>) {
        let Final {
            key,
            epoch,
            sums,
            closed_at,
        } = self;
        into.extend_from_slice(&epoch.to_be_bytes());
        key.put(into);
        sums.put(into);
        closed_at.put(into);
    }

    fn take(from: &mut &[u8]) -> Option<Final> {
        let (epoch, rest) = from.split_first_chunk()?;
        *from = rest;
        Some(Final {
            epoch: u64::from_be_bytes(*epoch),
            key: Codec::take(from)?,
            sums: Codec::take(from)?,
            closed_at: Codec::take(from)?,
        })
    }
}

impl OfView for Key {
    fn set_view(&mut self, view: u16) {
        self.slot.set_view(view);
    }
}

impl OfView for Final {
    fn set_view(&mut self, view: u16) {
        self.key.set_view(view);
    }
}

impl OfView for super::extremes::Extreme {
    fn set_view(&mut self, _view: u16) {}
}
