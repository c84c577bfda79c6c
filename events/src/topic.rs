//! Topics as types.
//!
//! What differs between topics is known when the pipeline is compiled: a
//! [`Topic`] names its struct, so that a view over transactions can only ever see a
//! [`Transaction`](crate::Transaction).

use crate::{Malformed, Timestamp};

/// The names of all topics.
pub const TOPICS: [&str; 6] = [
    crate::Customers::NAME,
    crate::Products::NAME,
    crate::Transactions::NAME,
    crate::ProductViews::NAME,
    crate::UserInteractions::NAME,
    crate::SystemLogs::NAME,
];

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
