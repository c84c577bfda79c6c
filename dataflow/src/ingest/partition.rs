//! One partition that a worker reads: how far it is, and what follows from what
//! Kafka reports of it.

use super::client::Context;
use super::source::{Message, SourceError};
use rdkafka::Timestamp;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message as _};

/// One partition that this worker reads.
pub(super) struct Partition {
    pub(super) topic: usize,
    pub(super) partition: i32,
    /// Next offset to read.
    pub(super) next: i64,
    /// Whether anything has been read of it: before, its first offset is
    /// wherever its log begins.
    pub(super) started: bool,
    /// Its end when it was found.
    pub(super) found_end: i64,
    /// Whether the end has been reached since it was found.
    pub(super) reached_end: bool,
    /// Whether `next` has moved since positions were taken.
    pub(super) moved: bool,
    pub(super) queue: Option<PartitionQueue<Context>>,
}

impl Partition {
    /// Takes a message up. Returns what it weighs.
    pub(super) fn take(
        &mut self,
        message: &BorrowedMessage<'_>,
        each: &mut dyn FnMut(Message<'_>) -> usize,
    ) -> usize {
        let offset = message.offset();
        if self.started && offset < self.next {
            // Fetched twice, around a new assignment.
            return 0;
        }
        let timestamp = match message.timestamp() {
            Timestamp::CreateTime(millis) | Timestamp::LogAppendTime(millis) => millis,
            Timestamp::NotAvailable => 0,
        };
        let weight = each(Message {
            topic: self.topic,
            partition: self.partition,
            offset,
            timestamp,
            key: message.key(),
            value: message.payload(),
        });
        self.next = offset + 1;
        self.started = true;
        self.moved = true;
        weight
    }

    /// What follows from an error that Kafka reports of this partition: whether
    /// its next message is not there any more, or else whether to read on.
    ///
    /// # Errors
    /// When reading on would lose messages, or would never get on.
    pub(super) fn complain(
        &self,
        topic: &str,
        error: &KafkaError,
        context: &Context,
    ) -> Result<bool, SourceError> {
        let code = error.rdkafka_error_code();
        match Verdict::of(code) {
            Verdict::Missing => Ok(true),
            Verdict::Refused => {
                let hint = match code {
                    Some(Code::NotImplemented) => {
                        ". Its messages are compressed in a way that this build cannot read; it \
                         reads gzip, snappy and lz4"
                    }
                    _ => "",
                };
                Err(self.refused(topic, format!("{error}{hint}")))
            }
            Verdict::Wait => {
                let partition = self.partition;
                let complaint = format!("Kafka: topic {topic} partition {partition}: {error}");
                if context.is_news(&complaint) {
                    tracing::warn!("{complaint}; going on when it is back");
                }
                Ok(false)
            }
        }
    }

    /// The error that ends the run: it cannot go on at its next offset.
    pub(super) fn refused(&self, topic: &str, detail: String) -> SourceError {
        SourceError::Refused {
            topic: topic.to_owned(),
            partition: self.partition,
            offset: self.next,
            detail,
        }
    }
}

/// What an error of a partition means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// It passes by itself.
    Wait,
    /// The offset is not there (any more).
    Missing,
    /// It will be the same for ever.
    Refused,
}

impl Verdict {
    fn of(code: Option<Code>) -> Verdict {
        match code {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Verdict::Missing,
            Some(
                Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::UnsupportedSASLMechanism
                // Batches that cannot be unpacked: the client would skip them, or
                // try for ever.
                | Code::NotImplemented
                | Code::BadCompression
                | Code::BadMessage
                | Code::InvalidMessage
                | Code::MessageSizeTooLarge,
            ) => Verdict::Refused,
            _ => Verdict::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_waited_for_and_what_does_not_is_told() {
        let partition = Partition {
            topic: 0,
            partition: 3,
            next: 17,
            started: true,
            found_end: 20,
            reached_end: false,
            moved: false,
            queue: None,
        };
        let complain = |code| {
            let error = KafkaError::MessageConsumption(code);
            partition.complain("sales", &error, &Context::default())
        };
        assert_eq!(complain(Code::BrokerTransportFailure), Ok(false));
        assert_eq!(complain(Code::NotLeaderForPartition), Ok(false));
        assert_eq!(complain(Code::AutoOffsetReset), Ok(true));
        for code in [Code::NotImplemented, Code::BadMessage] {
            let error = complain(code).unwrap_err().to_string();
            assert!(
                error.starts_with("topic sales partition 3: Kafka refuses to go on at offset 17"),
                "{error}"
            );
        }
        let zstd = complain(Code::NotImplemented).unwrap_err().to_string();
        assert!(zstd.contains("it reads gzip"), "{zstd}");
    }
}
