//! How far event time has come, for people and programs to see.

use crate::time::{Frontier, Holding, Mark, NEVER, Passing, Watermarks};
use crate::views::Catalog;
use crate::views::definition::Definition;
use model::{Lateness, Window};
use std::sync::{Arc, Mutex, PoisonError};

/// The event time of all views as a worker of this process knows it, and what it is
/// the event time of.
#[derive(Clone)]
pub struct Times {
    /// All views.
    pub catalog: Arc<Catalog>,
    /// Full names of the topics, by number.
    pub topics: Arc<[String]>,
    /// What the worker knows.
    pub known: Arc<Mutex<Watermarks>>,
}

impl std::fmt::Debug for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Times").finish_non_exhaustive()
    }
}

/// The event time of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewTime {
    /// Name of the view.
    pub view: String,
    /// Its windows.
    pub window: Window,
    /// How long they stay open, in milliseconds; `None` is for ever.
    pub lateness: Option<i64>,
    /// What its time is called.
    pub time: String,
    /// Its watermark, in microseconds since the UNIX epoch.
    pub watermark: Option<i64>,
    /// The end of its last final window, in milliseconds since the UNIX epoch.
    pub final_until: Option<i64>,
    /// How far the partitions of its own topic have come, in microseconds since the
    /// UNIX epoch: its watermark, unless that waits for what is joined.
    pub passed: Option<i64>,
    /// Where a window that they have passed waits for what is joined: the Kafka
    /// timestamp that all of it must be read beyond, in milliseconds. Of several
    /// windows, that of the first.
    pub waits_for: Option<i64>,
    /// The partitions of its topic, and of those that are joined.
    pub partitions: Vec<PartitionTime>,
}

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionTime {
    /// Full name of its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The worker that reads it, counted over all processes.
    pub worker: usize,
    /// The next offset to read.
    pub offset: i64,
    /// Whether it holds the watermark.
    pub holding: Holding,
    /// Whether its topic is not the view's own but one that is joined: then it
    /// holds windows by its Kafka timestamps.
    pub is_joined: bool,
    /// The largest event time seen, in microseconds since the UNIX epoch.
    pub event_time: Option<i64>,
    /// Its watermark, in microseconds since the UNIX epoch.
    pub watermark: Option<i64>,
    /// The largest Kafka timestamp seen, in milliseconds since the UNIX epoch.
    pub kafka: Option<i64>,
}

impl Times {
    /// The event time of every view, in the order of the catalog.
    pub fn views(&self) -> Vec<ViewTime> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let marks: Vec<Mark> = known.marks().cloned().collect();
        let reached: Vec<_> = known.frontiers().zip(known.passing()).collect();
        drop(known);
        let definitions = (0..).zip(&self.catalog.definitions);
        definitions
            .zip(reached)
            .map(|((number, view), reached)| self.view(number, view, reached, &marks))
            .collect()
    }

    fn view(
        &self,
        number: u16,
        definition: &Definition,
        (frontier, passing): (Frontier, Passing),
        marks: &[Mark],
    ) -> ViewTime {
        let topic_of = |mark: &&Mark| self.catalog.routes[mark.topic].topic();
        let own = |mark: &&Mark| topic_of(mark) == definition.topic;
        let partition = |mark: &Mark| {
            let of_view = mark.views.iter().find(|view| view.view == number);
            PartitionTime {
                topic: self.topics[mark.topic].clone(),
                partition: mark.partition,
                worker: mark.worker,
                offset: mark.next,
                holding: mark.holding,
                is_joined: !own(&mark),
                event_time: of_view.and_then(|view| some(view.latest)),
                watermark: of_view.and_then(|view| some(view.watermark)),
                kafka: some(mark.kafka),
            }
        };
        let partitions = marks.iter().filter(|mark| {
            own(mark) || definition.joins.iter().any(|topic| topic == topic_of(mark))
        });
        let end_of = |through| definition.window.end_millis(through);
        ViewTime {
            view: definition.name.to_owned(),
            window: definition.window,
            lateness: match definition.lateness {
                Lateness::Millis(millis) => Some(millis),
                Lateness::Forever => None,
            },
            time: definition.time.to_owned(),
            watermark: some(frontier.watermark),
            final_until: some(frontier.through).map(end_of),
            passed: some(passing.passed),
            waits_for: passing.waits_for,
            partitions: partitions.map(partition).collect(),
        }
    }
}

fn some(time: i64) -> Option<i64> {
    (time != NEVER).then_some(time)
}
