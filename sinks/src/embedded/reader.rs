//! Reads the last committed state, on a connection of its own.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::schema::{is_there, long, name, quote, state};
use super::store::Store;
use super::values;
use super::writer::Reached;
use super::{generation, letters};
use crate::page::{Ids, no_id, window_of};
use crate::text;
use crate::{
    Column, DeadLetter, IdValue, Kind, LetterQuery, Progress, Query, Reader, Reason, SinkError,
    Standing, StoredLetter, StoredRow, Table, Total, Totals, Value, ViewProgress,
};

/// A way to read the file.
#[derive(Debug)]
pub(super) struct EmbeddedReader {
    store: Arc<Store>,
    connection: Mutex<Connection>,
}

impl EmbeddedReader {
    pub(super) fn new(store: Arc<Store>) -> Result<EmbeddedReader, SinkError> {
        let connection = Mutex::new(store.reading()?);
        Ok(EmbeddedReader { store, connection })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `each` with the ids of the rows of a table that meet all of these conditions.
    fn ids_of(
        &self,
        table: &Table,
        conditions: &[String],
        arguments: Vec<rusqlite::types::Value>,
        each: &mut dyn FnMut(IdValue),
    ) -> Result<(), SinkError> {
        let wrong = |error: rusqlite::Error| self.store.failed(&error);
        let sql = format!(
            r#"SELECT "_id" FROM {}{}"#,
            quote(&table.name),
            all_of(conditions)
        );
        let connection = self.connection();
        let mut statement = connection.prepare(&sql).map_err(wrong)?;
        let mut found = statement
            .query(params_from_iter(arguments))
            .map_err(wrong)?;
        while let Some(row) = found.next().map_err(wrong)? {
            let id = values::any_id(row.get_ref(0).map_err(wrong)?, &table.id);
            each(id.ok_or_else(|| self.store.unreadable(&table.name, "_id"))?);
        }
        Ok(())
    }

    /// When the window starts that the row of this id is of.
    fn window_of(&self, table: &Table, id: &IdValue) -> Result<i64, SinkError> {
        let window = table.window_start().map(|column| quote(&name(column)));
        let window = window.ok_or_else(|| no_id(table, id))?;
        let sql = format!(
            r#"SELECT {window} FROM {} WHERE "_id" = ?1"#,
            quote(&table.name)
        );
        let found = self.connection().query_row(&sql, [values::id(id)], |row| {
            row.get_ref(0)
                .map(|start| values::stored(start, &Kind::Date))
        });
        let found = found
            .optional()
            .map_err(|error| self.store.failed(&error))?;
        let start = match found.flatten() {
            Some(Value::Date(start)) => Some(start),
            // It may be gone; most ids say it themselves.
            _ => id.as_text().and_then(window_of),
        };
        start.ok_or_else(|| no_id(table, id))
    }

    /// Calls `each` with the rows of `table` that a statement finds.
    fn rows(
        &self,
        table: &Table,
        sql: &str,
        arguments: Vec<rusqlite::types::Value>,
        each: &mut dyn FnMut(StoredRow),
    ) -> Result<(), SinkError> {
        let wrong = |error: rusqlite::Error| self.store.failed(&error);
        let connection = self.connection();
        let mut statement = connection.prepare_cached(sql).map_err(wrong)?;
        let mut found = statement
            .query(params_from_iter(arguments))
            .map_err(wrong)?;
        while let Some(row) = found.next().map_err(wrong)? {
            let mut values = Vec::with_capacity(table.columns.len());
            for (place, column) in table.columns.iter().enumerate() {
                let value = values::stored(row.get_ref(place + 1).map_err(wrong)?, &column.kind)
                    .ok_or_else(|| self.store.unreadable(&table.name, &column.name))?;
                values.push(value);
            }
            let rest = table.columns.len() + 1;
            let updated_at: String = row.get(rest + 2).map_err(wrong)?;
            each(StoredRow {
                id: values::stored_id(row.get_ref(0).map_err(wrong)?, &table.id)
                    .ok_or_else(|| self.store.unreadable(&table.name, "_id"))?,
                values,
                is_final: row.get(rest).map_err(wrong)?,
                epoch: row.get(rest + 1).map_err(wrong)?,
                updated_at: text::millis(&updated_at)
                    .ok_or_else(|| self.store.unreadable(&table.name, "updated_at"))?,
            });
        }
        Ok(())
    }
}

impl Reader for EmbeddedReader {
    fn page(&self, table: usize, query: &Query) -> Result<Vec<StoredRow>, SinkError> {
        let table = Table::number(&self.store.tables, table)?;
        let start_of = |id: &IdValue| self.window_of(table, id);
        let (sql, arguments) = select(table, query, start_of)?;
        let mut rows = Vec::new();
        self.rows(table, &sql, arguments, &mut |row| rows.push(row))?;
        Ok(rows)
    }

