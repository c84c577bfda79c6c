//! Who takes part, and how each is started.

use crate::floor::topics;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One that is measured.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Contestant {
    /// A bare consumer that touches every byte
    Drain,
    /// The plain loop, which writes what has changed every 100 ms
    Floor,
    /// The plain loop, which writes once, at the end
    FloorOnce,
    /// Tidemark, one worker, checkpoints on
    Tidemark,
    /// Tidemark, two workers, checkpoints on
    TidemarkTwo,
    /// Tidemark, one worker, without checkpoints
    TidemarkBare,
    /// Tidemark, one worker, checkpoints on, without comparing the checksums of batches
    TidemarkUnchecked,
    /// Tidemark, one worker, checkpoints on, into an SQLite file instead of MongoDB
    TidemarkSqlite,
    /// Tidemark, two processes of one worker each, checkpoints on
    TidemarkPair,
    /// Another build of Tidemark, one worker, checkpoints on: see --before
    TidemarkBefore,
    /// Spark Structured Streaming
    Spark,
    /// Flink SQL
    Flink,
    /// Pathway
    Pathway,
}

/// Where documents, or rows, are.
pub enum Written {
    /// In the database of the race.
    MongoDb,
    /// In this file.
    Sqlite(PathBuf),
}

/// Where things are, as the command line says it.
#[derive(clap::Args, Clone, Debug)]
pub struct Services {
    /// Kafka brokers
    #[arg(long, env = "TIDEMARK_BROKERS")]
    pub brokers: String,
    /// MongoDB
    #[arg(long, env = "TIDEMARK_MONGODB_URI")]
    pub mongodb_uri: String,
    /// Where the peers are
    #[arg(long, default_value = "bench/peers")]
    pub peers: PathBuf,
    /// The folder with `tidemark` and `original` of another build, for tidemark-before
    #[arg(long)]
    pub before: Option<PathBuf>,
}

