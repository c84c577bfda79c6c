//! What products are called, for people who look at pages.
//!
//! No view has names: a row is about an id. They are in the topic of products, which is
//! read for them alone, from its beginning, when a page first asks; until then, and of
//! products whose event Kafka no longer has, a page shows the id. Without Kafka, whoever
//! generates the products tells their names.

use dataflow::ingest::client::Connection;
use dataflow::ingest::context::Context;
use events::{Products, Topic as _};
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use serve::ProductNames;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// Names that are kept, at the most: some hundred megabytes.
const MOST: usize = 1_000_000;
const TURN: Duration = Duration::from_millis(200);

/// Names of products by their ids.
#[derive(Clone, Default)]
pub struct Names(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Where they are read, once it is known.
    source: OnceLock<(Connection, String)>,
    is_read: AtomicBool,
    names: Mutex<HashMap<String, Named>>,
}

struct Named {
    /// What its message is newer by: Kafka's time, then place.
    newest: (i64, i32, i64),
    name: String,
}

impl Names {
    /// They can be read there: in `topic`.
    pub fn are_in(&self, connection: Connection, topic: String) {
        // A second time it is the same one.
        let _ = self.0.source.set((connection, topic));
    }

    /// A product is called so. Where several names are told, the last is the newest.
    pub fn learn(&self, id: &str, name: &str) {
        let mut names = self.0.lock();
        if names.len() < MOST || names.contains_key(id) {
            let (id, name) = (id.to_owned(), name.to_owned());
            let newest = (0, 0, 0);
            names.insert(id, Named { newest, name });
        }
    }

    /// Begins to read, the first time that it is asked.
    fn begin(&self) {
        let Some((connection, topic)) = self.0.source.get() else {
            return;
        };
        if self.0.is_read.swap(true, Ordering::Relaxed) {
            return;
        }
        let (connection, topic) = (connection.clone(), topic.clone());
        let shared = Arc::downgrade(&self.0);
        let reading = thread::Builder::new().name("names".to_owned());
        let reading = reading.spawn(move || {
            if let Err(error) = read(&connection, &topic, &shared) {
                tracing::warn!("names of products cannot be read from {topic}: {error}");
                if let Some(shared) = shared.upgrade() {
                    // Whoever asks next tries again.
                    thread::sleep(Duration::from_secs(5));
                    shared.is_read.store(false, Ordering::Relaxed);
                }
            }
        });
        if let Err(error) = reading {
            tracing::warn!("names of products are not read: {error}");
        }
    }
}

impl ProductNames for Names {
    fn name_of(&self, id: &str) -> Option<String> {
        self.begin();
        let names = self.0.lock();
        names.get(id).map(|named| named.name.clone())
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Named>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads until nobody asks any more.
fn read(connection: &Connection, topic: &str, shared: &Weak<Shared>) -> Result<(), KafkaError> {
    let mut config = connection.asker();
    config.set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer<Context> = config.create_with_context(Context::default())?;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let mut all = TopicPartitionList::new();
    for partition in metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions())
    {
        all.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    while let Some(shared) = shared.upgrade() {
        let Some(Ok(message)) = consumer.poll(TURN) else {
            continue;
        };
        let Some(Ok(product)) = message.payload().map(Products::decode) else {
            continue;
        };
        let Some(name) = &product.name else {
            continue;
        };
        let newest = (
            message.timestamp().to_millis().unwrap_or(i64::MIN),
            message.partition(),
            message.offset(),
        );
        let id = product.product_id.to_string();
        let mut names = shared.lock();
        let is_older = names.get(&id).is_some_and(|known| known.newest > newest);
        if !is_older && (names.len() < MOST || names.contains_key(&id)) {
            let name = name.to_string();
            names.insert(id, Named { newest, name });
        }
    }
    Ok(())
}
