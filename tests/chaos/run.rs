//! One start of the pipeline: its processes, how they are hit, and how each may end.
//!
//! Whoever is hit by nothing has no reason to end, and who ends has to say why. An
//! exit that is not accounted for is a finding like a wrong document.

use crate::plan::Shape;
use crate::proxy::{Proxy, Whose};
use end_to_end::Process;
use end_to_end::http::get;
use end_to_end::process::{free_port, is_alive};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::Command;
use std::time::Instant;
use tempfile::NamedTempFile;

/// How a process has ended, for the tally.
pub(crate) type Exit = String;

/// Processes that work together, or a supervisor with those that it has started.
pub(crate) struct Run {
    pub(crate) number: usize,
    pub(crate) shape: Shape,
    processes: Vec<Process>,
    /// Between process 1 and process 0.
    peers: Option<Proxy>,
    /// Where each serves HTTP.
    addresses: Vec<String>,
    _hosts: Vec<NamedTempFile>,
    /// Numbers in the system of those that were killed by the harness.
    killed: BTreeSet<u32>,
    frozen: BTreeSet<u32>,
    interrupted: bool,
    replaced: bool,
    /// By place in `processes`: what has been told already.
    told: BTreeSet<usize>,
    /// Since when some have ended while others still could.
    pub(crate) uneven: Option<Instant>,
}

impl Run {
    /// Starts the pipeline with these arguments in this shape.
    ///
    /// # Panics
    /// When it cannot be started.
    pub(crate) fn start(number: usize, arguments: &[String], shape: Shape) -> Run {
        let mut run = Run {
            number,
            shape,
            processes: Vec::new(),
            peers: None,
            addresses: Vec::new(),
            _hosts: Vec::new(),
            killed: BTreeSet::new(),
            frozen: BTreeSet::new(),
            interrupted: false,
            replaced: false,
            told: BTreeSet::new(),
            uneven: None,
        };
        match shape.supervised {
            true => run.start_supervisor(arguments),
            false => run.start_processes(arguments),
        }
        run
    }

    fn start_supervisor(&mut self, arguments: &[String]) {
        let (processes, workers) = (self.shape.processes, self.shape.workers);
        let mut all = vec!["supervise".to_owned()];
        all.extend(["-n".to_owned(), processes.to_string()]);
        all.extend(["-w".to_owned(), workers.to_string(), "--".to_owned()]);
        all.extend(arguments.iter().cloned());
        all.extend(["--http".to_owned(), "off".to_owned()]);
        let name = format!("chaos-run{}-supervisor", self.number);
        self.processes = vec![Process::start("tidemark", &name, &all, &[])];
    }

    fn start_processes(&mut self, arguments: &[String]) {
        let ports: Vec<_> = (0..self.shape.processes).map(|_| free_port()).collect();
        let mut dialed = ports.clone();
        if self.shape.processes > 1 {
            // Process 1 dials process 0, and does so here.
            let proxy = Proxy::start(0, ports[0], Whose::Everybody);
            dialed[0] = proxy.port();
            self.peers = Some(proxy);
        }
        for index in 0..self.shape.processes {
            let hosts = host_file(if index == 0 { &ports } else { &dialed });
            let address = format!("127.0.0.1:{}", free_port());
            let mut all = arguments.to_vec();
            for (flag, value) in [
                ("-w", self.shape.workers.to_string()),
                ("-n", self.shape.processes.to_string()),
                ("-p", index.to_string()),
                ("-h", hosts.path().to_string_lossy().into_owned()),
                ("--http", address.clone()),
            ] {
                all.extend([flag.to_owned(), value]);
            }
            let name = format!("chaos-run{}-p{index}", self.number);
            let process = Process::start("tidemark", &name, &all, &[]);
            self.processes.push(process);
            self.addresses.push(address);
            self._hosts.push(hosts);
        }
    }

    /// Numbers in the system of those that work, and do so still.
    pub(crate) fn workers(&self) -> Vec<u32> {
        let all = match self.shape.supervised {
            true => children(&self.processes[0], self.shape.processes),
            false => self.processes.iter().map(Process::id).collect(),
        };
        all.into_iter().filter(|pid| is_alive(*pid)).collect()
    }

    /// Where its processes serve HTTP; nowhere if they are supervised.
    pub(crate) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Whether it works, and does not only want to.
    pub(crate) fn is_ready(&self) -> bool {
        let ready =
            |address: &String| get(address, "/readyz").is_ok_and(|(status, _)| status == 200);
        self.addresses.iter().all(ready)
    }

    /// The connection of its processes.
    pub(crate) fn peers(&self) -> Option<&Proxy> {
        self.peers.as_ref()
    }

    /// Ends one of its processes at once.
    pub(crate) fn kill(&mut self, pid: u32) {
        self.killed.insert(pid);
        signal(pid, "KILL");
    }

    /// Ends all of it at once.
    pub(crate) fn kill_all(&mut self) {
        // The supervisor first, so that it does not start others.
        let mut all: Vec<_> = self.processes.iter().map(Process::id).collect();
        all.extend(self.workers());
        for pid in all {
            self.kill(pid);
        }
    }

    /// Freezes one of its processes.
    pub(crate) fn freeze(&mut self, pid: u32) {
        self.frozen.insert(pid);
        signal(pid, "STOP");
    }

    /// Thaws all that are frozen.
    pub(crate) fn thaw(&mut self) {
        for pid in std::mem::take(&mut self.frozen) {
            signal(pid, "CONT");
        }
        self.uneven = None;
    }

    /// Whether all that still live are frozen, and some are.
    pub(crate) fn is_frozen(&self) -> bool {
        let living = self.workers();
        !living.is_empty() && living.iter().all(|pid| self.frozen.contains(pid))
    }

