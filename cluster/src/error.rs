//! Why processes do not work together, or no longer.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

/// Why there is no cluster, or none any more.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterError {
    /// Nobody could connect to this process.
    #[error("cannot listen on {address}, the address of process {process}: {problem}. {hint}")]
    Listen {
        /// Number of this process.
        process: usize,
        /// Its address.
        address: String,
        /// Why not.
        problem: String,
        /// What to do about it.
        hint: String,
    },
    /// The address of this process was none of this machine's all the time.
    #[error(
        "{problem} for {seconds} s. --hostfile sets the addresses, by names or numbers of the \
         machines that the processes run on; --connect-timeout sets how long to wait"
    )]
    NotHere {
        /// What is wrong with the address.
        problem: String,
        /// For how long.
        seconds: u64,
    },
    /// Two processes are set differently.
    #[error(
        "process {process} ({address}) runs with {setting} {theirs}, and this one with {setting} {ours}: \
         start all processes with the same settings but for --process"
    )]
    Different {
        /// Number of the other process.
        process: usize,
        /// Its address.
        address: String,
        /// What differs.
        setting: String,
        /// The other's value.
        theirs: String,
        /// The value here.
        ours: String,
    },
    /// A process was met that speaks otherwise.
    #[error(
        "a tidemark process at {address} speaks protocol {theirs}, and this one {ours}: start all \
         processes with the same version"
    )]
    Protocol {
        /// Where it was met.
        address: String,
        /// Its protocol.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// Two processes have the same number.
    #[error(
        "another process runs with --process {process} already (connected from {address}): each takes a \
         number of its own"
    )]
    Taken {
        /// The number.
        process: usize,
        /// Where the other one is.
        address: String,
    },
    /// The processes do not agree who is where.
    #[error(
        "the process at {address} runs with --process {found}, where {expected} is expected: give all \
         processes the same --hostfile, with a line each, in the order of their numbers"
    )]
    Misplaced {
        /// Where it was met.
        address: String,
        /// Its number.
        found: usize,
        /// Which was expected there.
        expected: String,
    },
    /// Not all processes came.
    #[error(
        "not all processes came within {seconds} s: {missing}. Start them, or check --hostfile; \
         --connect-timeout sets how long to wait"
    )]
    Missing {
        /// How long they were waited for.
        seconds: u64,
        /// Which ones, and where they were looked for.
        missing: String,
    },
    /// A process is there no more.
    #[error("{0}")]
    Lost(Lost),
    /// The run was stopped while it waited for the others.
    #[error("stopped while waiting for other processes")]
    Stopped,
    /// What process 0 has planned cannot be given to the others.
    #[error("the plan of process 0: {0}")]
    Plan(&'static str),
    /// The system does not give what is needed.
    #[error("the network between processes: {0}")]
    System(String),
}

impl ClusterError {
    /// 2 where a process was started wrongly, 1 where others are away or lost.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            ClusterError::Different { .. }
            | ClusterError::Protocol { .. }
            | ClusterError::Listen { .. }
            | ClusterError::Taken { .. }
            | ClusterError::Misplaced { .. } => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

impl From<std::io::Error> for ClusterError {
    fn from(error: std::io::Error) -> Self {
        ClusterError::System(error.to_string())
    }
}

/// A process that is there no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Its number.
    pub process: usize,
    /// Its address.
    pub address: String,
    /// What happened.
    pub how: How,
}

/// How a process was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// Its connection ended without a goodbye: what is known of it.
    Ended(String),
    /// Nothing was heard of it for so long.
    Silent(Duration),
    /// It said that it was asked to stop before the work began.
    Stopped,
    /// It said that it has failed, and why.
    Failed(String),
    /// Another process has lost it.
    Told {
        /// Number of that process.
        by: usize,
        /// What happened, as that one says.
        what: String,
    },
    /// It has lost *this* process, and says how.
    Without(String),
}

impl How {
    /// What happened, for another process that asks.
    pub(super) fn what(&self) -> String {
        match self {
            How::Ended(how) => how.clone(),
            How::Silent(time) => format!("silent for {:.1} s", time.as_secs_f64()),
            How::Stopped => "it was stopped before the work began".to_owned(),
            How::Failed(why) => format!("it failed: {why}"),
            How::Told { what, .. } | How::Without(what) => what.clone(),
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lost {
            process, address, ..
        } = self;
        let what = self.how.what();
        match &self.how {
            How::Ended(_) => write!(
                f,
                "process {process} ({address}) is lost: {what}. All processes end with it; its own output \
                 may say why. Start all of them again"
            ),
            How::Silent(_) => write!(
                f,
                "process {process} ({address}) is lost: {what}. It or the network hangs; --peer-timeout \
                 sets how long to bear that. All processes end with it: start all of them again"
            ),
            How::Stopped => write!(
                f,
                "process {process} ({address}) was stopped before the work began"
            ),
            How::Failed(why) => write!(
                f,
                "process {process} ({address}) failed: {why}. All processes end with it: start all of \
                 them again"
            ),
            How::Told { by, .. } => write!(
                f,
                "process {process} ({address}) is lost: {what}, says process {by}. All processes end with \
                 it: start all of them again"
            ),
            How::Without(_) => write!(
                f,
                "process {process} ({address}) has given this one up: {what}. All processes end with it: \
                 start all of them again"
            ),
        }
    }
}
