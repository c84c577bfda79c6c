//! What can be wrong with a partition, and what follows from it.
//!
//! A broker hands out batches as they lie on its disk. Their checksum covers all but four
//! fields of their header: what is wrong with those (offset, length, leader epoch, format)
//! shows by what comes of them, or does not come.

use super::queue::Reported;
use super::source::SourceError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What is wrong with a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// Kafka or its client reports something instead of the next message.
    Reported(Reported),
    /// A message has an offset that is not greater than that of the one before it.
    Backwards {
        /// Its offset.
        offset: i64,
        /// That of the one before it.
        after: i64,
    },
    /// The broker answers, and delivers nothing, although the log goes on.
    Nothing {
        /// Where the log ends.
        end: i64,
        /// For how many seconds.
        seconds: u64,
    },
}

/// Whether an error is about messages of a partition: then it may be reported once, and what
/// comes next lies behind it.
pub(super) fn is_of_messages(code: Code) -> bool {
    matches!(Verdict::of(code), Verdict::Missing | Verdict::Damaged) || code == Code::NotImplemented
}

/// What follows from a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It passes by itself.
    Wait,
    /// The offset is not there (any more).
    Missing,
    /// It will be the same for ever.
    Refused,
    /// The same, because what the broker holds is damaged.
    Damaged,
}

impl Verdict {
    /// What follows from an error that Kafka or its client reports.
    pub(super) fn of(code: Code) -> Verdict {
        match code {
            Code::AutoOffsetReset | Code::OffsetOutOfRange => Verdict::Missing,
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            // The client would skip it, or try for ever.
            | Code::NotImplemented
            | Code::MessageSizeTooLarge => Verdict::Refused,
            // Batches whose checksum is wrong, or that cannot be unpacked: the client would
            // go on behind them.
            Code::BadCompression | Code::BadMessage | Code::InvalidMessage => Verdict::Damaged,
            _ => Verdict::Wait,
        }
    }

    /// Whether nothing may be read any more.
    pub(super) fn ends(self) -> bool {
        matches!(self, Verdict::Refused | Verdict::Damaged)
    }
}

impl Fault {
    /// What follows from it.
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Fault::Reported(reported) => Verdict::of(reported.code),
            Fault::Backwards { .. } | Fault::Nothing { .. } => Verdict::Damaged,
        }
    }

    /// The error that ends the run. `next` is the next offset to read.
    pub(super) fn error(&self, topic: &str, partition: i32, next: i64) -> SourceError {
        let topic = topic.to_owned();
        // What comes before the offset that it is about may not be taken up yet; and where
        // that begins a batch, some of it may have been.
        let offset = match self {
            Fault::Reported(reported) => reported.offset.max(next),
            Fault::Backwards { .. } | Fault::Nothing { .. } => next,
        };
        let detail = self.to_string();
        match self.verdict() {
            Verdict::Damaged => SourceError::Damaged {
                topic,
                partition,
                offset,
                detail,
            },
            _ => SourceError::Refused {
                topic,
                partition,
                offset,
                detail,
            },
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Reported(Reported { code, detail, .. }) => {
                match detail.is_empty() {
                    true => write!(f, "{}", KafkaError::MessageConsumption(*code))?,
                    false => f.write_str(detail)?,
                }
                match code {
                    Code::NotImplemented => f.write_str(
                        ". It is damaged, or in a format that this build cannot read; it reads \
                         gzip, snappy, lz4 and zstd",
                    ),
                    _ => Ok(()),
                }
            }
            Fault::Backwards { offset, after } => write!(
                f,
                "the message after offset {after} has offset {offset}, so one of the two is wrong"
            ),
            Fault::Nothing { end, seconds } => write!(
                f,
                "for {seconds} s the broker has answered and delivered nothing, although the log \
                 goes on to offset {end}, so the length of a batch is wrong"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(code: Code, offset: i64) -> Fault {
        Fault::Reported(Reported {
            code,
            offset,
            detail: "so the client said".to_owned(),
        })
    }

    #[test]
    fn damage_is_reported_with_its_place() {
        for (offset, next, said) in [(50, 50, 50), (50, 40, 50), (50, 53, 53), (-1_001, 7, 7)] {
            let fault = reported(Code::BadMessage, offset);
            assert!(fault.verdict().ends());
            let error = fault.error("sales", 3, next).to_string();
            let place =
                format!("topic sales partition 3: the log is damaged at offset {said}: so ");
            assert!(error.starts_with(&place), "{error}");
        }
        let backwards = Fault::Backwards {
            offset: 20,
            after: 4_115,
        };
        let error = backwards.error("sales", 3, 4_116).to_string();
        assert!(
            error.contains("the message after offset 4115 has offset 20"),
            "{error}"
        );
    }

    #[test]
    fn what_passes_is_waited_for() {
        for code in [Code::BrokerTransportFailure, Code::NotLeaderForPartition] {
            assert_eq!(reported(code, 3).verdict(), Verdict::Wait);
        }
        assert_eq!(
            reported(Code::AutoOffsetReset, 3).verdict(),
            Verdict::Missing
        );
        let format = reported(Code::NotImplemented, 3);
        assert_eq!(format.verdict(), Verdict::Refused);
        let error = format.error("sales", 3, 3).to_string();
        assert!(error.starts_with("topic sales partition 3: Kafka refuses to go on at offset 3"));
        assert!(error.contains("it reads gzip"), "{error}");
    }
}
