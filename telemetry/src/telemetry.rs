//! The telemetry: what the worker threads of a process know.
//!
//! Written with atomics, so that a worker never waits for another or for whoever
//! reads. A mutex stands only around what is touched once a tick or once a row
//! that is written, and is held for a few moves of memory.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use sinks::{Row, RowId, Table};

use model::lock;

use super::{
    CommittedCheckpoint, Offsets, Stage,
    checkpoints::CheckpointCounters,
    counters::{TableCounters, TopicCounters},
    database::Database,
    latency::Waiting,
    metrics::Metrics,
    operators::{Operators, OperatorsSnapshot},
    snapshot::{ArrangementSnapshot, PartitionSnapshot, Snapshot, StoreState},
    times::{Times, ViewTime},
};

/// What a view made of events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judged {
    /// It took them.
    pub taken: u64,
    /// Their windows had closed.
    pub late: u64,
    /// Some of their windows had closed. They are among those that it took.
    pub partly_late: u64,
    /// Their times, or their messages', are too far ahead.
    pub from_the_future: u64,
    /// It could place them nowhere.
    pub malformed: u64,
    /// Its condition leaves them out.
    pub filtered: u64,
    /// An expression failed on them.
    pub failed: u64,
}

/// What one process knows about itself. Topics, tables and workers are named by
/// their number in what [`Telemetry::new`] was given; a number out of range is
/// ignored, since telling must never stop the telling process.
#[derive(Debug)]
pub struct Telemetry {
    started: Instant,
    stage: Mutex<Stage>,
    topics: Vec<TopicCounters>,
    tables: Vec<TableCounters>,
    partitions: Mutex<BTreeMap<String, BTreeMap<i32, PartitionSnapshot>>>,
    in_flight: Vec<AtomicU64>,
    /// The epoch + 1; 0 is none.
    epoch_open: AtomicU64,
    /// The epoch + 1; 0 is none.
    epoch_written: AtomicU64,
    waiting: Waiting,
    batches: AtomicU64,
    batch_rows: AtomicU64,
    write_micros: AtomicU64,
    write_retries: AtomicU64,
    dead_letters: AtomicU64,
    store: Mutex<StoreState>,
    database: Database,
    checkpoints: CheckpointCounters,
    /// By worker and name.
    /// By worker and name.
    arrangements: Mutex<BTreeMap<usize, BTreeMap<String, ArrangementSnapshot>>>,
    operators: Operators,
    times: Mutex<Times>,
    metrics: Metrics,
}

impl Telemetry {
    /// A telemetry for `workers` worker threads of this process, that read `topics`
    /// and write `tables`.
    pub fn new(workers: usize, topics: &[String], tables: &[Table]) -> Self {
        Self {
            started: Instant::now(),
            stage: Mutex::new(Stage::Starting("it is starting".to_owned())),
            topics: topics.iter().map(|name| TopicCounters::new(name)).collect(),
            tables: tables.iter().map(TableCounters::new).collect(),
            partitions: Mutex::default(),
            in_flight: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            epoch_open: AtomicU64::new(0),
            epoch_written: AtomicU64::new(0),
            waiting: Waiting::default(),
            batches: AtomicU64::new(0),
            batch_rows: AtomicU64::new(0),
            write_micros: AtomicU64::new(0),
            write_retries: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            store: Mutex::new(StoreState::Unknown),
            database: Database::default(),
            checkpoints: CheckpointCounters::default(),
            arrangements: Mutex::default(),
            operators: Operators::default(),
            times: Mutex::default(),
            metrics: Metrics::new(),
        }
    }

    /// Hears what the operators of a worker do, of the dataflows that it builds after this.
    pub fn follow(&self, worker: &timely::worker::Worker) {
        self.operators.follow(worker);
    }

    /// What the operators of this process have done.
    pub fn operators(&self) -> OperatorsSnapshot {
        self.operators.snapshot()
    }

