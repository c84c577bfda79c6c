//! A file of a checkpoint: blocks of records, written as they come.
//!
//! ```text
//!   append(rows, run)     ─▶ ▒▒▒▒     buffer of rows    ─┐ full: compressed, one block
//!   append(members, run)  ─▶ ▒▒       buffer of members ─┼─▶ upload ─▶ files/NAME
//!   append(members, run)  ─▶ ▒▒▒      …                 ─┘
//! ```
//!
//! What workers append has the order of their arrangements, which is not that of its bytes: a
//! block of it has run 0, and is sorted by whoever wants order. What comes of a merge is one
//! *run* for each section, sorted by the bytes of keys: its blocks have its number, and in their
//! order they are sorted.

use super::error::CheckpointError;
use super::index;
use super::records::{Section, SectionId, records};
use super::upload::Upload;
use model::Epoch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::mem;

/// Bytes of records that make a block, before they are compressed. Large enough that
/// reading one is worth a request to an object store.
pub(super) const BLOCK: usize = 1 << 20;

/// The lengths of the pieces into which a payload is cut between records, each of
/// at least `BLOCK` bytes but the last, with the number of its records.
fn cut(section: Section, payload: &[u8]) -> Result<Vec<(usize, u64)>, CheckpointError> {
    let mut pieces = Vec::new();
    let mut records = records(payload, section);
    let (mut start, mut count) = (0, 0);
    while let Some(record) = records.next() {
        record?;
        count += 1;
        let length = records.behind() - start;
        if length >= BLOCK {
            pieces.push((length, count));
            (start, count) = (records.behind(), 0);
        }
    }
    if count > 0 {
        pieces.push((records.behind() - start, count));
    }
    Ok(pieces)
}

/// A file, as a manifest names it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name below `files/`.
    pub name: String,
    /// The worker that wrote it.
    pub lane: usize,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its records, by section.
    pub records: BTreeMap<SectionId, u64>,
    /// The number of its blocks.
    pub blocks: u32,
    /// The checksum of its index, which holds those of its blocks.
    pub checksum: u32,
    /// The first epoch that it may have updates of.
    pub from: Epoch,
    /// The last one.
    pub through: Epoch,
}

impl FileEntry {
    /// All its records.
    pub fn total_records(&self) -> u64 {
        self.records.values().sum()
    }
}

/// A block, as the index of its file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockEntry {
    /// What its records are of.
    pub section: Section,
    /// The sorted run that it is a piece of, from 1, or 0 where it has no order.
    pub run: u32,
    /// Its records.
    pub records: u32,
    /// Its length in bytes as it is read.
    pub raw: u32,
    /// Where it begins, in bytes from the start of its file.
    pub offset: u64,
    /// Its length in bytes as it is stored; that of `raw` where it is not compressed.
    pub length: u32,
    /// CRC-32 (IEEE) of what is stored.
    pub checksum: u32,
}

impl BlockEntry {
    /// Where it ends, in bytes from the start of its file.
    pub(super) fn end(&self) -> u64 {
        self.offset + u64::from(self.length)
    }
}

/// Writes a file. It takes no more memory than a block for each section, and what is
/// under way to the storage.
///
/// After an error it is of no use: drop it and write another file. One that is dropped
/// without [`FileWriter::finish`] leaves nothing that can be seen.
#[derive(Debug)]
pub struct FileWriter {
    upload: Upload,
    name: String,
    lane: usize,
    from: Epoch,
    blocks: Vec<BlockEntry>,
    /// Short runs that make no block yet.
    short: BTreeMap<Section, Short>,
    runs: u32,
}

#[derive(Debug, Default)]
struct Short {
    records: u64,
    payload: Vec<u8>,
}

impl FileWriter {
    pub(super) fn new(
        mut upload: Upload,
        name: &str,
        lane: usize,
        from: Epoch,
    ) -> Result<FileWriter, CheckpointError> {
        upload.write(&index::header())?;
        Ok(FileWriter {
            upload,
            name: name.to_owned(),
            lane,
            from,
            blocks: Vec::new(),
            short: BTreeMap::new(),
            runs: 0,
        })
    }

