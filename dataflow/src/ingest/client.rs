//! How this process's Kafka clients are configured.

use super::context::Context;
use client::{PropertyError, trust};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use std::collections::BTreeMap;
use std::time::Duration;

/// How to reach Kafka.
#[derive(Clone, Debug)]
pub struct Connection {
    /// `host:port`, comma separated.
    pub brokers: String,
    /// Further librdkafka properties, as the user gave them.
    pub properties: BTreeMap<String, String>,
}

/// Properties that the guarantees rest on, with the value each must have.
///
/// Offsets live with the results, never in a consumer group; an offset that
/// Kafka no longer has must be an error and not a silent jump; the end of a
/// partition must be told, since what lies before it can be invisible
/// (compacted, or the markers of transactions).
const FIXED: [(&str, &str); 4] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
];

/// Of a reader: from its statistics it is known whether a partition's broker
/// answers, and so whether the partition is idle.
const STATISTICS: (&str, &str) = ("statistics.interval.ms", "1000");

/// Whether the checksums of batches are compared.
const CHECKSUMS: &str = "check.crcs";
/// Whether messages of transactions are read that are open, or were aborted.
const ISOLATION: &str = "isolation.level";

/// What a reader may fetch ahead, over all its partitions: the client's own
/// limits are for each partition.
const AHEAD_KBYTES: usize = 128 * 1_024;
const AHEAD_MESSAGES: usize = 400_000;

/// How many bytes a broker waits for before it answers, if they come soon enough. By the
/// client's default one is enough, so that a reader that keeps up asks and is answered for
/// every few messages, which costs the brokers more than all else that they do for it.
const WORTH_AN_ANSWER: usize = 256 * 1_024;
/// The longest that a broker may wait for them: so that little is added to what an event
/// waits for the end of its epoch.
const WAIT: Duration = Duration::from_millis(25);
/// A request names each partition, so that many of them are asked for less often: longer
/// by so much for each, up to so much.
const WAIT_A_PARTITION: Duration = Duration::from_micros(200);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

impl Connection {
    /// The configuration of a consumer that reads so many partitions, and is
    /// polled all the time, by one whose epochs are so long.
    pub fn reader(&self, partitions: usize, epoch: Duration) -> ClientConfig {
        let wait = wait(partitions, epoch);
        let share = |all: usize, least, most| (all / partitions.max(1)).clamp(least, most);
        let kbytes = share(AHEAD_KBYTES, 256, 32_768);
        let messages = share(AHEAD_MESSAGES, 1_000, 100_000);
        self.consumer(&[
            (STATISTICS.0, STATISTICS.1.to_owned()),
            ("fetch.min.bytes", WORTH_AN_ANSWER.to_string()),
            ("fetch.wait.max.ms", wait.as_millis().to_string()),
            ("queued.max.messages.kbytes", kbytes.to_string()),
            ("queued.min.messages", messages.to_string()),
        ])
    }

