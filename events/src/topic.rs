//! Topics as types.
//!
//! What differs between topics is known when the pipeline is compiled: a
//! [`Topic`] names its struct, so that a view over transactions can only ever see a
//! [`Transaction`](crate::Transaction).

use crate::fields::Field;
use crate::{Malformed, Timestamp};
use crate::{customer, product, product_view, system_log, transaction, user_interaction};

/// The names of all topics.
pub const TOPICS: [&str; 6] = [
    crate::Customers::NAME,
    crate::Products::NAME,
    crate::Transactions::NAME,
    crate::ProductViews::NAME,
    crate::UserInteractions::NAME,
    crate::SystemLogs::NAME,
];

/// The fields of the events of the topic of this name; none where there is no such topic.
pub fn fields_of(topic: &str) -> &'static [Field] {
    match topic {
        crate::Customers::NAME => customer::FIELDS,
        crate::Products::NAME => product::FIELDS,
        crate::Transactions::NAME => transaction::FIELDS,
        crate::ProductViews::NAME => product_view::FIELDS,
        crate::UserInteractions::NAME => user_interaction::FIELDS,
        crate::SystemLogs::NAME => system_log::FIELDS,
        _ => &[],
    }
}

/// Whether a message is an event of the topic of this name.
pub fn is_event_of(topic: &str, json: &[u8]) -> bool {
    match topic {
        crate::Customers::NAME => crate::Customers::decode(json).is_ok(),
        crate::Products::NAME => crate::Products::decode(json).is_ok(),
        crate::Transactions::NAME => crate::Transactions::decode(json).is_ok(),
        crate::ProductViews::NAME => crate::ProductViews::decode(json).is_ok(),
        crate::UserInteractions::NAME => crate::UserInteractions::decode(json).is_ok(),
        crate::SystemLogs::NAME => crate::SystemLogs::decode(json).is_ok(),
        _ => false,
    }
}

/// A topic: a marker type without values of interest.
pub trait Topic: Copy + Send + Sync + 'static {
    /// What its messages hold, borrowed from the bytes of one.
    type Event<'a>;

    /// Its name in Kafka.
    const NAME: &'static str;

    /// The required times of its events, by field name; none where an event has
    /// only the Kafka timestamp of its message.
    const TIMES: &'static [TimeField<Self>];

    /// Reads the value of a message.
    ///
    /// # Errors
    ///
    /// The first reason found why it is not an event of this topic.
    fn decode(json: &[u8]) -> Result<Self::Event<'_>, Malformed>;
}

/// A time inside the events of a topic.
pub struct TimeField<T: Topic> {
    /// The field's name.
    pub name: &'static str,
    /// Reads it.
    pub get: for<'a, 'b> fn(&'b T::Event<'a>) -> Timestamp,
}

impl<T: Topic> Clone for TimeField<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Topic> Copy for TimeField<T> {}
