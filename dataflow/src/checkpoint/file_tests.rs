//! What is written is what is read, or it is an error.

use super::error::CheckpointError;
use super::file::{BLOCK, FileEntry, Section};
use super::records::{Final, decode, encode};
use super::store::{FILES, Store};
use super::testing::{any_final, any_member, read, write};
use crate::views::key::{Key, Slot};
use crate::views::sums::Sums;
use events::Id;
use proptest::collection::vec;
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

type Member = (Key, Id, isize);

fn member(name: &str) -> Member {
    let key = Key {
        slot: Slot::new(1, 7),
        group: [Id::from_uuid((77 << 64) | (0b10 << 62)), Id::default()],
    };
    (key, Id::new(name), 1)
}

/// A small file with two sections, its bytes, and where it lies.
struct Sample {
    store: Store,
    file: FileEntry,
    bytes: Vec<u8>,
    path: PathBuf,
    _directory: TempDir,
}

fn sample(runs: &[Vec<Member>], finals: &[Final]) -> Sample {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().to_str().unwrap()).unwrap();
    let mut writer = store.create("f", 2, 5).unwrap();
    for run in runs {
        let mut payload = vec![];
        run.iter().for_each(|record| encode(record, &mut payload));
        writer
            .append(Section::Members, run.len() as u64, &payload)
            .unwrap();
    }
    let mut payload = vec![];
    finals
        .iter()
        .for_each(|record| encode(record, &mut payload));
    writer
        .append(Section::Finals, finals.len() as u64, &payload)
        .unwrap();
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
    fn read(&self) -> Result<(Vec<Member>, Vec<Final>), CheckpointError> {
        let (mut members, mut finals) = (vec![], vec![]);
        for block in self.store.blocks(&self.file)? {
            let payload = self.store.read(&self.file, &block)?;
            match block.section {
                Section::Members => {
                    members.extend(decode(&payload).collect::<Result<Vec<_>, _>>()?)
                }
                _ => finals.extend(decode(&payload).collect::<Result<Vec<_>, _>>()?),
            }
        }
        Ok((members, finals))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(runs in vec(vec(any_member(), 0..20), 0..5), finals in vec(any_final(), 0..20)) {
        let sample = sample(&runs, &finals);
        let members = runs.concat();
        let FileEntry { name, lane, bytes, from, through, .. } = &sample.file;
        prop_assert_eq!((name.as_str(), *lane, *from, *through), ("f", 2, 5, 9));
        prop_assert_eq!(*bytes, sample.bytes.len() as u64);
        let records = sample.file.records.get(&Section::Members).copied();
        prop_assert_eq!(records.unwrap_or(0), members.len() as u64);
        prop_assert_eq!(sample.file.total_records(), (members.len() + finals.len()) as u64);
        prop_assert_eq!(sample.read().unwrap(), (members, finals));
    }

    #[test]
    fn a_cut_is_found(run in vec(any_member(), 1..20), finals in vec(any_final(), 0..20), at in any::<prop::sample::Index>(), more in 1usize..4) {
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
    let finals = [Final {
        key: Key {
            slot: Slot::new(1, 7),
            group: [
                Id::from_uuid(0x9e37_79b9_7f4a_7c15_b39c_c060_5ced_c835),
                Id::from_uuid(0x2b7e_1516_28ae_42a6_abf7_1588_09cf_4f3c),
            ],
        },
        epoch: 77,
        sums: Sums::default(),
        closed_at: 1_700_000_000_000,
    }];
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
    let replaced = write(&sample.store, "f", Section::Members, &[vec![member("b")]]);
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
    let member = |n: u64| (n, n / 2);
    let record = |(n, _): (u64, u64)| {
        let mut payload = vec![];
        let key = Key {
            slot: Slot::new(0, 0),
            group: [Id::new(&format!("{n:09}")), Id::default()],
        };
        encode(&(key, i64::try_from(n).unwrap(), 1isize), &mut payload);
        payload
    };
    let run =
        |range: std::ops::Range<u64>| range.flat_map(|n| record(member(n))).collect::<Vec<u8>>();
    let mut writer = store.create("f", 0, 1).unwrap();
    let long = run(0..200_000);
    assert!(long.len() > 4 * BLOCK);
    writer.append(Section::Latest, 10, &run(0..10)).unwrap();
    writer.append(Section::Latest, 200_000, &long).unwrap();
    writer.append(Section::Latest, 20, &run(10..30)).unwrap();
    let file = writer.finish(1).unwrap();
    let blocks = store.blocks(&file).unwrap();
    let runs: Vec<_> = blocks.iter().map(|block| block.run).collect();
    assert_eq!(runs, [1, 1, 1, 1, 1, 0]);
    let most = blocks.iter().map(|block| block.raw).max().unwrap();
    assert!(most as usize <= BLOCK + 64, "{most}");
    let read = read::<(Key, i64, isize)>(&store, &file, Section::Latest);
    let numbers: Vec<i64> = read.iter().map(|record| record.1).collect();
    let expected: Vec<i64> = (0..200_000).chain(0..10).chain(10..30).collect();
    assert_eq!(numbers, expected);
    // A run that is none cannot be cut.
    let mut writer = store.create("g", 0, 1).unwrap();
    assert!(
        writer
            .append(Section::Latest, 9, &vec![0xff; 2 * BLOCK])
            .is_err()
    );
}

#[test]
fn the_format_stays_as_it_is() {
    let key = Key {
        slot: Slot::new(1, 7),
        group: [Id::new("a"), Id::default()],
    };
    let final_row = Final {
        key,
        epoch: 300,
        sums: Sums {
            count: 1,
            unique: -2,
            sums: [3, 0],
        },
        closed_at: 5,
    };
    let sample = sample(&[], &[final_row]);
    let bytes = [
        // The header.
        &b"TIDEMARK"[..],
        &[1, 0, 0, 0],
        // View and window, the two groups, the epoch, the sums, when it was closed.
        &[0, 1, 0x80, 0, 0, 0, 0, 7],
        &[1, b'a', 0],
        &[0xac, 2],
        &[2, 3, 6, 0],
        &[10],
        // Section, run, records, raw length, stored length, checksum.
        &[7, 0, 0, 0, 0, 1, 0, 0, 0, 18, 0, 0, 0, 18, 0, 0, 0],
        &crc32fast::hash(&sample.bytes[12..30]).to_le_bytes(),
        // Blocks, checksum.
        &[1, 0, 0, 0],
        &crc32fast::hash(&[&sample.bytes[..12], &sample.bytes[30..55]].concat()).to_le_bytes(),
        b"TIDE.END",
    ];
    assert_eq!(sample.bytes, bytes.concat());
    // CRC-32 as zip and Ethernet have it.
    assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
}

#[test]
fn sections_have_the_numbers_and_names_that_are_stored() {
    for (number, section) in (1..).zip(Section::ALL) {
        assert_eq!(section as u8, number);
        assert_eq!(Section::of(number), Some(section));
        let name = serde_json::to_value(section).unwrap();
        assert_eq!(name, section.name());
    }
    assert_eq!(Section::of(0), None);
    assert_eq!(Section::of(8), None);
}
