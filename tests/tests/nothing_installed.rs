//! `tidemark -w 4`, with nothing installed and nothing said.

use end_to_end::oracle::{Store, VIEWS};
use end_to_end::pipeline::PATIENCE;
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Process, eventually, http};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The file of the embedded store that the process made where it was started.
fn store(process: &Process) -> Result<PathBuf, String> {
    let entries = std::fs::read_dir(process.directory()).map_err(|fault| fault.to_string())?;
    let mut names = entries.filter_map(Result::ok).map(|entry| entry.path());
    let file = names.find(|path| {
        path.extension()
            .is_some_and(|extension| extension == "sqlite" || extension == "db")
    });
    file.ok_or_else(|| "it has made no file yet".to_owned())
}

/// How many sales are in all rows.
fn sales(process: &Process) -> Result<i64, String> {
    let store = Sqlite::open(&store(process)?)?;
    for view in &VIEWS {
        match store.count(view.name)? {
            0 => return Err(format!("no row in {}", view.name)),
            _ => continue,
        }
    }
    let rows = store.documents("sales_analysis");
    Ok(rows
        .iter()
        .filter_map(|row| row.get_i64("number_of_sales").ok())
        .sum())
}

/// Where it says that its dashboard is.
fn address(process: &Process) -> Result<String, String> {
    let output = process.output();
    let start = output
        .find("127.0.0.1:")
        .ok_or("it has named no address yet")?;
    let address: String = output[start..]
        .chars()
        .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
        .collect();
    Ok(address.trim_end_matches(['.', ':']).to_owned())
}

/// The points of a chart of the shop's page, over a span: windows.
fn points(address: &str, chart: &str, span: &str) -> Result<usize, String> {
    let file = http::get_json(address, &format!("/shop/{chart}.json?span={span}"));
    let rows = file.as_array().ok_or("no list")?;
    let starts = |row: &serde_json::Value| {
        let mut columns = row.as_object()?.iter();
        let (_, start) = columns.find(|(name, _)| name.ends_with("start"))?;
        start.as_str().map(str::to_owned)
    };
    let starts: BTreeSet<String> = rows.iter().filter_map(starts).collect();
    Ok(starts.len())
}

/// A metric's values added up.
fn metric(address: &str, name: &str) -> Result<u64, String> {
    let (_, text) = http::get(address, "/metrics")?;
    let lines = text.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    Ok(values.sum())
}

#[test]
fn starts_with_a_history_goes_on_live_and_ends() {
    let mut run = Pipeline::bare("embedded").workers(4).start();
    let process = run.process();
    let address = eventually("it says where its dashboard is", PATIENCE, || {
        address(process)
    });
    let first = eventually("every view has rows", PATIENCE, || {
        process.assert_running();
        sales(process)
    });
    // Lines have as many points as windows. In the last hour of a day, the last 24 are of one
    // day alone.
    for (chart, span, least) in [
        ("revenue", "24h", 24),
        ("interactions", "24h", 24),
        ("logs", "24h", 24),
        ("customers", "all", 2),
    ] {
        eventually("the chart has a line", PATIENCE, || {
            match points(&address, chart, span)? {
                enough if enough >= least => Ok(()),
                few => Err(format!("{chart} of {span} has {few} points of {least}")),
            }
        });
    }
    let top = http::get_json(&address, "/shop/sold.json");
    let names = top.as_array().into_iter().flatten();
    let named = names.filter(|product| product["name"].as_str().is_some_and(|n| !n.is_empty()));
    assert!(named.count() > 10, "products have names: {top}");
    assert_eq!(
        http::get(&address, "/healthz").map(|(status, _)| status),
        Ok(200)
    );
    eventually("rows change", PATIENCE, || match sales(process)? {
        more if more > first => Ok(()),
        same => Err(format!("still {same} sales")),
    });
    // The history is in order: nothing of it comes late, and its windows are final.
    eventually("two days are final", PATIENCE, || {
        let store = Sqlite::open(&store(process)?)?;
        let rows = store.documents("log_analysis");
        let finals = rows
            .iter()
            .filter(|row| row.get_bool("final").unwrap_or(false));
        let starts = finals.filter_map(|row| row.get_datetime("window_start").ok());
        let starts: BTreeSet<_> = starts.collect();
        match starts.len() {
            enough if enough >= 45 => Ok(()),
            few => Err(format!("{few} windows are final")),
        }
    });
    assert_eq!(metric(&address, "tidemark_dead_letters_total"), Ok(0));
    let live = metric(&address, "tidemark_events_read_total").expect("events");
    eventually("it is live", PATIENCE, || {
        match metric(&address, "tidemark_events_read_total")? {
            more if more >= live + 1_000 => Ok(()),
            few => Err(format!("{few} events after {live}")),
        }
    });
    run.interrupt();
    assert_eq!(run.process().exit_code(PATIENCE), Some(0));
    let output = run.process().output();
    for unwelcome in ["WARN", "ERROR", "Broker", "Kafka"] {
        assert!(!output.contains(unwelcome), "{output}");
    }
    assert!(output.contains(" 0 dead letters"), "{output}");
    // Nobody asked for its file.
    assert!(store(run.process()).is_err(), "its file is left");
}

#[test]
fn each_run_is_a_new_log() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("kept.sqlite");
    let run = |name: &str| {
        Pipeline::bare(name)
            .flag("--sqlite", &file.to_string_lossy())
            .flag("--http", "off")
            .flag("--rate", "max")
            .workers(2)
    };
    let shown = |path: &Path| -> Result<i64, String> {
        let store = Sqlite::open(path)?;
        // Where there is no table yet, that is the error.
        store.count("log_analysis")?;
        let rows = store.documents("log_analysis");
        let lines = rows.iter().map(|row| row.get_i64("total_logs"));
        lines
            .sum::<Result<i64, _>>()
            .map_err(|fault| fault.to_string())
    };
    let first = run("first-log").start();
    eventually("there are rows", PATIENCE, || match shown(&file)? {
        0 => Err("none".to_owned()),
        _ => Ok(()),
    });
    first.drain();
    let before = shown(&file).expect("rows");

    // Whatever it would write means other messages.
    let mut second = run("second-log").start();
    assert_eq!(second.process().exit_code(PATIENCE), Some(1));
    second.says("a new log at each run");
    second.says("Give --sqlite another file");
    assert_eq!(shown(&file), Ok(before));

    // Unless all that was read is to be replaced.
    let views = VIEWS.map(|view| view.name).join(",");
    let third = run("third-log").flag("--reset-view", &views).start();
    eventually("rows are those of another log", PATIENCE, || {
        match shown(&file)? {
            0 => Err("none".to_owned()),
            same if same == before => Err("the same".to_owned()),
            _ => Ok(()),
        }
    });
    third.drain();
}

#[test]
fn two_of_them_find_a_port_each() {
    let mut first = Pipeline::bare("embedded-first").start();
    let mut second = Pipeline::bare("embedded-second").start();
    let one = eventually("the first is there", PATIENCE, || address(first.process()));
    let other = eventually("the second is there", PATIENCE, || {
        address(second.process())
    });
    assert_ne!(one, other);
    for address in [&one, &other] {
        let (status, _) = eventually("it answers", PATIENCE, || http::get(address, "/healthz"));
        assert_eq!(status, 200);
    }
    first.drain();
    second.drain();
}
