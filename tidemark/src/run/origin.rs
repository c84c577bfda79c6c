//! The log that a run reads: Kafka's, or that of the generated shop.

use super::context::Context;
use super::ending::{Ending, Halt};
use super::{RunError, setup};
use crate::config::Source;
use crate::embedded::Shop;
use client::PropertyError;
use dataflow::ingest::client::Connection;
use dataflow::ingest::difference::Difference;
use dataflow::ingest::discovery::{Discovery, Found, Prober};
use dataflow::ingest::gate::Gate;
use dataflow::ingest::identity::{IdentityCheck, IdentityError};
use dataflow::ingest::in_process::{InProcessConfig, InProcessLog, InProcessSource};
use dataflow::ingest::kafka::{KafkaSource, KafkaSourceConfig};
use dataflow::ingest::lanes::{BackfillPlan, Lanes};
use dataflow::ingest::last_read::{Partition, look_up};
use dataflow::ingest::problem::DiscoveryError;
use dataflow::ingest::source::{MakeSource, Source as LogSource, SourceError};
use dataflow::ingest::transactions;
use dataflow::ingest::watch::Watching;
use dataflow::pipeline::PipelineError;
use dataflow::recovery::Messages;
use dataflow::recovery::start::Start;
use events::{Products, Topic as _};
use sinks::{LastRead, LogIdentity};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use telemetry::Telemetry;

/// The log that a run reads.
pub(super) enum Origin {
    Kafka(Box<Kafka>),
    Shop(Shop),
}

/// A Kafka, and what is known of it.
pub(super) struct Kafka {
    connection: Connection,
    prober: Prober,
    discovery: Arc<Discovery>,
}

/// What does not exist at the start: a run that ends by itself does not read it.
#[derive(Default)]
pub(super) struct Absent {
    /// The topics that do not exist.
    pub(super) missing: Vec<String>,
    /// The error that not one topic exists, where that is so.
    pub(super) no_topics: Option<DiscoveryError>,
}

/// What a worker reads, but for the worker's own place.
#[derive(Clone)]
pub(super) enum Reads {
    Kafka {
        config: KafkaSourceConfig,
        /// What is read a second time.
        backfill: Arc<BackfillPlan>,
    },
    InProcess(InProcessConfig),
}

impl Origin {
    /// The log of the settings. Kafka is connected to meanwhile.
    ///
    /// # Errors
    /// When the client does not take its properties.
    pub(super) fn open(run: &Context<'_>) -> Result<Origin, PropertyError> {
        let Some(connection) = setup::connection(&run.settings.source) else {
            return Ok(Origin::Shop(Shop::open(&run.topics)));
        };
        for warning in connection.warnings() {
            tracing::warn!("{warning}");
        }
        let prober = Prober::new(&connection, Arc::clone(&run.topics), run.readers.clone())?;
        Ok(Origin::Kafka(Box::new(Kafka {
            connection,
            prober,
            discovery: Arc::default(),
        })))
    }

    /// The brokers, as the user named them.
    pub(super) fn brokers(&self) -> Option<&str> {
        match self {
            Origin::Kafka(kafka) => Some(&kafka.connection.brokers),
            Origin::Shop(_) => None,
        }
    }

    /// Finds the partitions: asks until Kafka has answered, for as long as may be waited for it
    /// at the start. From then on products are named by the log.
    ///
    /// # Errors
    /// When it has not answered in time, or before the run was stopped.
    pub(super) fn find(&mut self, run: &Context<'_>) -> Result<Absent, Halt> {
        let settings = run.settings;
        let Origin::Kafka(kafka) = self else {
            run.telemetry.set_waiting("the generated shop".to_owned());
            return Ok(Absent::default());
        };
        let (discovery, prober) = (&kafka.discovery, &mut kafka.prober);
        let brokers = &kafka.connection.brokers;
        run.telemetry.set_waiting(format!("Kafka at {brokers}"));
        prober
            .first(discovery, settings.connect_timeout, &run.ending.stopping())
            .map_err(|error| run.unless_stopping(error))?;
        let products = format!("{}{}", settings.topic_prefix, Products::NAME);
        run.product_names.are_in(kafka.connection.clone(), products);
        if !settings.until_caught_up || settings.allow_missing_topics {
            return Ok(Absent::default());
        }
        let (missing, none) = (prober.missing(), prober.no_topics());
        Ok(Absent {
            missing,
            no_topics: none.map(|none| DiscoveryError::NoTopics(Box::new(none))),
        })
    }

