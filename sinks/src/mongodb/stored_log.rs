//! Which log offsets belong to, as BSON.
//!
//! ```text
//!   log: {cluster_id: string|null, topic_ids: {topic: string},
//!         last_read: {topic: {"0": {offset: long, timestamp: long,
//!                                   leader_epoch: long|null, hash: long|null}}}}
//! ```

use ::mongodb::bson::raw::{CString, RawDocument, RawDocumentBuf, cstr};
use ::mongodb::bson::{RawBsonRef, rawdoc};

use crate::{LastRead, Log};

/// The value of the field; an error names the topic that cannot be one.
pub(super) fn document(log: &Log) -> Result<RawDocumentBuf, String> {
    // Dots in a topic's name stay dots: within a value they are part of the field's name.
    let name =
        |topic: &str| CString::try_from(topic).map_err(|error| format!("topic {topic:?}: {error}"));
    let mut topic_ids = RawDocumentBuf::new();
    for (topic, id) in &log.identity.topic_ids {
        topic_ids.append(&name(topic)?, id.as_str());
    }
    let mut last_read = RawDocumentBuf::new();
    for (topic, partitions) in &log.last_read {
        let mut of_topic = RawDocumentBuf::new();
        for (partition, last) in partitions {
            let partition = CString::try_from(partition.to_string())
                .map_err(|error| format!("partition {partition}: {error}"))?;
            of_topic.append(&partition, message(last));
        }
        last_read.append(&name(topic)?, of_topic);
    }
    let mut fields = RawDocumentBuf::new();
    match &log.identity.cluster_id {
        Some(id) => fields.append(cstr!("cluster_id"), id.as_str()),
        None => fields.append(cstr!("cluster_id"), RawBsonRef::Null),
    }
    fields.append(cstr!("topic_ids"), topic_ids);
    fields.append(cstr!("last_read"), last_read);
    Ok(fields)
}

fn message(last: &LastRead) -> RawDocumentBuf {
    let mut fields = rawdoc! {"offset": last.offset, "timestamp": last.timestamp};
    for (name, value) in [
        (cstr!("leader_epoch"), last.leader_epoch.map(i64::from)),
        (cstr!("hash"), last.hash.map(i64::from)),
    ] {
        match value {
            Some(value) => fields.append(name, value),
            None => fields.append(name, RawBsonRef::Null),
        }
    }
    fields
}

/// The field `log` of a document, which is not there where an earlier version has written
/// the document; an error says what is not as it was written.
pub(super) fn stored(document: &RawDocument) -> Result<Log, String> {
    let wrong = |error: ::mongodb::bson::error::Error| error.to_string();
    let mut log = Log::default();
    let Some(found) = document.get("log").map_err(wrong)? else {
        return Ok(log);
    };
    let found = found.as_document().ok_or("log is no document")?;
    log.identity.cluster_id = match found.get("cluster_id").map_err(wrong)? {
        None | Some(RawBsonRef::Null) => None,
        Some(id) => Some(id.as_str().ok_or("cluster_id is no string")?.to_owned()),
    };
    for entry in found.get_document("topic_ids").map_err(wrong)? {
        let (topic, id) = entry.map_err(wrong)?;
        let id = id
            .as_str()
            .ok_or_else(|| format!("the id of {} is no string", topic.as_str()))?;
        let ids = &mut log.identity.topic_ids;
        ids.insert(topic.as_str().to_owned(), id.to_owned());
    }
    for entry in found.get_document("last_read").map_err(wrong)? {
        let (topic, partitions) = entry.map_err(wrong)?;
        let no_document = || format!("last_read of {} is no document", topic.as_str());
        let mut of_topic = std::collections::BTreeMap::new();
        for entry in partitions.as_document().ok_or_else(no_document)? {
            let (partition, last) = entry.map_err(wrong)?;
            let place = format!("last_read of {}/{}", topic.as_str(), partition.as_str());
            let number = partition.as_str().parse();
            let number = number.map_err(|error| format!("{place}: {error}"))?;
            let last = last.as_document().and_then(stored_message);
            let last = last.ok_or_else(|| format!("{place} is not as it was written"))?;
            of_topic.insert(number, last);
        }
        log.last_read.insert(topic.as_str().to_owned(), of_topic);
    }
    Ok(log)
}

fn stored_message(last: &RawDocument) -> Option<LastRead> {
    let optional = |name| match last.get(name) {
        Ok(None | Some(RawBsonRef::Null)) => Some(None),
        Ok(Some(RawBsonRef::Int64(value))) => Some(Some(value)),
        _ => None,
    };
    Some(LastRead {
        offset: last.get_i64("offset").ok()?,
        timestamp: last.get_i64("timestamp").ok()?,
        leader_epoch: optional("leader_epoch")?
            .map(i32::try_from)
            .transpose()
            .ok()?,
        hash: optional("hash")?.map(u32::try_from).transpose().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogIdentity;
    use ::mongodb::bson::{Document, doc};
    use std::collections::BTreeMap;

    fn some_log() -> Log {
        let last = LastRead {
            offset: 6,
            timestamp: 1_700_000_000_123,
            leader_epoch: Some(2),
            hash: None,
        };
        let hashed = LastRead {
            leader_epoch: None,
            hash: Some(u32::MAX),
            ..last
        };
        Log {
            identity: LogIdentity {
                cluster_id: Some("cluster".into()),
                topic_ids: BTreeMap::from([("shop.orders.v1".into(), "id".into())]),
            },
            last_read: BTreeMap::from([
                (
                    "shop.orders.v1".into(),
                    BTreeMap::from([(0, last), (11, hashed)]),
                ),
                ("empty".into(), BTreeMap::new()),
            ]),
        }
    }

    #[test]
    fn a_log_comes_back_with_dots_in_topics() {
        for log in [some_log(), Log::default()] {
            let whole = rawdoc! {"log": document(&log).unwrap()};
            assert_eq!(stored(&whole).unwrap(), log);
        }
        let document = Document::try_from(document(&some_log()).unwrap()).unwrap();
        let last = document.get_document("last_read").unwrap();
        assert_eq!(
            last.get_document("shop.orders.v1").unwrap(),
            &doc! {
                "0": {
                    "offset": 6_i64, "timestamp": 1_700_000_000_123_i64,
                    "leader_epoch": 2_i64, "hash": null,
                },
                "11": {
                    "offset": 6_i64, "timestamp": 1_700_000_000_123_i64,
                    "leader_epoch": null, "hash": 4_294_967_295_i64,
                },
            }
        );
    }

    #[test]
    fn an_earlier_version_wrote_none() {
        assert_eq!(stored(&rawdoc! {"epoch": 1_i64}).unwrap(), Log::default());
    }

    #[test]
    fn what_was_not_written_so_is_an_error() {
        for log in [
            doc! {"cluster_id": 3, "topic_ids": {}, "last_read": {}},
            doc! {"cluster_id": null, "topic_ids": {"t": 1}, "last_read": {}},
            doc! {"cluster_id": null, "topic_ids": {}, "last_read": {"t": {"x": {}}}},
            doc! {"cluster_id": null, "topic_ids": {}, "last_read": {"t": {"0": {
                "offset": 1_i64, "timestamp": 1_i64, "leader_epoch": "2", "hash": null,
            }}}},
        ] {
            let whole = RawDocumentBuf::try_from(&doc! {"log": log}).unwrap();
            assert!(stored(&whole).is_err(), "{whole:?}");
        }
    }
}
