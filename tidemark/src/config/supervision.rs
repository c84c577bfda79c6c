//! Processes that are started by another one, which watches over them.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{ConfigError, Http, Settings, Status, cli};

/// What a supervisor is told.
#[derive(Debug, Clone)]
pub struct Supervision {
    /// How many processes it starts, at least 1.
    pub processes: usize,
    /// After how many failures in a row it gives up, at least 1.
    pub max_failures: u64,
    /// The addresses of the processes; `None`: free ports of this machine.
    pub hostfile: Option<PathBuf>,
    /// What process 0 will make of its arguments.
    pub settings: Box<Settings>,
    workers: Option<usize>,
    http: Supervised,
    arguments: Vec<OsString>,
}

impl Supervision {
    /// Of the command line; `settings` reads the one of a process.
    pub(super) fn new(
        given: cli::Supervise,
        config: Option<PathBuf>,
        settings: impl Fn(Vec<OsString>) -> Result<Box<Settings>, ConfigError>,
    ) -> Result<Supervision, ConfigError> {
        let processes = given.processes.map_or(1, |n| n.value.get());
        let workers = given.workers.map(|n| n.value.get());
        let http = match given.http_all {
            true => Supervised::All,
            false => Supervised::First,
        };
        let mut arguments = given.arguments;
        if let Some(config) = config {
            arguments.splice(0..0, ["--config".into(), config.into()]);
        }
        let line = |process| {
            let hostfile = given.hostfile.as_deref();
            line(processes, process, workers, hostfile, http, &arguments)
        };
        // Whatever is wrong is said once, and not by each process.
        let first = settings(line(0))?;
        for process in 1..processes {
            settings(line(process))?;
        }
        Ok(Supervision {
            processes,
            max_failures: given.max_failures.map_or(5, |n| n.value.get()),
            hostfile: given.hostfile,
            settings: first,
            workers,
            http,
            arguments,
        })
    }

    /// The arguments of a process, without the name of the program. `hostfile` has the
    /// addresses; one process alone needs none. `restarted`: it is not the first start, and
    /// `--reset-view` is left out, wherever that is said.
    pub fn arguments(
        &self,
        process: usize,
        hostfile: Option<&Path>,
        restarted: bool,
    ) -> Vec<OsString> {
        let mut line = line(
            self.processes,
            process,
            self.workers,
            hostfile,
            self.http,
            &self.arguments,
        );
        if restarted {
            line.insert(0, "--restarted".into());
        }
        line
    }
}

fn line(
    processes: usize,
    process: usize,
    workers: Option<usize>,
    hostfile: Option<&Path>,
    http: Supervised,
    arguments: &[OsString],
) -> Vec<OsString> {
    let mut line: Vec<OsString> = vec!["--supervised".into(), http.name().into()];
    line.extend(["-n".into(), processes.to_string().into()]);
    line.extend(["-p".into(), process.to_string().into()]);
    if let Some(workers) = workers {
        line.extend(["-w".into(), workers.to_string().into()]);
    }
    if let Some(hostfile) = hostfile {
        line.extend(["-h".into(), hostfile.into()]);
    }
    line.extend(arguments.iter().cloned());
    line
}

/// Which of the processes serve HTTP that a supervisor has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Supervised {
    /// Process 0 alone.
    First,
    /// Each, on ports that follow each other.
    All,
}

impl Supervised {
    fn name(self) -> &'static str {
        match self {
            Supervised::First => "first",
            Supervised::All => "all",
        }
    }
}

impl Settings {
    /// The same for a process that a supervisor has started, one of several on the
    /// same machine and the same terminal.
    pub(super) fn supervised(
        mut self,
        by: Option<Supervised>,
        restarted: bool,
    ) -> Result<Settings, ConfigError> {
        if restarted {
            // Or each failure would rebuild the view once more.
            self.reset_views.clear();
        }
        let Some(by) = by else {
            return Ok(self);
        };
        self.supervised = true;
        if self.processes > 1 {
            // What the others log would tear it.
            self.status = Status::Off;
        }
        if self.process > 0 {
            self.http = match (by, self.http) {
                (Supervised::First, _) => Http::Off,
                (Supervised::All, Http::At(address)) => {
                    let mut address = address;
                    let port = u16::try_from(self.process).ok();
                    let port = port.and_then(|number| address.port().checked_add(number));
                    let Some(port) = port else {
                        let takes = "--http-all takes a port that leaves room for all processes";
                        return Err(ConfigError::setting("--http", takes));
                    };
                    address.set_port(port);
                    Http::At(address)
                }
                (Supervised::All, other) => other,
            };
        }
        Ok(self)
    }
}
