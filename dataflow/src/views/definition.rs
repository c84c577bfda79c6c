//! A view as everybody but its events sees it: names, types, windows, and how a
//! row's accumulated [`Sums`](super::sums::Sums) become its fields.

use super::view::{AggregateOf, View, times};
use events::Topic;
use model::{Lateness, Window};
use sinks::{Column, Kind, Role, Table};
use std::fmt;

/// What a view is, without the type of its events.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Name of the view and of its collection.
    pub name: &'static str,
    /// What it tells, in a sentence.
    pub about: &'static str,
    /// The version of its code.
    pub version: u32,
    /// The topic it reads, without a prefix.
    pub topic: &'static str,
    /// The time that places its events: `kafka`, or a field of the event.
    pub time: &'static str,
    /// The times that configuration may place its events by instead.
    pub times: Vec<&'static str>,
    /// Its windows.
    pub window: Window,
    /// How long a window stays open after its end.
    pub lateness: Lateness,
    /// Names of the columns it groups by.
    pub groups: Vec<&'static str>,
    /// The topics whose events it joins, its own among them; none where it joins
    /// nothing.
    pub joins: Vec<&'static str>,
    /// How each aggregate is computed, in the order of its fields.
    pub outputs: Vec<Output>,
    /// Its shape in the database.
    pub table: Table,
}

/// How an aggregate is computed from a row's sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The number of events.
    Count,
    /// A sum.
    Sum(usize),
    /// A sum divided by the number of events.
    Average {
        /// Which sum.
        sum: usize,
        /// The sum is in units of 10^-scale.
        scale: u32,
    },
    /// A sum of money, in billionths.
    Money(usize),
    /// The number of distinct members.
    Unique,
    /// The latest time.
    Latest,
}

impl Definition {
    /// The definition of `view`, whose sums are numbered in the order of its
    /// aggregates.
    pub fn of<T: Topic>(view: &View<T>) -> Definition {
        let mut sums = 0..;
        let mut next_sum = || sums.next().unwrap_or_default();
        let outputs = view.aggregates.iter().map(|aggregate| {
            let output = match aggregate.of {
                AggregateOf::Count => Output::Count,
                AggregateOf::Sum(_) => Output::Sum(next_sum()),
                AggregateOf::Average { scale, .. } => Output::Average {
                    sum: next_sum(),
                    scale,
                },
                AggregateOf::Unique(_) => Output::Unique,
                AggregateOf::Latest(_) => Output::Latest,
            };
            (aggregate.name, output)
        });
        let (groups, outputs, joins) = match &view.join {
            None => {
                let groups = view.groups.iter().map(|group| group.name).collect();
                (groups, outputs.collect(), Vec::new())
            }
            Some(join) => {
                let joins = [T::NAME].into_iter().chain(join.with.iter().copied());
                (join.groups.to_vec(), join.outputs.to_vec(), joins.collect())
            }
        };
        Definition {
            name: view.name,
            about: view.about,
            version: view.version,
            topic: T::NAME,
            time: view.time_name(),
            times: times::<T>(),
            window: view.window,
            lateness: view.lateness,
            table: table(view, &groups, &outputs),
            outputs: outputs.into_iter().map(|(_, output)| output).collect(),
            groups,
            joins,
        }
    }
}

impl Definition {
    /// How many columns of its table are of the window: its start and end, or none.
    pub fn window_columns(&self) -> usize {
        if self.window.is_all() { 0 } else { 2 }
    }

