//! One partition that a worker reads: how far it is, and what follows from what
//! Kafka reports of it.

use super::answers::Fingerprint;
use super::client::Context;
use super::discovery::Found;
use super::last_read;
use super::queue::{Fetched, Next, Queue};
use super::source::{Message, SourceError, Taken};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use sinks::LastRead;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One partition that this worker reads.
pub(super) struct Partition {
    pub(super) topic: usize,
    pub(super) partition: i32,
    /// Next offset to read.
    pub(super) next: i64,
    /// Whether anything has been read of it: before, its first offset is
    /// wherever its log begins.
    pub(super) started: bool,
    /// Its end when it was found, as far as it could be read.
    pub(super) found_end: i64,
    /// Its end when it was found, open transactions included.
    pub(super) found_log_end: i64,
    /// Whether the end has been reached since it was found.
    pub(super) reached_end: bool,
    /// Whether the end has been reached since the last message.
    pub(super) at_end: bool,
    /// When it was last heard of: a message, or that it may be read again.
    pub(super) heard: Instant,
    /// The last message that was taken up.
    pub(super) last_read: Option<LastRead>,
    /// That of the topic that is read under its name; of a topic that has none, a checksum
    /// of the last message is kept.
    pub(super) fingerprint: Fingerprint,
    /// Messages that may not be taken up yet.
    pub(super) waiting: VecDeque<Waiting>,
    /// What the client has passed behind them.
    passed: i64,
    pub(super) queue: Option<Queue>,
}

/// A message that may not be taken up yet.
pub(super) struct Waiting {
    offset: i64,
    timestamp: i64,
    leader_epoch: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

impl From<&Fetched<'_>> for Waiting {
    fn from(message: &Fetched<'_>) -> Waiting {
        Waiting {
            offset: message.offset,
            timestamp: message.timestamp,
            leader_epoch: message.leader_epoch,
            key: message.key.map(<[u8]>::to_vec),
            value: message.value.map(<[u8]>::to_vec),
        }
    }
}

impl Waiting {
    fn fetched(&self) -> Fetched<'_> {
        Fetched {
            offset: self.offset,
            timestamp: self.timestamp,
            leader_epoch: self.leader_epoch,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
        }
    }
}

impl Partition {
    /// A partition of which nothing has been read.
    pub(super) fn new(found: &Found) -> Partition {
        Partition {
            topic: found.topic,
            partition: found.partition,
            next: found.low,
            started: false,
            found_end: found.high,
            found_log_end: found.end,
            reached_end: found.low >= found.high,
            at_end: false,
            heard: Instant::now(),
            last_read: None,
            fingerprint: 0,
            waiting: VecDeque::new(),
            passed: found.low,
            queue: None,
        }
    }

    /// Goes on at `next`: everything before has been read.
    pub(super) fn go_on(&mut self, next: i64) {
        self.next = next;
        self.started = true;
        self.reached_end = next >= self.found_end;
    }

    /// The client has passed everything before `next`: what it has not given out holds
    /// nothing. Where messages wait that it has given out, that counts once they are taken.
    pub(super) fn pass_to(&mut self, next: i64) {
        if !self.waiting.is_empty() {
            self.passed = next;
        } else if next > self.next {
            self.next = next;
            self.started = true;
        }
    }

