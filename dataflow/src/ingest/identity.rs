//! Whether the log is still the one that was read: the question, and what follows.
//!
//! A topic that is deleted and made again keeps its name, and the client goes on reading at
//! the old offset. So a row that shows an offset is written only after Kafka has confirmed,
//! asked after that offset was read, that the topic is the same: see
//! [`record`](crate::sink::record). [`Inquiry`](super::inquiry::Inquiry) asks Kafka; a log in
//! memory does not change.

use super::answers::Read;
use super::difference::Difference;
use crate::views::Catalog;
use sinks::LogIdentity;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Asks whether the log is still the same.
pub trait IdentityCheck: Send + Sync {
    /// Returns when it is known, by an answer to a question that was asked after this was
    /// called, that these topics are the ones that were read.
    ///
    /// # Errors
    /// When one is another, or when nobody waits for the answer any longer.
    fn check(&self, read: &Read) -> Result<(), IdentityError>;

    /// The log that is read, as far as it is known.
    fn identity(&self) -> LogIdentity;
}

/// For logs that cannot become others, such as those in memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unchanging;

impl IdentityCheck for Unchanging {
    fn check(&self, _read: &Read) -> Result<(), IdentityError> {
        Ok(())
    }

    fn identity(&self) -> LogIdentity {
        LogIdentity::default()
    }
}

/// The log is not, or is not known to be, the one that was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It is another one.
    #[error("{difference}. What has been read of it since is not written. {way_out}")]
    Different {
        /// How it differs.
        difference: Box<Difference>,
        /// What can be done.
        way_out: String,
    },
    /// Kafka has not answered.
    #[error(
        "Kafka at {brokers} did not confirm within {seconds} s that the topics are still the ones \
         that were read ({detail}). What was read since the last answer is not written: it is read \
         again at the next start"
    )]
    Unconfirmed {
        /// The brokers asked.
        brokers: String,
        /// How long was waited after the stop.
        seconds: u64,
        /// What the client said last.
        detail: String,
    },
}

/// Which views read each topic: those to rebuild where one is another.
#[derive(Clone, Debug, Default)]
pub struct Readers {
    /// Full names of topics and, of each, the names of the views.
    topics: Arc<[(String, Vec<String>)]>,
}

impl Readers {
    /// Of the topics of `catalog`, with these full names.
    pub fn new(catalog: &Catalog, topics: &[String]) -> Readers {
        let of = |(route, topic): (usize, &String)| {
            let views = catalog.definitions.iter().filter(|view| {
                let mut read = std::iter::once(&view.topic).chain(&view.joins);
                read.any(|name| catalog.topic_number(name) == Some(route))
            });
            (topic.clone(), views.map(|view| view.name.clone()).collect())
        };
        Readers {
            topics: topics.iter().enumerate().map(of).collect(),
        }
    }

    /// The views that read the topic of this number.
    pub fn of_topic(&self, topic: usize) -> &[String] {
        self.topics.get(topic).map_or(&[], |(_, views)| views)
    }

    /// The views that read what differs.
    pub fn of(&self, difference: &Difference) -> Vec<&str> {
        let topic = difference.topic();
        let concerned = self
            .topics
            .iter()
            .filter(|(name, _)| topic.is_none_or(|topic| topic == name));
        let views = concerned.flat_map(|(_, views)| views.iter().map(String::as_str));
        Vec::from_iter(views.collect::<BTreeSet<_>>())
    }

    /// The error that ends a run which has found a difference.
    pub(super) fn error(&self, difference: Difference) -> IdentityError {
        let way_out = self.way_out(&difference);
        IdentityError::Different {
            difference: Box::new(difference),
            way_out,
        }
    }

    /// What can be done about it.
    pub fn way_out(&self, difference: &Difference) -> String {
        if matches!(difference, Difference::NewShop { .. }) {
            return format!(
                "Give --sqlite another file (and --checkpoint an empty place), leave it out, or \
                 replace what it holds, with --reset-view {}",
                self.of(difference).join(",")
            );
        }
        let what = match difference {
            Difference::OtherCluster { .. } => "a topic",
            _ => "it",
        };
        format!(
            "To go on with what is there now, rebuild every view that reads {what}, with \
             --reset-view {}, or begin anew with an empty --database (or --sqlite file) and an empty \
             --checkpoint",
            self.of(difference).join(",")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::catalog;

    #[test]
    fn every_view_that_reads_a_topic_is_named() {
        let catalog = catalog(&Default::default()).unwrap();
        let names = catalog.routes.iter().map(|route| route.topic());
        let topics: Vec<_> = names.map(|name| format!("p-{name}")).collect();
        let readers = Readers::new(&catalog, &topics);
        let gone = |topic: &str| Difference::TopicGone {
            topic: topic.to_owned(),
        };
        assert_eq!(
            readers.of(&gone("p-products")),
            ["product_analysis", "revenue_analysis"]
        );
        assert_eq!(readers.of(&gone("p-system_logs")), ["log_analysis"]);
        let way_out = readers.way_out(&gone("p-transactions"));
        assert!(
            way_out.contains("--reset-view revenue_analysis,sales_analysis,"),
            "{way_out}"
        );
        let cluster = Difference::OtherCluster {
            was: String::new(),
            is: String::new(),
            brokers: String::new(),
        };
        assert_eq!(readers.of(&cluster).len(), catalog.definitions.len());
    }
}
