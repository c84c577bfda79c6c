//! The shop's page, its files and the queries that it shows agree with the database.

use end_to_end::http::{get, get_json};
use end_to_end::mongosh::Shell;
use end_to_end::pipeline::{PATIENCE, Run};
use end_to_end::process::free_port;
use end_to_end::samples::{Sample, with};
use end_to_end::{Scene, eventually};
use mongodb::bson::{Bson, Document};
use serde_json::Value;
use std::collections::BTreeMap;

/// A product that somebody calls so.
const EVIL: &str = "<script>alert(1)</script>";
const EVIL_ID: &str = "6fa459ea-ee8a-4ca4-894e-db77e160355f";

/// A shop of the generator with the evil product sold most, and where its page is.
fn served(name: &str) -> (Scene, Run, String) {
    let scene = Scene::new(name, 2);
    scene.generate(&["--count", "300", "--seed", "5", "--times", "spread"]);
    let id = format!("\"{EVIL_ID}\"");
    let product = [("product_id", &*id), ("name", &format!("\"{EVIL}\""))];
    let sale = [("product_id", &*id), ("quantity", "1000000")];
    scene.produce(&[
        Sample::new("products", with("products", &product)),
        Sample::new("transactions", with("transactions", &sale)),
        Sample::new("product_views", with("product_views", &product[..1])),
    ]);
    let address = format!("127.0.0.1:{}", free_port());
    let run = scene.pipeline().workers(2).flag("--http", &address).start();
    scene.await_caught_up();
    (scene, run, address)
}

/// A number of a document or of an answer, in billionths, so that sums are exact.
fn billionths(number: &str) -> i128 {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let text = format!("{whole}{part:0<9}");
    text.parse()
        .unwrap_or_else(|_| panic!("{number}: no number"))
}

fn at<'a>(document: &'a Document, path: &str) -> &'a Bson {
    let (outer, inner) = path.split_once('.').unwrap_or(("", path));
    let within = match outer {
        "" => document,
        outer => document.get_document(outer).expect("a document"),
    };
    within.get(inner).unwrap_or_else(|| panic!("no {path}"))
}

/// As the files have it.
fn plain(value: &Bson) -> String {
    match value {
        Bson::String(text) => text.clone(),
        Bson::DateTime(time) => {
            let time = jiff::Timestamp::from_millisecond(time.timestamp_millis());
            time.expect("a time").to_string()
        }
        other => other.to_string(),
    }
}

fn json_plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// By the columns `by`: the sum of `sum` in billionths, and whether all rows are final.
type Sums = BTreeMap<Vec<String>, (i128, bool)>;

fn of_documents(documents: &[Document], by: &[&str], sum: &str) -> Sums {
    let mut sums = Sums::new();
    for row in documents {
        let key = by.iter().map(|column| plain(at(row, column))).collect();
        let found = sums.entry(key).or_insert((0, true));
        found.0 += billionths(&plain(at(row, sum)));
        found.1 &= row.get_bool("final").expect("final");
    }
    sums
}

/// Of each chart: its name, its view, what it is by, and what is added up.
const CHARTS: [(&str, &str, &[&str], &str, &str); 6] = [
    (
        "revenue",
        "revenue_analysis",
        &["window_start", "category"],
        "revenue",
        "revenue",
    ),
    (
        "sold",
        "sales_analysis",
        &["product_id"],
        "total_quantity_sold",
        "pieces",
    ),
    (
        "viewed",
        "product_views_analysis",
        &["product_id"],
        "total_views",
        "views",
    ),
    (
        "customers",
        "customer_analysis",
        &["window.start", "gender"],
        "unique_customers",
        "customers",
    ),
    (
        "interactions",
        "interaction_analysis",
        &["window_start", "interaction_type"],
        "total_interactions",
        "interactions",
    ),
    (
        "logs",
        "log_analysis",
        &["window_start", "level"],
        "total_logs",
        "lines",
    ),
];

