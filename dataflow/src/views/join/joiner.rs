//! What look-ups find goes on in batches.

use super::super::column::Batch;
use super::super::plan::{Kind, LookupPlan, Next, Out};
use super::super::source::Schema;
use super::super::sums::Sums;
use super::super::terms::Input;
use super::entries::{Entry, Found, unpacked};
use crate::Epoch;
use model::{Datum, Slot};

/// Rows that are put together before they go on.
const ROWS: usize = 1_024;

/// Something that comes of a look-up or a table, in an epoch.
#[derive(Clone)]
pub(super) struct Joined {
    pub(super) out: Out,
    pub(super) epoch: Epoch,
}

/// Rows that wait to go on to one place.
pub(super) struct Waiting {
    batch: Batch,
    rows: Vec<(usize, Slot)>,
    sums: Vec<Sums>,
}

impl Waiting {
    /// None yet, of these columns.
    pub(super) fn new(schema: &Schema) -> Waiting {
        Waiting {
            batch: schema.batch(),
            rows: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// A row more, so much of it. What it does not have is NULL, or is not read.
    pub(super) fn push<'a>(
        &mut self,
        slot: Slot,
        sums: Sums,
        columns: impl Iterator<Item = (usize, &'a Datum)>,
    ) {
        for (column, value) in columns {
            self.batch.push(column, value);
        }
        self.rows.push((self.batch.rows, slot));
        self.batch.rows += 1;
        self.sums.push(sums);
    }

    /// Whether it is time to hand them on.
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= ROWS
    }

    /// Hands all on. An expression that fails on one is NULL there.
    pub(super) fn flush(&mut self, next: &Next, epoch: Epoch, give: &mut dyn FnMut(Joined)) {
        if self.rows.is_empty() {
            return;
        }
        let input = Input {
            batch: &self.batch,
            rows: &self.rows,
            left: Some(&self.sums),
            failures_are_null: true,
        };
        next.apply(&input, &mut |_, _| {}, &mut |out| {
            give(Joined { out, epoch })
        });
        self.batch.clear();
        self.rows.clear();
        self.sums.clear();
    }
}

/// Puts together what is looked up, with what is found.
pub(super) struct Joiner<'a> {
    pub(super) plan: &'a LookupPlan,
    pub(super) waiting: &'a mut [Waiting],
    pub(super) epoch: Epoch,
}

impl Joiner<'_> {
    /// Hands on so much of an entry that looks `key` up, with what is found. Versions are passed over.
    pub(super) fn push(
        &mut self,
        key: &Datum,
        entry: &Entry,
        found: Option<&Found>,
        sums: Sums,
        give: &mut dyn FnMut(Joined),
    ) {
        let Entry::Left {
            kind,
            slot,
            columns,
        } = entry
        else {
            return;
        };
        let found = found.and_then(|found| found.columns.as_deref());
        if self.plan.is_inner && found.is_none() {
            return;
        }
        let place = usize::from(*kind);
        let Kind {
            columns: numbers,
            next,
            ..
        } = &self.plan.kinds[place];
        let null = Datum::null();
        let values = unpacked(columns, numbers.len());
        let own = numbers.iter().copied().zip(values.iter());
        let key = self.plan.key.map(|column| (column, key));
        let versions = self.plan.version.iter().copied().enumerate();
        let versions = versions.map(|(place, column)| {
            let value = found.and_then(|found| found.get(place));
            (column, value.unwrap_or(&null))
        });
        let waiting = &mut self.waiting[place];
        waiting.push(*slot, sums, own.chain(key).chain(versions));
        if waiting.is_full() {
            waiting.flush(next, self.epoch, give);
        }
    }

    /// Hands on all that waits.
    pub(super) fn flush(&mut self, give: &mut dyn FnMut(Joined)) {
        for (waiting, kind) in self.waiting.iter_mut().zip(&self.plan.kinds) {
            waiting.flush(&kind.next, self.epoch, give);
        }
    }

    /// Whether it makes no difference to an entry which of two is found.
    pub(super) fn is_same<'b>(
        &self,
        entry: &Entry,
        one: Option<&'b Found>,
        other: Option<&'b Found>,
    ) -> bool {
        let Entry::Left { kind, .. } = entry else {
            return true;
        };
        let columns = |found: Option<&'b Found>| found.and_then(|found| found.columns.as_deref());
        let (one, other) = (columns(one), columns(other));
        if self.plan.is_inner && one.is_some() != other.is_some() {
            return false;
        }
        let null = Datum::null();
        let at = |columns: Option<&'b [Datum]>, place: usize| {
            columns.and_then(|columns| columns.get(place))
        };
        let mut uses = self.plan.kinds[usize::from(*kind)].uses.iter();
        uses.all(|place| at(one, *place).unwrap_or(&null) == at(other, *place).unwrap_or(&null))
    }
}
