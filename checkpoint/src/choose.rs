//! Which files to merge.
//!
//! ```text
//!   2^i ▆                       each file weighs more than all smaller
//!       ▆    ▃                  ones together, or there are too few of
//!       ▆    ▃    ▁  ▁ ▁ ▁      them to be worth it
//! ```
//!
//! A file is merged with all that are smaller when those together are as large as it is.
//! So files that need no merging grow by a factor of two from one to the next, and there
//! are few. A record is written again each time the file that it is in has doubled: a
//! number of times that is the logarithm of the state's size.
//!
//! Merging is worth that where it adds records up, or takes back what an earlier file
//! has. While all that is read is new it does neither, and only makes fewer files. How
//! much there is to gain is known: arrangements do the same in memory. So while files
//! have not twice the records that arrangements hold, only *small* files are merged,
//! and all others, of which there are never many, stay as they are. Beyond that all are
//! looked at, and what has been taken back does not stay for long. The files together
//! seldom have much more than twice the records that arrangements hold: the state, and
//! what these have not added up themselves yet.

use super::file::FileEntry;

/// Fewer files are not worth merging: a restart reads so many in no time.
const LEAST: usize = 8;

/// What a file costs beside its bytes, in bytes: a request, and a merge of its own.
const FILE: u64 = 64 << 10;

/// A file that weighs as much is not small, where there are not many of them.
const LARGE: u64 = 8 << 20;

/// How many files may be left that are not small.
const MANY: u64 = 32;

/// How many files are merged at once, at the most: a merge holds what is in short runs,
/// which is all of a file that was not merged before.
const MOST: usize = 12;

