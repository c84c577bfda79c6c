//! What is served over HTTP agrees with what is in the database.

use end_to_end::http::{get, get_json};
use end_to_end::oracle::VIEWS;
use end_to_end::pipeline::{PATIENCE, Run};
use end_to_end::process::free_port;
use end_to_end::samples::{Sample, shop};
use end_to_end::{Ending, Scene, eventually};
use mongodb::bson::Document;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

/// A pipeline that has caught up, and where it answers.
fn served(scene: &Scene) -> (Run, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let run = scene.pipeline().workers(2).flag("--http", &address).start();
    scene.await_caught_up();
    (run, address)
}

#[test]
fn health() {
    let scene = Scene::new("health", 1);
    scene.produce(&shop(1, 10));
    let (run, address) = served(&scene);
    assert_eq!(get(&address, "/healthz").map(|(status, _)| status), Ok(200));
    eventually("it is ready", PATIENCE, || {
        match get(&address, "/readyz")? {
            (200, _) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(
        get(&address, "/no-such-page").map(|(status, _)| status),
        Ok(404)
    );
    run.drain();
    assert!(
        get(&address, "/healthz").is_err(),
        "nobody answers any more"
    );
}

#[test]
fn metrics_count_every_message() {
    let scene = Scene::new("metrics", 2);
    let mut samples = shop(2, 50);
    samples.push(Sample::new("products", "no product"));
    samples.push(Sample {
        value: None,
        ..Sample::new("products", "")
    });
    scene.produce(&samples);
    let (run, address) = served(&scene);
    let (status, text) = get(&address, "/metrics").expect("metrics");
    assert_eq!(status, 200);
    let total = |wanted: &str| -> f64 {
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && line.contains(wanted));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    let few = |count| f64::from(u32::try_from(count).expect("a few"));
    // A message is one for each view that refuses it.
    let letters = scene.expected(Ending::Running).dead_letters;
    for (name, expected) in [
        ("events_read_total", few(samples.len())),
        ("dead_letters_total", few(letters.len())),
        ("tombstones_total", 1.0),
    ] {
        assert!(
            (total(name) - expected).abs() < 0.5,
            "{name} is not {expected}:\n{text}"
        );
    }
    for name in [
        "tidemark_latency_seconds_count",
        "process_resident_memory_bytes",
    ] {
        assert!(total(name) > 0.0, "{name} is not there:\n{text}");
    }
    run.drain();
}

#[test]
fn views_agree_with_the_database() {
    let scene = Scene::new("api", 2);
    scene.produce(&shop(3, 100));
    let (run, address) = served(&scene);

    let list = get_json(&address, "/api/views").to_string();
    for view in &VIEWS {
        assert!(list.contains(view.name), "{} is not in {list}", view.name);
        let documents = scene.documents(view.name);
        let mut found = Vec::new();
        // Page by page, until one is not full.
        loop {
            let path = format!("/api/views/{}?limit=50&offset={}", view.name, found.len());
            let page = rows(&get_json(&address, &path));
            let last = page.len() < 50;
            found.extend(page);
            if last {
                break;
            }
        }
        assert_eq!(found.len(), documents.len(), "rows of {}", view.name);
        // The same by the path of the next page, which begins after the last row.
        let mut pages = Vec::new();
        let mut next = Some(format!("/api/views/{}?limit=7", view.name));
        while let Some(path) = next {
            let page = get_json(&address, &path);
            pages.extend(rows(&page));
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(pages, found, "pages of {}", view.name);
        for document in &documents {
            let id = document.get_str("_id").expect("an id");
            let row = found.iter().find(|row| row["_id"] == id);
            let row = row.unwrap_or_else(|| panic!("{id} is not served"));
            same(document, row);
        }
    }
    run.drain();
}

#[test]
fn rows_are_filtered_by_window_and_group() {
    let scene = Scene::new("filter", 1);
    scene.produce(&shop(4, 100));
    let (run, address) = served(&scene);
    let documents = scene.documents("sales_analysis");
    let product = documents[0].get_str("product_id").expect("a product");
    let of_product = documents
        .iter()
        .filter(|row| row.get_str("product_id").is_ok_and(|id| id == product));
    let path = format!("/api/views/sales_analysis?product_id={product}");
    assert_eq!(rows(&get_json(&address, &path)).len(), of_product.count());

    // The samples' messages lie within four hours from midnight: the second and the third.
    let (from, until) = ("2024-11-02T01:00:00Z", "2024-11-02T03:00:00Z");
    let path = format!("/api/views/sales_analysis?from={from}&until={until}&limit=1000");
    let within = documents.iter().filter(|row| {
        let start = row
            .get_datetime("window_start")
            .expect("a date")
            .timestamp_millis();
        (1_730_509_200_000..1_730_516_400_000).contains(&start)
    });
    let expected = within.count();
    assert!(expected > 0);
    assert_eq!(rows(&get_json(&address, &path)).len(), expected);

    let status = |path| get(&address, path).map(|(status, _)| status);
    assert_eq!(status("/api/views/no_such_view"), Ok(404));
    assert_eq!(status("/api/views/sales_analysis?limit=many"), Ok(400));
    assert_eq!(status("/api/views/sales_analysis?no_such_group=x"), Ok(400));
    assert_eq!(status("/api/views/sales_analysis?from=yesterday"), Ok(400));
    run.drain();
}

/// The rows of an answer: an array, or the array in its one member of that name.
fn rows(answer: &Value) -> Vec<Value> {
    let rows = answer.as_array().or_else(|| answer.get("rows")?.as_array());
    rows.unwrap_or_else(|| panic!("no rows in {answer}"))
        .clone()
}

/// Every number and text of the document is in the row, by its name.
fn same(document: &Document, row: &Value) {
    for (name, value) in document {
        let served = &row[name];
        let equal = match (value.as_i64(), value.as_f64(), value.as_str()) {
            (Some(number), ..) => served.as_i64() == Some(number),
            // What reads the JSON here may be off by the last bit.
            (_, Some(number), _) => served
                .as_f64()
                .is_some_and(|served| (served - number).abs() <= number.abs() * f64::EPSILON),
            (_, _, Some(text)) => served.as_str() == Some(text),
            _ => true,
        };
        assert!(equal, "{name} is {served}, expected {value}, in {row}");
    }
}

/// The line of a topic in the page of the pipeline, as far as the number of messages.
fn topic_line(topic: &str, messages: usize) -> String {
    format!(r#"<th scope="row">{topic}</th><td class="number">{messages}</td>"#)
}

#[test]
fn the_page_of_the_pipeline_is_whole_as_it_is_sent() {
    let scene = Scene::new("page", 2);
    scene.produce(&shop(5, 40));
    let (run, address) = served(&scene);
    let log = scene.kafka.read(&scene.topics());
    eventually("all that is read is shown", PATIENCE, || {
        let (status, page) = get(&address, "/pipeline")?;
        assert_eq!(status, 200);
        let missing = scene.topics().into_iter().find(|topic| {
            let messages = log.messages.iter().filter(|m| m.topic == *topic);
            !page.contains(&topic_line(topic, messages.count()))
        });
        match missing {
            None => Ok(()),
            Some(topic) => Err(format!("{topic} in {page}")),
        }
    });
    let (status, why) = get(&address, "/pipeline/why/sales_analysis/latest").expect("a page");
    assert_eq!(status, 200);
    assert!(why.contains("sales_analysis, window 20"), "{why}");
    for asset in [
        "common.js",
        "pipeline.js",
        "shop.js",
        "dashboard.css",
        "uplot.js",
        "uplot.css",
    ] {
        let answer = get(&address, &format!("/assets/{asset}")).expect("an asset");
        assert!(answer.0 == 200 && answer.1.len() > 1_000, "{asset}");
    }
    assert_eq!(get(&address, "/assets/..%2fmod.rs").map(|a| a.0), Ok(404));
    run.drain();
}

#[test]
fn a_page_that_is_open_is_told_what_changes() {
    let scene = Scene::new("live-page", 1);
    scene.produce(&shop(6, 20));
    let (run, address) = served(&scene);
    let mut stream = TcpStream::connect(&address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!("GET /live/pipeline HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut lines = BufReader::new(stream).lines();
    let mut until = |what: &str| {
        let found = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(what)));
        assert!(found.is_some(), "{what:?} does not come");
    };
    until("text/event-stream");
    until("event: beginning");
    until("event: change");
    let topic = scene.topic("system_logs");
    scene.produce(&[Sample::new("system_logs", "no line")]);
    let log = scene.kafka.read(std::slice::from_ref(&topic));
    let line = topic_line(&topic, log.messages.len());
    until(&line.replace('"', "\\\""));
    run.drain();
}

#[test]
fn the_dataflow_tells_what_its_operators_do() {
    let scene = Scene::new("operators", 2);
    scene.produce(&shop(3, 50));
    let (run, address) = served(&scene);
    let told = get_json(&address, "/api/dataflow");
    assert_eq!(told["workers"].as_array().map(Vec::len), Some(2), "{told}");
    let operators = told["operators"].as_array().expect("operators");
    let busy = |name: &str| {
        let operator = operators.iter().find(|operator| operator["name"] == name);
        operator.and_then(|operator| operator["busy_seconds"].as_f64())
    };
    for name in ["Ingest", "Watermarks", "Write"] {
        assert!(
            busy(name).is_some_and(|seconds| seconds > 0.0),
            "{name}: {told}"
        );
    }
    let channels = told["channels"].as_array().expect("channels");
    let records = channels
        .iter()
        .filter_map(|channel| channel["records"].as_u64());
    assert!(records.sum::<u64>() > 0, "{told}");
    let (status, page) = get(&address, "/pipeline/dataflow").expect("a page");
    assert_eq!(status, 200);
    assert!(page.contains("<svg") && page.contains("Ingest"), "{page}");
    run.drain();
}

#[test]
fn the_page_counts_what_is_open() {
    let scene = Scene::new("open", 2);
    scene.produce(&shop(3, 200));
    let (run, address) = served(&scene);
    let open = scene.documents("log_analysis").into_iter();
    let open: Vec<_> = open
        .filter(|row| !row.get_bool("final").expect("whether it is final"))
        .collect();
    let windows: BTreeSet<_> = open
        .iter()
        .map(|row| row.get_datetime("window_start").expect("a window"))
        .collect();
    assert!(!windows.is_empty());
    let expected = [windows.len().to_string(), open.len().to_string()];
    eventually("the page has the numbers", PATIENCE, || {
        let (_, page) = get(&address, "/pipeline")?;
        let row = page.split("<th scope=\"row\">log_analysis</th>").nth(1);
        let cells = row
            .unwrap_or_default()
            .split("<td class=\"number\">")
            .skip(1);
        let cells: Vec<_> = cells
            .take(2)
            .filter_map(|cell| cell.split('<').next())
            .collect();
        match cells == expected {
            true => Ok(()),
            false => Err(format!("{cells:?}, not {expected:?}")),
        }
    });
    run.drain();
}
