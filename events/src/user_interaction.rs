//! The topic `user_interactions`: wishes, reviews and ratings.

use serde::{Deserialize, Serialize};

use crate::fields::{Field, Kind, optional_text};
use crate::quick::quick;
use crate::{Id, Malformed, Text, TimeField, Timestamp, Topic, decode};

/// The topic `user_interactions`.
#[derive(Clone, Copy, Debug)]
pub struct UserInteractions;

/// A wish, review or rating.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserInteraction<'a> {
    /// Which interaction.
    pub interaction_id: Id,
    /// Who.
    pub customer_id: Id,
    /// With what.
    pub product_id: Id,
    /// When.
    pub timestamp: Timestamp,
    /// `wishlist_addition`, `review`, `rating`, or any other text.
    #[serde(borrow)]
    pub interaction_type: Text<'a>,
    /// What a review says.
    #[serde(borrow, default, deserialize_with = "optional_text")]
    pub details: Option<Text<'a>>,
}

pub(crate) const FIELDS: &[Field] = &[
    Field::new("interaction_id", Kind::Text),
    Field::new("customer_id", Kind::Text),
    Field::new("product_id", Kind::Text),
    Field::new("timestamp", Kind::Time),
    Field::new("interaction_type", Kind::Text),
    Field::new("details", Kind::Optional),
];

quick!(UserInteraction<'a> {
    interaction_id: id,
    customer_id: id,
    product_id: id,
    timestamp: time,
    interaction_type: text,
    details: optional_text,
});

impl Topic for UserInteractions {
    type Event<'a> = UserInteraction<'a>;

    const NAME: &'static str = "user_interactions";

    const TIMES: &'static [TimeField<Self>] = &[TimeField {
        name: "timestamp",
        get: |interaction| interaction.timestamp,
    }];

    #[inline]
    fn decode(json: &[u8]) -> Result<UserInteraction<'_>, Malformed> {
        decode::decode(json, FIELDS)
    }
}
