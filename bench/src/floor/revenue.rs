//! Sales, joined with their newest products and customers.

use super::table::Table;
use events::{Id, Money, Transaction};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Which version of a thing is the newest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) kafka: i64,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// The join, and its rows.
#[derive(Default)]
pub(super) struct Revenue {
    /// By category, gender and status.
    pub(super) rows: Table<3>,
    customers: HashMap<Id, Party<Id>, FixedState>,
    products: HashMap<Id, Party<(Id, Money)>, FixedState>,
    sales: Vec<Sale>,
    numbers: HashMap<Id, u32, FixedState>,
    /// How many sales bring each buyer to a row.
    buyers: HashMap<(u32, Id), u32, FixedState>,
}

/// What is known of a customer or a product, and the sales that it has a part in.
struct Party<T> {
    known: Option<(Stamp, T)>,
    sales: Vec<u32>,
}

impl<T> Default for Party<T> {
    fn default() -> Self {
        Party {
            known: None,
            sales: Vec::new(),
        }
    }
}

struct Sale {
    stamp: Stamp,
    hour: i64,
    customer: Id,
    product: Id,
    quantity: i64,
    status: Id,
    /// What it has added, and to which row.
    counted: Option<(u32, i128)>,
}

impl Revenue {
    pub(super) fn customer(&mut self, id: Id, gender: Id, stamp: Stamp) {
        let party = self.customers.entry(id).or_default();
        if party.known.as_ref().is_some_and(|known| known.0 > stamp) {
            return;
        }
        party.known = Some((stamp, gender));
        for number in party.sales.clone() {
            self.count(number);
        }
    }

    pub(super) fn product(&mut self, id: Id, category: Id, price: Money, stamp: Stamp) {
        let party = self.products.entry(id).or_default();
        if party.known.as_ref().is_some_and(|known| known.0 > stamp) {
            return;
        }
        party.known = Some((stamp, (category, price)));
        for number in party.sales.clone() {
            self.count(number);
        }
    }

    pub(super) fn sale(&mut self, event: &Transaction<'_>, hour: i64, stamp: Stamp) {
        let sale = Sale {
            stamp,
            hour,
            customer: event.customer_id.clone(),
            product: event.product_id.clone(),
            quantity: event.quantity,
            status: Id::new(&event.status),
            counted: None,
        };
        let number = match self.numbers.entry(event.transaction_id.clone()) {
            Entry::Occupied(entry) => {
                let number = *entry.get();
                if self.sales[number as usize].stamp > stamp {
                    return;
                }
                self.take_back(number);
                self.leave(number);
                self.sales[number as usize] = sale;
                number
            }
            Entry::Vacant(entry) => {
                let number = u32::try_from(self.sales.len()).expect("fewer sales than 2^32");
                self.sales.push(sale);
                *entry.insert(number)
            }
        };
        let sale = &self.sales[number as usize];
        let customer = self.customers.entry(sale.customer.clone()).or_default();
        customer.sales.push(number);
        let product = self.products.entry(sale.product.clone()).or_default();
        product.sales.push(number);
        self.count(number);
    }

    /// Its customer and product know nothing of a sale any more.
    fn leave(&mut self, number: u32) {
        let sale = &self.sales[number as usize];
        if let Some(party) = self.customers.get_mut(&sale.customer) {
            party.sales.retain(|sale| *sale != number);
        }
        if let Some(party) = self.products.get_mut(&sale.product) {
            party.sales.retain(|sale| *sale != number);
        }
    }

    /// Counts a sale by what is known now, and no more by what was known before.
    fn count(&mut self, number: u32) {
        self.take_back(number);
        let sale = &self.sales[number as usize];
        let customer = self.customers.get(&sale.customer);
        let gender = customer.and_then(|party| Some(party.known.as_ref()?.1.clone()));
        let product = self.products.get(&sale.product);
        let product = product.and_then(|party| Some(party.known.as_ref()?.1.clone()));
        let unknown = || Id::new("unknown");
        let (category, price) = match product {
            Some((category, price)) => (category, i128::from(price.nanos())),
            None => (unknown(), 0),
        };
        let gender = gender.unwrap_or_else(unknown);
        let (items, revenue) = (i128::from(sale.quantity), i128::from(sale.quantity) * price);
        let group = [category, gender, sale.status.clone()];
        let place = self.rows.touch(sale.hour, group);
        let row = self.rows.row(place);
        row.count += 1;
        row.sums[0] += items;
        row.sums[1] += revenue;
        let buyers = self
            .buyers
            .entry((place, sale.customer.clone()))
            .or_default();
        row.unique += i64::from(*buyers == 0);
        *buyers += 1;
        self.sales[number as usize].counted = Some((place, revenue));
    }

    fn take_back(&mut self, number: u32) {
        let sale = &mut self.sales[number as usize];
        let Some((place, revenue)) = sale.counted.take() else {
            return;
        };
        let (hour, group) = {
            let row = self.rows.row(place);
            row.count -= 1;
            row.sums[0] -= i128::from(sale.quantity);
            row.sums[1] -= revenue;
            (row.window, row.group.clone())
        };
        self.rows.touch(hour, group);
        if let Entry::Occupied(mut entry) = self.buyers.entry((place, sale.customer.clone())) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
                self.rows.row(place).unique -= 1;
            }
        }
    }
}
