//! What is merged: sorted runs of records, read from their front, a block at a time.

use super::error::CheckpointError;
use super::file::{BLOCK, BlockEntry, FileEntry};
use super::records::{RawRecord, Section, add, records};
use super::store::Store;
use std::cmp::Ordering;
use std::ops::Range;
use std::vec;

/// Records in no order, to be sorted.
pub(super) struct Unsorted {
    section: Section,
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// Where a record lies, and how its key begins: most comparisons need no more.
struct Place {
    begins: u128,
    key: Range<usize>,
    end: usize,
}

impl Unsorted {
    pub(super) fn new(section: Section) -> Unsorted {
        Unsorted {
            section,
            bytes: Vec::new(),
            places: Vec::new(),
        }
    }

    /// One more.
    pub(super) fn push(&mut self, record: RawRecord<'_>) {
        let key = self.bytes.len()..self.bytes.len() + record.key.len();
        self.bytes.extend_from_slice(record.key);
        self.bytes.extend_from_slice(record.sums);
        self.places.push(Place {
            begins: beginning(record.key),
            key,
            end: self.bytes.len(),
        });
    }

    /// How much memory they take, in bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    /// Takes them as a sorted run, in which equal ones are added up. It lies in memory, packed.
    pub(super) fn sort(&mut self) -> Result<Run<'static>, CheckpointError> {
        let Unsorted {
            section,
            bytes,
            places,
        } = self;
        let key = |place: &Place| &bytes[place.key.clone()];
        places.sort_unstable_by(|one, other| {
            let begin = one.begins.cmp(&other.begins);
            begin.then_with(|| key(one).cmp(key(other)))
        });
        let mut blocks = Vec::new();
        let mut adding = Adding::new();
        for place in places.iter() {
            let record = RawRecord {
                key: key(place),
                sums: &bytes[place.key.end..place.end],
            };
            if adding.is_another(section.sums, record)? {
                adding.finish(|record| !record.is_zero());
                if adding.payload.len() >= BLOCK {
                    blocks.push(Packed::of(&mut adding));
                }
                adding.begin(record);
            }
        }
        adding.finish(|record| !record.is_zero());
        blocks.push(Packed::of(&mut adding));
        bytes.clear();
        places.clear();
        Ok(Run::new(*section, Blocks::Packed(blocks.into_iter())))
    }
}

/// The first sixteen bytes of a key, as a number that orders as they do.
#[inline]
fn beginning(key: &[u8]) -> u128 {
    match key.first_chunk() {
        Some(whole) => u128::from_be_bytes(*whole),
        None => {
            let mut padded = [0; 16];
            padded[..key.len()].copy_from_slice(key);
            u128::from_be_bytes(padded)
        }
    }
}

/// Records in their order, of which equal ones are added up.
pub(super) struct Adding {
    /// All that are finished, and the last.
    pub(super) payload: Vec<u8>,
    /// How many are finished.
    pub(super) records: u64,
    /// Where the last one is: its length, its key, its sums.
    last: Option<Last>,
    sums: Vec<u8>,
}

struct Last {
    start: usize,
    key: Range<usize>,
}

impl Adding {
    pub(super) fn new() -> Adding {
        Adding {
            payload: Vec::new(),
            records: 0,
            last: None,
            sums: Vec::new(),
        }
    }

    /// Adds a record of a section with so many `sums` to the last one if both have one key; else it
    /// is another one.
    pub(super) fn is_another(
        &mut self,
        sums: u8,
        record: RawRecord<'_>,
    ) -> Result<bool, CheckpointError> {
        let Some(Last { key, .. }) = &self.last else {
            return Ok(true);
        };
        if self.payload[key.clone()] != *record.key {
            return Ok(true);
        }
        self.sums.clear();
        if add(sums, &self.payload[key.end..], record.sums, &mut self.sums).is_none() {
            let detail = "its sums are no numbers";
            return Err(CheckpointError::damaged("a record", detail));
        }
        self.payload.truncate(key.end);
        self.payload.extend_from_slice(&self.sums);
        Ok(false)
    }

