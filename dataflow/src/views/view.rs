//! The language in which a view is defined.
//!
//! A [`View`] is data: the source it reads, the time that places an event in a
//! window, what it filters, looks up, groups by and aggregates, in the order of the
//! document's fields.

use super::expression::Expr;
use super::source::{Schema, Source};
use model::{DataType, Lateness, Window};
use std::fmt;
use std::sync::Arc;

/// One maintained query: one collection.
#[derive(Clone, Debug)]
pub struct View {
    /// Name of the view and of its collection.
    pub name: String,
    /// What it tells, in a sentence.
    pub about: String,
    /// The version of its code: part of what it is, since of functions nothing else is known.
    pub version: u32,
    /// Whose events it is of.
    pub source: Arc<Source>,
    /// Of a table, its key (of the source's columns): then only the newest event of each
    /// key counts.
    pub key: Option<Expr>,
    /// Of a table: whether a message without a value deletes its key.
    pub deletes: bool,
    /// The time that places an event in a window.
    pub time: EventTime,
    /// The windows.
    pub window: Window,
    /// How long a window stays open after its end.
    pub lateness: Lateness,
    /// Names of the fields that hold the window's start and end.
    pub window_fields: [String; 2],
    /// Events count of which this, of the source's columns, is true.
    pub filter: Option<Expr>,
    /// What is looked up, one after the other.
    pub lookups: Vec<Lookup>,
    /// Columns grouped by.
    pub groups: Vec<(String, Expr)>,
    /// Aggregates, in order.
    pub aggregates: Vec<Aggregate>,
    /// What its fields are, computed of the groups and the aggregates; the aggregates where
    /// there is nothing.
    pub fields: Vec<(String, Expr)>,
    /// Rows are there of which this, computed of the same, is true.
    pub having: Option<Expr>,
    /// Whether its rows have an index by group as well as the one by window.
    pub group_index: bool,
}

/// Which time of an event counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventTime {
    /// The timestamp of the Kafka message.
    Kafka,
    /// A column of the source.
    Column(String),
}

/// The newest event of a key, looked up in a source.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The source.
    pub source: Arc<Source>,
    /// The key of its events, of its own columns.
    pub key: Expr,
    /// What is looked up, of the columns of the view's source and of those looked up before.
    pub by: Expr,
    /// Whether an event for which nothing is found does not count; else all columns are NULL.
    pub is_inner: bool,
    /// Whether a message without a value deletes its key.
    pub deletes: bool,
}

/// A field that a view computes.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Field name.
    pub name: String,
    /// What it is computed from.
    pub function: Function,
    /// Only events count of which this is true.
    pub filter: Option<Expr>,
}

/// How an aggregate is computed, of the columns of all sources. NULLs do not count.
#[derive(Clone, Debug)]
pub enum Function {
    /// The number of events.
    Count,
    /// The number of values.
    CountOf(Expr),
    /// The exact sum.
    Sum(Expr),
    /// The sum of products of two: of an expression of the view's own source, exact, and of one
    /// of any columns. So a change of the second costs what it changes and not the events behind it.
    SumOfProducts(Expr, Expr),
    /// The mean: the exact quotient, rounded once to the nearest double.
    Average(Expr),
    /// The exact number of distinct values.
    CountDistinct(Expr),
    /// The exact sum of distinct values.
    SumDistinct(Expr),
    /// The least.
    Min(Expr),
    /// The greatest.
    Max(Expr),
    /// The first expression where the second is least.
    ArgMin(Expr, Expr),
    /// The first expression where the second is greatest.
    ArgMax(Expr, Expr),
    /// Whether all are true.
    All(Expr),
    /// Whether any is true.
    Any(Expr),
}

