//! The command line, which is also the list of all settings.
//!
//! [`Options`] names every setting once. A field `max_in_flight` is the flag
//! `--max-in-flight`, the environment variable `TIDEMARK_MAX_IN_FLIGHT` and the
//! key `max_in_flight` of the file, and its comment is its help.

use std::{collections::BTreeMap, ffi::OsString, num::NonZero, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};
use serde::{Deserialize, Serialize};

use dataflow::tally::Limit;

use super::{
    Http, Lateness, LogFilter, LogFormat, OnExpired, Rate, Secret, Status, help,
    supervision::Supervised,
    text::{Names, Text},
};

/// A shop's analytics, continuously correct: Kafka in, MongoDB out. Without a
/// command it runs the pipeline.
#[derive(Parser)]
#[command(
    name = "tidemark",
    version = env!("TIDEMARK_VERSION"),
    // -h is the hostfile, as it is in every timely program.
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = help::OF_A_RUN
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    #[command(flatten)]
    pub(super) options: Options,

    /// A librdkafka property for every client (repeatable)
    #[arg(
        short = 'X',
        value_name = "KEY=VALUE",
        help_heading = "Kafka and MongoDB"
    )]
    pub(super) properties: Vec<Property>,

    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE", global = true, help_heading = "Help")]
    pub(super) config: Option<PathBuf>,

    /// A supervisor has started this process: where it serves HTTP
    #[arg(long, value_name = "HTTP", hide = true)]
    pub(super) supervised: Option<Supervised>,

    /// It has started the same processes before: what is done once is done
    #[arg(long, hide = true)]
    pub(super) restarted: bool,

    /// The same as --status off
    #[arg(long, conflicts_with = "status", help_heading = "Observing")]
    pub(super) no_status: bool,

    /// Print this help
    #[arg(long, action = ArgAction::HelpShort, global = true, help_heading = "Help")]
    help: Option<bool>,

    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = "Help")]
    version: Option<bool>,
}

