//! One dead letter for each malformed message, whole; and one for each view that
//! refused a message that is not.

use super::compare::Differences;
use super::has_epoch;
use super::time;
use crate::kafka::Message;
use jiff::Timestamp;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document};
use std::collections::BTreeMap;

/// Why a message is a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is no event.
    Malformed {
        /// The fields that are wrong; empty when it is no object at all.
        fields: Vec<&'static str>,
    },
    /// Its window had closed.
    Late {
        /// Start and end of the window.
        window: (i64, i64),
        /// Where the watermark of its partition was, rounded down.
        watermark: i64,
    },
    /// It is too far ahead of its own message.
    FromTheFuture {
        /// The field that says so.
        field: &'static str,
    },
}

/// A message that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message.
    pub message: Message,
    /// The view that it does not count in; `None`: in none.
    pub view: Option<&'static str>,
    /// Why.
    pub reason: Reason,
}

/// Topic, partition, offset and view.
type Place = (String, i32, i64, Option<String>);

impl Reason {
    /// Its name in a document.
    pub fn name(&self) -> &'static str {
        match self {
            Reason::Malformed { .. } => "malformed",
            Reason::Late { .. } => "late",
            Reason::FromTheFuture { .. } => "from_the_future",
        }
    }

    /// What is missing from a sentence that should explain it.
    fn lacks(&self, detail: &str) -> Option<String> {
        match self {
            Reason::Malformed { fields } => {
                let named = fields.iter().any(|field| detail.contains(field));
                let explained = !detail.is_empty() && (fields.is_empty() || named);
                (!explained).then(|| format!("names none of {fields:?}"))
            }
            Reason::Late { window, watermark } => {
                let (head, tail) = sentence(*window, *watermark)?;
                let explained = detail
                    .strip_prefix(&head)
                    .and_then(|rest| rest.split_once(&tail))
                    // A fraction of a second may be there; how much of it, the
                    // pipeline knows better.
                    .is_some_and(|(before, fraction)| {
                        !before.is_empty()
                            && fraction.ends_with('Z')
                            && (fraction == "Z" || fraction.starts_with('.'))
                    });
                (!explained).then(|| format!("is not \"{head}…{tail}Z\""))
            }
            Reason::FromTheFuture { field } => {
                let explained = detail.contains(field) && detail.contains("--max-ahead");
                (!explained).then(|| format!("does not name {field} and --max-ahead"))
            }
        }
    }
}

/// The sentence on a late message, up to what says how late it is, and from there
/// on up to the watermark's second. `None` if the times have no text.
fn sentence(window: (i64, i64), watermark: i64) -> Option<(String, String)> {
    let text = |millis| Timestamp::from_millisecond(millis).ok();
    let (start, end) = (text(window.0)?, text(window.1)?);
    let second = Timestamp::from_second(watermark.div_euclid(1000)).ok()?;
    let second = second.to_string();
    let head = format!("the window {start} to {end} had closed ");
    let tail = format!(
        " before: the watermark was {}",
        second.trim_end_matches('Z')
    );
    Some((head, tail))
}

impl DeadLetter {
    /// What it is ordered and found by.
    pub(super) fn place(&self) -> Place {
        let message = &self.message;
        (
            message.topic.clone(),
            message.partition,
            message.offset,
            self.view.map(ToOwned::to_owned),
        )
    }

    /// Its `_id`.
    pub fn id(&self) -> String {
        let Message {
            topic,
            partition,
            offset,
            ..
        } = &self.message;
        match self.view {
            None => format!("{topic}/{partition}/{offset}"),
            Some(view) => format!("{topic}/{partition}/{offset}/{view}"),
        }
    }
}

/// Compares the collection `dead_letters` with the letters that must be there.
///
/// # Errors
/// With what differs.
pub fn compare_dead_letters(letters: &[DeadLetter], documents: &[Document]) -> Result<(), String> {
    let mut differences = Differences::of("dead_letters");
    let mut found: BTreeMap<Place, Vec<&Document>> = BTreeMap::new();
    for document in documents {
        match place(document) {
            Some(place) => found.entry(place).or_default().push(document),
            None => differences.add(format!(
                "no topic, partition, offset and view in {document}"
            )),
        }
    }
    for letter in letters {
        let value = shown(letter.message.value.as_ref());
        let (id, reason) = (letter.id(), letter.reason.name());
        match found.remove(&letter.place()).as_deref() {
            None => differences.add(format!("missing: {id}, {reason}: {value}")),
            Some([document]) => {
                for complaint in complaints(letter, document) {
                    differences.add(format!("{id}: {complaint}; the message is {value}"));
                }
            }
            Some(many) => differences.add(format!("{} of {id}", many.len())),
        }
    }
    for documents in found.values() {
        differences.add(format!("no such dead letter: {}", documents[0]));
    }
    differences.verdict()
}