    /// Reads what the client has fetched, until it weighs `budget` or there is nothing
    /// more. Returns what it weighs; or what Kafka reports instead of the next message.
    pub(super) fn read(
        &mut self,
        budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<usize, Code> {
        let mut read = self.take_waiting(budget, each);
        // Out of the partition while it is read, so that both can be used.
        let Some(mut queue) = self.queue.take() else {
            return Ok(read);
        };
        let mut error = None;
        while read < budget && self.waiting.is_empty() && error.is_none() {
            let count = queue.take(budget - read, |next| match next {
                Next::Message(message) => {
                    if let Taken::Weighing(weight) = self.take(&message, each) {
                        read += weight;
                    }
                }
                Next::End(offset) => {
                    self.reached_end = true;
                    self.at_end = true;
                    self.pass_to(offset);
                }
                // The first of a batch is the one that counts.
                Next::Error(code) => error = error.or(Some(code)),
            });
            if count == 0 {
                break;
            }
            self.heard = Instant::now();
        }
        self.queue = Some(queue);
        error.map_or(Ok(read), Err)
    }

    /// Takes a message up that has come of it, or lets it wait behind those that
    /// wait already. Returns what it weighs.
    pub(super) fn take(
        &mut self,
        message: &Fetched<'_>,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Taken {
        self.at_end = false;
        let taken = match self.waiting.is_empty() {
            true => self.offer(message, each),
            false => Taken::Later,
        };
        if taken == Taken::Later {
            self.waiting.push_back(Waiting::from(message));
        }
        taken
    }

    /// Takes up what waits, as far as it may be by now. Returns what it weighs.
    fn take_waiting(&mut self, budget: usize, each: &mut dyn FnMut(Message<'_>) -> Taken) -> usize {
        let mut read = 0;
        while read < budget
            && let Some(message) = self.waiting.pop_front()
        {
            match self.offer(&message.fetched(), each) {
                Taken::Weighing(weight) => read += weight,
                Taken::Later => {
                    self.waiting.push_front(message);
                    break;
                }
            }
        }
        self.pass_to(self.passed);
        read
    }

    #[inline]
    fn offer(
        &mut self,
        message: &Fetched<'_>,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Taken {
        let Fetched {
            offset,
            timestamp,
            leader_epoch,
            key,
            value,
        } = *message;
        if self.started && offset < self.next {
            // Fetched twice, around a new assignment.
            return Taken::Weighing(0);
        }
        let taken = each(Message {
            topic: self.topic,
            partition: self.partition,
            offset,
            timestamp,
            key,
            value,
        });
        if let Taken::Weighing(_) = taken {
            self.next = offset + 1;
            self.started = true;
            self.last_read = Some(LastRead {
                offset,
                timestamp,
                leader_epoch: (leader_epoch >= 0).then_some(leader_epoch),
                hash: (self.fingerprint == 0).then(|| last_read::hash(key, value)),
            });
        }
        taken
    }

    /// Whether it has been read to its end and nothing has come for `timeout`.
    ///
    /// That nothing comes says little while its broker cannot be heard: so the
    /// broker must have said lately that this is the end.
    pub(super) fn is_idle(&self, topic: &str, timeout: Duration, context: &Context) -> bool {
        self.at_end
            && self.waiting.is_empty()
            && self.heard.elapsed() >= timeout
            && context.is_end(topic, self.partition, self.next)
    }

    /// What follows from an error that Kafka reports of this partition: whether
    /// its next message is not there any more, or else whether to read on.
    ///
    /// # Errors
    /// When reading on would lose messages, or would never get on.
    pub(super) fn complain(
        &self,
        topic: &str,
        code: Code,
        context: &Context,
    ) -> Result<bool, SourceError> {
        let error = KafkaError::MessageConsumption(code);
        match Verdict::of(code) {
            Verdict::Missing => Ok(true),
            Verdict::Refused => {
                let hint = match code {
                    Code::NotImplemented => {
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
    fn of(code: Code) -> Verdict {
        match code {
            Code::AutoOffsetReset | Code::OffsetOutOfRange => Verdict::Missing,
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
                | Code::MessageSizeTooLarge => Verdict::Refused,
            _ => Verdict::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_waits_is_not_passed() {
        let mut partition = Partition::new(&Found {
            topic: 0,
            partition: 3,
            low: 17,
            high: 20,
            end: 20,
        });
        let message = Fetched {
            offset: 17,
            timestamp: 0,
            leader_epoch: -1,
            key: None,
            value: None,
        };
        partition.take(&message, &mut |_| Taken::Later);
        // The client tells where it has got to while the message waits.
        partition.pass_to(18);
        let mut taken = Vec::new();
        partition.take_waiting(10, &mut |message| {
            taken.push(message.offset);
            Taken::Weighing(1)
        });
        assert_eq!((taken, partition.next), (vec![17], 18));
        // What follows are markers.
        partition.pass_to(20);
        assert_eq!(partition.next, 20);
    }

    #[test]
    fn markers_behind_a_message_that_waits_are_passed_with_it() {
        let mut partition = Partition::new(&Found {
            topic: 0,
            partition: 3,
            low: 17,
            high: 20,
            end: 20,
        });
        let message = Fetched {
            offset: 17,
            timestamp: 0,
            key: None,
            value: None,
        };
        partition.take(&message, &mut |_| Taken::Later);
        // The client reports the end once.
        partition.pass_to(20);
        partition.take_waiting(10, &mut |_| Taken::Later);
        assert_eq!(partition.next, 17);
        partition.take_waiting(10, &mut |_| Taken::Weighing(1));
        assert_eq!(partition.next, 20);
    }

    #[test]
    fn what_passes_is_waited_for_and_what_does_not_is_told() {
        let mut partition = Partition::new(&Found {
            topic: 0,
            partition: 3,
            low: 17,
            high: 20,
            end: 20,
        });
        partition.started = true;
        let complain = |code| partition.complain("sales", code, &Context::default());
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
