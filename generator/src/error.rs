//! What can go wrong, in a sentence each: what, where, and what to do.

/// Why a run failed. What is in `brokers` is as the user gave it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A property that librdkafka does not take.
    #[error("librdkafka does not take these settings: {0}")]
    Settings(String),
    /// A property that is none, or lacks another one.
    #[error(transparent)]
    Property(#[from] client::PropertyError),
    /// Nobody answered in time.
    #[error(
        "no Kafka broker answered at {brokers} within {seconds} s ({reason}): \
         start one there, or name another with --brokers"
    )]
    NoBroker {
        /// Where.
        brokers: String,
        /// For how long it was tried.
        seconds: u64,
        /// What the client said last.
        reason: String,
    },
    /// A topic is missing and cannot be created.
    #[error("topic {topic} is missing and {brokers} does not create it: {reason}")]
    Topic {
        /// Which topic.
        topic: String,
        /// Where.
        brokers: String,
        /// What the broker said.
        reason: String,
    },
    /// A message was not taken.
    #[error("cannot send to topic {topic} at {brokers}: {reason}")]
    Send {
        /// Which topic.
        topic: String,
        /// Where.
        brokers: String,
        /// What the client said.
        reason: String,
    },
    /// What is to be sent cannot be read.
    #[error("reading what is to be sent: {0}")]
    Input(#[source] std::io::Error),
}

impl Error {
    /// Whether it is known before anything is sent, and will be the same the next time.
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Settings(_) | Error::Property(_))
    }
}
