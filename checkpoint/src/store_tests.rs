//! What a store promises: manifests that are put once, files that stay until nothing
//! names them, and an error, and which, when the storage fails.

use super::error::CheckpointError;
use super::file::FileEntry;
use super::manifest::{self, Manifest};
use super::merge::merge;
use super::store::{FILES, MANIFESTS, Store};
use super::testing::{
    Plain, bytes_of as encoded, manifest as unwritten, manifest_of, read, section_of, write,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Members of one row, `count` of them, from the one number `first`.
fn members(first: u128, count: u128) -> Vec<Plain> {
    // Bits that no compression makes smaller, in increasing order.
    let noise =
        |n: u128| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) & (u128::MAX >> 66);
    let key = |n: u128| {
        [
            &b"of a row"[..],
            &(n * 77).to_be_bytes(),
            &((n << 80) | noise(n)).to_be_bytes(),
        ]
        .concat()
    };
    (first..first + count).map(|n| (key(n), vec![1])).collect()
}

fn newest(store: &Store) -> Result<Option<Manifest<Value>>, CheckpointError> {
    store.newest()
}

fn directory() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().to_str().unwrap()).unwrap();
    (directory, store)
}

fn file(store: &Store, name: &str) -> FileEntry {
    write(
        store,
        name,
        section_of("members"),
        &[members(0, 10), members(5, 10)],
    )
}

/// The names of what lies in a folder, also of what no listing shows.
fn there(directory: &Path, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(directory.join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn the_newest_manifest_is_the_one_with_the_greatest_number() {
    for url in [
        "memory:///",
        tempfile::tempdir().unwrap().path().to_str().unwrap(),
    ] {
        let store = Store::open(url).unwrap();
        assert_eq!(newest(&store).unwrap(), None);
        for (sequence, greatest) in [(9, 9), (10, 10), (2, 10)] {
            store.commit(&unwritten(sequence, &[])).unwrap();
            assert_eq!(newest(&store).unwrap(), Some(unwritten(greatest, &[])));
        }
    }
}

#[test]
fn a_number_is_taken_once() {
    let (_directory, store) = directory();
    let mine = unwritten(18, &["a"]);
    store.commit(&mine).unwrap();
    // The answer was lost, and it is put again.
    store.commit(&mine).unwrap();
    let mut other = mine.clone();
    other.generation = 5;
    let conflict = store.commit(&other).unwrap_err();
    assert!(matches!(
        conflict,
        CheckpointError::Conflict { sequence: 18, .. }
    ));
    assert!(!conflict.is_temporary());
    let said = conflict.to_string();
    assert!(
        said.contains("not from here (generation 4): another process"),
        "{said}"
    );
    assert_eq!(newest(&store).unwrap(), Some(mine));
    // The same over an object store's put.
    let store = Store::open("memory:///").unwrap();
    store.commit(&unwritten(18, &["a"])).unwrap();
    store.commit(&unwritten(18, &["a"])).unwrap();
    assert!(matches!(
        store.commit(&other),
        Err(CheckpointError::Conflict { .. })
    ));
}

#[test]
fn of_two_that_put_the_same_number_one_succeeds() {
    let (_directory, store) = directory();
    let results = std::thread::scope(|scope| {
        let put = |generation| {
            let mut manifest = unwritten(3, &[]);
            manifest.generation = generation;
            store.commit(&manifest).map(|()| generation)
        };
        let threads: Vec<_> = (1..9).map(|mine| scope.spawn(move || put(mine))).collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.collect::<Vec<_>>()
    });
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 7));
    let winner = won.into_iter().next().unwrap().unwrap();
    assert_eq!(newest(&store).unwrap().unwrap().generation, winner);
}

#[test]
fn a_damaged_manifest_is_never_passed_over() {
    let (directory, store) = directory();
    store.commit(&unwritten(1, &[])).unwrap();
    store.commit(&unwritten(2, &[])).unwrap();
    let path = directory.path().join(MANIFESTS).join(manifest::name(2));
    fs::write(&path, "").unwrap();
    assert!(matches!(
        newest(&store),
        Err(CheckpointError::Damaged { .. })
    ));
    fs::write(&path, "{\"format\":9}").unwrap();
    let error = newest(&store).unwrap_err();
    assert!(matches!(
        error,
        CheckpointError::Version {
            found: 9,
            reads: 3,
            ..
        }
    ));
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
    drop(directory);
    assert!(
        newest(&store).is_err(),
        "a directory that is gone has no manifests"
    );
}

