//! Dead letters, as rows that are read.

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};

use super::schema::long;
use super::store::Store;
use crate::text;
use crate::{DeadLetter, LetterQuery, Reason, SinkError};

/// A page of them.
pub(super) fn page(
    store: &Store,
    connection: &Connection,
    query: &LetterQuery,
) -> Result<Vec<DeadLetter>, SinkError> {
    let wrong = |error: rusqlite::Error| store.failed(&error);
    let unreadable = |field| store.unreadable("dead_letters", field);
    let (sql, arguments) = select(query);
    let mut statement = connection.prepare_cached(&sql).map_err(wrong)?;
    let mut found = statement
        .query(params_from_iter(arguments))
        .map_err(wrong)?;
    let mut letters = Vec::new();
    while let Some(row) = found.next().map_err(wrong)? {
        let timestamp: Option<String> = row.get(3).map_err(wrong)?;
        let reason: String = row.get(4).map_err(wrong)?;
        let epoch: i64 = row.get(9).map_err(wrong)?;
        letters.push(DeadLetter {
            topic: row.get(0).map_err(wrong)?,
            partition: row.get(1).map_err(wrong)?,
            offset: row.get(2).map_err(wrong)?,
            timestamp: timestamp
                .map(|text| text::millis(&text).ok_or_else(|| unreadable("timestamp")))
                .transpose()?,
            reason: Reason::of(&reason).ok_or_else(|| unreadable("reason"))?,
            detail: row.get(5).map_err(wrong)?,
            view: row.get(6).map_err(wrong)?,
            key: row.get(7).map_err(wrong)?,
            value: row.get(8).map_err(wrong)?,
            epoch: u64::try_from(epoch).map_err(|_| unreadable("epoch"))?,
        });
    }
    Ok(letters)
}

/// The statement, and its arguments.
fn select(query: &LetterQuery) -> (String, Vec<Sql>) {
    let mut arguments: Vec<Sql> = query
        .reasons()
        .map(|reason| Sql::Text(reason.to_owned()))
        .collect();
    let mut conditions = vec![format!(
        r#""reason" IN ({})"#,
        vec!["?"; arguments.len()].join(", ")
    )];
    for (column, value) in [("topic", &query.topic), ("_id", &query.id)] {
        if let Some(value) = value {
            conditions.push(format!(r#""{column}" = ?"#));
            arguments.push(Sql::Text(value.clone()));
        }
    }
    for number in [query.limit, query.offset] {
        arguments.push(Sql::Integer(long(number.into())));
    }
    let sql = format!(
        r#"SELECT "topic", "partition", "offset", "timestamp", "reason", "detail", "view", "key",
            "value", "epoch" FROM "dead_letters" WHERE {}
            ORDER BY "timestamp" DESC, "_id" LIMIT ? OFFSET ?"#,
        conditions.join(" AND ")
    );
    (sql, arguments)
}
