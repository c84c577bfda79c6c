//! The example of the view that joins: a window closes as of its moment.

use super::{clock, page, running, some, time};
use end_to_end::samples::{Sample, with};
use end_to_end::{Ending, Scene};
use mongodb::bson::{Bson, Document};

/// A message of the second example.
fn joined(topic: &str, kafka: &str, message: &str) -> Sample {
    let parts: Vec<_> = message.split(", ").collect();
    let quoted = |text: &str| format!("\"{text}\"");
    let (topic, value) = match (topic, parts.as_slice()) {
        ("products", [id, category, price]) => {
            let (id, category) = (quoted(id), quoted(category));
            let fields = [
                ("product_id", &*id),
                ("category", &category),
                ("price", price),
            ];
            ("products", with("products", &fields))
        }
        ("customers", [id, gender]) => {
            let (id, gender) = (quoted(id), quoted(gender));
            let fields = [("customer_id", &*id), ("gender", &gender)];
            ("customers", with("customers", &fields))
        }
        ("transactions", [id, items, customer, status, at]) => {
            let (quantity, product) = items.split_once(" × ").expect("how many of what");
            let at = quoted(&format!("2026-11-24T{at}"));
            let [id, product, customer, status] = [id, product, customer, status].map(quoted);
            let fields = [
                ("transaction_id", &*id),
                ("product_id", &product),
                ("quantity", quantity),
                ("customer_id", &customer),
                ("status", &status),
                ("date_time", &at),
            ];
            ("transactions", with("transactions", &fields))
        }
        _ => panic!("no message of {topic}: {message}"),
    };
    Sample::new(topic, value).partition(0).at(time(kafka))
}

/// A row of the view that joins, as the page shows it.
fn revenue(row: &Document) -> [String; 9] {
    let shown = |name: &str| match row.get(name).expect("a field") {
        Bson::DateTime(_) => clock(row, name),
        Bson::String(text) => text.clone(),
        other => other.to_string(),
    };
    REVENUE.map(shown)
}

const REVENUE: [&str; 9] = [
    "window_start",
    "category",
    "gender",
    "status",
    "orders",
    "items",
    "revenue",
    "buyers",
    "final",
];

#[test]
fn as_of_the_moment() {
    let scene = Scene::without_topics("time-moment");
    for topic in ["products", "customers", "transactions"] {
        scene.create(topic, 1, 1);
    }
    let run = running(&scene, "1h").start();
    let mut samples = Vec::new();
    for [number, topic, kafka, message, amount, is_final] in page().table([
        "#",
        "topic",
        "Kafka timestamp",
        "message",
        "revenue of 09:00–10:00",
        "final",
    ]) {
        let sample = joined(&topic, &kafka, &message);
        scene.produce(std::slice::from_ref(&sample));
        samples.push(sample);
        scene.await_caught_up();
        let rows = scene.documents("revenue_analysis");
        let rows: Vec<_> = rows.iter().map(revenue).collect();
        let row = rows.iter().find(|row| row[0] == "09:00:00");
        let found = row.map(|row| (row[6].as_str(), row[8].as_str()));
        let wanted = some(&amount).map(|amount| (amount, is_final.as_str()));
        assert_eq!(found, wanted, "{number}");
    }
    run.drain();
    scene.check_as(Ending::Running);
    let rows = || {
        let rows = scene.documents("revenue_analysis");
        let mut rows: Vec<_> = rows.iter().map(revenue).collect();
        rows.sort();
        rows
    };
    assert_eq!(rows(), page().table(REVENUE));

    // At once, from the first message on, it is the same.
    let at_once = Scene::without_topics("time-moment-at-once");
    for topic in ["products", "customers", "transactions"] {
        at_once.create(topic, 1, 1);
    }
    at_once.produce(&samples);
    at_once.run_and_check(&at_once.pipeline().workers(2));
    let found = at_once.documents("revenue_analysis");
    let mut found: Vec<_> = found.iter().map(revenue).collect();
    found.sort();
    assert_eq!(found, rows());
}
