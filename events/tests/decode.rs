//! Events to JSON and back, and what is said of those that are none.

use events::*;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = Text<'static>> {
    any::<String>().prop_map(Text::from)
}

fn maybe_text() -> impl Strategy<Value = Option<Text<'static>>> {
    prop::option::of(text())
}

fn id() -> impl Strategy<Value = Id> {
    prop_oneof![
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        any::<String>()
    ]
    .prop_map(|text| Id::new(&text))
}

fn time() -> impl Strategy<Value = Timestamp> {
    (-62_135_596_800_000_000i64..=253_402_300_799_999_999).prop_map(Timestamp)
}

fn count() -> std::ops::RangeInclusive<i64> {
    0..=i64::MAX
}

/// Encodes an event, decodes the result, and wants it back.
macro_rules! comes_back {
    ($topic:ty, $event:expr) => {{
        let event = $event;
        let mut json = b"before".to_vec();
        encode(&event, &mut json);
        let json = json.split_off(6);
        prop_assert_eq!(<$topic>::decode(&json)?, event);
    }};
}

proptest! {
    #[test]
    fn customers(
        (customer_id, gender, last_login) in (id(), text(), time()),
        (name, email, location, account_created) in (maybe_text(), maybe_text(), maybe_text(), maybe_text()),
        age in any::<Option<i64>>(),
    ) {
        comes_back!(Customers, Customer {
            customer_id, name, email, location, age, gender, account_created, last_login,
        });
    }

    #[test]
    fn products(
        (product_id, category, price, stock_quantity) in (id(), text(), count().prop_map(Money), count()),
        (name, supplier) in (maybe_text(), maybe_text()),
        rating in prop::option::of(prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO),
    ) {
        comes_back!(Products, Product {
            product_id, name, category, price, stock_quantity, supplier, rating,
        });
    }

    #[test]
    fn transactions(
        (transaction_id, customer_id, product_id) in (id(), id(), id()),
        (quantity, date_time, payment_method) in (count(), time(), maybe_text()),
        status in text().prop_filter("is read as canceled", |status| *status != "cancelled"),
    ) {
        comes_back!(Transactions, Transaction {
            transaction_id, customer_id, product_id, quantity, date_time, status, payment_method,
        });
    }

    #[test]
    fn product_views(
        (view_id, customer_id, product_id) in (id(), id(), id()),
        (timestamp, view_duration) in (time(), count()),
    ) {
        comes_back!(ProductViews, ProductView {
            view_id, customer_id, product_id, timestamp, view_duration,
        });
    }

    #[test]
    fn user_interactions(
        (interaction_id, customer_id, product_id) in (id(), id(), id()),
        (timestamp, interaction_type, details) in (time(), text(), maybe_text()),
    ) {
        comes_back!(UserInteractions, UserInteraction {
            interaction_id, customer_id, product_id, timestamp, interaction_type, details,
        });
    }

    #[test]
    fn system_logs((log_id, timestamp, level, message) in (id(), time(), text(), maybe_text())) {
        comes_back!(SystemLogs, SystemLog { log_id, timestamp, level, message });
    }
}

const SALE: &str = r#"{"transaction_id": "t", "customer_id": "c", "product_id": "p", "quantity": 1,
    "date_time": "2024-11-02T13:45:11", "status": "pending", "payment_method": "PayPal", "more": [1, {}]}"#;

/// What is said of a sale in which `from` is replaced.
fn said(from: &str, to: &str) -> String {
    assert!(SALE.contains(from));
    match Transactions::decode(SALE.replacen(from, to, 1).as_bytes()) {
        Ok(sale) => format!("{sale:?}"),
        Err(reason) => reason.to_string(),
    }
}

#[test]
fn each_reason_is_a_sentence() {
    let integer = "expected an integer from 0 to 9223372036854775807";
    for (from, to, sentence) in [
        ("\"quantity\": 1,", "", "`quantity` is missing".to_owned()),
        (
            "\"quantity\": 1",
            "\"quantity\": null",
            format!("`quantity` is null, {integer}"),
        ),
        (
            "\"quantity\": 1",
            "\"quantity\": 3.0",
            format!("`quantity` is 3.0, {integer}"),
        ),
        (
            "\"quantity\": 1",
            "\"quantity\": \"3\"",
            format!("`quantity` is \"3\", {integer}"),
        ),
        (
            "\"quantity\": 1",
            "\"quantity\": -2",
            format!("`quantity` is -2, {integer}"),
        ),
        (
            "\"quantity\": 1",
            "\"quantity\": 9223372036854775808",
            format!("`quantity` is 9223372036854775808, {integer}"),
        ),
        ("\"c\"", "7", "`customer_id` is 7, expected a string".into()),
        (
            "\"c\"",
            "null",
            "`customer_id` is null, expected a string".into(),
        ),
        (
            "\"2024-11-02T13:45:11\"",
            "\"2024-11-02\"",
            "`date_time` is \"2024-11-02\", expected a time such as \"2024-11-02T13:45:11\"".into(),
        ),
        (
            "\"2024-11-02T13:45:11\"",
            "1730555111",
            "`date_time` is 1730555111, expected a string with a time".into(),
        ),
        (
            "\"more\": [1, {}]",
            "\"status\": \"x\"",
            "`status` is given more than once".into(),
        ),
        (
            "\"more\": [1, {}]",
            "\"payment_method\": \"x\"",
            "`payment_method` is given more than once".into(),
        ),
        (
            "\"more\": [1, {}]}",
            "\"more\": [1, {}]} x",
            "more text after the JSON object, from byte 184".into(),
        ),
        (
            "\"more\": [1, {}]}",
            "\"more\": [1, {}]",
            "not JSON at byte 182: EOF while parsing an object".into(),
        ),
        (
            "\"more\": [1, {}]}",
            "\"more\": ?}",
            "not JSON at byte 175: expected value".into(),
        ),
    ] {
        assert_eq!(said(from, to), sentence);
    }
}

