//! The topic `product_views`: who looked at what, and for how long.

use serde::{Deserialize, Serialize};

use crate::fields::{Field, Kind, count};
use crate::quick::quick;
use crate::{Id, Malformed, TimeField, Timestamp, Topic, decode};

/// The topic `product_views`.
#[derive(Clone, Copy, Debug)]
pub struct ProductViews;

/// A look at a product. It holds no text, so that it borrows nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductView {
    /// Which look.
    pub view_id: Id,
    /// Who looked.
    pub customer_id: Id,
    /// At what.
    pub product_id: Id,
    /// When.
    pub timestamp: Timestamp,
    /// Milliseconds; not negative.
    #[serde(deserialize_with = "count")]
    pub view_duration: i64,
}

pub(crate) const FIELDS: &[Field] = &[
    Field::new("view_id", Kind::Text),
    Field::new("customer_id", Kind::Text),
    Field::new("product_id", Kind::Text),
    Field::new("timestamp", Kind::Time),
    Field::new("view_duration", Kind::Count),
];

quick!(ProductView {
    view_id: id,
    customer_id: id,
    product_id: id,
    timestamp: time,
    view_duration: count,
});

impl Topic for ProductViews {
    type Event<'a> = ProductView;

    const NAME: &'static str = "product_views";

    const TIMES: &'static [TimeField<Self>] = &[TimeField {
        name: "timestamp",
        get: |view| view.timestamp,
    }];

    #[inline]
    fn decode(json: &[u8]) -> Result<ProductView, Malformed> {
        decode::decode(json, FIELDS)
    }
}
