//! One transaction a batch: rows, dead letters and progress, if this run may write.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, params};

use super::generation;
use super::schema::{DELETE_LETTER, PUT_LETTER, PUT_PROGRESS, long, quote, state};
use super::store::Store;
use super::values::{self, borrowed};
use crate::text;
use crate::{
    Batch, DeadLetter, Expect, Progress, Row, RowId, SinkError, Table, WriteIntent, Writer,
};
use model::fail_point;

/// One worker's way into the file.
#[derive(Debug)]
pub(super) struct EmbeddedWriter {
    store: Arc<Store>,
    generation: u64,
    /// Windows are few and rows are many: their texts are kept for a while.
    dates: Dates,
}

impl EmbeddedWriter {
    pub(super) fn new(store: Arc<Store>, generation: u64) -> EmbeddedWriter {
        EmbeddedWriter {
            store,
            generation,
            dates: Dates::default(),
        }
    }
}

impl Writer for EmbeddedWriter {
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        if batch.is_empty() {
            return Ok(());
        }
        let (store, dates) = (&*self.store, &mut self.dates);
        fail_point("write.before");
        store.write_as(self.generation, |connection, _| {
            for row in &batch.puts {
                put(store, connection, dates, row)?;
            }
            for id in &batch.deletes {
                let schema = store.schemas.get(id.table).ok_or_else(|| {
                    SinkError::refused(store.describe(), format!("no table number {}", id.table))
                })?;
                let is_kept = batch.deletes_before > 0
                    && is_since(store, connection, id, batch.deletes_before)?;
                if is_kept {
                    continue;
                }
                connection
                    .prepare_cached(&schema.delete)
                    .and_then(|mut statement| statement.execute([values::id(&id.id)]))
                    .map_err(|error| store.failed(&error))?;
            }
            for letter in &batch.dead_letters {
                put_letter(store, connection, dates, letter)?;
            }
            for id in &batch.letter_deletes {
                connection
                    .prepare_cached(DELETE_LETTER)
                    .and_then(|mut statement| statement.execute([id]))
                    .map_err(|error| store.failed(&error))?;
            }
            fail_point("write.commit");
            if let Some(progress) = &batch.progress {
                put_progress(store, connection, dates, progress)?;
            }
            Ok(())
        })?;
        fail_point("write.after");
        Ok(())
    }

    fn publish(&mut self, progress: &Progress) -> Result<(), SinkError> {
        let (store, dates) = (&*self.store, &mut self.dates);
        store.write_as(self.generation, |connection, _| {
            put_progress(store, connection, dates, progress)
        })
    }

    fn reach(&mut self, reaching: &WriteIntent) -> Result<(), SinkError> {
        let store = &*self.store;
        store.write_as(self.generation, |connection, held| {
            match held.reaching.epoch < reaching.epoch {
                true => generation::reach(store, connection, self.generation, reaching),
                false => reaching.check_said(&held.reaching, store.describe()),
            }
        })
    }
}

/// How far a view has come, as it is written: in the order of MongoDB's documents.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Reached {
    Until {
        watermark: String,
        final_until: String,
    },
    /// It is being built.
    Rebuilding { rebuilding: bool },
}

fn put_progress(
    store: &Store,
    connection: &Connection,
    dates: &mut Dates,
    progress: &Progress,
) -> Result<(), SinkError> {
    let refused =
        |error: serde_json::Error| SinkError::refused(store.describe(), error.to_string());
    let offsets = serde_json::to_string(&progress.offsets).map_err(refused)?;
    let log = serde_json::to_string(&progress.log).map_err(refused)?;
    let mut views = BTreeMap::new();
    let rebuilding = || Reached::Rebuilding { rebuilding: true };
    let built = progress.rebuilding.iter();
    views.extend(built.map(|view| (view, rebuilding())));
    for (view, reached) in &progress.views {
        let reached = Reached::Until {
            watermark: dates.text(reached.watermark).to_owned(),
            final_until: dates.text(reached.final_until).to_owned(),
        };
        views.insert(view, reached);
    }
    let views = serde_json::to_string(&views).map_err(refused)?;
    let limits = text::limits(progress.limits.as_ref());
    let arguments = params![
        super::PROGRESS_ID,
        long(progress.epoch),
        offsets,
        views,
        dates.text(progress.updated_at),
        limits,
        log
    ];
    connection
        .execute(PUT_PROGRESS, arguments)
        .map(drop)
        .map_err(|error| store.failed(&error))
}

