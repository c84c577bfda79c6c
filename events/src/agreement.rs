//! The fast decoder and the slow search for a reason must agree: a message is
//! refused exactly when a reason is found. Tested on messages that are nearly
//! right, since random bytes hardly ever get past the first brace.
//!
//! What is read by hand must be just what serde reads.

use proptest::prelude::*;
use serde::Deserialize;
use std::fmt::Debug;

use crate::decode::{by_serde, fast};
use crate::diagnose::diagnose;
use crate::fields::{Field, Kind};
use crate::quick::Quick;
use crate::*;

/// Values of all kinds, good here and bad there.
const TOKENS: &[&str] = &[
    "null",
    "true",
    "\"\"",
    "\"text\"",
    "\"3\"",
    "0",
    "-0",
    "-1",
    "3",
    "3.0",
    "-0.0",
    "1e2",
    "1E400",
    "1e-999999999999999999999",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "9223372036.854775807",
    "9223372036.854775808",
    "0.0000000001",
    "0.0000000010",
    "-0.5",
    "01",
    "+1",
    ".5",
    "1.",
    "NaN",
    "Infinity",
    "[]",
    "{}",
    "[1,{\"a\":[]}]",
    "{\"quantity\":1,\"quantity\":2}",
    "\"2024-11-02T13:45:11\"",
    "\"2024-11-02T13:45:11.123456789+23:59\"",
    "\"2024-11-02 13:45:11Z\"",
    "\"2024-11-02\"",
    "\"2023-02-29T00:00:00\"",
    "\"0001-01-01T00:00:00+01:00\"",
    "\"\\u0032024-11-02T13:45:11\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "\"\\x\"",
    "\"tab\there\"",
    "\"cancelled\"",
    "\"cancell\\u0065d\"",
    "\"ä\\n€\"",
    "",
    "\"open",
    "'single'",
];

fn good(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Optional => "\"0c9b8a7f-6e5d-4c3b-a291-807f6e5d4c3b\"",
        Kind::Time => "\"2024-11-02T13:45:11.5\"",
        Kind::Money => "129.95",
        Kind::Count => "7",
    }
}

/// Messages with these fields of which a few things are wrong, or nothing is.
fn nearly(fields: &'static [Field]) -> impl Strategy<Value = Vec<u8>> {
    let token = || prop::sample::select(TOKENS);
    let changes = prop::collection::vec((0..fields.len(), prop::option::of(token())), 0..3);
    let extra = prop::collection::vec((0..fields.len() + 3, token()), 0..2);
    let damage = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
    let tail = prop::sample::select(&["", "", "", " \n", " x", "{}", "\u{a0}"][..]);
    (changes, extra, any::<bool>(), damage, cut, tail).prop_map(
        move |(changes, extra, backwards, damage, cut, tail)| {
            let mut entries: Vec<(String, Option<&str>)> = fields
                .iter()
                .map(|field| (field.name.to_owned(), Some(good(field.kind))))
                .collect();
            for (at, token) in changes {
                entries[at].1 = token;
            }
            for (at, token) in extra {
                let name = match fields.get(at) {
                    // The same name, written so that only a JSON parser sees it.
                    Some(field) => {
                        format!("\\u{:04x}{}", field.name.as_bytes()[0], &field.name[1..])
                    }
                    None => ["unknown", "", "\\ud800"][at - fields.len()].to_owned(),
                };
                entries.push((name, Some(token)));
            }
            if backwards {
                entries.reverse();
            }
            let body: Vec<String> = entries
                .iter()
                .filter_map(|(name, token)| token.map(|token| format!("\"{name}\": {token}")))
                .collect();
            let mut bytes = format!("{{{}}}{tail}", body.join(", ")).into_bytes();
            if let Some((at, byte)) = damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            bytes
        },
    )
}