fn place(document: &Document) -> Option<Place> {
    let view = match document.get("view")? {
        Bson::Null => None,
        Bson::String(name) => Some(name.clone()),
        _ => return None,
    };
    Some((
        document.get_str("topic").ok()?.to_owned(),
        document.get_i32("partition").ok()?,
        document.get_i64("offset").ok()?,
        view,
    ))
}

const NAMES: [&str; 11] = [
    "_id",
    "topic",
    "partition",
    "offset",
    "timestamp",
    "reason",
    "detail",
    "view",
    "key",
    "value",
    "epoch",
];

fn complaints(letter: &DeadLetter, document: &Document) -> Vec<String> {
    let message = &letter.message;
    let binary = |bytes: &Option<Vec<u8>>| match bytes {
        Some(bytes) => Bson::Binary(Binary {
            subtype: BinarySubtype::Generic,
            bytes: bytes.clone(),
        }),
        None => Bson::Null,
    };
    let mut complaints = Vec::new();
    let names: Vec<_> = document.keys().map(String::as_str).collect();
    if names != NAMES {
        complaints.push(format!("its fields are {names:?}"));
    }
    for (name, expected) in [
        ("_id", Bson::from(letter.id())),
        ("timestamp", timestamp(message.timestamp)),
        ("reason", Bson::from(letter.reason.name())),
        ("key", binary(&message.key)),
        ("value", binary(&message.value)),
    ] {
        let found = document.get(name);
        if found != Some(&expected) {
            complaints.push(format!("{name} is {found:?}, expected {expected:?}"));
        }
    }
    if !has_epoch(document) {
        complaints.push("epoch is no long".to_owned());
    }
    let detail = document.get_str("detail").unwrap_or_default();
    if let Some(lack) = letter.reason.lacks(detail) {
        complaints.push(format!("its detail {detail:?} {lack}"));
    }
    complaints
}

/// As a date, where it is one of the years 1 to 9999.
fn timestamp(millis: i64) -> Bson {
    let years = time::FIRST_SECOND..=time::LAST_SECOND;
    match years.contains(&millis.div_euclid(1_000)) {
        true => Bson::DateTime(DateTime::from_millis(millis)),
        false => Bson::Null,
    }
}

