//! What tests of checkpoints share.

use super::{Manifest, SavedPartition, SectionName, State};
use crate::time::{Frontier, SavedTime, SavedView, SavedWatermarks};
use checkpoint::{Codec, FileEntry, Section, SectionId, Store};
use std::collections::BTreeMap;

/// A file that is only named.
pub fn file(name: &str, bytes: u64) -> FileEntry {
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

/// The parts of the view of [`manifest`], and how many sums their records have.
pub const PARTS: [(&str, u8); 4] = [
    ("rows", checkpoint::SPARSE),
    ("members", 1),
    ("finals", 0),
    ("lookup_1", checkpoint::SPARSE),
];

/// A manifest that names files that are not there.
pub fn manifest(sequence: u64, files: &[&str]) -> Manifest {
    let view = "sales_analysis".to_owned();
    let partition = |(partition, next)| SavedPartition {
        topic: "transactions".to_owned(),
        partition,
        next,
        time: SavedTime {
            kafka: 0,
            last: Some(7),
            untimed: false,
            limits: Some(Vec::new()),
            views: Vec::new(),
        },
    };
    let reached = SavedView {
        now: Frontier {
            watermark: 1_700_000_000_000_000,
            through: 0,
        },
        passed: 0,
        horizon: 0,
    };
    let section = |(number, (part, _)): (u32, &(&str, u8))| {
        let (view, part) = (view.clone(), (*part).to_owned());
        (SectionId(number), SectionName { view, part })
    };
    let sections = (0..).zip(&PARTS).map(section);
    Manifest {
        sequence,
        generation: 4,
        epoch: 990,
        made_at: 1_700_000_000_123,
        state: State {
            views: BTreeMap::from([(view.clone(), "transactions by product_id".to_owned())]),
            partitions: [(0, 17), (1, 4)].map(partition).to_vec(),
            watermarks: SavedWatermarks {
                views: BTreeMap::from([(view.clone(), reached)]),
                marks: Vec::new(),
            },
            sections: sections.collect(),
            next_section: 4,
            ..State::default()
        },
        files: files.iter().map(|name| file(name, 100)).collect(),
    }
}

/// A manifest of files that have been written.
pub fn manifest_of(sequence: u64, files: Vec<FileEntry>) -> Manifest {
    Manifest {
        files,
        ..manifest(sequence, &[])
    }
}

/// The section of a part of the view of [`manifest`].
pub fn section_of(part: &str) -> Section {
    let mut parts = (0..).zip(PARTS);
    let (id, (_, sums)) = parts.find(|(_, (name, _))| *name == part).expect("a part");
    let id = SectionId(id);
    Section { id, sums }
}

/// Writes a file with one record of a part: its key, and its sums.
pub fn write(store: &Store, name: &str, part: &str, key: &[u8], sums: &[i128]) -> FileEntry {
    let mut payload = vec![u8::try_from(key.len()).expect("a short key")];
    payload.extend_from_slice(key);
    sums.iter().for_each(|sum| sum.put(&mut payload));
    let mut writer = store.create(name, 3, 10).expect("a file");
    let section = section_of(part);
    writer.append(section, 1, &payload).expect("a record");
    writer.finish(20).expect("a whole file")
}
