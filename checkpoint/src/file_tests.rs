//! What is written is what is read, or it is an error.

use super::error::CheckpointError;
use super::file::{BLOCK, FileEntry};
use super::store::{FILES, Store};
use super::testing::{Plain, any_plain, bytes_of, plain_of, read, section_of, write};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

fn member(name: &str) -> Plain {
    (format!("a long key {name}").into_bytes(), vec![1])
}

/// A small file with two sections, its bytes, and where it lies.
struct Sample {
    store: Store,
    file: FileEntry,
    bytes: Vec<u8>,
    path: PathBuf,
    _directory: TempDir,
}

fn sample(runs: &[Vec<Plain>], finals: &[Plain]) -> Sample {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().to_str().unwrap()).unwrap();
    let mut writer = store.create("f", 2, 5).unwrap();
    let members = runs.iter().map(|run| ("members", &run[..]));
    for (part, run) in members.chain([("finals", finals)]) {
        let records = run.len() as u64;
        writer
            .append(section_of(part), records, &bytes_of(run))
            .unwrap();
    }
    let file = writer.finish(9).unwrap();
    let path = directory.path().join(FILES).join("f");
    Sample {
        bytes: fs::read(&path).unwrap(),
        store,
        file,
        path,
        _directory: directory,
    }
}

impl Sample {
    /// All records, or the first error.
    fn read(&self) -> Result<(Vec<Plain>, Vec<Plain>), CheckpointError> {
        let (mut members, mut finals) = (vec![], vec![]);
        for block in self.store.blocks(&self.file)? {
            let payload = self.store.read(&self.file, &block)?;
            let records = plain_of(&payload, block.section);
            match block.section == section_of("members") {
                true => members.extend(records),
                false => finals.extend(records),
            }
        }
        Ok((members, finals))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(runs in vec(vec(any_plain(1), 0..20), 0..5), finals in vec(any_plain(0), 0..20)) {
        let sample = sample(&runs, &finals);
        let members = runs.concat();
        let FileEntry { name, lane, bytes, from, through, .. } = &sample.file;
        prop_assert_eq!((name.as_str(), *lane, *from, *through), ("f", 2, 5, 9));
        prop_assert_eq!(*bytes, sample.bytes.len() as u64);
        let records = sample.file.records.get(&section_of("members").id).copied();
        prop_assert_eq!(records.unwrap_or(0), members.len() as u64);
        prop_assert_eq!(sample.file.total_records(), (members.len() + finals.len()) as u64);
        prop_assert_eq!(sample.read().unwrap(), (members, finals));
    }

    #[test]
    fn a_cut_is_found(run in vec(any_plain(1), 1..20), finals in vec(any_plain(0), 0..20), at in any::<prop::sample::Index>(), more in 1usize..4) {
        let sample = sample(&[run], &finals);
        fs::write(&sample.path, &sample.bytes[..at.index(sample.bytes.len())]).unwrap();
        let error = sample.read().unwrap_err();
        prop_assert!(matches!(error, CheckpointError::Damaged { .. }), "{}", error);
        fs::write(&sample.path, [&sample.bytes[..], &vec![0; more]].concat()).unwrap();
        let error = sample.read().unwrap_err();
        prop_assert!(matches!(error, CheckpointError::Damaged { .. }), "{}", error);
    }
}

#[test]
fn every_bit_that_flips_is_found() {
    // Alike, so that one block is compressed; the other one cannot be.
    let run = vec![member("a"); 8];
    let noise = [
        0x9e37_79b9_7f4a_7c15_b39c_c060_5ced_c835u128,
        0x2b7e_1516_28ae_42a6_abf7_1588_09cf_4f3c,
    ];
    let finals = [(noise.map(u128::to_be_bytes).concat(), vec![])];
    let sample = sample(&[run], &finals);
    let blocks = sample.store.blocks(&sample.file).unwrap();
    assert!(
        blocks.iter().any(|block| block.length < block.raw),
        "{blocks:?}"
    );
    assert!(
        blocks.iter().any(|block| block.length == block.raw),
        "{blocks:?}"
    );
    for at in 0..sample.bytes.len() {
        for bit in 0..8 {
            let mut bytes = sample.bytes.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&sample.path, bytes).unwrap();
            let error = sample.read().unwrap_err();
            let is_format = (8..12).contains(&at);
            match error {
                CheckpointError::Damaged { .. } => assert!(!is_format, "byte {at}: {error}"),
                CheckpointError::Version { .. } => assert!(is_format, "byte {at}: {error}"),
                other => panic!("byte {at}: {other}"),
            }
        }
    }
}

#[test]
fn another_file_under_the_same_name_is_found() {
    let sample = sample(&[vec![member("a")]], &[]);
    let file = sample.file.clone();
    let replaced = write(
        &sample.store,
        "f",
        section_of("members"),
        &[vec![member("b")]],
    );
    assert_eq!(file.bytes, replaced.bytes);
    let error = sample.read().unwrap_err().to_string();
    assert!(
        error.contains("it is another file than the manifest names"),
        "{error}"
    );
}

#[test]
fn a_long_run_is_cut_between_records_and_short_ones_share_blocks() {
    let store = Store::open("memory:///").unwrap();
    let record = |n: u64| (format!("{n:09}").into_bytes(), vec![i128::from(n)]);
    let run = |range: std::ops::Range<u64>| bytes_of(&range.map(record).collect::<Vec<_>>());
    let mut writer = store.create("f", 0, 1).unwrap();
    let long = run(0..400_000);
    assert!(long.len() > 4 * BLOCK);
    let section = section_of("members");
    writer.append(section, 10, &run(0..10)).unwrap();
    writer.append(section, 400_000, &long).unwrap();
    writer.append(section, 20, &run(10..30)).unwrap();
    let file = writer.finish(1).unwrap();
    let blocks = store.blocks(&file).unwrap();
    assert!(blocks.len() > 4 && blocks.iter().all(|block| block.run == 0));
    let most = blocks.iter().map(|block| block.raw).max().unwrap();
    assert!(most as usize <= BLOCK + 64, "{most}");
    let read = read(&store, &file, section);
    let numbers: Vec<i128> = read.iter().map(|(_, sums)| sums[0]).collect();
    let expected: Vec<i128> = (0..400_000).chain(0..10).chain(10..30).collect();
    assert_eq!(numbers, expected);
    // What is no records cannot be cut.
    let mut writer = store.create("g", 0, 1).unwrap();
    let foreign = vec![0xff; 2 * BLOCK];
    assert!(writer.append(section, 9, &foreign).is_err());
}

#[test]
fn the_format_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().to_str().unwrap()).unwrap();
    let section = section_of("by_customer");
    let record = (b"key".to_vec(), vec![300, -2]);
    write(&store, "f", section, &[vec![record]]);
    let written = fs::read(directory.path().join(FILES).join("f")).unwrap();
    let bytes = [
        // The header.
        &b"TIDEMARK"[..],
        &[3, 0, 0, 0],
        // The length of the key, the key, two sums.
        &[3],
        b"key",
        &[0xd8, 4, 3],
        // Section, its sums, run, records, raw length, stored length, checksum.
        &[
            3, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0,
        ],
        &crc32fast::hash(&written[12..19]).to_le_bytes(),
        // Blocks, checksum.
        &[1, 0, 0, 0],
        &crc32fast::hash(&[&written[..12], &written[19..48]].concat()).to_le_bytes(),
        b"TIDE.END",
    ];
    assert_eq!(written, bytes.concat());
    // CRC-32 as zip and Ethernet have it.
    assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
}
