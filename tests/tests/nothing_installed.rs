//! `tidemark -w 4`, with nothing installed and nothing said.

use end_to_end::oracle::{Store, VIEWS};
use end_to_end::pipeline::PATIENCE;
use end_to_end::sqlite::Sqlite;
use end_to_end::{Pipeline, Process, eventually, http};
use std::path::PathBuf;

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

#[test]
fn starts_shows_rows_and_ends() {
    let mut run = Pipeline::bare("embedded").workers(4).start();
    let process = run.process();
    let first = eventually("every view has rows", PATIENCE, || {
        process.assert_running();
        sales(process)
    });
    let address = eventually("it says where its dashboard is", PATIENCE, || {
        address(process)
    });
    assert_eq!(
        http::get(&address, "/healthz").map(|(status, _)| status),
        Ok(200)
    );
    eventually("rows change", PATIENCE, || match sales(process)? {
        more if more > first => Ok(()),
        same => Err(format!("still {same} sales")),
    });
    run.drain();
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
