//! Of each transaction, what its newest message says.

use super::entries::{Bought, ByCustomer, Sale};
use super::versions::Index;
use super::{CustomerChange, Pieces, SaleChange};
use crate::Epoch;
use crate::time::Advanced;
use crate::views::footprint::Gauge;
use crate::views::key::Slot;
use crate::views::rounds::{Outcome, rounds};
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::cursor::{Cursor, Navigable, cursor_list};
use differential_dataflow::trace::implementations::ValSpine;
use events::Id;
use std::collections::BTreeMap;
use timely::dataflow::StreamVec;

/// Versions of sales, by transaction.
pub(super) type Sales = TraceAgent<ValSpine<Id, Sale, Epoch, isize>>;

/// Changes of what has been bought, by customer: a newer version of a sale takes
/// the place of an older one.
///
/// Of a sale all versions are of one window, most often, and the newest is all that
/// is kept. Where they are not, the older ones stay until their windows close: as
/// of its moment, a window may have a sale that has been moved to another since.
/// (`forever`: no window will close.)
pub(super) fn newest<'scope>(
    sales: Arranged<'scope, Sales>,
    advanced: StreamVec<'scope, Epoch, Advanced>,
    forever: bool,
    gauge: Gauge,
) -> Outcome<'scope, CustomerChange, SaleChange> {
    let mut index = Index::default();
    rounds(
        sales,
        advanced,
        "sales",
        gauge,
        move |round, give, retract| {
            let epoch = round.epoch;
            let mut before: Vec<_> = round.before.iter().map(|b| (b.cursor(), b)).collect();
            let (mut new, storage) = cursor_list(round.new.to_vec());
            while let Some(id) = new.get_key(&storage) {
                let mut versions = Versions::default();
                for (cursor, batch) in &mut before {
                    cursor.seek_key(batch, id);
                    if cursor.get_key(batch) == Some(id) {
                        while let Some(sale) = cursor.get_val(batch) {
                            cursor.map_times(batch, |_, weight| versions.add(sale, *weight));
                            cursor.step_val(batch);
                        }
                    }
                }
                let was = versions.newest().cloned();
                while let Some(sale) = new.get_val(&storage) {
                    let mut come = 0;
                    new.map_times(&storage, |_, weight| come += weight);
                    versions.add(sale, come);
                    if come > 0 {
                        index.add(sale.slot, id);
                    }
                    new.step_val(&storage);
                }
                let is = versions.newest();
                if was.as_ref() != is {
                    // What a closed window has, it keeps.
                    let open = |sale: &&Sale| !round.closed.has(sale.slot);
                    if let Some(was) = was.as_ref().filter(open) {
                        give(bought(was, epoch, -1));
                    }
                    if let Some(is) = is.filter(open) {
                        give(bought(is, epoch, 1));
                    }
                }
                // Where one of its windows closes now, that is seen to below.
                if !versions.live().any(|sale| round.closes(sale.slot)) {
                    for sale in versions.superseded(forever, |slot| round.closed.has(slot)) {
                        retract(((id.clone(), sale), epoch + 1, -1));
                    }
                }
                new.step_key(&storage);
            }

            for closing in round.closings {
                let (mut all, storage) = cursor_list(round.all());
                for (id, slots) in index.take(closing) {
                    all.seek_key(&storage, &id);
                    if all.get_key(&storage) != Some(&id) {
                        continue;
                    }
                    let mut versions = Versions::default();
                    while let Some(sale) = all.get_val(&storage) {
                        all.map_times(&storage, |_, weight| versions.add(sale, *weight));
                        all.step_val(&storage);
                    }
                    let newest = versions.newest().cloned();
                    let mut gone = None;
                    for slot in slots {
                        let then = versions.as_of(closing.moment(slot.index())).cloned();
                        let Some(then) = then else { continue };
                        if then.slot == slot && newest.as_ref() != Some(&then) {
                            give(bought(&then, epoch, 1));
                        }
                        gone = gone.max(Some(then));
                    }
                    // What was older at that moment is not the newest at any later one.
                    let stays = |sale: &Sale| {
                        let older = gone.as_ref().is_some_and(|gone| sale < gone);
                        !older && !closing.has(sale.slot)
                    };
                    let dropped = versions.take_unless(stays);
                    let superseded = versions.superseded(forever, |slot| round.closed.has(slot));
                    for sale in dropped.into_iter().chain(superseded) {
                        retract(((id.clone(), sale), epoch + 1, -1));
                    }
                }
            }
        },
    )
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
    let pieces = Pieces::order(*quantity);
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

    fn live(&self) -> impl DoubleEndedIterator<Item = &Sale> {
        let live = self.weights.iter().filter(|(_, weight)| **weight > 0);
        live.map(|(sale, _)| sale)
    }

    fn newest(&self) -> Option<&Sale> {
        self.live().next_back()
    }

    fn as_of(&self, moment: i64) -> Option<&Sale> {
        self.live().rfind(|sale| sale.stamp.kafka <= moment)
    }

    /// Those that will not be asked for any more: all but the newest, where all are
    /// of one window. Those of closed windows are on their way out already.
    fn superseded(&self, forever: bool, is_closed: impl Fn(Slot) -> bool) -> Vec<Sale> {
        let mut open: Vec<_> = self.live().filter(|sale| !is_closed(sale.slot)).collect();
        let Some(newest) = open.pop() else {
            return Vec::new();
        };
        let one_window = open.iter().all(|sale| sale.slot == newest.slot);
        let superseded = open.into_iter().filter(|_| one_window || forever);
        superseded.cloned().collect()
    }

    fn take_unless(&mut self, stays: impl Fn(&Sale) -> bool) -> Vec<Sale> {
        let gone: Vec<_> = self.live().filter(|sale| !stays(sale)).cloned().collect();
        for sale in &gone {
            self.weights.remove(sale);
        }
        gone
    }
}
