//! Reports transactions that producers leave open: Kafka delivers nothing behind them.
//!
//! The workers only note where their partitions are blocked. Since when is found in Kafka:
//! the first message of the transaction has a timestamp, which a consumer of uncommitted
//! messages can read.

use super::client::Connection;
use super::context::Context;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use telemetry::{Blocked, PartitionSnapshot, Telemetry};

/// How often the partitions are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Transactions that end within this time are everyday, in milliseconds.
const EVERYDAY: i64 = 10_000;
/// Between two reports, so that producers whose transactions take long do not fill the log.
const QUIET: Duration = Duration::from_secs(60);
/// A transaction that stays open is reported again after this time.
const AGAIN: Duration = Duration::from_secs(600);
/// How long the first messages of transactions may take to be read.
const ANSWER: Duration = Duration::from_secs(3);
/// Partitions that a report names at the most.
const MOST: usize = 20;

/// A partition, and the offset at which an open transaction blocks it.
type Place = (String, i32, i64);

/// Watches the partitions of a process for open transactions, on a thread of its own, for
/// as long as the process lives.
///
/// # Errors
/// When the system has no thread for it.
pub fn watch(connection: Connection, telemetry: Arc<Telemetry>) -> std::io::Result<()> {
    let mut reporter = Reporter::default();
    let watch = move || loop {
        std::thread::sleep(LOOK);
        let now = jiff::Timestamp::now().as_millisecond();
        let old = |blocked: &Blocked| now.saturating_sub(blocked.seen) >= EVERYDAY;
        let snapshot = telemetry.snapshot();
        let blocked = snapshot.blocked().filter(|(_, blocked)| old(blocked));
        let blocked: Vec<_> = blocked
            .map(|(read, blocked)| (place(read), *blocked))
            .collect();
        for (topic, partition, offset) in reporter.ended(&blocked) {
            tracing::info!(
                "topic {topic} partition {partition}: the transaction at offset {offset} has \
                 ended; it is read on"
            );
        }
        if reporter.is_due(&blocked, Instant::now()) {
            report(&connection, &telemetry);
        }
    };
    std::thread::Builder::new()
        .name("transactions".to_owned())
        .spawn(watch)
        .map(drop)
}

/// Logs a warning for each partition of this process that an open transaction blocks now.
/// Returns them as clauses.
pub fn report(connection: &Connection, telemetry: &Telemetry) -> Vec<String> {
    look_up(connection, telemetry);
    let snapshot = telemetry.snapshot();
    let mut clauses = Vec::new();
    for (
        PartitionSnapshot {
            topic, partition, ..
        },
        blocked,
    ) in snapshot.blocked()
    {
        let clause = format!(
            "topic {topic} partition {partition} is {}",
            blocked.clause()
        );
        if clauses.len() < MOST {
            let offset = blocked.offset;
            tracing::warn!(
                "{clause}. Kafka delivers them once its producer commits or aborts it, or after \
                 the producer's transaction.timeout.ms. Where it stays open, `kafka-transactions.sh \
                 abort --topic {topic} --partition {partition} --start-offset {offset}` ends it"
            );
        }
        clauses.push(clause);
    }
    if let Some(more) = clauses.len().checked_sub(MOST).filter(|more| *more > 0) {
        tracing::warn!("open transactions block {more} more partitions");
    }
    clauses
}

fn place(read: &PartitionSnapshot) -> (String, i32) {
    (read.topic.clone(), read.partition)
}

/// Knows what has been reported.
#[derive(Default)]
struct Reporter {
    /// What has been reported and still blocks, and when it was reported last.
    reported: BTreeMap<Place, Instant>,
    last: Option<Instant>,
}

impl Reporter {
    /// What has been reported, and does not block any more.
    fn ended(&mut self, blocked: &[((String, i32), Blocked)]) -> Vec<Place> {
        let blocks = |place: &Place| {
            let mut blocked = blocked.iter();
            blocked.any(|((topic, partition), blocked)| {
                (topic, *partition, blocked.offset) == (&place.0, place.1, place.2)
            })
        };
        let mut ended = Vec::new();
        self.reported.retain(|place, _| {
            let blocks = blocks(place);
            if !blocks {
                ended.push(place.clone());
            }
            blocks
        });
        ended
    }

