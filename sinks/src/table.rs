//! What a view looks like in a database.

use crate::{Row, SinkError, Value};

/// A view's shape: its name and its columns, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Collection or table name.
    pub name: String,
    /// The kind of its `_id`s. Only scalars are ids.
    pub id: Kind,
    /// The columns that a row has values for. `_id`, `final`, `epoch` and
    /// `updated_at` come on top, in every table.
    pub columns: Vec<Column>,
    /// Whether ids sort as windows do: each begins with its window's start, as
    /// `2024-11-02T13:00:00Z`, and no window starts within a second. Then pages are read
    /// along the ids, and need no other index.
    pub ids_by_window: bool,
    /// Whether there is an index by group, besides the one by window.
    pub group_index: bool,
    /// Whether its rows are documents of their own.
    pub write: WriteMode,
}

/// Whether a row is a document of its own, or a part of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// A document of its own, always written as a whole.
    #[default]
    Replace,
    /// Some fields of a document, which others may have fields in: other views whose rows
    /// are merged into the same collection, or anybody. Writing a row sets its fields, and
    /// deleting it removes them; the document stays.
    ///
    /// `final`, `epoch` and `updated_at` are fields of `_tidemark.VIEW` there (in SQLite: the
    /// columns `_tidemark_VIEW_final` and so on). A document has a row of this view if it has
    /// those.
    Merge {
        /// The view's name, which no other view of the collection has.
        view: String,
    },
}

impl Table {
    /// The table that a [`RowId`](crate::RowId) or a reader means by `number`.
    pub(crate) fn number(tables: &[Table], number: usize) -> Result<&Table, SinkError> {
        tables.get(number).ok_or_else(|| {
            SinkError::bad_query(format!(
                "there is no table number {number}, only {}",
                tables.len()
            ))
        })
    }

    /// The column that holds the start of the window, if it has one.
    pub fn window_start(&self) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.role == Role::WindowStart)
    }

    /// The columns that the view groups by, in order.
    pub fn groups(&self) -> impl Iterator<Item = &Column> {
        self.columns
            .iter()
            .filter(|column| column.role == Role::Group)
    }

    /// The columns of an index by group, if there is to be one: the groups, except arrays,
    /// of which MongoDB would index every element.
    pub(crate) fn indexed_groups(&self) -> impl Iterator<Item = &Column> {
        let groups = self.groups().filter(|_| self.group_index);
        groups.filter(|column| !matches!(column.kind, Kind::Array(_)))
    }

    /// The group column called `name`, which is to equal `value`; or an error that lists those
    /// there are, or says why they cannot be compared.
    pub(crate) fn group(&self, name: &str, value: &Value) -> Result<&Column, SinkError> {
        let column = self
            .groups()
            .find(|column| column.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = self.groups().map(|column| column.name.as_str()).collect();
                SinkError::bad_query(format!(
                    "{} has no group column {name:?}; it groups by {}",
                    self.name,
                    names.join(", ")
                ))
            })?;
        let problem = match column.kind.is_scalar() {
            false => "which nothing is compared with",
            true if column.kind.fits(value) => return Ok(column),
            true => "and is compared with one",
        };
        Err(SinkError::bad_query(format!(
            "column {name} of {} is of the type {}, {problem}; not with a value of the type {}",
            self.name,
            column.kind.as_str(),
            value.type_name()
        )))
    }

    /// Fails where a row has another id than this table, or not as many values as it has columns.
    pub(crate) fn check_row(&self, row: &Row) -> Result<(), String> {
        let (id, values) = (&row.id.id, row.values.len());
        if values != self.columns.len() {
            return Err(format!(
                "row {id:?} of {} has {values} values for {} columns",
                self.name,
                self.columns.len()
            ));
        }
        match id.fits(&self.id) {
            true => Ok(()),
            false => Err(format!(
                "row {id:?} of {}: its _id is not of the type {}",
                self.name,
                self.id.as_str()
            )),
        }
    }

    /// The view whose rows are merged into documents, if they are.
    pub(crate) fn merged(&self) -> Option<&str> {
        match &self.write {
            WriteMode::Replace => None,
            WriteMode::Merge { view } => Some(view),
        }
    }

    /// Fails where the kind of ids or a column cannot be one, and where tables of one name
    /// cannot be merged.
    pub(crate) fn check(tables: &[Table]) -> Result<(), SinkError> {
        for (number, table) in tables.iter().enumerate() {
            let refuse = |problem: String| {
                let table = format!("table {}", table.name);
                Err(SinkError::misconfigured(table, problem))
            };
            if !table.id.is_scalar() {
                return refuse(format!("an _id cannot be an {}", table.id.as_str()));
            }
            for column in &table.columns {
                if let Err(problem) = column.kind.check() {
                    return refuse(format!("column {:?} {problem}", column.name));
                }
            }
            if let Some(view) = table.merged() {
                let fits = |c: char| !matches!(c, '.' | '$' | '\0');
                if view.is_empty() || !view.chars().all(fits) {
                    return refuse(format!(
                        "rows of a view called {view:?} cannot be merged: its name is a field, \
                         and holds no dot, no $ and no NUL character"
                    ));
                }
            }
            let others = tables[..number].iter();
            for other in others.filter(|other| other.name == table.name) {
                if let Err(problem) = table.merges_with(other) {
                    return refuse(problem);
                }
            }
        }
        Ok(())
    }

    fn merges_with(&self, other: &Table) -> Result<(), String> {
        let (Some(view), Some(other_view)) = (self.merged(), other.merged()) else {
            return Err("there is another of this name, and not both are merged".to_owned());
        };
        if view == other_view {
            return Err(format!("the view {view} is merged into it twice"));
        }
        if self.id != other.id {
            return Err(format!(
                "views of different _ids cannot be merged: those of {view} are of the type {}, and \
                 those of {other_view} {}",
                self.id.as_str(),
                other.id.as_str()
            ));
        }
        for column in &self.columns {
            let theirs = other.columns.iter();
            let mut shared = theirs.filter(|other| overlap(&column.name, &other.name));
            if let Some(shared) = shared.next() {
                return Err(format!(
                    "column {:?} of {view} and {:?} of {other_view} are in the same place",
                    column.name, shared.name
                ));
            }
        }
        Ok(())
    }
}

