//! What a process and all its children cost.
//!
//! Read off `/proc` while they run. The root is not waited for before its last figures
//! have been read, so that nothing of it is lost; of a child that nobody waits for, what
//! it has cost since the last look is.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// From one look to the next.
const LOOK: Duration = Duration::from_millis(50);
/// What Linux counts processor time in, whatever the machine.
const TICKS_A_SECOND: f64 = 100.0;

/// What was measured of a run.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Cost {
    /// Processor time, in seconds.
    pub cpu: f64,
    /// From the start to the end, in seconds.
    pub wall: f64,
    /// The most memory that was resident at a time, in megabytes.
    pub peak: f64,
    /// What MongoDB has spent and got meanwhile.
    pub database: Served,
}

impl Cost {
    /// Processor time of the process and of MongoDB for it, in seconds: what one pays for.
    pub fn whole(&self) -> f64 {
        self.cpu + self.database.cpu
    }
}

/// What a database has spent and got.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Served {
    /// Processor time, in seconds.
    pub cpu: f64,
    /// Commands.
    pub commands: f64,
    /// Bytes that have come and gone over the network, as they were there: compressed, if
    /// they were.
    pub bytes: f64,
}

impl std::ops::Sub for Served {
    type Output = Served;

    fn sub(self, before: Served) -> Served {
        Served {
            cpu: self.cpu - before.cpu,
            commands: self.commands - before.commands,
            bytes: self.bytes - before.bytes,
        }
    }
}

/// One process, as `/proc` tells it.
struct Process {
    id: u32,
    parent: u32,
    is_dead: bool,
    /// Its own time, and that of children that were waited for.
    own: f64,
    waited: f64,
    resident: f64,
}

impl Process {
    fn read(id: u32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name, in parentheses, may hold anything.
        let rest = &stat[stat.rfind(')')? + 2..];
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |place: usize| fields.get(place)?.parse::<f64>().ok();
        Some(Process {
            id,
            parent: fields.get(1)?.parse().ok()?,
            is_dead: fields.first()? == &"Z",
            own: (number(11)? + number(12)?) / TICKS_A_SECOND,
            waited: (number(13)? + number(14)?) / TICKS_A_SECOND,
            resident: number(21)? * 4_096.0 / 1e6,
        })
    }

    fn all() -> Vec<Process> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.filter_map(Process::read).collect()
    }

    /// Those of `all` that descend from a process, it included.
    fn tree(root: u32, all: &[Process]) -> Vec<&Process> {
        let mut tree: Vec<&Process> = all.iter().filter(|p| p.id == root).collect();
        let mut next = 0;
        while let Some(id) = tree.get(next).map(|process| process.id) {
            next += 1;
            tree.extend(all.iter().filter(|p| p.parent == id));
        }
        tree
    }
}

/// Processor time so far of a process and all its children, in seconds.
pub fn cpu_of_tree(root: u32) -> f64 {
    let all = Process::all();
    let tree = Process::tree(root, &all);
    tree.iter()
        .map(|process| process.own + process.waited)
        .sum()
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started, or fails.
pub fn run(command: &mut Command) -> Result<Cost, Box<dyn Error>> {
    let started = Instant::now();
    let mut child = command.spawn()?;
    let mut seen: HashMap<u32, f64> = HashMap::new();
    let mut peak = 0.0_f64;
    let root = loop {
        let all = Process::all();
        let mut resident = 0.0;
        for process in Process::tree(child.id(), &all) {
            resident += process.resident;
            seen.insert(process.id, process.own);
        }
        peak = peak.max(resident);
        match all.into_iter().find(|p| p.id == child.id()) {
            Some(root) if !root.is_dead => std::thread::sleep(LOOK),
            root => break root,
        }
    };
    let wall = started.elapsed().as_secs_f64();
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("{command:?} failed: {status}").into());
    }
    let watched: f64 = seen.values().sum();
    let told = root.map_or(0.0, |root| root.own + root.waited);
    Ok(Cost {
        cpu: watched.max(told),
        wall,
        peak,
        database: Served::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_a_process_and_all_that_descends_from_it() {
        let process = |id, parent| Process {
            id,
            parent,
            is_dead: false,
            own: 1.0,
            waited: 0.0,
            resident: 0.0,
        };
        let all = [
            process(7, 1),
            process(9, 8),
            process(8, 7),
            process(10, 1),
            process(11, 7),
        ];
        let tree = |root| {
            let found = Process::tree(root, &all).into_iter().map(|p| p.id);
            let mut found: Vec<u32> = found.collect();
            found.sort_unstable();
            found
        };
        assert_eq!(tree(7), [7, 8, 9, 11]);
        assert_eq!(tree(10), [10]);
        assert_eq!(tree(12), Vec::<u32>::new());
    }
}
