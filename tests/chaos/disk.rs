//! A small disk of the run's own for its checkpoints, to be filled up and to be made
//! read-only.
//!
//! It is a tmpfs of its own, so that "no space left" and "read-only file system" are
//! what a real disk would say. Mounting one takes the right to mount, which
//! `unshare --map-root-user --mount` gives most users.

use end_to_end::checkpoint::Folder;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// Bytes that the disk holds.
const SIZE: &str = "size=96m";

/// Where checkpoints go.
pub(crate) struct Disk {
    folder: Folder,
    home: PathBuf,
    /// What fills it up, while it is full.
    ballast: Option<File>,
    mounted: bool,
}

impl Disk {
    /// A folder on a disk of its own, or only a folder where none can be mounted.
    pub(crate) fn mount() -> Disk {
        let folder = Folder::new();
        let home = folder.path().parent().map(PathBuf::from);
        let home = home.expect("the folder lies in another one");
        let mut disk = Disk {
            folder,
            home,
            ballast: None,
            mounted: false,
        };
        let home = disk.home.to_string_lossy().into_owned();
        disk.mounted = run(&["mount", "-t", "tmpfs", "-o", SIZE, "tmpfs", &home]);
        disk
    }

    /// Whether it can be filled up and made read-only.
    pub(crate) fn is_own(&self) -> bool {
        self.mounted
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Takes all room that there is. To be called again and again for as long as the
    /// disk shall be full: others make room too.
    ///
    /// # Panics
    /// When there is something else in the way than a lack of room.
    pub(crate) fn fill(&mut self) {
        const PIECE: usize = 1 << 16;
        let ballast = self.ballast.get_or_insert_with(|| {
            File::create(self.home.join("ballast")).expect("a file on the disk")
        });
        for size in [PIECE, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Fills it up again, if it is to be full.
    pub(crate) fn keep_full(&mut self) {
        if self.ballast.is_some() {
            self.fill();
        }
    }

    /// Makes room again.
    ///
    /// # Panics
    /// When the system does not.
    pub(crate) fn make_room(&mut self) {
        self.ballast = None;
        std::fs::remove_file(self.home.join("ballast")).expect("the ballast goes");
    }

    /// Nothing can be written to the folder any more: a read-only view of it hides it.
    /// (The disk itself cannot be made read-only while a file of it is being written.)
    ///
    /// # Panics
    /// When the system does not.
    pub(crate) fn make_read_only(&self) {
        let path = self.folder.url();
        // It may be hit before a run has made it.
        std::fs::create_dir_all(&path).expect("a folder");
        assert!(run(&["mount", "--bind", &path, &path]), "mount --bind");
        let only = ["mount", "-o", "remount,bind,ro", &path];
        assert!(run(&only), "{only:?}");
    }

    /// It can be written to again.
    ///
    /// # Panics
    /// When the system does not let it.
    pub(crate) fn make_writable(&self) {
        // Lazily: somebody may read a file in it.
        assert!(run(&["umount", "-l", &self.folder.url()]), "umount -l");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            run(&["umount", "-l", &self.home.to_string_lossy()]);
        }
    }
}

fn run(command: &[&str]) -> bool {
    let output = Command::new(command[0]).args(&command[1..]).output();
    output.is_ok_and(|output| output.status.success())
}
