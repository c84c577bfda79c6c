//! The topic `customers`: who buys. A later message of the same id replaces an earlier one.

use serde::{Deserialize, Serialize};

use crate::fields::{Field, Kind, optional_int, optional_text};
use crate::quick::quick;
use crate::{Id, Malformed, Text, TimeField, Timestamp, Topic, decode};

/// The topic `customers`.
#[derive(Clone, Copy, Debug)]
pub struct Customers;

/// A customer, as of one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Customer<'a> {
    /// Which customer.
    pub customer_id: Id,
    /// Full name.
    #[serde(borrow, default, deserialize_with = "optional_text")]
    pub name: Option<Text<'a>>,
    /// Mail address.
    #[serde(borrow, default, deserialize_with = "optional_text")]
    pub email: Option<Text<'a>>,
    /// City.
    #[serde(borrow, default, deserialize_with = "optional_text")]
    pub location: Option<Text<'a>>,
    /// Years.
    #[serde(default, deserialize_with = "optional_int")]
    pub age: Option<i64>,
    /// Open: any text is a group of its own.
    #[serde(borrow)]
    pub gender: Text<'a>,
    /// A date, as its producer wrote it.
    #[serde(borrow, default, deserialize_with = "optional_text")]
    pub account_created: Option<Text<'a>>,
    /// When the customer was last seen.
    pub last_login: Timestamp,
}

pub(crate) const FIELDS: &[Field] = &[
    Field::new("customer_id", Kind::Text),
    Field::new("name", Kind::Optional),
    Field::new("email", Kind::Optional),
    Field::new("location", Kind::Optional),
    Field::new("age", Kind::Optional),
    Field::new("gender", Kind::Text),
    Field::new("account_created", Kind::Optional),
    Field::new("last_login", Kind::Time),
];

quick!(Customer<'a> {
    customer_id: id,
    name: optional_text,
    email: optional_text,
    location: optional_text,
    age: optional_int,
    gender: text,
    account_created: optional_text,
    last_login: time,
});

impl Topic for Customers {
    type Event<'a> = Customer<'a>;

    const NAME: &'static str = "customers";

    const TIMES: &'static [TimeField<Self>] = &[TimeField {
        name: "last_login",
        get: |customer| customer.last_login,
    }];

    #[inline]
    fn decode(json: &[u8]) -> Result<Customer<'_>, Malformed> {
        decode::decode(json, FIELDS)
    }
}