    /// Whether there is something to report now: then all of it is taken as reported.
    fn is_due(&mut self, blocked: &[((String, i32), Blocked)], now: Instant) -> bool {
        if self
            .last
            .is_some_and(|last| now.duration_since(last) < QUIET)
        {
            return false;
        }
        let mut is_due = false;
        for ((topic, partition), Blocked { offset, .. }) in blocked {
            let reported = self.reported.get(&(topic.clone(), *partition, *offset));
            is_due |= reported.is_none_or(|last| now.duration_since(*last) >= AGAIN);
        }
        if is_due {
            self.last = Some(now);
            let places = blocked.iter().map(|((topic, partition), blocked)| {
                ((topic.clone(), *partition, blocked.offset), now)
            });
            self.reported.extend(places);
        }
        is_due
    }
}

/// Reports to the telemetry since when transactions are open, where it does not know yet. What
/// cannot be read stays as it is: then they are as old as they were first seen.
fn look_up(connection: &Connection, telemetry: &Telemetry) {
    let snapshot = telemetry.snapshot();
    let unknown = snapshot
        .blocked()
        .filter(|(_, blocked)| blocked.began.is_none());
    let mut unknown: Vec<Place> = unknown
        .map(|(read, blocked)| (read.topic.clone(), read.partition, blocked.offset))
        .collect();
    if unknown.is_empty() {
        return;
    }
    let began = |(topic, partition, offset): &Place, time| {
        telemetry.transaction_began(topic, *partition, *offset, time);
    };
    if let Err(error) = first_messages(connection, &mut unknown, began) {
        tracing::debug!("since when transactions are open: {error}");
    }
}

/// Calls `each` with the Kafka timestamps of the messages at these places, and removes
/// those from the list.
fn first_messages(
    connection: &Connection,
    places: &mut Vec<Place>,
    each: impl Fn(&Place, i64),
) -> Result<(), KafkaError> {
    let mut config = connection.asker();
    config
        .set("isolation.level", "read_uncommitted")
        // One message of each is asked for.
        .set("queued.min.messages", "1")
        .set("fetch.message.max.bytes", "65536");
    let consumer: BaseConsumer<Context> = config.create_with_context(Context::default())?;
    let mut all = TopicPartitionList::new();
    for (topic, partition, offset) in &*places {
        all.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    consumer.assign(&all)?;
    let deadline = Instant::now() + ANSWER;
    while !places.is_empty() && Instant::now() < deadline {
        let Some(Ok(message)) = consumer.poll(deadline.saturating_duration_since(Instant::now()))
        else {
            continue;
        };
        let found = places.iter().position(|(topic, partition, offset)| {
            let at = (message.topic(), message.partition(), message.offset());
            at == (topic.as_str(), *partition, *offset)
        });
        if let Some(found) = found {
            let place = places.swap_remove(found);
            if let Some(time) = message.timestamp().to_millis().filter(|time| *time > 0) {
                each(&place, time);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(partition: i32, offset: i64) -> ((String, i32), Blocked) {
        let blocked = Blocked {
            offset,
            behind: 3,
            seen: 0,
            began: None,
        };
        (("sales".to_owned(), partition), blocked)
    }

    #[test]
    fn each_transaction_is_reported_once_and_again_while_it_stays() {
        let mut reporter = Reporter::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!reporter.is_due(&[], start));
        assert!(reporter.is_due(&[blocked(0, 40)], start));
        assert!(!reporter.is_due(&[blocked(0, 40)], after(90)));
        // Another partition, and then another transaction: each within a minute.
        assert!(reporter.is_due(&[blocked(0, 40), blocked(1, 7)], after(100)));
        assert!(!reporter.is_due(&[blocked(0, 60)], after(110)));
        assert!(reporter.is_due(&[blocked(0, 60)], after(160)));
        assert!(!reporter.is_due(&[blocked(0, 60)], after(700)));
        assert!(reporter.is_due(&[blocked(0, 60)], after(760)));
    }

    #[test]
    fn the_end_of_a_reported_transaction_is_reported_once() {
        let mut reporter = Reporter::default();
        let both = [blocked(0, 40), blocked(1, 7)];
        assert!(reporter.ended(&both).is_empty());
        reporter.is_due(&both, Instant::now());
        assert!(reporter.ended(&both).is_empty());
        let ended = reporter.ended(&[blocked(1, 7), blocked(0, 60)]);
        assert_eq!(ended, [("sales".to_owned(), 0, 40)]);
        assert!(reporter.ended(&[blocked(1, 7)]).is_empty());
    }
}
