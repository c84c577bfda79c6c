//! One dead letter for each malformed message, whole.

use super::compare::Differences;
use super::decode::Reject;
use super::has_epoch;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document};
use std::collections::BTreeMap;

/// Compares the collection `dead_letters` with the messages that are none.
///
/// # Errors
/// With what differs.
pub fn compare_dead_letters(rejects: &[Reject], documents: &[Document]) -> Result<(), String> {
    let mut differences = Differences::of("dead_letters");
    let mut found: BTreeMap<(String, i32, i64), Vec<&Document>> = BTreeMap::new();
    for document in documents {
        match place(document) {
            Some(place) => found.entry(place).or_default().push(document),
            None => differences.add(format!("no topic, partition and offset in {document}")),
        }
    }
    for reject in rejects {
        let message = &reject.message;
        let place = (message.topic.clone(), message.partition, message.offset);
        match found.remove(&place).as_deref() {
            None => differences.add(format!(
                "missing: {place:?} {}",
                shown(message.value.as_ref())
            )),
            Some([document]) => {
                for complaint in complaints(reject, document) {
                    let value = shown(message.value.as_ref());
                    differences.add(format!("{place:?}: {complaint}; the message is {value}"));
                }
            }
            Some(many) => differences.add(format!("{} of {place:?}", many.len())),
        }
    }
    for (place, documents) in &found {
        differences.add(format!("not malformed: {place:?}: {}", documents[0]));
    }
    differences.verdict()
}

fn place(document: &Document) -> Option<(String, i32, i64)> {
    let topic = document.get_str("topic").ok()?.to_owned();
    Some((
        topic,
        document.get_i32("partition").ok()?,
        document.get_i64("offset").ok()?,
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

fn complaints(reject: &Reject, document: &Document) -> Vec<String> {
    let message = &reject.message;
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
        (
            "timestamp",
            Bson::DateTime(DateTime::from_millis(message.timestamp)),
        ),
        ("reason", Bson::from("malformed")),
        ("view", Bson::Null),
        ("key", binary(&message.key)),
        ("value", binary(&message.value)),
    ] {
        let found = document.get(name);
        if found != Some(&expected) {
            complaints.push(format!("{name} is {found:?}, expected {expected:?}"));
        }
    }
    if !matches!(document.get("_id"), Some(Bson::String(_))) {
        complaints.push("_id is no string".to_owned());
    }
    if !has_epoch(document) {
        complaints.push("epoch is no long".to_owned());
    }
    let detail = document.get_str("detail").unwrap_or_default();
    let named = reject.fields.iter().any(|field| detail.contains(field));
    if detail.is_empty() || (!reject.fields.is_empty() && !named) {
        complaints.push(format!(
            "its detail {detail:?} names none of {:?}",
            reject.fields
        ));
    }
    complaints
}

fn shown(value: Option<&Vec<u8>>) -> String {
    let text = String::from_utf8_lossy(value.map_or(&[], Vec::as_slice)).into_owned();
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::Message;
    use mongodb::bson::doc;

    fn reject() -> Reject {
        Reject {
            message: Message {
                topic: "p-products".to_owned(),
                partition: 2,
                offset: 7,
                timestamp: 1000,
                key: None,
                value: Some(b"{}".to_vec()),
            },
            fields: vec!["price"],
        }
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

    fn verdict(documents: &[Document]) -> String {
        compare_dead_letters(&[reject()], documents)
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn equal() {
        assert_eq!(verdict(&[document()]), "");
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        let changed = |name: &str, value: Bson| {
            let mut document = document();
            document.insert(name, value);
            verdict(&[document])
        };
        assert!(changed("offset", Bson::Int64(8)).contains("missing"));
        assert!(changed("offset", Bson::Int64(8)).contains("not malformed"));
        assert!(changed("offset", Bson::Int32(7)).contains("no topic, partition and offset"));
        assert!(changed("timestamp", Bson::Int64(1000)).contains("timestamp is"));
        assert!(changed("reason", Bson::from("late")).contains("reason is"));
        assert!(changed("view", Bson::from("sales_analysis")).contains("view is"));
        assert!(changed("value", Bson::from("{}")).contains("value is"));
        assert!(changed("detail", Bson::from("category is missing")).contains("names none of"));
        assert!(changed("more", Bson::Null).contains("its fields are"));
        assert!(verdict(&[]).contains("missing"));
        assert!(verdict(&[document(), document()]).contains("2 of"));
    }
}
