//! The objects of a checkpoint, in a directory or an object store.
//!
//! ```text
//!   URL/manifests/00000000000000000018.json    put once, never changed
//!   URL/files/NAME                             written once, never changed
//! ```
//!
//! Whoever restarts takes the manifest with the greatest number. So a checkpoint comes
//! to be in one step, when its manifest is put; two processes cannot both put the same
//! number.

use super::clean;
use super::error::CheckpointError;
use super::file::{BlockEntry, FileEntry, FileWriter};
use super::index;
use super::manifest::{self, Manifest};
use super::place::{self, Place};
use super::upload::Upload;
use bytes::Bytes;
use model::Epoch;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// The folder of files.
pub const FILES: &str = "files";
/// The folder of manifests.
pub(super) const MANIFESTS: &str = "manifests";

/// Threads that talk to the storage. Whoever calls waits for them, so that few do.
const THREADS: usize = 2;

/// A place for checkpoints. It may be shared by threads.
///
/// Its functions wait for the storage: they must not be called where a thread runs
/// futures.
pub struct Store {
    objects: Arc<Objects>,
}

/// What keeps the objects, and who talks to it.
pub(super) struct Objects {
    pub(super) inner: Box<dyn ObjectStore>,
    prefix: Path,
    directory: Option<PathBuf>,
    shown: String,
    /// There until this is dropped.
    runtime: Option<Runtime>,
}

impl Store {
    /// Opens the place at `url`: a directory (which is made if it is not there),
    /// `file://`, `s3://`, `gs://` or `az://`. How an object store is reached is in the
    /// environment, in variables that begin with `AWS_`, `GOOGLE_` or `AZURE_`.
    ///
    /// # Errors
    /// When there can be no checkpoint: an unknown scheme, a file, a directory that
    /// cannot be written to. Whether an object store answers is not asked here.
    pub fn open(url: &str) -> Result<Store, CheckpointError> {
        Store::at(place::open(url, true)?)
    }

    /// Opens the place at `url` to read what is there. Nothing is made or changed.
    ///
    /// # Errors
    /// When there is no checkpoint and can be none.
    pub fn open_to_read(url: &str) -> Result<Store, CheckpointError> {
        Store::at(place::open(url, false)?)
    }

