//! Of each transaction, what its newest message says.

use super::entries::{Bought, ByCustomer, Sale};
use super::versions::{Index, Superseded};
use super::{CustomerChange, OrderDiff, SaleChange};
use crate::Epoch;
use crate::time::Moment;
use crate::views::rounds::{Logic, Round, cursors};
use crate::views::stateful::ValuesBatch;
use differential_dataflow::trace::cursor::{Cursor, Navigable, cursor_list};
use events::Id;
use std::collections::{BTreeMap, BTreeSet};

/// A batch of versions of sales, by transaction.
type Sales = ValuesBatch<Id, Sale, isize>;

/// Changes of what has been bought, by customer: a newer version of a sale takes
/// the place of an older one.
///
/// An older one stays as long as a window may close as of a moment at which it was
/// the newest. (`forever`: no window will close.)
pub(super) fn newest(forever: bool) -> impl Logic<Sales, CustomerChange, SaleChange> {
    let mut index = Index::default();
    let mut superseded = Superseded::new();
    move |round, give, retract| {
        if round.restored {
            restore(round, &mut index, &mut superseded);
        }
        let mut before: Vec<_> = round.before.iter().map(|b| (b.cursor(), b)).collect();
        let (mut new, storage) = cursor_list(round.new.to_vec());
        while let Some(id) = new.get_key(&storage) {
            let mut versions = Versions::default();
            for (cursor, batch) in &mut before {
                versions.read(cursor, batch, id);
            }
            let was = versions.newest().cloned();
            let mut has_come = false;
            while let Some(sale) = new.get_val(&storage) {
                let mut come = 0;
                new.map_times(&storage, |_, weight| come += weight);
                versions.add(sale, come);
                if come > 0 {
                    index.add(sale.slot, id);
                    has_come = true;
                }
                new.step_val(&storage);
            }
            let is = versions.newest();
            if was.as_ref() != is {
                // What a closed window has, it keeps.
                let open = |sale: &&Sale| !round.closed.has(sale.slot);
                if let Some(was) = was.as_ref().filter(open) {
                    give(bought(was, round.epoch, -1));
                }
                if let Some(is) = is.filter(open) {
                    give(bought(is, round.epoch, 1));
                }
            }
            if has_come {
                let live: Vec<_> = versions.live().collect();
                superseded.note(id, &live, |sale| sale.stamp);
            }
            new.step_key(&storage);
        }

        let mut dropped = close(round, &mut index, give);
        let horizon = if forever { i64::MAX } else { round.horizon };
        let mut all: Vec<_> = cursors(round);
        for (id, sale) in superseded.take(horizon) {
            // It may have gone with its window.
            let mut versions = Versions::default();
            for (cursor, batch) in &mut all {
                versions.read(cursor, batch, &id);
            }
            if versions.live().any(|live| *live == sale) {
                dropped.insert((id, sale));
            }
        }
        for sale in dropped {
            retract((sale, round.epoch + 1, -1));
        }
    }
}

/// Finds in what was restored which ids a window has, and which versions a newer
/// one has taken the place of.
fn restore<B>(round: &Round<'_, B>, index: &mut Index, superseded: &mut Superseded<Sale>)
where
    B: Navigable + Clone,
    B::Cursor: for<'a> Cursor<Key<'a> = &'a Id, Val<'a> = &'a Sale, DiffGat<'a> = &'a isize>,
{
    let (mut all, storage) = cursor_list(round.all());
    while let Some(id) = all.get_key(&storage) {
        let mut live: Vec<&Sale> = Vec::new();
        while let Some(sale) = all.get_val(&storage) {
            let mut weight = 0;
            all.map_times(&storage, |_, change| weight += change);
            if weight > 0 {
                index.add(sale.slot, id);
                live.push(sale);
            }
            all.step_val(&storage);
        }
        superseded.note(id, &live, |sale| sale.stamp);
        all.step_key(&storage);
    }
}

/// Tells what closes as of its moment, and returns what is not needed any more.
fn close<B>(
    round: &Round<'_, B>,
    index: &mut Index,
    give: &mut dyn FnMut(CustomerChange),
) -> BTreeSet<(Id, Sale)>
where
    B: Navigable + Clone,
    B::Cursor: for<'a> Cursor<Key<'a> = &'a Id, Val<'a> = &'a Sale, DiffGat<'a> = &'a isize>,
{
    let mut dropped = BTreeSet::new();
    for closing in round.closings {
        let mut all = cursors(round);
        for (id, slots) in index.take(closing) {
            let mut versions = Versions::default();
            for (cursor, batch) in &mut all {
                versions.read(cursor, batch, &id);
            }
            let mut gone = None;
            for slot in slots {
                let moment = closing.moment(slot.index());
                let then = moment.and_then(|moment| versions.as_of(moment));
                let Some(then) = then else { continue };
                if then.slot == slot && versions.newest() != Some(then) {
                    give(bought(then, round.epoch, 1));
                }
                gone = gone.max(Some(then));
            }
            // What was older at that moment is not the newest at any later one.
            let is_older = |sale: &Sale| gone.is_some_and(|gone| sale < gone);
            let is_gone = |sale: &&Sale| is_older(sale) || closing.has(sale.slot);
            let gone = versions.live().filter(is_gone);
            dropped.extend(gone.map(|sale| (id.clone(), sale.clone())));
        }
    }
    dropped
}

fn bought(sale: &Sale, epoch: Epoch, times: i64) -> CustomerChange {
    let Sale {
        slot,
        quantity,
        customer,
        product,
        status,
        ..
    } = sale;
    let bought = Bought {
        slot: *slot,
        product: product.clone(),
        status: status.clone(),
    };
    let pieces = OrderDiff::order(*quantity);
    let pieces = if times > 0 { pieces } else { pieces.negated() };
    (
        (customer.clone(), ByCustomer::Bought(bought)),
        epoch,
        pieces,
    )
}

/// The versions of one sale, oldest first.
#[derive(Default)]
struct Versions {
    weights: BTreeMap<Sale, isize>,
}

impl Versions {
    fn add(&mut self, sale: &Sale, weight: isize) {
        *self.weights.entry(sale.clone()).or_default() += weight;
    }

    /// Adds what a cursor finds at an id that is not before the last one.
    fn read<C>(&mut self, cursor: &mut C, batch: &C::Storage, id: &Id)
    where
        C: for<'a> Cursor<Key<'a> = &'a Id, Val<'a> = &'a Sale, DiffGat<'a> = &'a isize>,
    {
        cursor.seek_key(batch, id);
        if cursor.get_key(batch) == Some(id) {
            cursor.rewind_vals(batch);
            while let Some(sale) = cursor.get_val(batch) {
                cursor.map_times(batch, |_, weight| self.add(sale, *weight));
                cursor.step_val(batch);
            }
        }
    }

    fn live(&self) -> impl DoubleEndedIterator<Item = &Sale> {
        let live = self.weights.iter().filter(|(_, weight)| **weight > 0);
        live.map(|(sale, _)| sale)
    }

    fn newest(&self) -> Option<&Sale> {
        self.live().next_back()
    }

    fn as_of(&self, moment: &Moment) -> Option<&Sale> {
        self.live().rfind(|sale| moment.has(sale.stamp))
    }
}
