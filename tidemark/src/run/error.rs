//! Why a run fails.

use super::database::DatabaseError;
use crate::ask::AskError;
use crate::config::ConfigError;
use crate::supervise::SuperviseError;
use checkpoint::CheckpointError;
use client::PropertyError;
use cluster::{ClusterError, Failure};
use dataflow::ingest::identity::IdentityError;
use dataflow::ingest::problem::DiscoveryError;
use dataflow::pipeline::PipelineError;
use dataflow::recovery::PlanError;
use dataflow::saving::persist::SaveError;
use dataflow::views::ViewError;
use serve::ServeError;
use sinks::SinkError;
use std::process::ExitCode;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings do not fit what they are for.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A view cannot be what the settings ask for.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A property of the Kafka client cannot be set.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// Kafka is not there.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The log is not, or is not known to be, the one that was read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The database is not there, or refuses.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The database cannot be had at the start.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A port that the supervisor has found free is another process's by now: it finds another.
    #[error(transparent)]
    PortGone(ClusterError),
    /// HTTP cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Checkpoint, database and log do not fit together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The processes do not work together, or no longer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The pipeline cannot go on.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The processes that were supervised failed.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    /// A pipeline that runs elsewhere gives no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The system does not give what is needed.
    #[error("{what}: {source}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// Why it was not had.
        source: std::io::Error,
    },
    /// The workers cannot be started, or one of them has panicked.
    #[error("workers: {0}")]
    Workers(String),
    /// It was stopped for the second time, before all was written.
    #[error("stopped at once; what was read and not yet written is read again at the next start")]
    Abandoned,
}

impl RunError {
    /// Whether somebody else goes on with this run's checkpoint, or may do so: then its
    /// files are also theirs to delete.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(
            self,
            RunError::Pipeline(PipelineError::Save(SaveError::Checkpoint(
                CheckpointError::Conflict { .. } | CheckpointError::Missing { .. }
            )))
        )
    }

    /// 2 where what was given is wrong: arguments, files, what they name, who may come in. It
    /// is known before anything runs, and another start with the same ends in the same way.
    /// 1 where something is away, where data do not fit together, and for whatever ends a run.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            RunError::Config(_)
            | RunError::View(_)
            | RunError::Property(_)
            | RunError::Plan(PlanError::NoSuchView { .. })
            | RunError::Discovery(DiscoveryError::NoLogin { .. })
            | RunError::Serve(ServeError::Certificate { .. } | ServeError::Listen { .. })
            | RunError::Sink(SinkError::Misconfigured { .. } | SinkError::Held { .. }) => {
                ExitCode::from(2)
            }
            RunError::Database(error) => error.exit_code(),
            RunError::Ask(error) => error.exit_code(),
            RunError::Checkpoint(error) | RunError::Plan(PlanError::Checkpoint(error)) => {
                error.exit_code()
            }
            RunError::Cluster(error) => error.exit_code(),
            RunError::Supervise(error) => error.exit_code(),
            _ => ExitCode::FAILURE,
        }
    }

    /// What the other processes are told of it.
    pub(super) fn for_others(&self) -> Failure<'_> {
        match self {
            RunError::Cluster(ClusterError::Lost(lost)) => Failure::Lost(lost),
            other => Failure::Own(other.to_string()),
        }
    }
}
