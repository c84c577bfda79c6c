//! Several files as one that adds up to the same.
//!
//! ```text
//!   long runs    ▒▒▒▒ ▒▒▒▒ ▒▒▒▒ ─┐ a block at a time
//!   long runs    ▒▒▒▒ ▒▒▒▒ ──────┼─▶ least first, equal ones added, zeros dropped ─▶ one run
//!   short runs   ▒▒ ▒▒ ─▶ sorted ┘
//! ```
//!
//! One section after the other. Blocks that hold several short runs are sorted first,
//! so many at a time as fit the memory set aside for it; what is sorted is kept packed,
//! as runs that lie in memory. So all of it takes a block for each run, what is packed
//! of the short runs (about as much as their files), and [`SORTED`].

use super::error::CheckpointError;
use super::file::{BLOCK, BlockEntry, FileEntry, FileWriter, Section};
use super::records::{Final, Record, encode};
use super::runs::{Head, Run, consolidate};
use super::store::Store;
use crate::Epoch;
use crate::views::join::{ByCustomer, ByProduct, Pieces, Sale};
use crate::views::key::Key;
use crate::views::sums::Sums;
use events::Id;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::mem;

/// Bytes of records that are sorted at once.
const SORTED: usize = 64 << 20;

/// Merges `files` to a new one: `name`, `lane` as [`Store::create`] takes them. It adds
/// up to the same as they do, with long sorted runs and no zeros; final rows of epochs
/// up to `finals_after` are left out, all others are kept. It may have no records at
/// all. The files that it is made of stay.
///
/// # Errors
/// When a file is missing or damaged, or the storage does not do what it is asked. Then
/// there is no new file.
pub fn merge(
    store: &Store,
    files: &[FileEntry],
    name: &str,
    lane: usize,
    finals_after: Epoch,
) -> Result<FileEntry, CheckpointError> {
    merge_within(store, files, name, lane, finals_after, SORTED)
}

/// [`merge`], with as much memory to sort in.
fn merge_within(
    store: &Store,
    files: &[FileEntry],
    name: &str,
    lane: usize,
    finals_after: Epoch,
    sorted: usize,
) -> Result<FileEntry, CheckpointError> {
    let from = files.iter().map(|file| file.from).min().unwrap_or(0);
    let through = files.iter().map(|file| file.through).max().unwrap_or(0);
    let mut inputs = Inputs {
        store,
        files: Vec::new(),
        sorted,
    };
    for file in files {
        inputs.files.push((file, store.blocks(file)?));
    }
    let mut writer = store.create(name, lane, from)?;
    let out = &mut writer;
    inputs.merge::<(Key, Sums)>(Section::Rows, out, &|_| true)?;
    inputs.merge::<(Key, Id, isize)>(Section::Members, out, &|_| true)?;
    inputs.merge::<(Key, i64, isize)>(Section::Latest, out, &|_| true)?;
    inputs.merge::<(Id, Sale, isize)>(Section::Sales, out, &|_| true)?;
    inputs.merge::<(Id, ByCustomer, Pieces)>(Section::ByCustomer, out, &|_| true)?;
    inputs.merge::<(Id, ByProduct, Pieces)>(Section::ByProduct, out, &|_| true)?;
    inputs.merge::<Final>(Section::Finals, out, &|row| row.epoch > finals_after)?;
    writer.finish(through)
}

/// The files that are merged.
struct Inputs<'a> {
    store: &'a Store,
    files: Vec<(&'a FileEntry, Vec<BlockEntry>)>,
    /// Bytes of records that are sorted at once.
    sorted: usize,
}

impl Inputs<'_> {
    /// Merges what they have of a section, without the records that are not to be kept.
    fn merge<T: Record>(
        &self,
        section: Section,
        writer: &mut FileWriter,
        keep: &dyn Fn(&T) -> bool,
    ) -> Result<(), CheckpointError> {
        let mut runs = self.runs::<T>(section)?;
        let mut heads = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            if let Some(record) = run.next()? {
                heads.push(Head { record, number });
            }
        }
        let mut out = Out {
            run: writer.begin_run(),
            writer,
            section,
            records: 0,
            payload: Vec::new(),
        };
        let mut sum: Option<T> = None;
        while let Some(mut head) = heads.peek_mut() {
            let run = &mut runs[head.number];
            let record = match run.next()? {
                Some(next) => mem::replace(&mut head.record, next),
                None => PeekMut::pop(head).record,
            };
            let Some(so_far) = &mut sum else {
                sum = Some(record);
                continue;
            };
            match so_far.order(&record) {
                Ordering::Equal => so_far.add(&record),
                Ordering::Less => out.push(&mem::replace(so_far, record), keep)?,
                // What was taken was the least of all heads; only what follows it in its
                // own run can be less.
                Ordering::Greater => return Err(run.damaged("is not sorted")),
            }
        }
        if let Some(last) = sum {
            out.push(&last, keep)?;
        }
        out.flush()
    }

    /// The sorted runs of a section: those of the files, and what is made of others.
    fn runs<T: Record>(&self, section: Section) -> Result<Vec<Run<'_, T>>, CheckpointError> {
        let mut runs = Vec::new();
        let mut unsorted: Vec<T> = Vec::new();
        let most = (self.sorted / size_of::<T>()).max(1);
        for (file, blocks) in &self.files {
            let of_section = blocks.iter().filter(|block| block.section == section);
            let mut blocks = of_section.copied().peekable();
            while let Some(block) = blocks.next() {
                let mut pieces = vec![block];
                if block.run > 0 {
                    while let Some(next) = blocks.next_if(|next| next.run == block.run) {
                        pieces.push(next);
                    }
                    runs.push(Run::stored(self.store, file, pieces));
                    continue;
                }
                let mut block = Run::stored(self.store, file, pieces);
                while let Some(record) = block.next()? {
                    unsorted.push(record);
                }
                if unsorted.len() >= most {
                    consolidate(&mut unsorted);
                    // Where much was added up there is room for more.
                    if unsorted.len() >= most / 2 {
                        runs.push(Run::packed(&mut unsorted));
                    }
                }
            }
        }
        consolidate(&mut unsorted);
        runs.push(Run::packed(&mut unsorted));
        Ok(runs)
    }
}

/// The run that comes of it.
struct Out<'a> {
    writer: &'a mut FileWriter,
    section: Section,
    run: u32,
    records: u64,
    payload: Vec<u8>,
}

impl Out<'_> {
    fn push<T: Record>(
        &mut self,
        record: &T,
        keep: &dyn Fn(&T) -> bool,
    ) -> Result<(), CheckpointError> {
        if record.is_zero() || !keep(record) {
            return Ok(());
        }
        encode(record, &mut self.payload);
        self.records += 1;
        if self.payload.len() >= BLOCK {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CheckpointError> {
        if self.records > 0 {
            let (section, run) = (self.section, self.run);
            self.writer
                .write_block(section, run, self.records, &self.payload)?;
            self.records = 0;
            self.payload.clear();
        }
        Ok(())
    }
}