#[test]
fn what_is_no_object() {
    for (json, sentence) in [
        (&b""[..], "not JSON at byte 0: there is nothing"),
        (b" \n", "not JSON at byte 0: there is nothing"),
        (
            b"[\"t\", \"c\", \"p\", 1, \"2024-11-02T13:45:11\", \"pending\", null]",
            "not a JSON object but [\"t\", \"c\", \"p\", 1, \"2024-11-02T13:45:11\", \"pending\", null]",
        ),
        (b"null", "not a JSON object but null"),
        (b"\"x\"", "not a JSON object but \"x\""),
        (b"\xef\xbb\xbf{}", "not JSON at byte 0: expected value"),
        (b"{\"status\": \"\xff\"}", "not UTF-8 from byte 12"),
    ] {
        assert_eq!(
            Transactions::decode(json).unwrap_err().to_string(),
            sentence
        );
    }
}

#[test]
fn what_is_found_is_cut_off() {
    let sentence = said("\"c\"", &format!("[\"{}\"]", "ä".repeat(500)));
    assert!(sentence.contains("…, expected a string"), "{sentence}");
    assert!(sentence.chars().count() < 130, "{sentence}");
}

#[test]
fn a_field_that_no_view_reads_never_costs_an_event() {
    for value in [
        "null",
        "7",
        "1e999",
        "[[[[]]]]",
        "{\"a\": 1}",
        "true",
        "\"\\ud800\"",
    ] {
        let json = SALE.replace("\"PayPal\"", value);
        let sale = Transactions::decode(json.as_bytes()).unwrap();
        assert_eq!(sale.payment_method, None, "{value}");
    }
    let json = SALE.replace("\"payment_method\": \"PayPal\", ", "");
    assert_eq!(
        Transactions::decode(json.as_bytes())
            .unwrap()
            .payment_method,
        None
    );
}

#[test]
fn prices() {
    let decode = |price: &str| {
        let json = format!(
            r#"{{"product_id": "p", "category": "Books", "price": {price}, "stock_quantity": 0, "rating": 4.5}}"#
        );
        Products::decode(json.as_bytes())
            .map(|product| product.price.nanos())
            .map_err(|error| error.to_string())
    };
    assert_eq!(decode("129.95"), Ok(129_950_000_000));
    assert_eq!(decode("1e2"), Ok(100_000_000_000));
    let range = "expected a number from 0 to 9223372036.854775807";
    assert_eq!(decode("-1"), Err(format!("`price` is -1, {range}")));
    assert_eq!(decode("1e10"), Err(format!("`price` is 1e10, {range}")));
    assert_eq!(decode("\"1\""), Err(format!("`price` is \"1\", {range}")));
    assert_eq!(
        decode("0.1234567891"),
        Err("`price` is 0.1234567891, expected no more than nine decimals".into())
    );
}

#[test]
fn texts_are_borrowed_where_they_can_be() {
    let json = SALE.replace("PayPal", "Pay\\u0050al");
    let sale = Transactions::decode(json.as_bytes()).unwrap();
    assert!(matches!(
        sale.status.0,
        std::borrow::Cow::Borrowed("pending")
    ));
    assert_eq!(sale.payment_method.unwrap(), "PayPal");
}

#[test]
fn both_spellings_of_canceled() {
    for spelling in ["canceled", "cancelled", "cancell\\u0065d"] {
        assert!(said("pending", spelling).contains("status: \"canceled\""));
    }
    assert!(said("pending", "CANCELLED").contains("status: \"CANCELLED\""));
}

#[test]
fn fields_and_times_of_a_topic_are_values() {
    let product: for<'a, 'b> fn(&'b <Transactions as Topic>::Event<'a>) -> Id =
        |sale| sale.product_id.clone();
    let duration: for<'a, 'b> fn(&'b <ProductViews as Topic>::Event<'a>) -> i64 =
        |view| view.view_duration;
    let sale = Transactions::decode(SALE.as_bytes()).unwrap();
    assert_eq!(product(&sale), Id::new("p"));
    let [date_time] = Transactions::TIMES else {
        panic!("one time");
    };
    assert_eq!(date_time.name, "date_time");
    assert_eq!((date_time.get)(&sale), sale.date_time);
    let json = br#"{"view_id": "v", "customer_id": "c", "product_id": "p", "timestamp": "2024-11-02T13:45:11", "view_duration": 9}"#;
    assert_eq!(duration(&ProductViews::decode(json).unwrap()), 9);
    assert_eq!(
        TOPICS,
        [
            "customers",
            "products",
            "transactions",
            "product_views",
            "user_interactions",
            "system_logs"
        ]
    );
}
