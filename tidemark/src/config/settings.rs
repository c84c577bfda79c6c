//! What the pipeline is told, checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZero,
    path::PathBuf,
    time::Duration,
};

use dataflow::tally::Limit;
use telemetry::{LogFilter, LogFormat, Status};

use super::{
    ConfigError, Http, HttpAccess, KnownView, Secret, cluster, http, layers::Layers, store, views,
};

/// Everything that can be set, valid and complete.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Worker threads of this process, at least 1.
    pub workers: usize,
    /// Processes that share the work, at least 1.
    pub processes: usize,
    /// Which of them this one is, below `processes`.
    pub process: usize,
    /// `HOST:PORT` of each process, `processes` of them.
    pub addresses: Vec<String>,
    /// Where events come from.
    pub source: Source,
    /// Put before the name of each topic; often empty.
    pub topic_prefix: String,
    /// Where rows go.
    pub store: Store,
    /// Where checkpoints are taken: a folder, or the URL of an object store.
    pub checkpoint: Option<String>,
    /// How often they are.
    pub checkpoint_interval: Duration,
    /// Views to rebuild where they are not those of the checkpoint.
    pub reset_views: BTreeSet<String>,
    /// Take over the database also from a run that is alive.
    pub take_over: bool,
    /// Stop when everything that the topics held at the start is written.
    pub until_caught_up: bool,
    /// Let such a run end well also where not one of the topics exists.
    pub allow_missing_topics: bool,
    /// How often an epoch ends, at least 1 ms.
    pub epoch: Duration,
    /// When Kafka has deleted events that were not yet read.
    pub on_expired: OnExpired,
    /// How long a broker or database that is away at the start is retried.
    pub connect_timeout: Duration,
    /// How long other processes are waited for at the start; `None`: as long as it
    /// takes, since people start them one after the other.
    pub peer_start: Option<Duration>,
    /// How long another process may be silent before it is lost, at least 1 s.
    pub peer_timeout: Duration,
    /// How often new partitions and topics are looked for.
    pub discover_interval: Duration,
    /// How long a partition that is read to its end is silent before it no longer
    /// holds windows open.
    pub idle_timeout: Duration,
    /// How far the time of an event may be ahead of its message's timestamp.
    pub max_ahead: Duration,
    /// How many dead letters a run may have.
    pub max_dead_letters: Option<Limit>,
    /// Events that one worker may have read and that are not yet written, at
    /// least 1; then nothing more is read. By default two million divided by the
    /// workers of all processes, but at least half a million; into SQLite that.
    pub max_in_flight: u64,
    /// What is changed of each view, by its name. Only known views.
    pub views: BTreeMap<String, ViewOverride>,
    /// Whether a supervisor has started this process, and holds its standard input.
    pub supervised: bool,
    /// Where HTTP is served.
    pub http: Http,
    /// To whom, and how.
    pub http_access: HttpAccess,
    /// Whether the live status may be drawn.
    pub status: Status,
    /// What is logged.
    pub log: LogFilter,
    /// How it is logged.
    pub log_format: LogFormat,
    /// What looks like a mistake but stops nothing: to be logged as soon as
    /// there is a log.
    pub warnings: Vec<String>,
}

/// Where events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A shop that is generated within this process.
    Embedded {
        /// How many events there are, once it is live.
        rate: Rate,
        /// The same seed, the same events.
        seed: u64,
    },
    /// A real Kafka.
    Kafka {
        /// `HOST:PORT,…`
        brokers: String,
        /// librdkafka's properties that the user set. Any may be a secret.
        properties: BTreeMap<String, Secret>,
    },
}

/// How many events the generated shop makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// So many a second.
    PerSecond(NonZero<u64>),
    /// As many as are read.
    Max,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rate::PerSecond(rate) => write!(f, "{rate} events a second"),
            Rate::Max => f.write_str("as many events as are read"),
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Rate::PerSecond(NonZero::<u64>::MIN.saturating_add(999))
    }
}

/// Where rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// A MongoDB replica set.
    Mongodb {
        /// Its URI; holds a password as a rule.
        uri: Secret,
        /// Name of the database.
        database: String,
    },
    /// An SQLite file.
    Sqlite {
        /// The file. It need not exist.
        path: PathBuf,
        /// True where nobody asked for this file: it is new, in the folder for
        /// temporary files, and of no use after the run.
        temporary: bool,
    },
}

/// When Kafka has deleted events that were not yet read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExpired {
    /// Stop, naming what is missing.
    #[default]
    Error,
    /// Say what is missing and go on behind the gap.
    Skip,
}

/// What the configuration changes of a view; `None` keeps what the view says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ViewOverride {
    /// Length of a window, at least 1 ms.
    pub window: Option<Duration>,
    /// `kafka`, or a time field of the event. One that the view knows.
    pub time: Option<String>,
    /// How late an event may be.
    pub lateness: Option<Lateness>,
    /// Whether its rows are indexed by group as well as by window.
    pub group_index: Option<bool>,
}

