//! The processes of one start.

use crate::config::Supervision;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Processes that were started together. Those that still run are killed when it is
/// dropped.
pub(super) struct Group {
    members: Vec<Member>,
}

struct Member {
    /// Its standard input is open as long as this lives, and says nothing.
    child: Child,
    has_ended: bool,
}

/// A process that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    process: usize,
    status: ExitStatus,
}

impl Group {
    /// Starts all of them. `restarted`: not for the first time.
    pub(super) fn start(
        plan: &Supervision,
        hostfile: Option<&Path>,
        restarted: bool,
    ) -> io::Result<Group> {
        let program = std::env::current_exe()?;
        let mut group = Group {
            members: Vec::new(),
        };
        for process in 0..plan.processes {
            let child = Command::new(&program)
                .args(plan.arguments(process, hostfile, restarted))
                .stdin(Stdio::piped())
                // A terminal's Ctrl-C comes by the supervisor, once.
                .process_group(0)
                .spawn()?;
            tracing::info!("process {process} started (pid {})", child.id());
            let has_ended = false;
            group.members.push(Member { child, has_ended });
        }
        Ok(group)
    }

    /// Those that have ended since it was asked last.
    pub(super) fn look(&mut self) -> io::Result<Vec<Ended>> {
        let mut all = Vec::new();
        for (process, member) in self.members.iter_mut().enumerate() {
            if member.has_ended {
                continue;
            }
            if let Some(status) = member.child.try_wait()? {
                member.has_ended = true;
                all.push(Ended { process, status });
            }
        }
        Ok(all)
    }

    /// Whether all have ended.
    pub(super) fn is_over(&self) -> bool {
        self.members.iter().all(|member| member.has_ended)
    }

    /// Tells those that still run to stop.
    pub(super) fn terminate(&self) {
        for member in self.members.iter().filter(|member| !member.has_ended) {
            // It is not waited for yet, so that the number is still its own, even if it
            // has ended meanwhile; then nobody hears it.
            if let Ok(pid) = i32::try_from(member.child.id())
                && let Some(pid) = Pid::from_raw(pid)
            {
                let _ = kill_process(pid, Signal::TERM);
            }
        }
    }

    /// Ends those that still run at once.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        let members = self.members.iter_mut();
        members
            .filter(|member| !member.has_ended)
            .try_for_each(|member| member.child.kill())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody is left to tell if that fails, and their input ends in any case.
        let _ = self.kill();
        for member in &mut self.members {
            let _ = member.child.wait();
        }
    }
}

impl Ended {
    /// Whether all it had to do is done.
    pub(super) fn is_well(&self) -> bool {
        self.status.success()
    }

    /// How likely it is that others ended because this one did: what a process finds
    /// wrong with its arguments comes before a signal, and that before whatever they say
    /// of each other.
    pub(super) fn cause(&self) -> u8 {
        match self.status.code() {
            Some(0) => 0,
            Some(2) => 3,
            Some(_) => 1,
            None => 2,
        }
    }

    /// Whether it was started with what it does not take.
    pub(super) fn is_usage(&self) -> bool {
        self.status.code() == Some(2)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ", self.process)?;
        match (self.status.code(), self.status.signal()) {
            (Some(0), _) => write!(f, "has ended: done"),
            (Some(code), _) => write!(f, "ended with exit code {code}"),
            (None, Some(signal)) => write!(f, "was ended by signal {signal}"),
            (None, None) => write!(f, "ended with {}", self.status),
        }
    }
}