    fn totals(&self, table: usize, totals: &Totals) -> Result<Vec<Total>, SinkError> {
        let table = Table::number(&self.store.tables, table)?;
        let (by, sums) = totals.columns(table)?;
        let (sql, arguments) = selected(table, totals)?;
        // Added up here: SQLite has no exact decimals.
        let mut all: BTreeMap<String, Total> = BTreeMap::new();
        self.rows(table, &sql, arguments, &mut |row| {
            let pick = |places: &[usize]| -> Vec<Value> {
                places
                    .iter()
                    .map(|place| row.values[*place].clone())
                    .collect()
            };
            let (by, values) = (pick(&by), pick(&sums));
            match all.entry(format!("{by:?}")) {
                Entry::Occupied(found) => found.into_mut().add(&values, row.is_final),
                Entry::Vacant(free) => drop(free.insert(Total {
                    by,
                    sums: values,
                    is_final: row.is_final,
                })),
            }
        })?;
        let mut all: Vec<Total> = all.into_values().collect();
        for total in &mut all {
            for (sum, place) in total.sums.iter_mut().zip(&sums) {
                if *sum == Value::Null {
                    *sum = table.columns[*place].kind.zero();
                }
            }
        }
        all.sort_by(Total::order);
        all.truncate(usize::try_from(totals.limit).unwrap_or(usize::MAX));
        Ok(all)
    }

    fn totals_query(&self, table: usize, totals: &Totals) -> Result<String, SinkError> {
        let table = Table::number(&self.store.tables, table)?;
        let (by, sums) = totals.columns(table)?;
        let named = |place: &usize| quote(&name(&table.columns[*place]));
        let by: Vec<String> = by.iter().map(named).collect();
        let sums = sums.iter().map(|place| format!("sum({})", named(place)));
        let columns: Vec<String> = by.iter().cloned().chain(sums).collect();
        let (condition, arguments) = condition(table, &rows_of(totals))?;
        let mut sql = format!(
            "SELECT {}, min({}) AS \"final\" FROM {}{condition}",
            columns.join(", "),
            quote(&state(table, "final")),
            quote(&table.name)
        );
        if !by.is_empty() {
            sql = format!("{sql} GROUP BY {}", by.join(", "));
        }
        let wrong = |error: rusqlite::Error| self.store.failed(&error);
        let connection = self.connection();
        let mut statement = connection.prepare(&sql).map_err(wrong)?;
        for (number, argument) in arguments.iter().enumerate() {
            statement
                .raw_bind_parameter(number + 1, argument)
                .map_err(wrong)?;
        }
        // None is for want of memory, or of a text of a gigabyte.
        Ok(statement.expanded_sql().unwrap_or(sql))
    }

    fn windows(&self, table: usize, from: Option<i64>) -> Result<Vec<(i64, u64)>, SinkError> {
        let table = Table::number(&self.store.tables, table)?;
        let Some(column) = table.window_start() else {
            return Ok(Vec::new());
        };
        let window = quote(&name(column));
        let rows = Query {
            from,
            ..Query::default()
        };
        let (condition, arguments) = condition(table, &rows)?;
        let table_name = quote(&table.name);
        let sql =
            format!("SELECT {window}, count(*) FROM {table_name}{condition} GROUP BY 1 ORDER BY 1");
        let wrong = |error: rusqlite::Error| self.store.failed(&error);
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&sql).map_err(wrong)?;
        let mut found = statement
            .query(params_from_iter(arguments))
            .map_err(wrong)?;
        let mut all = Vec::new();
        while let Some(row) = found.next().map_err(wrong)? {
            let start: String = row.get(0).map_err(wrong)?;
            let start = text::millis(&start)
                .ok_or_else(|| self.store.unreadable(&table.name, &column.name))?;
            let rows: i64 = row.get(1).map_err(wrong)?;
            all.push((start, u64::try_from(rows).unwrap_or(0)));
        }
        Ok(all)
    }

