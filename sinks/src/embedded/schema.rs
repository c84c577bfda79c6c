//! The tables: real columns, so that any SQLite tool can query the file.
//!
//! | kind | column |
//! | --- | --- |
//! | bool (0 or 1), int, long | INTEGER |
//! | double | REAL |
//! | text | TEXT |
//! | date | TEXT, `2024-11-02T13:00:00.000Z`: reads well, and sorts right from year 0 to 9999 |
//! | decimal | TEXT, all digits: REAL would round |
//! | array, document | TEXT, JSON |
//!
//! Columns are named as in MongoDB, with `_` for dots. The indexes are those of
//! the collections, for the same questions. Those of an earlier version stay.
//!
//! Where the rows of several views are merged into one table, it has the columns of all of
//! them, and of each view three more: `_tidemark_VIEW_final`, `_tidemark_VIEW_epoch` and
//! `_tidemark_VIEW_updated_at`. Deleting a row makes those of its view NULL.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::{Column, Kind, SinkError, Table};

/// A view's table, as SQLite is told.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) create: String,
    pub(super) indexes: Vec<String>,
    /// Takes `_id`, the columns, final, epoch and updated_at.
    pub(super) put: String,
    /// The same, of a row that is there.
    pub(super) update: String,
    /// Takes `_id`.
    pub(super) delete: String,
    /// Name and type of each column, in order.
    pub(super) columns: Vec<(String, &'static str)>,
}

/// How a table that is there differs from what it should be.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Columns that are not there, or not of this type.
    missing: Vec<(String, String)>,
    /// Columns that should not be there, or not of this type.
    surplus: Vec<(String, String)>,
    /// Whether all columns take NULL that should.
    takes_null: bool,
}

