//! The file of a partition on a broker's disk, and how it is damaged.
//!
//! A batch is, on the disk as on the wire: base offset (8 bytes), length of what follows
//! (4), leader epoch (4), format (1), checksum of what follows (4), attributes (2), and then
//! more of the header, and its messages.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Length of a batch's header.
pub const HEADER: usize = 61;

/// Where in a batch a bit flips.
#[derive(Debug, Clone, Copy)]
pub enum At {
    /// In this byte.
    Byte(usize),
    /// In the last byte of the first place where this text stands.
    Text(&'static str),
}

/// Flips the bits of `mask` in a byte of the batch that begins with `offset`. The broker
/// may run: it reads from the file whenever it is asked.
///
/// # Panics
/// When there is no such batch, or the file cannot be written.
pub fn flip(segment: &Path, offset: i64, at: At, mask: u8) {
    let content = std::fs::read(segment).expect("a segment");
    let mut start = 0;
    let batch = loop {
        let header = content.get(start..start + HEADER).expect("a batch more");
        let base = i64::from_be_bytes(header[..8].try_into().expect("8 bytes"));
        let length = u32::from_be_bytes(header[8..12].try_into().expect("4 bytes"));
        let end = start + 12 + usize::try_from(length).expect("a length");
        if base == offset {
            break &content[start..end];
        }
        start = end;
    };
    let byte = match at {
        At::Byte(byte) => byte,
        At::Text(text) => {
            let mut places = batch.windows(text.len());
            let place = places.position(|place| place == text.as_bytes());
            place.expect("the text is in the batch") + text.len() - 1
        }
    };
    let flipped = [batch[byte] ^ mask];
    let file = OpenOptions::new().write(true).open(segment);
    let place = u64::try_from(start + byte).expect("a place");
    file.and_then(|file| file.write_all_at(&flipped, place))
        .expect("a byte is written");
}