    /// Its name below `files/`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes written so far, without what still waits for its block to be full.
    pub fn bytes(&self) -> u64 {
        self.upload.bytes()
    }

    /// Appends `records` records of a section, encoded one after the other, in any order.
    ///
    /// # Errors
    /// When the storage does not take it; then nothing of this file is kept.
    pub fn append(
        &mut self,
        section: Section,
        records: u64,
        run: &[u8],
    ) -> Result<(), CheckpointError> {
        if run.len() > BLOCK {
            let mut left = run;
            for (length, records) in cut(section, run)? {
                let (piece, rest) = left.split_at(length);
                self.write_block(section, 0, records, piece)?;
                left = rest;
            }
            return Ok(());
        }
        let short = self.short.entry(section).or_default();
        short.records += records;
        short.payload.extend_from_slice(run);
        if short.payload.len() >= BLOCK {
            self.flush(section)?;
        }
        Ok(())
    }

    /// The number of a run that is written block by block.
    pub(super) fn begin_run(&mut self) -> u32 {
        self.runs += 1;
        self.runs
    }

    /// Writes a block: a piece of a sorted run, or (run 0) records in any order.
    pub(super) fn write_block(
        &mut self,
        section: Section,
        run: u32,
        records: u64,
        payload: &[u8],
    ) -> Result<(), CheckpointError> {
        let size = |length: usize| {
            let length = u32::try_from(length).ok();
            length.filter(|length| *length <= index::LONGEST)
        };
        let (Some(raw), Ok(records)) = (size(payload.len()), u32::try_from(records)) else {
            let detail = format!(
                "a record of {} bytes is too long for a block",
                payload.len()
            );
            return Err(CheckpointError::damaged(
                format!("files/{}", self.name),
                detail,
            ));
        };
        let compressed = lz4_flex::block::compress(payload);
        let stored = match compressed.len() < payload.len() {
            true => compressed.as_slice(),
            false => payload,
        };
        let block = BlockEntry {
            section,
            run,
            records,
            raw,
            offset: self.upload.bytes(),
            length: size(stored.len()).unwrap_or(raw),
            checksum: crc32fast::hash(stored),
        };
        self.upload.write(stored)?;
        self.blocks.push(block);
        Ok(())
    }

    /// Writes the short runs of a section as a block.
    fn flush(&mut self, section: Section) -> Result<(), CheckpointError> {
        let mut short = mem::take(self.short.entry(section).or_default());
        if short.records > 0 {
            self.write_block(section, 0, short.records, &short.payload)?;
        }
        // The buffer stays for what comes next.
        short.payload.clear();
        short.records = 0;
        self.short.insert(section, short);
        Ok(())
    }

    /// Writes what is left and the index. When it returns, the file is durable; a
    /// manifest may name it. `through` is the last epoch that it may have updates of.
    ///
    /// # Errors
    /// When the storage does not take it; then nothing of this file is kept.
    pub fn finish(mut self, through: Epoch) -> Result<FileEntry, CheckpointError> {
        let sections: Vec<_> = self.short.keys().copied().collect();
        for section in sections {
            self.flush(section)?;
        }
        let mut records = BTreeMap::new();
        for block in &self.blocks {
            *records.entry(block.section.id).or_insert(0) += u64::from(block.records);
        }
        let (index, checksum) = index::write(&self.blocks);
        self.upload.write(&index)?;
        let bytes = self.upload.bytes();
        self.upload.finish()?;
        Ok(FileEntry {
            name: self.name,
            lane: self.lane,
            bytes,
            records,
            // No file has as many blocks as would not fit.
            blocks: u32::try_from(self.blocks.len()).unwrap_or(u32::MAX),
            checksum,
            from: self.from,
            through,
        })
    }
}