/// Whether two columns share a field, or one is nested in the other.
fn overlap(one: &str, other: &str) -> bool {
    let mut parts = one.split('.').zip(other.split('.'));
    parts.all(|(one, other)| one == other)
}

/// One field of every row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Field name. A dot nests: `window.start` is `{window: {start: …}}` in
    /// MongoDB and the column `window_start` in SQLite.
    pub name: String,
    /// The type of its values.
    pub kind: Kind,
    /// What it is for.
    pub role: Role,
}

impl Column {
    /// Why a value cannot be in it, for messages.
    pub(crate) fn misfit(&self, value: &Value) -> String {
        let (takes, got) = (self.kind.as_str(), value.type_name());
        let other = if takes == got { "n other" } else { "" };
        format!("column {} is a {takes} and got a{other} {got}", self.name)
    }
}

/// The type of a column's values, by its BSON name. [`Value::Null`] is of every kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Boolean,
    /// 32-bit signed integer.
    Int,
    /// 64-bit signed integer.
    Long,
    /// 64-bit IEEE floating point number.
    Double,
    /// Text.
    #[default]
    Text,
    /// A moment, to the millisecond.
    Date,
    /// Exact decimal number.
    Decimal,
    /// Any number of values, all of one kind.
    Array(Box<Kind>),
    /// Named values, always these and in this order.
    Document(Vec<(String, Kind)>),
}