impl View {
    /// A view with windows of an hour by the Kafka timestamp, two hours of
    /// lateness, and nothing grouped or aggregated yet.
    pub fn new(source: &Arc<Source>, name: &str, about: &str) -> View {
        View {
            name: name.to_owned(),
            about: about.to_owned(),
            version: 1,
            source: Arc::clone(source),
            key: None,
            deletes: false,
            time: EventTime::Kafka,
            window: Window::HOUR,
            lateness: Lateness::Millis(2 * 3_600_000),
            window_fields: ["window_start", "window_end"].map(str::to_owned),
            filter: None,
            lookups: Vec::new(),
            groups: Vec::new(),
            aggregates: Vec::new(),
            fields: Vec::new(),
            having: None,
            group_index: false,
        }
    }

    /// The columns of its source and of those it has been told to look up so far.
    pub fn schema(&self) -> Schema {
        let lookups = self.lookups.iter();
        lookups.fold(Schema::of(&self.source), |schema, lookup| {
            schema.with(&lookup.source)
        })
    }

    /// A column of that schema.
    pub fn column(&self, name: &str) -> Expr {
        self.schema().column(name)
    }

    /// Sets the version of its code, 1 at first. Whoever changes what a function of it computes
    /// raises it: then the view is another one, and is refused until it is rebuilt. Else what both
    /// have computed would be added up.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Counts of each key of its source, a column, only the newest event.
    #[must_use]
    pub fn newest_of(mut self, column: &str) -> Self {
        self.key = Some(Schema::of(&self.source).column(column));
        self
    }

    /// Places events by a time column of the source instead.
    #[must_use]
    pub fn by_time(mut self, column: &str) -> Self {
        self.time = EventTime::Column(column.to_owned());
        self
    }

