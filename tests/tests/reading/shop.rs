//! A shop of two days: most of its windows close, some stay open, and some of what
//! happens is late, from the future, or nothing at all.

use end_to_end::samples::{Sample, with};

/// 2026-11-23T00:00:00Z, a Monday.
const MONDAY: i64 = 1_795_392_000_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// So many hours of messages, to the evening of Tuesday.
const HOURS: i64 = 44;

/// Two partitions of each topic.
pub(crate) const PARTITIONS: i32 = 2;

/// All messages, in the order in which they are sent.
pub(crate) fn two_days() -> Vec<Sample> {
    let mut shop = Shop {
        samples: Vec::new(),
        count: 0,
    };
    for hour in 0..HOURS {
        for partition in 0..PARTITIONS {
            shop.hour(hour, partition);
        }
    }
    shop.samples
}

struct Shop {
    samples: Vec<Sample>,
    count: i64,
}

fn quoted(text: impl std::fmt::Display) -> String {
    format!("\"{text}\"")
}

fn date(millis: i64) -> String {
    quoted(jiff::Timestamp::from_millisecond(millis).expect("a time"))
}

impl Shop {
    /// A message of `happened`, sent a little later.
    fn send(
        &mut self,
        topic: &'static str,
        (partition, sent): (i32, i64),
        fields: &[(&'static str, &str)],
    ) {
        self.count += 1;
        let own = quoted(format!("id-{}", self.count));
        let id = match topic {
            "transactions" => Some("transaction_id"),
            "product_views" => Some("view_id"),
            "user_interactions" => Some("interaction_id"),
            "system_logs" => Some("log_id"),
            _ => None,
        };
        let mut all = fields.to_vec();
        all.extend(id.map(|id| (id, own.as_str())));
        let sample = Sample::new(topic, with(topic, &all));
        self.samples
            .push(sample.partition(partition).at(sent + 5_000));
    }

    /// What happens in an hour, as one partition of each topic has it.
    fn hour(&mut self, hour: i64, partition: i32) {
        let start = MONDAY + hour * HOUR + i64::from(partition) * 3 * MINUTE;
        let odd = i64::from(partition);
        if hour % 6 == 0 {
            for number in (odd..5).step_by(2) {
                // Now and then with more decimals than money has.
                let price = [
                    format!("{}.{:02}", number + 3, hour),
                    "0.1".into(),
                    "7.125".into(),
                ];
                let price = &price[usize::try_from((hour / 6 + number) % 3).expect("small")];
                let category = ["\"Books\"", "\"Garden\""][usize::from(number % 2 == 0)];
                let product = quoted(format!("p-{number}"));
                let fields = [
                    ("product_id", &*product),
                    ("category", category),
                    ("price", price),
                ];
                self.send("products", (partition, start), &fields);
            }
        }
        let customer = |number: i64| quoted(format!("c-{}", number.rem_euclid(7)));
        if hour % 2 == 0 {
            let gender = ["\"Female\"", "\"Male\"", "\"Other\""];
            let gender = gender[usize::try_from(hour % 3).expect("small")];
            let fields = [
                ("customer_id", &*customer(hour + odd)),
                ("gender", gender),
                ("last_login", &date(start)),
            ];
            self.send("customers", (partition, start), &fields);
        }
        for turn in 0..3 {
            let now = start + turn * 11 * MINUTE;
            let place = (partition, now);
            let number = hour * 3 + turn * turn + odd;
            let product = quoted(format!("p-{}", (hour * 7 + turn * turn + odd) % 5));
            let buyer = customer(number);
            let about = [("product_id", &*product), ("customer_id", &buyer)];
            let status = ["\"pending\"", "\"completed\""][usize::from(number % 4 != 0)];
            // In the second half of Monday, one in three is told of too late.
            let is_late = turn == 2 && hour > 12 && hour % 3 == 0;
            let happened = date(now - i64::from(is_late) * (hour - 4) * HOUR);
            let quantity = (1 + number % 5).to_string();
            let with_all = |more: &[(&'static str, &'static str)]| {
                let mut fields = about.to_vec();
                fields.extend(more);
                fields
            };
            let mut sale = with_all(&[("status", status)]);
            sale.extend([("date_time", &*happened), ("quantity", &quantity)]);
            self.send("transactions", place, &sale);
            let mut seen = with_all(&[("view_duration", "30")]);
            seen.push(("timestamp", &happened));
            self.send("product_views", place, &seen);
            let mut done = with_all(&[("interaction_type", "\"review\"")]);
            done.push(("timestamp", &happened));
            self.send("user_interactions", place, &done);
            let level = ["\"INFO\"", "\"WARNING\"", "\"ERROR\""];
            let level = level[usize::try_from((hour + turn) % 3).expect("small")];
            let line = [("timestamp", &*happened), ("level", level)];
            self.send("system_logs", place, &line);
        }
        if hour % 10 == 9 {
            let never = date(start + 3 * 24 * HOUR);
            let place = (partition, start);
            self.send("product_views", place, &[("timestamp", &never)]);
            self.send("transactions", place, &[("date_time", &never)]);
            self.send("system_logs", place, &[("level", "7")]);
        }
    }
}
