//! Looks again and again, while a run reads, which partitions there are, and whether the
//! topics are the ones that were read.

use super::context::serve;
use super::difference::Difference;
use super::discovery::{Discovery, Prober};
use super::gate::Lasting;
use super::identity::IdentityError;
use super::missing::Reminder;
use super::problem::Problem;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// How long Kafka may take to answer one question.
const ANSWER: Duration = Duration::from_secs(5);

/// The topics are compared with those that were read at least this often,
const LOOK: Duration = Duration::from_secs(5);
/// and this often while one is not as it was.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// What the thread is to do that looks for partitions and at topics.
pub struct Watching {
    /// How often to look for new partitions; `None`: not at all.
    pub discover: Option<Duration>,
    /// Whether to warn while not one topic exists.
    pub warns: bool,
    /// Told, once, when the topics are not the ones that were read.
    pub failed: Box<dyn Fn(IdentityError) + Send>,
}

impl Prober {
    /// Looks again and again on a thread of its own: whether there are new partitions, and
    /// whether the topics are the ones that were read. When they are not, that is told and
    /// nothing more is looked at.
    pub fn watch(mut self, discovery: Arc<Discovery>, watching: Watching) -> std::io::Result<()> {
        let watch = move || {
            let Watching {
                discover,
                warns,
                failed,
            } = watching;
            let mut reminder = warns.then(Reminder::default);
            let inquiry = Arc::clone(&self.inquiry);
            let mut lasting = Lasting::default();
            let mut discovered = Instant::now();
            loop {
                if let Some(reminder) = &mut reminder
                    && reminder.is_due(Instant::now())
                    && let Some(none) = self.no_topics()
                {
                    tracing::warn!("{none}; they are read as soon as they exist");
                }
                std::thread::sleep(match lasting.is_pending() {
                    true => SECOND_LOOK,
                    false => discover.map_or(LOOK, |interval| interval.min(LOOK)),
                });
                serve(inquiry.consumer(), |_| {});
                let due = discover.is_some_and(|interval| discovered.elapsed() >= interval);
                let looked = match due {
                    true => {
                        discovered = Instant::now();
                        self.probe(&discovery, ANSWER, &AtomicBool::new(false))
                    }
                    false => self.compare(),
                };
                let difference = match looked {
                    Ok(differences) => self.concerning(differences, &discovery),
                    Err(error) => {
                        if inquiry.context().is_news(&error.to_string()) {
                            tracing::warn!("looking for new partitions: {error}");
                        }
                        continue;
                    }
                };
                if let Some(difference) = lasting.believe(difference) {
                    return failed(inquiry.readers().error(difference));
                }
            }
        };
        std::thread::Builder::new()
            .name("discovery".to_owned())
            .spawn(watch)
            .map(drop)
    }

    /// The first difference that is about something that has been read.
    fn concerning(
        &self,
        differences: Vec<Difference>,
        discovery: &Discovery,
    ) -> Option<Difference> {
        let topics = self.inquiry.topics();
        let concerns = |difference: &Difference| match difference {
            Difference::TopicGone { topic } => {
                let number = topics.iter().position(|name| name == topic);
                let has_read = number.is_some_and(|number| discovery.has_read(number));
                let complaint = format!("topic {topic} is gone; nothing of it had been read");
                if !has_read && self.inquiry.context().is_news(&complaint) {
                    tracing::warn!("{complaint}");
                }
                has_read
            }
            _ => true,
        };
        differences.into_iter().find(concerns)
    }

    /// Compares the topics with those that were read, and looks for nothing new.
    fn compare(&self) -> Result<Vec<Difference>, Problem> {
        let looked = self.inquiry.look(ANSWER);
        let look = looked.map_err(|error| Problem::new(&error, || "the topics".to_owned()))?;
        Ok(look.differences)
    }
}
