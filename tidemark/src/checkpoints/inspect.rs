//! `tidemark checkpoint inspect`: what the newest checkpoint at a place is.

use crate::print;
use checkpoint::CheckpointError;
use checkpoint::FileEntry;
use checkpoint::Store;
use dataflow::saving::{Manifest, State};
use jiff::Timestamp;
use serde::Serialize;
use sinks::Value;
use std::collections::BTreeMap;
use telemetry::format::{aligned, count, value};

/// Files that are listed at the most.
const MOST: usize = 40;

/// Prints what the newest checkpoint at `url` is: for people, or as JSON.
///
/// # Errors
/// When there is none, or its manifest cannot be read.
pub(super) fn inspect(url: &str, json: bool) -> Result<(), CheckpointError> {
    let store = Store::open_to_read(url)?;
    let manifest = newest(&store)?;
    let summary = Summary::of(&store, &manifest);
    let answer = match json {
        true => summary.json()?,
        false => summary.text(),
    };
    print::answer(answer.as_bytes()).map_err(CheckpointError::Print)
}

/// The newest manifest, for whoever cannot do without.
pub(super) fn newest(store: &Store) -> Result<Manifest, CheckpointError> {
    store.newest()?.ok_or_else(|| CheckpointError::None {
        url: store.describe(),
    })
}

/// A checkpoint, summed up.
#[derive(Serialize)]
struct Summary<'a> {
    url: String,
    checkpoint: &'a Manifest,
    /// The length of all files.
    bytes: u64,
    /// The records of all files, by the part of views' state that they are of; `dropped`, those of
    /// no view any more.
    records: BTreeMap<String, u64>,
}

impl Summary<'_> {
    fn of<'a>(store: &Store, manifest: &'a Manifest) -> Summary<'a> {
        let mut records = BTreeMap::new();
        for file in &manifest.files {
            for (part, count) in by_part(&manifest.state, file) {
                *records.entry(part.to_owned()).or_insert(0) += count;
            }
        }
        Summary {
            url: store.describe(),
            checkpoint: manifest,
            bytes: manifest.bytes(),
            records,
        }
    }

    fn json(&self) -> Result<String, CheckpointError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| CheckpointError::Print(error.into()))?;
        Ok(text + "\n")
    }

    /// Whole lines.
    fn text(&self) -> String {
        let manifest = self.checkpoint;
        let mut lines = vec![
            format!("checkpoint {} at {}", manifest.sequence, plain(&self.url)),
            format!("taken       {}", time(manifest.made_at)),
            format!("epoch       {}", manifest.epoch),
            format!("generation  {}", manifest.generation),
        ];
        self.views(&mut lines);
        self.offsets(&mut lines);
        self.files(&mut lines);
        lines.push(String::new());
        lines.join("\n")
    }

    fn views(&self, lines: &mut Vec<String>) {
        lines.push(String::new());
        let state = &self.checkpoint.state;
        for (view, definition) in &state.views {
            let watermark = state
                .watermark(view)
                .map_or("no watermark yet".to_owned(), |millis| {
                    format!("watermark {}", time(millis))
                });
            lines.push(format!("{}: {watermark}", plain(view)));
            lines.push(format!("  {}", plain(definition)));
        }
    }

    fn offsets(&self, lines: &mut Vec<String>) {
        let mut cells = vec![
            ["topic", "next offsets of its partitions"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for (topic, partitions) in self.checkpoint.state.offsets() {
            let offsets = partitions.iter();
            let offsets: Vec<_> = offsets
                .map(|(partition, offset)| format!("{partition}:{offset}"))
                .collect();
            cells.push(vec![plain(topic), offsets.join(" ")]);
        }
        lines.push(String::new());
        lines.extend(aligned(&cells));
    }

    fn files(&self, lines: &mut Vec<String>) {
        let parts: Vec<&str> = self.records.keys().map(String::as_str).collect();
        let mut heading: Vec<_> = ["file", "worker", "epochs", "bytes"]
            .map(str::to_owned)
            .into();
        heading.extend(parts.iter().map(|part| (*part).to_owned()));
        let mut cells = vec![heading];
        let files = &self.checkpoint.files;
        let state = &self.checkpoint.state;
        cells.extend(files.iter().take(MOST).map(|file| row(state, file, &parts)));
        let mut total = vec!["total".to_owned(), String::new(), String::new()];
        total.push(count(self.bytes));
        total.extend(self.records.values().map(|records| count(*records)));
        cells.push(total);
        lines.push(String::new());
        let table = aligned(&cells);
        lines.extend(table.iter().take(1 + files.len().min(MOST)).cloned());
        if let Some(more) = files.len().checked_sub(MOST).filter(|more| *more > 0) {
            lines.push(format!("and {} more", count(more as u64)));
        }
        lines.extend(table.last().cloned());
    }
}

fn row(state: &State, file: &FileEntry, parts: &[&str]) -> Vec<String> {
    let mut cells = vec![
        plain(&file.name),
        file.lane.to_string(),
        format!("{}-{}", file.from, file.through),
        count(file.bytes),
    ];
    let records = by_part(state, file);
    let records = parts.iter().map(|part| records.get(part));
    cells.extend(records.map(|records| records.map_or("-".to_owned(), |records| count(*records))));
    cells
}

/// The records of a file, by the part of views' state that they are of.
fn by_part<'a>(state: &'a State, file: &FileEntry) -> BTreeMap<&'a str, u64> {
    let mut parts = BTreeMap::new();
    for (section, records) in &file.records {
        let part = state.sections.get(section);
        let part = part.map_or("dropped", |section| &section.part);
        *parts.entry(part).or_insert(0) += records;
    }
    parts
}