    /// `n` messages of a topic were read, whatever they held; their values have
    /// `bytes` bytes.
    pub fn events_read(&self, topic: usize, n: u64, bytes: u64) {
        if let Some(topic) = self.topics.get(topic) {
            topic.events.fetch_add(n, Relaxed);
            topic.bytes.fetch_add(bytes, Relaxed);
        }
    }

    /// Messages read of all topics.
    pub fn events(&self) -> u64 {
        let read = |topic: &TopicCounters| topic.events.load(Relaxed);
        self.topics.iter().map(read).sum()
    }

    /// `n` of the messages read of a topic had no value.
    pub fn tombstones(&self, topic: usize, n: u64) {
        if let Some(topic) = self.topics.get(topic) {
            topic.tombstones.fetch_add(n, Relaxed);
        }
    }

    /// `n` of the messages read of a topic could not be decoded.
    pub fn malformed(&self, topic: usize, n: u64) {
        if let Some(topic) = self.topics.get(topic) {
            topic.malformed.fetch_add(n, Relaxed);
        }
    }

    /// A view took so many events, and did not take others.
    pub fn judged(&self, view: usize, judged: Judged) {
        let Judged {
            taken,
            late,
            partly_late,
            from_the_future,
            malformed,
            filtered,
            failed,
        } = judged;
        if let Some(table) = self.tables.get(view) {
            table.taken.fetch_add(taken, Relaxed);
            table.late.fetch_add(late, Relaxed);
            table.partly_late.fetch_add(partly_late, Relaxed);
            table.from_the_future.fetch_add(from_the_future, Relaxed);
            table.malformed.fetch_add(malformed, Relaxed);
            table.filtered.fetch_add(filtered, Relaxed);
            table.failed.fetch_add(failed, Relaxed);
        }
    }

    /// The timestamps of a topic look like another unit. Returns whether that is new.
    pub fn other_unit(&self, topic: usize) -> bool {
        let topic = self.topics.get(topic);
        topic.is_some_and(|topic| !topic.said_unit.swap(true, Relaxed))
    }

    /// An arrangement of a worker holds so many updates, in so many bytes.
    pub fn arrangement(&self, name: &str, worker: usize, records: usize, bytes: usize) {
        let (records, bytes) = (records as u64, bytes as u64);
        let mut arrangements = lock(&self.arrangements);
        let of_worker = arrangements.entry(worker).or_default();
        match of_worker.get_mut(name) {
            Some(known) => (known.records, known.bytes) = (records, bytes),
            None => {
                let name = name.to_owned();
                let now = ArrangementSnapshot {
                    name: name.clone(),
                    worker,
                    records,
                    bytes,
                };
                of_worker.insert(name, now);
            }
        }
    }

    /// Updates that all arrangements of a worker of this process hold, when they told
    /// it last.
    pub fn held(&self, worker: usize) -> u64 {
        let arrangements = lock(&self.arrangements);
        let of_worker = arrangements
            .get(&worker)
            .into_iter()
            .flat_map(BTreeMap::values);
        of_worker.map(|held| held.records).sum()
    }

    /// From now on, the event time of views is known here. Of several workers' the
    /// last counts: all know the same. `times` returns that of every view.
    pub fn watch(&self, times: impl Fn() -> Vec<ViewTime> + Send + Sync + 'static) {
        *lock(&self.times) = Times::of(times);
    }

    /// The event time of every view; none before the workers have started.
    pub fn times(&self) -> Vec<ViewTime> {
        let times = lock(&self.times).clone();
        times.views()
    }