/// How long after its end a window still takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    /// So long, in event time.
    Within(Duration),
    /// It never closes.
    Forever,
}

/// Events in flight of all workers of a run by default, and the least of each.
///
/// The more are in flight, the more rows that changed several times are written once
/// while the database is slower than the dataflow. But all of them wait in memory, and
/// are written when a run is stopped. SQLite is given what waits as one transaction,
/// which is made in memory as a whole.
fn in_flight(store: &Store, workers: usize) -> u64 {
    const ALL: u64 = 2_000_000;
    const EACH: u64 = 500_000;
    match store {
        Store::Mongodb { .. } => (ALL / workers.max(1) as u64).max(EACH),
        Store::Sqlite { .. } => EACH,
    }
}

impl Settings {
    /// Fills in the defaults and checks what one setting alone cannot know.
    pub(super) fn new(mut layers: Layers, known: &[KnownView<'_>]) -> Result<Self, ConfigError> {
        let options = std::mem::take(&mut layers.options);
        let views = views::overrides(&options.views, known, &layers)?;
        let store = store::store(&options, &layers)?;
        let source = store::source(&options, &layers)?;
        let mut warnings = std::mem::take(&mut layers.warnings);
        store::useless(&options, &source, &store, &layers, &mut warnings);
        let http_access = http::access(&options, &layers, &mut warnings)?;

        let processes = options.processes.map_or(1, |n| n.value.get());
        let process = options.process.map_or(0, |p| p.value);
        if process >= processes {
            let last = processes - 1;
            let takes = match last {
                0 => "with one process it takes 0; --processes says how many there are".to_owned(),
                _ => format!("with {processes} processes it takes 0 to {last}"),
            };
            return Err(layers.error("process", format!("{process}: {takes}")));
        }
        if processes > 1 && matches!(source, Source::Embedded { .. }) {
            return Err(layers.error(
                "processes",
                format!(
                    "{processes}: the generated shop is one process's own; \
                     several processes share a real Kafka, give --brokers"
                ),
            ));
        }
        let addresses = match &options.hostfile {
            Some(file) => {
                let place = layers.place("hostfile");
                cluster::from_hostfile(&file.value, processes, &place)?
            }
            None => cluster::local(processes),
        };
        if let Store::Sqlite { .. } = store
            && let Some(first) = addresses.first()
            && addresses
                .iter()
                .any(|a| cluster::host(a) != cluster::host(first))
        {
            return Err(layers.error(
                "hostfile",
                "several machines cannot share an SQLite file; give --mongodb-uri",
            ));
        }

        let peer_timeout = options
            .peer_timeout
            .map_or(Duration::from_secs(5), |d| d.value);
        if peer_timeout < Duration::from_secs(1) {
            return Err(layers.error(
                "peer_timeout",
                "it takes at least 1s: processes hear from each other twice a second",
            ));
        }

        let workers = options.workers.map_or(1, |n| n.value.get());
        let max_in_flight = options.max_in_flight.map_or_else(
            || in_flight(&store, workers.saturating_mul(processes)),
            |n| n.value.get(),
        );

        Ok(Self {
            workers,
            processes,
            process,
            addresses,
            source,
            topic_prefix: options.topic_prefix.map_or_else(String::new, |t| t.value),
            store,
            checkpoint: options.checkpoint.map(|url| url.value),
            checkpoint_interval: options
                .checkpoint_interval
                .map_or(Duration::from_secs(10), |d| d.value),
            reset_views: options
                .reset_view
                .map_or_else(BTreeSet::new, |names| names.value.0),
            take_over: options.take_over.is_some_and(|b| b.value),
            until_caught_up: options.until_caught_up.is_some_and(|b| b.value),
            allow_missing_topics: options.allow_missing_topics.is_some_and(|b| b.value),
            epoch: options
                .epoch
                .map_or(Duration::from_millis(100), |d| d.value),
            on_expired: options
                .on_expired
                .map_or_else(OnExpired::default, |o| o.value),
            connect_timeout: options
                .connect_timeout
                .as_ref()
                .map_or(Duration::from_secs(30), |d| d.value),
            peer_start: options.connect_timeout.map(|d| d.value),
            peer_timeout,
            discover_interval: options
                .discover_interval
                .map_or(Duration::from_secs(5), |d| d.value),
            idle_timeout: options
                .idle_timeout
                .map_or(Duration::from_secs(30), |d| d.value),
            max_ahead: options
                .max_ahead
                .map_or(Duration::from_secs(86_400), |d| d.value),
            max_dead_letters: options.max_dead_letters.map(|limit| limit.value),
            max_in_flight,
            views,
            supervised: false,
            http: options.http.map_or_else(Http::default, |h| h.value),
            http_access,
            status: options.status.map_or_else(Status::default, |s| s.value),
            log: options.log.map_or_else(LogFilter::default, |l| l.value),
            log_format: options
                .log_format
                .map_or_else(LogFormat::default, |f| f.value),
            warnings,
        })
    }
}