impl Services {
    /// With topics of this prefix, and the programs that lie beside this one.
    ///
    /// # Errors
    /// When it is not known where this one lies, or where the other build is that one of `who` needs.
    pub fn place(
        &self,
        prefix: String,
        seven: bool,
        who: &[Contestant],
    ) -> Result<Place, Box<dyn Error>> {
        if who.contains(&Contestant::TidemarkBefore) && self.before.is_none() {
            return Err(
                "tidemark-before needs --before FOLDER, with the programs of that build".into(),
            );
        }
        let program = std::env::current_exe()?;
        let programs = program.parent().ok_or("a program is in a folder")?;
        Ok(Place {
            brokers: self.brokers.clone(),
            prefix,
            uri: self.mongodb_uri.clone(),
            programs: programs.to_owned(),
            peers: self.peers.canonicalize().unwrap_or(self.peers.clone()),
            before: self.before.clone(),
            seven,
        })
    }
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Place {
    /// Kafka.
    pub brokers: String,
    /// Before each topic's name.
    pub prefix: String,
    /// MongoDB.
    pub uri: String,
    /// Where the programs are.
    pub programs: PathBuf,
    /// Where the peers are.
    pub peers: PathBuf,
    /// Where the programs of another build of Tidemark are.
    pub before: Option<PathBuf>,
    /// All seven views, and not the four original ones alone.
    pub seven: bool,
}

impl Contestant {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Contestant::Drain => "drain",
            Contestant::Floor => "floor",
            Contestant::FloorOnce => "floor, written once",
            Contestant::Tidemark => "tidemark",
            Contestant::TidemarkTwo => "tidemark, two workers",
            Contestant::TidemarkBare => "tidemark, no checkpoints",
            Contestant::TidemarkUnchecked => "tidemark, no checksums",
            Contestant::TidemarkSqlite => "tidemark, SQLite",
            Contestant::TidemarkPair => "tidemark, two processes",
            Contestant::TidemarkBefore => "tidemark, before",
            Contestant::Spark => "spark",
            Contestant::Flink => "flink",
            Contestant::Pathway => "pathway",
        }
    }

    /// Where it writes, with this `scratch`; `None` if nowhere.
    pub fn writes(self, scratch: &Path) -> Option<Written> {
        match self {
            Contestant::Drain => None,
            Contestant::TidemarkSqlite => Some(Written::Sqlite(scratch.join("rows.sqlite"))),
            _ => Some(Written::MongoDb),
        }
    }

    /// Fields that it only estimates.
    pub fn estimates(self) -> &'static [&'static str] {
        match self {
            Contestant::Spark => &["unique_customers"],
            _ => &[],
        }
    }

    /// The command that does it once, into `database`. `scratch` is an empty folder.
    pub fn command(self, place: &Place, database: &str, scratch: &Path) -> Command {
        self.started(place, database, scratch, true)
    }

    /// The command that goes on until it is terminated, made for latency.
    pub fn lasting(self, place: &Place, database: &str, scratch: &Path) -> Command {
        self.started(place, database, scratch, false)
    }

    fn started(self, place: &Place, database: &str, scratch: &Path, ends: bool) -> Command {
        let Place {
            brokers,
            prefix,
            uri,
            programs,
            peers,
            before,
            seven,
        } = place;
        let programs = match (self, before) {
            (Contestant::TidemarkBefore, Some(before)) => before,
            _ => programs,
        };
        let program = |name: &str, started: &[&str]| {
            let mut command = Command::new(programs.join(name));
            command.args(started);
            command.args(["--brokers", brokers, "--topic-prefix", prefix]);
            command.stdout(Stdio::null());
            command
        };
        let views = if *seven { "tidemark" } else { "original" };
        let until = match ends {
            true => &["--until-caught-up"][..],
            false => &[],
        };
        let tidemark = |started: &[&str], saves: bool| {
            let mut command = program(views, started);
            match self.writes(scratch) {
                Some(Written::Sqlite(file)) => command.arg("--sqlite").arg(file),
                _ => command.args(["--mongodb-uri", uri, "--database", database]),
            };
            command.args(["--http", "off", "--log", "warn"]).args(until);
            if saves {
                command.arg("--checkpoint").arg(scratch.join("checkpoint"));
            }
            command
        };
        let floor = |every: &str| {
            let mut command = program("floor", &[]);
            command.args(["--mongodb-uri", uri, "--database", database]);
            command.args(["--every", every]);
            if *seven {
                command.arg("--seven");
            }
            command
        };
        let peer = |name: &str| {
            let mut command = Command::new(peers.join(name).join("run"));
            command.env("TIDEMARK_BROKERS", brokers);
            command.env("TIDEMARK_MONGODB_URI", uri);
            command.env("BENCH_PREFIX", prefix);
            command.env("BENCH_DATABASE", database);
            command.env("BENCH_TUNED", if ends { "throughput" } else { "latency" });
            command.env("BENCH_UNTIL", if ends { "caught-up" } else { "stopped" });
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        match self {
            Contestant::Drain => {
                let mut command = program("drain", &[]);
                command.args(["--topics", &topics(*seven).join(",")]);
                command
            }
            Contestant::Floor => floor("100"),
            Contestant::FloorOnce => floor("0"),
            Contestant::Tidemark | Contestant::TidemarkSqlite | Contestant::TidemarkBefore => {
                tidemark(&["-w", "1"], true)
            }
            Contestant::TidemarkTwo => tidemark(&["-w", "2"], true),
            Contestant::TidemarkBare => tidemark(&["-w", "1"], false),
            Contestant::TidemarkUnchecked => tidemark(&["-w", "1", "-X", "check.crcs=false"], true),
            Contestant::TidemarkPair => tidemark(&["supervise", "-n", "2", "-w", "1", "--"], true),
            Contestant::Spark => peer("spark"),
            Contestant::Flink => peer("flink"),
            Contestant::Pathway => peer("pathway"),
        }
    }
}
