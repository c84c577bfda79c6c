//! Who may write to the file: one row of the table `holder`.
//!
//! SQLite lets one write at a time, so a writer looks at that row within the
//! transaction that writes: if another run has taken over, nothing is written. The row
//! has a table of its own because a row of `progress` says that something is complete,
//! and at a claim nothing is yet.
//!
//! A process that is stopped in the middle of a transaction keeps the file's lock. It
//! cannot be taken from it: whoever claims waits, and is told that the file is locked,
//! until that process goes on or is killed.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::schema::long;
use super::store::Store;
use crate::alive::Place;
use crate::claim::{Register, Seen};
use crate::text;
use crate::{Holder, LetterCount, SinkError, WriteIntent};

const LOOK: &str = r#"SELECT "generation", "host", "process", "started_at", "place", "ended",
    "answer", "reaching_epoch", "reaching_offsets", "reaching_limits", "definitions",
    "counted", "reaching_log"
    FROM "holder" WHERE "_id" = ?1"#;

/// Leaves alone the row of whoever was quicker.
const FIRST: &str = r#"INSERT OR IGNORE INTO "holder"
    ("_id", "generation", "host", "process", "started_at", "place", "ended")
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)"#;

const NEXT: &str = r#"UPDATE "holder" SET "generation" = ?2, "host" = ?3, "process" = ?4,
    "started_at" = ?5, "place" = ?6, "ended" = 0, "challenge" = NULL, "answer" = NULL
    WHERE "_id" = ?1 AND "generation" = ?7"#;

const ASK: &str = r#"UPDATE "holder" SET "challenge" = ?3
    WHERE "_id" = ?1 AND "generation" = ?2"#;

const ASKED: &str = r#"SELECT count(*) FROM "holder"
    WHERE "_id" = ?1 AND "generation" = ?2 AND "challenge" IS NOT "answer""#;

const ANSWER: &str = r#"UPDATE "holder" SET "answer" = "challenge"
    WHERE "_id" = ?1 AND "generation" = ?2"#;

const END: &str = r#"UPDATE "holder" SET "ended" = 1, "counted" = NULL
    WHERE "_id" = ?1 AND "generation" = ?2"#;

const COUNT: &str = r#"UPDATE "holder" SET "counted" = ?3
    WHERE "_id" = ?1 AND "generation" = ?2"#;

const REACH: &str = r#"UPDATE "holder" SET "reaching_epoch" = ?3, "reaching_offsets" = ?4,
    "reaching_limits" = ?5, "reaching_log" = ?6
    WHERE "_id" = ?1 AND "generation" = ?2"#;

const DEFINE: &str = r#"UPDATE "holder" SET "definitions" = ?3
    WHERE "_id" = ?1 AND "generation" = ?2"#;

/// The row, whole.
pub(super) struct Held {
    pub(super) seen: Seen,
    pub(super) reaching: WriteIntent,
    pub(super) definitions: BTreeMap<String, String>,
    pub(super) counted: Option<LetterCount>,
}

/// Reads the row, if anybody has claimed the file yet.
pub(super) fn held(store: &Store, connection: &Connection) -> Result<Option<Held>, SinkError> {
    let found = connection
        .prepare_cached(LOOK)
        .and_then(|mut statement| {
            let columns = |row: &rusqlite::Row<'_>| {
                let holder: (i64, String, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let started_at: String = row.get(3)?;
                let place: Option<String> = row.get(4)?;
                let (ended, answer) = (row.get(5)?, row.get(6)?);
                let reaching: (i64, String, Option<String>, String) =
                    (row.get(7)?, row.get(8)?, row.get(9)?, row.get(12)?);
                let definitions: String = row.get(10)?;
                let counted: Option<String> = row.get(11)?;
                Ok((
                    holder,
                    started_at,
                    place,
                    ended,
                    answer,
                    reaching,
                    definitions,
                    counted,
                ))
            };
            statement
                .query_row([super::PROGRESS_ID], columns)
                .optional()
        })
        .map_err(|error| store.failed(&error))?;
    let Some((holder, started_at, place, ended, answer, reaching, definitions, counted)) = found
    else {
        return Ok(None);
    };
    let (generation, host, process) = holder;
    let wrong = |field: &str| store.unreadable("holder", field);
    let (epoch, offsets, limits, log) = reaching;
    let counted = counted.map(|counted| serde_json::from_str(&counted));
    Ok(Some(Held {
        seen: Seen {
            holder: Holder {
                generation: u64::try_from(generation).map_err(|_| wrong("generation"))?,
                host,
                process,
                started_at: text::millis(&started_at).ok_or_else(|| wrong("started_at"))?,
            },
            place: place.as_deref().and_then(Place::parse),
            ended,
            answer,
        },
        reaching: WriteIntent {
            epoch: u64::try_from(epoch).map_err(|_| wrong("reaching_epoch"))?,
            offsets: serde_json::from_str(&offsets).map_err(|_| wrong("reaching_offsets"))?,
            limits: text::stored_limits(limits).map_err(|_| wrong("reaching_limits"))?,
            log: serde_json::from_str(&log).map_err(|_| wrong("reaching_log"))?,
        },
        definitions: serde_json::from_str(&definitions).map_err(|_| wrong("definitions"))?,
        counted: counted.transpose().map_err(|_| wrong("counted"))?,
    }))
}

