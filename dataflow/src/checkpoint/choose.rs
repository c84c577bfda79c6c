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
//! looked at, and what has been taken back does not stay for long: the files together
//! are seldom much more than twice the state.

use super::file::FileEntry;

/// Fewer files are not worth merging: a restart reads so many in no time.
const LEAST: usize = 8;

/// What a file costs beside its bytes, in bytes: a request, and a merge of its own.
const FILE: u64 = 64 << 10;

/// A file that weighs as much is not small, where there are not many of them.
const LARGE: u64 = 8 << 20;

/// How many files may be left that are not small.
const MANY: u64 = 32;

/// Which of these files to merge next, by their places, or nothing as long as they are
/// few enough. `held` is how many updates all arrangements hold.
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
            return Some(places.split_off(first));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::file::Section;
    use crate::checkpoint::testing::file;
    use std::collections::BTreeMap;

    /// What a record takes, about.
    const RECORD: u64 = 32;
    const MIB: u64 = 1 << 20;

    fn sized(bytes: u64) -> FileEntry {
        FileEntry {
            records: BTreeMap::from([(Section::Rows, bytes / RECORD)]),
            ..file("f", bytes)
        }
    }

    /// What becomes of files of these sizes in turn.
    struct Outcome {
        most_files: usize,
        written: u64,
        merged: u64,
    }

    impl Outcome {
        fn times_rewritten(&self) -> f64 {
            self.merged as f64 / self.written as f64
        }
    }

    /// All that is beyond the size of the state cancels.
    fn run(sizes: impl Iterator<Item = u64>, state: u64) -> Outcome {
        let mut files: Vec<FileEntry> = vec![];
        let mut outcome = Outcome {
            most_files: 0,
            written: 0,
            merged: 0,
        };
        for size in sizes {
            files.push(sized(size));
            outcome.written += size;
            let held = outcome.written.min(state) / RECORD;
            while let Some(chosen) = choose(&files, held) {
                let bytes = chosen.iter().map(|place| files[*place].bytes).sum::<u64>();
                // What is beyond the state's size has been added up.
                let merged = bytes.min(state);
                let mut places = 0..;
                files.retain(|_| !chosen.contains(&places.next().unwrap()));
                files.push(sized(merged));
                outcome.merged += merged;
            }
            outcome.most_files = outcome.most_files.max(files.len());
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            assert!(bytes < 5 * (state / 2), "{bytes} bytes of {state}");
        }
        outcome
    }

    #[test]
    fn files_are_few_and_rewritten_seldom_while_the_state_grows() {
        let outcome = run((0..10_000).map(|_| MIB), u64::MAX / 4);
        assert!(outcome.most_files <= 40, "{}", outcome.most_files);
        let times = outcome.times_rewritten();
        assert!(times < 5.0, "each byte is rewritten {times} times");
    }

    #[test]
    fn large_files_are_left_alone_while_the_state_grows() {
        let outcome = run((0..32).map(|_| 20 * MIB), u64::MAX / 4);
        assert_eq!((outcome.most_files, outcome.merged), (32, 0));
    }

    #[test]
    fn files_are_few_and_rewritten_seldom_while_the_state_stays() {
        for size in [MIB, 20 * MIB] {
            let outcome = run((0..10_000).map(|_| size), 100 * MIB);
            assert!(outcome.most_files <= 32, "{}", outcome.most_files);
            let times = outcome.times_rewritten();
            assert!(times < 2.5, "each byte is rewritten {times} times");
        }
    }

    #[test]
    fn sizes_may_come_as_they_like() {
        let sizes = (0..5_000u64).map(|n| (n.wrapping_mul(0x9e37_79b9) % 1_000) * (n % 13) * 300);
        let outcome = run(sizes, 500 * MIB);
        assert!(outcome.most_files <= 40, "{}", outcome.most_files);
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
    fn all_are_merged_when_half_of_them_has_been_taken_back() {
        let files = vec![sized(20 * MIB); 10];
        let records: u64 = files.iter().map(FileEntry::total_records).sum();
        assert_eq!(choose(&files, records / 2), None);
        assert_eq!(choose(&files, records / 2 - 1).unwrap().len(), 10);
    }
}
