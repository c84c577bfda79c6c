//! All views, and the way from a topic's messages to them.

use super::contributions::Contributions;
use super::definition::Definition;
use super::plan::{Plan, TooMany};
use super::view::{Enrich, EventTime, KAFKA_TIME, View, times};
use crate::saving::SavedDefinition;
use crate::time::{Accepted, PartitionTime, Refusal, Rule, Watched, Watermarks};
use events::{Malformed, Timestamp, Topic};
use model::{Lateness, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What configuration may change of a view.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Override {
    /// Its windows' size.
    pub window: Option<Window>,
    /// The time that places its events: `kafka`, or a time field of the event.
    pub time: Option<String>,
    /// How long a window stays open after its end.
    pub lateness: Option<Lateness>,
    /// Whether its rows have an index by group.
    pub group_index: Option<bool>,
}

/// A view cannot be what it is asked to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// Configuration names a time that the view's events do not have.
    #[error("views.{view}.time = {time:?}: {topic} have {known}")]
    NoSuchTime {
        /// The view.
        view: &'static str,
        /// The time it gives.
        time: String,
        /// The topic.
        topic: &'static str,
        /// The times there are.
        known: String,
    },
    /// Configuration asks for windows that there are not.
    #[error("views.{view}.window: {size:?} is not whole milliseconds, from 1s to 10000d")]
    NoSuchWindow {
        /// The view.
        view: String,
        /// The size it gives.
        size: Duration,
    },
    /// A view's name is that of its collection, and each needs one of its own.
    #[error(
        "there cannot be a view {0:?}: a name is of small letters, digits and _, begins with a letter, and is that of \
         no other view, and none of progress, dead_letters and tidemark_…"
    )]
    Name(&'static str),
    /// A second view joins.
    #[error(
        "view {second} joins {topics}, as view {first} does: a program has one view that joins, since what is joined is \
         kept by the sale's id for all views; leave one of them out"
    )]
    SecondJoin {
        /// The view that joins.
        first: &'static str,
        /// The other one.
        second: &'static str,
        /// What that joins.
        topics: String,
    },
    /// A view that joins has windows that overlap.
    #[error(
        "view {0} joins, and its windows overlap: what is joined is kept once for each id, in one window; let them be \
         as long as they are apart"
    )]
    OverlappingJoin(&'static str),
    /// The view does not fit a row.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// A message, as a route takes it.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    /// Its value.
    pub value: &'a [u8],
    /// Partition.
    pub partition: i32,
}

/// A view that did not take an event.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// Number of the view.
    pub view: u16,
    /// What the view's time is called.
    pub time: &'static str,
    /// Why not.
    pub refusal: Refusal,
    /// Whether it is of a topic that the view joins, and not of the view's own.
    pub joined: bool,
}

/// From the messages of one topic to the views that read it.
pub trait Route: Send + Sync {
    /// Name of the topic, without a prefix.
    fn topic(&self) -> &'static str;

    /// How each view of the topic judges events, in their order.
    fn rules(&self) -> &[Rule];

    /// Decodes a message and adds what it contributes to each view. `time` is that
    /// of its partition, which has been told of the message. Calls `refused` for
    /// each view that does not take it.
    ///
    /// # Errors
    /// When it cannot be decoded: then it contributes to no view at all.
    fn apply(
        &self,
        message: Taken<'_>,
        time: &mut PartitionTime,
        into: &mut Contributions,
        refused: &mut dyn FnMut(Refused),
    ) -> Result<(), Malformed>;
}

/// The views of one topic.
struct TopicRoute<T: Topic> {
    plans: Vec<Plan<T>>,
    rules: Vec<Rule>,
    enrich: Option<Enrich<T>>,
}

impl<T: Topic> Route for TopicRoute<T> {
    fn topic(&self) -> &'static str {
        T::NAME
    }

    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn apply(
        &self,
        message: Taken<'_>,
        time: &mut PartitionTime,
        into: &mut Contributions,
        refused: &mut dyn FnMut(Refused),
    ) -> Result<(), Malformed> {
        let Taken { value, partition } = message;
        let event = T::decode(value)?;
        let stamp = time.stamp(partition);
        let mut refuse = |plan: &Plan<T>, refusal| {
            refused(Refused {
                view: plan.number(),
                time: plan.time_name(),
                refusal,
                joined: false,
            });
        };
        for (place, plan) in self.plans.iter().enumerate() {
            if !time.is_for(place) {
                continue;
            }
            match time.judge(place, plan.time(&event).map(Timestamp::as_micros)) {
                Ok(Accepted { windows, missed }) => {
                    windows.for_each(|index| plan.apply(&event, index, stamp, into));
                    missed.into_iter().for_each(|missed| refuse(plan, missed));
                }
                Err(refusal) => refuse(plan, refusal),
            }
        }
        if let Some(enrich) = self.enrich
            && time.is_for_joined()
        {
            match time.judge_joined() {
                Ok(()) => enrich(&event, stamp, into),
                Err((view, refusal)) => refused(Refused {
                    view,
                    time: KAFKA_TIME,
                    refusal,
                    joined: true,
                }),
            }
        }
        Ok(())
    }
}

