//! What tests of checkpoints share.

use super::codec::Codec;
use super::file::FileEntry;
use super::manifest::Manifest;
use super::parts::{Final, Part};
use super::records::{RawRecord, Section, SectionId, put, records};
use super::state::{SavedPartition, SectionName, State};
use super::store::Store;
use crate::time::{Frontier, SavedTime, SavedView, SavedWatermarks};
use crate::views::join::{Bought, Buyer, ByCustomer, ByProduct, Person, Pieces};
use crate::views::join::{Price, Sale, Sold, Stamp};
use crate::views::key::{Key, Slot};
use crate::views::sums::Sums;
use events::Id;
use proptest::prelude::*;
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

/// A manifest that names files that are not there.
pub(super) fn manifest(sequence: u64, files: &[&str]) -> Manifest {
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
    let sections = (0..).zip(&Part::FORMS).map(section);
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
            next_section: 7,
            ..State::default()
        },
        files: files.iter().map(|name| file(name, 100)).collect(),
    }
}

/// A manifest of files that have been written.
pub(super) fn manifest_of(sequence: u64, files: Vec<FileEntry>) -> Manifest {
    Manifest {
        files,
        ..manifest(sequence, &[])
    }
}

/// The section of a part of the view of [`manifest`].
pub(super) fn section_of(part: Part) -> Section {
    let (_, sums) = Part::FORMS[part.number()];
    let id = SectionId(u32::try_from(part.number()).unwrap());
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

/// Few different ones, so that they meet; of all forms.
pub(super) fn any_id() -> impl Strategy<Value = Id> {
    prop_oneof![
        (0u128..6).prop_map(|n| Id::from_uuid((n << 64) | (0b10 << 62))),
        "[ab]{0,2}".prop_map(|text| Id::new(&text)),
        "[a]{16,18}".prop_map(|text| Id::new(&text)),
    ]
}

fn any_slot() -> impl Strategy<Value = Slot> {
    (0u16..3, -2i64..3).prop_map(|(view, index)| Slot::new(view, index))
}

pub(super) fn any_key() -> impl Strategy<Value = Key> {
    (any_slot(), any_id(), any_id()).prop_map(|(slot, one, other)| Key {
        slot,
        group: [one, other],
    })
}

pub(super) fn any_member() -> impl Strategy<Value = (Key, Id, isize)> {
    (any_key(), any_id(), -2isize..3)
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    let times = (any::<i64>(), prop::option::of(any::<i64>()));
    (times, 0..=i32::MAX, any::<i64>()).prop_map(|((kafka, seen), partition, offset)| Stamp {
        kafka,
        partition,
        offset,
        seen: seen.unwrap_or(kafka),
    })
}

pub(super) fn any_sale() -> impl Strategy<Value = (Id, Sale, isize)> {
    let sale = (
        any_stamp(),
        any_slot(),
        any::<i64>(),
        any_id(),
        any_id(),
        any_id(),
    );
    let sale = sale.prop_map(|(stamp, slot, quantity, customer, product, status)| Sale {
        stamp,
        slot,
        quantity,
        customer,
        product,
        status,
    });
    (any_id(), sale, -2isize..3)
}

fn any_pieces() -> impl Strategy<Value = Pieces> {
    (-2i64..3, -9i128..10).prop_map(|(orders, items)| Pieces { orders, items })
}

pub(super) fn any_customer() -> impl Strategy<Value = (Id, ByCustomer, Pieces)> {
    let is = (any_stamp(), any_id())
        .prop_map(|(stamp, gender)| ByCustomer::Is(Person { stamp, gender }));
    let bought = (any_slot(), any_id(), any_id()).prop_map(|(slot, product, status)| {
        ByCustomer::Bought(Bought {
            slot,
            product,
            status,
        })
    });
    (any_id(), prop_oneof![is, bought], any_pieces())
}

pub(super) fn any_product() -> impl Strategy<Value = (Id, ByProduct, Pieces)> {
    let is = (any_stamp(), any_id(), any::<i64>()).prop_map(|(stamp, category, price)| {
        ByProduct::Is(Price {
            stamp,
            category,
            price,
        })
    });
    let sold = (any_slot(), any_id()).prop_map(|(slot, who)| ByProduct::Sold(Sold { slot, who }));
    let buyer = (any_slot(), any_id(), any_id()).prop_map(|(slot, who, customer)| {
        ByProduct::Buyer(Buyer {
            slot,
            who,
            customer,
        })
    });
    (any_id(), prop_oneof![is, sold, buyer], any_pieces())
}

pub(super) fn any_sums() -> impl Strategy<Value = Sums> {
    let small = -2i64..3;
    let wide = prop_oneof![-9i128..10, any::<i128>().prop_map(|wide| wide >> 2)];
    (small.clone(), small, wide.clone(), wide).prop_map(|(count, unique, a, b)| Sums {
        count,
        unique,
        sums: [a, b],
    })
}

pub(super) fn any_final() -> impl Strategy<Value = Final> {
    (any_key(), 0u64..9, any_sums(), 0i64..9).prop_map(|(key, epoch, sums, closed_at)| Final {
        key,
        epoch,
        sums,
        closed_at,
    })
}