#[test]
fn a_crash_before_the_manifest_leaves_the_checkpoint_before() {
    let (directory, store) = directory();
    let old = file(&store, "old");
    store.commit(&manifest_of(1, vec![old.clone()])).unwrap();
    // It is killed: one file is finished, one is not, and there is no manifest.
    file(&store, "new");
    let mut writer = store.create("half", 0, 1).unwrap();
    let run = encoded(&members(0, 600_000));
    writer.append(section_of("members"), 600_000, &run).unwrap();
    assert_eq!(there(directory.path(), FILES), ["half#1", "new", "old"]);
    std::mem::forget(writer);
    let store = Store::open(directory.path().to_str().unwrap()).unwrap();
    let newest = newest(&store).unwrap().unwrap();
    assert_eq!(newest, manifest_of(1, vec![old.clone()]));
    assert_eq!(read(&store, &old, section_of("members")).len(), 20);
    // And the next one tidies up.
    let next = file(&store, "next");
    let next = manifest_of(2, vec![old, next]);
    store.commit(&next).unwrap();
    let being_written = file(&store, "being_written");
    let deleted = store
        .clean(&next, &|name| name == being_written.name)
        .unwrap();
    assert_eq!(deleted, 1);
    assert_eq!(
        there(directory.path(), FILES),
        ["being_written", "next", "old"]
    );
}

#[test]
fn a_file_that_is_dropped_leaves_nothing() {
    let (directory, store) = directory();
    let run = encoded(&members(0, 600_000));
    assert!(run.len() > 16 << 20, "several parts: {}", run.len());
    let mut writer = store.create("dropped", 0, 1).unwrap();
    writer.append(section_of("members"), 600_000, &run).unwrap();
    drop(writer);
    // It is given up beside the caller. As long as it is there, it is not finished.
    loop {
        let left = there(directory.path(), FILES);
        if left.is_empty() {
            break;
        }
        assert_eq!(left, ["dropped#1"]);
        std::thread::yield_now();
    }
    assert!(store.names(FILES).unwrap().is_empty());
}

#[test]
fn two_older_checkpoints_and_their_files_are_kept() {
    let (directory, store) = directory();
    let mut manifests = vec![];
    for sequence in 1..=6 {
        let name = sequence.to_string();
        let newest = manifest_of(sequence, vec![file(&store, "all"), file(&store, &name)]);
        store.commit(&newest).unwrap();
        manifests.push(newest);
    }
    // Number 6 is newer than what is kept: somebody goes on, and it stays with its files.
    assert_eq!(store.clean(&manifests[4], &|_| false).unwrap(), 2);
    assert_eq!(store.sequences().unwrap(), [3, 4, 5, 6]);
    assert_eq!(there(directory.path(), FILES), ["3", "4", "5", "6", "all"]);
    assert_eq!(store.clean(&manifests[5], &|_| false).unwrap(), 1);
    assert_eq!(store.sequences().unwrap(), [4, 5, 6]);
    // Where a manifest cannot be read, what it names is not known.
    fs::write(
        directory.path().join(MANIFESTS).join(manifest::name(4)),
        "?",
    )
    .unwrap();
    file(&store, "left");
    assert!(store.clean(&manifests[5], &|_| false).is_err());
    assert_eq!(
        there(directory.path(), FILES),
        ["4", "5", "6", "all", "left"]
    );
}

#[test]
fn a_name_cannot_lead_elsewhere() {
    let (_directory, store) = directory();
    for name in ["", "..", "../x", "a/b", "a b", ".hidden", "a#1"] {
        assert!(store.create(name, 0, 1).is_err(), "{name}");
    }
    let mut lost = file(&store, "1-0_990.x");
    lost.name = "lost".to_owned();
    let error = store.blocks(&lost).unwrap_err();
    assert!(matches!(error, CheckpointError::Missing { .. }), "{error}");
    assert!(!error.is_temporary());
}

/// A disk of a mebibyte, where this may mount one.
struct TinyDisk {
    directory: TempDir,
}

