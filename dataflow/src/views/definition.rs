//! A view as everybody but its events sees it: names, types, windows, and how a
//! row's accumulated [`Sums`] become its fields.

use super::column::Batch;
use super::expression::Expr;
use super::lanes::Lanes;
use super::source::{Schema, SourceColumn};
use super::sums::Sums;
use super::view::View;
use model::{DataType, Datum, Lateness, Window};
use sinks::{Column, Kind, Role, Table};
use std::sync::Arc;
use telemetry::ViewInfo;

/// What a view is, without how it is computed of events.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Name of the view and of its collection.
    pub name: String,
    /// What it tells, in a sentence.
    pub about: String,
    /// The version of its code.
    pub version: u32,
    /// The topic it reads, without a prefix.
    pub topic: String,
    /// The time that places its events: `kafka`, or a column of its source.
    pub time: String,
    /// The times that configuration may place its events by instead.
    pub times: Vec<String>,
    /// Its windows.
    pub window: Window,
    /// How long a window stays open after its end.
    pub lateness: Lateness,
    /// Names of the columns it groups by.
    pub groups: Vec<String>,
    /// The topics whose newest events count, its own among them; none where all of its own do, and
    /// nothing is looked up.
    pub joins: Vec<String>,
    /// Whether of its own topic only the newest event of each key counts.
    pub is_of_table: bool,
    /// How many times it looks something up.
    pub lookups: usize,
    /// Where its aggregates are in a row's sums.
    pub lanes: Arc<Lanes>,
    /// Its shape in the database.
    pub table: Table,
    /// Of its groups, then of its aggregates.
    result_types: Arc<[DataType]>,
    field_types: Vec<DataType>,
    /// Computed of groups and aggregates; the aggregates where there is nothing.
    fields: Vec<(String, Expr)>,
    having: Option<Expr>,
    /// What it computes.
    meaning: String,
}

impl Definition {
    /// What there is to know of the view, as texts; the names of topics begin with `prefix`.
    pub fn info(&self, prefix: &str) -> ViewInfo {
        ViewInfo {
            name: self.name.clone(),
            about: self.about.clone(),
            version: self.version,
            topic: format!("{prefix}{}", self.topic),
            window: self.window.to_string(),
            time: self.time.clone(),
            lateness: self.lateness.to_string(),
            columns: self.table.columns.clone(),
            group_index: self.table.group_index,
        }
    }

    /// The definition of `view`, whose aggregates have these lanes.
    pub(super) fn of(view: &View, lanes: Arc<Lanes>) -> Definition {
        let joins = match view.key.is_some() || !view.lookups.is_empty() {
            false => Vec::new(),
            true => {
                let others = view.lookups.iter().map(|lookup| lookup.source.name.clone());
                std::iter::once(view.source.name.clone())
                    .chain(others)
                    .collect()
            }
        };
        let groups = view
            .groups
            .iter()
            .map(|(_, group)| group.data_type().clone());
        let aggregates = view.aggregates.iter();
        let aggregates: Vec<_> = aggregates
            .map(|aggregate| aggregate.function.data_type())
            .collect();
        let result_types = groups.chain(aggregates.iter().cloned()).collect();
        let field_types = match view.fields.is_empty() {
            true => aggregates,
            false => {
                let fields = view.fields.iter();
                fields.map(|(_, field)| field.data_type().clone()).collect()
            }
        };
        let mut definition = Definition {
            name: view.name.clone(),
            about: view.about.clone(),
            version: view.version,
            topic: view.source.name.clone(),
            time: view.time_name().to_owned(),
            times: view.times(),
            window: view.window,
            lateness: view.lateness,
            groups: view.groups.iter().map(|(name, _)| name.clone()).collect(),
            joins,
            is_of_table: view.key.is_some(),
            lookups: view.lookups.len(),
            lanes,
            table: Table::default(),
            result_types,
            field_types,
            fields: view.fields.clone(),
            having: view.having.clone(),
            meaning: meaning(view),
        };
        definition.table = definition.table(view);
        definition
    }