#[test]
fn files_and_queries_have_what_the_database_has() {
    let (scene, run, address) = served("shop-files");
    let (status, page) = get(&address, "/?span=all").expect("a page");
    assert_eq!(status, 200, "{page}");
    for (chart, view, by, sum, unit) in CHARTS {
        let expected = of_documents(&scene.documents(view), by, sum);
        assert!(!expected.is_empty(), "{view} is empty");

        let file = get_json(&address, &format!("/shop/{chart}.json?span=all"));
        let file = file.as_array().expect("an array");
        let found: Sums = file
            .iter()
            .map(|row| {
                let key = by.iter().map(|column| json_plain(&row[column])).collect();
                let sum = billionths(&json_plain(&row[unit]));
                (key, (sum, row["final"] == true))
            })
            .collect();
        assert_eq!(found, expected, "{chart}.json");

        let (_, csv) = get(&address, &format!("/shop/{chart}.csv?span=all")).expect("a file");
        let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), file.len() + 1, "{csv}");
        assert!(lines[0].starts_with(&by.join(",")), "{csv}");

        // The query that stands on the page, as a person takes it from there.
        let query = page
            .split("<pre>")
            .skip(1)
            .filter_map(|rest| rest.split("</pre>").next())
            .find(|query| query.starts_with(&format!("db.{view}.aggregate")));
        let query = query.unwrap_or_else(|| panic!("no query of {view} in {page}"));
        let query = query
            .replace("&quot;", "\"")
            .replace("&gt;", ">")
            .replace("&lt;", "<");
        let query = query.replace("&amp;", "&");
        let documents = Shell::new(&scene.mongo).documents(&query).expect(&query);
        assert!(!documents.is_empty(), "{query}");
        for document in documents {
            let id = document.get_document("_id").expect("an id");
            let key: Vec<String> = id.values().map(plain).collect();
            let sum = billionths(&plain(at(&document, "s0")));
            let is_final = document.get_bool("final").expect("final");
            assert_eq!(expected.get(&key), Some(&(sum, is_final)), "{query}");
        }
    }
    run.drain();
}

#[test]
fn products_have_names_that_can_do_no_harm() {
    let (_scene, run, address) = served("shop-names");
    eventually("the page has the name", PATIENCE, || {
        let (_, page) = get(&address, "/?span=all")?;
        assert!(!page.contains(EVIL), "{page}");
        match page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") {
            true => Ok(()),
            false => Err(page),
        }
    });
    let file = get_json(&address, "/shop/sold.json?span=all");
    assert_eq!(file[0]["name"], EVIL, "{file}");
    assert_eq!(file[0]["product_id"], EVIL_ID);
    // What comes back of a question is no HTML either.
    let (status, answer) = get(&address, "/?status=%3Cscript%3E").expect("a page");
    assert_eq!(status, 200);
    assert!(!answer.contains("=\"<script>"), "{answer}");
    run.drain();
}

#[test]
fn times_and_status_are_chosen() {
    let (scene, run, address) = served("shop-choice");
    let documents = scene.documents("revenue_analysis");
    let start = |row: &Document| plain(at(row, "window_start"));
    let newest = documents.iter().map(start).max().expect("a window");
    let completed: Vec<Document> = documents
        .iter()
        .filter(|row| {
            row.get_str("status")
                .is_ok_and(|status| status == "completed")
                && start(row) == newest
        })
        .cloned()
        .collect();
    let expected = of_documents(&completed, &["window_start", "category"], "revenue");
    let path = format!("/shop/revenue.json?from={newest}&status=completed");
    let file = get_json(&address, &path);
    let found: Sums = file
        .as_array()
        .expect("an array")
        .iter()
        .map(|row| {
            let key = ["window_start", "category"].map(|name| json_plain(&row[name]));
            let sum = billionths(&json_plain(&row["revenue"]));
            (key.to_vec(), (sum, row["final"] == true))
        })
        .collect();
    assert_eq!(found, expected);
    for (path, status, what) in [
        ("/?span=1y", 400, "it takes 24h, 7d, 30d or all"),
        ("/?from=soon", 400, "from"),
        ("/?page=2", 400, "there is no such parameter"),
        ("/live/shop?span=1y", 400, "it takes"),
        ("/shop/revenue.xml", 404, "each as .csv and .json"),
        ("/shop/costs.csv", 404, "there are revenue, sold"),
    ] {
        let answer = get(&address, path).expect("an answer");
        assert!(
            answer.0 == status && answer.1.contains(what),
            "{path}: {answer:?}"
        );
    }
    run.drain();
}