/// Fails unless this generation is the current one. Within a transaction, it stays so
/// until the end.
pub(super) fn check(
    store: &Store,
    connection: &Connection,
    generation: u64,
) -> Result<Held, SinkError> {
    let Some(held) = held(store, connection)? else {
        return Err(SinkError::refused(
            store.describe(),
            "its table holder, which says who may write, is empty",
        ));
    };
    if held.seen.holder.generation == generation {
        return Ok(held);
    }
    Err(SinkError::Replaced {
        database: store.describe().to_owned(),
        generation,
        by: held.seen.holder,
    })
}

/// Answers, if somebody asks.
pub(super) fn answer(store: &Store, generation: u64) -> Result<(), SinkError> {
    let arguments = params![super::PROGRESS_ID, long(generation)];
    let asked: i64 = store.read(|connection| {
        connection
            .query_row(ASKED, arguments, |row| row.get(0))
            .map_err(|error| store.failed(&error))
    })?;
    match asked {
        0 => Ok(()),
        _ => store.change(ANSWER, arguments).map(drop),
    }
}

/// Says that this generation has ended, if it is the current one.
pub(super) fn end(store: &Store, generation: u64) -> Result<(), SinkError> {
    let ended = store.change(END, params![super::PROGRESS_ID, long(generation)])?;
    match ended {
        true => Ok(()),
        false => store.read(|connection| check(store, connection, generation).map(drop)),
    }
}

/// Keeps what a run of this generation has counted, if that is the current one.
pub(super) fn count(store: &Store, generation: u64, counted: LetterCount) -> Result<(), SinkError> {
    let counted = serde_json::to_string(&counted)
        .map_err(|error| SinkError::refused(store.describe(), error.to_string()))?;
    let arguments = params![super::PROGRESS_ID, long(generation), counted];
    match store.change(COUNT, arguments)? {
        true => Ok(()),
        false => store.read(|connection| check(store, connection, generation).map(drop)),
    }
}

/// Writes how far rows may reach, within a transaction that has checked the generation.
pub(super) fn reach(
    store: &Store,
    connection: &Connection,
    generation: u64,
    reaching: &WriteIntent,
) -> Result<(), SinkError> {
    let refused =
        |error: serde_json::Error| SinkError::refused(store.describe(), error.to_string());
    let offsets = serde_json::to_string(&reaching.offsets).map_err(refused)?;
    let log = serde_json::to_string(&reaching.log).map_err(refused)?;
    let arguments = params![
        super::PROGRESS_ID,
        long(generation),
        long(reaching.epoch),
        offsets,
        text::limits(reaching.limits.as_ref()),
        log
    ];
    connection
        .execute(REACH, arguments)
        .map(drop)
        .map_err(|error| store.failed(&error))
}

/// Writes the definitions of views, within a transaction that has checked the generation.
pub(super) fn define(
    store: &Store,
    connection: &Connection,
    generation: u64,
    definitions: &BTreeMap<String, String>,
) -> Result<(), SinkError> {
    let definitions = serde_json::to_string(definitions)
        .map_err(|error| SinkError::refused(store.describe(), error.to_string()))?;
    connection
        .execute(
            DEFINE,
            params![super::PROGRESS_ID, long(generation), definitions],
        )
        .map(drop)
        .map_err(|error| store.failed(&error))
}

impl Register for Store {
    fn look(&self) -> Result<Option<Seen>, SinkError> {
        let held = self.read(|connection| held(self, connection))?;
        Ok(held.map(|held| held.seen))
    }

    fn take(
        &self,
        last: Option<u64>,
        holder: &Holder,
        place: Option<&Place>,
    ) -> Result<bool, SinkError> {
        let Holder {
            generation,
            host,
            process,
            started_at,
        } = holder;
        let (generation, started_at) = (long(*generation), text::date(*started_at));
        let place = place.map(Place::text);
        let Some(last) = last else {
            let arguments = params![
                super::PROGRESS_ID,
                generation,
                host,
                process,
                started_at,
                place
            ];
            return self.change(FIRST, arguments);
        };
        let last = long(last);
        let arguments = params![
            super::PROGRESS_ID,
            generation,
            host,
            process,
            started_at,
            place,
            last
        ];
        self.change(NEXT, arguments)
    }

    fn ask(&self, generation: u64, question: i64) -> Result<(), SinkError> {
        self.change(ASK, params![super::PROGRESS_ID, long(generation), question])
            .map(drop)
    }

    fn describe(&self) -> &str {
        Store::describe(self)
    }
}