    fn letters(&self, query: &LetterQuery) -> Result<Vec<DeadLetter>, SinkError> {
        letters::page(&self.store, &self.connection(), query)
    }

    fn written_after(
        &self,
        table: usize,
        epoch: u64,
        each: &mut dyn FnMut(StoredRow),
    ) -> Result<(), SinkError> {
        let table = Table::number(&self.store.tables, table)?;
        let sql = format!(
            "{} WHERE {} > ?1",
            select_all(table),
            quote(&state(table, "epoch"))
        );
        self.rows(table, &sql, vec![long(epoch).into()], each)
    }

    fn ids(
        &self,
        table: usize,
        from: &str,
        each: &mut dyn FnMut(IdValue),
    ) -> Result<(), SinkError> {
        let table = Table::number(&self.store.tables, table)?;
        let mut conditions: Vec<String> = is_there(table).into_iter().collect();
        let mut arguments = Vec::new();
        if !from.is_empty() {
            conditions.push(r#""_id" >= ?1"#.to_owned());
            arguments.push(from.to_owned().into());
        }
        self.ids_of(table, &conditions, arguments, each)
    }

    fn ids_before(
        &self,
        table: usize,
        epoch: u64,
        each: &mut dyn FnMut(IdValue),
    ) -> Result<(), SinkError> {
        let table = Table::number(&self.store.tables, table)?;
        let mut conditions: Vec<String> = is_there(table).into_iter().collect();
        conditions.push(format!("{} < ?1", quote(&state(table, "epoch"))));
        self.ids_of(table, &conditions, vec![long(epoch).into()], each)
    }

    fn has_finals(&self, table: usize) -> Result<bool, SinkError> {
        let table = Table::number(&self.store.tables, table)?;
        // The oldest windows close first: most often the first row that is looked at is one.
        let sql = format!(
            r#"SELECT 1 FROM {} WHERE {} = 1 ORDER BY "_id" LIMIT 1"#,
            quote(&table.name),
            quote(&state(table, "final"))
        );
        let found = self.connection().query_row(&sql, [], |_| Ok(()));
        let found = found
            .optional()
            .map_err(|error| self.store.failed(&error))?;
        Ok(found.is_some())
    }

    fn letters_after(
        &self,
        epoch: u64,
        each: &mut dyn FnMut(StoredLetter),
    ) -> Result<(), SinkError> {
        let wrong = |error: rusqlite::Error| self.store.failed(&error);
        let connection = self.connection();
        let mut statement = connection.prepare(LETTERS_AFTER).map_err(wrong)?;
        let mut found = statement.query([long(epoch)]).map_err(wrong)?;
        while let Some(row) = found.next().map_err(wrong)? {
            let unreadable = |field| self.store.unreadable("dead_letters", field);
            let reason: String = row.get(4).map_err(wrong)?;
            let epoch: i64 = row.get(6).map_err(wrong)?;
            each(StoredLetter {
                id: row.get(0).map_err(wrong)?,
                topic: row.get(1).map_err(wrong)?,
                partition: row.get(2).map_err(wrong)?,
                offset: row.get(3).map_err(wrong)?,
                reason: Reason::of(&reason).ok_or_else(|| unreadable("reason"))?,
                view: row.get(5).map_err(wrong)?,
                epoch: u64::try_from(epoch).map_err(|_| unreadable("epoch"))?,
            });
        }
        Ok(())
    }

    fn standing(&self) -> Result<Standing, SinkError> {
        // Of one moment.
        let mut connection = self.connection();
        let moment = connection
            .transaction()
            .map_err(|error| self.store.failed(&error))?;
        let held = generation::held(&self.store, &moment)?;
        let progress = progress(&self.store, &moment)?;
        let Some(held) = held else {
            return Ok(Standing {
                progress,
                ..Standing::default()
            });
        };
        Ok(Standing {
            progress,
            reaching: held.reaching,
            definitions: held.definitions,
            counted: held.counted,
            ended: held.seen.ended,
            holder: Some(held.seen.holder),
        })
    }

    fn ping(&self) -> Result<(), SinkError> {
        // Counting the tables reads the file, as `SELECT 1` would not.
        self.connection()
            .query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
            .map_err(|error| self.store.failed(&error))
    }
}

/// The row of `progress`, if there is one yet.
fn progress(store: &Store, connection: &Connection) -> Result<Option<Progress>, SinkError> {
    let sql = r#"SELECT "epoch", "offsets", "views", "updated_at", "limits", "log"
        FROM "progress" WHERE "_id" = ?1"#;
    let found: Option<(i64, String, String, String, Option<String>, String)> = connection
        .query_row(sql, [super::PROGRESS_ID], |row| row.try_into())
        .optional()
        .map_err(|error| store.failed(&error))?;
    let Some((epoch, offsets, views, updated_at, limits, log)) = found else {
        return Ok(None);
    };
    let wrong = |field| store.unreadable("progress", field);
    let (views, rebuilding) = stored_views(&views).ok_or_else(|| wrong("views"))?;
    Ok(Some(Progress {
        epoch: u64::try_from(epoch).map_err(|_| wrong("epoch"))?,
        offsets: serde_json::from_str(&offsets).map_err(|_| wrong("offsets"))?,
        views,
        rebuilding,
        limits: text::stored_limits(limits).map_err(|_| wrong("limits"))?,
        updated_at: text::millis(&updated_at).ok_or_else(|| wrong("updated_at"))?,
        log: serde_json::from_str(&log).map_err(|_| wrong("log"))?,
    }))
}

/// How far the views of the progress have come, and which are being built, as the writer put them.
fn stored_views(json: &str) -> Option<(BTreeMap<String, ViewProgress>, BTreeSet<String>)> {
    let found: BTreeMap<String, Reached> = serde_json::from_str(json).ok()?;
    let (mut views, mut rebuilding) = (BTreeMap::new(), BTreeSet::new());
    for (view, reached) in found {
        match reached {
            Reached::Until {
                watermark,
                final_until,
            } => {
                let reached = ViewProgress {
                    watermark: text::millis(&watermark)?,
                    final_until: text::millis(&final_until)?,
                };
                views.insert(view, reached);
            }
            Reached::Rebuilding { .. } => {
                rebuilding.insert(view);
            }
        }
    }
    Some((views, rebuilding))
}

/// The statement for all rows: `_id`, the columns, final, epoch and updated_at.
fn select_all(table: &Table) -> String {
    let mut columns = vec![quote("_id")];
    columns.extend(
        table
            .columns
            .iter()
            .map(|column: &Column| quote(&name(column))),
    );
    columns.extend(["final", "epoch", "updated_at"].map(|field| quote(&state(table, field))));
    format!("SELECT {} FROM {}", columns.join(", "), quote(&table.name))
}

const LETTERS_AFTER: &str = r#"SELECT "_id", "topic", "partition", "offset", "reason", "view",
    "epoch" FROM "dead_letters" WHERE "epoch" > ?1"#;

/// Which rows are added up.
fn rows_of(totals: &Totals) -> Query {
    Query {
        from: totals.from,
        until: totals.until,
        groups: totals.groups.clone(),
        ..Query::default()
    }
}

/// The statement for all rows that are added up, and its arguments.
fn selected(
    table: &Table,
    totals: &Totals,
) -> Result<(String, Vec<rusqlite::types::Value>), SinkError> {
    let (condition, arguments) = condition(table, &rows_of(totals))?;
    Ok((format!("{}{condition}", select_all(table)), arguments))
}

/// Which rows are asked for, as the end of a statement, and its arguments.
fn condition(
    table: &Table,
    query: &Query,
) -> Result<(String, Vec<rusqlite::types::Value>), SinkError> {
    let (conditions, arguments) = conditions(table, query)?;
    Ok((all_of(&conditions), arguments))
}

/// A column of decimals, without zeros at the end of the fraction.
fn canonical(column: &str) -> String {
    format!("iif(instr({column}, '.'), rtrim(rtrim({column}, '0'), '.'), {column})")
}

/// Conditions as the end of a statement.
fn all_of(conditions: &[String]) -> String {
    match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    }
}

