//! One partition that a worker reads: how far it is, and what follows from what
//! Kafka reports of it.

use super::answers::Fingerprint;
use super::context::{Ahead, Context};
use super::discovery::Found;
use super::fault::{Fault, Verdict};
use super::last_read;
use super::queue::{Fetched, Next, Queue};
use super::source::{Message, SourceError, Taken};
use sinks::LastRead;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a broker may deliver nothing of a log that goes on, while it answers so often:
/// one that throttles the client answers less often.
const STALL: Duration = Duration::from_secs(20);
const ANSWERS: u64 = 30;

/// One partition that this worker reads.
pub(super) struct Partition {
    pub(super) topic: usize,
    pub(super) partition: i32,
    /// Next offset to read.
    pub(super) next: i64,
    /// Whether it is read for a backfill, and
    pub(super) is_backfill: bool,
    /// whether that has caught up: nothing more is read of it.
    pub(super) is_finished: bool,
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
    /// The first and the last offset that have come since it was assigned.
    come: Option<(i64, i64)>,
    /// Since when nothing comes although the log goes on, and what was known of that then.
    stalled: Option<(Instant, Ahead)>,
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
            is_backfill: false,
            is_finished: false,
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
            come: None,
            stalled: None,
            queue: None,
        }
    }

    /// Goes on at `next`: everything before has been read.
    pub(super) fn go_on(&mut self, next: i64) {
        self.next = next;
        // And no further, also where the log begins later by now: what is missing is reported.
        self.passed = next;
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
    /// more. Returns what it weighs; or what is wrong with the partition. Nothing is taken
    /// up that comes behind what cannot be read.
    pub(super) fn read(
        &mut self,
        budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<usize, Fault> {
        let mut read = self.take_waiting(budget, each);
        // Out of the partition while it is read, so that both can be used.
        let Some(mut queue) = self.queue.take() else {
            return Ok(read);
        };
        let mut fault: Option<Fault> = None;
        let ends = |fault: &Option<Fault>| fault.as_ref().is_some_and(|f| f.verdict().ends());
        while read < budget && self.waiting.is_empty() && fault.is_none() && !self.is_finished {
            let count = queue.take(budget - read, |next| match next {
                _ if self.is_finished || ends(&fault) => {}
                Next::Message(message) => match self.take(&message, each) {
                    Ok(Taken::Accepted { cost: weight }) => read += weight,
                    Ok(Taken::Later | Taken::Finished) => {}
                    Err(backwards) => fault = Some(backwards),
                },
                Next::End(offset) => {
                    self.reached_end = true;
                    self.at_end = true;
                    self.pass_to(offset);
                }
                // Of several, the first that ends the run is the one that counts.
                Next::Error(reported) => {
                    let reported = Fault::Reported(reported);
                    if fault.is_none() || reported.verdict().ends() {
                        fault = Some(reported);
                    }
                }
            });
            if count == 0 {
                break;
            }
            self.is_heard();
        }
        self.queue = Some(queue);
        fault.map_or(Ok(read), Err)
    }

    /// It is assigned anew: what was fetched before may come once more.
    pub(super) fn is_assigned(&mut self) {
        self.come = None;
    }

    /// Something has come of it, or may come from now on.
    pub(super) fn is_heard(&mut self) {
        self.heard = Instant::now();
        self.stalled = None;
    }

    /// Checks that offsets grow, since the client delivers them as they are in the log.
    /// Only after a new assignment may it begin again, where it had begun after that.
    fn check_order(&mut self, offset: i64) -> Result<(), Fault> {
        self.come = match self.come {
            None => Some((offset, offset)),
            Some((first, last)) if offset > last || offset <= first => {
                Some((first.min(offset), offset))
            }
            Some((_, after)) => return Err(Fault::Backwards { offset, after }),
        };
        Ok(())
    }

    /// Whether it has stalled: for a while, its broker has answered and delivered nothing,
    /// although the log goes on. To be called from time to time while it is read.
    pub(super) fn stalled(&mut self, topic: &str, context: &Context) -> Option<Fault> {
        let ahead = context.ahead(topic, self.partition, self.next);
        let Some(ahead) = ahead.filter(|_| self.waiting.is_empty()) else {
            self.stalled = None;
            return None;
        };
        let known = self
            .stalled
            .filter(|(_, then)| then.fetching == ahead.fetching);
        let (since, then) = known.unwrap_or((Instant::now(), ahead));
        self.stalled = Some((since, then));
        let (time, answers) = (since.elapsed(), ahead.answers.saturating_sub(then.answers));
        (time >= STALL && answers >= ANSWERS).then_some(Fault::Nothing {
            end: ahead.end,
            seconds: time.as_secs(),
        })
    }

    /// Takes a message up that has come of it, or lets it wait behind those that
    /// wait already. Returns what it weighs.
    ///
    /// # Errors
    /// When its offset cannot be right.
    pub(super) fn take(
        &mut self,
        message: &Fetched<'_>,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<Taken, Fault> {
        self.check_order(message.offset)?;
        self.at_end = false;
        let taken = match self.waiting.is_empty() {
            true => self.offer(message, each),
            false => Taken::Later,
        };
        if taken == Taken::Later {
            self.waiting.push_back(Waiting::from(message));
        }
        Ok(taken)
    }

    /// Takes up what waits, as far as it may be by now. Returns what it weighs.
    fn take_waiting(&mut self, budget: usize, each: &mut dyn FnMut(Message<'_>) -> Taken) -> usize {
        let mut read = 0;
        while read < budget
            && let Some(message) = self.waiting.pop_front()
        {
            match self.offer(&message.fetched(), each) {
                Taken::Accepted { cost: weight } => read += weight,
                Taken::Later => {
                    self.waiting.push_front(message);
                    break;
                }
                Taken::Finished => self.waiting.clear(),
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
            return Taken::Accepted { cost: 0 };
        }
        let taken = each(Message {
            topic: self.topic,
            partition: self.partition,
            offset,
            timestamp,
            key,
            value,
            backfill: self.is_backfill,
        });
        self.is_finished |= taken == Taken::Finished;
        if let Taken::Accepted { .. } = taken {
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

    /// What follows from something that is wrong with this partition: whether its next
    /// message is not there any more, or else whether to read on.
    ///
    /// # Errors
    /// When reading on would lose messages, or would never get on.
    pub(super) fn complain(
        &self,
        topic: &str,
        fault: &Fault,
        context: &Context,
    ) -> Result<bool, SourceError> {
        match fault.verdict() {
            Verdict::Missing => Ok(true),
            Verdict::Refused | Verdict::Damaged => {
                Err(fault.error(topic, self.partition, self.next))
            }
            Verdict::Wait => {
                let partition = self.partition;
                let complaint = format!("Kafka: topic {topic} partition {partition}: {fault}");
                if context.is_news(&complaint) {
                    tracing::warn!("{complaint}; going on when it is back");
                }
                Ok(false)
            }
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
        assert_eq!(
            partition.take(&message, &mut |_| Taken::Later),
            Ok(Taken::Later)
        );
        // The client tells where it has got to while the message waits.
        partition.pass_to(18);
        let mut taken = Vec::new();
        partition.take_waiting(10, &mut |message| {
            taken.push(message.offset);
            Taken::Accepted { cost: 1 }
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
            leader_epoch: -1,
            timestamp: 0,
            key: None,
            value: None,
        };
        assert_eq!(
            partition.take(&message, &mut |_| Taken::Later),
            Ok(Taken::Later)
        );
        // The client reports the end once.
        partition.pass_to(20);
        partition.take_waiting(10, &mut |_| Taken::Later);
        assert_eq!(partition.next, 17);
        partition.take_waiting(10, &mut |_| Taken::Accepted { cost: 1 });
        assert_eq!(partition.next, 20);
    }

    #[test]
    fn offsets_grow_unless_it_is_assigned_anew() {
        let mut partition = Partition::new(&Found {
            topic: 0,
            partition: 3,
            low: 0,
            high: 40,
            end: 40,
        });
        let come = |partition: &mut Partition, offset| {
            let message = Fetched {
                offset,
                leader_epoch: -1,
                timestamp: 0,
                key: None,
                value: None,
            };
            partition.take(&message, &mut |_| Taken::Accepted { cost: 1 })
        };
        for offset in [3, 4, 9] {
            assert_eq!(
                come(&mut partition, offset),
                Ok(Taken::Accepted { cost: 1 })
            );
        }
        // What was fetched for the assignment before may come first, then all of it again.
        partition.is_assigned();
        for (offset, weight) in [(10, 1), (11, 1), (10, 0), (11, 0), (12, 1)] {
            assert_eq!(
                come(&mut partition, offset),
                Ok(Taken::Accepted { cost: weight })
            );
        }
        assert_eq!(
            come(&mut partition, 11),
            Err(Fault::Backwards {
                offset: 11,
                after: 12
            })
        );
        assert_eq!(partition.next, 13);
    }

    #[test]
    fn what_expired_since_is_not_passed_when_reading_goes_on() {
        let mut partition = Partition::new(&Found {
            topic: 0,
            partition: 3,
            low: 122,
            high: 492,
            end: 492,
        });
        partition.go_on(92);
        partition.take_waiting(10, &mut |_| Taken::Later);
        assert_eq!(partition.next, 92);
    }
}