fn put(
    store: &Store,
    connection: &Connection,
    dates: &mut Dates,
    row: &Row,
) -> Result<(), SinkError> {
    let refused = |detail: String| SinkError::refused(store.describe(), detail);
    let number = row.id.table;
    let (Some(table), Some(schema)) = (store.tables.get(number), store.schemas.get(number)) else {
        return Err(refused(format!("there is no table number {number}")));
    };
    table.check_row(row).map_err(refused)?;
    let wrong = |error: rusqlite::Error| store.failed(&error);
    let is_there = row.expect == Expect::Present;
    let put = match is_there {
        true => &schema.update,
        false => &schema.put,
    };
    let mut statement = connection.prepare_cached(put).map_err(wrong)?;
    let mut place = 1;
    let mut bind = |value: ToSqlOutput<'_>| {
        let bound = statement.raw_bind_parameter(place, value);
        place += 1;
        bound.map_err(wrong)
    };
    bind(values::id(&row.id.id))?;
    for (column, value) in table.columns.iter().zip(&row.values) {
        if !column.kind.fits(value) {
            let problem = column.misfit(value);
            return Err(refused(format!(
                "row {:?} of {}: {problem}",
                row.id.id, table.name
            )));
        }
        bind(values::written(value, |millis| dates.text(millis)))?;
    }
    bind(ToSqlOutput::from(row.is_final))?;
    bind(ToSqlOutput::from(long(row.epoch)))?;
    bind(borrowed(dates.text(row.updated_at)))?;
    let changed = statement.raw_execute().map_err(wrong)?;
    if is_there && changed == 0 {
        return Err(SinkError::Deleted {
            database: store.describe().to_owned(),
            collection: table.name.clone(),
            rows: 1,
            row: row.id.id.to_string(),
        });
    }
    Ok(())
}

/// Whether a row has been written in this epoch or later.
fn is_since(
    store: &Store,
    connection: &Connection,
    id: &RowId,
    epoch: u64,
) -> Result<bool, SinkError> {
    let table = Table::number(&store.tables, id.table)?;
    let sql = format!(
        r#"SELECT count(*) FROM {} WHERE "_id" = ?1 AND {} >= ?2"#,
        quote(&table.name),
        quote(&state(table, "epoch"))
    );
    let found = connection.prepare_cached(&sql).and_then(|mut statement| {
        let arguments = params![values::id(&id.id), long(epoch)];
        statement.query_row(arguments, |row| row.get::<_, i64>(0))
    });
    Ok(found.map_err(|error| store.failed(&error))? > 0)
}

fn put_letter(
    store: &Store,
    connection: &Connection,
    dates: &mut Dates,
    letter: &DeadLetter,
) -> Result<(), SinkError> {
    let wrong = |error: rusqlite::Error| store.failed(&error);
    let mut statement = connection.prepare_cached(PUT_LETTER).map_err(wrong)?;
    let done = statement.execute(params![
        letter.id(),
        letter.topic,
        letter.partition,
        letter.offset,
        letter.timestamp.map(|millis| dates.text(millis)),
        letter.reason.as_str(),
        letter.detail,
        letter.view,
        letter.key,
        letter.value,
        long(letter.epoch),
    ]);
    done.map(drop).map_err(wrong)
}

/// The texts of the moments seen lately.
#[derive(Debug, Default)]
struct Dates {
    known: BTreeMap<i64, String>,
}

impl Dates {
    fn text(&mut self, millis: i64) -> &str {
        const MOST: usize = 4_096;
        if self.known.len() >= MOST && !self.known.contains_key(&millis) {
            self.known.clear();
        }
        self.known
            .entry(millis)
            .or_insert_with(|| text::date(millis))
    }
}
