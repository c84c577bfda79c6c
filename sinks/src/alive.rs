//! Whether a process that claimed the database is still there, without asking it.
//!
//! A run that was killed on this machine need not be waited for. That it is gone must
//! be certain, though, and a process id alone says little: ids are used again, every
//! container has a process 1, and machines share names. So a claim records three things
//! that the kernel knows, and only where two of them are ours too is the id looked up:
//!
//! - the *boot id*, which no other boot of no other machine has. Containers of one
//!   machine share it;
//! - the *pid namespace*, within which an id means one process. No two that exist at the
//!   same time have the same number under one kernel; so if the holder lives, and its
//!   namespace has our number, it is in ours. A container that was started again has a
//!   new one, and cannot tell;
//! - when the process started, in ticks since the boot: an id that was used again has
//!   another.
//!
//! Where any of this cannot be read (another system than Linux, a `/proc` that hides
//! processes or shows those of another namespace), nothing is known, and the holder is
//! asked through the database.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Where a process can be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    boot: String,
    namespace: String,
    /// When the process started, in clock ticks since the boot.
    started: u64,
}

impl Place {
    /// Of a process that runs here, if it can be told.
    pub(crate) fn of(process: u32) -> Option<Place> {
        // A container may have been given the `/proc` of its host.
        let shown = fs::read_link("/proc/self").ok()?;
        if shown != Path::new(&std::process::id().to_string()) {
            return None;
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
        let Looked::Runs { started } = look(process) else {
            return None;
        };
        Some(Place {
            boot: boot.trim().to_owned(),
            namespace: namespace.to_str()?.to_owned(),
            started,
        })
    }

    /// As it is kept in the database.
    pub(crate) fn text(&self) -> String {
        format!("{} {} {}", self.boot, self.namespace, self.started)
    }

    /// The other way; `None` where it was written by something else.
    pub(crate) fn parse(text: &str) -> Option<Place> {
        let mut parts = text.split(' ');
        Some(Place {
            boot: parts.next()?.to_owned(),
            namespace: parts.next()?.to_owned(),
            started: parts.next()?.parse().ok()?,
        })
    }
}

/// Whether the process of this id, which started at `there`, is certainly no more;
/// `here` is where we are.
pub(crate) fn is_gone(process: u32, there: &Place, here: &Place) -> bool {
    if (&there.boot, &there.namespace) != (&here.boot, &here.namespace) {
        return false;
    }
    match look(process) {
        Looked::Runs { started } => started != there.started,
        // A `/proc` that hides the processes of other users hides process 1 as well.
        Looked::Missing => Path::new("/proc/1").exists(),
        Looked::Dead => true,
        Looked::Unknown => false,
    }
}

enum Looked {
    /// It is there, since so many ticks after the boot.
    Runs {
        started: u64,
    },
    /// It has ended, and nobody has taken notice yet.
    Dead,
    Missing,
    Unknown,
}

fn look(process: u32) -> Looked {
    let stat = match fs::read_to_string(format!("/proc/{process}/stat")) {
        Ok(stat) => stat,
        Err(error) if error.kind() == ErrorKind::NotFound => return Looked::Missing,
        Err(_) => return Looked::Unknown,
    };
    // The second field is the only one that may hold blanks, and ends with `)`. The
    // state is the third, the start the 22nd.
    let mut fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return Looked::Dead;
    }
    match fields.nth(18).and_then(|started| started.parse().ok()) {
        Some(started) => Looked::Runs { started },
        None => Looked::Unknown,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_is_gone_when_it_was_killed_and_when_its_id_is_used_again() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let id = child.id();
        let here = Place::of(std::process::id()).unwrap();
        let there = Place::of(id).unwrap();
        assert_eq!(Place::parse(&there.text()), Some(there.clone()));
        assert!(!is_gone(id, &there, &here));
        let before = Place {
            started: there.started - 1,
            ..there.clone()
        };
        assert!(is_gone(id, &before, &here), "another process of that id");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(id, &there, &here));
        for elsewhere in [
            Place {
                boot: "other".into(),
                ..there.clone()
            },
            Place {
                namespace: "pid:[1]".into(),
                ..there
            },
        ] {
            assert!(!is_gone(id, &elsewhere, &here), "who knows");
        }
    }

    /// Nobody has waited for it: a container without an init keeps such ones.
    #[test]
    fn a_process_that_nobody_has_waited_for_is_gone() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let here = Place::of(std::process::id()).unwrap();
        let there = Place::of(child.id()).unwrap();
        child.kill().unwrap();
        while !is_gone(child.id(), &there, &here) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
