//! What the server says to a write command. A command that succeeds as a
//! whole may have failed in parts; nothing of that may be passed over.

use ::mongodb::bson::{Bson, Document};

use super::commands::{Chunk, Merge, Tables};
use super::connection::Failure;
use super::errors;
use crate::{Expect, Row, SinkError};

/// Fails unless every operation of `chunk` was done, and on a majority.
pub(super) fn check(
    database: &str,
    tables: &Tables,
    chunk: &Chunk<'_>,
    reply: &Document,
) -> Result<(), Failure> {
    let collection = chunk.collection(tables);
    // A delete finds nothing where the row is gone already; an insert makes its document,
    // and an upsert finds it or makes it.
    let least = match chunk {
        Chunk::Deletes(..) | Chunk::LetterDeletes(_) => 0,
        Chunk::Merges(_, merges) => merges.iter().filter_map(put).count(),
        _ => chunk.len(),
    };
    let row = |place: usize| match chunk {
        Chunk::Puts(_, rows) => rows.get(place).copied(),
        Chunk::Merges(_, merges) => merges.get(place).and_then(put),
        _ => None,
    };
    if matches!(chunk, Chunk::Merges(..)) {
        // Its document is there, and the row is not: so it was not found, and could not be made.
        let problems = items(reply, "writeErrors");
        let there = problems.filter(|problem| code(problem) == errors::DUPLICATE_KEY);
        check_there(database, collection, there, row)?;
    }
    check_all(database, collection, reply, least, |place| {
        chunk.subject(place)
    })?;
    // An upsert has made them.
    check_there(database, collection, items(reply, "upserted"), row)
}

fn put<'a>(merge: &Merge<'a>) -> Option<&'a Row> {
    match merge {
        Merge::Put(row) => Some(row),
        Merge::Delete(..) => None,
    }
}

/// Fails where one of the operations that a reply tells of is about a row that had been written
/// before.
fn check_there<'a, 'r>(
    database: &str,
    collection: &str,
    told: impl Iterator<Item = &'r Document>,
    row: impl Fn(usize) -> Option<&'a Row>,
) -> Result<(), Failure> {
    let rows = told.filter_map(|told| {
        let place = integer(told.get("index"))?;
        row(usize::try_from(place).ok()?)
    });
    let mut deleted = rows.filter(|row| row.expect == Expect::Present);
    match deleted.next() {
        None => Ok(()),
        Some(first) => Err(Failure {
            code: None,
            error: SinkError::Deleted {
                database: database.to_owned(),
                collection: collection.to_owned(),
                rows: 1 + deleted.count(),
                row: first.id.id.to_string(),
            },
        }),
    }
}

/// How many documents a command has found or made; fails unless that is on a majority.
pub(super) fn count(database: &str, collection: &str, reply: &Document) -> Result<i64, Failure> {
    check_all(database, collection, reply, 0, |_| "its document".into())?;
    Ok(integer(reply.get("n")).unwrap_or(0))
}

fn check_all(
    database: &str,
    collection: &str,
    reply: &Document,
    least: usize,
    subject: impl Fn(usize) -> String,
) -> Result<(), Failure> {
    if let Ok(problems) = reply.get_array("writeErrors")
        && let Some(worst) = worst(problems)
    {
        let place = integer(worst.get("index")).and_then(|place| usize::try_from(place).ok());
        let subject = place.map_or_else(|| "one of them".into(), subject);
        let context = format!("{collection}: {} writes failed; {subject}", problems.len());
        return Err(failure(database, worst, &context));
    }
    check_concern(database, collection, reply)?;
    let done = integer(reply.get("n")).and_then(|done| usize::try_from(done).ok());
    if done < Some(least) {
        let done = done.unwrap_or(0);
        return Err(Failure {
            code: None,
            error: SinkError::refused(
                database,
                format!("{collection}: {least} writes sent and {done} acknowledged"),
            ),
        });
    }
    Ok(())
}

/// Fails if what was done is not on a majority yet.
pub(super) fn check_concern(
    database: &str,
    collection: &str,
    reply: &Document,
) -> Result<(), Failure> {
    match reply.get_document("writeConcernError") {
        Ok(problem) => Err(failure(database, problem, collection)),
        Err(_) => Ok(()),
    }
}

/// The first that will not pass with time, or else the first.
fn worst(problems: &[Bson]) -> Option<&Document> {
    let mut problems = problems.iter().filter_map(Bson::as_document);
    let first = problems.clone().next();
    let lasting = problems.find(|problem| !is_temporary(problem));
    lasting.or(first)
}

/// Whether the same write may pass later.
fn is_temporary(problem: &Document) -> bool {
    let code = code(problem);
    if code == errors::DUPLICATE_KEY {
        // Old servers do not name the key.
        let by_id = |key: &Document| key.keys().eq(["_id"]);
        return problem.get_document("keyPattern").map_or(true, by_id);
    }
    errors::is_temporary(code)
}

/// The documents of a part of a reply.
fn items<'r>(reply: &'r Document, part: &str) -> impl Iterator<Item = &'r Document> {
    let items = reply.get_array(part).map_or(&[][..], Vec::as_slice);
    items.iter().filter_map(Bson::as_document)
}

fn code(problem: &Document) -> i32 {
    integer(problem.get("code"))
        .and_then(|code| i32::try_from(code).ok())
        .unwrap_or(0)
}

fn failure(database: &str, problem: &Document, subject: &str) -> Failure {
    let code = code(problem);
    let said = problem.get_str("errmsg").unwrap_or("no message");
    let detail = errors::shorten(&format!("{subject}: {said} ({code})"));
    Failure {
        code: Some(code),
        error: if is_temporary(problem) {
            SinkError::unavailable(database, detail)
        } else {
            SinkError::refused(database, detail)
        },
    }
}

fn integer(value: Option<&Bson>) -> Option<i64> {
    match value? {
        Bson::Int32(value) => Some(i64::from(*value)),
        Bson::Int64(value) => Some(*value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::mongodb::bson::doc;

    fn check_deletes(reply: &Document) -> Result<(), Failure> {
        let tables = Tables {
            tables: vec![crate::Table {
                name: "t".into(),
                ..crate::Table::default()
            }],
            layouts: Vec::new(),
        };
        let ids = ["a", "b"].map(crate::IdValue::from);
        let deletes = Chunk::Deletes(0, ids.iter().collect(), 0);
        check("db", &tables, &deletes, reply)
    }

    #[test]
    fn one_lasting_error_outweighs_those_that_pass() {
        let failure = check_deletes(&doc! {"ok": 1, "n": 0, "writeErrors": [
            {"index": 0, "code": 112, "errmsg": "conflict"},
            {"index": 1, "code": 121, "errmsg": "invalid"},
        ]})
        .unwrap_err();
        assert_eq!(
            failure.error.to_string(),
            "db refused: t: 2 writes failed; row \"b\": invalid (121)"
        );
    }

    #[test]
    fn errors_that_pass() {
        for reply in [
            doc! {"ok": 1, "writeErrors": [{"index": 0, "code": 11000, "errmsg": "twice"}]},
            doc! {"ok": 1, "writeConcernError": {"code": 64, "errmsg": "timed out"}},
        ] {
            assert!(check_deletes(&reply).unwrap_err().error.is_temporary());
        }
    }

    #[test]
    fn deleting_what_is_not_there_is_done() {
        assert!(check_deletes(&doc! {"ok": 1, "n": 0}).is_ok());
    }
}
