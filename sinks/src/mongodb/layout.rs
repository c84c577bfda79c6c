//! Where a table's columns stand in its documents.
//!
//! The fields come in the order of the columns; those whose names share what
//! stands before a dot share one nested document, at the place of the first:
//!
//! ```text
//!   window.start  gender  window.end   ─▶   {window: {start, end}, gender}
//! ```
//!
//! Where rows are merged into documents, each column is set by its path, and has its place
//! beside what others have there: `window.start`, `gender`, `window.end`.

use ::mongodb::bson::raw::CString;

use crate::{Column, SinkError, Table};

/// A document's fields, in order.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) fields: Vec<Field>,
    /// Where rows are merged into documents: the path of what else there is of a row, which a
    /// document has as long as it has the row.
    pub(super) mark: Option<String>,
}

/// The field that has a field of each view that is merged into a document.
const MARKS: &str = "_tidemark";

/// The path of `final`, `epoch` or `updated_at` in documents of `table`.
pub(super) fn path(table: &Table, field: &str) -> String {
    match mark(table) {
        Some(mark) => format!("{mark}.{field}"),
        None => field.to_owned(),
    }
}

fn mark(table: &Table) -> Option<String> {
    table.merged().map(|view| format!("{MARKS}.{view}"))
}

/// One field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: CString,
    pub(super) content: Content,
}

/// What is in a field.
#[derive(Debug)]
pub(super) enum Content {
    /// The value of a column, by its number.
    Column(usize),
    /// A document of its own.
    Nested(Vec<Field>),
}

/// Fields that every document has besides its columns.
const RESERVED: [&str; 5] = ["_id", "final", "epoch", "updated_at", MARKS];

impl Layout {
    /// The layout of `table`, or why its column names cannot be fields.
    pub(super) fn of(table: &Table) -> Result<Layout, SinkError> {
        let mut fields = Vec::new();
        for (number, column) in table.columns.iter().enumerate() {
            if let Err(problem) = add(&mut fields, number, column) {
                return Err(SinkError::misconfigured(
                    format!("table {}", table.name),
                    format!("column {:?} {problem}", column.name),
                ));
            }
        }
        let mark = mark(table);
        if mark.is_some() {
            // Checked above: they are names with dots between them.
            fields = (table.columns.iter().enumerate())
                .filter_map(|(number, column)| {
                    Some(Field {
                        name: CString::try_from(&*column.name).ok()?,
                        content: Content::Column(number),
                    })
                })
                .collect();
        }
        Ok(Layout { fields, mark })
    }
}

fn add(mut fields: &mut Vec<Field>, number: usize, column: &Column) -> Result<(), &'static str> {
    let mut parts = column.name.split('.').peekable();
    let mut outermost = true;
    while let Some(part) = parts.next() {
        if part.is_empty() || part.starts_with('$') {
            return Err("is empty between two dots or begins with a $");
        }
        if outermost && RESERVED.contains(&part) {
            return Err("is a field that every document has anyway");
        }
        outermost = false;
        let name = CString::try_from(part).map_err(|_| "holds a NUL character")?;
        let known = fields.iter().position(|field| field.name.as_str() == part);
        if parts.peek().is_none() {
            if known.is_some() {
                return Err("is there twice");
            }
            fields.push(Field {
                name,
                content: Content::Column(number),
            });
            return Ok(());
        }
        let place = known.unwrap_or_else(|| {
            fields.push(Field {
                name,
                content: Content::Nested(Vec::new()),
            });
            fields.len() - 1
        });
        let Content::Nested(inner) = &mut fields[place].content else {
            return Err("is nested in a field that is another column");
        };
        fields = inner;
    }
    Err("has no name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Role};

    fn table(names: &[&str]) -> Table {
        Table {
            name: "t".into(),
            columns: names
                .iter()
                .map(|name| Column {
                    name: (*name).into(),
                    kind: Kind::Long,
                    role: Role::Aggregate,
                })
                .collect(),
            ..Table::default()
        }
    }

    fn show(fields: &[Field]) -> String {
        let one = |field: &Field| match &field.content {
            Content::Column(number) => format!("{}:{number}", field.name.as_str()),
            Content::Nested(inner) => format!("{}:{{{}}}", field.name.as_str(), show(inner)),
        };
        fields.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nests_at_the_first_of_a_name() {
        let layout = Layout::of(&table(&["window.start", "gender", "window.end", "a.b.c"]));
        assert_eq!(
            show(&layout.unwrap().fields),
            "window:{start:0 end:2} gender:1 a:{b:{c:3}}"
        );
    }

    #[test]
    fn merged_columns_have_paths() {
        let names = ["window.start", "gender", "window.end", "a.b.c"];
        let mut merged = table(&names);
        merged.write = crate::WriteMode::Merge { view: "v".into() };
        let layout = Layout::of(&merged).unwrap();
        assert_eq!(
            show(&layout.fields),
            "window.start:0 gender:1 window.end:2 a.b.c:3"
        );
        assert_eq!(layout.mark.as_deref(), Some("_tidemark.v"));
        assert_eq!(path(&merged, "epoch"), "_tidemark.v.epoch");
        assert_eq!(path(&table(&names), "epoch"), "epoch");
        merged.columns[0].name = "a.$b".into();
        assert!(Layout::of(&merged).is_err());
    }

    #[test]
    fn names_that_cannot_be() {
        for names in [
            &["a", "a"][..],
            &["a", "a.b"],
            &["a.b", "a"],
            &["a..b"],
            &[""],
            &["$a"],
            &["a\0"],
            &["_id"],
            &["final"],
            &["epoch.x"],
        ] {
            let error = Layout::of(&table(names)).expect_err(&names.join(" "));
            assert!(matches!(error, SinkError::Misconfigured { .. }));
        }
    }
}
