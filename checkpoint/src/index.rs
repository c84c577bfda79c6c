//! Where the blocks of a file are: its header, and the index at its end.
//!
//! ```text
//!   header   "TIDEMARK" · format, four bytes
//!   blocks   one after the other
//!   index    an entry of 25 bytes for each block:
//!              section 4 · its sums 1 · run 4 · records 4 · raw length 4 · stored length 4 · checksum 4
//!   trailer  blocks 4 · checksum of header, index and number of blocks 4 · "TIDE.END"
//! ```
//!
//! All numbers have their lowest byte first. A block's checksum is in the index, and
//! the index's is in the manifest: so a whole manifest vouches for every byte.

use super::error::CheckpointError;
use super::file::{BlockEntry, FileEntry};
use super::records::{Section, SectionId};

/// The format that this program writes, and the only one it reads.
pub(super) const FORMAT: u32 = 3;
/// Bytes of the header.
pub(super) const HEADER: u64 = 12;
/// Bytes of an entry of the index.
const ENTRY: u64 = 25;
/// Bytes of the trailer.
const TRAILER: u64 = 16;
const MAGIC: &[u8; 8] = b"TIDEMARK";
const END: &[u8; 8] = b"TIDE.END";
/// No block is longer, raw or stored, in bytes: what says so is damaged.
pub(super) const LONGEST: u32 = 1 << 30;

/// The first bytes of a file.
pub(super) fn header() -> [u8; 12] {
    let mut header = [0; 12];
    header[..8].copy_from_slice(MAGIC);
    header[8..].copy_from_slice(&FORMAT.to_le_bytes());
    header
}

/// The last bytes of a file with these blocks, and their checksum.
pub(super) fn write(blocks: &[BlockEntry]) -> (Vec<u8>, u32) {
    let mut index = Vec::new();
    for block in blocks {
        index.extend_from_slice(&block.section.id.0.to_le_bytes());
        index.push(block.section.sums);
        for number in [
            block.run,
            block.records,
            block.raw,
            block.length,
            block.checksum,
        ] {
            index.extend_from_slice(&number.to_le_bytes());
        }
    }
    // A file of so many blocks would be petabytes.
    let count = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
    index.extend_from_slice(&count.to_le_bytes());
    let checksum = sum(&header(), &index);
    index.extend_from_slice(&checksum.to_le_bytes());
    index.extend_from_slice(END);
    (index, checksum)
}

/// The checksum of a header, an index and the number of its blocks.
fn sum(header: &[u8], index: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(header);
    sum.update(index);
    sum.finalize()
}

/// Where the index of a file begins, in bytes from its start.
pub(super) fn start(file: &FileEntry) -> Option<u64> {
    let length = u64::from(file.blocks) * ENTRY + TRAILER;
    file.bytes.checked_sub(length).filter(|at| *at >= HEADER)
}

/// The blocks of a file with this header and these last bytes, as far as they are
/// what the manifest says. `object` names the file in errors.
pub(super) fn read(
    object: &str,
    file: &FileEntry,
    header: &[u8],
    index: &[u8],
) -> Result<Vec<BlockEntry>, CheckpointError> {
    let damaged = |detail: &str| CheckpointError::damaged(object, detail);
    let Some((magic, format)) = header.split_first_chunk::<8>() else {
        return Err(damaged("it is too short"));
    };
    if magic != MAGIC {
        return Err(damaged("it does not begin as a file of a checkpoint"));
    }
    let format: [u8; 4] = format.try_into().map_err(|_| damaged("it is too short"))?;
    let found = u32::from_le_bytes(format);
    if found != FORMAT {
        return Err(CheckpointError::Version {
            object: object.to_owned(),
            found,
            reads: FORMAT,
        });
    }
    let Some((rest, end)) = index.split_last_chunk::<8>() else {
        return Err(damaged("it is too short"));
    };
    let Some((index, checksum)) = rest.split_last_chunk::<4>() else {
        return Err(damaged("it is too short"));
    };
    let checksum = u32::from_le_bytes(*checksum);
    if end != END || sum(header, index) != checksum {
        return Err(damaged("the index at its end has another checksum"));
    }
    if checksum != file.checksum {
        return Err(damaged("it is another file than the manifest names"));
    }
    entries(index, file).ok_or_else(|| damaged("its index contradicts the manifest"))
}

/// The entries of an index whose checksum is right.
fn entries(index: &[u8], file: &FileEntry) -> Option<Vec<BlockEntry>> {
    let (entries, count) = index.split_last_chunk::<4>()?;
    if u32::from_le_bytes(*count) != file.blocks {
        return None;
    }
    let mut offset = HEADER;
    let mut blocks = Vec::new();
    for entry in entries.chunks(usize::try_from(ENTRY).ok()?) {
        let (id, rest) = entry.split_first_chunk::<4>()?;
        let (&sums, mut numbers) = rest.split_first()?;
        let id = SectionId(u32::from_le_bytes(*id));
        let mut number = || {
            let (number, rest) = numbers.split_first_chunk::<4>()?;
            numbers = rest;
            Some(u32::from_le_bytes(*number))
        };
        let block = BlockEntry {
            section: Section { id, sums },
            run: number()?,
            records: number()?,
            raw: number()?,
            length: number()?,
            checksum: number()?,
            offset,
        };
        if block.raw > LONGEST || block.length > block.raw {
            return None;
        }
        offset = block.end();
        blocks.push(block);
    }
    (Some(offset) == start(file)).then_some(blocks)
}
