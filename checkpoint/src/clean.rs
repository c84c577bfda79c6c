//! Deleting what no checkpoint needs any more.
//!
//! The order is what makes it safe. Files are listed before manifests are read: a file
//! that came to be named meanwhile is seen to be. And manifests are deleted before the
//! files that only they name: a manifest that is there has its files.

use super::error::CheckpointError;
use super::manifest::{self, Manifest};
use super::store::{FILES, MANIFESTS, Store};
use model::fail_point;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Checkpoints before the newest that are kept, so that a person can go back.
const OLDER: usize = 2;

/// See [`Store::clean`].
pub(super) fn clean<S>(
    store: &Store,
    keep: &Manifest<S>,
    unfinished: &dyn Fn(&str) -> bool,
) -> Result<usize, CheckpointError> {
    let files = store.names(FILES)?;
    let sequences = store.sequences()?;
    let before = sequences.partition_point(|sequence| *sequence < keep.sequence);
    let (old, left) = sequences.split_at(before.saturating_sub(OLDER));
    let mut named: BTreeSet<String> = keep.names().map(str::to_owned).collect();
    for sequence in left {
        let manifest = store.manifest::<IgnoredAny>(*sequence)?;
        named.extend(manifest.names().map(str::to_owned));
    }
    for sequence in old {
        fail_point("clean.manifest");
        store.delete(MANIFESTS, &manifest::name(*sequence))?;
    }
    let mut deleted = 0;
    for name in files {
        if !named.contains(&name) && !unfinished(&name) {
            fail_point("clean.file");
            store.delete(FILES, &name)?;
            deleted += 1;
        }
    }
    if let Some(directory) = store.directory() {
        remove_staged(&directory.join(FILES), &|name| !unfinished(name));
    }
    Ok(deleted)
}

/// Removes what writers that were killed have left beside the files with these names:
/// until a file is finished, it lies in the same directory with `#` and a number behind
/// its name, and no listing shows it.
pub(super) fn remove_staged(directory: &Path, remove: &dyn Fn(&str) -> bool) {
    // What is not removed now is removed the next time; nothing reads it.
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let Some((name, _)) = name.to_str().and_then(|name| name.split_once('#')) else {
            continue;
        };
        if remove(name) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
