//! The oracle: what every view must say, recomputed from what lies in Kafka.
//!
//! It is written to be obviously right and nothing else: it holds all events in
//! memory, groups them with ordered maps and computes each row from the list of
//! its events. It shares no code with the pipeline, down to its own reading of
//! times and decimals, so that an error would have to be made twice.
//!
//! ```text
//!   Log ──▶ decode ──┬─▶ events ──▶ accept, by view ──┬─▶ rows, revenue ──▶ views
//!                    │                 │              └─▶ watermark ──▶ final, progress
//!                    └─▶ rejects ──────┴─▶ dead letters
//!   all of it ──▶ compare with MongoDB, SQLite
//! ```
//!
//! What is late, final or from the future depends on how the run was configured and
//! how it ended: that is its [`Rules`].

mod accept;
mod average;
mod clock;
mod compare;
mod dead_letters;
mod decimal;
mod decode;
mod event;
mod expect;
mod json;
mod progress;
mod revenue;
mod rows;
mod rules;
#[cfg(test)]
mod testing;
mod time;
mod views;
mod watermark;
mod window;

pub use compare::{Differences, compare_view};
pub use dead_letters::{DeadLetter, Reason, compare_dead_letters};
pub use decode::{Judged, Reject, judge};
pub use event::{Event, Stamp, Value};
pub use expect::{Expected, expected, expected_behind};
pub use progress::{compare_progress, offsets};
pub use rows::{Field, Key, Row, Rows};
pub use rules::{Ending, Lateness, Limits, Rules};
pub use time::parse as parse_time;
pub use views::{REVENUE, VIEWS, View};
pub use watermark::Watermark;

use crate::kafka::Log;
use mongodb::bson::{Bson, Document};

/// A database that the pipeline has written.
pub trait Store {
    /// Everything in a collection, or in a table, as documents.
    fn documents(&self, collection: &str) -> Vec<Document>;
}

/// Whether a document says in which epoch it was written: epochs begin with 1.
fn has_epoch(document: &Document) -> bool {
    matches!(document.get("epoch"), Some(Bson::Int64(epoch)) if *epoch > 0)
}

/// Compares everything that a pipeline wrote that nobody configured and that caught
/// up with `log`.
///
/// # Errors
/// With what differs, for a person to read.
pub fn compare(log: &Log, prefix: &str, store: &dyn Store) -> Result<(), String> {
    compare_by(log, prefix, store, &Rules::default())
}