/// What to do.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Print each view: its source, window, time, lateness, key, indexes and fields
    #[command(disable_help_flag = true)]
    Views,

    /// Start several processes on this machine, and start them again when one fails
    #[command(disable_help_flag = true, max_term_width = 100, after_help = help::OF_SUPERVISE)]
    Supervise(Supervise),

    /// Ask a running pipeline why a window of a view is still open
    #[command(disable_help_flag = true, max_term_width = 100, after_help = help::OF_WHY)]
    Why {
        /// The view: one of those that `tidemark views` prints
        view: String,

        /// The start of the window, such as 2026-11-24T10:00:00Z, or latest: the newest that has begun
        window: String,

        #[command(flatten)]
        at: Asking,
    },

    /// Look into a checkpoint, or verify it
    #[command(
        disable_help_flag = true,
        disable_help_subcommand = true,
        max_term_width = 100,
        arg_required_else_help = true,
        after_help = help::OF_CHECKPOINT
    )]
    Checkpoint {
        #[command(subcommand)]
        question: CheckpointQuestion,
    },

    /// Print a script that completes command lines
    #[command(disable_help_flag = true, max_term_width = 100, after_help = help::OF_COMPLETIONS)]
    Completions {
        /// For this shell
        shell: clap_complete::Shell,
    },

    /// Print the manual page, or write those of all commands
    #[command(disable_help_flag = true, max_term_width = 100, after_help = help::OF_MAN)]
    Man {
        /// Write a page for each command into this folder
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

/// Whom to ask.
#[derive(Args)]
pub(super) struct Asking {
    /// Where the pipeline serves HTTP; with HTTPS as https://HOST:PORT [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(super) http: Option<String>,

    /// The token that it asks for is in this file
    #[arg(long, value_name = "FILE")]
    pub(super) http_token_file: Option<Text<PathBuf>>,

    /// Its certificate is signed by one of these (PEM) [default: those whom the system trusts]
    #[arg(long, value_name = "FILE")]
    pub(super) http_ca: Option<PathBuf>,

    /// Show it this certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub(super) http_client_cert: Option<PathBuf>,

    /// The private key of that certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub(super) http_client_key: Option<PathBuf>,
}

/// What to ask about a checkpoint.
#[derive(Subcommand)]
pub(super) enum CheckpointQuestion {
    /// Print what the newest checkpoint is: epoch, views, offsets, files
    #[command(disable_help_flag = true, max_term_width = 100, after_help = help::OF_CHECKPOINT)]
    Inspect {
        /// Where it is: a directory, s3://…, gs://… or az://…
        url: String,

        /// Print JSON
        #[arg(long)]
        json: bool,
    },

    /// Read every block of the newest checkpoint, and print what is damaged or missing
    #[command(disable_help_flag = true, max_term_width = 100, after_help = help::OF_CHECKPOINT)]
    Verify {
        /// Where it is: a directory, s3://…, gs://… or az://…
        url: String,
    },
}

impl From<CheckpointQuestion> for super::CheckpointQuestion {
    fn from(question: CheckpointQuestion) -> Self {
        match question {
            CheckpointQuestion::Inspect { url, json } => Self::Inspect { url, json },
            CheckpointQuestion::Verify { url } => Self::Verify { url },
        }
    }
}

/// What a supervisor is told; the rest is for those it starts.
#[derive(Args)]
pub(super) struct Supervise {
    /// How many processes [default: 1]
    #[arg(short = 'n', long, value_name = "N")]
    pub(super) processes: Option<Text<NonZero<usize>>>,

    /// Worker threads of each process [default: as the arguments say]
    #[arg(short = 'w', long, alias = "threads", value_name = "N")]
    pub(super) workers: Option<Text<NonZero<usize>>>,

    /// A file with one HOST:PORT a line, one line a process [default: free ports]
    #[arg(short = 'h', long, value_name = "FILE")]
    pub(super) hostfile: Option<PathBuf>,

    /// Give up after so many failures in a row [default: 5]
    #[arg(long, value_name = "N")]
    pub(super) max_failures: Option<Text<NonZero<u64>>>,

    /// Let every process serve HTTP, each on the port of process 0 plus its number
    #[arg(long)]
    pub(super) http_all: bool,

    /// Arguments of each process, as for a run
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(super) arguments: Vec<OsString>,
}

/// Every setting, as one layer gives it.
#[derive(Args, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Options {
    /// Worker threads of this process [default: 1]
    #[arg(
        short = 'w',
        long,
        alias = "threads",
        value_name = "N",
        help_heading = "Workers"
    )]
    pub(super) workers: Option<Text<NonZero<usize>>>,

    /// Processes that share the work [default: 1]
    #[arg(short = 'n', long, value_name = "N", help_heading = "Workers")]
    pub(super) processes: Option<Text<NonZero<usize>>>,

    /// Which of the processes this one is, from 0 [default: 0]
    #[arg(short = 'p', long, value_name = "I", help_heading = "Workers")]
    pub(super) process: Option<Text<usize>>,

    /// A file with one HOST:PORT a line, one line a process [default: localhost, ports from 2101]
    #[arg(short = 'h', long, value_name = "FILE", help_heading = "Workers")]
    pub(super) hostfile: Option<Text<PathBuf>>,

    /// How long another process may be silent before it counts as lost, which ends all of them [default: 5s]
    #[arg(long, value_name = "DURATION", help_heading = "Workers")]
    pub(super) peer_timeout: Option<Text<Duration>>,

    /// Kafka brokers; without any, a shop is generated within the process
    #[arg(long, value_name = "HOST:PORT,…", help_heading = "Kafka and MongoDB")]
    pub(super) brokers: Option<Text<String>>,

    /// The password of the Kafka user (sasl.password) is in this file
    #[arg(long, value_name = "FILE", help_heading = "Kafka and MongoDB")]
    pub(super) kafka_password_file: Option<Text<PathBuf>>,

    /// Put before each topic's name [default: nothing]
    #[arg(long, value_name = "TEXT", help_heading = "Kafka and MongoDB")]
    pub(super) topic_prefix: Option<Text<String>>,

    /// Write to this MongoDB
    #[arg(long, value_name = "URI", help_heading = "Kafka and MongoDB")]
    pub(super) mongodb_uri: Option<Text<Secret>>,

    /// Write to the MongoDB whose URI is in this file, so that it stands in no list of processes
    #[arg(long, value_name = "FILE", help_heading = "Kafka and MongoDB")]
    pub(super) mongodb_uri_file: Option<Text<PathBuf>>,

    /// MongoDB database [default: that in the path of the URI, else ecommerce_website]
    #[arg(long, value_name = "NAME", help_heading = "Kafka and MongoDB")]
    pub(super) database: Option<Text<String>>,

    /// Write to this SQLite file instead [default: tidemark.sqlite; without brokers a fresh file]
    #[arg(long, value_name = "FILE", help_heading = "Kafka and MongoDB")]
    pub(super) sqlite: Option<Text<PathBuf>>,

    /// Take checkpoints into this folder or object store (s3://, gs://, az://), and go on from there [default: none; a restart reads everything again]
    #[arg(long, value_name = "URL", help_heading = "Exactly once")]
    pub(super) checkpoint: Option<Text<String>>,

    /// How often to take one [default: 10s]
    #[arg(long, value_name = "DURATION", help_heading = "Exactly once")]
    pub(super) checkpoint_interval: Option<Text<Duration>>,

    /// Rebuild this view at this start from what Kafka has of its topic, whether it has changed or not; several: with commas between
    #[arg(long, value_name = "NAME", help_heading = "Exactly once")]
    pub(super) reset_view: Option<Text<Names>>,

    /// Take over from a run that writes to the same database; it ends then
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Exactly once"
    )]
    pub(super) take_over: Option<Text<bool>>,

    /// Process what the topics hold now, commit it and exit
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Running"
    )]
    pub(super) until_caught_up: Option<Text<bool>>,

    /// Let --until-caught-up succeed where none of the topics exists, and do not warn of topics that are missing
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Running"
    )]
    pub(super) allow_missing_topics: Option<Text<bool>>,

    /// How often an epoch ends and is written [default: 100ms]
    #[arg(long, value_name = "DURATION", help_heading = "Running")]
    pub(super) epoch: Option<Text<Duration>>,

    /// When Kafka has deleted events that were not yet read: error or skip [default: error]
    #[arg(long, value_name = "WHAT", help_heading = "Running")]
    pub(super) on_expired: Option<Text<OnExpired>>,

    /// How long to wait at the start for a broker or database that is away [default: 30s], and for other processes [default: as long as it takes]
    #[arg(long, value_name = "DURATION", help_heading = "Running")]
    pub(super) connect_timeout: Option<Text<Duration>>,

    /// How often to look for new partitions and topics [default: 5s]
    #[arg(long, value_name = "DURATION", help_heading = "Running")]
    pub(super) discover_interval: Option<Text<Duration>>,

    /// How long a partition that is read to its end is silent before windows close without it [default: 30s]
    #[arg(long, value_name = "DURATION", help_heading = "Running")]
    pub(super) idle_timeout: Option<Text<Duration>>,

    /// How far an event's time may be ahead of its message's; beyond, it is a dead letter [default: 1d]
    #[arg(long, value_name = "DURATION", help_heading = "Running")]
    pub(super) max_ahead: Option<Text<Duration>>,

    /// End with exit code 1 when more messages of this run become dead letters than this: a number such as 100, or a share such as 1%, which is judged from 1,000 messages on and at the end [default: no limit]
    #[arg(long, value_name = "N|P%", help_heading = "Running")]
    pub(super) max_dead_letters: Option<Text<Limit>>,

    /// Events a worker may have read that are not yet written; then it pauses [default: 2000000 divided by all workers, but at least 500000; into SQLite 500000]
    #[arg(long, value_name = "N", help_heading = "Running")]
    pub(super) max_in_flight: Option<Text<NonZero<u64>>>,

    /// Events a second that the generated shop makes once it is live, or max: as many as are read [default: 1000]
    #[arg(long, value_name = "N|max", help_heading = "Without brokers")]
    pub(super) rate: Option<Text<Rate>>,

    /// The generated shop's seed: the same seed, the same events [default: 1]
    #[arg(long, value_name = "N", help_heading = "Without brokers")]
    pub(super) seed: Option<Text<u64>>,

    /// Serve HTTP here, or off [default: 127.0.0.1:8080 or the next free port]
    #[arg(long, value_name = "ADDR", help_heading = "Observing")]
    pub(super) http: Option<Text<Http>>,

    /// Serve HTTP to whoever knows the token in this file: as a bearer token, or as the password in a browser
    #[arg(long, value_name = "FILE", help_heading = "Observing")]
    pub(super) http_token_file: Option<Text<PathBuf>>,

    /// Serve HTTPS with this certificate (PEM, with those between it and its authority)
    #[arg(long, value_name = "FILE", help_heading = "Observing")]
    pub(super) http_tls_cert: Option<Text<PathBuf>>,

    /// The private key of that certificate (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Observing")]
    pub(super) http_tls_key: Option<Text<PathBuf>>,

    /// Serve HTTPS only to clients with a certificate of these authorities (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Observing")]
    pub(super) http_client_ca: Option<Text<PathBuf>>,

    /// Serve HTTP to all who reach it, also from other machines
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Observing"
    )]
    pub(super) http_unauthenticated: Option<Text<bool>>,

    /// Draw the live status on a terminal: auto or off [default: auto]
    #[arg(long, value_name = "WHEN", help_heading = "Observing")]
    pub(super) status: Option<Text<Status>>,

    /// What to log: error, warn, info, debug, trace, or a list such as info,dataflow=debug [default: info]
    #[arg(long, value_name = "LEVEL", help_heading = "Observing")]
    pub(super) log: Option<Text<LogFilter>>,

    /// How to log on standard error: text or json [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Observing")]
    pub(super) log_format: Option<Text<LogFormat>>,

    /// What the file changes of each view.
    #[arg(skip)]
    pub(super) views: BTreeMap<String, ViewOptions>,

    /// librdkafka properties.
    #[arg(skip)]
    pub(super) kafka: BTreeMap<String, Text<Secret>>,
}

/// What the file changes of a view.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ViewOptions {
    pub(super) window: Option<Text<Duration>>,
    pub(super) time: Option<Text<String>>,
    pub(super) lateness: Option<Text<Lateness>>,
    pub(super) group_index: Option<Text<bool>>,
}

impl Options {
    /// The names of all settings that are flags, as the file spells them.
    pub(super) fn names() -> Vec<String> {
        /// `Options` alone, without what only the command line has.
        #[derive(Parser)]
        #[command(disable_help_flag = true)]
        struct Alone {
            #[command(flatten)]
            _options: Options,
        }
        Alone::command()
            .get_arguments()
            .map(|arg| arg.get_id().to_string())
            .collect()
    }
}

/// `KEY=VALUE`.
#[derive(Clone)]
pub(super) struct Property {
    pub(super) key: String,
    pub(super) value: String,
}

impl std::str::FromStr for Property {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("it takes KEY=VALUE"),
        }
    }
}
