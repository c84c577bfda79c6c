//! A shop in a box: a broker within this process, and the generator that fills it.
//!
//! The broker is librdkafka's own mock cluster. It speaks Kafka's protocol, so
//! that the pipeline reads it as it reads any Kafka; but it keeps only some
//! megabytes of each partition and drops the oldest without a word. The
//! generator is therefore held back by what has been read: the broker never has
//! more than a little to keep.

use crate::ingest::client::Connection;
use crate::observe::Board;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Partitions of each topic.
const PARTITIONS: i32 = 4;
/// Events that may be unread: about two megabytes, over all partitions.
const UNREAD: u64 = 8_192;

/// The broker within this process, and its generator. Ends when dropped.
pub struct Shop {
    stop: Arc<AtomicBool>,
    generator: Option<JoinHandle<()>>,
    _broker: MockCluster<'static, DefaultProducerContext>,
    brokers: String,
}

/// The shop cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// The broker does not start.
    #[error("the in-process broker does not start: {0}")]
    Broker(#[from] KafkaError),
    /// The system has no thread for the generator.
    #[error("the generator does not start: {0}")]
    Generator(#[from] std::io::Error),
}

impl Shop {
    /// Starts a broker with `topics`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn open(topics: &[String]) -> Result<Shop, ShopError> {
        let broker = MockCluster::new(1)?;
        for topic in topics {
            broker.create_topic(topic, PARTITIONS, 1)?;
        }
        let brokers = broker.bootstrap_servers();
        let stop = Arc::new(AtomicBool::new(false));
        Ok(Shop {
            stop,
            generator: None,
            _broker: broker,
            brokers,
        })
    }

    /// How to reach the broker.
    pub fn connection(&self) -> Connection {
        Connection {
            brokers: self.brokers.clone(),
            properties: BTreeMap::new(),
        }
    }

    /// Lets the generator send `rate` events a second, for as long as they are
    /// read. `board` knows what has been read.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn fill(
        &mut self,
        rate: u64,
        seed: u64,
        topic_prefix: &str,
        board: Arc<Board>,
    ) -> Result<(), ShopError> {
        let mut options = generator::Options::new(&self.brokers);
        #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        let rate = rate as f64;
        options.rate = Some(rate);
        options.seed = Some(seed);
        options.topic_prefix = topic_prefix.to_owned();
        options.partitions = PARTITIONS;
        options.quiet = true;
        let stop = Arc::clone(&self.stop);
        let run = move || {
            let limit = || board.events() + UNREAD;
            let control = generator::Control {
                stop: &stop,
                limit: &limit,
            };
            if let Err(error) = generator::run(&options, control) {
                tracing::error!("the generator stopped: {error}");
            }
        };
        self.generator = Some(
            std::thread::Builder::new()
                .name("generator".into())
                .spawn(run)?,
        );
        Ok(())
    }

    /// Ends the generator: what it has sent stays to be read.
    pub fn close(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(generator) = self.generator.take() {
            // A panic of it has been reported where it happened.
            let _ = generator.join();
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.close();
    }
}