    /// The same anew, before anything is read.
    ///
    /// # Errors
    /// When it has not answered in time, or before `stopping` was set.
    pub(super) fn find_anew(
        &mut self,
        timeout: Duration,
        stopping: &AtomicBool,
    ) -> Result<(), DiscoveryError> {
        match self {
            Origin::Kafka(kafka) => kafka.prober.anew(&kafka.discovery, timeout, stopping),
            Origin::Shop(_) => Ok(()),
        }
    }

    /// The partitions that were found.
    pub(super) fn found(&self) -> Vec<Found> {
        match self {
            Origin::Kafka(kafka) => kafka.discovery.found(),
            Origin::Shop(shop) => shop.log().found(),
        }
    }

    /// Which log it is.
    pub(super) fn identity(&self) -> LogIdentity {
        match self {
            Origin::Kafka(kafka) => kafka.prober.inquiry().identity(),
            Origin::Shop(shop) => shop.log().identity(),
        }
    }

    /// What stands at the offsets of messages that were read; a new log has none of them.
    ///
    /// # Errors
    /// When Kafka cannot be asked.
    pub(super) fn look_up(
        &self,
        wanted: &BTreeMap<Partition, LastRead>,
        timeout: Duration,
        stopping: &AtomicBool,
    ) -> Result<Messages, RunError> {
        let found = match self {
            Origin::Kafka(kafka) => look_up(&kafka.connection, wanted, timeout, stopping),
            Origin::Shop(_) => Ok(Messages::new()),
        };
        Ok(found.map_err(PipelineError::from)?)
    }

    /// How it differs from the log that process 0 reads.
    pub(super) fn expect(&self, log: &LogIdentity) -> Option<Difference> {
        match self {
            Origin::Kafka(kafka) => kafka.prober.inquiry().expect(log),
            // There is no other process.
            Origin::Shop(_) => None,
        }
    }

    /// What workers read from `start` on.
    pub(super) fn reads(&self, run: &Context<'_>, start: &Start) -> Reads {
        let settings = run.settings;
        match self {
            Origin::Kafka(kafka) => Reads::Kafka {
                backfill: Arc::clone(&start.backfill),
                config: KafkaSourceConfig {
                    connection: kafka.connection.clone(),
                    topics: Arc::clone(&run.topics),
                    discovery: Arc::clone(&kafka.discovery),
                    worker: 0,
                    peers: 1,
                    epoch: settings.epoch,
                    until_caught_up: settings.until_caught_up,
                    on_expired: setup::on_expired(settings),
                    idle_timeout: settings.idle_timeout,
                    positions: start.positions(),
                    last_read: Arc::clone(&start.last_read),
                    backfill: None,
                    inquiry: Arc::clone(kafka.prober.inquiry()),
                    telemetry: Arc::clone(&run.telemetry),
                },
            },
            Origin::Shop(shop) => Reads::InProcess(InProcessConfig {
                log: Arc::clone(shop.log()),
                idle_timeout: settings.idle_timeout,
                telemetry: Arc::clone(&run.telemetry),
            }),
        }
    }

    /// Confirms, while it is read, that it is still the same. Once the run is stopping, it waits
    /// for a while only, and not at all once it is abandoned.
    pub(super) fn check(&self, ending: &Ending) -> Arc<dyn IdentityCheck> {
        match self {
            Origin::Kafka(kafka) => {
                let inquiry = Arc::clone(kafka.prober.inquiry());
                Arc::new(Gate::new(inquiry, ending.stopping(), ending.abandoned()))
            }
            Origin::Shop(shop) => Arc::<InProcessLog>::clone(shop.log()),
        }
    }

