//! `docs/time.md` is true: its tables are sent to Kafka, and what comes of them is
//! what the page says.

mod example;
mod moment;

use end_to_end::oracle::parse_time;
use end_to_end::page::Page;
use end_to_end::pipeline::PATIENCE;
use end_to_end::{Pipeline, Process, Scene};
use mongodb::bson::Document;
use std::io::Write as _;

fn page() -> Page {
    Page::read("time.md")
}

/// A time of the page, which is one of its day unless it has a date.
fn time(text: &str) -> i64 {
    let text = match text.split_once(' ') {
        Some((date, time)) => format!("{date}T{time}"),
        None => format!("2026-11-24T{text}"),
    };
    parse_time(&text).unwrap_or_else(|| panic!("the page has a time {text:?}"))
}

/// What stands in a cell, unless that is nothing.
fn some(cell: &str) -> Option<&str> {
    (!matches!(cell, "" | "none")).then_some(cell)
}

fn clock(row: &Document, field: &str) -> String {
    let date = row.get_datetime(field).expect("a date");
    let date = jiff::Timestamp::from_millisecond(date.timestamp_millis()).expect("a time");
    date.strftime("%H:%M:%S").to_string()
}

/// A run that nothing but silence of `idle_timeout` can keep from going on.
fn running(scene: &Scene, idle_timeout: &str) -> Pipeline {
    scene.pipeline().flag("--idle-timeout", idle_timeout)
}

#[test]
fn its_settings_are_taken() {
    let mut file = tempfile::Builder::new()
        .suffix(".toml")
        .tempfile()
        .expect("a file");
    let settings = page().block("time-settings");
    file.write_all(settings.as_bytes()).expect("a file");
    let path = file.path().to_string_lossy().into_owned();
    let arguments = ["views", "--config", &path].map(ToOwned::to_owned);
    let mut process = Process::start("tidemark", "time-settings", &arguments, &[]);
    assert_eq!(process.exit_code(PATIENCE), Some(0), "the exit code");
    let output = process.output();
    let about = |view: &str| {
        let from = output.find(view).expect("the view");
        let lines = output[from..].lines().skip(1);
        let lines = lines.take_while(|line| line.starts_with(' '));
        let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        words.collect::<Vec<_>>()
    };
    let sales = about("sales_analysis");
    for line in ["time date_time", "window 15m", "lateness 6h"] {
        assert!(sales.iter().any(|found| found == line), "{line}: {sales:?}");
    }
    let customers = about("customer_analysis");
    assert!(
        customers.iter().any(|found| found == "lateness forever"),
        "{customers:?}"
    );
}

#[test]
fn nothing_on_it_is_untested() {
    let blocks = page().blocks();
    let named = blocks.iter().filter(|block| !block.language.is_empty());
    let names: Vec<_> = named.map(|block| block.name.as_str()).collect();
    assert_eq!(names, ["progress", "time-settings"]);
}
