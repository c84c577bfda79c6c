//! The bytes of everything that arrangements hold.
//!
//! Each struct is taken apart whole, so that a field that is added to it does not
//! compile until it has a place here, and the format of files another number.

use super::join::{Bought, Buyer, ByCustomer, ByProduct, OrderDiff, Person};
use super::join::{Price, Sale, Sold};
use super::key::Key;
use super::parts::Final;
use super::sums::Sums;
use checkpoint::{Codec, byte};

/// A struct is its fields, in this order.
macro_rules! fields {
    ($name:ident { $($field:ident),+ }) => {
        impl Codec for $name {
            #[inline]
            fn put(&self, into: &mut Vec<u8>) {
                let $name { $($field),+ } = self;
                $($field.put(into);)+
            }

            #[inline]
            fn take(from: &mut &[u8]) -> Option<$name> {
                $(let $field = Codec::take(from)?;)+
                Some($name { $($field),+ })
            }
        }
    };
}

/// A variant is a byte, and then what it holds.
macro_rules! variants {
    ($name:ident { $($number:literal => $variant:ident),+ }) => {
        impl Codec for $name {
            #[inline]
            fn put(&self, into: &mut Vec<u8>) {
                match self {
                    $($name::$variant(held) => {
                        into.push($number);
                        held.put(into);
                    })+
                }
            }

            #[inline]
            fn take(from: &mut &[u8]) -> Option<$name> {
                match byte(from)? {
                    $($number => Codec::take(from).map($name::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

fields!(Key { slot, group });
fields!(Sums {
    count,
    unique,
    sums
});
fields!(Sale {
    stamp,
    slot,
    quantity,
    customer,
    product,
    status
});
fields!(Person { stamp, gender });
fields!(Price {
    stamp,
    category,
    price
});
fields!(Bought {
    slot,
    product,
    status
});
fields!(Sold { slot, who });
fields!(Buyer {
    slot,
    who,
    customer
});
fields!(OrderDiff { orders, items });
variants!(ByCustomer { 0 => Is, 1 => Bought });
variants!(ByProduct { 0 => Is, 1 => Sold, 2 => Buyer });

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
