//! A log within the process: what one thread appends, the workers read.
//!
//! ```text
//!   append ─▶ partition: chunk chunk chunk ─▶ the worker that owns the partition
//!      ▲                                          │
//!      └── waits while too much is unread ◀───────┘ what it has taken up is freed
//! ```
//!
//! Messages are kept until they have been read, in chunks of some kilobytes, so that both
//! appending and reading cost the same however long the log has become. Nothing is dropped:
//! a log that is full makes the writer wait. It ends with the process, so each run has a new
//! one, with an id of its own.

use super::answers::Read;
use super::discovery::{Found, owner};
use super::identity::{IdentityCheck, IdentityError};
use super::source::{Message, Position, Source, SourceError, Taken, Turn};
use model::lock;
use sinks::LogIdentity;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use telemetry::{Offsets, Telemetry};
use timely::scheduling::SyncActivator;

/// Messages read from one partition before the next has its turn.
const TURN: usize = 1_024;
/// A chunk takes no more messages once it holds so many bytes.
const CHUNK: usize = 64 << 10;
/// What a message takes beside its key and value.
const OVERHEAD: usize = size_of::<Entry>();
/// A writer that waits looks up this often, whatever happens.
const GLANCE: Duration = Duration::from_millis(100);

/// A log within the process; see the module.
pub struct InProcessLog {
    topics: Arc<[String]>,
    /// Of each topic.
    partitions: i32,
    /// By topic, then by partition.
    queues: Vec<Mutex<Queue>>,
    /// Bytes that are kept, and how many there may be.
    kept: Mutex<usize>,
    capacity: usize,
    has_room: Condvar,
    closed: AtomicBool,
    /// The workers to wake when something has been appended.
    readers: Mutex<Vec<SyncActivator>>,
    id: String,
}

#[derive(Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    /// The offset of the next message to be appended.
    end: i64,
}

/// Messages one behind the other.
#[derive(Default)]
struct Chunk {
    entries: Vec<Entry>,
    /// Keys and values.
    bytes: Vec<u8>,
}

struct Entry {
    timestamp: i64,
    key: Option<u32>,
    value: u32,
}

impl InProcessLog {
    /// An empty log with so many partitions of each of `topics`, which keeps at most
    /// `capacity` bytes that are not read yet.
    pub fn new(topics: Arc<[String]>, partitions: i32, capacity: usize) -> InProcessLog {
        let count = topics.len() * usize::try_from(partitions).unwrap_or(0);
        InProcessLog {
            topics,
            partitions,
            queues: (0..count).map(|_| Mutex::default()).collect(),
            kept: Mutex::new(0),
            capacity,
            has_room: Condvar::new(),
            closed: AtomicBool::new(false),
            readers: Mutex::default(),
            id: format!("in-process-{:016x}", rand::random::<u64>()),
        }
    }

    /// Full names of the topics, by number.
    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// The partitions, none of which has been written to when the log is new.
    pub fn found(&self) -> Vec<Found> {
        let all = (0..self.topics.len()).flat_map(|topic| {
            (0..self.partitions).map(move |partition| Found {
                topic,
                partition,
                low: 0,
                high: 0,
                end: 0,
            })
        });
        all.collect()
    }

