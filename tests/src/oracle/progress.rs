//! How far the pipeline says it has come, against where the log ends and
//! how far its event times go.

use super::VIEWS;
use super::compare::Differences;
use super::has_epoch;
use super::watermark::Watermark;
use crate::kafka::{Log, Message};
use mongodb::bson::{Bson, DateTime, Document};
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

/// The watermark that a `progress` document names for a view, if it does.
pub(super) fn watermark(progress: &Document, view: &str) -> Option<i64> {
    let views = progress.get_document("views").ok()?;
    let of_view = views.get_document(view).ok()?;
    let watermark = of_view.get_datetime("watermark").ok()?;
    Some(watermark.timestamp_millis())
}

/// Compares the one `progress` document with the end of the log and with how far
/// each view must have come.
///
/// # Errors
/// With what differs.
pub fn compare_progress(
    log: &Log,
    watermarks: &BTreeMap<&'static str, Watermark>,
    documents: &[Document],
) -> Result<(), String> {
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
    compare_views(watermarks, progress, &mut differences);
    compare_definitions(progress, &mut differences);
    if let Err(wrong) = compare_last_read(log, progress) {
        differences.add(wrong);
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

/// Compares the messages that it says were read last, and looks whether it names the
/// cluster and the topics that they are of.
fn compare_last_read(log: &Log, progress: &Document) -> Result<(), String> {
    let wrong = |fault: &dyn std::fmt::Display| format!("log: {fault}");
    let named = progress
        .get_document("log")
        .map_err(|fault| wrong(&fault))?;
    let cluster = named.get_str("cluster_id").map_err(|fault| wrong(&fault))?;
    let ids = named
        .get_document("topic_ids")
        .map_err(|fault| wrong(&fault))?;
    let last_read = named
        .get_document("last_read")
        .map_err(|fault| wrong(&fault))?;
    if cluster.is_empty() {
        return Err("log: cluster_id is empty".to_owned());
    }
    let mut last: BTreeMap<(&str, i32), &Message> = BTreeMap::new();
    for message in &log.messages {
        let newest = last.entry((&message.topic, message.partition));
        let newest = newest.or_insert(message);
        if newest.offset < message.offset {
            *newest = message;
        }
    }
    for ((topic, partition), message) in last {
        if !ids.get_str(topic).is_ok_and(|id| !id.is_empty()) {
            return Err(format!("log: {topic} has no id in {ids}"));
        }
        let of_topic = last_read.get_document(topic).ok();
        let found = of_topic.and_then(|of_topic| of_topic.get_document(partition.to_string()).ok());
        let expected = Some((message.offset, message.timestamp));
        let found = found.and_then(|found| {
            let long = |name| found.get_i64(name).ok();
            long("offset").zip(long("timestamp"))
        });
        if found != expected {
            return Err(format!(
                "log: {topic}/{partition} was read last at {found:?}, expected {expected:?}"
            ));
        }
    }
    Ok(())
}

fn compare_views(
    watermarks: &BTreeMap<&'static str, Watermark>,
    progress: &Document,
    differences: &mut Differences,
) {
    let names: Vec<_> = progress.keys().map(String::as_str).collect();
    if !names.windows(2).any(|names| names == ["offsets", "views"]) {
        differences.add(format!("no views after the offsets: {names:?}"));
    }
    let Ok(views) = progress.get_document("views") else {
        return differences.add(format!("views are {:?}", progress.get("views")));
    };
    for (&name, expected) in watermarks {
        let date = |millis| Bson::DateTime(DateTime::from_millis(millis));
        let expected = [
            ("watermark", date(expected.watermark)),
            ("final_until", date(expected.final_until)),
        ];
        let expected = Document::from_iter(expected.map(|(name, date)| (name.to_owned(), date)));
        match views.get(name) {
            Some(Bson::Document(found)) if found.iter().eq(&expected) => {}
            found => differences.add(format!(
                "{name}: expected {expected}, found {}",
                found.unwrap_or(&Bson::Null)
            )),
        }
    }
    for name in views.keys() {
        if !watermarks.contains_key(name.as_str()) {
            differences.add(format!("{name} has no watermark, and {views} names one"));
        }
    }
}

/// In MongoDB the document that says who may write also says what the rows are rows of.
fn compare_definitions(progress: &Document, differences: &mut Differences) {
    if !progress.contains_key("generation") {
        return;
    }
    let Ok(definitions) = progress.get_document("definitions") else {
        return differences.add(format!("definitions: {:?}", progress.get("definitions")));
    };
    for view in &VIEWS {
        if !definitions
            .get_str(view.name)
            .is_ok_and(|text| !text.is_empty())
        {
            differences.add(format!("no definition of {} in {definitions}", view.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    fn log() -> Log {
        let partitions = BTreeMap::from([(0, (0, 5)), (1, (0, 0))]);
        Log {
            bounds: BTreeMap::from([("t".to_owned(), partitions)]),
            ..Log::default()
        }
    }

    fn progress(offsets: Document, views: Document) -> Document {
        let now = DateTime::from_millis(0);
        doc! {
            "_id": "tidemark",
            "epoch": 1i64,
            "offsets": offsets,
            "views": views,
            "updated_at": now,
            "log": { "cluster_id": "c", "topic_ids": {}, "last_read": {} },
        }
    }

    #[test]
    fn sees_which_log_was_read_and_how_far() {
        let message = |offset| Message {
            topic: "t".to_owned(),
            partition: 0,
            offset,
            timestamp: 100 + offset,
            key: None,
            value: None,
        };
        let log = Log {
            messages: vec![message(3), message(4)],
            ..log()
        };
        let verdict = |named: Document| {
            let mut progress = progress(doc! { "t": { "0": 5i64 } }, doc! {});
            progress.insert("log", named);
            compare_progress(&log, &BTreeMap::new(), &[progress])
                .err()
                .unwrap_or_default()
        };
        let named = |cluster: &str, id: &str, offset: i64| {
            let last = doc! { "offset": offset, "timestamp": 100 + offset };
            doc! {
                "cluster_id": cluster,
                "topic_ids": { "t": id },
                "last_read": { "t": { "0": last } },
            }
        };
        assert_eq!(verdict(named("c", "x", 4)), "");
        assert!(verdict(named("c", "x", 3)).contains("expected Some((4, 104))"));
        assert!(verdict(named("c", "", 4)).contains("t has no id"));
        assert!(verdict(named("", "x", 4)).contains("cluster_id is empty"));
        assert!(verdict(doc! {}).contains("log: "));
    }

    #[test]
    fn sees_which_offsets_differ() {
        let verdict = |offsets: Document| {
            compare_progress(&log(), &BTreeMap::new(), &[progress(offsets, doc! {})])
                .err()
                .unwrap_or_default()
        };
        assert_eq!(verdict(doc! { "t": { "0": 5i64 } }), "");
        assert_eq!(verdict(doc! { "t": { "0": 5i64, "1": 0i64 } }), "");
        assert!(verdict(doc! { "t": { "0": 4i64 } }).contains("t/0 is Some(4), expected 5"));
        assert!(verdict(doc! {}).contains("t/0 is None"));
        assert!(verdict(doc! { "t": { "0": 5i64, "2": 1i64 } }).contains("no such partition"));
        assert!(verdict(doc! { "t": { "0": 5 } }).contains("no long"));
        assert!(compare_progress(&log(), &BTreeMap::new(), &[]).is_err());
    }

    #[test]
    fn sees_which_watermarks_differ() {
        let date = DateTime::from_millis;
        let watermarks = BTreeMap::from([("log_analysis", Watermark::of(25, 10))]);
        let verdict = |views: Document| {
            let progress = progress(doc! { "t": { "0": 5i64 } }, views);
            compare_progress(&log(), &watermarks, &[progress])
                .err()
                .unwrap_or_default()
        };
        let good = doc! { "watermark": date(25), "final_until": date(20) };
        let wrong = |of_view: Document| {
            verdict(doc! { "log_analysis": of_view }).contains("log_analysis: expected")
        };
        assert_eq!(verdict(doc! { "log_analysis": good.clone() }), "");
        assert!(wrong(
            doc! { "watermark": date(26), "final_until": date(20) }
        ));
        assert!(wrong(
            doc! { "watermark": date(25), "final_until": date(30) }
        ));
        assert!(wrong(doc! { "watermark": 25i64, "final_until": date(20) }));
        assert!(wrong(
            doc! { "final_until": date(20), "watermark": date(25) }
        ));
        assert!(wrong(doc! { "watermark": date(25) }));
        assert!(verdict(doc! {}).contains("found null"));
        let more = doc! { "log_analysis": good.clone(), "sales_analysis": good };
        assert!(verdict(more).contains("sales_analysis has no watermark"));
    }

    #[test]
    fn views_stand_after_the_offsets() {
        let good = progress(doc! { "t": { "0": 5i64 } }, doc! {});
        let verdict = |progress: Document| {
            compare_progress(&log(), &BTreeMap::new(), &[progress])
                .err()
                .unwrap_or_default()
        };
        assert_eq!(verdict(good.clone()), "");
        let mut moved = good.clone();
        moved.remove("views");
        assert!(verdict(moved.clone()).contains("no views after the offsets"));
        moved.insert("views", doc! {});
        assert!(verdict(moved).contains("no views after the offsets"));
        let mut text = good;
        text.insert("views", "none");
        assert!(verdict(text).contains("views are"));
    }
}
