//! The language in which a view is defined.
//!
//! A [`View`] is a value: the topic it reads, the time that places an event in a
//! window, the columns it groups by and what it aggregates, in the order of the
//! document's fields. It holds plain functions of the borrowed event, so that
//! applying it to an event allocates nothing.

use super::contributions::Contributions;
use super::definition::Output;
use events::{Id, Timestamp, Topic};
use model::Slot;
use model::Stamp;
use model::{Lateness, Window};

/// Takes a group column's, or a counted member's, value out of an event.
pub type GetId<T> = for<'a, 'b> fn(&'b <T as Topic>::Event<'a>) -> Id;
/// Takes a number out of an event.
pub type GetNumber<T> = for<'a, 'b> fn(&'b <T as Topic>::Event<'a>) -> i64;
/// Takes a time out of an event.
pub type GetTime<T> = for<'a, 'b> fn(&'b <T as Topic>::Event<'a>) -> Timestamp;

/// Hands an event of a window to the join.
pub type Feed<T> = for<'a, 'b> fn(&'b <T as Topic>::Event<'a>, Slot, Stamp, &mut Contributions);
/// Hands an event to the join that is what others are joined with.
pub type Enrich<T> = for<'a, 'b> fn(&'b <T as Topic>::Event<'a>, Stamp, &mut Contributions);

/// One maintained query over one topic: one collection.
pub struct View<T: Topic> {
    /// Name of the view and of its collection.
    pub name: &'static str,
    /// What it tells, in a sentence.
    pub about: &'static str,
    /// The version of its code: part of what it is, since of functions nothing else is known.
    pub version: u32,
    /// The time that places an event in a window.
    pub time: EventTime<T>,
    /// The windows.
    pub window: Window,
    /// How long a window stays open after its end.
    pub lateness: Lateness,
    /// Names of the fields that hold the window's start and end.
    pub window_fields: [&'static str; 2],
    /// Columns grouped by.
    pub groups: Vec<Group<T>>,
    /// Aggregates, in order.
    pub aggregates: Vec<Aggregate<T>>,
    /// Whether its rows have an index by group as well as the one by window.
    pub group_index: bool,
    /// What it is joined with, if it is: then it groups and aggregates what comes
    /// of that, and nothing itself.
    pub join: Option<Join<T>>,
}

/// Which time of an event counts.
pub enum EventTime<T: Topic> {
    /// The timestamp of the Kafka message.
    Kafka,
    /// A field of the event.
    Field(&'static str, GetTime<T>),
}

/// A column that a view groups by.
pub struct Group<T: Topic> {
    /// Field name.
    pub name: &'static str,
    /// Its value in an event.
    pub get: GetId<T>,
}

/// A field that a view computes.
pub struct Aggregate<T: Topic> {
    /// Field name.
    pub name: &'static str,
    /// What it is computed from.
    pub of: AggregateOf<T>,
}

/// What an aggregate is computed from.
pub enum AggregateOf<T: Topic> {
    /// The number of events.
    Count,
    /// The exact sum of a number.
    Sum(GetNumber<T>),
    /// The mean of a number given in units of 10^-scale: the exact quotient,
    /// rounded once to the nearest double.
    Average {
        /// The number.
        get: GetNumber<T>,
        /// Its decimals.
        scale: u32,
    },
    /// The exact number of distinct values.
    Unique(GetId<T>),
    /// The latest of a time.
    Latest(GetTime<T>),
}

/// What a view that joins its events with other topics does with them.
pub struct Join<T: Topic> {
    /// The other topics.
    pub with: &'static [&'static str],
    /// Columns grouped by.
    pub groups: &'static [&'static str],
    /// Fields, and how each is computed.
    pub outputs: &'static [(&'static str, Output)],
    /// Hands an event of a window to the join.
    pub feed: Feed<T>,
}

impl<T: Topic> View<T> {
    /// A view with windows of an hour by the Kafka timestamp, two hours of
    /// lateness, and nothing grouped or aggregated yet.
    pub fn new(name: &'static str, about: &'static str) -> View<T> {
        View {
            name,
            about,
            version: 1,
            time: EventTime::Kafka,
            window: Window::HOUR,
            lateness: Lateness::Millis(2 * 3_600_000),
            window_fields: ["window_start", "window_end"],
            groups: Vec::new(),
            aggregates: Vec::new(),
            group_index: false,
            join: None,
        }
    }

    /// Sets the version of its code, 1 at first. Whoever changes what a getter (of a time, a
    /// group, a number, a member) or a join computes raises it: then the view is another one,
    /// and is refused until it is rebuilt. Else what both have computed would be added up.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Places events by the time field `name` of the event instead.
    pub fn by_time(mut self, name: &'static str, get: GetTime<T>) -> Self {
        self.time = EventTime::Field(name, get);
        self
    }

    /// Sets the windows' size.
    pub fn windows_of(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// Sets how long a window stays open after its end.
    pub fn lateness(mut self, lateness: Lateness) -> Self {
        self.lateness = lateness;
        self
    }

    /// Names the fields that hold the window's start and end.
    pub fn window_fields(mut self, start: &'static str, end: &'static str) -> Self {
        self.window_fields = [start, end];
        self
    }

    /// Indexes its rows by group as well, for those who ask for one group over a long time.
    pub fn group_index(mut self, group_index: bool) -> Self {
        self.group_index = group_index;
        self
    }

    /// Joins its events with other topics.
    pub fn joining(mut self, join: Join<T>) -> Self {
        self.join = Some(join);
        self
    }

    /// Groups by a column.
    pub fn group_by(mut self, name: &'static str, get: GetId<T>) -> Self {
        self.groups.push(Group { name, get });
        self
    }

    /// Counts events.
    pub fn count(self, name: &'static str) -> Self {
        self.aggregate(name, AggregateOf::Count)
    }

    /// Adds up a number.
    pub fn sum(self, name: &'static str, get: GetNumber<T>) -> Self {
        self.aggregate(name, AggregateOf::Sum(get))
    }

    /// Takes the mean of a number in units of 10^-`scale`.
    pub fn average(self, name: &'static str, scale: u32, get: GetNumber<T>) -> Self {
        self.aggregate(name, AggregateOf::Average { get, scale })
    }

    /// Counts distinct values, exactly.
    pub fn unique(self, name: &'static str, get: GetId<T>) -> Self {
        self.aggregate(name, AggregateOf::Unique(get))
    }

    /// Keeps the latest of a time.
    pub fn latest(self, name: &'static str, get: GetTime<T>) -> Self {
        self.aggregate(name, AggregateOf::Latest(get))
    }

    fn aggregate(mut self, name: &'static str, of: AggregateOf<T>) -> Self {
        self.aggregates.push(Aggregate { name, of });
        self
    }

    /// The name of the time that places its events.
    pub fn time_name(&self) -> &'static str {
        match self.time {
            EventTime::Kafka => KAFKA_TIME,
            EventTime::Field(name, _) => name,
        }
    }
}

/// How configuration names the timestamp of the Kafka message.
pub const KAFKA_TIME: &str = "kafka";

/// How configuration may name the time of a topic's events.
pub(super) fn times<T: Topic>() -> Vec<&'static str> {
    let fields = T::TIMES.iter().map(|field| field.name);
    [KAFKA_TIME].into_iter().chain(fields).collect()
}