    fn consumer(&self, defaults: &[(&str, String)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", "tidemark")
            // Needed by the client, though no group is ever joined.
            .set("group.id", "tidemark")
            .set("fetch.error.backoff.ms", "100")
            // By the client's default, a byte that flipped on a broker's disk is read.
            .set(CHECKSUMS, "true")
            .set("reconnect.backoff.max.ms", "2000")
            .set("allow.auto.create.topics", "false");
        for (key, value) in defaults {
            config.set(*key, value);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        for (key, value) in FIXED {
            config.set(key, value);
        }
        trust(&mut config);
        config.set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    /// What some of the properties that the user gave cost, as sentences.
    pub fn warnings(&self) -> Vec<String> {
        // What the client makes of a value that it may be given in several ways.
        let Ok(config) = self.asker().create_native_config() else {
            return Vec::new();
        };
        let is = |name: &str, value: &str| config.get(name).is_ok_and(|set| set == value);
        let mut warnings = Vec::new();
        if is(CHECKSUMS, "false") {
            warnings.push(format!(
                "Kafka property {CHECKSUMS}=false: messages that were damaged on a broker's disk \
                 or on the way are not noticed. They are counted as they are, or are dead letters \
                 as if a producer had sent them so"
            ));
        }
        if is(ISOLATION, "read_uncommitted") {
            warnings.push(format!(
                "Kafka property {ISOLATION}=read_uncommitted: messages of transactions that are \
                 aborted are counted too"
            ));
        }
        warnings
    }

    /// The configuration of a consumer that only asks questions.
    pub fn asker(&self) -> ClientConfig {
        self.consumer(&[])
    }

    /// The configuration of a consumer that reads single messages, and as little beyond
    /// them as may be.
    pub fn single(&self) -> ClientConfig {
        self.consumer(&[
            ("fetch.min.bytes", "1".to_owned()),
            ("fetch.message.max.bytes", "1".to_owned()),
            ("queued.min.messages", "1".to_owned()),
        ])
    }

    /// A consumer that only asks questions. It connects by itself, without being asked
    /// anything yet.
    ///
    /// # Errors
    /// The first property of those that the user gave that does not exist, does not take
    /// its value, or may not be changed; its value, which may be a secret, is not told.
    /// Else what is wrong with all of them together, by the words of the client.
    pub fn prober(&self) -> Result<BaseConsumer<Context>, PropertyError> {
        self.check()?;
        // From its statistics it is known which brokers it does not reach.
        let mut config = self.asker();
        config.set(STATISTICS.0, STATISTICS.1);
        let consumer = config.create_with_context(Context::default());
        consumer.map_err(|error| {
            let problem = format!("they do not fit together: {error}");
            PropertyError::new("values", problem)
        })
    }

    /// Checks the properties that the user gave.
    fn check(&self) -> Result<(), PropertyError> {
        for (name, value) in &self.properties {
            let fixed = FIXED.iter().chain([&STATISTICS]);
            let fixed = fixed.into_iter().find(|(key, _)| key == name);
            if let Some((_, needed)) = fixed.filter(|(_, needed)| needed != value) {
                return Err(PropertyError::new(name, format!("it has to be {needed}")));
            }
        }
        let given = self.properties.iter();
        client::check(&given.map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// How long a broker may wait for what is worth an answer.
fn wait(partitions: usize, epoch: Duration) -> Duration {
    let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
    let of_partitions = WAIT_A_PARTITION.saturating_mul(partitions);
    // Without any, it would answer with nothing, again and again.
    let of_epoch = (epoch / 4).clamp(Duration::from_millis(1), WAIT);
    of_epoch.max(of_partitions).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> String {
        let properties = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let connection = Connection {
            brokers: "localhost:1".to_owned(),
            properties,
        };
        connection
            .prober()
            .map_or_else(|error| error.to_string(), |_| "fine".to_owned())
    }

    #[test]
    fn checksums_are_compared_unless_it_is_asked_not_to_and_then_it_is_said() {
        let connection = |properties: &[(&str, &str)]| Connection {
            brokers: "localhost:1".to_owned(),
            properties: properties
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        for given in [&[][..], &[("check.crcs", "true")]] {
            let connection = connection(given);
            let reader = connection.reader(1, Duration::from_millis(100));
            assert_eq!(reader.get("check.crcs"), Some("true"));
            assert_eq!(connection.warnings(), Vec::<String>::new());
        }
        for off in ["false", "0", "F"] {
            let connection = connection(&[("check.crcs", off)]);
            let reader = connection.reader(1, Duration::from_millis(100));
            assert_eq!(reader.get("check.crcs"), Some(off));
            let warnings = connection.warnings();
            assert!(
                warnings[0].starts_with("Kafka property check.crcs=false: "),
                "{warnings:?}"
            );
        }
        let warnings = connection(&[("isolation.level", "read_uncommitted")]).warnings();
        assert!(
            warnings[0].contains("aborted are counted too"),
            "{warnings:?}"
        );
    }

    #[test]
    fn brokers_wait_for_less_than_an_epoch_unless_partitions_are_many() {
        let millis = |partitions, epoch| wait(partitions, Duration::from_millis(epoch)).as_millis();
        assert_eq!(millis(24, 100), 25);
        assert_eq!(millis(24, 1_000), 25);
        assert_eq!(millis(1, 10), 2);
        assert_eq!(millis(1, 1), 1);
        assert_eq!(millis(250, 100), 50);
        assert_eq!(millis(10_000, 100), 100);
        assert_eq!(millis(usize::MAX, 100), 100);
    }

    #[test]
    fn properties_are_checked_without_telling_their_values() {
        assert_eq!(check("sasl.password", "hunter2"), "fine");
        assert_eq!(check("enable.auto.commit", "false"), "fine");
        assert_eq!(
            check("enable.auto.commit", "true"),
            "Kafka property enable.auto.commit: it has to be false"
        );
        assert_eq!(
            check("sasl.pasword", "hunter2"),
            "Kafka property sasl.pasword: librdkafka has no such property"
        );
        assert_eq!(
            check("fetch.wait.max.ms", "hunter2"),
            "Kafka property fetch.wait.max.ms: librdkafka does not take its value, or is built without it"
        );
    }
}