    /// How many columns of its table are of the window: its start and end, or none.
    pub fn window_columns(&self) -> usize {
        if self.window.is_all() { 0 } else { 2 }
    }

    /// All that its rows depend on, as a text: two views of one name are the same
    /// when these are. Of functions it says the version, which whoever changes
    /// them raises. `max_ahead`, in milliseconds, is how far events may be ahead
    /// of their messages.
    pub fn describe(&self, max_ahead: i64) -> String {
        let ahead = match self.lateness {
            // Where no window closes, the future does no harm.
            Lateness::Forever => String::new(),
            Lateness::Millis(_) => format!(", at most {} ahead", Lateness::Millis(max_ahead)),
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
            "{}; windows of {}{zones} by {}, lateness {}{ahead}; {}{version}",
            self.topic, self.window, self.time, self.lateness, self.meaning,
        )
    }

    /// What a row's fields are behind its groups: their values. Nothing where there is no such row.
    pub fn fields(&self, groups: &[Datum], sums: &Sums) -> Option<Vec<Datum>> {
        let results = (0..self.lanes.results.len()).map(|number| self.lanes.result(number, sums));
        let results: Vec<_> = results.collect();
        if self.fields.is_empty() && self.having.is_none() {
            return Some(results);
        }
        let mut batch = Batch::new(Arc::clone(&self.result_types));
        for (column, value) in groups.iter().chain(&results).enumerate() {
            batch.push(column, value);
        }
        batch.rows = 1;
        if self
            .having
            .as_ref()
            .is_some_and(|having| !having.evaluate(&batch).is_true(0))
        {
            return None;
        }
        if self.fields.is_empty() {
            return Some(results);
        }
        // What fails is NULL.
        let value =
            |(_, field): &(String, Expr)| field.evaluate(&batch).datum(field.data_type(), 0);
        Some(self.fields.iter().map(value).collect())
    }

    /// Whether there is a row of these sums.
    pub fn has_row(&self, key: &super::key::Key, sums: &Sums) -> bool {
        use differential_dataflow::difference::IsZero;
        !sums.is_zero()
            && (self.having.is_none()
                || self.fields(&key.values(self.groups.len()), sums).is_some())
    }

    /// Whether rows may be gone, and come back, while they have events.
    pub fn has_condition(&self) -> bool {
        self.having.is_some()
    }

    /// The types of the columns it groups by, and of its fields.
    pub(super) fn types(&self) -> (&[DataType], &[DataType]) {
        (&self.result_types[..self.groups.len()], &self.field_types)
    }

    /// The view's columns: its window, its groups, its fields.
    fn table(&self, view: &View) -> Table {
        let column = |name: &str, kind, role| Column {
            name: name.to_owned(),
            kind,
            role,
        };
        let [start, end] = &view.window_fields;
        let mut columns = Vec::new();
        if !view.window.is_all() {
            columns.push(column(start, Kind::Date, Role::WindowStart));
            columns.push(column(end, Kind::Date, Role::WindowEnd));
        }
        let (groups, fields) = self.types();
        let groups = self.groups.iter().zip(groups);
        columns.extend(groups.map(|(name, of)| column(name, kind(of), Role::Group)));
        let names = match self.fields.is_empty() {
            true => view
                .aggregates
                .iter()
                .map(|aggregate| &aggregate.name)
                .collect(),
            false => self.fields.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        };
        let fields = names.into_iter().zip(fields);
        columns.extend(fields.map(|(name, of)| column(name, kind(of), Role::Aggregate)));
        Table {
            name: view.name.clone(),
            columns,
            ids_by_window: view.window.starts_on_seconds(),
            group_index: view.group_index,
            ..Table::default()
        }
    }
}

