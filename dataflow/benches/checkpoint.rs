//! What it costs to write the state down, to load it, and to merge files.
//!
//! Members of rows are most of a large state: a key with two ids, a third id, a count.
//! They are written by one thread, as a worker does, in runs as short as an epoch's and
//! in one long run; then they are read, and merged. What is measured is the time of
//! processors, of all threads: waiting for the disk is not in it.
//!
//! ```text
//! cargo bench --workspace --bench checkpoint -- [RECORDS]
//! ```

use checkpoint::{FileEntry, Section, SectionId, Store, decode, encode, merge, records};
use cpu_time::ProcessTime;
use dataflow::views::key::Key;
use events::Id;
use model::{Datum, Slot};
use std::collections::BTreeSet;
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Member = (Key, Datum, isize);

/// Members of one view.
const MEMBERS: Section = Section {
    id: SectionId(1),
    sums: 1,
};
/// Records of an epoch: 100,000 a second.
const EPOCH: usize = 10_000;
/// Records a second that one core shall write, and read.
const TARGET: f64 = 5e6;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let count = numbers.next().unwrap_or(2_000_000);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("a path of text");
    let store = Store::open(path).expect("a store");
    let mut records: Vec<Member> = (0..count).map(member).collect();
    println!("{count} members of rows, processor time\n");
    println!("{:<34} {:>14} {:>16}", "", "records/s", "bytes a record");

    let mut all_hold = true;
    let mut line = |what: &str, began: ProcessTime, bytes: u64, target: bool| {
        let rate = count as f64 / began.elapsed().as_secs_f64();
        let holds = !target || rate >= TARGET;
        all_hold &= holds;
        let verdict = if holds { "" } else { "  missed" };
        let size = bytes as f64 / count as f64;
        println!("{what:<34} {rate:>14.0} {size:>16.1}{verdict}");
    };

    let mut payload = Vec::new();
    let began = ProcessTime::now();
    let bytes = encode_all(&records, &mut payload);
    line("encode", began, bytes, true);
    let began = ProcessTime::now();
    let mut decoded = 0;
    while decoded < count {
        decoded += decode_all(&payload);
    }
    line("decode", began, bytes, true);

    records.chunks_mut(EPOCH).for_each(<[Member]>::sort);
    // Once before it counts: what is first is the allocator's and the system's.
    write(&store, "warm", records.chunks(EPOCH));
    let began = ProcessTime::now();
    let epochs = write(&store, "epochs", records.chunks(EPOCH));
    line("encode, append, finish: epochs", began, epochs.bytes, true);
    records.sort();
    let began = ProcessTime::now();
    let base = write(&store, "long", std::iter::once(records.as_slice()));
    line(
        "encode, append, finish: one epoch",
        began,
        base.bytes,
        false,
    );
    drop(records);

    let began = ProcessTime::now();
    assert_eq!(read(&store, &epochs), count);
    line("read, decode: epochs", began, epochs.bytes, true);
    let began = ProcessTime::now();
    let kept = BTreeSet::from([MEMBERS.id]);
    let merged = merge(&store, &[epochs], "sorted", 0, &kept, 0).expect("merged");
    line("merge: unsorted", began, merged.bytes, false);
    let base = merge(&store, &[base], "base", 0, &kept, 0).expect("merged");
    let began = ProcessTime::now();
    let doubled = merge(&store, &[base, merged], "doubled", 0, &kept, 0).expect("merged");
    assert_eq!(doubled.total_records(), count);
    line(
        "merge: two sorted runs, equal keys",
        began,
        doubled.bytes,
        false,
    );
    let began = ProcessTime::now();
    assert_eq!(read(&store, &doubled), count);
    line("read, decode: merged", began, doubled.bytes, true);
    if !all_hold {
        std::process::exit(1);
    }
}

/// A customer among the buyers of a product in an hour; all in no order.
fn member(n: u64) -> Member {
    let mixed = |n: u64, salt: u64| {
        let bits = (n ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = (bits ^ (bits >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits ^ (bits >> 32)
    };
    let uuid = |n: u64| {
        let lower = (mixed(n, 1) >> 2) | (0b10 << 62);
        Datum::from(Id::from_uuid(
            (u128::from(mixed(n, 2)) << 64) | u128::from(lower),
        ))
    };
    let n = mixed(n, 3);
    let slot = Slot::new(2, 470_000 + i64::try_from(n % 24).unwrap_or(0));
    let key = Key::new(slot, &[uuid(n / 24 % 1_000)]);
    (key, uuid(n), 1)
}

/// Encodes epoch after epoch, each over the one before; how many bytes that are.
fn encode_all(records: &[Member], payload: &mut Vec<u8>) -> u64 {
    let mut bytes = 0;
    for epoch in records.chunks(EPOCH) {
        payload.clear();
        for (key, member, count) in epoch {
            encode(key, member, count, payload);
        }
        bytes += black_box(payload.as_slice()).len() as u64;
    }
    bytes
}

/// Decodes all records of a payload; how many there are.
fn decode_all(payload: &[u8]) -> u64 {
    let updates = records(payload, MEMBERS).map(|record| {
        let update = record.and_then(|record| decode::<Key, Datum, isize>(record, 2));
        black_box(update.expect("an update"))
    });
    updates.count() as u64
}

fn write<'a>(store: &Store, name: &str, runs: impl Iterator<Item = &'a [Member]>) -> FileEntry {
    let mut writer = store.create(name, 0, 1).expect("a file");
    let mut payload = Vec::new();
    for run in runs {
        payload.clear();
        for (key, member, count) in run {
            encode(key, member, count, &mut payload);
        }
        let records = run.len() as u64;
        writer.append(MEMBERS, records, &payload).expect("appended");
    }
    writer.finish(1).expect("finished")
}

fn read(store: &Store, file: &FileEntry) -> u64 {
    let mut count = 0;
    for block in store.blocks(file).expect("its blocks") {
        let payload = store.read(file, &block).expect("a block");
        count += decode_all(&payload);
    }
    count
}
