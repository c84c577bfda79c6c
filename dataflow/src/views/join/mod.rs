//! Sales, joined with what they were sales of, and to whom.
//!
//! ```text
//!   transactions ─▶ sales ─▶ by customer ──▶ by product ──▶ sums, members of rows
//!                  the newest   ▲  + gender      ▲  + category, price
//!                  of an id     │                │
//!   customers ──────────────────┘                │
//!   products ────────────────────────────────────┘
//! ```
//!
//! Each of the three is an arrangement by id, and an operator that tells what
//! changes by what has come: a sale that is replaced is taken back, a customer's
//! gender moves the customer's sales, a product's price moves what has been sold
//! of it. By product, sales are kept as sums, so that a price costs in proportion
//! to the rows that it changes and not to the sales behind them.
//!
//! **Moments.** While a window is open, its rows follow whatever is newest. When
//! it closes, they must say the same whoever read which topic first. So a window
//! has a *moment*, a Kafka timestamp (see [`crate::time::Watermarks`]), and closes as
//! of it: each operator puts back what came of messages after the moment, and then
//! forgets the window. Until then it keeps versions that are not the newest any
//! more, but would be as of a moment that is still to come.

mod enrich;
mod entries;
mod newest;
mod order_diff;
mod versions;

pub use entries::{Bought, Buyer, ByCustomer, ByProduct, Person, Price, Sale, Sold};
pub use order_diff::OrderDiff;

use super::Catalog;
use super::changes::{MemberChange, SumsChange};
use super::key::{Key, pack};
use super::parts;
use super::stateful::States;
use super::sums::Sums;
use crate::Epoch;
use enrich::enrich;
use events::Id;
use model::Lateness;
use newest::newest;
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::Map;

/// A version of a sale, by its transaction's id.
pub type SaleChange = ((Id, Sale), Epoch, isize);
/// A version of a customer, or something bought, by the customer's id.
pub type CustomerChange = ((Id, ByCustomer), Epoch, OrderDiff);
/// A version of a product, or something sold of it, by the product's id.
pub type ProductChange = ((Id, ByProduct), Epoch, OrderDiff);

/// What is joined, on the workers that read it.
pub struct Joined<'scope> {
    /// Sales.
    pub sales: StreamVec<'scope, Epoch, SaleChange>,
    /// Customers.
    pub customers: StreamVec<'scope, Epoch, CustomerChange>,
    /// Products.
    pub products: StreamVec<'scope, Epoch, ProductChange>,
}

/// What stands for the category or the gender that is not known.
const UNKNOWN: &str = "unknown";

/// What sales add to the rows of `revenue_analysis`, and the customers they have
/// seen.
pub(super) fn join<'scope>(
    joined: Joined<'scope>,
    catalog: &Catalog,
    states: &mut States<'scope>,
) -> (
    StreamVec<'scope, Epoch, SumsChange>,
    StreamVec<'scope, Epoch, MemberChange>,
) {
    let Joined {
        sales,
        customers,
        products,
    } = joined;
    let mut views = (0..).zip(&catalog.definitions);
    let view = views.find(|(_, view)| !view.joins.is_empty());
    let forever = view.is_some_and(|(_, view)| view.lateness == Lateness::Forever);
    // Where no view joins, nothing comes.
    let view = view.map_or(0, |(number, _)| number);

    let sales = states.keep_values(parts::sales(view), vec![sales], newest(forever));
    let bought = vec![customers, sales];
    let bought = states.keep_values(parts::by_customer(view), bought, enrich(forever, sold));
    let sold = vec![products, bought];
    let earned = states.keep_values(parts::by_product(view), sold, enrich(forever, earned));
    let sums = earned.clone().flat_map(|change| match change {
        Change::Sums(change) => Some(change),
        Change::Member(_) => None,
    });
    let members = earned.flat_map(|change| match change {
        Change::Sums(_) => None,
        Change::Member(change) => Some(change),
    });
    (sums, members)
}

/// What something bought is, when it is known by whom.
fn sold(
    customer: &Id,
    bought: &ByCustomer,
    person: Option<&Person>,
    pieces: OrderDiff,
    epoch: Epoch,
    give: &mut dyn FnMut(ProductChange),
) {
    let ByCustomer::Bought(Bought {
        slot,
        product,
        status,
    }) = bought
    else {
        return;
    };
    let gender = person.map_or_else(|| Id::new(UNKNOWN), |person| person.gender.clone());
    let who = pack(&gender, status);
    let slot = *slot;
    let sold = Sold {
        slot,
        who: who.clone(),
    };
    let buyer = Buyer {
        slot,
        who,
        customer: customer.clone(),
    };
    give(((product.clone(), ByProduct::Sold(sold)), epoch, pieces));
    give(((product.clone(), ByProduct::Buyer(buyer)), epoch, pieces));
}

/// A change of a row's sums or members.
#[derive(Clone)]
enum Change {
    Sums(SumsChange),
    Member(MemberChange),
}

/// What something sold adds to its row, when it is known what it is.
fn earned(
    _product: &Id,
    sold: &ByProduct,
    price: Option<&Price>,
    pieces: OrderDiff,
    epoch: Epoch,
    give: &mut dyn FnMut(Change),
) {
    let category = price.map_or_else(|| Id::new(UNKNOWN), |price| price.category.clone());
    match sold {
        ByProduct::Is(_) => {}
        ByProduct::Sold(Sold { slot, who }) => {
            let key = Key {
                slot: *slot,
                group: [category, who.clone()],
            };
            let price = price.map_or(0, |price| i128::from(price.price));
            let sums = Sums {
                count: pieces.orders,
                unique: 0,
                sums: [pieces.items, pieces.items.wrapping_mul(price)],
            };
            give(Change::Sums(((key, ()), epoch, sums)));
        }
        ByProduct::Buyer(Buyer {
            slot,
            who,
            customer,
        }) => {
            let key = Key {
                slot: *slot,
                group: [category, who.clone()],
            };
            // A count of orders fits a machine word, as it fits memory.
            let orders = isize::try_from(pieces.orders).unwrap_or(0);
            give(Change::Member(((key, customer.clone()), epoch, orders)));
        }
    }
}