/// Dead letters and progress, which every file has.
pub(super) const COMMON: &str = r#"
CREATE TABLE IF NOT EXISTS "dead_letters" (
    "_id" TEXT PRIMARY KEY NOT NULL,
    "topic" TEXT NOT NULL,
    "partition" INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    "timestamp" TEXT,
    "reason" TEXT NOT NULL,
    "detail" TEXT NOT NULL,
    "view" TEXT,
    "key" BLOB,
    "value" BLOB NOT NULL,
    "epoch" INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS "dead_letters by place"
    ON "dead_letters" ("topic", "partition", "offset");
CREATE INDEX IF NOT EXISTS "dead_letters by reason"
    ON "dead_letters" ("reason", "timestamp" DESC);
CREATE TABLE IF NOT EXISTS "progress" (
    "_id" TEXT PRIMARY KEY NOT NULL,
    "epoch" INTEGER NOT NULL,
    "offsets" TEXT NOT NULL, -- JSON: {topic: {partition: next offset}}
    "views" TEXT NOT NULL DEFAULT '{}', -- JSON: {view: {watermark: date, final_until: date} or {rebuilding: true}}
    "updated_at" TEXT NOT NULL,
    "limits" TEXT, -- JSON: {topic: {partition: [{offset, until}]}}: which timestamps are believed
    "log" TEXT NOT NULL DEFAULT '{}' -- JSON: which cluster and topics offsets belong to
);
CREATE TABLE IF NOT EXISTS "holder" (
    "_id" TEXT PRIMARY KEY NOT NULL,
    "generation" INTEGER NOT NULL,
    "host" TEXT NOT NULL,
    "process" INTEGER NOT NULL,
    "started_at" TEXT NOT NULL,
    "place" TEXT,
    "ended" INTEGER NOT NULL,
    "challenge" INTEGER,
    "answer" INTEGER,
    "reaching_epoch" INTEGER NOT NULL DEFAULT 0,
    "reaching_offsets" TEXT NOT NULL DEFAULT '{}', -- JSON, as in progress
    "reaching_limits" TEXT, -- JSON, as in progress
    "definitions" TEXT NOT NULL DEFAULT '{}', -- JSON: {view: text}
    "reaching_log" TEXT NOT NULL DEFAULT '{}', -- JSON, as in progress
    "counted" TEXT -- JSON: {messages, letters} of a run with too many dead letters
);
"#;

/// Puts a dead letter: its eleven columns in order.
pub(super) const PUT_LETTER: &str = r#"INSERT OR REPLACE INTO "dead_letters"
    ("_id", "topic", "partition", "offset", "timestamp", "reason", "detail", "view", "key",
     "value", "epoch") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"#;

/// Deletes a dead letter: takes `_id`.
pub(super) const DELETE_LETTER: &str = r#"DELETE FROM "dead_letters" WHERE "_id" = ?1"#;

/// Columns that tables did not have from the beginning: of which table, its name, and how it
/// is added.
pub(super) const LATER_COLUMNS: [(&str, &str, &str); 7] = [
    (
        "progress",
        "views",
        r#"ALTER TABLE "progress" ADD COLUMN "views" TEXT NOT NULL DEFAULT '{}'"#,
    ),
    (
        "progress",
        "log",
        r#"ALTER TABLE "progress" ADD COLUMN "log" TEXT NOT NULL DEFAULT '{}'"#,
    ),
    (
        "holder",
        "reaching_log",
        r#"ALTER TABLE "holder" ADD COLUMN "reaching_log" TEXT NOT NULL DEFAULT '{}'"#,
    ),
    (
        "progress",
        "limits",
        r#"ALTER TABLE "progress" ADD COLUMN "limits" TEXT"#,
    ),
    (
        "holder",
        "reaching_limits",
        r#"ALTER TABLE "holder" ADD COLUMN "reaching_limits" TEXT"#,
    ),
    (
        "holder",
        "definitions",
        r#"ALTER TABLE "holder" ADD COLUMN "definitions" TEXT NOT NULL DEFAULT '{}'"#,
    ),
    (
        "holder",
        "counted",
        r#"ALTER TABLE "holder" ADD COLUMN "counted" TEXT"#,
    ),
];
/// Whether a table has a column: takes both names.
pub(super) const HAS_COLUMN: &str = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";

/// Whether dead letters must have a timestamp: they had to, before there were any that no
/// date can hold.
pub(super) const LETTERS_NEED_TIMESTAMP: &str = r#"SELECT count(*)
    FROM pragma_table_info('dead_letters') WHERE name = 'timestamp' AND "notnull" = 1"#;
/// Makes room for a table in which they need none; [`COMMON`] then creates it.
pub(super) const MOVE_LETTERS: &str = r#"DROP INDEX IF EXISTS "dead_letters by place";
    DROP INDEX IF EXISTS "dead_letters by reason";
    ALTER TABLE "dead_letters" RENAME TO "dead_letters of before";"#;
/// Moves them there.
pub(super) const TAKE_LETTERS: &str = r#"INSERT INTO "dead_letters"
    SELECT * FROM "dead_letters of before"; DROP TABLE "dead_letters of before";"#;

/// Puts the progress: `_id`, epoch, offsets, views, updated_at, limits, log.
pub(super) const PUT_PROGRESS: &str = r#"INSERT OR REPLACE INTO "progress"
    ("_id", "epoch", "offsets", "views", "updated_at", "limits", "log")
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"#;

impl Schema {
    /// How `table` is kept, or why it cannot be.
    pub(super) fn of(table: &Table) -> Result<Schema, SinkError> {
        let id = match affinity(&table.id) {
            // INTEGER would make it the number of the row, which is never NULL.
            "INTEGER" => "INT",
            other => other,
        };
        let mut columns = vec![("_id".to_owned(), id)];
        columns.extend(table.columns.iter().map(|c| (name(c), affinity(&c.kind))));
        columns.extend(STATE.map(|(name, kind)| (state(table, name), kind)));

        let mut seen = BTreeSet::new();
        for (column, _) in &columns {
            // SQLite does not tell upper from lower case here.
            if !seen.insert(column.to_lowercase()) {
                return Err(SinkError::misconfigured(
                    format!("table {}", table.name),
                    format!("the column {column:?} is there twice"),
                ));
            }
        }

        let quoted: Vec<String> = columns.iter().map(|(name, _)| quote(name)).collect();
        let is_merged = table.merged().is_some();
        let definitions: Vec<String> = columns
            .iter()
            .zip(&quoted)
            .map(|((name, kind), quoted)| match name.as_str() {
                "_id" => format!("{quoted} {kind} PRIMARY KEY NOT NULL"),
                name if !is_merged && is_state(name) => format!("{quoted} {kind} NOT NULL"),
                _ => format!("{quoted} {kind}"),
            })
            .collect();
        let places: Vec<String> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
        let replaced: Vec<String> = quoted[1..]
            .iter()
            .map(|name| format!("{name} = excluded.{name}"))
            .collect();
        let updated: Vec<String> = (2..)
            .zip(&quoted[1..])
            .map(|(place, name)| format!("{name} = ?{place}"))
            .collect();
        let own = quote(&table.name);
        let is_there = is_there(table);
        let mut update = format!("UPDATE {own} SET {} WHERE \"_id\" = ?1", updated.join(", "));
        let mut delete = format!("DELETE FROM {own} WHERE \"_id\" = ?1");
        if let Some(is_there) = &is_there {
            update = format!("{update} AND {is_there}");
            delete = format!(
                "UPDATE {own} SET {} = NULL WHERE \"_id\" = ?1 AND {is_there}",
                quoted[1..].join(" = NULL, ")
            );
        }
        Ok(Schema {
            create: format!(
                "CREATE TABLE IF NOT EXISTS {own} ({})",
                definitions.join(", ")
            ),
            indexes: indexes(table),
            // Unlike INSERT OR REPLACE, this leaves alone the indexes whose
            // columns stay as they are.
            put: format!(
                "INSERT INTO {own} ({}) VALUES ({}) ON CONFLICT (\"_id\") DO UPDATE SET {}",
                quoted.join(", "),
                places.join(", "),
                replaced.join(", ")
            ),
            update,
            delete,
            columns,
        })
    }

    /// Whether another view's columns have names of this one's, but for `_id`.
    pub(super) fn overlaps(&self, other: &Schema) -> bool {
        let names = |schema: &Schema| -> BTreeSet<String> {
            let columns = schema.columns.iter().skip(1);
            columns.map(|(name, _)| name.to_lowercase()).collect()
        };
        !names(self).is_disjoint(&names(other))
    }

    /// How the table that is there differs.
    pub(super) fn look(&self, connection: &Connection, table: &Table) -> rusqlite::Result<Found> {
        let mut statement = connection
            .prepare("SELECT name, type, \"notnull\" FROM pragma_table_info(?1) ORDER BY cid")?;
        let there: Vec<(String, String, bool)> = statement
            .query_map([&table.name], |row| row.try_into())?
            .collect::<Result<_, _>>()?;
        let is_merged = table.merged().is_some();
        let has = |name: &str, kind: &str| there.iter().any(|(n, k, _)| n == name && k == kind);
        let missing = self.columns.iter().filter(|(name, kind)| !has(name, kind));
        let mut found = Found {
            missing: missing
                .map(|(name, kind)| (name.clone(), (*kind).to_owned()))
                .collect(),
            surplus: Vec::new(),
            takes_null: true,
        };
        for (name, kind, is_needed) in there {
            let must_be_needed = name == "_id" || (!is_merged && is_state(&name));
            found.takes_null &= !is_needed || must_be_needed;
            // Where rows are merged, others may have columns of their own.
            match self.columns.iter().find(|(own, _)| *own == name) {
                Some((_, own)) if *own == kind => {}
                None if is_merged => {}
                _ => found.surplus.push((name, kind)),
            }
        }
        Ok(found)
    }

    /// Fails unless the table that is there has just these columns.
    pub(super) fn check(
        &self,
        connection: &Connection,
        table: &Table,
        database: &str,
    ) -> Result<(), SinkError> {
        let found = self.look(connection, table);
        let found = found.map_err(|error| super::errors::classify(database, &error))?;
        let fits = found.missing.is_empty() && found.surplus.is_empty();
        if fits && (found.takes_null || table.merged().is_none()) {
            return Ok(());
        }
        let (missing, surplus) = (show(&found.missing), show(&found.surplus));
        Err(SinkError::refused(
            database,
            format!(
                "its table {name} was made for another version of the view (missing: {missing}; \
                 surplus: {surplus}); take back the change, or rebuild the view from what Kafka has \
                 of its topic, with --reset-view {name}",
                name = table.name
            ),
        ))
    }
}

fn show(columns: &[(String, String)]) -> String {
    let shown = columns.iter().map(|(name, kind)| format!("{name} {kind}"));
    shown.collect::<Vec<_>>().join(", ")
}

impl Found {
    /// Whether it does not differ.
    pub(super) fn is_none(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty() && self.takes_null
    }

    /// Statements that add the columns which are not there, to a table that rows are merged
    /// into.
    pub(super) fn additions(&self, table: &Table) -> Vec<String> {
        let is_there = |name: &str| self.surplus.iter().any(|(other, _)| other == name);
        let missing = self.missing.iter().filter(|(name, _)| !is_there(name));
        let add = |(name, kind): &(String, String)| {
            let (table, name) = (quote(&table.name), quote(name));
            format!("ALTER TABLE {table} ADD COLUMN {name} {kind}")
        };
        missing.map(add).collect()
    }

    /// Statements that remove the columns which are of another type, and the indexes that they
    /// may be in, of a table that rows are merged into.
    pub(super) fn removals(&self, table: &Table) -> Vec<String> {
        let indexes = ["window", "group"].map(|what| {
            let index = quote(&index_name(table, what));
            format!("DROP INDEX IF EXISTS {index}")
        });
        let columns = self.surplus.iter().map(|(name, _)| {
            let (table, name) = (quote(&table.name), quote(name));
            format!("ALTER TABLE {table} DROP COLUMN {name}")
        });
        indexes.into_iter().chain(columns).collect()
    }
}

fn indexes(table: &Table) -> Vec<String> {
    let window = table
        .window_start()
        .map(|column| format!("{} DESC", quote(&name(column))));
    let groups: Vec<String> = table
        .indexed_groups()
        .map(|column| quote(&name(column)))
        .collect();
    let mut indexes = Vec::new();
    let mut add = |what: &str, keys: &[String]| {
        indexes.push(format!(
            "CREATE INDEX IF NOT EXISTS {} ON {} ({})",
            quote(&index_name(table, what)),
            quote(&table.name),
            keys.join(", ")
        ));
    };
    if let Some(window) = &window {
        add("window", std::slice::from_ref(window));
    }
    if !groups.is_empty() {
        let keys: Vec<String> = groups.into_iter().chain(window).collect();
        add("group", &keys);
    }
    indexes
}

fn index_name(table: &Table, what: &str) -> String {
    match table.merged() {
        None => format!("{} by {what}", table.name),
        Some(view) => format!("{} {view} by {what}", table.name),
    }
}

/// What every row has besides its columns.
const STATE: [(&str, &str); 3] = [
    ("final", "INTEGER"),
    ("epoch", "INTEGER"),
    ("updated_at", "TEXT"),
];

fn is_state(name: &str) -> bool {
    STATE.iter().any(|(state, _)| *state == name)
}

/// The name of `final`, `epoch` or `updated_at` in a table.
pub(super) fn state(table: &Table, field: &str) -> String {
    match table.merged() {
        None => field.to_owned(),
        Some(view) => format!("_tidemark_{view}_{field}"),
    }
}

/// The condition that a row is there, where there may be others in a table.
pub(super) fn is_there(table: &Table) -> Option<String> {
    let merged = table.merged();
    merged.map(|_| format!("{} IS NOT NULL", quote(&state(table, "epoch"))))
}

/// A column's name in SQLite.
pub(super) fn name(column: &Column) -> String {
    column.name.replace('.', "_")
}

/// An identifier, whatever is in it.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Epochs and generations are counted in small steps: `i64` does not run out.
pub(super) fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn affinity(kind: &Kind) -> &'static str {
    match kind {
        Kind::Boolean | Kind::Int | Kind::Long => "INTEGER",
        Kind::Double => "REAL",
        Kind::Text | Kind::Date | Kind::Decimal | Kind::Array(_) | Kind::Document(_) => "TEXT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn table(columns: &[(&str, Kind, Role)]) -> Table {
        Table {
            name: "a \"view\"".into(),
            columns: columns
                .iter()
                .map(|(name, kind, role)| Column {
                    name: (*name).into(),
                    kind: kind.clone(),
                    role: *role,
                })
                .collect(),
            group_index: true,
            ..Table::default()
        }
    }

    #[test]
    fn a_table_has_typed_columns_and_quoted_names() {
        let schema = Schema::of(&table(&[
            ("window.start", Kind::Date, Role::WindowStart),
            ("group", Kind::Text, Role::Group),
            ("total", Kind::Long, Role::Aggregate),
            ("average", Kind::Double, Role::Aggregate),
            ("revenue", Kind::Decimal, Role::Aggregate),
        ]))
        .unwrap();
        assert_eq!(
            schema.create,
            "CREATE TABLE IF NOT EXISTS \"a \"\"view\"\"\" (\"_id\" TEXT PRIMARY KEY NOT NULL, \
             \"window_start\" TEXT, \"group\" TEXT, \"total\" INTEGER, \
             \"average\" REAL, \"revenue\" TEXT, \"final\" INTEGER NOT NULL, \
             \"epoch\" INTEGER NOT NULL, \"updated_at\" TEXT NOT NULL)"
        );
        assert!(schema.indexes[0].ends_with("(\"window_start\" DESC)"));
        assert!(schema.indexes[1].ends_with("(\"group\", \"window_start\" DESC)"));
    }

    #[test]
    fn columns_that_become_one_are_found() {
        for names in [["a.b", "a_b"], ["a", "A"], ["x", "final"]] {
            let columns = names.map(|name| (name, Kind::Long, Role::Aggregate));
            assert!(matches!(
                Schema::of(&table(&columns)),
                Err(SinkError::Misconfigured { .. })
            ));
        }
    }
}
