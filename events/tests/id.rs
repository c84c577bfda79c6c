//! Ids behave like the strings they stand for.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashSet};
use std::hash::{Hash, Hasher};

use events::Id;
use proptest::prelude::*;

fn hash(id: &Id) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

fn text(id: &Id) -> String {
    let mut out = String::from("> ");
    id.push_to(&mut out);
    assert_eq!(out, format!("> {id}"));
    out.split_off(2)
}

/// Strings of all three forms, and those that nearly have another.
fn strings() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89abAB][0-9a-f]{3}-[0-9a-f]{12}",
        "[0-9a-f-]{35,37}",
        "[ab\\x00]{0,3}",
        "\\PC{0,20}",
        any::<String>(),
    ]
}

/// One that is often equal to the other.
fn pairs() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        (strings(), strings()),
        strings().prop_map(|text| (text.clone(), text)),
        strings().prop_map(|text| (text.to_uppercase(), text)),
        strings().prop_map(|text| (format!("{text}\0"), text)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_string_comes_back(string in strings()) {
        let id = Id::new(&string);
        prop_assert_eq!(text(&id), string.as_str());
        prop_assert_eq!(format!("{id:?}"), format!("{string:?}"));
        let copy = id.clone();
        drop(id);
        prop_assert_eq!(text(&copy), string);
    }

    #[test]
    fn ids_are_equal_when_their_strings_are((left, right) in pairs()) {
        let (a, b) = (Id::new(&left), Id::from(right.as_str()));
        prop_assert_eq!(a == b, left == right);
        prop_assert_eq!(a.cmp(&b).is_eq(), left == right);
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        if a == b {
            prop_assert_eq!(hash(&a), hash(&b));
        }
    }

    #[test]
    fn the_order_is_total(strings in prop::collection::vec(strings(), 0..30)) {
        let ids: BTreeSet<Id> = strings.iter().map(|text| Id::new(text)).collect();
        let distinct: HashSet<&String> = strings.iter().collect();
        prop_assert_eq!(ids.len(), distinct.len());
        let sorted: Vec<Id> = ids.iter().cloned().collect();
        prop_assert!(sorted.is_sorted());
    }

    #[test]
    fn a_uuid_is_its_text(bits in any::<u128>()) {
        let digits = format!("{bits:032x}");
        let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
        prop_assert_eq!(Id::from_uuid(bits), Id::new(&groups.join("-")));
    }

    #[test]
    fn json_holds_text(string in strings()) {
        let id = Id::new(&string);
        let json = serde_json::to_string(&id).unwrap();
        prop_assert_eq!(&json, &serde_json::to_string(&string).unwrap());
        prop_assert_eq!(serde_json::from_str::<Id>(&json).unwrap(), id);
    }

    #[test]
    fn bincode_comes_back(strings in prop::collection::vec(strings(), 0..5)) {
        let ids: Vec<Id> = strings.iter().map(|text| Id::new(text)).collect();
        let bytes = bincode::serialize(&ids).unwrap();
        prop_assert_eq!(&bincode::deserialize::<Vec<Id>>(&bytes).unwrap(), &ids);
        // Also from a reader, where nothing can be borrowed.
        prop_assert_eq!(bincode::deserialize_from::<_, Vec<Id>>(&bytes[..]).unwrap(), ids);
    }

    #[test]
    fn what_is_stored_comes_back(strings in prop::collection::vec(strings(), 0..5)) {
        let ids: Vec<Id> = strings.iter().map(|text| Id::new(text)).collect();
        let mut bytes = vec![];
        ids.iter().for_each(|id| id.write_to(&mut bytes));
        let mut left = bytes.as_slice();
        for id in &ids {
            let read = Id::read_from(&mut left);
            prop_assert_eq!(read.as_ref(), Some(id));
        }
        prop_assert!(left.is_empty());
    }

    #[test]
    fn foreign_bytes_in_storage_make_one_form_or_none(first in 0u8..20, rest in prop::collection::vec(prop_oneof![Just(0u8), Just(16u8), any::<u8>()], 0..40)) {
        let bytes = [&[first], &rest[..]].concat();
        let mut left = bytes.as_slice();
        if let Some(id) = Id::read_from(&mut left) {
            let mut again = vec![];
            id.write_to(&mut again);
            again.extend_from_slice(left);
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn foreign_bytes_make_one_form_or_none(bytes in prop::collection::vec(any::<u8>(), 17..40), tag in any::<u8>()) {
        let mut bytes = bytes;
        bytes[15] = tag & 0x4f;
        bytes[16] &= 1;
        if let Ok(id) = bincode::deserialize::<Id>(&bytes) {
            prop_assert_eq!(Id::new(&text(&id)), id);
        }
    }
}

#[test]
fn a_uuid_takes_seventeen_bytes_on_the_wire() {
    let id = Id::new("0c9b8a7f-6e5d-4c3b-a291-807f6e5d4c3b");
    assert_eq!(bincode::serialize(&id).unwrap().len(), 17);
    assert_eq!(size_of::<Id>(), 16);
}

#[test]
fn the_form_in_storage_stays_as_it_is() {
    let stored = |text: &str| {
        let mut bytes = vec![];
        Id::new(text).write_to(&mut bytes);
        bytes
    };
    assert_eq!(stored("F"), [1, b'F']);
    let uuid = stored("0c9b8a7f-6e5d-4c3b-a291-807f6e5d4c3b");
    assert_eq!(uuid[..4], [0x10, 0x0c, 0x9b, 0x8a]);
    assert_eq!(uuid.len(), 17);
    let long = stored("wishlist_addition");
    assert_eq!(long[..9], [0x11, 17, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(&long[9..], b"wishlist_addition");
}

#[test]
fn the_default_is_the_empty_string() {
    assert_eq!(Id::default(), Id::new(""));
    assert_eq!(text(&Id::default()), "");
}

#[test]
fn long_ids_are_shared_between_threads() {
    let id = Id::new("a string that is longer than sixteen bytes");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mine = id.clone();
            std::thread::spawn(move || (0..10_000).all(|_| mine.clone() == mine))
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    assert_eq!(text(&id), "a string that is longer than sixteen bytes");
}
