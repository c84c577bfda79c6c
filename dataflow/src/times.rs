//! How far event time has come, as telemetry reports it.

use crate::time::{Frontier, Mark, NEVER, Passing, Watermarks};
use crate::views::Catalog;
use crate::views::definition::Definition;
use model::{Lateness, lock};
use std::sync::{Arc, Mutex};
use telemetry::{PartitionTime, ViewTime};

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

impl Times {
    /// The event time of every view, in the order of the catalog.
    pub fn views(&self) -> Vec<ViewTime> {
        let known = lock(&self.known);
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
        let backfills = marks.iter().filter_map(|mark| {
            let backfill = mark.backfill_of(number)?;
            u64::try_from(mark.next - backfill.next).ok()
        });
        let behind_others: Option<u64> =
            backfills.fold(None, |sum, behind| Some(sum.unwrap_or(0) + behind));
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
            behind_others,
            partitions: partitions.map(partition).collect(),
        }
    }
}

fn some(time: i64) -> Option<i64> {
    (time != NEVER).then_some(time)
}
