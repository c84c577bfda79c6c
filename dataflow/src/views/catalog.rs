//! All views, and the way from a topic's messages to them.

use super::column::Batch;
use super::contributions::Contributions;
use super::definition::Definition;
use super::expression::failure;
use super::plan::{LookupPlan, Plan, TablePlan, VersionPlan};
use super::planner::{NoColumn, Place, Planned, plan};
use super::source::Source;
use super::terms::Input;
use super::view::{EventTime, KAFKA_TIME, View};
use crate::saving::SavedDefinition;
use crate::time::{Accepted, PartitionTime, Refusal, Rule, Watched, Watermarks};
use events::Malformed;
use model::{DataType, Datum, Lateness, Slot, Stamp, Window};
use sinks::Reason;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
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
        view: String,
        /// The time it gives.
        time: String,
        /// The topic.
        topic: String,
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
    Name(String),
    /// It uses a column that its sources do not have.
    #[error(
        "view {view} uses the column {column}, which none of its sources has; there are {known}"
    )]
    NoSuchColumn {
        /// The view.
        view: String,
        /// What it uses.
        column: String,
        /// The columns there are.
        known: String,
    },
    /// It reads a topic that the program does not.
    #[error("view {view} reads the topic {topic}, which is no source")]
    NoSuchSource {
        /// The view.
        view: String,
        /// The topic.
        topic: String,
    },
    /// A view of a table has windows that overlap.
    #[error(
        "view {0} counts the newest event of each key, and its windows overlap: an event of a table is in one window; \
         let them be as long as they are apart"
    )]
    OverlappingTable(String),
}

/// A view that did not take an event.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// Number of the view.
    pub view: u16,
    /// What the view's time is called.
    pub time: &'a str,
    /// Why not.
    pub refusal: Refusal,
    /// Whether it is of a topic that the view looks up, and not of the view's own.
    pub joined: bool,
}

/// From the messages of one topic to the views that read it.
#[derive(Debug)]
pub struct Route {
    source: Arc<Source>,
    types: Arc<[DataType]>,
    /// Which columns any view reads.
    wanted: Vec<bool>,
    rules: Vec<Rule>,
    plans: Vec<Plan>,
    /// What is kept for views that look the topic up, and how long their windows stay open.
    versions: Vec<(VersionPlan, Lateness)>,
}

/// Rows of a topic that have been read and judged, and wait to be applied to its views.
#[derive(Debug)]
pub struct Buffer {
    batch: Batch,
    stamps: Vec<Stamp>,
    /// By place of the view: the rows it takes, and in which window.
    taken: Vec<Vec<(usize, Slot)>>,
    /// The same of views that look the topic up.
    versions: Vec<Vec<usize>>,
    /// By place of the view: rows that it does not take, or not into all windows, unless they are left
    /// out for another reason that comes first.
    refused: Vec<(usize, usize, Refusal)>,
}