    /// Sets the windows' size.
    #[must_use]
    pub fn windows_of(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// Sets how long a window stays open after its end.
    #[must_use]
    pub fn lateness(mut self, lateness: Lateness) -> Self {
        self.lateness = lateness;
        self
    }

    /// Names the fields that hold the window's start and end.
    #[must_use]
    pub fn window_fields(mut self, start: &str, end: &str) -> Self {
        self.window_fields = [start, end].map(str::to_owned);
        self
    }

    /// Indexes its rows by group as well, for those who ask for one group over a long time.
    #[must_use]
    pub fn group_index(mut self, group_index: bool) -> Self {
        self.group_index = group_index;
        self
    }

    /// Counts only events of which `filter`, of the source's columns, is true.
    #[must_use]
    pub fn filter(mut self, filter: Expr) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Looks up the newest event of `source` whose `key` column equals the column `by` of those
    /// there are so far.
    #[must_use]
    pub fn look_up(mut self, source: &Arc<Source>, key: &str, by: &str) -> Self {
        let by = self.column(by);
        self.lookups.push(Lookup {
            source: Arc::clone(source),
            key: Schema::of(source).column(key),
            by,
            is_inner: false,
            deletes: false,
        });
        self
    }

    /// Messages without a value delete their keys: of the view's own table, and of what it looks up
    /// so far.
    #[must_use]
    pub fn deleting(mut self) -> Self {
        self.deletes = self.key.is_some();
        self.lookups
            .iter_mut()
            .for_each(|lookup| lookup.deletes = true);
        self
    }

    /// Groups by a column, under its name.
    #[must_use]
    pub fn group_by(self, column: &str) -> Self {
        let expression = self.column(column);
        self.group_by_expression(column, expression)
    }

    /// Groups by an expression.
    #[must_use]
    pub fn group_by_expression(mut self, name: &str, expression: Expr) -> Self {
        self.groups.push((name.to_owned(), expression));
        self
    }

    /// Counts events.
    #[must_use]
    pub fn count(self, name: &str) -> Self {
        self.aggregate(name, Function::Count)
    }

    /// Adds a column up.
    #[must_use]
    pub fn sum(self, name: &str, column: &str) -> Self {
        let expression = self.column(column);
        self.aggregate(name, Function::Sum(expression))
    }

    /// Takes the mean of a column.
    #[must_use]
    pub fn average(self, name: &str, column: &str) -> Self {
        let expression = self.column(column);
        self.aggregate(name, Function::Average(expression))
    }

    /// Counts distinct values of a column, exactly.
    #[must_use]
    pub fn unique(self, name: &str, column: &str) -> Self {
        let expression = self.column(column);
        self.aggregate(name, Function::CountDistinct(expression))
    }

    /// Keeps the greatest value of a column.
    #[must_use]
    pub fn max(self, name: &str, column: &str) -> Self {
        let expression = self.column(column);
        self.aggregate(name, Function::Max(expression))
    }

    /// Computes an aggregate.
    #[must_use]
    pub fn aggregate(mut self, name: &str, function: Function) -> Self {
        self.aggregates.push(Aggregate {
            name: name.to_owned(),
            function,
            filter: None,
        });
        self
    }

    /// The last aggregate is only of those events of which `filter` is true.
    #[must_use]
    pub fn filtered(mut self, filter: Expr) -> Self {
        if let Some(last) = self.aggregates.last_mut() {
            last.filter = Some(filter);
        }
        self
    }

    /// The name of the time that places its events.
    pub fn time_name(&self) -> &str {
        match &self.time {
            EventTime::Kafka => KAFKA_TIME,
            EventTime::Column(name) => name,
        }
    }

    /// How configuration may name the time of its events.
    pub(super) fn times(&self) -> Vec<String> {
        let columns = self.source.times();
        [KAFKA_TIME]
            .into_iter()
            .chain(columns)
            .map(str::to_owned)
            .collect()
    }
}

/// How configuration names the timestamp of the Kafka message.
pub const KAFKA_TIME: &str = "kafka";

impl Function {
    /// The type of what it computes.
    pub fn data_type(&self) -> DataType {
        let sum = |of: &Expr| match of.data_type() {
            DataType::Decimal { scale, .. } => DataType::Decimal {
                precision: 38,
                scale: *scale,
            },
            DataType::Double => DataType::Double,
            _ => DataType::BigInt,
        };
        match self {
            Function::Count | Function::CountOf(_) | Function::CountDistinct(_) => DataType::BigInt,
            Function::Sum(of) | Function::SumDistinct(of) => sum(of),
            Function::SumOfProducts(one, other) => match (sum(one), sum(other)) {
                (DataType::Decimal { scale, .. }, DataType::Decimal { scale: more, .. }) => {
                    DataType::Decimal {
                        precision: 38,
                        scale: scale + more,
                    }
                }
                (decimal @ DataType::Decimal { .. }, _) | (_, decimal) => decimal,
            },
            Function::Average(_) => DataType::Double,
            Function::Min(of) | Function::Max(of) => of.data_type().clone(),
            Function::ArgMin(with, _) | Function::ArgMax(with, _) => with.data_type().clone(),
            Function::All(_) | Function::Any(_) => DataType::Boolean,
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Function::Count => f.write_str("count(*)"),
            Function::CountOf(of) => write!(f, "count({of})"),
            Function::Sum(of) => write!(f, "sum({of})"),
            Function::SumOfProducts(one, other) => write!(f, "sum({one} * {other})"),
            Function::Average(of) => write!(f, "avg({of})"),
            Function::CountDistinct(of) => write!(f, "count(distinct {of})"),
            Function::SumDistinct(of) => write!(f, "sum(distinct {of})"),
            Function::Min(of) => write!(f, "min({of})"),
            Function::Max(of) => write!(f, "max({of})"),
            Function::ArgMin(with, by) => write!(f, "arg_min({with}, {by})"),
            Function::ArgMax(with, by) => write!(f, "arg_max({with}, {by})"),
            Function::All(of) => write!(f, "bool_and({of})"),
            Function::Any(of) => write!(f, "bool_or({of})"),
        }
    }
}
