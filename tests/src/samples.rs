//! Messages made by hand: small, varied, the same in every run.
//!
//! Times are spread over many years and Kafka timestamps over a few hours, groups
//! are few so that they collide, some texts are unusual. The generator's data is
//! more like a shop's; this is made to be awkward.

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Topic, without the prefix.
    pub topic: &'static str,
    /// Partition; `None`: by the key.
    pub partition: Option<i32>,
    /// Kafka timestamp; `None`: now.
    pub timestamp: Option<i64>,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Sample {
    /// A message with this value, and neither key nor timestamp.
    pub fn new(topic: &'static str, value: impl Into<Vec<u8>>) -> Sample {
        Sample {
            topic,
            partition: None,
            timestamp: None,
            key: None,
            value: Some(value.into()),
        }
    }

    /// With a key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Sample {
        self.key = Some(key.into());
        self
    }

    /// With a Kafka timestamp.
    #[must_use]
    pub fn at(mut self, timestamp: i64) -> Sample {
        self.timestamp = Some(timestamp);
        self
    }

    /// In this partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Sample {
        self.partition = Some(partition);
        self
    }
}

/// The fields of a well-formed event of each topic, as JSON texts.
///
/// # Panics
/// When there is no such topic.
pub fn fields(topic: &str) -> Vec<(&'static str, &'static str)> {
    match topic {
        "customers" => vec![
            ("customer_id", r#""1b4e28ba-2fa1-41d2-883f-0016d3cca427""#),
            ("name", r#""Ada Lovelace""#),
            ("email", r#""ada@example.org""#),
            ("location", r#""London""#),
            ("age", "36"),
            ("gender", r#""Female""#),
            ("account_created", r#""2023-05-01""#),
            ("last_login", r#""2024-11-02T13:45:11.250000""#),
        ],
        "products" => vec![
            ("product_id", r#""6fa459ea-ee8a-4ca4-894e-db77e160355e""#),
            ("name", r#""Lamp""#),
            ("category", r#""Home & Garden""#),
            ("price", "19.99"),
            ("stock_quantity", "12"),
            ("supplier", r#""Lights Ltd""#),
            ("rating", "4.5"),
        ],
        "transactions" => vec![
            (
                "transaction_id",
                r#""16fd2706-8baf-433b-82eb-8c7fada847da""#,
            ),
            ("customer_id", r#""1b4e28ba-2fa1-41d2-883f-0016d3cca427""#),
            ("product_id", r#""6fa459ea-ee8a-4ca4-894e-db77e160355e""#),
            ("quantity", "3"),
            ("date_time", r#""2024-11-02T13:45:11""#),
            ("status", r#""completed""#),
            ("payment_method", r#""PayPal""#),
        ],
        "product_views" => vec![
            ("view_id", r#""886313e1-3b8a-4372-9b90-0c9aee199e5d""#),
            ("customer_id", r#""1b4e28ba-2fa1-41d2-883f-0016d3cca427""#),
            ("product_id", r#""6fa459ea-ee8a-4ca4-894e-db77e160355e""#),
            ("timestamp", r#""2024-11-02T13:45:11""#),
            ("view_duration", "120"),
        ],
        "user_interactions" => vec![
            (
                "interaction_id",
                r#""a8098c1a-f86e-41da-bd1a-00112444be1e""#,
            ),
            ("customer_id", r#""1b4e28ba-2fa1-41d2-883f-0016d3cca427""#),
            ("product_id", r#""6fa459ea-ee8a-4ca4-894e-db77e160355e""#),
            ("timestamp", r#""2024-11-02T13:45:11""#),
            ("interaction_type", r#""review""#),
            ("details", "null"),
        ],
        "system_logs" => vec![
            ("log_id", r#""0c9aee19-9e5d-4372-9b90-886313e13b8a""#),
            ("timestamp", r#""2024-11-02T13:45:11""#),
            ("level", r#""INFO""#),
            ("message", r#""all is well""#),
        ],
        other => panic!("no topic {other}"),
    }
}

/// The JSON object of these fields.
pub fn object(fields: &[(&str, &str)]) -> String {
    let members: Vec<_> = fields
        .iter()
        .map(|(name, text)| format!("\"{name}\":{text}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// A well-formed event of a topic, but for some fields that hold other JSON texts.
pub fn with(topic: &str, changes: &[(&'static str, &str)]) -> String {
    let mut all: Vec<(&str, &str)> = fields(topic);
    for &(name, text) in changes {
        match all.iter_mut().find(|(field, _)| *field == name) {
            Some(field) => field.1 = text,
            None => all.push((name, text)),
        }
    }
    object(&all)
}

/// A well-formed event of a topic, but for one field that is not there.
pub fn without(topic: &str, name: &str) -> String {
    let mut all = fields(topic);
    all.retain(|(field, _)| *field != name);
    object(&all)
}

/// `rounds` events of each topic. Another `seed` makes other events.
pub fn shop(seed: u64, rounds: usize) -> Vec<Sample> {
    let mut dice = Dice::new(seed);
    let mut samples = Vec::new();
    for _ in 0..rounds {
        for topic in crate::TOPICS {
            let sample = event(topic, &mut dice, None);
            let sent = i64::try_from(dice.roll(4 * HOUR)).expect("a few hours");
            samples.push(sample.at(MIDNIGHT + sent));
        }
    }
    samples
}

/// `rounds` events of each topic while the clock runs from the hour `from` of a day to
/// the hour `to`, so that windows close. They are sent as they happen, up to a quarter
/// of an hour out of order; but one in forty is late by up to six hours, and one in
/// sixty is no event. One sale in eight is an earlier one that is completed meanwhile.
///
/// # Panics
/// When the hours have no such time.
pub fn passing(seed: u64, rounds: u64, (from, to): (u64, u64)) -> Vec<Sample> {
    let mut dice = Dice::new(seed);
    let mut samples = Vec::new();
    let mut sales: Vec<Sample> = Vec::new();
    let millis = |millis: u64| i64::try_from(millis).expect("a time");
    for round in 0..rounds {
        let sent = MIDNIGHT + millis(from * HOUR + round * (to - from) * HOUR / rounds);
        for topic in crate::TOPICS {
            let back = match dice.roll(40) {
                0 => dice.roll(6 * HOUR),
                _ => dice.roll(HOUR / 4),
            };
            let when = jiff::Timestamp::from_millisecond(sent - millis(back)).expect("a time");
            let when = format!("\"{when}\"");
            let mut sample = event(topic, &mut dice, Some(when)).at(sent);
            if topic == "transactions" {
                let earlier = dice.roll(8 * sales.len() as u64 + 1);
                match sales.get(usize::try_from(earlier).expect("a small index")) {
                    Some(earlier) => sample = completed(earlier).at(sent),
                    None => sales.push(sample.clone()),
                }
            }
            samples.push(match dice.roll(60) {
                0 => Sample {
                    value: Some(b"no event".to_vec()),
                    ..sample
                },
                _ => sample,
            });
        }
    }
    samples
}

/// A sale, completed.
fn completed(sale: &Sample) -> Sample {
    let text = String::from_utf8_lossy(sale.value.as_deref().unwrap_or_default());
    Sample {
        value: Some(text.replace("pending", "completed").into_bytes()),
        ..sale.clone()
    }
}

/// In milliseconds.
const HOUR: u64 = 3_600_000;

/// 2024-11-02T00:00:00Z.
const MIDNIGHT: i64 = 1_730_505_600_000;

/// An event that happened `when`, a JSON text, or at any time.
fn event(topic: &'static str, dice: &mut Dice, when: Option<String>) -> Sample {
    let customer = dice.id("c", 40);
    let product = dice.id("p", 9);
    let own = format!("\"{:032x}\"", dice.roll(u64::MAX));
    let when = when.unwrap_or_else(|| dice.time());
    let when = &when;
    let number = dice.roll(300).to_string();
    let price = format!("{}.{:02}", dice.roll(500), dice.roll(100));
    let group = dice.pick(&["\"Male\"", "\"Female\"", "\"Other\"", "\"d\\u00edvers\""]);
    let status = dice.pick(&[
        "\"completed\"",
        "\"pending\"",
        "\"canceled\"",
        "\"cancelled\"",
    ]);
    let changes: Vec<(&'static str, &str)> = match topic {
        "customers" => vec![
            ("customer_id", &customer),
            ("gender", group),
            ("last_login", when),
        ],
        "products" => vec![
            ("product_id", &product),
            ("category", group),
            ("price", &price),
            ("stock_quantity", &number),
        ],
        "transactions" => vec![
            ("transaction_id", &own),
            ("customer_id", &customer),
            ("product_id", &product),
            ("quantity", &number),
            ("date_time", when),
            ("status", status),
        ],
        "product_views" => vec![
            ("view_id", &own),
            ("customer_id", &customer),
            ("product_id", &product),
            ("timestamp", when),
            ("view_duration", &number),
        ],
        "user_interactions" => vec![
            ("interaction_id", &own),
            ("customer_id", &customer),
            ("product_id", &product),
            ("timestamp", when),
            ("interaction_type", group),
        ],
        _ => vec![("log_id", &own), ("timestamp", when), ("level", group)],
    };
    let key = if topic == "products" {
        &product
    } else {
        &customer
    };
    Sample::new(topic, with(topic, &changes)).key(key.as_bytes())
}

/// Numbers that look random and are the same in every run.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Another `seed` makes other numbers.
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_add(1))
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        // Knuth's linear congruence; its high bits are the better ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) % sides
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let index = usize::try_from(self.roll(choices.len() as u64)).expect("a small index");
        choices[index]
    }

    /// One of `count` ids, as a JSON text: UUIDs, and one in eight something else.
    fn id(&mut self, letter: &str, count: u64) -> String {
        let number = self.roll(count);
        if number % 8 == 7 {
            format!("\"{letter}-{number}\"")
        } else {
            format!("\"{number:08x}-0000-4000-8000-{:012x}\"", number * 7919)
        }
    }

    /// A time as a JSON text, half of them on one day and the others of any year.
    fn time(&mut self) -> String {
        let (hour, minute, second) = (self.roll(24), self.roll(60), self.roll(60));
        let date = if self.roll(2) == 0 {
            "2024-11-02".to_owned()
        } else {
            format!(
                "{:04}-{:02}-{:02}",
                1950 + self.roll(100),
                1 + self.roll(12),
                1 + self.roll(28)
            )
        };
        let rest = self.pick(&["", ".5", ".123456", "Z", "+02:00", ".000001-09:30"]);
        format!("\"{date}T{hour:02}:{minute:02}:{second:02}{rest}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_shop() {
        assert_eq!(shop(1, 20), shop(1, 20));
        assert_ne!(shop(1, 20), shop(2, 20));
        assert_eq!(shop(1, 20).len(), 120);
        assert_eq!(passing(1, 20, (0, 4)), passing(1, 20, (0, 4)));
    }

    #[test]
    fn every_sample_is_well_formed_to_the_oracle() {
        let message = |(offset, sample): (i64, Sample)| crate::kafka::Message {
            topic: sample.topic.to_owned(),
            partition: 0,
            offset,
            timestamp: sample.timestamp.unwrap_or(0),
            key: sample.key,
            value: sample.value,
        };
        let messages = (0..).zip(shop(3, 200)).map(message).collect();
        let log = crate::kafka::Log {
            messages,
            ..Default::default()
        };
        let judged = crate::oracle::judge(&log, "", &crate::oracle::Rules::default());
        assert_eq!(judged.rejects, []);
        assert_eq!(judged.events.len(), 1200);
    }
}
