//! Which messages are events, and which are malformed.

use super::clock::{self, Reading, Sent};
use super::event::{Event, Stamp, Value};
use super::json::Object;
use super::rules::Rules;
use super::time;
use crate::kafka::{Log, Message};
use std::collections::{BTreeMap, BTreeSet};

/// A message that could not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The message.
    pub message: Message,
    /// The fields that are wrong; empty when it is no object at all.
    pub fields: Vec<&'static str>,
}

/// All messages of a log, judged.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// Those that are well-formed, by topic, partition and offset.
    pub events: Vec<Event>,
    /// Those that are malformed.
    pub rejects: Vec<Reject>,
    /// How many had no value.
    pub tombstones: usize,
    /// All partitions that there are, of the topics without the prefix.
    pub partitions: BTreeSet<(&'static str, i32)>,
    /// The clock of each of them that has one, at its end.
    pub last: BTreeMap<(&'static str, i32), i64>,
}

/// What a required field must be.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Count,
    Price,
    Time,
}

/// A topic: its required fields, and the others that may not be repeated either.
struct Schema {
    topic: &'static str,
    required: &'static [(&'static str, Kind)],
    optional: &'static [&'static str],
}

static SCHEMAS: [Schema; 6] = [
    Schema {
        topic: "customers",
        required: &[
            ("customer_id", Kind::Text),
            ("gender", Kind::Text),
            ("last_login", Kind::Time),
        ],
        optional: &["name", "email", "location", "age", "account_created"],
    },
    Schema {
        topic: "products",
        required: &[
            ("product_id", Kind::Text),
            ("category", Kind::Text),
            ("price", Kind::Price),
            ("stock_quantity", Kind::Count),
        ],
        optional: &["name", "supplier", "rating"],
    },
    Schema {
        topic: "transactions",
        required: &[
            ("transaction_id", Kind::Text),
            ("customer_id", Kind::Text),
            ("product_id", Kind::Text),
            ("quantity", Kind::Count),
            ("date_time", Kind::Time),
            ("status", Kind::Text),
        ],
        optional: &["payment_method"],
    },
    Schema {
        topic: "product_views",
        required: &[
            ("view_id", Kind::Text),
            ("customer_id", Kind::Text),
            ("product_id", Kind::Text),
            ("timestamp", Kind::Time),
            ("view_duration", Kind::Count),
        ],
        optional: &[],
    },
    Schema {
        topic: "user_interactions",
        required: &[
            ("interaction_id", Kind::Text),
            ("customer_id", Kind::Text),
            ("product_id", Kind::Text),
            ("timestamp", Kind::Time),
            ("interaction_type", Kind::Text),
        ],
        optional: &["details"],
    },
    Schema {
        topic: "system_logs",
        required: &[
            ("log_id", Kind::Text),
            ("timestamp", Kind::Time),
            ("level", Kind::Text),
        ],
        optional: &["message"],
    },
];

/// Judges every message of the log. `prefix` stands before each topic's name; which
/// timestamps are believed, `rules` say.
///
/// # Panics
/// When the log holds a topic that is none of the shop's.
pub fn judge(log: &Log, prefix: &str, rules: &Rules) -> Judged {
    let mut judged = Judged::default();
    for (topic, partitions) in &log.bounds {
        let topic = schema(topic, prefix).topic;
        let partitions = partitions.keys().map(|partition| (topic, *partition));
        judged.partitions.extend(partitions);
    }
    let mut in_order: Vec<_> = log.messages.iter().enumerate().collect();
    in_order.sort_by_key(|(_, message)| (&message.topic, message.partition, message.offset));
    let of_one = |a: &(usize, &Message), b: &(usize, &Message)| {
        (&a.1.topic, a.1.partition) == (&b.1.topic, b.1.partition)
    };
    for messages in in_order.chunk_by(of_one) {
        let (topic, partition) = (&messages[0].1.topic, messages[0].1.partition);
        let times: Vec<_> = messages
            .iter()
            .map(|(_, message)| (message.offset, message.timestamp))
            .collect();
        // Also what is no event has a time at which it was sent.
        let readings = clock::read(rules, topic, partition, &times);
        let schema = schema(topic, prefix);
        judged.partitions.insert((schema.topic, partition));
        if let Some(clock) = readings[readings.len() - 1].clock {
            judged.last.insert((schema.topic, partition), clock);
        }
        for ((index, message), reading) in messages.iter().zip(readings) {
            judge_one(schema, *index, message, reading, &mut judged);
        }
    }
    judged
}

fn judge_one(
    schema: &'static Schema,
    index: usize,
    message: &Message,
    reading: Reading,
    judged: &mut Judged,
) {
    let Some(value) = &message.value else {
        judged.tombstones += 1;
        return;
    };
    let fields = match reading.sent {
        Sent::OtherUnit => Err(Vec::new()),
        _ => decode(schema, value),
    };
    match fields {
        Ok(fields) => judged.events.push(Event {
            topic: schema.topic,
            message: index,
            reading,
            stamp: Stamp {
                k: reading.clock,
                partition: message.partition,
                offset: message.offset,
            },
            fields,
        }),
        Err(fields) => judged.rejects.push(Reject {
            message: message.clone(),
            fields,
        }),
    }
}

/// The schema of a topic, which has its full name here.
fn schema(topic: &str, prefix: &str) -> &'static Schema {
    let topic = topic.strip_prefix(prefix).expect("a topic of this test");
    SCHEMAS
        .iter()
        .find(|schema| schema.topic == topic)
        .expect("a known topic")
}

