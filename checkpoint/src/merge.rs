//! Several files as one that adds up to the same.
//!
//! ```text
//!   long runs    ▒▒▒▒ ▒▒▒▒ ▒▒▒▒ ─┐ a block at a time
//!   long runs    ▒▒▒▒ ▒▒▒▒ ──────┼─▶ least first, equal ones added, zeros dropped ─▶ one run
//!   short runs   ▒▒ ▒▒ ─▶ sorted ┘
//! ```
//!
//! One section after the other, and only those that are still kept. Blocks that hold several
//! short runs are sorted first, so many at a time as fit the memory set aside for it; what is
//! sorted is kept packed, as runs that lie in memory. So all of it takes a block for each run,
//! what is packed of the short runs (about as much as their files), and [`SORTED`].

use super::error::CheckpointError;
use super::file::{BLOCK, BlockEntry, FileEntry, FileWriter};
use super::records::{RawRecord, Section, SectionId, records};
use super::runs::{Adding, Run, Unsorted};
use super::store::Store;
use model::Epoch;
use model::fail_point;
use std::collections::BTreeSet;

/// Bytes of records that are sorted at once.
const SORTED: usize = 64 << 20;

/// Merges `files` to a new one: `name`, `lane` as [`Store::create`] takes them. It adds
/// up to the same as they do in the sections that are `kept`, with long sorted runs and no zeros;
/// records that are kept once and are of epochs up to `done` are left out. It may have no records
/// at all. The files that it is made of stay.
///
/// # Errors
/// When a file is missing or damaged, or the storage does not do what it is asked. Then
/// there is no new file.
pub fn merge(
    store: &Store,
    files: &[FileEntry],
    name: &str,
    lane: usize,
    kept: &BTreeSet<SectionId>,
    done: Epoch,
) -> Result<FileEntry, CheckpointError> {
    merge_within(SORTED, store, files, name, lane, kept, done)
}

/// [`merge`], with `room` for so many bytes of records that are sorted at once.
fn merge_within(
    room: usize,
    store: &Store,
    files: &[FileEntry],
    name: &str,
    lane: usize,
    kept: &BTreeSet<SectionId>,
    done: Epoch,
) -> Result<FileEntry, CheckpointError> {
    fail_point("merge.before");
    let from = files.iter().map(|file| file.from).min().unwrap_or(0);
    let through = files.iter().map(|file| file.through).max().unwrap_or(0);
    let mut inputs = Inputs {
        store,
        files: Vec::new(),
        room,
    };
    for file in files {
        inputs.files.push((file, store.blocks(file)?));
    }
    let mut writer = store.create(name, lane, from)?;
    let blocks = inputs.files.iter().flat_map(|(_, blocks)| blocks);
    let sections: BTreeSet<Section> = blocks.map(|block| block.section).collect();
    let sections = sections.into_iter();
    for (number, section) in sections
        .filter(|section| kept.contains(&section.id))
        .enumerate()
    {
        if number == 1 {
            fail_point("merge.middle");
        }
        inputs.merge(section, &mut writer, done)?;
    }
    let merged = writer.finish(through)?;
    fail_point("merge.after");
    Ok(merged)
}

/// The files that are merged.
struct Inputs<'a> {
    store: &'a Store,
    files: Vec<(&'a FileEntry, Vec<BlockEntry>)>,
    /// Bytes of records that are sorted at once.
    room: usize,
}

impl Inputs<'_> {
    /// Merges what they have of a section.
    fn merge(
        &self,
        section: Section,
        writer: &mut FileWriter,
        done: Epoch,
    ) -> Result<(), CheckpointError> {
        let mut runs = Heap::of(self.runs(section)?)?;
        let number = writer.begin_run();
        let mut out = Adding::new();
        let is_kept = |record: RawRecord<'_>| !record.is_zero() && !record.is_done(done);
        while let Some(least) = runs.least() {
            let record = least.record();
            if out.is_another(section.sums, record)? {
                // What is taken is the least of all; only what follows it in its own run can
                // be less.
                if out.is_behind(record) {
                    return Err(least.damaged("is not sorted"));
                }
                out.finish(is_kept);
                if out.payload.len() >= BLOCK {
                    flush(&mut out, section, number, writer)?;
                }
                out.begin(record);
            }
            runs.step()?;
        }
        out.finish(is_kept);
        flush(&mut out, section, number, writer)
    }

    /// The sorted runs of a section: those of the files, and what is made of others.
    fn runs(&self, section: Section) -> Result<Vec<Run<'_>>, CheckpointError> {
        let mut runs = Vec::new();
        let mut unsorted = Unsorted::new(section);
        for (file, blocks) in &self.files {
            let of_section = blocks.iter().filter(|block| block.section == section);
            let mut blocks = of_section.copied().peekable();
            while let Some(block) = blocks.next() {
                if block.run > 0 {
                    let mut pieces = vec![block];
                    while let Some(next) = blocks.next_if(|next| next.run == block.run) {
                        pieces.push(next);
                    }
                    runs.push(Run::stored(self.store, file, section, pieces));
                    continue;
                }
                let payload = self.store.read(file, &block)?;
                for record in records(&payload, section) {
                    unsorted.push(record?);
                    if unsorted.size() >= self.room {
                        runs.push(unsorted.sort()?);
                    }
                }
            }
        }
        runs.push(unsorted.sort()?);
        Ok(runs)
    }
}