fn agree<'a, E>(json: &'a [u8], fields: &[Field]) -> Result<(), TestCaseError>
where
    E: Deserialize<'a> + Quick<'a> + PartialEq + Debug,
{
    if let Ok(text) = std::str::from_utf8(json)
        && let Some(event) = E::quick(text)
    {
        prop_assert_eq!(Some(event), by_serde(text).ok(), "{}", text);
    }
    let accepted = fast::<E>(json).is_ok();
    let reason = diagnose(json, fields);
    prop_assert_eq!(
        accepted,
        reason.is_none(),
        "{:?} of {}",
        &reason,
        String::from_utf8_lossy(json)
    );
    if let Some(reason) = reason {
        let sentence = reason.to_string();
        prop_assert!(sentence.chars().count() < 250, "{}", sentence);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn customers(json in nearly(customer::FIELDS)) {
        agree::<Customer<'_>>(&json, customer::FIELDS)?;
    }

    #[test]
    fn products(json in nearly(product::FIELDS)) {
        agree::<Product<'_>>(&json, product::FIELDS)?;
    }

    #[test]
    fn transactions(json in nearly(transaction::FIELDS)) {
        agree::<Transaction<'_>>(&json, transaction::FIELDS)?;
    }

    #[test]
    fn product_views(json in nearly(product_view::FIELDS)) {
        agree::<ProductView>(&json, product_view::FIELDS)?;
    }

    #[test]
    fn user_interactions(json in nearly(user_interaction::FIELDS)) {
        agree::<UserInteraction<'_>>(&json, user_interaction::FIELDS)?;
    }

    #[test]
    fn system_logs(json in nearly(system_log::FIELDS)) {
        agree::<SystemLog<'_>>(&json, system_log::FIELDS)?;
    }

    #[test]
    fn bytes(json in prop::collection::vec(any::<u8>(), 0..200)) {
        agree::<Transaction<'_>>(&json, transaction::FIELDS)?;
    }

    #[test]
    fn values(json in "[ \\[\\]{}\":,0-9a-z\\\\.+-]{0,60}") {
        agree::<SystemLog<'_>>(json.as_bytes(), system_log::FIELDS)?;
    }
}

/// Without a test, a mistake would be one of speed, which nobody notices.
#[test]
fn the_usual_is_read_by_hand() {
    const ID: &str = "0c9b8a7f-6e5d-4c3b-a291-807f6e5d4c3b";
    let usual = |fields: &str| {
        let filled = fields
            .replace("ID", ID)
            .replace("TIME", "2024-11-02T13:45:11.5");
        format!("{{{}}}", filled.replace('\'', "\""))
    };
    let customer = usual(
        "'customer_id': 'ID', 'name': 'Ann', 'email': 'a@b.c', 'location': 'Bonn', 'age': 41, \
         'gender': 'Female', 'account_created': '2020-01-01', 'last_login': 'TIME'",
    );
    assert!(Customer::quick(&customer).is_some());
    let product = usual(
        "'product_id':'ID','name':null,'category':'Home & Garden','price':129.95,\
         'stock_quantity':7,'supplier':'Äußerst & Co','rating':4.5",
    );
    assert!(Product::quick(&product).is_some());
    let transaction = usual(
        "'transaction_id': 'ID', 'customer_id': 'ID', 'product_id': 'p-1', 'quantity': 2, \
         'date_time': 'TIME', 'status': 'cancelled', 'payment_method': 'PayPal'",
    );
    assert!(Transaction::quick(&transaction).is_some());
    let view = usual(
        "'view_id': 'ID', 'customer_id': 'ID', 'product_id': 'ID', 'timestamp': 'TIME', \
         'view_duration': 250",
    );
    assert!(ProductView::quick(&view).is_some());
    let interaction = usual(
        "'interaction_id': 'ID', 'customer_id': 'ID', 'product_id': 'ID', 'timestamp': 'TIME', \
         'interaction_type': 'review', 'details': null",
    );
    assert!(UserInteraction::quick(&interaction).is_some());
    let line = usual("'log_id': 'ID', 'timestamp': 'TIME', 'level': 'INFO', 'message': 'up'");
    assert!(SystemLog::quick(&line).is_some());
}

#[test]
fn depth_is_not_a_reason() {
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let json = format!(
        r#"{{"log_id": "", "timestamp": "2024-11-02T13:45:11", "level": "INFO", "message": {deep}, "more": {deep}}}"#
    );
    assert_eq!(
        SystemLogs::decode(json.as_bytes()).map(|log| log.message),
        Ok(None)
    );
}