    /// All that its rows depend on, as a text: two views of one name are the same
    /// when these are. Of the functions of its code it says the version, which whoever changes
    /// them raises. `max_ahead`, in milliseconds, is how far events may be ahead
    /// of their messages.
    pub fn describe(&self, max_ahead: i64) -> String {
        let ahead = match self.lateness {
            // Where no window closes, the future does no harm.
            Lateness::Forever => String::new(),
            Lateness::Millis(_) => format!(", at most {} ahead", Lateness::Millis(max_ahead)),
        };
        let before = self.window_columns() + self.groups.len();
        let columns = self.table.columns.iter().skip(before);
        let outputs = columns.zip(&self.outputs);
        let outputs: Vec<_> = outputs
            .map(|(column, output)| format!("{} = {output}", column.name))
            .collect();
        let joins = match &self.joins[..] {
            [] => String::new(),
            joins => format!(" joined with {}", joins[1..].join(", ")),
        };
        // Checkpoints and databases of before there were versions are of the first.
        let version = match self.version {
            1 => String::new(),
            version => format!("; version {version}"),
        };
        let zones = match self.window.time_zones() {
            None => String::new(),
            Some(version) => format!(" of {version}"),
        };
        format!(
            "{}{joins}; windows of {}{zones} by {}, lateness {}{ahead}; by {}: {}{version}",
            self.topic,
            self.window,
            self.time,
            self.lateness,
            self.groups.join(", "),
            outputs.join(", "),
        )
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Count => f.write_str("count"),
            Output::Sum(sum) => write!(f, "sum {sum}"),
            Output::Average { sum, scale } => write!(f, "average of sum {sum} / 10^{scale}"),
            Output::Money(sum) => write!(f, "money of sum {sum}"),
            Output::Unique => f.write_str("unique members"),
            Output::Latest => f.write_str("latest time"),
        }
    }
}

impl Output {
    /// The type of its values in the database.
    fn kind(self) -> Kind {
        match self {
            Output::Count | Output::Sum(_) | Output::Unique => Kind::Long,
            Output::Average { .. } => Kind::Double,
            Output::Money(_) => Kind::Decimal,
            Output::Latest => Kind::Date,
        }
    }
}

/// The view's columns: its window, its groups, its aggregates.
fn table<T: Topic>(
    view: &View<T>,
    groups: &[&'static str],
    outputs: &[(&'static str, Output)],
) -> Table {
    let column = |name: &str, kind, role| Column {
        name: name.to_owned(),
        kind,
        role,
    };
    let [start, end] = view.window_fields;
    let mut columns = Vec::new();
    if !view.window.is_all() {
        columns.push(column(start, Kind::Date, Role::WindowStart));
        columns.push(column(end, Kind::Date, Role::WindowEnd));
    }
    columns.extend(
        groups
            .iter()
            .map(|name| column(name, Kind::Text, Role::Group)),
    );
    let aggregates = outputs.iter();
    columns.extend(aggregates.map(|(name, output)| column(name, output.kind(), Role::Aggregate)));
    Table {
        name: view.name.to_owned(),
        columns,
        ids_by_window: view.window.starts_on_seconds(),
        group_index: view.group_index,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Transactions;
    use model::Span;

    fn sales() -> View<Transactions> {
        View::<Transactions>::new("own_sales", "Sales").sum("items", |sale| sale.quantity)
    }

    #[test]
    fn windows_are_named_with_their_time_zone_and_its_version() {
        let text = |window| Definition::of(&sales().windows_of(window)).describe(0);
        let days = Window::tumbling(Span::days(7), Span::days(4), Some("Asia/Kathmandu")).unwrap();
        let zones = days.time_zones().unwrap();
        let of = format!("; windows of 7d offset 4d in Asia/Kathmandu of {zones} by kafka");
        assert!(text(days).contains(&of), "{}", text(days));
        let all = text(Window::ALL);
        let has = |part| all.contains(part);
        assert!(
            has("windows of all time by") && has("items = sum 0"),
            "{all}"
        );
    }

    #[test]
    fn another_version_of_the_code_is_another_view() {
        let text = |view: &View<Transactions>| Definition::of(view).describe(0);
        let first = text(&sales());
        assert!(!first.contains("version"), "{first}");
        assert_eq!(text(&sales().version(1)), first);
        assert_eq!(text(&sales().version(2)), format!("{first}; version 2"));
    }
}