    fn at(place: Place) -> Result<Store, CheckpointError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("checkpoint")
            .enable_all()
            .build()
            .map_err(CheckpointError::System)?;
        let objects = Objects {
            inner: place.objects,
            prefix: place.prefix,
            directory: place.directory,
            shown: place.shown,
            runtime: Some(runtime),
        };
        Ok(Store {
            objects: Arc::new(objects),
        })
    }

    /// The place, as it may be shown: nothing of it is secret.
    pub fn describe(&self) -> String {
        self.objects.shown.clone()
    }

    /// The newest manifest, or nothing where none has ever been put.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or is of a newer format. An older one is
    /// never taken instead.
    pub fn newest<S: DeserializeOwned>(&self) -> Result<Option<Manifest<S>>, CheckpointError> {
        match self.sequences()?.last() {
            Some(sequence) => self.manifest(*sequence).map(Some),
            None => Ok(None),
        }
    }

    /// The numbers of all manifests, in order.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn sequences(&self) -> Result<Vec<u64>, CheckpointError> {
        if let Some(directory) = &self.objects.directory {
            // A directory that has gone away would look like one without manifests.
            fs::metadata(directory).map_err(|error| {
                CheckpointError::io("reading", self.objects.shown.clone(), &error)
            })?;
        }
        let mut sequences: Vec<_> = self
            .names(MANIFESTS)?
            .iter()
            .filter_map(|name| manifest::sequence_of(name))
            .collect();
        sequences.sort_unstable();
        Ok(sequences)
    }

    /// The manifest with a number.
    ///
    /// # Errors
    /// When there is none of this number, or it cannot be read.
    pub fn manifest<S: DeserializeOwned>(
        &self,
        sequence: u64,
    ) -> Result<Manifest<S>, CheckpointError> {
        let path = self.objects.path(MANIFESTS, &manifest::name(sequence));
        let bytes = self.get(&path)?;
        Manifest::read(&self.objects.describe(&path), sequence, &bytes)
    }

    /// Puts a manifest: from then on it is the newest. All its files have to be
    /// finished. Putting the very same one again, after an answer that was lost, changes
    /// nothing.
    ///
    /// # Errors
    /// [`CheckpointError::Conflict`] when there is another one with its number: someone
    /// else goes on with this checkpoint. Else when the storage does not take it; it may
    /// be there all the same.
    pub fn commit<S: Serialize>(&self, manifest: &Manifest<S>) -> Result<(), CheckpointError> {
        let sequence = manifest.sequence;
        let path = self.objects.path(MANIFESTS, &manifest::name(sequence));
        let bytes = manifest.write()?;
        let payload = PutPayload::from(bytes.clone());
        let put = self
            .objects
            .inner
            .put_opts(&path, payload, PutMode::Create.into());
        let error = match self.objects.block_on(put) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let is_there = matches!(
            error,
            object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }
        );
        let object = self.objects.describe(&path);
        if !is_there {
            return Err(CheckpointError::storage("writing", object, &error));
        }
        let there = self.get(&path)?;
        if there == bytes {
            return self.objects.sync(&path);
        }
        let by = match Manifest::<IgnoredAny>::read(&object, sequence, &there) {
            Ok(other) => format!(" (generation {})", other.generation),
            Err(_) => String::new(),
        };
        Err(CheckpointError::Conflict {
            sequence,
            object,
            by,
        })
    }

    /// Begins a file. Its name is the caller's to choose, of letters, digits, `.`, `_`
    /// and `-`; it must never have been used, since a file of that name would be
    /// replaced. `lane` is the worker that writes it, and `from` the first epoch that it
    /// may have updates of.
    ///
    /// # Errors
    /// When that is no name.
    pub fn create(
        &self,
        name: &str,
        lane: usize,
        from: Epoch,
    ) -> Result<FileWriter, CheckpointError> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(is_name) {
            let detail = format!("{name:?} is no name of a file");
            return Err(CheckpointError::location(self.describe(), detail));
        }
        let path = self.objects.path(FILES, name);
        let upload = Upload::new(Arc::clone(&self.objects), path);
        FileWriter::new(upload, name, lane, from)
    }

    /// The blocks of a file, in the order in which they were written.
    ///
    /// # Errors
    /// When the file is missing, damaged, or not the one that the manifest names.
    pub fn blocks(&self, file: &FileEntry) -> Result<Vec<BlockEntry>, CheckpointError> {
        let path = self.objects.path(FILES, &file.name);
        let object = self.objects.describe(&path);
        let Some(start) = index::start(file) else {
            let detail = "the manifest says that it is shorter than its index";
            return Err(CheckpointError::damaged(object, detail));
        };
        let read = async {
            let options = GetOptions {
                range: Some((start..file.bytes).into()),
                ..GetOptions::default()
            };
            let found = self.objects.inner.get_opts(&path, options).await?;
            let bytes = found.meta.size;
            let header = self
                .objects
                .inner
                .get_range(&path, 0..index::HEADER)
                .await?;
            Ok((bytes, header, found.bytes().await?))
        };
        let (bytes, header, index) = match self.objects.block_on(read) {
            Ok(read) => read,
            Err(error) => return Err(self.unreadable(&path, file.bytes, &error)),
        };
        if bytes != file.bytes {
            return Err(wrong_length(object, bytes, file.bytes));
        }
        index::read(&object, file, &header, &index)
    }

    /// The records of a block, encoded.
    ///
    /// # Errors
    /// When the file is missing or this block of it is damaged.
    pub fn read(&self, file: &FileEntry, block: &BlockEntry) -> Result<Vec<u8>, CheckpointError> {
        let path = self.objects.path(FILES, &file.name);
        let range = block.offset..block.end();
        let read = self.objects.inner.get_range(&path, range);
        let stored = match self.objects.block_on(read) {
            Ok(stored) => stored,
            Err(error) => return Err(self.unreadable(&path, block.end(), &error)),
        };
        let damaged = |detail: String| {
            let at = block.offset;
            let detail = format!("the block of {} at byte {at} {detail}", block.section.id);
            CheckpointError::damaged(self.objects.describe(&path), detail)
        };
        if stored.len() as u64 != u64::from(block.length) {
            return Err(damaged("is cut off".to_owned()));
        }
        if crc32fast::hash(&stored) != block.checksum {
            return Err(damaged("has another checksum".to_owned()));
        }
        if block.length == block.raw {
            return Ok(stored.into());
        }
        let raw = block.raw as usize;
        let payload = lz4_flex::block::decompress(&stored, raw)
            .map_err(|error| damaged(format!("cannot be decompressed: {error}")))?;
        if payload.len() != raw {
            return Err(damaged("has another length".to_owned()));
        }
        Ok(payload)
    }

    /// Deletes what `keep` and the checkpoints near it do not need: manifests before the
    /// last two that are older than `keep`, and files that no manifest that is left
    /// names and that are not `unfinished`. Says how many files it has deleted.
    ///
    /// `unfinished` is asked by name, and has to be true of every file that may still
    /// come to be named: also of those of a newer generation, whose manifest may be put
    /// in this moment.
    ///
    /// # Errors
    /// When a manifest cannot be read: then no file is deleted. When something cannot be
    /// deleted; it is found again the next time.
    pub fn clean<S>(
        &self,
        keep: &Manifest<S>,
        unfinished: &dyn Fn(&str) -> bool,
    ) -> Result<usize, CheckpointError> {
        clean::clean(self, keep, unfinished)
    }

    /// The names of the objects of a folder.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn names(&self, folder: &str) -> Result<Vec<String>, CheckpointError> {
        let path = self.objects.prefix.clone().join(folder);
        let listed = self.objects.inner.list_with_delimiter(Some(&path));
        let listed = self.objects.block_on(listed).map_err(|error| {
            CheckpointError::storage("listing", self.objects.describe(&path), &error)
        })?;
        let names = listed.objects.iter();
        Ok(names
            .filter_map(|object| object.location.filename().map(str::to_owned))
            .collect())
    }

    /// Deletes an object. One that is not there is deleted.
    pub(super) fn delete(&self, folder: &str, name: &str) -> Result<(), CheckpointError> {
        let path = self.objects.path(folder, name);
        match self.objects.block_on(self.objects.inner.delete(&path)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => {
                let object = self.objects.describe(&path);
                Err(CheckpointError::storage("deleting", object, &error))
            }
        }
    }

    /// The directory, if this is one.
    pub(super) fn directory(&self) -> Option<&std::path::Path> {
        self.objects.directory.as_deref()
    }

    fn get(&self, path: &Path) -> Result<Bytes, CheckpointError> {
        let read = async { self.objects.inner.get(path).await?.bytes().await };
        self.objects.block_on(read).map_err(|error| {
            CheckpointError::storage("reading", self.objects.describe(path), &error)
        })
    }

    /// Why `end` bytes of an object could not be read: most often it is too short.
    fn unreadable(&self, path: &Path, end: u64, error: &object_store::Error) -> CheckpointError {
        let object = self.objects.describe(path);
        match self.objects.block_on(self.objects.inner.head(path)) {
            Ok(there) if there.size < end => wrong_length(object, there.size, end),
            _ => CheckpointError::storage("reading", object, error),
        }
    }
}