    /// Lets threads of their own follow the log while workers read it: they look for new
    /// partitions, other topics and open transactions; or generate the shop.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn follow(self, run: &Context<'_>) -> Result<Followed, RunError> {
        let settings = run.settings;
        let ending = run.ending.clone();
        let failed = move |error: IdentityError| ending.end(Err(error.into()));
        let system = |what| move |source| RunError::System { what, source };
        match self {
            Origin::Kafka(kafka) => {
                let Kafka {
                    connection,
                    prober,
                    discovery,
                } = *kafka;
                let runs_on = !settings.until_caught_up;
                let watching = Watching {
                    discover: runs_on.then_some(settings.discover_interval),
                    warns: runs_on && !settings.allow_missing_topics,
                    failed: Box::new(failed),
                };
                let watched = prober.watch(discovery, watching);
                watched.map_err(system("looking for partitions"))?;
                if runs_on {
                    let telemetry = Arc::clone(&run.telemetry);
                    let watched = transactions::watch(connection.clone(), telemetry);
                    watched.map_err(system("looking for open transactions"))?;
                }
                Ok(Followed::Kafka(connection))
            }
            Origin::Shop(mut shop) => {
                if let Source::Embedded { rate, seed } = settings.source {
                    tracing::info!(
                        "no --brokers: reading a generated shop, two days of history and then \
                         {rate}"
                    );
                    let names = run.product_names.clone();
                    let filled = shop.fill(rate, seed, &settings.topic_prefix, names);
                    filled.map_err(system("starting the generator"))?;
                }
                Ok(Followed::Shop(shop))
            }
        }
    }
}

/// A log that is read; the shop's ends when this is dropped.
pub(super) enum Followed {
    Kafka(Connection),
    Shop(Shop),
}

impl Followed {
    /// The generator stops. What Kafka's producers do is their own.
    pub(super) fn stop(&mut self) {
        if let Followed::Shop(shop) = self {
            shop.close();
        }
    }

    /// Which partitions open transactions block, as clauses.
    pub(super) fn blocked(&self, telemetry: &Telemetry) -> Vec<String> {
        match self {
            Followed::Kafka(connection) => transactions::report(connection, telemetry),
            Followed::Shop(_) => Vec::new(),
        }
    }
}

impl Reads {
    /// The source of a worker.
    ///
    /// # Errors
    /// When the client does not take its configuration.
    pub(super) fn source(&self, worker: usize, peers: usize) -> Result<MakeSource, SourceError> {
        let source = match self {
            Reads::Kafka { config, backfill } => {
                let config = KafkaSourceConfig {
                    worker,
                    peers,
                    ..config.clone()
                };
                let second = config.backfill(backfill.places.keys().copied().collect());
                let second = second.map(KafkaSource::new).transpose()?;
                Asleep::Kafka(Box::new(KafkaSource::new(config)?), second.map(Box::new))
            }
            Reads::InProcess(config) => {
                Asleep::InProcess(InProcessSource::new(config.clone(), worker, peers))
            }
        };
        Ok(Box::new(move |wake| -> Box<dyn LogSource> {
            match source {
                Asleep::Kafka(source, None) => Box::new(source.waking(wake)),
                Asleep::Kafka(source, Some(backfill)) => {
                    let source = Box::new(source.waking(wake.clone()));
                    Box::new(Lanes::new(source, Box::new(backfill.waking(wake))))
                }
                Asleep::InProcess(source) => Box::new(source.waking(wake)),
            }
        }))
    }
}

/// A source that does not wake the dataflow yet.
enum Asleep {
    /// The log as it goes on, and what is read of it for backfills.
    Kafka(Box<KafkaSource>, Option<Box<KafkaSource>>),
    InProcess(InProcessSource),
}