/// Which windows and groups are asked for, and the arguments of that.
fn conditions(
    table: &Table,
    query: &Query,
) -> Result<(Vec<String>, Vec<rusqlite::types::Value>), SinkError> {
    let mut arguments = Vec::new();
    let mut conditions: Vec<String> = is_there(table).into_iter().collect();
    let window = table.window_start().map(|column| quote(&name(column)));
    for (operator, moment) in [(">=", query.from), ("<", query.until)] {
        let Some(moment) = moment else { continue };
        let Some(window) = &window else {
            let detail = format!("{} has no windows to choose from", table.name);
            return Err(SinkError::bad_query(detail));
        };
        arguments.push(text::date(moment).into());
        conditions.push(format!("{window} {operator} ?{}", arguments.len()));
    }
    for (group, value) in &query.groups {
        let column = table.group(group, value)?;
        let named = quote(&name(column));
        if *value == Value::Null {
            conditions.push(format!("{named} IS NULL"));
            continue;
        }
        // Decimals are texts, and equal with or without zeros at the end.
        let (named, value) = match IdValue::new(value.clone()) {
            Some(IdValue::Decimal(decimal)) => (
                canonical(&named),
                values::asked_id(&IdValue::Decimal(decimal)),
            ),
            _ => (named, values::asked(value)),
        };
        arguments.push(value);
        conditions.push(format!("{named} = ?{}", arguments.len()));
    }
    Ok((conditions, arguments))
}

