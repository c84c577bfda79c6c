//! `tidemark checkpoint verify`: is every byte of the newest checkpoint as it was
//! written?

use super::inspect::{newest, plain};
use crate::print;
use checkpoint::CheckpointError;
use checkpoint::FileEntry;
use checkpoint::records;
use checkpoint::{FILES, Store};
use dataflow::saving::{Manifest, State};
use indicatif::{ProgressBar, ProgressStyle};
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _};
use telemetry::format::count;

/// Reads all of the newest checkpoint at `url`, with a bar on a terminal, and prints what
/// is damaged.
///
/// # Errors
/// When something is damaged or missing, there is no checkpoint, or it cannot be read.
pub(super) fn verify(url: &str) -> Result<(), CheckpointError> {
    let store = Store::open_to_read(url)?;
    let manifest = newest(&store)?;
    let bar = bar(manifest.bytes());
    let verified = check(&store, &manifest, &|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    print::answer(verified.text().as_bytes()).map_err(CheckpointError::Print)?;
    match verified.damaged.len() {
        0 => Ok(()),
        damaged => Err(CheckpointError::NotWhole {
            url: store.describe(),
            damaged,
            files: manifest.files.len() + verified.older,
        }),
    }
}

/// What is found.
struct Verified {
    sequence: u64,
    files: usize,
    blocks: u64,
    records: u64,
    bytes: u64,
    /// Older manifests that are kept.
    older: usize,
    /// What is damaged, one line each.
    damaged: Vec<String>,
    /// Files that no manifest names.
    unnamed: Vec<String>,
}

/// Reads every block of every file; `done` is told how many bytes more are behind.
fn check(
    store: &Store,
    manifest: &Manifest,
    done: &dyn Fn(u64),
) -> Result<Verified, CheckpointError> {
    let mut verified = Verified {
        sequence: manifest.sequence,
        files: manifest.files.len(),
        blocks: 0,
        records: 0,
        bytes: manifest.bytes(),
        older: 0,
        damaged: vec![],
        unnamed: vec![],
    };
    for file in &manifest.files {
        match check_file(store, &manifest.state, file, &mut verified) {
            Ok(()) => {}
            Err(error) => verified.damaged.push(damage(error)?),
        }
        done(file.bytes);
    }
    let files = store.names(FILES)?;
    let mut named: BTreeSet<String> = manifest.names().map(str::to_owned).collect();
    for sequence in store.sequences()? {
        if sequence == manifest.sequence {
            continue;
        }
        verified.older += 1;
        match store.manifest::<IgnoredAny>(sequence) {
            Ok(other) => named.extend(other.names().map(str::to_owned)),
            // It may have been deleted in this moment, by the pipeline that runs.
            Err(CheckpointError::Missing { .. }) => {}
            Err(error) => verified.damaged.push(damage(error)?),
        }
    }
    verified.unnamed = files;
    verified.unnamed.retain(|name| !named.contains(name));
    Ok(verified)
}

/// What is wrong with a file, or that nothing is known because it could not be read.
fn damage(error: CheckpointError) -> Result<String, CheckpointError> {
    match error {
        CheckpointError::Damaged { object, detail } => {
            Ok(format!("{} is damaged: {detail}", plain(&object)))
        }
        CheckpointError::Missing { object } => Ok(format!("{} is missing", plain(&object))),
        CheckpointError::Version { .. } => Ok(plain(&error.to_string())),
        error => Err(error),
    }
}

fn check_file(
    store: &Store,
    state: &State,
    file: &FileEntry,
    verified: &mut Verified,
) -> Result<(), CheckpointError> {
    let object = format!("files/{}", file.name);
    let mut by_section = BTreeMap::new();
    for block in store.blocks(file)? {
        let payload = store.read(file, &block)?;
        let mut found = 0;
        for record in records(&payload, block.section) {
            record?;
            found += 1;
        }
        if found != u64::from(block.records) {
            let name = state.section_name(block.section.id);
            let detail = format!("a block of {name} does not have the records it should");
            return Err(CheckpointError::damaged(object, detail));
        }
        *by_section.entry(block.section.id).or_insert(0) += found;
        verified.blocks += 1;
        verified.records += found;
    }
    if by_section != file.records {
        let detail = "it does not have the records that the manifest says";
        return Err(CheckpointError::damaged(object, detail));
    }
    Ok(())
}

impl Verified {
    /// Whole lines.
    fn text(&self) -> String {
        let mut lines = self.damaged.clone();
        if self.damaged.is_empty() {
            lines.push(format!(
                "checkpoint {} is whole: {} files, {} blocks, {} records, {} bytes",
                self.sequence,
                count(self.files as u64),
                count(self.blocks),
                count(self.records),
                count(self.bytes),
            ));
        }
        if !self.unnamed.is_empty() {
            lines.push(format!(
                "{} files are not named by any checkpoint: they are being written, or were left \
                 by a process that was killed, and are deleted after one of the next checkpoints",
                count(self.unnamed.len() as u64)
            ));
            lines.extend(
                self.unnamed
                    .iter()
                    .map(|name| format!("  files/{}", plain(name))),
            );
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

/// Shown on a terminal only.
fn bar(bytes: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    // A template that is not understood would only cost the looks.
    let style =
        ProgressStyle::with_template("{bar:30} {percent:>3} % of {total_bytes} · {bytes_per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkpoint::SectionId;
    use dataflow::saving::testing::{manifest_of, write};
    use std::cell::Cell;
    use std::fs;
    use tempfile::TempDir;

    /// Two files, in two checkpoints.
    fn two() -> (TempDir, Store, Manifest) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap()).unwrap();
        let files = ["a", "b"].map(|name| write(&store, name, "members", name.as_bytes(), &[1]));
        store.commit(&manifest_of(1, files[..1].to_vec())).unwrap();
        let newest = manifest_of(2, files.to_vec());
        store.commit(&newest).unwrap();
        (directory, store, newest)
    }

    fn said(store: &Store, manifest: &Manifest) -> String {
        check(store, manifest, &|_| {}).unwrap().text()
    }

    #[test]
    fn a_whole_one_is_said_to_be_whole() {
        let (directory, store, newest) = two();
        let read = Cell::new(0);
        let verified = check(&store, &newest, &|bytes| read.set(read.get() + bytes)).unwrap();
        assert_eq!(read.get(), newest.bytes());
        let whole = format!(
            "checkpoint 2 is whole: 2 files, 2 blocks, 2 records, {} bytes\n",
            newest.bytes()
        );
        assert_eq!(verified.text(), whole);
        verify(directory.path().to_str().unwrap()).unwrap();
        write(&store, "left", "members", b"left", &[1]);
        let left = said(&store, &newest);
        assert!(left.starts_with(&whole), "{left}");
        assert!(
            left.contains("1 files are not named by any checkpoint"),
            "{left}"
        );
        assert!(left.ends_with("\n  files/left\n"), "{left}");
        verify(directory.path().to_str().unwrap()).unwrap();
    }

    #[test]
    fn everything_that_is_damaged_is_told() {
        let (directory, store, newest) = two();
        let file = |name: &str| directory.path().join(FILES).join(name);
        let mut bytes = fs::read(file("a")).unwrap();
        bytes[13] ^= 4;
        fs::write(file("a"), bytes).unwrap();
        fs::remove_file(file("b")).unwrap();
        let old = directory.path().join("manifests/00000000000000000001.json");
        fs::write(old, "{}").unwrap();
        let said = said(&store, &newest);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 3, "{said}");
        assert!(
            lines[0].ends_with(
                "/files/a is damaged: the block of section 1 at byte 12 has another checksum"
            ),
            "{said}"
        );
        assert!(lines[1].ends_with("/files/b is missing"), "{said}");
        assert!(
            lines[2].contains("0001.json is damaged: it is no manifest"),
            "{said}"
        );
        let error = verify(directory.path().to_str().unwrap()).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("is not whole: 3 of 3 files are damaged or missing"),
            "{error}"
        );
        assert_eq!(error.exit_code(), std::process::ExitCode::FAILURE);
    }

    #[test]
    fn records_that_the_manifest_does_not_know_are_damage() {
        let (_directory, store, mut newest) = two();
        newest.files[0].records.insert(SectionId(1), 2);
        let said = said(&store, &newest);
        assert!(
            said.contains("files/a is damaged: it does not have the records"),
            "{said}"
        );
    }

    #[test]
    fn where_there_is_none_nothing_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let nowhere = directory.path().join("typo");
        let error = verify(nowhere.to_str().unwrap()).unwrap_err();
        assert!(matches!(error, CheckpointError::None { .. }), "{error}");
        assert!(!nowhere.exists());
        let error = verify(directory.path().to_str().unwrap()).unwrap_err();
        assert!(matches!(error, CheckpointError::None { .. }), "{error}");
    }
}
