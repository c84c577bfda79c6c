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
//! number of times that is the logarithm of the state's size. And the largest file is
//! merged when the others are as large as it is, so that what has been taken back does
//! not stay for long: all files together are seldom much more than twice the state, and
//! never more than [`LEAST`] times what changes between two checkpoints beside it.
//!
//! While all that is read is new, nothing cancels, and merging only makes fewer files;
//! with less patience ([`LEAST`] 4, and half as large instead of as large) a topic that
//! was read from its beginning took a twelfth more of the processors.

use super::file::FileEntry;

/// Fewer files are not worth merging: a restart reads so many in no time.
const LEAST: usize = 8;

/// What a file costs beside its bytes, in bytes: a request, and a merge of its own.
const FILE: u64 = 64 << 10;

/// Which of these files to merge next, by their places, or nothing as long as they are
/// few enough: at the most 7 and the logarithm to the base 2 of what is written of them
/// over what a file is at first, with 1 GiB and 1 MiB seventeen.
pub fn choose(files: &[FileEntry]) -> Option<Vec<usize>> {
    let mut places: Vec<usize> = (0..files.len()).collect();
    let weight = |place: usize| files[place].bytes + FILE;
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
    use crate::checkpoint::testing::file;

    /// What becomes of files of these sizes in turn, when nothing cancels.
    struct Outcome {
        most_files: usize,
        written: u64,
        merged: u64,
    }

    fn run(sizes: impl Iterator<Item = u64>, state: u64) -> Outcome {
        let mut files: Vec<FileEntry> = vec![];
        let mut outcome = Outcome {
            most_files: 0,
            written: 0,
            merged: 0,
        };
        for size in sizes {
            files.push(file("f", size));
            outcome.written += size;
            while let Some(chosen) = choose(&files) {
                let bytes = chosen.iter().map(|place| files[*place].bytes).sum::<u64>();
                // What is beyond the state's size has been added up.
                let merged = bytes.min(state);
                let mut places = 0..;
                files.retain(|_| !chosen.contains(&places.next().unwrap()));
                files.push(file("m", merged));
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
        let outcome = run((0..10_000).map(|_| 1 << 20), u64::MAX / 4);
        assert!(outcome.most_files <= 18, "{}", outcome.most_files);
        let times = outcome.merged as f64 / outcome.written as f64;
        assert!(times < 9.0, "each byte is rewritten {times} times");
    }

    #[test]
    fn files_are_few_and_rewritten_seldom_while_the_state_stays() {
        let outcome = run((0..10_000).map(|_| 1 << 20), 100 << 20);
        assert!(outcome.most_files <= 12, "{}", outcome.most_files);
        let times = outcome.merged as f64 / outcome.written as f64;
        assert!(times < 6.0, "each byte is rewritten {times} times");
    }

    #[test]
    fn sizes_may_come_as_they_like() {
        let sizes = (0..5_000u64).map(|n| (n.wrapping_mul(0x9e37_79b9) % 1_000) * (n % 13) * 300);
        let outcome = run(sizes, 500 << 20);
        assert!(outcome.most_files <= 14, "{}", outcome.most_files);
    }

    #[test]
    fn few_files_are_left_alone_and_small_ones_gathered() {
        assert_eq!(choose(&[]), None);
        let small = || file("s", 100);
        assert_eq!(choose(&vec![small(); LEAST - 1]), None);
        let mut files = vec![small(); LEAST + 1];
        files[2] = file("l", 1 << 30);
        let mut chosen = choose(&files).unwrap();
        chosen.sort_unstable();
        assert_eq!(chosen, [0, 1, 3, 4, 5, 6, 7, 8]);
    }
}