impl View {
    /// Its groups and aggregates, of which fields are computed.
    pub fn results(&self) -> Schema {
        let groups = self
            .groups
            .iter()
            .map(|(name, of)| (name, of.data_type().clone()));
        let aggregates = self.aggregates.iter();
        let aggregates = aggregates.map(|of| (&of.name, of.function.data_type()));
        let column = |(name, data_type): (&String, DataType)| SourceColumn {
            name: name.clone(),
            data_type,
            is_nullable: true,
            is_time: false,
        };
        Schema::of_columns(groups.chain(aggregates).map(column).collect())
    }
}

/// The type in the database of values of a type.
fn kind(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Int => Kind::Int,
        DataType::BigInt => Kind::Long,
        DataType::Boolean => Kind::Boolean,
        DataType::Double => Kind::Double,
        DataType::Timestamp | DataType::Date => Kind::Date,
        DataType::Decimal { .. } => Kind::Decimal,
        // Arrays and structs are held as JSON, which is a text until decoders make them.
        DataType::Text
        | DataType::Uuid
        | DataType::Json
        | DataType::Array(_)
        | DataType::Struct(_) => Kind::Text,
    }
}

/// What a view computes, but for its windows.
fn meaning(view: &View) -> String {
    let mut text = String::new();
    if let Some(key) = &view.key {
        let deleted = if view.deletes {
            ", until it is deleted"
        } else {
            ""
        };
        text.push_str(&format!("the newest by {key}{deleted}; "));
    }
    if let Some(filter) = &view.filter {
        text.push_str(&format!("where {filter}; "));
    }
    for lookup in &view.lookups {
        let how = if lookup.is_inner {
            "with"
        } else {
            "with, if there is one,"
        };
        let deleted = if lookup.deletes {
            ", until it is deleted"
        } else {
            ""
        };
        let (source, key, by) = (&lookup.source.name, &lookup.key, &lookup.by);
        text.push_str(&format!("{how} {source} by {key} = {by}{deleted}; "));
    }
    let groups = view
        .groups
        .iter()
        .map(|(name, of)| named(name, &of.to_string()));
    let groups: Vec<_> = groups.collect();
    let aggregates = view.aggregates.iter().map(|aggregate| {
        let filter = aggregate.filter.as_ref();
        let filter = filter
            .map(|filter| format!(" where {filter}"))
            .unwrap_or_default();
        format!("{} = {}{filter}", aggregate.name, aggregate.function)
    });
    let aggregates: Vec<_> = aggregates.collect();
    text.push_str(&format!(
        "by {}: {}",
        groups.join(", "),
        aggregates.join(", ")
    ));
    for (name, field) in &view.fields {
        text.push_str(&format!("; {}", named(name, &field.to_string())));
    }
    if let Some(having) = &view.having {
        text.push_str(&format!("; having {having}"));
    }
    text
}

fn named(name: &str, of: &str) -> String {
    match name == of {
        true => of.to_owned(),
        false => format!("{name} = {of}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop;
    use model::Span;

    fn sales() -> View {
        View::new(&shop::transactions(), "own_sales", "Sales").sum("items", "quantity")
    }

    #[test]
    fn windows_are_named_with_their_time_zone_and_its_version() {
        let text = |window| Definition::of(&sales().windows_of(window), Arc::default()).describe(0);
        let days = Window::tumbling(Span::days(7), Span::days(4), Some("Asia/Kathmandu")).unwrap();
        let zones = days.time_zones().unwrap();
        let of = format!("; windows of 7d offset 4d in Asia/Kathmandu of {zones} by kafka");
        assert!(text(days).contains(&of), "{}", text(days));
        let all = text(Window::ALL);
        let has = |part| all.contains(part);
        assert!(
            has("windows of all time by") && has("items = sum(quantity)"),
            "{all}"
        );
    }

    #[test]
    fn another_version_of_the_code_is_another_view() {
        let text = |view: &View| Definition::of(view, Arc::default()).describe(0);
        let first = text(&sales());
        assert!(!first.contains("version"), "{first}");
        assert_eq!(text(&sales().version(1)), first);
        assert_eq!(text(&sales().version(2)), format!("{first}; version 2"));
    }
}
