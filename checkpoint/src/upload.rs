//! One object, written as it comes: in parts where it is long, else at once.
//!
//! A part is under way to the storage while the next one fills up. Nothing is visible
//! under the object's name until all of it is there.

use super::error::CheckpointError;
use super::store::Objects;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use std::fmt;
use std::mem;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Bytes of a part. Object stores take 10,000 of them for one object, and none below
/// 5 MiB but the last.
const PART: usize = 8 << 20;

/// An object that is being written.
pub(super) struct Upload {
    objects: Arc<Objects>,
    path: Path,
    buffer: Vec<u8>,
    bytes: u64,
    parts: Option<Parts>,
}

/// Of an object that is longer than one part.
struct Parts {
    upload: Box<dyn MultipartUpload>,
    under_way: Option<JoinHandle<object_store::Result<()>>>,
}

impl Upload {
    /// Writes to the object at `path`. Nothing is asked of the storage yet.
    pub(super) fn new(objects: Arc<Objects>, path: Path) -> Upload {
        Upload {
            objects,
            path,
            buffer: Vec::new(),
            bytes: 0,
            parts: None,
        }
    }

    /// How much has been written, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends to it.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), CheckpointError> {
        self.bytes += bytes.len() as u64;
        while self.buffer.len() + bytes.len() >= PART {
            let (now, later) = bytes.split_at(PART - self.buffer.len());
            self.buffer.extend_from_slice(now);
            let part = mem::take(&mut self.buffer);
            self.send(part)?;
            bytes = later;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Sends a part, when the one before it has arrived.
    fn send(&mut self, part: Vec<u8>) -> Result<(), CheckpointError> {
        let objects = Arc::clone(&self.objects);
        let sent = objects.block_on(async {
            if self.parts.is_none() {
                let upload = objects.inner.put_multipart(&self.path).await?;
                let under_way = None;
                self.parts = Some(Parts { upload, under_way });
            }
            if let Some(parts) = &mut self.parts {
                parts.wait().await?;
                parts.under_way = Some(tokio::spawn(parts.upload.put_part(part.into())));
            }
            Ok(())
        });
        sent.map_err(|error| self.failed(&error))
    }

    /// Writes what is left. When it returns, the object is there, and durable.
    pub(super) fn finish(mut self) -> Result<(), CheckpointError> {
        let last = PutPayload::from(mem::take(&mut self.buffer));
        let objects = Arc::clone(&self.objects);
        let finished = objects.block_on(async {
            match &mut self.parts {
                None => objects.inner.put(&self.path, last).await.map(|_| ()),
                Some(parts) => {
                    parts.wait().await?;
                    if last.content_length() > 0 {
                        parts.upload.put_part(last).await?;
                    }
                    parts.upload.complete().await.map(|_| ())
                }
            }
        });
        finished.map_err(|error| self.failed(&error))?;
        self.parts = None;
        Ok(())
    }

    fn failed(&self, error: &object_store::Error) -> CheckpointError {
        CheckpointError::storage("writing", self.objects.describe(&self.path), error)
    }
}

impl Parts {
    /// Waits until nothing is under way.
    async fn wait(&mut self) -> object_store::Result<()> {
        match self.under_way.take() {
            Some(under_way) => under_way.await?,
            None => Ok(()),
        }
    }
}

/// What is not finished is given up. That nothing of it stays is a matter of
/// tidiness: nothing names it.
impl Drop for Upload {
    fn drop(&mut self) {
        let Some(mut parts) = self.parts.take() else {
            return;
        };
        let objects = Arc::clone(&self.objects);
        let path = self.path.clone();
        // Beside the caller: a storage that is away takes its time.
        self.objects.spawn(async move {
            // Whatever became of it, it is over.
            let _ = parts.wait().await;
            let _ = parts.upload.abort().await;
            objects.remove_staged(&path);
        });
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("path", &self.path)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
