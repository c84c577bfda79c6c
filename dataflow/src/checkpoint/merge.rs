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
use super::numbering::Numbering;
use super::records::{Final, Record, encode};
use super::runs::{Head, Run, consolidate};
use super::store::Store;
use crate::Epoch;
use crate::views::join::{ByCustomer, ByProduct, Pieces, Sale};
use crate::views::key::Key;
use crate::views::sums::Sums;
use events::Id;
use sinks::fail_point;
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
    let how = How {
        finals_after,
        numbering: None,
        sorted: SORTED,
    };
    merge_as(store, files, name, lane, how)
}

/// [`merge`], of a program that had other views: see [`Numbering`]. All of it is sorted
/// anew, which takes as much memory as the files do.
///
/// # Errors
/// As [`merge`].
pub fn renumber(
    store: &Store,
    files: &[FileEntry],
    name: &str,
    finals_after: Epoch,
    numbering: &Numbering,
) -> Result<FileEntry, CheckpointError> {
    let how = How {
        finals_after,
        numbering: Some(numbering),
        sorted: SORTED,
    };
    merge_as(store, files, name, 0, how)
}

/// How files are merged.
#[derive(Clone, Copy)]
struct How<'a> {
    finals_after: Epoch,
    numbering: Option<&'a Numbering>,
    /// Bytes of records that are sorted at once.
    sorted: usize,
}

fn merge_as(
    store: &Store,
    files: &[FileEntry],
    name: &str,
    lane: usize,
    how: How<'_>,
) -> Result<FileEntry, CheckpointError> {
    fail_point("merge.before");
    let from = files.iter().map(|file| file.from).min().unwrap_or(0);
    let through = files.iter().map(|file| file.through).max().unwrap_or(0);
    let mut inputs = Inputs {
        store,
        files: Vec::new(),
        how,
    };
    for file in files {
        inputs.files.push((file, store.blocks(file)?));
    }
    let mut writer = store.create(name, lane, from)?;
    let out = &mut writer;
    inputs.merge::<(Key, Sums)>(Section::Rows, out, |views, (key, _)| {
        views.slot(&mut key.slot)
    })?;
    inputs.merge::<(Key, Id, isize)>(Section::Members, out, |views, (key, ..)| {
        views.slot(&mut key.slot)
    })?;
    fail_point("merge.middle");
    inputs.merge::<(Key, i64, isize)>(Section::Latest, out, |views, (key, ..)| {
        views.slot(&mut key.slot)
    })?;
    inputs
        .merge::<(Id, Sale, isize)>(Section::Sales, out, |views, (_, sale, _)| views.sale(sale))?;
    inputs.merge::<(Id, ByCustomer, Pieces)>(
        Section::ByCustomer,
        out,
        |views, (_, entry, _)| views.by_customer(entry),
    )?;
    inputs.merge::<(Id, ByProduct, Pieces)>(Section::ByProduct, out, |views, (_, entry, _)| {
        views.by_product(entry)
    })?;
    inputs.merge::<Final>(Section::Finals, out, |views, row| {
        views.slot(&mut row.key.slot)
    })?;
    let merged = writer.finish(through)?;
    fail_point("merge.after");
    Ok(merged)
}

/// Gives a record its view's new number; false when it is left out.
type Renumber<T> = fn(&Numbering, &mut T) -> bool;

/// The files that are merged.
struct Inputs<'a> {
    store: &'a Store,
    files: Vec<(&'a FileEntry, Vec<BlockEntry>)>,
    how: How<'a>,
}

