//! Addresses for processes that were given none.

use crate::config::Supervision;
use std::fs::{OpenOptions, remove_file};
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The file in which the processes find their addresses.
pub(super) struct Hosts {
    path: Option<PathBuf>,
    /// It is ours, and of no use after them.
    is_temporary: bool,
}

impl Hosts {
    /// The one that was given, or a new one with free ports of this machine. They are
    /// free now; a process that finds its own taken fails, and the next start has others.
    pub(super) fn of(plan: &Supervision) -> io::Result<Hosts> {
        if plan.hostfile.is_some() || plan.processes == 1 {
            return Ok(Hosts {
                path: plan.hostfile.clone(),
                is_temporary: false,
            });
        }
        // All at once, so that they differ.
        let listeners = (0..plan.processes)
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<io::Result<Vec<_>>>()?;
        let mut lines = String::new();
        for listener in &listeners {
            lines += &format!("{}\n", listener.local_addr()?);
        }
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let time = time.map_or(0, |time| time.as_nanos());
        let name = format!("tidemark-hosts-{time}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        file.write_all(lines.as_bytes())?;
        Ok(Hosts {
            path: Some(path),
            is_temporary: true,
        })
    }

    /// Where it is; one process alone needs none.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if let (Some(path), true) = (&self.path, self.is_temporary) {
            // What cannot be removed is in the folder for temporary files.
            let _ = remove_file(path);
        }
    }
}