    /// A partition is read by `worker` (counted over all processes), and where. To be
    /// called once a tick for each partition that moved.
    pub fn partition(
        &self,
        topic: &str,
        partition: i32,
        worker: usize,
        offsets: Offsets,
        paused: bool,
    ) {
        let mut partitions = lock(&self.partitions);
        let before = partitions
            .get(topic)
            .and_then(|known| known.get(&partition));
        let before = before.and_then(|before| before.blocked.as_ref());
        let now = jiff::Timestamp::now().as_millisecond();
        let now = PartitionSnapshot {
            topic: topic.to_owned(),
            partition,
            worker,
            offsets,
            blocked: offsets.blocked(before, now),
            paused,
        };
        match partitions.get_mut(topic) {
            Some(of_topic) => drop(of_topic.insert(partition, now)),
            None => {
                let of_topic = BTreeMap::from([(partition, now)]);
                partitions.insert(topic.to_owned(), of_topic);
            }
        }
    }

    /// The open transaction that blocks a partition at `offset` began at this time, in
    /// milliseconds since the UNIX epoch.
    pub fn transaction_began(&self, topic: &str, partition: i32, offset: i64, time: i64) {
        let mut partitions = lock(&self.partitions);
        let known = partitions
            .get_mut(topic)
            .and_then(|known| known.get_mut(&partition));
        let blocked = known.and_then(|known| known.blocked.as_mut());
        if let Some(blocked) = blocked.filter(|blocked| blocked.offset == offset) {
            blocked.began = Some(time);
        }
    }

    /// An epoch was opened. Of several workers' epochs the newest counts.
    pub fn epoch_open(&self, epoch: u64) {
        self.epoch_open.fetch_max(epoch.saturating_add(1), Relaxed);
    }

    /// A worker has read messages in an epoch, the oldest of them of this timestamp of
    /// Kafka's, in milliseconds since the UNIX epoch.
    pub fn oldest_read(&self, epoch: u64, worker: usize, timestamp: i64) {
        self.waiting.read(epoch, worker, timestamp);
    }

    /// Everything through an epoch is written.
    pub fn epoch_written(&self, epoch: u64) {
        let next = epoch.saturating_add(1);
        if self.epoch_written.fetch_max(next, Relaxed) < next {
            let now = jiff::Timestamp::now().as_millisecond();
            for seconds in self.waiting.written(epoch, now) {
                self.metrics.was_written_after(seconds);
            }
        }
    }

    /// Rows of a table were written: `puts` of them new or replaced, `deletes`
    /// of them deleted.
    pub fn rows_written(&self, table: usize, puts: u64, deletes: u64) {
        if let Some(table) = self.tables.get(table) {
            table.puts.fetch_add(puts, Relaxed);
            table.deletes.fetch_add(deletes, Relaxed);
        }
    }

    /// A batch of `rows` rows was acknowledged after `seconds`.
    pub fn batch_written(&self, seconds: f64, rows: u64) {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.batches.fetch_add(1, Relaxed);
        self.batch_rows.fetch_add(rows, Relaxed);
        self.write_micros.fetch_add(micros, Relaxed);
        self.metrics.write_took(time);
        *lock(&self.store) = StoreState::Writing;
        self.database.written();
    }

    /// The database has answered a question.
    pub fn database_answered(&self) {
        self.database.answered();
    }

    /// Since when the database is away, if it is: it has not answered, or not taken a write,
    /// for seconds.
    pub fn database_away(&self) -> Option<jiff::Timestamp> {
        self.database.away_since()
    }

    /// A checkpoint was committed, which took so long.
    pub fn checkpoint_committed(&self, checkpoint: CommittedCheckpoint, took: Duration) {
        self.checkpoints.committed(checkpoint, took);
    }

    /// Something of a checkpoint could not be written, and will be tried again.
    pub fn checkpoint_failed(&self) {
        self.checkpoints.failed();
    }

    /// `n` dead letters were written.
    pub fn dead_letters_written(&self, n: u64) {
        self.dead_letters.fetch_add(n, Relaxed);
    }

    /// A write failed and will be repeated.
    pub fn write_failed(&self) {
        self.write_retries.fetch_add(1, Relaxed);
        *lock(&self.store) = StoreState::Retrying;
        self.database.failed();
    }