/// Writes what is finished as a block of run `number`.
fn flush(
    out: &mut Adding,
    section: Section,
    number: u32,
    writer: &mut FileWriter,
) -> Result<(), CheckpointError> {
    if out.records > 0 {
        writer.write_block(section, number, out.records, &out.payload)?;
        out.records = 0;
    }
    out.payload.clear();
    Ok(())
}

/// Runs, the one first that has come to the least record.
struct Heap<'a> {
    runs: Vec<Run<'a>>,
}

impl<'a> Heap<'a> {
    fn of(all: Vec<Run<'a>>) -> Result<Heap<'a>, CheckpointError> {
        let mut runs = Vec::new();
        for mut run in all {
            if run.step()? {
                runs.push(run);
            }
        }
        let mut heap = Heap { runs };
        for place in (0..heap.runs.len() / 2).rev() {
            heap.sift(place);
        }
        Ok(heap)
    }

    fn least(&self) -> Option<&Run<'a>> {
        self.runs.first()
    }

    /// Lets the first run come to its next record.
    fn step(&mut self) -> Result<(), CheckpointError> {
        if !self.runs[0].step()? {
            self.runs.swap_remove(0);
        }
        self.sift(0);
        Ok(())
    }

    /// Moves the run at a place behind those that have come to lesser records.
    fn sift(&mut self, mut place: usize) {
        loop {
            let below = (2 * place + 1..2 * place + 3).filter(|below| *below < self.runs.len());
            let least = below.min_by(|one, other| self.runs[*one].order(&self.runs[*other]));
            match least {
                Some(least) if self.runs[least].order(&self.runs[place]).is_lt() => {
                    self.runs.swap(least, place);
                    place = least;
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Plain, any_plain, read, write};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn section(sums: u8) -> Section {
        let id = SectionId(4);
        Section { id, sums }
    }

    /// Merges all there is of the section.
    fn merged(store: &Store, files: &[FileEntry], name: &str, done: Epoch) -> FileEntry {
        let kept = BTreeSet::from([SectionId(4)]);
        merge(store, files, name, 1, &kept, done).unwrap()
    }

    /// What records add up to, the plain way.
    fn sums(files: &[Vec<Vec<Plain>>]) -> Vec<Plain> {
        let mut sums: BTreeMap<Vec<u8>, Vec<i128>> = BTreeMap::new();
        for (key, more) in files.iter().flatten().flatten() {
            let of_key = sums
                .entry(key.clone())
                .or_insert_with(|| vec![0; more.len()]);
            for (sum, more) in of_key.iter_mut().zip(more) {
                *sum = sum.wrapping_add(*more);
            }
        }
        let makes_a_difference =
            |sums: &Vec<i128>| sums.is_empty() || sums.iter().any(|sum| *sum != 0);
        sums.retain(|_, sums| makes_a_difference(sums));
        sums.into_iter().collect()
    }

    /// Files of runs, of a section with so many sums.
    fn files() -> impl Strategy<Value = (u8, Vec<Vec<Vec<Plain>>>)> {
        (0u8..4).prop_flat_map(|sums| {
            let run = vec(any_plain(sums), 0..12);
            (Just(sums), vec(vec(run, 0..4), 0..5))
        })
    }

    fn write_all(store: &Store, section: Section, files: &[Vec<Vec<Plain>>]) -> Vec<FileEntry> {
        let numbered = files.iter().enumerate();
        numbered
            .map(|(number, runs)| write(store, &number.to_string(), section, runs))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn it_adds_up_to_the_same((count, files) in files(), room in 1usize..4_000) {
            let store = Store::open("memory:///").unwrap();
            let section = section(count);
            let entries = write_all(&store, section, &files);
            let kept = BTreeSet::from([section.id]);
            let merged = merge_within(room, &store, &entries, "merged", 1, &kept, 0).unwrap();
            let mut expected = sums(&files);
            expected.retain(|(key, sums)| !sums.is_empty() || key[..8] != [0; 8]);
            prop_assert_eq!(&read(&store, &merged, section), &expected);
            prop_assert_eq!(merged.total_records(), expected.len() as u64);
            // What is merged is merged again, with more.
            let again = [entries, vec![merged]].concat();
            let twice = merge(&store, &again, "twice", 1, &kept, 0).unwrap();
            let doubled = sums(&[vec![expected.clone(), expected]]);
            prop_assert_eq!(read(&store, &twice, section), doubled);
        }

        #[test]
        fn what_is_kept_once_is_kept_until_it_is_done(runs in vec(vec(any_plain(0), 0..12), 0..5), done in 0u64..10) {
            let store = Store::open("memory:///").unwrap();
            let entries = write_all(&store, section(0), std::slice::from_ref(&runs));
            let merged = merged(&store, &entries, "merged", done);
            let mut kept = sums(&[runs]);
            kept.retain(|(key, _)| key[..8] > done.to_be_bytes()[..]);
            prop_assert_eq!(read(&store, &merged, section(0)), kept);
        }
    }

    /// One of many records.
    fn one(n: u32, count: i128) -> Plain {
        let key = format!("{:06}-and-a-long-name-{n}", n % 7);
        (key.into_bytes(), vec![count])
    }

    fn sorted(mut records: Vec<Plain>) -> Vec<Plain> {
        records.sort();
        records
    }

    #[test]
    fn long_runs_are_merged_block_by_block() {
        let store = Store::open("memory:///").unwrap();
        let run = |of: &dyn Fn(u32) -> bool, count| {
            let records = (0u32..300_000).filter(|n| of(*n)).map(|n| one(n, count));
            records.collect::<Vec<_>>()
        };
        let all = run(&|_| true, 1);
        let odd = run(&|n| n % 2 == 1, -1);
        let few = run(&|n| n % 1_000 == 0, 3);
        let files = [
            write(&store, "a", section(1), &[all, few]),
            write(&store, "b", section(1), &[odd]),
        ];
        assert!(files.iter().all(|file| file.blocks > 2));
        // Each by itself becomes one sorted run; then the runs are merged.
        let files = ["c", "d"].map(|name| {
            let of = usize::from(name == "d");
            merged(&store, &files[of..=of], name, 0)
        });
        let merged = merged(&store, &files, "e", 0);
        assert_eq!((merged.lane, merged.from, merged.through), (1, 10, 20));
        let mut expected: BTreeMap<u32, i128> = (0..150_000).map(|n| (2 * n, 1)).collect();
        (0..300).for_each(|n| *expected.entry(n * 1_000).or_default() += 3);
        let expected = expected.into_iter().map(|(n, count)| one(n, count));
        let read = read(&store, &merged, section(1));
        assert!(read == sorted(expected.collect()), "another sum");
        let blocks = store.blocks(&merged).unwrap();
        assert!(blocks.len() > 2);
        let first = blocks[0].run;
        assert!(
            blocks
                .iter()
                .all(|block| block.run == first && block.run > 0)
        );
    }

    #[test]
    fn what_cancels_leaves_nothing() {
        let store = Store::open("memory:///").unwrap();
        let files = [1, -1].map(|count| {
            let name = if count > 0 { "a" } else { "b" };
            write(&store, name, section(1), &[vec![one(7, count)]])
        });
        let none = merged(&store, &files, "c", 0);
        assert_eq!((none.total_records(), none.blocks), (0, 0));
        assert!(store.blocks(&none).unwrap().is_empty());
        let nothing = merged(&store, &[], "d", 0);
        assert_eq!(nothing.total_records(), 0);
    }

    #[test]
    fn sections_that_nobody_has_are_left_out() {
        let store = Store::open("memory:///").unwrap();
        let other = Section {
            id: SectionId(5),
            sums: 2,
        };
        let mut writer = store.create("a", 0, 1).unwrap();
        let mine = vec![one(7, 1)];
        let bytes = crate::testing::bytes_of(&mine);
        writer.append(section(1), 1, &bytes).unwrap();
        let theirs = [(b"x".to_vec(), vec![1, 2])];
        let bytes = crate::testing::bytes_of(&theirs);
        writer.append(other, 1, &bytes).unwrap();
        let file = writer.finish(1).unwrap();
        let without = merged(&store, std::slice::from_ref(&file), "b", 0);
        assert_eq!(without.records, BTreeMap::from([(SectionId(4), 1)]));
        assert_eq!(read(&store, &without, section(1)), mine);
        let both = BTreeSet::from([SectionId(4), SectionId(5)]);
        let with = merge(&store, &[file], "c", 0, &both, 0).unwrap();
        assert_eq!(read(&store, &with, other), theirs);
    }

    #[test]
    fn a_long_run_that_is_not_sorted_is_an_error() {
        let store = Store::open("memory:///").unwrap();
        let mut run = sorted((0..1_000).map(|n| one(n, 1)).collect());
        run.swap(500, 501);
        let mut writer = store.create("a", 0, 1).unwrap();
        let number = writer.begin_run();
        let bytes = crate::testing::bytes_of(&run);
        writer
            .write_block(section(1), number, 1_000, &bytes)
            .unwrap();
        let file = writer.finish(1).unwrap();
        let kept = BTreeSet::from([SectionId(4)]);
        let error = merge(&store, &[file], "b", 1, &kept, 0).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("files/a is damaged: a block of it is not sorted"),
            "{error}"
        );
        assert_eq!(store.names("files").unwrap(), ["a"]);
    }
}