impl Inputs<'_> {
    /// Merges what they have of a section, without the records that are not to be kept.
    fn merge<T: Record>(
        &self,
        section: Section,
        writer: &mut FileWriter,
        renumber: Renumber<T>,
    ) -> Result<(), CheckpointError> {
        let mut runs = self.runs::<T>(section, renumber)?;
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
            finals_after: self.how.finals_after,
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
                Ordering::Less => out.push(&mem::replace(so_far, record))?,
                // What was taken was the least of all heads; only what follows it in its
                // own run can be less.
                Ordering::Greater => return Err(run.damaged("is not sorted")),
            }
        }
        if let Some(last) = sum {
            out.push(&last)?;
        }
        out.flush()
    }

    /// The sorted runs of a section: those of the files, and what is made of others.
    fn runs<T: Record>(
        &self,
        section: Section,
        renumber: Renumber<T>,
    ) -> Result<Vec<Run<'_, T>>, CheckpointError> {
        let How {
            numbering, sorted, ..
        } = self.how;
        let mut runs = Vec::new();
        let mut unsorted: Vec<T> = Vec::new();
        let most = (sorted / size_of::<T>()).max(1);
        for (file, blocks) in &self.files {
            let of_section = blocks.iter().filter(|block| block.section == section);
            let mut blocks = of_section.copied().peekable();
            while let Some(block) = blocks.next() {
                let mut pieces = vec![block];
                // Under other numbers its order may be another.
                if block.run > 0 && numbering.is_none() {
                    while let Some(next) = blocks.next_if(|next| next.run == block.run) {
                        pieces.push(next);
                    }
                    runs.push(Run::stored(self.store, file, pieces));
                    continue;
                }
                let mut block = Run::stored(self.store, file, pieces);
                while let Some(mut record) = block.next()? {
                    if numbering.is_none_or(|numbering| renumber(numbering, &mut record)) {
                        unsorted.push(record);
                    }
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
    /// Final rows of epochs up to this one are left out.
    finals_after: Epoch,
    records: u64,
    payload: Vec<u8>,
}

impl Out<'_> {
    fn push<T: Record>(&mut self, record: &T) -> Result<(), CheckpointError> {
        if record.is_zero() || record.is_told(self.finals_after) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::testing::{any_customer, any_final, any_member, read, write};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Member = (Key, Id, isize);
    type Customer = (Id, ByCustomer, Pieces);

    fn sorted<T: Record + Clone>(mut records: Vec<T>) -> Vec<T> {
        records.sort_by(T::order);
        records
    }

    /// What records add up to, the plain way.
    fn sums<T: Record + Clone>(files: &[Vec<Vec<T>>]) -> Vec<T> {
        let mut sums: Vec<T> = vec![];
        for record in files.iter().flatten().flatten() {
            match sums.iter_mut().find(|sum| sum.order(record).is_eq()) {
                Some(sum) => sum.add(record),
                None => sums.push(record.clone()),
            }
        }
        sums.retain(|sum| !sum.is_zero());
        sorted(sums)
    }

    /// Files of sorted runs.
    fn files<T: Record + Clone + std::fmt::Debug>(
        record: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Vec<Vec<Vec<T>>>> {
        let run = vec(record, 0..12).prop_map(sorted);
        vec(vec(run, 0..4), 0..5)
    }

    fn write_all<T: Record>(
        store: &Store,
        section: Section,
        files: &[Vec<Vec<T>>],
    ) -> Vec<FileEntry> {
        let numbered = files.iter().enumerate();
        numbered
            .map(|(number, runs)| write(store, &number.to_string(), section, runs))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn it_adds_up_to_the_same(members in files(any_member()), room in 1usize..2_000) {
            let store = Store::open("memory:///").unwrap();
            let entries = write_all(&store, Section::Members, &members);
            let how = How { finals_after: 0, numbering: None, sorted: room };
            let merged = merge_as(&store, &entries, "merged", 1, how).unwrap();
            let expected = sums(&members);
            prop_assert_eq!(&read::<Member>(&store, &merged, Section::Members), &expected);
            prop_assert_eq!(merged.total_records(), expected.len() as u64);
            // What is merged is merged again, with more.
            let again = [entries, vec![merged]].concat();
            let twice = merge(&store, &again, "twice", 1, 0).unwrap();
            let doubled: Vec<Member> = expected.into_iter().map(|(key, id, count)| (key, id, 2 * count)).collect();
            prop_assert_eq!(read::<Member>(&store, &twice, Section::Members), doubled);
        }

        #[test]
        fn all_kinds_of_records_add_up(customers in files(any_customer())) {
            let store = Store::open("memory:///").unwrap();
            let entries = write_all(&store, Section::ByCustomer, &customers);
            let merged = merge(&store, &entries, "merged", 1, 0).unwrap();
            prop_assert_eq!(read::<Customer>(&store, &merged, Section::ByCustomer), sums(&customers));
        }

        #[test]
        fn final_rows_are_kept_until_they_are_told(finals in files(any_final()), after in 0u64..10) {
            let store = Store::open("memory:///").unwrap();
            let entries = write_all(&store, Section::Finals, &finals);
            let merged = merge(&store, &entries, "merged", 1, after).unwrap();
            let mut kept = sums(&finals);
            kept.retain(|row| row.epoch > after);
            prop_assert_eq!(read::<Final>(&store, &merged, Section::Finals), kept);
        }
    }

    /// A latest time of one of many rows.
    fn latest(n: u32, count: isize) -> (Key, i64, isize) {
        let slot = crate::views::key::Slot::new(2, i64::from(n / 1_000));
        let key = Key {
            slot,
            group: [Id::new(&n.to_string()), Id::default()],
        };
        (key, 5, count)
    }

    #[test]
    fn long_runs_are_merged_block_by_block() {
        let store = Store::open("memory:///").unwrap();
        let run = |of: &dyn Fn(u32) -> bool, count| {
            let rows = (0u32..300_000).filter(|n| of(*n)).map(|n| latest(n, count));
            sorted(rows.collect())
        };
        let all = run(&|_| true, 1);
        let odd = run(&|n| n % 2 == 1, -1);
        let few = run(&|n| n % 1_000 == 0, 3);
        let files = [
            write(&store, "a", Section::Latest, &[all, few]),
            write(&store, "b", Section::Latest, &[odd]),
        ];
        assert!(files.iter().all(|file| file.blocks > 2));
        let merged = merge(&store, &files, "c", 1, 0).unwrap();
        assert_eq!((merged.lane, merged.from, merged.through), (1, 10, 20));
        let mut expected: BTreeMap<u32, isize> = (0..150_000).map(|n| (2 * n, 1)).collect();
        (0..300).for_each(|n| *expected.entry(n * 1_000).or_default() += 3);
        let expected = expected.into_iter().map(|(n, count)| latest(n, count));
        let read = read::<(Key, i64, isize)>(&store, &merged, Section::Latest);
        assert!(read == sorted(expected.collect()), "another sum");
        let blocks = store.blocks(&merged).unwrap();
        assert!(blocks.len() > 2);
        assert!(
            blocks
                .iter()
                .all(|block| block.run == blocks[0].run && block.run > 0)
        );
    }

    #[test]
    fn what_cancels_leaves_nothing() {
        let store = Store::open("memory:///").unwrap();
        let files = [1, -1].map(|count| {
            let name = if count > 0 { "a" } else { "b" };
            write(&store, name, Section::Latest, &[vec![latest(7, count)]])
        });
        let merged = merge(&store, &files, "c", 1, 0).unwrap();
        assert_eq!((merged.total_records(), merged.blocks), (0, 0));
        assert!(store.blocks(&merged).unwrap().is_empty());
        let nothing = merge(&store, &[], "d", 1, 0).unwrap();
        assert_eq!(nothing.total_records(), 0);
    }

    #[test]
    fn a_long_run_that_is_not_sorted_is_an_error() {
        let store = Store::open("memory:///").unwrap();
        let mut run = sorted((0..100_000).map(|n| latest(n, 1)).collect());
        run.swap(50_000, 50_001);
        let file = write(&store, "a", Section::Latest, &[run]);
        let error = merge(&store, &[file], "b", 1, 0).unwrap_err().to_string();
        assert!(
            error.contains("files/a is damaged: a block of it is not sorted"),
            "{error}"
        );
        assert_eq!(store.names("files").unwrap(), ["a"]);
    }
}
