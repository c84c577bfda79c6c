//! Every way to be malformed, and everything unusual that is not.

use end_to_end::oracle::judge;
use end_to_end::samples::{Sample, fields, object, with, without};
use end_to_end::{Rules, Scene, TOPICS};

/// A required field, and values that it must not have.
type Wrong = (&'static str, &'static [&'static str]);

/// The required fields of each topic.
const REQUIRED: [(&str, &[Wrong]); 6] = [
    (
        "customers",
        &[
            ("customer_id", TEXT),
            ("gender", TEXT),
            ("last_login", TIME),
        ],
    ),
    (
        "products",
        &[
            ("product_id", TEXT),
            ("category", TEXT),
            ("price", PRICE),
            ("stock_quantity", COUNT),
        ],
    ),
    (
        "transactions",
        &[
            ("transaction_id", TEXT),
            ("customer_id", TEXT),
            ("product_id", TEXT),
            ("quantity", COUNT),
            ("date_time", TIME),
            ("status", TEXT),
        ],
    ),
    (
        "product_views",
        &[
            ("view_id", TEXT),
            ("customer_id", TEXT),
            ("product_id", TEXT),
            ("timestamp", TIME),
            ("view_duration", COUNT),
        ],
    ),
    (
        "user_interactions",
        &[
            ("interaction_id", TEXT),
            ("customer_id", TEXT),
            ("product_id", TEXT),
            ("timestamp", TIME),
            ("interaction_type", TEXT),
        ],
    ),
    (
        "system_logs",
        &[("log_id", TEXT), ("timestamp", TIME), ("level", TEXT)],
    ),
];

const TEXT: &[&str] = &["null", "7", "true", "[]", "{}", r#"["INFO"]"#];

const COUNT: &[&str] = &[
    "null",
    "true",
    "-1",
    "1.5",
    "1e3",
    "\"3\"",
    "[3]",
    "9223372036854775808",
    "-9223372036854775808",
    "123456789012345678901234567890",
];

const PRICE: &[&str] = &[
    "null",
    "false",
    "-0.01",
    "-1",
    "\"12.50\"",
    "[1]",
    "0.1234567891",
    "1e-10",
    "9300000000",
    "9223372036.854775808",
    "1e300",
    "1e99999999999999999999",
];

const TIME: &[&str] = &[
    "null",
    "1730555111",
    "\"\"",
    "\"yesterday\"",
    "\"2024-11-02\"",
    "\"2024-11-02T13:45\"",
    "\"2024-13-01T00:00:00\"",
    "\"2024-02-30T00:00:00\"",
    "\"2023-02-29T00:00:00\"",
    "\"2024-11-02T24:00:00\"",
    "\"2024-11-02T13:60:00\"",
    "\"2024-11-02T13:45:11.\"",
    "\"2024-11-02T13:45:11+25:00\"",
    "\"2024-11-02T13:45:11 \"",
    "\"02.11.2024 13:45:11\"",
];

/// Messages that are wrong as a whole.
const WHOLE: &[&[u8]] = &[
    b"",
    b" ",
    b"not json",
    b"null",
    b"true",
    b"7",
    b"\"text\"",
    b"[]",
    b"[{}]",
    b"{}",
    b"{",
    b"}",
    b"{\"level\":}",
    b"{'level': 'INFO'}",
    b"\xff\xfe\x00",
    b"{\"a\":NaN}",
];

#[test]
fn every_malformed_case_is_a_dead_letter() {
    let scene = Scene::new("malformed", 3);
    let mut samples = Vec::new();
    let mut good = Vec::new();
    for (topic, required) in REQUIRED {
        for (field, wrong) in required {
            samples.push(Sample::new(topic, without(topic, field)).key("without"));
            for text in *wrong {
                samples.push(Sample::new(topic, with(topic, &[(field, text)])).key(*field));
            }
            let mut twice = fields(topic);
            twice.extend(fields(topic).into_iter().filter(|(name, _)| name == field));
            samples.push(Sample::new(topic, object(&twice)).key("twice"));
        }
        for whole in WHOLE {
            samples.push(Sample::new(topic, *whole).key([0xff, 0x00]));
        }
        let whole = object(&fields(topic));
        samples.push(Sample::new(topic, &whole[..whole.len() - 1]));
        samples.push(Sample::new(topic, format!("{whole}{whole}")));
        samples.push(Sample::new(topic, format!("{whole} x")));
        samples.push(Sample::new(topic, format!("\u{feff}{whole}")));
        samples.push(Sample::new(topic, format!("[{whole}]")));
        samples.push(Sample::new(topic, bad_utf8(&whole)));
        let unknown = with(topic, &[("unknown", "\"x\"")]);
        samples.push(Sample::new(topic, bad_utf8(&unknown)));
        // Good ones between bad ones still count.
        good.push(Sample::new(topic, whole));
    }
    let malformed = samples.len();
    for (number, sample) in good.into_iter().enumerate() {
        samples.insert((number + 1) * samples.len() / 8, sample);
    }
    scene.produce(&samples);

    let judged = judge(
        &scene.kafka.read(&scene.topics()),
        &scene.prefix,
        &scene.rules,
    );
    assert_eq!(
        judged.rejects.len(),
        malformed,
        "the oracle's own view of the table"
    );
    assert_eq!(judged.events.len(), TOPICS.len());
    scene.run_and_check(&scene.pipeline().workers(2));

    // Read once more from the start: the same dead letters, and no second ones.
    scene.run_and_check(&scene.pipeline());
}

/// The same bytes, but for the last letter of the last text, which is no UTF-8 any more.
fn bad_utf8(json: &str) -> Vec<u8> {
    let mut bytes = json.as_bytes().to_vec();
    let place = bytes
        .iter()
        .rposition(u8::is_ascii_alphanumeric)
        .expect("a letter");
    bytes[place] = 0xff;
    bytes
}

#[test]
fn a_large_malformed_message_is_kept_whole() {
    let scene = Scene::new("large", 1);
    let text = format!("{{\"log_id\":\"{}\"", "x".repeat(900_000));
    scene.produce(&[Sample::new("system_logs", text).key(vec![7; 1000])]);
    scene.run_and_check(&scene.pipeline());
}

#[test]
fn everything_unusual_counts() {
    // Also when it happened in an unusual year.
    let scene = Scene::new("unusual", 2).ruled_by(Rules::everything_counts());
    let long = format!("\"{}\"", "long-".repeat(400));
    let mut samples = Vec::new();
    let ids = [
        // A UUID in capitals is another id, and so is one without dashes.
        "\"6FA459EA-EE8A-4CA4-894E-DB77E160355E\"",
        "\"6fa459eaee8a4ca4894edb77e160355e\"",
        "\"{6fa459ea-ee8a-4ca4-894e-db77e160355e}\"",
        "\"6fa459ea-ee8a-4ca4-894e-db77e160355E\"",
        "\"\"",
        "\" \"",
        "\"42\"",
        "\"caf\u{e9}\"",
        "\"caf\\u00e9\"",
        "\"cafe\u{301}\"",
        "\"\u{1f600}\"",
        "\"\\ud83d\\ude00\"",
        "\"a\\\"b\\\\c\\/d\\n\"",
        "\"a/b\"",
        "\"a.b\"",
        "\"$a\"",
        "\"a\\u0000b\"",
        "\"\\u0036fa459ea-ee8a-4ca4-894e-db77e160355e\"",
        &long,
    ];
    for id in ids {
        for topic in ["transactions", "product_views", "user_interactions"] {
            samples.push(Sample::new(
                topic,
                with(topic, &[("product_id", id), ("customer_id", id)]),
            ));
        }
        samples.push(Sample::new(
            "customers",
            with("customers", &[("customer_id", id), ("gender", id)]),
        ));
        samples.push(Sample::new(
            "products",
            with("products", &[("product_id", id), ("category", id)]),
        ));
        samples.push(Sample::new(
            "system_logs",
            with("system_logs", &[("log_id", id), ("level", id)]),
        ));
    }
    let times = [
        "\"1969-12-31T23:59:59.999999\"",
        "\"1960-02-29T12:00:00\"",
        "\"0001-01-01T00:00:00\"",
        "\"9999-12-31T23:59:59.999999\"",
        "\"2024-11-02 13:45:11\"",
        "\"2024-11-02T13:45:11Z\"",
        "\"2024-11-02T00:30:00+01:00\"",
        "\"2024-11-02T23:30:00-11:30\"",
        "\"2024-11-02T13:45:11.1\"",
        "\"2024-11-02T13:45:11.123456789\"",
        "\"2024-11-02T13:59:59.9999999\"",
        "\"2024-02-29T23:59:59+00:00:01\"",
        "\"2024-11-02T13:00:00\"",
        "\"2024\\u002d11-02T13:45:11\"",
    ];
    for time in times {
        samples.push(Sample::new(
            "customers",
            with("customers", &[("last_login", time)]),
        ));
        samples.push(Sample::new(
            "transactions",
            with("transactions", &[("date_time", time)]),
        ));
        for topic in ["product_views", "user_interactions", "system_logs"] {
            samples.push(Sample::new(topic, with(topic, &[("timestamp", time)])));
        }
    }
    for (number, price) in [
        "0",
        "-0",
        "0.0",
        "1e2",
        "1.5E-3",
        "12.345678901",
        "0.000000001",
        "9200000000",
        "10.50000000000",
    ]
    .into_iter()
    .enumerate()
    {
        // Each in a window of its own, so that each average shows its price.
        let at = 1_730_505_600_000 + 3_600_000 * i64::try_from(number).expect("a small number");
        samples.push(Sample::new("products", with("products", &[("price", price)])).at(at));
    }
    for count in ["0", "9007199254740993"] {
        samples.push(Sample::new(
            "products",
            with("products", &[("stock_quantity", count)]),
        ));
        samples.push(Sample::new(
            "transactions",
            with("transactions", &[("quantity", count)]),
        ));
        samples.push(Sample::new(
            "product_views",
            with("product_views", &[("view_duration", count)]),
        ));
    }
    for status in ["\"cancelled\"", "\"canceled\"", "\"refunded\"", "\"\""] {
        samples.push(Sample::new(
            "transactions",
            with("transactions", &[("status", status)]),
        ));
    }
    for topic in TOPICS {
        let unknown = [
            ("nested", "{\"a\":[1,{\"b\":null}]}"),
            ("number", "1e400"),
            ("Ünknown", "true"),
        ];
        samples.push(Sample::new(topic, with(topic, &unknown)));
        let mut twice = fields(topic);
        twice.extend([("unknown", "1"), ("unknown", "2")]);
        samples.push(Sample::new(topic, object(&twice)));
        let airy = with(topic, &[]).replace("\":", "\" :\t");
        samples.push(Sample::new(topic, format!("\r\n\t {airy} \n")));
        for optional in [
            "name",
            "email",
            "location",
            "age",
            "account_created",
            "supplier",
            "rating",
            "payment_method",
            "details",
            "message",
        ] {
            if fields(topic).iter().any(|(name, _)| *name == optional) {
                samples.push(Sample::new(topic, without(topic, optional)));
                for text in [
                    "null",
                    "7",
                    "-1.5",
                    "\"text\"",
                    "[]",
                    "{}",
                    "\"2024-02-30\"",
                ] {
                    samples.push(Sample::new(topic, with(topic, &[(optional, text)])));
                }
            }
        }
        samples.push(Sample {
            value: None,
            ..Sample::new(topic, "").key("tombstone")
        });
    }
    scene.produce(&samples);

    let judged = judge(
        &scene.kafka.read(&scene.topics()),
        &scene.prefix,
        &scene.rules,
    );
    assert_eq!(judged.rejects, [], "the oracle's own view of the table");
    assert_eq!(judged.tombstones, TOPICS.len());
    scene.run_and_check(&scene.pipeline().workers(2));
    // But for windows that end when no calendar has a date.
    for letter in scene.documents("dead_letters") {
        let detail = letter.get_str("detail").expect("a detail");
        assert!(detail.contains("years 1 to 9999"), "{letter}");
    }
}
