//! Logs made by hand, for the tests of the oracle itself.

use super::time;
use crate::kafka::{Log, Message};
use crate::samples::with;
use mongodb::bson::DateTime;

/// A moment of 2024-11-02, such as `13:00:00.5`.
pub(super) fn clock(text: &str) -> i64 {
    time::parse(&format!("2024-11-02T{text}")).expect("a time of day")
}

/// Messages of topics without a prefix.
#[derive(Debug, Default)]
pub(super) struct Shop(Log);

impl Shop {
    pub(super) fn log(&self) -> &Log {
        &self.0
    }

    /// Makes sure that a topic has this many partitions.
    pub(super) fn partitions(&mut self, topic: &str, count: i32) {
        let bounds = self.0.bounds.entry(topic.to_owned()).or_default();
        for partition in 0..count {
            bounds.entry(partition).or_insert((0, 0));
        }
    }

    /// One more message at the end of a partition.
    pub(super) fn send(&mut self, topic: &str, partition: i32, sent: i64, value: Option<&str>) {
        self.partitions(topic, partition + 1);
        let bounds = self.0.bounds.get_mut(topic).expect("a topic");
        let (_, end) = bounds.get_mut(&partition).expect("a partition");
        self.0.messages.push(Message {
            topic: topic.to_owned(),
            partition,
            offset: *end,
            timestamp: sent,
            key: None,
            value: value.map(|text| text.as_bytes().to_vec()),
        });
        *end += 1;
    }

    fn event(
        &mut self,
        topic: &str,
        partition: i32,
        sent: i64,
        changes: &[(&'static str, String)],
    ) {
        let changes: Vec<_> = changes
            .iter()
            .map(|(name, json)| (*name, json.as_str()))
            .collect();
        self.send(topic, partition, sent, Some(&with(topic, &changes)));
    }

    /// A log line.
    pub(super) fn line(&mut self, partition: i32, sent: i64, time: i64) {
        let changes = [("timestamp", moment(time))];
        self.event("system_logs", partition, sent, &changes);
    }

    /// A product.
    pub(super) fn product(
        &mut self,
        partition: i32,
        sent: i64,
        id: &str,
        category: &str,
        price: &str,
    ) {
        let changes = [
            ("product_id", quoted(id)),
            ("category", quoted(category)),
            ("price", price.to_owned()),
        ];
        self.event("products", partition, sent, &changes);
    }

    /// A customer.
    pub(super) fn customer(&mut self, partition: i32, sent: i64, id: &str, gender: &str) {
        let changes = [("customer_id", quoted(id)), ("gender", quoted(gender))];
        self.event("customers", partition, sent, &changes);
    }

    /// A sale to the customer `c`, completed.
    pub(super) fn sale(
        &mut self,
        partition: i32,
        sent: i64,
        id: &str,
        product: &str,
        quantity: i64,
        time: i64,
    ) {
        let changes = [("customer_id", quoted("c"))];
        self.sale_with(partition, sent, id, product, quantity, time, &changes);
    }

    /// A sale with other fields besides.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is a column of a test's table"
    )]
    pub(super) fn sale_with(
        &mut self,
        partition: i32,
        sent: i64,
        id: &str,
        product: &str,
        quantity: i64,
        time: i64,
        more: &[(&'static str, String)],
    ) {
        let mut changes = vec![
            ("transaction_id", quoted(id)),
            ("product_id", quoted(product)),
            ("quantity", quantity.to_string()),
            ("date_time", moment(time)),
        ];
        changes.extend_from_slice(more);
        self.event("transactions", partition, sent, &changes);
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// A moment as JSON.
fn moment(millis: i64) -> String {
    let text = DateTime::from_millis(millis).try_to_rfc3339_string();
    quoted(&text.expect("a year of four digits"))
}