/// Which of these files to merge next, by their places, or nothing as long as they are
/// few enough. `held` is how many updates all arrangements hold; 0 where it is not known,
/// so that all files are looked at.
pub fn choose(files: &[FileEntry], held: u64) -> Option<Vec<usize>> {
    let weight = |place: usize| files[place].bytes + FILE;
    let mut places: Vec<usize> = (0..files.len()).collect();
    let records: u64 = files.iter().map(FileEntry::total_records).sum();
    if records / 2 <= held {
        let bytes: u64 = places.iter().map(|place| weight(*place)).sum();
        let small = LARGE.max(bytes / MANY);
        places.retain(|place| weight(*place) < small);
    }
    places.sort_by_key(|place| std::cmp::Reverse(weight(*place)));
    let mut smaller: u64 = places.iter().map(|place| weight(*place)).sum();
    for (first, place) in places.iter().enumerate() {
        smaller -= weight(*place);
        if places.len() - first < LEAST {
            return None;
        }
        if smaller >= weight(*place) {
            let first = first.max(places.len().saturating_sub(MOST));
            return Some(places.split_off(first));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::SectionId;
    use crate::testing::file;
    use std::collections::BTreeMap;

    /// What a record takes, about.
    const RECORD: u64 = 32;
    const MIB: u64 = 1 << 20;

    fn sized(bytes: u64) -> FileEntry {
        FileEntry {
            records: BTreeMap::from([(SectionId(0), bytes / RECORD)]),
            ..file("f", bytes)
        }
    }

    /// What becomes of files of these sizes in turn.
    #[derive(Default)]
    struct Outcome {
        most_files: usize,
        written: u64,
        merged: u64,
        /// The most that one merge took of files that had not been merged.
        most_unsorted: u64,
    }

    impl Outcome {
        fn times_rewritten(&self) -> f64 {
            self.merged as f64 / self.written as f64
        }
    }

    /// All that is beyond the size of the `state` cancels. Arrangements hold `extra`
    /// percent more.
    fn run(sizes: impl Iterator<Item = u64>, state: u64, extra: u64) -> Outcome {
        let mut files: Vec<FileEntry> = vec![];
        let mut outcome = Outcome::default();
        for size in sizes {
            files.push(sized(size));
            outcome.written += size;
            let held = outcome.written.min(state) / RECORD * (100 + extra) / 100;
            while let Some(chosen) = choose(&files, held) {
                let bytes = |all: bool| {
                    let files = chosen.iter().map(|place| &files[*place]);
                    let files = files.filter(|file| all || file.name == "f");
                    files.map(|file| file.bytes).sum::<u64>()
                };
                outcome.most_unsorted = outcome.most_unsorted.max(bytes(false));
                // What is beyond the state's size has been added up.
                let merged = bytes(true).min(state);
                outcome.merged += merged;
                let mut places = 0..;
                files.retain(|_| !chosen.contains(&places.next().unwrap()));
                files.push(FileEntry {
                    name: "merged".to_owned(),
                    ..sized(merged)
                });
            }
            outcome.most_files = outcome.most_files.max(files.len());
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            let most = 2 * state / 100 * (100 + extra) + (8 * size).max(state / 4);
            assert!(bytes < most, "{bytes} bytes of {state}");
        }
        outcome
    }

    const NO_END: u64 = u64::MAX / 1_000;

    #[test]
    fn files_are_few_and_rewritten_seldom_while_the_state_grows() {
        for size in [MIB, 20 * MIB] {
            let outcome = run((0..10_000).map(|_| size), NO_END, 0);
            assert!(outcome.most_files <= 40, "{}", outcome.most_files);
            let times = outcome.times_rewritten();
            assert!(times < 5.0, "each byte is rewritten {times} times");
            assert!(outcome.most_unsorted <= 12 * size);
        }
    }

    #[test]
    fn most_is_written_once_while_the_state_comes_to_be_some_large_files() {
        let rewritten = |count: u64| {
            let outcome = run((0..count).map(|_| 20 * MIB), NO_END, 0);
            outcome.times_rewritten()
        };
        assert_eq!(rewritten(32), 0.0);
        for count in [33, 50, 100, 300] {
            let times = rewritten(count);
            assert!(times < 2.0, "{times} times of {count}");
        }
    }

    #[test]
    fn files_are_few_and_rewritten_seldom_while_the_state_stays() {
        for (size, extra) in [(MIB, 0), (20 * MIB, 0), (MIB, 70), (20 * MIB, 70)] {
            let outcome = run((0..10_000).map(|_| size), 500 * MIB, extra);
            assert!(outcome.most_files <= 40, "{}", outcome.most_files);
            let times = outcome.times_rewritten();
            assert!(times < 4.0, "each byte is rewritten {times} times");
        }
    }

    #[test]
    fn sizes_may_come_as_they_like() {
        let sizes = (0..5_000u64).map(|n| (n.wrapping_mul(0x9e37_79b9) % 1_000) * (n % 13) * 300);
        let outcome = run(sizes, 500 * MIB, 0);
        assert!(outcome.most_files <= 40, "{}", outcome.most_files);
        let times = outcome.times_rewritten();
        assert!(times < 4.0, "each byte is rewritten {times} times");
    }

    #[test]
    fn few_files_are_left_alone_and_small_ones_gathered() {
        for held in [0, u64::MAX] {
            assert_eq!(choose(&[], held), None);
            let small = || sized(100);
            assert_eq!(choose(&vec![small(); LEAST - 1], held), None);
            let mut files = vec![small(); LEAST + 1];
            files[2] = sized(1 << 30);
            let mut chosen = choose(&files, held).unwrap();
            chosen.sort_unstable();
            assert_eq!(chosen, [0, 1, 3, 4, 5, 6, 7, 8]);
        }
    }

    #[test]
    fn large_ones_are_merged_when_half_of_all_has_been_taken_back() {
        for sizes in [vec![20; 10], vec![100, 15, 15, 15, 15, 15, 15, 15]] {
            let files: Vec<_> = sizes.iter().map(|size| sized(size * MIB)).collect();
            let records: u64 = files.iter().map(FileEntry::total_records).sum();
            assert_eq!(choose(&files, records / 2), None);
            assert_eq!(choose(&files, records / 2 - 1).unwrap().len(), files.len());
            assert_eq!(choose(&files, 0).unwrap().len(), files.len());
        }
    }
}
