//! What does not fit together, and what to do about it.

use crate::ingest::difference::Difference;
use checkpoint::CheckpointError;
use sinks::SinkError;
use sinks::retry::MayPass;

/// What a run finds does not fit together.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A view is not the one of the checkpoint, or of the rows in the database.
    #[error(
        "view {view} has changed since {since}:\n  it was  {was}\n  \
         it is   {is}\nTake back the change, or rebuild the view from what Kafka has of its topic, with \
         --reset-view {view}; the others go on as they are"
    )]
    Changed {
        /// The view.
        view: String,
        /// What holds the view as it was.
        since: String,
        /// What it was.
        was: String,
        /// What it is.
        is: String,
    },
    /// Rows that cannot be restored are gone.
    #[error(
        "{database} has no final row of {} any more, and had some when the checkpoint in {checkpoint} was \
         taken: somebody has deleted them. A checkpoint does not hold what is final: rebuild from what Kafka has, with \
         --reset-view {}; the other views go on as they are",
        .views.join(", "), .views.join(",")
    )]
    FinalsDeleted {
        /// The database.
        database: String,
        /// The checkpoint.
        checkpoint: String,
        /// The views.
        views: Vec<String>,
    },
    /// A view is to be rebuilt that there is not.
    #[error("--reset-view {name}: there is no such view; there are {known}")]
    NoSuchView {
        /// The name it gives.
        name: String,
        /// The views there are.
        known: String,
    },
    /// The checkpoint is of other topics.
    #[error(
        "the checkpoint in {checkpoint} is of the topics {was}, and this run reads {is}; give it \
         the --topic-prefix of then, or another --checkpoint"
    )]
    Topics {
        /// The checkpoint.
        checkpoint: String,
        /// What they were.
        was: String,
        /// What they are.
        is: String,
    },
    /// The database is older than the checkpoint.
    #[error(
        "the checkpoint in {checkpoint} has read topic {topic} partition {partition} up to offset \
         {next}, and the database knows of offsets up to {known} only: it is another one, or an \
         older copy. Give the --database that belongs to the checkpoint, or an empty --checkpoint \
         to read everything again"
    )]
    OlderDatabase {
        /// The checkpoint.
        checkpoint: String,
        /// Full name of a topic.
        topic: String,
        /// A partition of it.
        partition: i32,
        /// How far the checkpoint has read it.
        next: i64,
        /// How far the database knows it.
        known: i64,
    },
    /// The log is another one than was read.
    #[error("{by} does not fit: {difference}. Nothing has been changed. {way_out}")]
    OtherLog {
        /// Who knows of the one that was read.
        by: String,
        /// How it differs.
        difference: Box<Difference>,
        /// What can be done about it.
        way_out: String,
    },
    /// Kafka does not have what has been read.
    #[error(
        "topic {topic} partition {partition} has been read up to offset {read}, and now it {found}: \
         it was deleted and made again, or a broker has lost messages. What was counted of it is \
         no part of the log any more; begin anew with an empty --database{checkpoint}"
    )]
    Shrunk {
        /// Full name of the topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How far it has been read.
        read: i64,
        /// What there is of it now.
        found: String,
        /// The checkpoint, if there is one.
        checkpoint: &'static str,
    },
    /// Processes do not understand each other.
    #[error("what process 0 tells the others: {0}")]
    Plan(String),
    /// There is no thread to ask the database with.
    #[error("asking what has been written: {0}")]
    Thread(#[source] std::io::Error),
    /// The checkpoint cannot be read or taken over.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The database cannot be read.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl MayPass for PlanError {
    fn may_pass(&self) -> bool {
        match self {
            PlanError::Checkpoint(error) => error.is_temporary(),
            PlanError::Sink(error) => error.is_temporary(),
            _ => false,
        }
    }
}