    /// A row as it was written: a candidate for the busiest of its table.
    pub fn busiest(&self, table: usize, row: &Row) {
        if let Some(table) = self.tables.get(table) {
            lock(&table.busiest).put(row);
        }
    }

    /// A row was deleted: it is no longer among the busiest.
    pub fn forget(&self, id: &RowId) {
        if let Some(table) = self.tables.get(id.table) {
            lock(&table.busiest).forget(id);
        }
    }

    /// How many events a worker has read that are not yet written. Workers are
    /// counted over all processes, of which each has as many as this one.
    pub fn in_flight(&self, worker: usize, events: u64) {
        if let Some(in_flight) = self.in_flight.get(worker % self.in_flight.len().max(1)) {
            in_flight.store(events, Relaxed);
        }
    }

    /// What the process waits for before it is ready, as a clause: `Kafka at
    /// k:9092 does not answer`. Ignored once it is ready.
    pub fn set_waiting(&self, reason: impl Into<String>) {
        lock(&self.stage).advance(Stage::Starting(reason.into()));
    }

    /// The partitions are assigned and the store has answered.
    pub fn set_ready(&self) {
        lock(&self.stage).advance(Stage::Ready);
    }

    /// The process was told to stop, or has nothing more to do.
    pub fn set_stopping(&self) {
        lock(&self.stage).advance(Stage::Stopping);
    }

    /// The process cannot go on. The first reason stands.
    pub fn set_failed(&self, reason: impl Into<String>) {
        lock(&self.stage).advance(Stage::Failed(reason.into()));
    }

    /// How far the process has come.
    pub fn stage(&self) -> Stage {
        lock(&self.stage).clone()
    }

    /// Whether the partitions are assigned and the store has answered.
    pub fn ready(&self) -> bool {
        *lock(&self.stage) == Stage::Ready
    }

    /// Whether the process was told to stop.
    pub fn stopping(&self) -> bool {
        *lock(&self.stage) == Stage::Stopping
    }

    /// All of it at one moment: as consistent as counters can be that are
    /// written while they are read. Parts are read against the stream, so that
    /// nothing seems to be written before it was read.
    pub fn snapshot(&self) -> Snapshot {
        let epoch = |next: &AtomicU64| next.load(Relaxed).checked_sub(1);
        let dead_letters = self.dead_letters.load(Relaxed);
        let tables = self.tables.iter().map(TableCounters::snapshot).collect();
        let epoch_written = epoch(&self.epoch_written);
        let partitions = lock(&self.partitions);
        let partitions = partitions.values().flat_map(BTreeMap::values).cloned();
        Snapshot {
            uptime: self.started.elapsed(),
            stage: self.stage(),
            tables,
            partitions: partitions.collect(),
            topics: self.topics.iter().map(TopicCounters::snapshot).collect(),
            in_flight: self.in_flight.iter().map(|n| n.load(Relaxed)).collect(),
            epoch_open: epoch(&self.epoch_open),
            epoch_written,
            batches: self.batches.load(Relaxed),
            batch_rows: self.batch_rows.load(Relaxed),
            write_time: Duration::from_micros(self.write_micros.load(Relaxed)),
            write_retries: self.write_retries.load(Relaxed),
            dead_letters,
            store: *lock(&self.store),
            database_away: self.database_away(),
            checkpoints: self.checkpoints.snapshot(),
            arrangements: lock(&self.arrangements)
                .values()
                .flat_map(|of_worker| of_worker.values().cloned())
                .collect(),
        }
    }

