//! What tests of checkpoints share.

use super::codec::Codec;
use super::file::FileEntry;
use super::manifest::Manifest;
use super::records::{RawRecord, Section, SectionId, put, records};
use super::store::Store;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A file that is only named.
pub(super) fn file(name: &str, bytes: u64) -> FileEntry {
    FileEntry {
        name: name.to_owned(),
        lane: 0,
        bytes,
        records: BTreeMap::from([(SectionId(0), 3)]),
        blocks: 1,
        checksum: 7,
        from: 1,
        through: 2,
    }
}

/// The parts of some view's state, and how many sums their records have.
pub(super) const PARTS: [(&str, u8); 4] = [
    ("rows", 4),
    ("members", 1),
    ("finals", 0),
    ("by_customer", 2),
];

/// A manifest that names files that are not there.
pub(super) fn manifest(sequence: u64, files: &[&str]) -> Manifest<Value> {
    Manifest {
        sequence,
        generation: 4,
        epoch: 990,
        made_at: 1_700_000_000_123,
        state: json!({"what": ["is", "known"], "beside": "the files"}),
        files: files.iter().map(|name| file(name, 100)).collect(),
    }
}

/// A manifest of files that have been written.
pub(super) fn manifest_of(sequence: u64, files: Vec<FileEntry>) -> Manifest<Value> {
    Manifest {
        files,
        ..manifest(sequence, &[])
    }
}

/// The section of a part of the view of [`manifest`].
pub(super) fn section_of(part: &str) -> Section {
    let mut parts = (0..).zip(PARTS);
    let (id, (_, sums)) = parts.find(|(_, (name, _))| *name == part).unwrap();
    let id = SectionId(id);
    Section { id, sums }
}

/// A record: its key, and its sums.
pub(super) type Plain = (Vec<u8>, Vec<i128>);

/// The bytes of records.
pub(super) fn bytes_of(records: &[Plain]) -> Vec<u8> {
    let mut bytes = vec![];
    for (key, sums) in records {
        let put_sums = |into: &mut Vec<u8>| sums.iter().for_each(|sum| sum.put(into));
        put(&mut bytes, |into| into.extend_from_slice(key), put_sums);
    }
    bytes
}

fn plain(record: RawRecord<'_>) -> Plain {
    let mut sums = record.sums;
    let sums = std::iter::from_fn(|| i128::take(&mut sums)).collect();
    (record.key.to_vec(), sums)
}

/// All records of a block's payload.
pub(super) fn plain_of(payload: &[u8], section: Section) -> Vec<Plain> {
    let records = records(payload, section);
    records.map(|record| plain(record.unwrap())).collect()
}

/// Writes a file with these runs of a section.
pub(super) fn write(store: &Store, name: &str, section: Section, runs: &[Vec<Plain>]) -> FileEntry {
    let mut writer = store.create(name, 3, 10).unwrap();
    for run in runs {
        let records = run.len() as u64;
        writer.append(section, records, &bytes_of(run)).unwrap();
    }
    writer.finish(20).unwrap()
}

/// All records that a file has of a section, in their order in it.
pub(super) fn read(store: &Store, file: &FileEntry, section: Section) -> Vec<Plain> {
    let mut records = vec![];
    for block in store.blocks(file).unwrap() {
        if block.section == section {
            let payload = store.read(file, &block).unwrap();
            records.extend(plain_of(&payload, section));
        }
    }
    records
}

/// Records of a section with so many sums. Few different keys, so that they meet.
pub(super) fn any_plain(sums: u8) -> impl Strategy<Value = Plain> {
    let epoch = (0u64..9).prop_map(|epoch| epoch.to_be_bytes().to_vec());
    let short = proptest::collection::vec(0u8..2, 0..3);
    let long = (14usize..20).prop_map(|length| vec![7; length]);
    let key = (epoch, prop_oneof![short, long]).prop_map(|(epoch, rest)| [epoch, rest].concat());
    let sum = prop_oneof![-2i128..3, any::<i128>()];
    (key, proptest::collection::vec(sum, usize::from(sums)))
}