    /// Whether the last one has a greater key.
    pub(super) fn is_behind(&self, record: RawRecord<'_>) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|last| self.payload[last.key.clone()] > *record.key)
    }

    /// No record is added to the last one any more. It stays if it is to be `kept`.
    pub(super) fn finish(&mut self, kept: impl FnOnce(RawRecord<'_>) -> bool) {
        let Some(Last { start, key }) = self.last.take() else {
            return;
        };
        let (key, sums) = (&self.payload[key.clone()], &self.payload[key.end..]);
        match kept(RawRecord { key, sums }) {
            true => self.records += 1,
            false => self.payload.truncate(start),
        }
    }

    /// Another record, to which equal ones are added.
    pub(super) fn begin(&mut self, record: RawRecord<'_>) {
        let start = self.payload.len();
        let length = record.key.len();
        super::records::put(
            &mut self.payload,
            |into| into.extend_from_slice(record.key),
            |into| into.extend_from_slice(record.sums),
        );
        let end = self.payload.len() - record.sums.len();
        self.last = Some(Last {
            start,
            key: end - length..end,
        });
    }
}

/// A sorted run, read from its front.
pub(super) struct Run<'a> {
    section: Section,
    blocks: Blocks<'a>,
    /// The block that is being read,
    payload: Vec<u8>,
    /// the record that it has come to,
    begins: u128,
    key: Range<usize>,
    end: usize,
    /// and how many follow.
    left: u32,
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

impl Packed {
    /// What has been added up so far.
    fn of(adding: &mut Adding) -> Packed {
        let packed = Packed {
            payload: lz4_flex::block::compress_prepend_size(&adding.payload),
            // A block of about a megabyte has no more.
            records: u32::try_from(adding.records).unwrap_or(u32::MAX),
        };
        adding.payload.clear();
        adding.records = 0;
        packed
    }
}

impl<'a> Run<'a> {
    /// The run of which these are the blocks, in their order.
    pub(super) fn stored(
        store: &'a Store,
        file: &'a FileEntry,
        section: Section,
        blocks: Vec<BlockEntry>,
    ) -> Run<'a> {
        let blocks = blocks.into_iter();
        Run::new(
            section,
            Blocks::Stored {
                store,
                file,
                blocks,
            },
        )
    }

    fn new(section: Section, blocks: Blocks<'a>) -> Run<'a> {
        Run {
            section,
            blocks,
            payload: Vec::new(),
            begins: 0,
            key: 0..0,
            end: 0,
            left: 0,
        }
    }

    /// The record that it has come to.
    pub(super) fn record(&self) -> RawRecord<'_> {
        RawRecord {
            key: &self.payload[self.key.clone()],
            sums: &self.payload[self.key.end..self.end],
        }
    }

    /// Compares the records that two runs have come to.
    pub(super) fn order(&self, other: &Run<'_>) -> Ordering {
        let begin = self.begins.cmp(&other.begins);
        begin.then_with(|| self.record().key.cmp(other.record().key))
    }

    /// Comes to the next record; false at the end.
    pub(super) fn step(&mut self) -> Result<bool, CheckpointError> {
        while self.end == self.payload.len() {
            if self.left > 0 {
                return Err(self.damaged("has fewer records than its index says"));
            }
            let Some((payload, records)) = self.blocks.next()? else {
                return Ok(false);
            };
            (self.payload, self.left, self.end) = (payload, records, 0);
        }
        let rest = &self.payload[self.end..];
        let mut next = records(rest, self.section);
        let record = next.next();
        let behind = next.behind();
        let (Some(Ok(record)), Some(left)) = (record, self.left.checked_sub(1)) else {
            return Err(self.damaged("is not made of the records that its index says"));
        };
        self.begins = beginning(record.key);
        let (key, sums) = (record.key.len(), record.sums.len());
        self.left = left;
        self.end += behind;
        self.key = self.end - sums - key..self.end - sums;
        Ok(true)
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