/// Compares everything that the pipeline wrote with what `log` and its rules say.
///
/// # Errors
/// With what differs, for a person to read.
pub fn compare_by(log: &Log, prefix: &str, store: &dyn Store, rules: &Rules) -> Result<(), String> {
    let progress = store.documents("progress");
    let expected = match rules.ending {
        Ending::CaughtUp => expected(log, prefix, rules),
        // It may be behind what could be; what it says of that, it must abide by.
        Ending::Running | Ending::AllIdle => {
            let named = progress
                .first()
                .and_then(|progress| progress::watermark(progress, REVENUE));
            expected_behind(log, prefix, rules, named)
        }
    };
    let mut complaints = Vec::new();
    for view in &VIEWS {
        let documents = store.documents(view.name);
        complaints.extend(compare_view(view, &expected.views[view.name], &documents).err());
    }
    let dead_letters = store.documents("dead_letters");
    complaints.extend(compare_dead_letters(&expected.dead_letters, &dead_letters).err());
    complaints.extend(compare_progress(log, &expected.watermarks, &progress).err());
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Shop, clock};
    use super::*;
    use mongodb::bson::{DateTime, doc};
    use std::collections::BTreeMap;

    /// A database that holds what is expected; of logs without dead letters.
    struct Written(BTreeMap<String, Vec<Document>>);

    impl Store for Written {
        fn documents(&self, collection: &str) -> Vec<Document> {
            self.0.get(collection).cloned().unwrap_or_default()
        }
    }

    fn written(log: &Log, expected: &Expected) -> Written {
        let date = |millis| DateTime::from_millis(millis);
        let mut collections = BTreeMap::new();
        for (name, rows) in &expected.views {
            let document = |(key, row): (&Key, &Row)| {
                let mut document = doc! { "_id": format!("{key:?}") };
                for (name, value) in compare::body(&row.fields) {
                    document.insert(name, value);
                }
                document.insert("final", row.is_final);
                document.insert("epoch", 1i64);
                document.insert("updated_at", date(0));
                document
            };
            collections.insert((*name).to_owned(), rows.iter().map(document).collect());
        }
        let mut offsets = Document::new();
        for (topic, partitions) in &log.bounds {
            let ends = partitions
                .iter()
                .map(|(number, (_, end))| (number.to_string(), Bson::Int64(*end)));
            offsets.insert(topic, ends.collect::<Document>());
        }
        let mut views = Document::new();
        for (name, at) in &expected.watermarks {
            let at = doc! {
                "watermark": date(at.watermark),
                "final_until": date(at.final_until),
            };
            views.insert(*name, at);
        }
        let mut topic_ids = Document::new();
        let mut last_read = Document::new();
        // In the order of their offsets.
        for message in &log.messages {
            topic_ids.insert(&message.topic, "an id");
            let last = doc! { "offset": message.offset, "timestamp": message.timestamp };
            let of_topic = last_read.entry(message.topic.clone());
            let of_topic = of_topic.or_insert_with(|| Bson::Document(Document::new()));
            let of_topic = of_topic.as_document_mut().unwrap();
            of_topic.insert(message.partition.to_string(), last);
        }
        let progress = doc! {
            "_id": "tidemark",
            "epoch": 1i64,
            "offsets": offsets,
            "views": views,
            "updated_at": date(0),
            "log": { "cluster_id": "c", "topic_ids": topic_ids, "last_read": last_read },
        };
        collections.insert("progress".to_owned(), vec![progress]);
        Written(collections)
    }

    /// Two sales; the window of the first closes with the second.
    fn shop() -> Shop {
        let mut shop = Shop::default();
        for (id, time) in [("s", clock("10:00:00")), ("t", clock("13:00:00"))] {
            shop.sale(0, time, id, "p", 1, time);
        }
        shop
    }

    #[test]
    fn what_is_expected_passes() {
        let shop = shop();
        let store = written(shop.log(), &expected(shop.log(), "", &Rules::default()));
        assert_eq!(compare(shop.log(), "", &store), Ok(()));
        let rules = Rules::default().with_lateness(REVENUE, Lateness::Forever);
        let complaints = compare_by(shop.log(), "", &store, &rules).unwrap_err();
        assert!(complaints.contains("revenue_analysis: 1 differences"));
        assert!(complaints.contains("progress: 1 differences"));
        assert!(!complaints.contains("sales_analysis: "), "{complaints}");
    }

    #[test]
    fn every_collection_is_looked_at() {
        let shop = shop();
        let expected = expected(shop.log(), "", &Rules::default());
        for name in ["sales_analysis", REVENUE, "progress"] {
            let mut store = written(shop.log(), &expected);
            store.0.remove(name);
            let complaints = compare(shop.log(), "", &store).unwrap_err();
            assert!(complaints.starts_with(name), "{complaints}");
        }
        let mut store = written(shop.log(), &expected);
        store.0.insert("dead_letters".to_owned(), vec![doc! {}]);
        let complaints = compare(shop.log(), "", &store).unwrap_err();
        assert!(complaints.starts_with("dead_letters"), "{complaints}");
    }

    #[test]
    fn revenue_may_be_behind_in_a_run_that_has_not_caught_up() {
        let shop = shop();
        let verdict = |behind, ending| {
            let rules = Rules::default().with_ending(ending);
            let store = written(shop.log(), &expected_behind(shop.log(), "", &rules, behind));
            compare_by(shop.log(), "", &store, &rules)
        };
        for behind in [Some(clock("11:00:00")), Some(clock("10:30:00")), None] {
            assert_eq!(verdict(behind, Ending::Running), Ok(()), "{behind:?}");
            assert_eq!(verdict(behind, Ending::AllIdle), Ok(()), "{behind:?}");
        }
        assert!(verdict(Some(clock("10:30:00")), Ending::CaughtUp).is_err());
        assert!(verdict(None, Ending::CaughtUp).is_err());
    }

    #[test]
    fn revenue_abides_by_what_it_says_and_is_never_ahead() {
        let shop = shop();
        let rules = Rules::default().with_ending(Ending::Running);
        let verdict = |of_rows, of_progress: &Watermark| {
            let mut all = expected_behind(shop.log(), "", &rules, of_rows);
            all.watermarks.insert(REVENUE, *of_progress);
            compare_by(shop.log(), "", &written(shop.log(), &all), &rules)
        };
        let hour = 3_600_000;
        let eleven = Watermark::of(clock("11:00:00"), hour);
        assert_eq!(verdict(Some(eleven.watermark), &eleven), Ok(()));
        assert!(verdict(None, &eleven).is_err(), "no row is final");
        let noon = Watermark::of(clock("12:00:00"), hour);
        assert!(verdict(Some(noon.watermark), &noon).is_err());
        let other = Watermark {
            final_until: clock("10:00:00"),
            ..eleven
        };
        assert!(verdict(Some(eleven.watermark), &other).is_err());
    }
}
