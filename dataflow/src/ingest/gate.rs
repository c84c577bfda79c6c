//! Waits for Kafka to confirm that the topics are still the ones that were read.

use super::answers::Read;
use super::difference::Difference;
use super::identity::{IdentityCheck, IdentityError};
use super::inquiry::{Inquiry, Look};
use sinks::LogIdentity;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two questions, where the first was not answered.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a run that is to stop waits for Kafka.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// A difference that may pass is believed when it has lasted so long.
pub const LASTING: Duration = Duration::from_secs(5);

/// Since when something that may pass is so.
#[derive(Debug, Default)]
pub(super) struct Lasting(Option<(Difference, Instant)>);

impl Lasting {
    /// The difference, if it is to be believed by now.
    pub(super) fn believe(&mut self, found: Option<Difference>) -> Option<Difference> {
        let Some(found) = found else {
            self.0 = None;
            return None;
        };
        let since = match &self.0 {
            Some((before, since)) if *before == found => *since,
            _ => Instant::now(),
        };
        let lasts = !found.may_pass() || since.elapsed() >= LASTING;
        self.0 = Some((found, since));
        lasts
            .then(|| self.0.take())
            .flatten()
            .map(|(found, _)| found)
    }

    /// Whether there is a difference that is not believed yet.
    pub(super) fn is_pending(&self) -> bool {
        self.0.is_some()
    }
}

/// Asks Kafka, for as long as it takes.
pub struct Gate {
    inquiry: Arc<Inquiry>,
    /// Set when the run shall write what it has read, and stop.
    stopping: Arc<AtomicBool>,
    /// Set when nothing shall be waited for any more.
    abandoned: Arc<AtomicBool>,
    /// How long to wait once it is to stop.
    last_wait: Duration,
}

impl Gate {
    /// One that asks by `inquiry`. Once `stopping` is set, it waits for a while only, and
    /// not at all once `abandoned` is.
    pub fn new(
        inquiry: Arc<Inquiry>,
        stopping: Arc<AtomicBool>,
        abandoned: Arc<AtomicBool>,
    ) -> Gate {
        Gate {
            inquiry,
            stopping,
            abandoned,
            last_wait: LAST_WAIT,
        }
    }

    /// What Kafka does not say, for people; `None` where it says all that was asked.
    fn missing(&self, look: &Look) -> Option<String> {
        let (topic, code) = look.unknown?;
        Some(format!("topic {}: {code}", self.inquiry.topics()[topic]))
    }
}

impl IdentityCheck for Gate {
    fn check(&self, read: &Read) -> Result<(), IdentityError> {
        let mut lasting = Lasting::default();
        let mut stopped: Option<Instant> = None;
        loop {
            let detail = match self.inquiry.confirm(read, ANSWER) {
                Ok(look) => {
                    let missing = self.missing(&look);
                    let found = look.differences.into_iter().next();
                    if let Some(difference) = lasting.believe(found) {
                        return Err(self.inquiry.readers().error(difference));
                    }
                    match missing {
                        None if !lasting.is_pending() => return Ok(()),
                        None => "a topic is not there any more".to_owned(),
                        Some(missing) => missing,
                    }
                }
                Err(error) => {
                    let reason = self.inquiry.context().complaint().map(|said| said.text);
                    reason.unwrap_or_else(|| error.to_string())
                }
            };
            let brokers = self.inquiry.brokers();
            // In few words, so that it is said once in a while whatever the detail is.
            let complaint = "what has been read waits";
            if self.inquiry.context().is_news(complaint) {
                tracing::warn!(
                    "Kafka at {brokers} does not confirm that the topics are still the same \
                     ({detail}); what has been read is written when it does"
                );
            }
            if self.stopping.load(Ordering::SeqCst) {
                stopped.get_or_insert_with(Instant::now);
            }
            let waited = stopped.map_or(Duration::ZERO, |stopped| stopped.elapsed());
            if waited >= self.last_wait || self.abandoned.load(Ordering::Relaxed) {
                return Err(IdentityError::Unconfirmed {
                    brokers: brokers.to_owned(),
                    seconds: waited.as_secs(),
                    detail,
                });
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn identity(&self) -> LogIdentity {
        self.inquiry.identity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::answers::fingerprint;
    use crate::ingest::client::Connection;
    use crate::ingest::identity::Readers;
    use end_to_end::Scene;

    fn gate(brokers: &str, topic: &str, stopping: bool) -> Gate {
        let connection = Connection {
            brokers: brokers.to_owned(),
            properties: Default::default(),
        };
        let consumer = Arc::new(connection.prober().unwrap());
        let topics = Arc::from([topic.to_owned()]);
        let inquiry = Inquiry::new(consumer, brokers.to_owned(), topics, Readers::default());
        Gate {
            last_wait: Duration::from_millis(300),
            ..Gate::new(
                Arc::new(inquiry),
                Arc::new(AtomicBool::new(stopping)),
                Arc::default(),
            )
        }
    }

    #[test]
    fn kafka_confirms_the_topic_that_was_found_and_no_other() {
        let scene = Scene::without_topics("gate");
        scene.create("sales", 3, 2);
        let sales = scene.topic("sales");
        let gate = gate(&scene.services.brokers, &sales, false);
        let look = gate.inquiry.look(Duration::from_secs(20)).unwrap();
        assert_eq!(look.partitions[&0], 3);
        let identity = gate.identity();
        assert!(identity.cluster_id.is_some());
        let read = fingerprint(&identity.topic_ids[&sales]);
        assert_eq!(gate.inquiry.fingerprint(0), read);
        assert_eq!(gate.check(&Read::from([(0, read)])), Ok(()));
        // Another process has read another one.
        let other = gate.check(&Read::from([(0, read), (0, read ^ 2)]));
        let error = other.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("topic {sales} was deleted and made again")),
            "{error}"
        );
    }

    #[test]
    fn a_run_that_is_to_stop_does_not_wait_for_ever() {
        let gate = gate("127.0.0.1:9", "sales", true);
        let error = gate.check(&Read::from([(0, 0)])).unwrap_err();
        assert!(
            matches!(error, IdentityError::Unconfirmed { .. }),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("is read again at the next start")
        );
    }

    #[test]
    fn what_may_pass_is_believed_when_it_lasts() {
        let gone = || Difference::TopicGone {
            topic: "sales".to_owned(),
        };
        let again = || Difference::MadeAgain {
            topic: "sales".to_owned(),
            was: "a".to_owned(),
            is: "b".to_owned(),
        };
        let mut lasting = Lasting::default();
        assert_eq!(lasting.believe(Some(gone())), None);
        assert!(lasting.is_pending());
        // It was there in between.
        assert_eq!(lasting.believe(None), None);
        assert!(!lasting.is_pending());
        assert_eq!(lasting.believe(Some(again())), Some(again()), "at once");
        assert_eq!(lasting.believe(Some(gone())), None);
        let long_ago = Instant::now().checked_sub(LASTING).unwrap();
        lasting.0.as_mut().unwrap().1 = long_ago;
        assert_eq!(lasting.believe(Some(gone())), Some(gone()));
    }
}