fn decode(
    schema: &Schema,
    value: &[u8],
) -> Result<BTreeMap<&'static str, Value>, Vec<&'static str>> {
    let object = Object::parse(value).ok_or_else(Vec::new)?;
    let mut fields = BTreeMap::new();
    let mut wrong = Vec::new();
    for &(name, kind) in schema.required {
        match object.get(name)[..] {
            [text] => match read(kind, text) {
                Some(value) => drop(fields.insert(name, value)),
                None => wrong.push(name),
            },
            _ => wrong.push(name),
        }
    }
    wrong.extend(
        schema
            .optional
            .iter()
            .filter(|name| object.get(name).len() > 1),
    );
    if wrong.is_empty() {
        Ok(fields)
    } else {
        Err(wrong)
    }
}

fn read(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Text => serde_json::from_str(text).ok().map(Value::Text),
        Kind::Time => time::parse(&serde_json::from_str::<String>(text).ok()?).map(Value::Time),
        Kind::Count => text
            .parse()
            .ok()
            .filter(|count| *count >= 0)
            .map(Value::Count),
        Kind::Price => price(text).map(Value::Price),
    }
}

/// Billionths of a JSON number, if it is a whole number of them and in range.
fn price(text: &str) -> Option<i128> {
    let number = text
        .chars()
        .next()
        .is_some_and(|c| c == '-' || c.is_ascii_digit());
    if !number {
        return None;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    // value = digits × 10^power billionths
    let power = exponent.parse::<i64>().ok()? - i64::try_from(fraction.len()).ok()? + 9;
    let size = u32::try_from(power.unsigned_abs()).ok()?;
    let nanos = if digits == 0 {
        0
    } else if power >= 0 {
        digits.checked_mul(10i128.checked_pow(size)?)?
    } else {
        let unit = 10i128.checked_pow(size)?;
        (digits % unit == 0).then_some(digits / unit)?
    };
    (0..=i128::from(i64::MAX)).contains(&nanos).then_some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(topic: &str, values: &[Option<&str>]) -> Log {
        let message = |(offset, value): (i64, &Option<&str>)| Message {
            topic: format!("p-{topic}"),
            partition: 0,
            offset,
            timestamp: 7,
            key: None,
            value: value.map(|text| text.as_bytes().to_vec()),
        };
        Log {
            messages: (0..).zip(values).map(message).collect(),
            ..Log::default()
        }
    }

    #[test]
    fn prices_are_exact() {
        assert_eq!(price("0"), Some(0));
        assert_eq!(price("0.1"), Some(100_000_000));
        assert_eq!(price("12.345678901"), Some(12_345_678_901));
        assert_eq!(price("1.5000000000000"), Some(1_500_000_000));
        assert_eq!(price("1e-9"), Some(1));
        assert_eq!(price("1.25E2"), Some(125_000_000_000));
        assert_eq!(price("-0.0"), Some(0));
        assert_eq!(price("0e999"), Some(0));
        assert_eq!(price("9223372036.854775807"), Some(i128::from(i64::MAX)));
        let refused = [
            "-0.01",
            "1e-10",
            "0.1234567891",
            "9223372036.854775808",
            "1e300",
            "\"1\"",
            "true",
            "null",
            "[1]",
        ];
        for text in refused {
            assert_eq!(price(text), None, "{text}");
        }
    }

    #[test]
    fn counts_are_integers() {
        let read = |text| super::read(Kind::Count, text);
        assert_eq!(read("0"), Some(Value::Count(0)));
        assert_eq!(read("9223372036854775807"), Some(Value::Count(i64::MAX)));
        for text in [
            "-1",
            "1.0",
            "1e3",
            "\"1\"",
            "9223372036854775808",
            "null",
            "true",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_log_line_counts_whatever_stands_beside_it() {
        let line = r#"{"log_id":"a","timestamp":"1970-01-01T00:00:01","level":"\u00c9","message":7,"x":1,"x":2}"#;
        let judged = judge(
            &log("system_logs", &[Some(line), None]),
            "p-",
            &Rules::default(),
        );
        assert_eq!(judged.tombstones, 1);
        assert!(judged.rejects.is_empty());
        let fields = &judged.events[0].fields;
        assert_eq!(judged.events[0].kafka_time(), Some(7));
        assert_eq!(fields["timestamp"], Value::Time(1000));
        assert_eq!(fields["level"], Value::Text("É".to_owned()));
    }

    #[test]
    fn the_fields_that_are_wrong_are_named() {
        let judged = judge(
            &log(
                "system_logs",
                &[
                    Some(r#"{"log_id":1,"timestamp":"x","level":"INFO"}"#),
                    Some(r#"{"log_id":"a","timestamp":"1970-01-01T00:00:01"}"#),
                    Some(
                        r#"{"log_id":"a","timestamp":"1970-01-01T00:00:01","level":"I","level":"I"}"#,
                    ),
                    Some(
                        r#"{"log_id":"a","timestamp":"1970-01-01T00:00:01","level":"I","message":1,"message":2}"#,
                    ),
                    Some("oops"),
                ],
            ),
            "p-",
            &Rules::default(),
        );
        assert!(judged.events.is_empty());
        let fields: Vec<_> = judged
            .rejects
            .iter()
            .map(|reject| reject.fields.clone())
            .collect();
        assert_eq!(fields[0], ["log_id", "timestamp"]);
        assert_eq!(fields[1], ["level"]);
        assert_eq!(fields[2], ["level"]);
        assert_eq!(fields[3], ["message"]);
        assert!(fields[4].is_empty());
    }
}
