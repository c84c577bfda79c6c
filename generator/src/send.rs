//! Messages of one's own, a line each: to try what a pipeline makes of them.

use std::io::BufRead;
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use events::Timestamp;
use serde_json::Value;

use crate::error::Error;
use crate::options::{Options, property, start};
use crate::producer::Sender;
use crate::report::Report;
use crate::shop::Record;
use crate::topics;

/// What is sent, and where.
#[derive(Args, Clone, Debug)]
pub struct SendOptions {
    /// The topic, without its prefix
    #[arg(value_parser = PossibleValuesParser::new(events::TOPICS))]
    pub topic: String,

    /// Kafka brokers to begin with
    #[arg(long, env = "TIDEMARK_BROKERS", value_name = "HOST:PORT,…")]
    pub brokers: String,

    /// Any property of librdkafka; may be repeated
    #[arg(short = 'X', value_name = "KEY=VALUE", value_parser = property)]
    pub properties: Vec<(String, String)>,

    /// The password of the Kafka user (sasl.password) is in this file
    #[arg(long, value_name = "FILE")]
    pub kafka_password_file: Option<PathBuf>,

    /// Put before the name of the topic
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub topic_prefix: String,

    /// Kafka timestamp of the messages, in UTC unless it says otherwise: 2024-11-02T13:45:11 [default: now]
    #[arg(long, value_name = "TIME", value_parser = start)]
    pub at: Option<Timestamp>,
}

/// Sends each line of `lines` that is not empty as a message, just as it is. Its key is
/// the event's own id, as that of all made-up events; a line without one has no key.
///
/// # Errors
/// As [`run`](crate::run), and what reading says.
pub fn send(options: &SendOptions, lines: impl BufRead) -> Result<Report, Error> {
    let connection = Options {
        properties: options.properties.clone(),
        kafka_password_file: options.kafka_password_file.clone(),
        topic_prefix: options.topic_prefix.clone(),
        ..Options::new(&options.brokers)
    };
    let mut sender = Sender::new(&connection)?;
    topics::ensure(&connection, &sender)?;
    let began = std::time::Instant::now();
    let found = (0..)
        .zip(events::TOPICS)
        .find(|(_, topic)| *topic == options.topic);
    let Some((number, topic)) = found else {
        let topics = events::TOPICS.join(", ");
        let problem = format!(
            "{}: there is no such topic; there are {topics}",
            options.topic
        );
        return Err(Error::Settings(problem));
    };
    for line in lines.split(b'\n') {
        let line = line.map_err(Error::Input)?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let now = || jiff::Timestamp::now().as_microsecond();
        let micros = options.at.map_or_else(now, |at| at.as_micros());
        sender.send(&Record {
            number,
            topic,
            key: own_id(topic, &line).as_deref().map(str::as_bytes),
            value: &line,
            timestamp_ms: micros.div_euclid(1_000),
        })?;
    }
    // The client itself gives a message up after two minutes.
    sender.finish(|| false);
    Ok(Report {
        topics: sender.report(),
        elapsed: began.elapsed(),
        failure: sender.failure(),
    })
}

/// The id of the event itself.
fn own_id(topic: &str, line: &[u8]) -> Option<String> {
    let field = match topic {
        "customers" => "customer_id",
        "products" => "product_id",
        "transactions" => "transaction_id",
        "product_views" => "view_id",
        "user_interactions" => "interaction_id",
        _ => "log_id",
    };
    let event: Value = serde_json::from_slice(line).ok()?;
    Some(event.get(field)?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_events_own_id() {
        let sale = br#"{"product_id": "p", "transaction_id": "t"}"#;
        assert_eq!(own_id("transactions", sale).as_deref(), Some("t"));
        assert_eq!(own_id("products", sale).as_deref(), Some("p"));
        assert_eq!(own_id("system_logs", sale), None);
        assert_eq!(own_id("products", b"no json"), None);
    }
}