/// The statement for a page, and its arguments. `start_of` finds the start of the window of the
/// row with an id.
fn select(
    table: &Table,
    query: &Query,
    start_of: impl FnOnce(&IdValue) -> Result<i64, SinkError>,
) -> Result<(String, Vec<rusqlite::types::Value>), SinkError> {
    let window = table.window_start().map(|column| quote(&name(column)));
    let id = quote("_id");
    let (condition, mut arguments, order) = match window {
        // Along the primary key.
        Some(_) if table.ids_by_window => {
            let mut asked = query.clone();
            (asked.from, asked.until) = (None, None);
            let (mut conditions, mut arguments) = conditions(table, &asked)?;
            let ids = Ids::of(query);
            let bounds = [(">=", Some(ids.from)), ("<", ids.below)];
            for (operator, bound) in bounds {
                let Some(bound) = bound else { continue };
                arguments.push(bound.into());
                conditions.push(format!("{id} {operator} ?{}", arguments.len()));
            }
            (all_of(&conditions), arguments, format!("{id} DESC"))
        }
        Some(window) => {
            let (mut conditions, mut arguments) = conditions(table, query)?;
            if let Some(after) = &query.after {
                arguments.push(text::date(start_of(after)?).into());
                arguments.push(values::asked_id(after));
                let last = arguments.len();
                conditions.push(format!("({window}, {id}) < (?{}, ?{last})", last - 1));
            }
            let order = format!("{window} DESC, {id} DESC");
            (all_of(&conditions), arguments, order)
        }
        None => {
            let (mut conditions, mut arguments) = conditions(table, query)?;
            if let Some(after) = &query.after {
                arguments.push(values::asked_id(after));
                conditions.push(format!("{id} < ?{}", arguments.len()));
            }
            (all_of(&conditions), arguments, format!("{id} DESC"))
        }
    };
    arguments.push(i64::from(query.limit).into());
    arguments.push(i64::try_from(query.offset).unwrap_or(i64::MAX).into());
    let sql = format!(
        "{}{condition} ORDER BY {order} LIMIT ?{} OFFSET ?{}",
        select_all(table),
        arguments.len() - 1,
        arguments.len()
    );
    Ok((sql, arguments))
}
