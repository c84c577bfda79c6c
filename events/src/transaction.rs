//! The topic `transactions`: who bought what. A later message of the same id replaces an earlier one.

use serde::{Deserialize, Serialize};

use crate::fields::{Field, Kind, count, optional_text, status};
use crate::quick::quick;
use crate::{Id, Malformed, Text, TimeField, Timestamp, Topic, decode};

/// The topic `transactions`.
#[derive(Clone, Copy, Debug)]
pub struct Transactions;

/// A sale, as of one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transaction<'a> {
    /// Which sale.
    pub transaction_id: Id,
    /// Who bought.
    pub customer_id: Id,
    /// What was bought.
    pub product_id: Id,
    /// Pieces; not negative.
    #[serde(deserialize_with = "count")]
    pub quantity: i64,
    /// When it was bought.
    pub date_time: Timestamp,
    /// `completed`, `pending`, `canceled`, or any other text; `cancelled` is read as
    /// `canceled`.
    #[serde(borrow, deserialize_with = "status")]
    pub status: Text<'a>,
    /// How it is paid.
    #[serde(borrow, default, deserialize_with = "optional_text")]
    pub payment_method: Option<Text<'a>>,
}

pub(crate) const FIELDS: &[Field] = &[
    Field::new("transaction_id", Kind::Text),
    Field::new("customer_id", Kind::Text),
    Field::new("product_id", Kind::Text),
    Field::new("quantity", Kind::Count),
    Field::new("date_time", Kind::Time),
    Field::new("status", Kind::Text),
    Field::new("payment_method", Kind::Optional),
];

quick!(Transaction<'a> {
    transaction_id: id,
    customer_id: id,
    product_id: id,
    quantity: count,
    date_time: time,
    status: status,
    payment_method: optional_text,
});

impl Topic for Transactions {
    type Event<'a> = Transaction<'a>;

    const NAME: &'static str = "transactions";

    const TIMES: &'static [TimeField<Self>] = &[TimeField {
        name: "date_time",
        get: |transaction| transaction.date_time,
    }];

    #[inline]
    fn decode(json: &[u8]) -> Result<Transaction<'_>, Malformed> {
        decode::decode(json, FIELDS)
    }
}
