//! Views under other numbers.
//!
//! Records say of which view they are by its number, its place in the catalog. Where a
//! program has other views than the one that wrote a checkpoint, records are taken over
//! under the numbers of now, and those of views that are not taken over are left out.

use crate::views::join::{ByCustomer, ByProduct, Sale};
use crate::views::key::Slot;

/// What becomes of views' numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// By the number of then: the number of now; none where the view is left out.
    views: Vec<Option<u16>>,
    /// Whether what is joined is kept: one view joins, and keeps customers and
    /// products of which it has sold nothing yet.
    joined: bool,
}

impl Numbering {
    /// `views`: the number of now, by that of then; `joined`: whether the view that
    /// joins is taken over.
    pub fn new(views: Vec<Option<u16>>, joined: bool) -> Numbering {
        Numbering { views, joined }
    }

    /// The number of now of the view that was number `view`, if it is taken over.
    pub fn of(&self, view: u16) -> Option<u16> {
        self.views.get(usize::from(view)).copied().flatten()
    }

    /// Whether a record of this slot is taken over, under its new number.
    pub(super) fn slot(&self, slot: &mut Slot) -> bool {
        let view = self.of(slot.view());
        if let Some(view) = view {
            *slot = Slot::new(view, slot.index());
        }
        view.is_some()
    }

    pub(super) fn sale(&self, sale: &mut Sale) -> bool {
        self.joined && self.slot(&mut sale.slot)
    }

    pub(super) fn by_customer(&self, entry: &mut ByCustomer) -> bool {
        self.joined
            && match entry {
                ByCustomer::Is(_) => true,
                ByCustomer::Bought(bought) => self.slot(&mut bought.slot),
            }
    }

    pub(super) fn by_product(&self, entry: &mut ByProduct) -> bool {
        self.joined
            && match entry {
                ByProduct::Is(_) => true,
                ByProduct::Sold(sold) => self.slot(&mut sold.slot),
                ByProduct::Buyer(buyer) => self.slot(&mut buyer.slot),
            }
    }
}
