//! What was sent and what arrived.

use std::fmt;
use std::time::Duration;

/// The result of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The topics with their prefix, in the order of [`events::TOPICS`].
    pub topics: Vec<TopicReport>,
    /// From the first event to the last acknowledgement.
    pub elapsed: Duration,
    /// Why the first message that did not arrive did not, if there is one.
    pub failure: Option<String>,
}

/// One topic's part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicReport {
    /// Name.
    pub topic: String,
    /// Messages handed to the client.
    pub sent: u64,
    /// Messages that all in-sync replicas have.
    pub acknowledged: u64,
}

impl Report {
    /// Messages handed to the client.
    pub fn sent(&self) -> u64 {
        self.topics.iter().map(|topic| topic.sent).sum()
    }

    /// Messages that all in-sync replicas have.
    pub fn acknowledged(&self) -> u64 {
        self.topics.iter().map(|topic| topic.acknowledged).sum()
    }

    /// Whether every message arrived.
    pub fn is_complete(&self) -> bool {
        self.sent() == self.acknowledged()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, acknowledged) = (self.sent(), self.acknowledged());
        let seconds = self.elapsed.as_secs_f64();
        let rate = rate(acknowledged, self.elapsed);
        write!(
            f,
            "sent {sent}, acknowledged {acknowledged}, in {seconds:.1} s ({rate:.0} events/s)"
        )?;
        for topic in &self.topics {
            write!(
                f,
                "\n  {:<20} sent {:>10}, acknowledged {:>10}",
                topic.topic, topic.sent, topic.acknowledged
            )?;
        }
        Ok(())
    }
}

/// Events per second.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn rate(events: u64, elapsed: Duration) -> f64 {
    events as f64 / elapsed.as_secs_f64().max(1e-9)
}