/// What a view makes of a row that waited.
#[derive(Clone, Debug)]
pub enum Verdict<'a> {
    /// Its condition leaves it out.
    Filtered,
    /// It does not belong there.
    Refused(Refused<'a>),
    /// An expression fails on it, for this reason.
    Failed(&'a str),
}

/// Rows that are applied together.
const ROWS: usize = 1_024;

impl Buffer {
    /// Whether it is time to apply them.
    pub fn is_full(&self) -> bool {
        self.batch.rows >= ROWS
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.batch.rows == 0
    }
}

impl Route {
    /// Name of the topic, without a prefix.
    pub fn topic(&self) -> &str {
        &self.source.name
    }

    /// How each view of the topic judges events, in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether messages are needed again when they are applied, since a view may then refuse
    /// them.
    pub fn may_refuse_later(&self) -> bool {
        self.plans.iter().any(Plan::may_refuse)
    }

    /// A place for rows of the topic.
    pub fn buffer(&self) -> Buffer {
        Buffer {
            batch: Batch::new(Arc::clone(&self.types)),
            stamps: Vec::new(),
            taken: vec![Vec::new(); self.plans.len()],
            versions: vec![Vec::new(); self.versions.len()],
            refused: Vec::new(),
        }
    }

    /// Decodes a message of a partition into a row, and judges it for each view. `time` is that
    /// of its partition, which has been told of the message. Calls `refused` for
    /// each view that does not take it.
    ///
    /// # Errors
    /// When it cannot be decoded: then it contributes to no view at all.
    pub fn read<'a>(
        &'a self,
        value: &[u8],
        partition: i32,
        time: &mut PartitionTime,
        into: &mut Buffer,
        refused: &mut dyn FnMut(Refused<'a>),
    ) -> Result<(), Malformed> {
        let Buffer {
            batch,
            stamps,
            taken,
            versions,
            refused: later,
        } = into;
        self.source.decoder.decode(value, &self.wanted, batch)?;
        let row = batch.rows;
        batch.rows += 1;
        stamps.push(time.stamp(partition));
        for (place, plan) in self.plans.iter().enumerate() {
            if !time.is_for(place) {
                continue;
            }
            let at = plan.time.map(|column| batch.columns[column].long(row));
            match time.judge(place, at) {
                Ok(Accepted { windows, missed }) => {
                    let slots = windows.map(|index| (row, Slot::new(plan.number, index)));
                    taken[place].extend(slots);
                    match missed {
                        Some(missed) if plan.may_refuse() => later.push((place, row, missed)),
                        Some(missed) => refused(plan.refused(missed)),
                        None => {}
                    }
                }
                Err(refusal) if plan.filter.is_some() => later.push((place, row, refusal)),
                Err(refusal) => refused(plan.refused(refusal)),
            }
        }
        for (rows, (plan, lateness)) in versions.iter_mut().zip(&self.versions) {
            if !time.is_for_joined(plan.view) {
                continue;
            }
            match time.judge_joined(*lateness) {
                Ok(()) => rows.push(row),
                Err(refusal) => refused(Refused {
                    view: plan.view,
                    time: KAFKA_TIME,
                    refusal,
                    joined: true,
                }),
            }
        }
        Ok(())
    }

    /// Takes up a message without a value: it deletes its key where a view says so. `time` is that of
    /// its partition, which has been told of the message. Returns whether its key could be read by
    /// all that do.
    pub fn delete(
        &self,
        key: Option<&[u8]>,
        partition: i32,
        time: &PartitionTime,
        into: &mut Contributions,
    ) -> bool {
        let Some(key) = key else {
            return true;
        };
        let stamp = time.stamp(partition);
        let mut is_read = true;
        let plans = self.plans.iter().enumerate();
        let plans = plans.filter(|(place, _)| time.is_for(*place));
        let versions = self.versions.iter().map(|(plan, _)| plan);
        let versions = versions.filter(|plan| time.is_for_joined(plan.view));
        let deletions = plans.filter_map(|(_, plan)| plan.deletion());
        for deletion in deletions.chain(versions.filter_map(VersionPlan::deletion)) {
            match key_of(key, deletion.key) {
                Some(key) => into.add(deletion.out(key, stamp)),
                None => is_read = false,
            }
        }
        is_read
    }

    /// Adds what the rows of a buffer contribute to each view, and empties it. Calls `verdict` for each
    /// row and view that does not take it after all.
    pub fn apply(
        &self,
        buffer: &mut Buffer,
        into: &mut Contributions,
        verdict: &mut dyn FnMut(u16, usize, Verdict<'_>),
    ) {
        let Buffer {
            batch,
            stamps,
            taken,
            versions,
            refused,
        } = buffer;
        let stamp = |row: usize| stamps[row];
        for (place, (plan, rows)) in self.plans.iter().zip(taken).enumerate() {
            let number = plan.number;
            // A row is there once for each of its windows, and counts once.
            let mut out = BTreeSet::new();
            if let Some(filter) = &plan.filter {
                let passes = filter.evaluate(batch);
                rows.retain(|(row, _)| {
                    let outcome = match failure(&passes, *row) {
                        Some(why) => Verdict::Failed(why),
                        None if passes.is_true(*row) => return true,
                        None => Verdict::Filtered,
                    };
                    if out.insert(*row) {
                        verdict(number, *row, outcome);
                    }
                    false
                });
                for (_, row, refusal) in refused.iter().filter(|(of, ..)| *of == place) {
                    let passes = failure(&passes, *row).is_some() || passes.is_true(*row);
                    if !passes && refusal.reason() != Reason::PartlyLate {
                        verdict(number, *row, Verdict::Filtered);
                        out.insert(*row);
                    }
                }
            }
            let input = Input {
                batch,
                rows,
                left: None,
                failures_are_null: false,
            };
            let mut failed = |row: usize, why: &str| {
                if out.insert(row) {
                    verdict(number, row, Verdict::Failed(why));
                }
            };
            plan.apply(&input, stamp, &mut failed, &mut |out| into.add(out));
            rows.clear();
            for (_, row, refusal) in refused.iter().filter(|(of, ..)| *of == place) {
                if !out.contains(row) {
                    verdict(number, *row, Verdict::Refused(plan.refused(*refusal)));
                }
            }
        }
        for (rows, (plan, _)) in versions.iter_mut().zip(&self.versions) {
            plan.apply(batch, rows, stamp, &mut |out| into.add(out));
            rows.clear();
        }
        batch.clear();
        stamps.clear();
        refused.clear();
    }
}

/// A Kafka key as a value of a type, if it is one.
fn key_of(key: &[u8], data_type: &DataType) -> Option<Datum> {
    let text = std::str::from_utf8(key).ok()?;
    match data_type {
        DataType::Text | DataType::Uuid => Some(Datum::text(text)),
        DataType::Int => text
            .parse()
            .ok()
            .map(|value: i32| Datum::long(value.into())),
        DataType::BigInt => text.parse().ok().map(Datum::long),
        _ => None,
    }
}

/// All views, as configured.
#[derive(Debug, Default)]
pub struct Catalog {
    /// What each view is; a view's number is its place here.
    pub definitions: Vec<Definition>,
    /// One route a topic; a topic's number is its place here.
    pub routes: Vec<Route>,
    /// The tables of views; an arrangement's number is its place here.
    pub(super) tables: Vec<Arc<TablePlan>>,
    /// The look-ups of views, likewise.
    pub(super) lookups: Vec<Arc<LookupPlan>>,
}

impl Catalog {
    /// The catalog of these views of these sources, with what configuration changes of them. Views
    /// are numbered by their topics, in the order of the sources.
    ///
    /// # Errors
    /// When a view cannot be what it is asked to be.
    pub fn of(
        sources: &[Arc<Source>],
        mut views: Vec<View>,
        overrides: &BTreeMap<String, Override>,
    ) -> Result<Catalog, ViewError> {
        for view in &mut views {
            if let Some(change) = overrides.get(&view.name) {
                apply_override(view, change)?;
            }
            view.lateness = view.window.lateness(view.lateness);
            if view.key.is_some() && view.window.overlap() > 1 {
                return Err(ViewError::OverlappingTable(view.name.clone()));
            }
        }
        let mut catalog = Catalog::default();
        let mut routes: Vec<_> = sources.iter().map(Route::of).collect();
        for (topic, source) in sources.iter().enumerate() {
            for view in views.iter().filter(|view| view.source.name == source.name) {
                catalog.add(view, topic, &mut routes)?;
            }
        }
        catalog.routes = routes;
        let known = |name: &str| sources.iter().any(|source| source.name == name);
        for view in &views {
            let looked_up = view.lookups.iter().map(|lookup| &lookup.source.name);
            let mut topics = std::iter::once(&view.source.name).chain(looked_up);
            if let Some(topic) = topics.find(|topic| !known(topic)) {
                return Err(ViewError::NoSuchSource {
                    view: view.name.clone(),
                    topic: topic.clone(),
                });
            }
        }
        catalog.check_names()?;
        Ok(catalog)
    }

    fn add(&mut self, view: &View, topic: usize, routes: &mut [Route]) -> Result<(), ViewError> {
        let number = u16::try_from(self.definitions.len()).unwrap_or(u16::MAX);
        let place = Place {
            view: number,
            table: self.tables.len(),
            lookups: self.lookups.len(),
        };
        let Planned {
            lanes,
            feed,
            table,
            lookups,
            versions,
        } = plan(view, place).map_err(|NoColumn(column)| ViewError::NoSuchColumn {
            view: view.name.clone(),
            column,
            known: view.schema().names().join(", "),
        })?;
        let definition = Definition::of(view, Arc::new(lanes));
        let route = &mut routes[topic];
        route.rules.push(Rule {
            view: number,
            window: view.window,
            lateness: view.lateness,
            notes_passing: !definition.joins.is_empty(),
        });
        let time = match &view.time {
            EventTime::Kafka => None,
            // It was looked for when it was set; or the view is refused.
            EventTime::Column(name) => {
                let place = view.source.place(name);
                Some(place.ok_or_else(|| ViewError::NoSuchColumn {
                    view: view.name.clone(),
                    column: name.clone(),
                    known: view.schema().names().join(", "),
                })?)
            }
        };
        let plan = Plan {
            number,
            time_name: view.time_name().to_owned(),
            time,
            filter: view.filter.clone(),
            feed,
        };
        route.want(plan.columns());
        route.plans.push(plan);
        for (plan, lookup) in versions.into_iter().zip(&view.lookups) {
            let mut routes = routes.iter_mut();
            if let Some(route) = routes.find(|route| route.topic() == lookup.source.name) {
                route.want(plan.columns());
                route.versions.push((plan, view.lateness));
            }
        }
        self.tables.extend(table.map(Arc::new));
        self.lookups.extend(lookups.into_iter().map(Arc::new));
        self.definitions.push(definition);
        Ok(())
    }

    /// How many arrangements of members there are.
    pub(super) fn members(&self) -> usize {
        let distinct = self
            .definitions
            .iter()
            .map(|view| view.lanes.distinct.len());
        distinct.max().unwrap_or(0)
    }

    /// Whether any view keeps first values.
    pub(super) fn has_extremes(&self) -> bool {
        self.definitions
            .iter()
            .any(|view| !view.lanes.extremes.is_empty())
    }

    /// How many arrangements there are: of members, whether there is one of first values, of tables
    /// and of look-ups.
    pub fn arrangements(&self) -> (usize, bool, usize, usize) {
        let (tables, lookups) = (self.tables.len(), self.lookups.len());
        (self.members(), self.has_extremes(), tables, lookups)
    }

    /// Whether no window of a view is ever closed.
    pub(super) fn is_forever(&self, view: u16) -> bool {
        self.definitions[usize::from(view)].lateness == Lateness::Forever
    }

    /// What a checkpoint keeps of the views, to know them again. `max_ahead` is in
    /// milliseconds.
    pub fn saved(&self, max_ahead: i64) -> Vec<SavedDefinition> {
        let saved = |view: &Definition| SavedDefinition {
            name: view.name.clone(),
            definition: view.describe(max_ahead),
        };
        self.definitions.iter().map(saved).collect()
    }

    /// That each view has a collection of its own.
    fn check_names(&self) -> Result<(), ViewError> {
        let mut names = BTreeSet::from(["progress", "dead_letters"]);
        for view in &self.definitions {
            let name = view.name.as_str();
            let is_word = name.starts_with(|first: char| first.is_ascii_lowercase())
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if !is_word || name.starts_with("tidemark_") || !names.insert(name) {
                return Err(ViewError::Name(name.to_owned()));
            }
        }
        Ok(())
    }

    /// The watermarks of its views, before anything is known.
    pub fn watermarks(&self) -> Watermarks {
        let watched = self.definitions.iter().map(|view| Watched {
            // A view's topics are topics of the catalog.
            topic: self.topic_number(&view.topic).unwrap_or(usize::MAX),
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
}

impl Route {
    /// That of a topic, without views.
    fn of(source: &Arc<Source>) -> Route {
        let types = source.columns.iter().map(|column| column.data_type.clone());
        Route {
            types: types.collect(),
            wanted: vec![false; source.columns.len()],
            source: Arc::clone(source),
            rules: Vec::new(),
            plans: Vec::new(),
            versions: Vec::new(),
        }
    }

    /// These columns are read; others are not of this topic.
    fn want(&mut self, columns: impl IntoIterator<Item = usize>) {
        for column in columns {
            if let Some(wanted) = self.wanted.get_mut(column) {
                *wanted = true;
            }
        }
    }
}

fn apply_override(view: &mut View, change: &Override) -> Result<(), ViewError> {
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
        if !view.times().contains(name) {
            return Err(ViewError::NoSuchTime {
                view: view.name.clone(),
                time: name.clone(),
                topic: view.source.name.clone(),
                known: view.times().join(", "),
            });
        }
        view.time = match name.as_str() {
            KAFKA_TIME => EventTime::Kafka,
            name => EventTime::Column(name.to_owned()),
        };
    }
    Ok(())
}