    /// Whether all that still live wait for others, which they have not met.
    pub(crate) fn is_waiting(&self) -> bool {
        let living = |process: &&Process| is_alive(process.id());
        let waits = |process: &Process| {
            let output = process.output();
            let last = output.lines().last().unwrap_or_default();
            last.contains("waiting for process")
        };
        let mut living = self.processes.iter().filter(living).peekable();
        living.peek().is_some() && living.all(waits)
    }

    /// What Ctrl-C does.
    pub(crate) fn interrupt(&mut self) {
        self.interrupted = true;
        for process in &mut self.processes {
            if process.ended().is_none() {
                process.interrupt();
            }
        }
    }

    /// Another run has taken its place.
    pub(crate) fn set_replaced(&mut self) {
        self.replaced = true;
    }

    /// Whether somebody was frozen when it was thawed last, or still is.
    pub(crate) fn has_frozen(&self) -> bool {
        !self.frozen.is_empty()
    }

    /// Whether all of it has ended; tells `exit` of each process once.
    ///
    /// # Panics
    /// When one has ended in a way that nothing accounts for.
    pub(crate) fn has_ended(&mut self, mut exit: impl FnMut(Exit)) -> bool {
        for index in 0..self.processes.len() {
            if self.told.contains(&index) || self.processes[index].ended().is_none() {
                continue;
            }
            self.told.insert(index);
            exit(self.judge(index));
        }
        match self.told.len() {
            0 => self.uneven = None,
            _ => {
                self.uneven.get_or_insert_with(Instant::now);
            }
        }
        self.told.len() == self.processes.len() && self.workers().is_empty()
    }

    /// How a process has ended, if there was a reason for it.
    fn judge(&mut self, index: usize) -> Exit {
        let process = &mut self.processes[index];
        let status = process.ended().expect("it has ended");
        let output = process.output();
        let why = reason(&output);
        let accounted = !output.contains("panicked")
            && match status.code() {
                // Interrupted before it listens to that, it is gone as by a kill.
                None => self.interrupted || self.killed.contains(&process.id()),
                Some(0) => self.interrupted,
                Some(1) => !why.is_empty(),
                // Of all wrong usage chaos is to blame for this: to begin on a disk that
                // cannot be written to, and, having slept before it began, beside another.
                Some(2) => {
                    output.contains("it cannot be written to")
                        || output.contains("it cannot be made: Read-only file system")
                        || self.replaced && is_refused(&output)
                }
                Some(_) => false,
            };
        assert!(
            accounted,
            "process {index} of a run {} ended with {status}, and nothing accounts for it: {why}",
            self.shape
        );
        match status.code() {
            None => "killed".to_owned(),
            Some(0) => "0".to_owned(),
            Some(code) => format!("{code}: {}", without_numbers(&why)),
        }
    }

    /// A run that was replaced, and has ended, has to say so.
    ///
    /// # Panics
    /// When it does not, or did not end with 1.
    pub(crate) fn check_replaced(&mut self) {
        assert!(self.replaced, "only those that were replaced say so");
        for process in &mut self.processes {
            let killed = self.killed.contains(&process.id());
            let code = process.ended().and_then(|status| status.code());
            let output = process.output();
            let told = match code {
                // With two, the one may have missed the other before it was told.
                Some(1) => self.shape.processes > 1 || output.contains("has taken over"),
                Some(2) => is_refused(&output),
                _ => killed,
            };
            assert!(
                told,
                "a run that was replaced ended with {code:?}:\n{output}"
            );
        }
    }

    /// Its processes, for whoever keeps their logs.
    pub(crate) fn into_processes(self) -> Vec<Process> {
        self.processes
    }
}

/// Sends a signal to a process, which may have ended a moment ago.
fn signal(pid: u32, signal: &str) {
    let arguments = [format!("-{signal}"), pid.to_string()];
    let sent = Command::new("kill").args(arguments).output();
    sent.expect("there is a kill");
}

/// The newest `count` of those that a supervisor has started.
fn children(supervisor: &Process, count: usize) -> Vec<u32> {
    let output = supervisor.output();
    let pids = output.lines().rev().filter_map(|line| {
        let (_, pid) = line.split_once("started (pid ")?;
        pid.trim_end_matches(')').parse().ok()
    });
    // A number of one that has ended may be another's by now.
    let is_ours = |pid: &u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.trim() == "tidemark")
    };
    pids.take(count).filter(is_ours).collect()
}

/// Whether it was told that another run is alive.
fn is_refused(output: &str) -> bool {
    output.contains("is being written by generation")
}

/// The last reason that a process has given.
fn reason(output: &str) -> String {
    let said = output
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("tidemark: "));
    said.unwrap_or_default().to_owned()
}

/// A reason with a `#` for each number, without the database that it speaks of, and no
/// longer than a line.
fn without_numbers(reason: &str) -> String {
    let mut short = String::new();
    let reason = match reason.strip_prefix("mongodb at ") {
        Some(rest) => rest.split_once("database ").map_or(rest, |(_, rest)| rest),
        None => reason,
    };
    for letter in reason.chars().take(300) {
        match letter.is_ascii_digit() {
            true if short.ends_with('#') => {}
            true => short.push('#'),
            false => short.push(letter),
        }
    }
    short.chars().take(110).collect()
}

fn host_file(ports: &[u16]) -> NamedTempFile {
    let mut hosts = NamedTempFile::new().expect("a host file");
    for port in ports {
        writeln!(hosts, "127.0.0.1:{port}").expect("a host file");
    }
    hosts
}
