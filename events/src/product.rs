//! The topic `products`: what is sold. A later message of the same id replaces an earlier one.

use serde::{Deserialize, Serialize};

use crate::fields::{Field, Kind, count, optional_number, optional_text};
use crate::quick::quick;
use crate::{Id, Malformed, Money, Text, TimeField, Topic, decode};

/// The topic `products`. Its events hold no time but their message's.
#[derive(Clone, Copy, Debug)]
pub struct Products;

/// A product, as of one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Product<'a> {
    /// Which product.
    pub product_id: Id,
    /// What it is called.
    #[serde(borrow, default, deserialize_with = "optional_text")]
    pub name: Option<Text<'a>>,
    /// Open: any text is a group of its own.
    #[serde(borrow)]
    pub category: Text<'a>,
    /// Of one piece; not negative.
    pub price: Money,
    /// Pieces; not negative.
    #[serde(deserialize_with = "count")]
    pub stock_quantity: i64,
    /// Who supplies it.
    #[serde(borrow, default, deserialize_with = "optional_text")]
    pub supplier: Option<Text<'a>>,
    /// 1 to 5, by custom.
    #[serde(default, deserialize_with = "optional_number")]
    pub rating: Option<f64>,
}

pub(crate) const FIELDS: &[Field] = &[
    Field::new("product_id", Kind::Text),
    Field::new("name", Kind::Optional),
    Field::new("category", Kind::Text),
    Field::new("price", Kind::Money),
    Field::new("stock_quantity", Kind::Count),
    Field::new("supplier", Kind::Optional),
    Field::new("rating", Kind::Optional),
];

quick!(Product<'a> {
    product_id: id,
    name: optional_text,
    category: text,
    price: money,
    stock_quantity: count,
    supplier: optional_text,
    rating: optional_number,
});

impl Topic for Products {
    type Event<'a> = Product<'a>;

    const NAME: &'static str = "products";

    const TIMES: &'static [TimeField<Self>] = &[];

    #[inline]
    fn decode(json: &[u8]) -> Result<Product<'_>, Malformed> {
        decode::decode(json, FIELDS)
    }
}
