//! Where the processes of a cluster find each other.

use std::path::Path;

use super::{ConfigError, Settings};
use cluster::{Patience, Place};

/// The port of process 0 where no hostfile says otherwise; process `i` has the
/// `i`th after it. Timely's own choice.
const FIRST_PORT: usize = 2101;

impl Settings {
    /// Which process this one is.
    pub fn place(&self) -> Place {
        Place {
            process: self.process,
            addresses: self.addresses.clone(),
            workers: self.workers,
        }
    }

    /// How long the other processes are waited for.
    pub fn patience(&self) -> Patience {
        Patience {
            start: self.peer_start,
            silence: self.peer_timeout,
        }
    }
}

/// The address of each of `processes`, on this machine.
pub(super) fn local(processes: usize) -> Vec<String> {
    (0..processes)
        .map(|process| format!("localhost:{}", FIRST_PORT + process))
        .collect()
}

/// The address of each of `processes`, as the file says.
pub(super) fn from_hostfile(
    path: &Path,
    processes: usize,
    place: &str,
) -> Result<Vec<String>, ConfigError> {
    let file = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::setting(place, format!("{file} cannot be read: {error}")))?;
    let addresses: Vec<String> = text
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    if let Some(wrong) = addresses.iter().find(|address| host(address).is_none()) {
        return Err(ConfigError::setting(
            place,
            format!("{file}: {wrong:?}: a line takes HOST:PORT"),
        ));
    }
    if addresses.len() != processes {
        return Err(ConfigError::setting(
            place,
            format!(
                "{file} has {} addresses and --processes is {processes}: it takes one line a process",
                addresses.len()
            ),
        ));
    }
    Ok(addresses)
}

/// The host in `HOST:PORT`; `None` where it is not that.
pub(super) fn host(address: &str) -> Option<&str> {
    let (host, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    (!host.is_empty()).then_some(host)
}
