//! A folder for checkpoints, as a test sees it from the outside.

use crate::pipeline::{PATIENCE, Pipeline};
use crate::poll::eventually;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder for `--checkpoint`. It goes away with the test.
#[derive(Debug)]
pub struct Folder {
    home: TempDir,
}

impl Folder {
    /// An empty one.
    ///
    /// # Panics
    /// When the system gives none.
    #[allow(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Folder {
        let home = tempfile::tempdir().expect("a folder");
        Folder { home }
    }

    /// What is given to `--checkpoint`.
    pub fn url(&self) -> String {
        self.path().to_string_lossy().into_owned()
    }

    /// A command line that keeps its state there, of short epochs. What this machine is
    /// busy with does not decide what is late.
    #[must_use]
    pub fn kept_by(&self, pipeline: &Pipeline) -> Pipeline {
        pipeline
            .clone()
            .flag("--checkpoint", &self.url())
            .flag("--epoch", "20ms")
            .flag("--idle-timeout", "1h")
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.home.path().join("checkpoint")
    }

    /// The manifests there are, oldest first.
    pub fn manifests(&self) -> Vec<PathBuf> {
        files(&self.path().join("manifests"))
    }

    /// The files that hold the state.
    pub fn files(&self) -> Vec<PathBuf> {
        files(&self.path().join("files"))
    }

    /// Waits until a checkpoint has been committed by a run that had been started
    /// when `before` was the newest manifest: the first one after that only says whose
    /// it is.
    ///
    /// # Panics
    /// When there is none in time.
    pub fn await_another(&self, before: Option<PathBuf>) {
        let number = |manifest: &Path| -> Option<u64> {
            manifest.file_stem()?.to_string_lossy().parse().ok()
        };
        let before = before.and_then(|before| number(&before)).unwrap_or(0);
        eventually("another checkpoint is committed", PATIENCE, || {
            let manifests = self.manifests();
            let newest = manifests.last().and_then(|newest| number(newest));
            match newest.is_some_and(|newest| newest > before + 1) {
                true => Ok(()),
                false => Err(format!("{before} and then {newest:?}")),
            }
        });
    }
}

/// The files of a folder, by name; none where there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        // What is being written has another name.
        .filter(|path| !path.to_string_lossy().contains('#'))
        .collect();
    files.sort();
    files
}

/// Changes one bit in the middle of a file.
///
/// # Panics
/// When it cannot be read and written.
pub fn damage(file: &Path) {
    let mut bytes = fs::read(file).expect("the file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).expect("the file");
}
