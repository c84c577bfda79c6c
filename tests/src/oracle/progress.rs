//! How far the pipeline says it has come, against where the log ends.

use super::compare::Differences;
use super::has_epoch;
use crate::kafka::Log;
use mongodb::bson::{Bson, Document};
use std::collections::BTreeMap;

/// The offsets of a `progress` document.
///
/// # Errors
/// When something in it is not as agreed.
pub fn offsets(progress: &Document) -> Result<BTreeMap<(String, i32), i64>, String> {
    let mut found = BTreeMap::new();
    let topics = progress
        .get_document("offsets")
        .map_err(|fault| format!("offsets: {fault}"))?;
    for (topic, partitions) in topics {
        let partitions = partitions
            .as_document()
            .ok_or(format!("{topic} is no document"))?;
        for (partition, offset) in partitions {
            let number = partition
                .parse()
                .map_err(|_| format!("partition {partition:?}"))?;
            let offset = offset
                .as_i64()
                .ok_or(format!("{topic}/{partition} is no long"))?;
            found.insert((topic.clone(), number), offset);
        }
    }
    Ok(found)
}

/// Compares the one `progress` document with the end of the log.
///
/// # Errors
/// With what differs.
pub fn compare_progress(log: &Log, documents: &[Document]) -> Result<(), String> {
    let mut differences = Differences::of("progress");
    let [progress] = documents else {
        return Err(format!(
            "progress: {} documents instead of one",
            documents.len()
        ));
    };
    if progress.get("_id") != Some(&Bson::from("tidemark")) {
        differences.add(format!("_id is {:?}", progress.get("_id")));
    }
    if !has_epoch(progress) {
        differences.add(format!("epoch is {:?}", progress.get("epoch")));
    }
    if !matches!(progress.get("updated_at"), Some(Bson::DateTime(_))) {
        differences.add(format!("updated_at is {:?}", progress.get("updated_at")));
    }
    let mut found = offsets(progress)?;
    for (topic, partitions) in &log.bounds {
        for (partition, (low, end)) in partitions {
            match found.remove(&(topic.clone(), *partition)) {
                Some(offset) if offset == *end => {}
                // Nothing was ever there, so that nothing can be said of it.
                None if low == end => {}
                offset => {
                    differences.add(format!("{topic}/{partition} is {offset:?}, expected {end}"));
                }
            }
        }
    }
    for (place, offset) in found {
        differences.add(format!(
            "{place:?} is {offset}, and there is no such partition"
        ));
    }
    differences.verdict()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{DateTime, doc};

    #[test]
    fn sees_what_differs() {
        let partitions = BTreeMap::from([(0, (0, 5)), (1, (0, 0))]);
        let bounds = BTreeMap::from([("t".to_owned(), partitions)]);
        let log = Log {
            bounds,
            ..Log::default()
        };
        let verdict = |offsets: Document| {
            let now = DateTime::from_millis(0);
            let progress =
                doc! { "_id": "tidemark", "epoch": 1i64, "updated_at": now, "offsets": offsets };
            compare_progress(&log, &[progress])
                .err()
                .unwrap_or_default()
        };
        assert_eq!(verdict(doc! { "t": { "0": 5i64 } }), "");
        assert_eq!(verdict(doc! { "t": { "0": 5i64, "1": 0i64 } }), "");
        assert!(verdict(doc! { "t": { "0": 4i64 } }).contains("t/0 is Some(4), expected 5"));
        assert!(verdict(doc! {}).contains("t/0 is None"));
        assert!(verdict(doc! { "t": { "0": 5i64, "2": 1i64 } }).contains("no such partition"));
        assert!(verdict(doc! { "t": { "0": 5 } }).contains("no long"));
        assert!(compare_progress(&log, &[]).is_err());
    }
}
