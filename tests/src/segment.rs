//! The file of a partition on a broker's disk, and how it is damaged.
//!
//! A batch is, on the disk as on the wire: base offset (8 bytes), length of what follows
//! (4), leader epoch (4), format (1), checksum of what follows (4), attributes (2), and then
//! more of the header, and its messages.

use std::fs::{File, OpenOptions};
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

/// A byte that is damaged, for as long as this lives: a broker that is killed later could
/// not start again with it.
#[derive(Debug)]
pub struct Damage {
    segment: File,
    place: u64,
    whole: u8,
}

impl Drop for Damage {
    fn drop(&mut self) {
        // A test's verdict does not depend on how well it tidied up.
        let _ = self.segment.write_all_at(&[self.whole], self.place);
    }
}

/// Flips the bits of `mask` in a byte of the batch that begins with `offset`. The broker
/// may run: it reads from the file whenever it is asked.
///
/// # Panics
/// When there is no such batch, or the file cannot be written.
#[must_use]
pub fn flip(segment: &Path, offset: i64, at: At, mask: u8) -> Damage {
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
    let file = OpenOptions::new().write(true).open(segment);
    let damage = Damage {
        segment: file.expect("the segment can be written"),
        place: u64::try_from(start + byte).expect("a place"),
        whole: batch[byte],
    };
    let flipped = damage.whole ^ mask;
    let written = damage.segment.write_all_at(&[flipped], damage.place);
    written.expect("a byte is written");
    damage
}