    /// What Prometheus scrapes, in its text format.
    pub fn prometheus(&self) -> String {
        self.metrics.render(&self.snapshot(), &self.times())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{row, table};
    use super::*;

    fn telemetry() -> Telemetry {
        Telemetry::new(2, &["sales".to_owned(), "logs".to_owned()], &[table()])
    }

    #[test]
    fn a_worker_holds_what_its_arrangements_hold() {
        let telemetry = telemetry();
        telemetry.arrangement("sums", 0, 40, 1_600);
        telemetry.arrangement("members", 0, 3, 90);
        telemetry.arrangement("sums", 1, 7, 280);
        telemetry.arrangement("sums", 0, 50, 2_000);
        assert_eq!([0, 1, 2].map(|worker| telemetry.held(worker)), [53, 7, 0]);
    }

    #[test]
    fn what_is_written_is_read() {
        let telemetry = telemetry();
        telemetry.events_read(0, 3, 300);
        telemetry.events_read(1, 2, 20);
        telemetry.tombstones(0, 1);
        telemetry.malformed(1, 1);
        telemetry.judged(
            0,
            Judged {
                taken: 1,
                late: 2,
                from_the_future: 3,
                ..Judged::default()
            },
        );
        telemetry.judged(
            0,
            Judged {
                taken: 1,
                late: 0,
                from_the_future: 0,
                ..Judged::default()
            },
        );
        telemetry.partition("sales", 0, 1, Offsets::stable(3, 10), false);
        telemetry.partition("sales", 0, 1, Offsets::stable(4, 10), true);
        telemetry.partition("logs", 2, 0, Offsets::stable(2, 1), false);
        telemetry.epoch_open(0);
        let first = telemetry.snapshot();
        assert_eq!((first.epoch_open, first.epoch_written), (Some(0), None));
        assert_eq!(first.epochs_behind(), 1);
        telemetry.epoch_open(7);
        telemetry.epoch_written(4);
        telemetry.epoch_written(3);
        telemetry.rows_written(0, 5, 1);
        telemetry.batch_written(0.25, 6);
        telemetry.dead_letters_written(1);
        telemetry.busiest(0, &row(0, "a", 1));
        telemetry.in_flight(1, 9);
        let snapshot = telemetry.snapshot();
        assert_eq!(snapshot.events(), 5);
        assert_eq!(snapshot.topics[0].bytes, 300);
        assert_eq!(
            (snapshot.topics[0].tombstones, snapshot.topics[1].malformed),
            (1, 1)
        );
        let sales = &snapshot.tables[0];
        assert_eq!((sales.events, sales.late, sales.from_the_future), (2, 2, 3));
        assert_eq!(snapshot.late(), 2);
        assert_eq!(snapshot.partitions.len(), 2);
        assert_eq!(snapshot.lag(), 6);
        assert!(snapshot.partitions[1].paused);
        assert_eq!(snapshot.epochs_behind(), 3);
        assert_eq!((snapshot.rows(), snapshot.batch_rows), (6, 6));
        assert_eq!(snapshot.write_time, Duration::from_millis(250));
        assert_eq!((snapshot.dead_letters, snapshot.in_flight()), (1, 9));
        assert_eq!(snapshot.tables[0].busiest, [row(0, "a", 1)]);
    }

    #[test]
    fn a_retry_shows_until_a_write_passes() {
        let telemetry = telemetry();
        assert_eq!(telemetry.snapshot().store, StoreState::Unknown);
        telemetry.write_failed();
        assert_eq!(telemetry.snapshot().store, StoreState::Retrying);
        telemetry.batch_written(0.1, 1);
        assert_eq!(telemetry.snapshot().store, StoreState::Writing);
        assert_eq!(telemetry.snapshot().write_retries, 1);
    }

    #[test]
    fn a_number_out_of_range_is_ignored() {
        let telemetry = telemetry();
        telemetry.events_read(9, 1, 1);
        telemetry.rows_written(9, 1, 1);
        telemetry.busiest(9, &row(0, "a", 1));
        telemetry.in_flight(9, 1);
        telemetry.judged(
            9,
            Judged {
                taken: 1,
                late: 1,
                from_the_future: 1,
                ..Judged::default()
            },
        );
        assert_eq!(telemetry.snapshot().events(), 0);
    }
}
