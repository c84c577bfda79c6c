//! What tests of views' state share.

use super::join::{Bought, Buyer, ByCustomer, ByProduct, OrderDiff, Person};
use super::join::{Price, Sale, Sold};
use super::key::Key;
use super::parts::Final;
use super::sums::Sums;
use events::Id;
use model::{Slot, Stamp};
use proptest::prelude::*;

/// Few different ones, so that they meet; of all forms.
pub(crate) fn any_id() -> impl Strategy<Value = Id> {
    prop_oneof![
        (0u128..6).prop_map(|n| Id::from_uuid((n << 64) | (0b10 << 62))),
        "[ab]{0,2}".prop_map(|text| Id::new(&text)),
        "[a]{16,18}".prop_map(|text| Id::new(&text)),
    ]
}

fn any_slot() -> impl Strategy<Value = Slot> {
    (0u16..3, -2i64..3).prop_map(|(view, index)| Slot::new(view, index))
}

pub(crate) fn any_key() -> impl Strategy<Value = Key> {
    (any_slot(), any_id(), any_id()).prop_map(|(slot, one, other)| Key {
        slot,
        group: [one, other],
    })
}

pub(crate) fn any_member() -> impl Strategy<Value = (Key, Id, isize)> {
    (any_key(), any_id(), -2isize..3)
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    let times = (any::<i64>(), prop::option::of(any::<i64>()));
    (times, 0..=i32::MAX, any::<i64>()).prop_map(|((kafka, seen), partition, offset)| Stamp {
        kafka,
        partition,
        offset,
        seen: seen.unwrap_or(kafka),
    })
}

pub(crate) fn any_sale() -> impl Strategy<Value = (Id, Sale, isize)> {
    let sale = (
        any_stamp(),
        any_slot(),
        any::<i64>(),
        any_id(),
        any_id(),
        any_id(),
    );
    let sale = sale.prop_map(|(stamp, slot, quantity, customer, product, status)| Sale {
        stamp,
        slot,
        quantity,
        customer,
        product,
        status,
    });
    (any_id(), sale, -2isize..3)
}

fn any_pieces() -> impl Strategy<Value = OrderDiff> {
    (-2i64..3, -9i128..10).prop_map(|(orders, items)| OrderDiff { orders, items })
}

pub(crate) fn any_customer() -> impl Strategy<Value = (Id, ByCustomer, OrderDiff)> {
    let is = (any_stamp(), any_id())
        .prop_map(|(stamp, gender)| ByCustomer::Is(Person { stamp, gender }));
    let bought = (any_slot(), any_id(), any_id()).prop_map(|(slot, product, status)| {
        ByCustomer::Bought(Bought {
            slot,
            product,
            status,
        })
    });
    (any_id(), prop_oneof![is, bought], any_pieces())
}

pub(crate) fn any_product() -> impl Strategy<Value = (Id, ByProduct, OrderDiff)> {
    let is = (any_stamp(), any_id(), any::<i64>()).prop_map(|(stamp, category, price)| {
        ByProduct::Is(Price {
            stamp,
            category,
            price,
        })
    });
    let sold = (any_slot(), any_id()).prop_map(|(slot, who)| ByProduct::Sold(Sold { slot, who }));
    let buyer = (any_slot(), any_id(), any_id()).prop_map(|(slot, who, customer)| {
        ByProduct::Buyer(Buyer {
            slot,
            who,
            customer,
        })
    });
    (any_id(), prop_oneof![is, sold, buyer], any_pieces())
}

pub(crate) fn any_sums() -> impl Strategy<Value = Sums> {
    let small = -2i64..3;
    let wide = prop_oneof![-9i128..10, any::<i128>().prop_map(|wide| wide >> 2)];
    (small.clone(), small, wide.clone(), wide).prop_map(|(count, unique, a, b)| Sums {
        count,
        unique,
        sums: [a, b],
    })
}

pub(crate) fn any_final() -> impl Strategy<Value = Final> {
    (any_key(), 0u64..9, any_sums(), 0i64..9).prop_map(|(key, epoch, sums, closed_at)| Final {
        key,
        epoch,
        sums,
        closed_at,
    })
}
