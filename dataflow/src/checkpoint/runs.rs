//! What is merged: sorted runs, read from their front, a block at a time.

use super::error::CheckpointError;
use super::file::{BLOCK, BlockEntry, FileEntry};
use super::records::{Record, encode};
use super::store::Store;
use std::cmp::Ordering;
use std::marker::PhantomData;
use std::vec;

/// Sorts records and adds up those that are equal.
pub(super) fn consolidate<T: Record>(records: &mut Vec<T>) {
    records.sort_unstable_by(T::order);
    records.dedup_by(|next, first| {
        let is_same = first.order(next).is_eq();
        if is_same {
            first.add(next);
        }
        is_same
    });
    records.retain(|record| !record.is_zero());
}

/// A sorted run, read from its front.
pub(super) struct Run<'a, T> {
    blocks: Blocks<'a>,
    /// The block that is being read,
    payload: Vec<u8>,
    /// how far, in bytes,
    position: usize,
    /// and the records that it still has.
    left: u32,
    kind: PhantomData<T>,
}

enum Blocks<'a> {
    Stored {
        store: &'a Store,
        file: &'a FileEntry,
        blocks: vec::IntoIter<BlockEntry>,
    },
    Packed(vec::IntoIter<Packed>),
}

/// A block in memory, compressed.
struct Packed {
    payload: Vec<u8>,
    records: u32,
}

impl<'a, T: Record> Run<'a, T> {
    /// The run of which these are the blocks, in their order.
    pub(super) fn stored(
        store: &'a Store,
        file: &'a FileEntry,
        blocks: Vec<BlockEntry>,
    ) -> Run<'a, T> {
        Run::new(Blocks::Stored {
            store,
            file,
            blocks: blocks.into_iter(),
        })
    }

    /// Takes sorted records as a run that lies packed in memory.
    pub(super) fn packed(sorted: &mut Vec<T>) -> Run<'a, T> {
        let mut packed = Vec::new();
        let mut payload = Vec::new();
        let mut records = 0;
        let mut left = sorted.drain(..).peekable();
        while let Some(record) = left.next() {
            encode(&record, &mut payload);
            records += 1;
            if payload.len() >= BLOCK || left.peek().is_none() {
                packed.push(Packed {
                    payload: lz4_flex::block::compress_prepend_size(&payload),
                    records,
                });
                payload.clear();
                records = 0;
            }
        }
        Run::new(Blocks::Packed(packed.into_iter()))
    }

    fn new(blocks: Blocks<'a>) -> Run<'a, T> {
        Run {
            blocks,
            payload: Vec::new(),
            position: 0,
            left: 0,
            kind: PhantomData,
        }
    }

    /// The next record, or nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<T>, CheckpointError> {
        while self.position == self.payload.len() {
            if self.left > 0 {
                return Err(self.damaged("has fewer records than its index says"));
            }
            let Some((payload, records)) = self.blocks.next()? else {
                return Ok(None);
            };
            (self.payload, self.left, self.position) = (payload, records, 0);
        }
        let mut rest = &self.payload[self.position..];
        let record = T::take(&mut rest);
        self.position = self.payload.len() - rest.len();
        match (record, self.left.checked_sub(1)) {
            (Some(record), Some(left)) => {
                self.left = left;
                Ok(Some(record))
            }
            _ => Err(self.damaged("is not made of the records that its index says")),
        }
    }

    /// That it is not what it should be.
    pub(super) fn damaged(&self, detail: &str) -> CheckpointError {
        let object = match &self.blocks {
            Blocks::Stored { file, .. } => format!("files/{}", file.name),
            Blocks::Packed(_) => "a run in memory".to_owned(),
        };
        CheckpointError::damaged(object, format!("a block of it {detail}"))
    }
}

impl Blocks<'_> {
    /// The next block, decompressed, and the number of its records.
    fn next(&mut self) -> Result<Option<(Vec<u8>, u32)>, CheckpointError> {
        match self {
            Blocks::Stored {
                store,
                file,
                blocks,
            } => match blocks.next() {
                Some(block) => Ok(Some((store.read(file, &block)?, block.records))),
                None => Ok(None),
            },
            Blocks::Packed(blocks) => match blocks.next() {
                Some(block) => {
                    let payload = lz4_flex::block::decompress_size_prepended(&block.payload)
                        .map_err(|error| {
                            CheckpointError::damaged("a run in memory", error.to_string())
                        })?;
                    Ok(Some((payload, block.records)))
                }
                None => Ok(None),
            },
        }
    }
}

/// The first record of a run that has not been taken.
pub(super) struct Head<T> {
    pub(super) record: T,
    /// Which run.
    pub(super) number: usize,
}

/// The least record is the greatest head: what a heap gives first.
impl<T: Record> Ord for Head<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let records = other.record.order(&self.record);
        records.then_with(|| other.number.cmp(&self.number))
    }
}

impl<T: Record> PartialOrd for Head<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Record> PartialEq for Head<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Record> Eq for Head<T> {}