fn shown(value: Option<&Vec<u8>>) -> String {
    let text = String::from_utf8_lossy(value.map_or(&[], Vec::as_slice)).into_owned();
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::clock;
    use super::*;
    use mongodb::bson::doc;

    fn letter(view: Option<&'static str>, reason: Reason) -> DeadLetter {
        DeadLetter {
            message: Message {
                topic: "p-products".to_owned(),
                partition: 2,
                offset: 7,
                timestamp: 1000,
                key: None,
                value: Some(b"{}".to_vec()),
            },
            view,
            reason,
        }
    }

    fn malformed() -> DeadLetter {
        let fields = vec!["price"];
        letter(None, Reason::Malformed { fields })
    }

    fn late() -> DeadLetter {
        let window = (clock("10:00:00"), clock("11:00:00"));
        let watermark = clock("12:05:00.25");
        letter(Some("product_analysis"), Reason::Late { window, watermark })
    }

    fn future() -> DeadLetter {
        let field = "date_time";
        letter(Some("revenue_analysis"), Reason::FromTheFuture { field })
    }

    fn document() -> Document {
        doc! {
            "_id": "p-products/2/7",
            "topic": "p-products",
            "partition": 2,
            "offset": 7i64,
            "timestamp": DateTime::from_millis(1000),
            "reason": "malformed",
            "detail": "price is missing",
            "view": Bson::Null,
            "key": Bson::Null,
            "value": Binary { subtype: BinarySubtype::Generic, bytes: b"{}".to_vec() },
            "epoch": 1i64,
        }
    }

    /// The document of a letter that one view has refused.
    fn refused(letter: &DeadLetter, detail: &str) -> Document {
        let mut document = document();
        document.insert("_id", letter.id());
        document.insert("reason", letter.reason.name());
        document.insert("detail", detail);
        document.insert("view", letter.view);
        document
    }

    fn verdict(letters: &[DeadLetter], documents: &[Document]) -> String {
        compare_dead_letters(letters, documents)
            .err()
            .unwrap_or_default()
    }

    const CLOSED: &str = "the window 2024-11-02T10:00:00Z to 2024-11-02T11:00:00Z had closed \
                          1h 5m before: the watermark was 2024-11-02T12:05:00.250001Z";

    #[test]
    fn equal() {
        assert_eq!(verdict(&[malformed()], &[document()]), "");
        assert_eq!(verdict(&[late()], &[refused(&late(), CLOSED)]), "");
        let ahead = "date_time is further ahead than --max-ahead allows";
        assert_eq!(verdict(&[future()], &[refused(&future(), ahead)]), "");
    }

    #[test]
    fn the_view_is_part_of_the_id() {
        assert_eq!(malformed().id(), "p-products/2/7");
        assert_eq!(late().id(), "p-products/2/7/product_analysis");
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        let changed = |name: &str, value: Bson| {
            let mut document = document();
            document.insert(name, value);
            verdict(&[malformed()], &[document])
        };
        assert!(changed("_id", Bson::from("p-products/2/8")).contains("_id is"));
        assert!(changed("offset", Bson::Int64(8)).contains("missing"));
        assert!(changed("offset", Bson::Int64(8)).contains("no such dead letter"));
        assert!(changed("offset", Bson::Int32(7)).contains("no topic, partition, offset"));
        assert!(changed("view", Bson::Int32(7)).contains("no topic, partition, offset"));
        assert!(changed("view", Bson::from("sales_analysis")).contains("no such dead letter"));
        assert!(changed("timestamp", Bson::Int64(1000)).contains("timestamp is"));
        assert!(changed("reason", Bson::from("late")).contains("reason is"));
        assert!(changed("key", Bson::from("")).contains("key is"));
        assert!(changed("value", Bson::from("{}")).contains("value is"));
        assert!(changed("epoch", Bson::Int32(1)).contains("epoch is no long"));
        assert!(changed("detail", Bson::from("category is missing")).contains("names none of"));
        assert!(changed("detail", Bson::from("")).contains("names none of"));
        assert!(changed("more", Bson::Null).contains("its fields are"));
    }

    #[test]
    fn one_letter_for_each_view_and_no_second() {
        let document = refused(&late(), CLOSED);
        assert!(verdict(&[late()], &[]).contains("missing"));
        assert!(verdict(&[], std::slice::from_ref(&document)).contains("no such dead letter"));
        assert!(verdict(&[late()], &[document.clone(), document.clone()]).contains("2 of"));
        // Of the same message: one view's does not stand for another's.
        let both = [late(), future()];
        assert!(verdict(&both, &[document]).contains("missing: p-products/2/7/revenue_analysis"));
    }

    #[test]
    fn the_detail_of_a_late_one_has_its_times() {
        let complains = |from: &str, to: &str| {
            let detail = CLOSED.replace(from, to);
            let verdict = verdict(&[late()], &[refused(&late(), &detail)]);
            verdict.contains("is not \"the window 2024-11-02T10:00:00Z")
        };
        assert!(!complains("1h 5m", "65m"));
        assert!(!complains("00.250001Z", "00Z"));
        assert!(complains("1h 5m", ""));
        assert!(complains("T10:00:00Z", "T09:00:00Z"));
        assert!(complains("T11:00:00Z", "T11:00:00.001Z"));
        assert!(complains("12:05:00.250001Z", "12:05:01Z"));
        assert!(complains("00.250001Z", "007Z"));
        assert!(complains(".250001Z", ""));
        assert!(complains("the window", "a window"));
    }

    #[test]
    fn the_detail_of_one_from_the_future_names_field_and_setting() {
        let complains = |detail| {
            let verdict = verdict(&[future()], &[refused(&future(), detail)]);
            verdict.contains("does not name date_time and --max-ahead")
        };
        assert!(!complains("date_time is ahead: --max-ahead"));
        assert!(complains("date_time is ahead"));
        assert!(complains("timestamp is ahead: --max-ahead"));
    }
}