/// All views, as configured.
#[derive(Default)]
pub struct Catalog {
    /// What each view is; a view's number is its place here.
    pub definitions: Vec<Definition>,
    /// One route a topic; a topic's number is its place here.
    pub routes: Vec<Box<dyn Route>>,
}

impl Catalog {
    /// What a checkpoint keeps of the views, to know them again. `max_ahead` is in
    /// milliseconds.
    pub fn saved(&self, max_ahead: i64) -> Vec<SavedDefinition> {
        let saved = |view: &Definition| SavedDefinition {
            name: view.name.to_owned(),
            definition: view.describe(max_ahead),
        };
        self.definitions.iter().map(saved).collect()
    }

    /// That each view has a collection of its own.
    pub(super) fn check_names(&self) -> Result<(), ViewError> {
        let mut names = BTreeSet::from(["progress", "dead_letters"]);
        for view in &self.definitions {
            let name = view.name;
            let is_word = name.starts_with(|first: char| first.is_ascii_lowercase())
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if !is_word || name.starts_with("tidemark_") || !names.insert(name) {
                return Err(ViewError::Name(name));
            }
        }
        Ok(())
    }

    /// That one view joins at the most: two would take each other's sales for newer versions
    /// of their own.
    pub(super) fn check_joins(&self) -> Result<(), ViewError> {
        let views = self.definitions.iter();
        let mut joining = views.filter(|view| !view.joins.is_empty());
        let overlaps = |view: &Definition| view.window.overlap() > 1;
        if let Some(view) = joining.clone().find(|view| overlaps(view)) {
            return Err(ViewError::OverlappingJoin(view.name));
        }
        match (joining.next(), joining.next()) {
            (Some(first), Some(second)) => Err(ViewError::SecondJoin {
                first: first.name,
                second: second.name,
                topics: second.joins.join(", "),
            }),
            _ => Ok(()),
        }
    }

    /// The view that joins a topic which is not its own, by its number, and how long its
    /// windows stay open.
    pub fn joined(&self, topic: usize) -> Option<(u16, Lateness)> {
        let name = self.routes.get(topic)?.topic();
        let joins = |view: &&Definition| view.topic != name && view.joins.contains(&name);
        let mut views = (0..).zip(&self.definitions);
        let (number, view) = views.find(|(_, view)| joins(view))?;
        Some((number, view.lateness))
    }

    /// The watermarks of its views, before anything is known.
    pub fn watermarks(&self) -> Watermarks {
        let watched = self.definitions.iter().map(|view| Watched {
            // A view's topics are topics of the catalog.
            topic: self.topic_number(view.topic).unwrap_or(usize::MAX),
            window: view.window,
            joins: view
                .joins
                .iter()
                .filter_map(|name| self.topic_number(name))
                .collect(),
        });
        Watermarks::new(watched)
    }

    /// The number of the topic of this name, without a prefix.
    pub fn topic_number(&self, name: &str) -> Option<usize> {
        self.routes.iter().position(|route| route.topic() == name)
    }

    /// Adds a topic with those of its views that are wanted, and what the views of
    /// other topics are to know of its events.
    pub(super) fn topic<T: Topic>(
        mut self,
        views: Vec<View<T>>,
        enrich: Option<Enrich<T>>,
        overrides: &BTreeMap<String, Override>,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Catalog, ViewError> {
        let mut plans = Vec::new();
        let mut rules = Vec::new();
        for mut view in views.into_iter().filter(|view| wanted(view.name)) {
            if let Some(change) = overrides.get(view.name) {
                apply_override(&mut view, change)?;
            }
            view.lateness = view.window.lateness(view.lateness);
            let number = u16::try_from(self.definitions.len()).unwrap_or(u16::MAX);
            self.definitions.push(Definition::of(&view));
            rules.push(Rule {
                view: number,
                window: view.window,
                lateness: view.lateness,
                notes_passing: view.join.is_some(),
            });
            plans.push(Plan::of(view, number)?);
        }
        self.routes.push(Box::new(TopicRoute {
            plans,
            rules,
            enrich,
        }));
        Ok(self)
    }
}

fn apply_override<T: Topic>(view: &mut View<T>, change: &Override) -> Result<(), ViewError> {
    let Override {
        window,
        time,
        lateness,
        group_index,
    } = change;
    view.window = window.unwrap_or(view.window);
    view.lateness = lateness.unwrap_or(view.lateness);
    view.group_index = group_index.unwrap_or(view.group_index);
    if let Some(name) = time {
        view.time = if name == KAFKA_TIME {
            EventTime::Kafka
        } else if let Some(field) = T::TIMES.iter().find(|field| field.name == name.as_str()) {
            EventTime::Field(field.name, field.get)
        } else {
            let known = times::<T>().join(", ");
            let (view, time, topic) = (view.name, name.clone(), T::NAME);
            return Err(ViewError::NoSuchTime {
                view,
                time,
                topic,
                known,
            });
        };
    }
    Ok(())
}