/// A time in milliseconds since the UNIX epoch.
fn time(millis: i64) -> String {
    Timestamp::from_millisecond(millis)
        .map_or_else(|_| format!("{millis} ms"), |time| time.to_string())
}

/// A text of the manifest, in which nothing can move the cursor.
pub(super) fn plain(text: &str) -> String {
    value(&Value::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkpoint::SectionId;
    use dataflow::saving::testing::manifest;

    #[test]
    fn it_is_told_whole_and_in_short() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().to_str().unwrap();
        let store = Store::open(place).unwrap();
        let none = newest(&store).unwrap_err().to_string();
        assert_eq!(
            none,
            format!("checkpoint {place}: there is none. It takes what was given to --checkpoint")
        );
        let mut manifest = manifest(18, &["1-0-990", "1-1-990"]);
        manifest.files[1].records.insert(SectionId(1), 1_234);
        store.commit(&manifest).unwrap();
        let newest = newest(&store).unwrap();
        assert_eq!(
            Summary::of(&store, &newest).text(),
            format!(
                "\
checkpoint 18 at {place}
taken       2023-11-14T22:13:20.123Z
epoch       990
generation  4

sales_analysis: watermark 2023-11-14T22:13:20Z
  transactions by product_id

topic         next offsets of its partitions
transactions                        0:17 1:4

file     worker  epochs  bytes  members  rows
1-0-990       0     1-2    100        -     3
1-1-990       0     1-2    100    1,234     3
total                      200    1,234     6
"
            )
        );
        let json = Summary::of(&store, &newest).json().unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["checkpoint"]["sequence"], 18);
        assert_eq!(json["records"]["members"], 1_234);
        assert_eq!(json["checkpoint"]["files"][0]["name"], "1-0-990");
    }

    #[test]
    fn a_list_is_not_longer_than_a_screen() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap()).unwrap();
        let names: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = Summary::of(&store, &manifest(1, &names)).text();
        assert!(text.contains("\n39 "), "{text}");
        assert!(text.contains("\nand 10 more\ntotal "), "{text}");
    }
}