impl TinyDisk {
    fn mount() -> Option<TinyDisk> {
        let directory = tempfile::tempdir().unwrap();
        let disk = TinyDisk { directory };
        let mounted = disk.run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"]);
        if !mounted {
            eprintln!("left out: this user may not mount a disk to fill");
        }
        mounted.then_some(disk)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    fn run(&self, command: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(command);
        let status = command.args(arguments).arg(self.path()).output();
        status.is_ok_and(|output| output.status.success())
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        // Lazily: a failed test may still hold a file open.
        self.run("umount", &["-l"]);
    }
}

#[test]
fn a_full_disk_and_one_that_is_read_only_pass() {
    let Some(disk) = TinyDisk::mount() else {
        return;
    };
    let store = Store::open(disk.path().to_str().unwrap()).unwrap();
    let old = manifest_of(1, vec![file(&store, "old")]);
    store.commit(&old).unwrap();
    // One that is written at once, and one in parts.
    for count in [100_000, 600_000] {
        let run = encoded(&members(0, count));
        let mut writer = store.create("large", 0, 1).unwrap();
        let written = writer.append(section_of("members"), 1, &run);
        let error = written
            .and_then(|()| writer.finish(1).map(drop))
            .unwrap_err();
        assert!(error.is_temporary(), "{error}");
        assert!(
            error.to_string().contains("No space left on device"),
            "{error}"
        );
        while there(&disk.path(), FILES) != ["old"] {
            std::thread::yield_now();
        }
    }
    // There is room again, and it goes on.
    let new = manifest_of(2, vec![file(&store, "new")]);
    store.commit(&new).unwrap();
    file(&store, "not_named");
    assert!(disk.run("mount", &["-o", "remount,ro"]));
    let written = store
        .create("more", 0, 1)
        .and_then(|writer| writer.finish(1));
    let error = written.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert!(
        error.to_string().contains("Read-only file system"),
        "{error}"
    );
    assert!(
        store
            .commit(&unwritten(3, &[]))
            .is_err_and(|error| error.is_temporary())
    );
    assert!(
        store
            .clean(&new, &|_| false)
            .is_err_and(|error| error.is_temporary())
    );
    assert_eq!(newest(&store).unwrap(), Some(new));
    // To begin there is another matter: the place is wrong.
    let error = Store::open(disk.path().to_str().unwrap()).err().unwrap();
    assert!(matches!(error, CheckpointError::Location { .. }));
    assert!(
        error
            .to_string()
            .contains("it cannot be written to: Read-only"),
        "{error}"
    );
}

/// Over a network, where there is an object store to be had: `TIDEMARK_TEST_S3` is the
/// URL of a bucket and of a folder in it, and how it is reached is in `AWS_…`.
#[test]
#[ignore = "needs an object store"]
fn an_object_store_keeps_the_same_promises() {
    let url = std::env::var("TIDEMARK_TEST_S3").expect("TIDEMARK_TEST_S3=s3://BUCKET/FOLDER");
    let store = Store::open(&url).unwrap();
    assert_eq!(newest(&store).unwrap(), None, "the folder is not empty");
    let small = file(&store, "small");
    let run = encoded(&members(0, 1_000_000));
    let mut writer = store.create("large", 0, 1).unwrap();
    writer
        .append(section_of("members"), 1_000_000, &run)
        .unwrap();
    let large = writer.finish(1).unwrap();
    assert!(large.bytes > 8 << 20, "several parts: {}", large.bytes);
    let mine = manifest_of(1, vec![small.clone(), large.clone()]);
    store.commit(&mine).unwrap();
    store.commit(&mine).unwrap();
    let mut other = mine.clone();
    other.generation = 5;
    let conflict = store.commit(&other).unwrap_err();
    assert!(
        matches!(conflict, CheckpointError::Conflict { .. }),
        "{conflict}"
    );
    assert_eq!(newest(&store).unwrap(), Some(mine));
    let merged = merge(
        &store,
        &[small.clone(), large],
        "merged",
        0,
        &BTreeSet::from([section_of("members").id]),
        0,
    )
    .unwrap();
    let mut expected = members(0, 1_000_000);
    expected[..5]
        .iter_mut()
        .for_each(|member| member.1 = vec![2]);
    expected[5..10]
        .iter_mut()
        .for_each(|member| member.1 = vec![3]);
    expected[10..15]
        .iter_mut()
        .for_each(|member| member.1 = vec![2]);
    assert!(read(&store, &merged, section_of("members")) == expected);
    for sequence in 2..=4 {
        store
            .commit(&manifest_of(sequence, vec![merged.clone()]))
            .unwrap();
    }
    let keep = manifest_of(4, vec![merged]);
    assert_eq!(store.clean(&keep, &|_| false).unwrap(), 2);
    assert_eq!(store.names(FILES).unwrap(), ["merged"]);
    let missing = store.blocks(&small).unwrap_err();
    assert!(
        matches!(missing, CheckpointError::Missing { .. }),
        "{missing}"
    );
    let mut cut = keep.files[0].clone();
    cut.bytes += 100;
    let damaged = store.blocks(&cut).unwrap_err();
    assert!(
        matches!(damaged, CheckpointError::Damaged { .. }),
        "{damaged}"
    );
}