    /// Appends a message to the partition that its key belongs to. Waits while the log is
    /// full. Returns false, and appends nothing, once it is closed.
    pub fn append(&self, topic: usize, timestamp: i64, key: Option<&[u8]>, value: &[u8]) -> bool {
        let size = value.len() + key.map_or(0, <[u8]>::len) + OVERHEAD;
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).ok();
        let (Some(value_length), Some(key_length)) = (length(value), key.map_or(Some(0), length))
        else {
            tracing::error!("a message of {size} bytes is too large, and is not appended");
            return true;
        };
        if !self.reserve(size) {
            return false;
        }
        let partition = self.partition_of(key);
        let mut queue = lock(&self.queues[self.place(topic, partition)]);
        queue.end += 1;
        let is_full = |chunk: &Chunk| chunk.bytes.len() >= CHUNK;
        if queue.chunks.back().is_none_or(is_full) {
            queue.chunks.push_back(Chunk::default());
        }
        if let Some(chunk) = queue.chunks.back_mut() {
            chunk.entries.push(Entry {
                timestamp,
                key: key.map(|_| key_length),
                value: value_length,
            });
            chunk.bytes.extend_from_slice(key.unwrap_or_default());
            chunk.bytes.extend_from_slice(value);
        }
        true
    }

    /// Wakes the workers: what has been appended can be read. A writer that appends much
    /// calls this now and then, not for each message.
    pub fn wake_readers(&self) {
        for reader in lock(&self.readers).iter() {
            // Fails when the worker has ended: nobody is left to wake.
            let _ = reader.activate();
        }
    }

    /// Nothing more is appended, and whoever waits for room does not any longer.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // Under the lock, so that a writer that has just looked is asleep by now.
        let _kept = lock(&self.kept);
        self.has_room.notify_all();
    }

    /// Whether nothing more is appended.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Waits until `size` more bytes may be kept. False once the log is closed.
    fn reserve(&self, size: usize) -> bool {
        let mut kept = lock(&self.kept);
        let mut is_told = false;
        loop {
            if self.is_closed() {
                return false;
            }
            // A message that is larger than all that may be kept is kept alone.
            if *kept == 0 || *kept + size <= self.capacity {
                *kept += size;
                return true;
            }
            if !is_told {
                is_told = true;
                drop(kept);
                self.wake_readers();
                kept = lock(&self.kept);
                continue;
            }
            let waited = self.has_room.wait_timeout(kept, GLANCE);
            kept = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn free(&self, bytes: usize) {
        if bytes > 0 {
            *lock(&self.kept) -= bytes;
            self.has_room.notify_all();
        }
    }

    fn partition_of(&self, key: Option<&[u8]>) -> i32 {
        let hash = crc32fast::hash(key.unwrap_or_default());
        let partitions = u32::try_from(self.partitions).unwrap_or(1).max(1);
        i32::try_from(hash % partitions).unwrap_or(0)
    }

    fn place(&self, topic: usize, partition: i32) -> usize {
        let of_each = usize::try_from(self.partitions).unwrap_or(0);
        topic * of_each + usize::try_from(partition).unwrap_or(0)
    }
}

/// Nobody else can write to it, so it does not become another log.
impl IdentityCheck for InProcessLog {
    fn check(&self, _read: &Read) -> Result<(), IdentityError> {
        Ok(())
    }

    fn identity(&self) -> LogIdentity {
        LogIdentity {
            cluster_id: Some(self.id.clone()),
            ..LogIdentity::default()
        }
    }
}

/// What a worker's source needs to know.
#[derive(Clone)]
pub struct InProcessConfig {
    /// What is read.
    pub log: Arc<InProcessLog>,
    /// How long a partition is silent before it is idle.
    pub idle_timeout: Duration,
    /// Where positions are kept for people to see.
    pub telemetry: Arc<Telemetry>,
}

/// Reads a worker's partitions of a log within the process.
pub struct InProcessSource {
    config: InProcessConfig,
    worker: usize,
    partitions: Vec<Partition>,
    is_announced: bool,
    /// Whose turn it is.
    first: usize,
    paused: bool,
}

/// One partition that this worker reads.
struct Partition {
    topic: usize,
    partition: i32,
    /// What has been taken out of the queue, and is not read to its end.
    chunk: Chunk,
    /// The next message in it, and where its bytes begin.
    entry: usize,
    byte: usize,
    /// The next offset to read.
    next: i64,
    /// When it was last heard of: a message, or that it may be read again.
    heard: Instant,
}

impl InProcessSource {
    /// Reads the partitions that belong to `worker`, of `peers`.
    pub fn new(config: InProcessConfig, worker: usize, peers: usize) -> InProcessSource {
        let found = config.log.found().into_iter();
        let mine = found.filter(|found| owner(found.topic, found.partition, peers) == worker);
        let partition = |found: Found| Partition {
            topic: found.topic,
            partition: found.partition,
            chunk: Chunk::default(),
            entry: 0,
            byte: 0,
            next: 0,
            heard: Instant::now(),
        };
        InProcessSource {
            partitions: mine.map(partition).collect(),
            config,
            worker,
            is_announced: false,
            first: 0,
            paused: false,
        }
    }

    /// Wakes the dataflow by `wake` when messages have been appended.
    #[must_use]
    pub fn waking(self, wake: SyncActivator) -> InProcessSource {
        lock(&self.config.log.readers).push(wake);
        self
    }
}

impl Partition {
    /// Reads until it weighs `budget`, or there is nothing more. Returns what it weighs, and
    /// how many bytes are free.
    fn read(
        &mut self,
        queue: &Mutex<Queue>,
        budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> (usize, usize) {
        let (mut read, mut freed) = (0, 0);
        while read < budget {
            let Some(entry) = self.chunk.entries.get(self.entry) else {
                let Some(chunk) = lock(queue).chunks.pop_front() else {
                    break;
                };
                (self.chunk, self.entry, self.byte) = (chunk, 0, 0);
                continue;
            };
            let key_length = entry.key.unwrap_or(0) as usize;
            let value_length = entry.value as usize;
            let (key, rest) = self.chunk.bytes[self.byte..].split_at(key_length);
            let taken = each(Message {
                topic: self.topic,
                partition: self.partition,
                offset: self.next,
                timestamp: entry.timestamp,
                key: entry.key.map(|_| key),
                value: Some(&rest[..value_length]),
                backfill: false,
            });
            let Taken::Accepted { cost: weight } = taken else {
                break;
            };
            read += weight;
            freed += key_length + value_length + OVERHEAD;
            self.entry += 1;
            self.byte += key_length + value_length;
            self.next += 1;
        }
        if freed > 0 {
            self.heard = Instant::now();
        }
        (read, freed)
    }
}

impl Source for InProcessSource {
    fn find(&mut self, each: &mut dyn FnMut(usize, i32)) -> Result<(), SourceError> {
        if !std::mem::replace(&mut self.is_announced, true) {
            for partition in &self.partitions {
                each(partition.topic, partition.partition);
            }
        }
        Ok(())
    }

    fn read(
        &mut self,
        mut budget: usize,
        each: &mut dyn FnMut(Message<'_>) -> Taken,
    ) -> Result<Turn, SourceError> {
        let log = &self.config.log;
        let count = self.partitions.len();
        let (mut more, mut freed) = (false, 0);
        for step in 0..count {
            let partition = &mut self.partitions[(self.first + step) % count];
            let turn = budget.min(TURN);
            let queue = &log.queues[log.place(partition.topic, partition.partition)];
            let (read, bytes) = partition.read(queue, turn, each);
            more |= read >= turn && turn > 0;
            freed += bytes;
            budget = budget.saturating_sub(read);
        }
        log.free(freed);
        self.first = (self.first + 1) % count.max(1);
        Ok(if more { Turn::More } else { Turn::Idle })
    }

    fn pause(&mut self, paused: bool) {
        if paused == self.paused {
            return;
        }
        self.paused = paused;
        for partition in &mut self.partitions {
            // While it was paused, its silence was ours.
            partition.heard = Instant::now();
        }
    }

    fn positions(&mut self, each: &mut dyn FnMut(Position) -> bool) {
        let InProcessConfig {
            log,
            idle_timeout,
            telemetry,
        } = &self.config;
        for partition in &self.partitions {
            let Partition {
                topic,
                partition: number,
                next,
                heard,
                ..
            } = *partition;
            let end = lock(&log.queues[log.place(topic, number)]).end;
            let offsets = Offsets::stable(next, end);
            telemetry.partition(
                &log.topics[topic],
                number,
                self.worker,
                offsets,
                self.paused,
            );
            let is_silent = next == end && heard.elapsed() >= *idle_timeout;
            each(Position {
                topic,
                partition: number,
                next,
                idle: is_silent && !self.paused,
                last_read: None,
                fingerprint: 0,
                backfill: false,
            });
        }
    }
}

#[cfg(test)]
#[path = "in_process_tests.rs"]
mod tests;
