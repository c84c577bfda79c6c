//! The tables: real columns, so that any SQLite tool can query the file.
//!
//! | kind | column |
//! | --- | --- |
//! | long | INTEGER |
//! | double | REAL |
//! | text | TEXT |
//! | date | TEXT, `2024-11-02T13:00:00.000Z`: reads well, and sorts right from year 0 to 9999 |
//! | decimal | TEXT, all digits: REAL would round |
//!
//! Columns are named as in MongoDB, with `_` for dots. The indexes are those of
//! the collections, for the same questions. Those of an earlier version stay.

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
    "views" TEXT NOT NULL DEFAULT '{}', -- JSON: {view: {watermark: date, final_until: date}}
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
        let mut columns = vec![("_id".to_owned(), "TEXT")];
        columns.extend(table.columns.iter().map(|c| (name(c), affinity(c.kind))));
        columns.extend(
            [
                ("final", "INTEGER"),
                ("epoch", "INTEGER"),
                ("updated_at", "TEXT"),
            ]
            .map(|(name, kind)| (name.to_owned(), kind)),
        );

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
        let definitions: Vec<String> = columns
            .iter()
            .zip(&quoted)
            .map(|((name, kind), quoted)| match name.as_str() {
                "_id" => format!("{quoted} {kind} PRIMARY KEY NOT NULL"),
                _ => format!("{quoted} {kind} NOT NULL"),
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
            update: format!("UPDATE {own} SET {} WHERE \"_id\" = ?1", updated.join(", ")),
            delete: format!("DELETE FROM {own} WHERE \"_id\" = ?1"),
            columns,
        })
    }

    /// Fails unless the table that is there has just these columns.
    pub(super) fn check(
        &self,
        connection: &Connection,
        table: &Table,
        database: &str,
    ) -> Result<(), SinkError> {
        let wrong = |error: rusqlite::Error| super::errors::classify(database, &error);
        let mut statement = connection
            .prepare("SELECT name, type FROM pragma_table_info(?1) ORDER BY cid")
            .map_err(wrong)?;
        let there = statement
            .query_map([&table.name], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(wrong)?;
        let show = |(name, kind): (&str, &str)| format!("{name} {kind}");
        let there: Vec<String> = there.iter().map(|(n, k)| show((n, k))).collect();
        let wanted: Vec<String> = self.columns.iter().map(|(n, k)| show((n, k))).collect();
        let missing = difference(&wanted, &there);
        let surplus = difference(&there, &wanted);
        if missing.is_empty() && surplus.is_empty() {
            return Ok(());
        }
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

fn difference(these: &[String], those: &[String]) -> String {
    let only: Vec<&str> = these
        .iter()
        .filter(|one| !those.contains(one))
        .map(String::as_str)
        .collect();
    only.join(", ")
}

fn indexes(table: &Table) -> Vec<String> {
    let window = table
        .window_start()
        .map(|column| format!("{} DESC", quote(&name(column))));
    let groups: Vec<String> = table.groups().map(|column| quote(&name(column))).collect();
    let mut indexes = Vec::new();
    let mut add = |what: &str, keys: &[String]| {
        indexes.push(format!(
            "CREATE INDEX IF NOT EXISTS {} ON {} ({})",
            quote(&format!("{} by {what}", table.name)),
            quote(&table.name),
            keys.join(", ")
        ));
    };
    if let Some(window) = &window {
        add("window", std::slice::from_ref(window));
    }
    if table.group_index && !groups.is_empty() {
        let keys: Vec<String> = groups.into_iter().chain(window).collect();
        add("group", &keys);
    }
    indexes
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

fn affinity(kind: Kind) -> &'static str {
    match kind {
        Kind::Long => "INTEGER",
        Kind::Double => "REAL",
        Kind::Text | Kind::Date | Kind::Decimal => "TEXT",
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
                    kind: *kind,
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
             \"window_start\" TEXT NOT NULL, \"group\" TEXT NOT NULL, \"total\" INTEGER NOT NULL, \
             \"average\" REAL NOT NULL, \"revenue\" TEXT NOT NULL, \"final\" INTEGER NOT NULL, \
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
