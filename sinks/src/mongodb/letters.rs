//! Dead letters, as documents that are read.

use ::mongodb::bson::{DateTime, Document, RawBsonRef, RawDocument, doc};

use crate::{DeadLetter, LetterQuery, Reason};

/// Which documents are asked for.
pub(super) fn filter(query: &LetterQuery) -> Document {
    let reasons: Vec<&str> = query.reasons().collect();
    let mut filter = doc! {"reason": {"$in": reasons}};
    if let Some(topic) = &query.topic {
        filter.insert("topic", topic);
    }
    if let Some(id) = &query.id {
        filter.insert("_id", id);
    }
    filter
}

/// A letter with its message; an error says what differs from one.
pub(super) fn whole(document: &RawDocument) -> Result<DeadLetter, String> {
    let wrong = |error: ::mongodb::bson::error::Error| error.to_string();
    let reason = document.get_str("reason").map_err(wrong)?;
    let epoch = document.get_i64("epoch").map_err(wrong)?;
    let view = match document.get("view").map_err(wrong)? {
        Some(RawBsonRef::String(view)) => Some(view.to_owned()),
        _ => None,
    };
    let key = match document.get("key").map_err(wrong)? {
        Some(RawBsonRef::Binary(key)) => Some(key.bytes.to_owned()),
        _ => None,
    };
    let timestamp = match document.get("timestamp").map_err(wrong)? {
        Some(RawBsonRef::Null) => None,
        _ => Some(document.get_datetime("timestamp").map_err(wrong)?),
    };
    let value = document.get_binary("value").map_err(wrong)?;
    Ok(DeadLetter {
        topic: document.get_str("topic").map_err(wrong)?.to_owned(),
        partition: document.get_i32("partition").map_err(wrong)?,
        offset: document.get_i64("offset").map_err(wrong)?,
        timestamp: timestamp.map(DateTime::timestamp_millis),
        reason: Reason::of(reason).ok_or_else(|| format!("{reason:?} is no reason"))?,
        detail: document.get_str("detail").map_err(wrong)?.to_owned(),
        view,
        key,
        value: value.bytes.to_owned(),
        epoch: u64::try_from(epoch).map_err(|_| format!("epoch {epoch} is below zero"))?,
    })
}