impl Kind {
    /// Its BSON name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Kind::Boolean => "bool",
            Kind::Int => "int",
            Kind::Long => "long",
            Kind::Double => "double",
            Kind::Text => "string",
            Kind::Date => "date",
            Kind::Decimal => "decimal",
            Kind::Array(_) => "array",
            Kind::Document(_) => "object",
        }
    }

    /// Whether it is neither an array nor a document.
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Kind::Array(_) | Kind::Document(_))
    }

    /// Whether a value is of this kind, with all that is in it.
    pub fn fits(&self, value: &Value) -> bool {
        match (self, value) {
            (Kind::Long, Value::Long(_))
            | (Kind::Text, Value::Text(_))
            | (Kind::Double, Value::Double(_))
            | (Kind::Date, Value::Date(_))
            | (Kind::Decimal, Value::Decimal { .. })
            | (Kind::Int, Value::Int(_))
            | (Kind::Boolean, Value::Boolean(_))
            | (_, Value::Null) => true,
            (Kind::Array(kind), Value::Array(values)) => {
                values.iter().all(|value| kind.fits(value))
            }
            (Kind::Document(kinds), Value::Document(values)) => {
                let mut both = kinds.iter().zip(values);
                kinds.len() == values.len()
                    && both.all(|((name, kind), (other, value))| name == other && kind.fits(value))
            }
            _ => false,
        }
    }

    /// Fails where the fields of a document cannot be that in MongoDB.
    fn check(&self) -> Result<(), String> {
        match self {
            Kind::Array(kind) => kind.check(),
            Kind::Document(fields) => {
                for (number, (name, kind)) in fields.iter().enumerate() {
                    if name.is_empty() || name.starts_with('$') || name.contains('\0') {
                        return Err(format!("has a field {name:?}, which cannot be its name"));
                    }
                    if fields[..number].iter().any(|(other, _)| other == name) {
                        return Err(format!("has the field {name:?} twice"));
                    }
                    kind.check()?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Start of the window, inclusive.
    WindowStart,
    /// End of the window, exclusive.
    WindowEnd,
    /// One of the columns that the view groups by.
    Group,
    /// An aggregate.
    Aggregate,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(view: &str, columns: &[&str]) -> Table {
        let column = |name: &&str| Column {
            name: (*name).into(),
            kind: Kind::Long,
            role: Role::Aggregate,
        };
        Table {
            name: "t".into(),
            columns: columns.iter().map(column).collect(),
            write: WriteMode::Merge { view: view.into() },
            ..Table::default()
        }
    }

    #[test]
    fn views_merge_if_they_share_no_column() {
        let merges = |one: Table, other: Table| Table::check(&[one, other]).is_ok();
        assert!(merges(
            table("v", &["a", "b.c"]),
            table("w", &["b.d", "ab"])
        ));
        for (one, other) in [("a", "a"), ("a", "a.b"), ("a.b", "a"), ("a.b", "a.b.c")] {
            assert!(
                !merges(table("v", &[one]), table("w", &[other])),
                "{one} {other}"
            );
        }
        assert!(
            !merges(table("v", &["a"]), table("v", &["b"])),
            "one view twice"
        );
        let replaced = Table {
            write: WriteMode::Replace,
            ..table("", &["b"])
        };
        assert!(!merges(table("v", &["a"]), replaced));
        let other_ids = Table {
            id: Kind::Long,
            ..table("w", &["b"])
        };
        assert!(!merges(table("v", &["a"]), other_ids));
        for view in ["", "a.b", "$a", "a\0"] {
            assert!(Table::check(&[table(view, &["a"])]).is_err(), "{view:?}");
        }
    }

    #[test]
    fn kinds_that_cannot_be() {
        let with = |kind: Kind| {
            let mut one = table("v", &["a"]);
            one.columns[0].kind = kind;
            Table::check(&[one]).is_ok()
        };
        let fields = |names: &[&str]| {
            let field = |name: &&str| ((*name).to_owned(), Kind::Long);
            Kind::Document(names.iter().map(field).collect())
        };
        assert!(with(fields(&["a", "b.c"])));
        for names in [&["a", "a"][..], &[""], &["$a"], &["a\0"]] {
            assert!(!with(Kind::Array(Box::new(fields(names)))), "{names:?}");
        }
        let ids = Table {
            id: fields(&["a"]),
            ..table("v", &["a"])
        };
        assert!(Table::check(&[ids]).is_err());
    }

    #[test]
    fn a_value_fits_with_all_that_is_in_it() {
        let kind = Kind::Array(Box::new(Kind::Document(vec![
            ("sku".into(), Kind::Text),
            ("qty".into(), Kind::Int),
        ])));
        let line = |second: &str, qty: Value| {
            Value::Document(vec![
                ("sku".into(), Value::Text("a".into())),
                (second.into(), qty),
            ])
        };
        for (lines, fits) in [
            (vec![], true),
            (vec![line("qty", Value::Int(1)), Value::Null], true),
            (vec![line("qty", Value::Null)], true),
            (vec![line("qty", Value::Long(1))], false),
            (vec![line("other", Value::Int(1))], false),
            (vec![Value::Document(vec![])], false),
            (vec![Value::Int(1)], false),
        ] {
            let value = Value::Array(lines);
            assert_eq!(kind.fits(&value), fits, "{value:?}");
        }
        assert!(kind.fits(&Value::Null) && !kind.fits(&Value::Int(1)));
    }
}
