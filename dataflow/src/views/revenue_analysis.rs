//! What is earned, and by whom: transactions, joined with their products and
//! customers, by category, gender, status and hour of the sale.
//!
//! A product or a customer is what its newest message says, a sale what the newest
//! message of its transaction says. What is not known (yet) is `unknown`, and costs
//! nothing.

use super::contributions::Contributions;
use super::definition::Output;
use super::join::{ByCustomer, ByProduct, Person, Price, Sale};
use super::view::{Join, View};
use events::{Customer, Customers, Id, Product, Products, Topic, Transaction, Transactions};
use model::{Slot, Stamp};

/// The view.
pub(super) fn view() -> View<Transactions> {
    View::<Transactions>::new(
        "revenue_analysis",
        "Orders, items, revenue and buyers by category, gender, status and hour",
    )
    .by_time("date_time", |sale| sale.date_time)
    .joining(Join {
        with: &[Products::NAME, Customers::NAME],
        groups: &["category", "gender", "status"],
        outputs: &[
            ("orders", Output::Count),
            ("items", Output::Sum(0)),
            ("revenue", Output::Money(1)),
            ("buyers", Output::Unique),
        ],
        feed: sale,
    })
}

fn sale(sale: &Transaction<'_>, slot: Slot, stamp: Stamp, into: &mut Contributions) {
    let version = Sale {
        stamp,
        slot,
        quantity: sale.quantity,
        customer: sale.customer_id.clone(),
        product: sale.product_id.clone(),
        status: Id::new(&sale.status),
    };
    into.sale(sale.transaction_id.clone(), version);
}

/// What a customer is from now on.
pub(super) fn customer(customer: &Customer<'_>, stamp: Stamp, into: &mut Contributions) {
    let gender = Id::new(&customer.gender);
    let person = ByCustomer::Is(Person { stamp, gender });
    into.customer(customer.customer_id.clone(), person);
}

/// What a product is from now on.
pub(super) fn product(product: &Product<'_>, stamp: Stamp, into: &mut Contributions) {
    let price = ByProduct::Is(Price {
        stamp,
        category: Id::new(&product.category),
        price: product.price.0,
    });
    into.product(product.product_id.clone(), price);
}
