//! Topics that do not exist: of all that are to be read, not one.
//!
//! One that is missing may be made later. Where all are, a prefix is misspelt more often than
//! not, or Kafka is another one: so a run says which topics exist that are named like them.

use super::context::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use std::fmt;
use std::time::{Duration, Instant};

/// How many of the topics that exist are named.
const NAMED: usize = 8;

/// How often it is repeated that not one exists.
const AGAIN: Duration = Duration::from_secs(60);

/// Not one of the topics exists.
#[derive(Debug)]
pub struct NoTopics {
    brokers: String,
    /// Those that are to be read.
    topics: Vec<String>,
    /// Those that exist, the nearest by name first; or why they are not known.
    existing: Result<Vec<String>, KafkaError>,
}

impl NoTopics {
    /// Asks which topics exist.
    pub(super) fn of(
        consumer: &BaseConsumer<Context>,
        brokers: &str,
        topics: Vec<String>,
        timeout: Duration,
    ) -> NoTopics {
        let metadata = consumer.fetch_metadata(None, timeout);
        let existing = metadata.map(|metadata| {
            let names = metadata
                .topics()
                .iter()
                .map(|topic| topic.name().to_owned());
            nearest(&topics, names.collect())
        });
        NoTopics {
            brokers: brokers.to_owned(),
            topics,
            existing,
        }
    }
}

impl std::error::Error for NoTopics {}

impl fmt::Display for NoTopics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Kafka at {} has none of the topics {}. ",
            self.brokers,
            self.topics.join(", ")
        )?;
        match &self.existing {
            Err(error) => write!(f, "It did not say which ones it has ({error})")?,
            Ok(existing) if existing.is_empty() => {
                f.write_str("It has no topics, or none that this user may describe")?;
            }
            Ok(existing) => {
                let (named, others) = existing.split_at(existing.len().min(NAMED));
                write!(f, "The nearest that exist: {}", named.join(", "))?;
                if !others.is_empty() {
                    write!(f, ", and {} more", others.len())?;
                }
            }
        }
        f.write_str(". Check --topic-prefix and --brokers")
    }
}

/// Names of topics that exist, those first that are most like one of `wanted`; without Kafka's own.
fn nearest(wanted: &[String], mut existing: Vec<String>) -> Vec<String> {
    existing.retain(|name| !name.starts_with("__"));
    existing.sort();
    existing.sort_by_cached_key(|name| {
        let likeness = wanted.iter().map(|wanted| likeness(wanted, name));
        // Greatest first, as integers: they are from 0 to 1.
        let greatest = likeness.fold(0.0, f64::max);
        std::cmp::Reverse((greatest * 1e6).round().to_bits())
    });
    existing
}

/// From 0 to 1. The ends of names count as much as their beginnings: it may be all of a
/// prefix that is another.
fn likeness(one: &str, other: &str) -> f64 {
    let reversed = |name: &str| name.chars().rev().collect::<String>();
    let backwards = strsim::jaro_winkler(&reversed(one), &reversed(other));
    strsim::jaro_winkler(one, other).max(backwards)
}

/// When it is said again that not one exists.
#[derive(Default)]
pub(super) struct Reminder {
    said: Option<Instant>,
}

impl Reminder {
    /// Whether it is to be said `now`: at first, and each minute.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = self
            .said
            .is_none_or(|said| now.duration_since(said) >= AGAIN);
        if due {
            self.said = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::types::RDKafkaErrorCode;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn text(existing: Result<Vec<String>, KafkaError>) -> String {
        let missing = NoTopics {
            brokers: "kafka:9092".to_owned(),
            topics: names(&["shp-sales", "shp-logs"]),
            existing,
        };
        missing.to_string()
    }

    #[test]
    fn topics_of_the_nearest_prefix_come_first() {
        let wanted = names(&["shp-customers", "shp-sales"]);
        let existing = names(&[
            "__consumer_offsets",
            "metrics",
            "other.sales",
            "shop-sales",
            "audit",
            "shop-customers",
            "__transaction_state",
        ]);
        let found = nearest(&wanted, existing);
        assert_eq!(
            found[..3],
            names(&["shop-customers", "shop-sales", "other.sales"])
        );
        assert_eq!(found.len(), 5, "without Kafka's own: {found:?}");
        // A missing prefix, and one too many.
        let found = nearest(
            &names(&["customers"]),
            names(&["zebra", "prod.eu.customers"]),
        );
        assert_eq!(found[0], "prod.eu.customers");
        let found = nearest(
            &names(&["prod.eu.customers"]),
            names(&["zebra", "customers"]),
        );
        assert_eq!(found[0], "customers");
    }

    #[test]
    fn it_is_said_what_exists() {
        let said = text(Ok(names(&["shop-sales", "shop-logs"])));
        assert_eq!(
            said,
            "Kafka at kafka:9092 has none of the topics shp-sales, shp-logs. The nearest that \
             exist: shop-sales, shop-logs. Check --topic-prefix and --brokers"
        );
        let many: Vec<_> = (0..100).map(|n| format!("topic-{n}")).collect();
        assert!(text(Ok(many)).contains("topic-7, and 92 more."));
        assert!(text(Ok(Vec::new())).contains("no topics, or none that this user may describe"));
        let away = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        assert!(text(Err(away)).contains("did not say which ones it has"));
    }

    #[test]
    fn it_is_said_again_each_minute() {
        let mut reminder = Reminder::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let said: Vec<_> = (0..=125)
            .step_by(5)
            .filter(|second| reminder.is_due(at(*second)))
            .collect();
        assert_eq!(said, [0, 60, 120]);
    }
}