fn wrong_length(object: String, is: u64, should: u64) -> CheckpointError {
    CheckpointError::damaged(
        object,
        format!("it has {is} bytes and should have {should}"),
    )
}

impl Objects {
    /// Waits for the storage.
    pub(super) fn block_on<F: Future>(&self, what: F) -> F::Output {
        match &self.runtime {
            Some(runtime) => runtime.block_on(what),
            None => unreachable!("it is taken only when this is dropped"),
        }
    }

    /// Does something beside the caller.
    pub(super) fn spawn(&self, what: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(what);
        }
    }

    fn path(&self, folder: &str, name: &str) -> Path {
        self.prefix.clone().join(folder).join(name)
    }

    /// An object, as it may be shown.
    pub(super) fn describe(&self, path: &Path) -> String {
        let below = path.prefix_match(&self.prefix);
        let parts: Vec<String> = below
            .map(|parts| parts.map(|part| part.as_ref().to_owned()).collect())
            .unwrap_or_default();
        format!("{}/{}", self.shown.trim_end_matches('/'), parts.join("/"))
    }

    /// Removes what is left of an object that was being written, where that is a file
    /// beside it.
    pub(super) fn remove_staged(&self, path: &Path) {
        let (Some(directory), Some(name)) = (&self.directory, path.filename()) else {
            return;
        };
        clean::remove_staged(&directory.join(FILES), &|staged| staged == name);
    }

    /// Makes sure that an object that is there already is durable. An object store's
    /// always is; of a directory, it may be that only the last step failed before.
    fn sync(&self, path: &Path) -> Result<(), CheckpointError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let file = directory.join(path.as_ref());
        let sync = |path: &std::path::Path| File::open(path)?.sync_all();
        let synced = sync(&file).and_then(|()| file.parent().map_or(Ok(()), sync));
        synced.map_err(|error| CheckpointError::io("writing", self.describe(path), &error))
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // Not where futures run, and not for long.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
