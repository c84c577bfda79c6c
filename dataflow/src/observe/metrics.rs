//! What Prometheus scrapes.
//!
//! Counts are kept on the board and copied into a recorder of our own when they
//! are asked for. Only the time that writes take is recorded as it happens,
//! since a histogram cannot be told afterwards.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use metrics::{Histogram, Key, KeyName, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use super::{Snapshot, Stage};

const METADATA: Metadata<'static> = Metadata::new("tidemark", Level::INFO, None);
const WRITE_SECONDS: &str = "tidemark_write_seconds";
/// Upper bounds of the histogram, in seconds: from an SQLite commit to a
/// database that is between two primaries.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
/// Recorded times lie in a buffer until somebody scrapes. Where nobody does, it
/// is emptied after so many.
const UPKEEP_EVERY: u64 = 1024;

const COUNTERS: [(&str, &str); 9] = [
    (
        "tidemark_events_read_total",
        "Messages read from Kafka, by topic.",
    ),
    (
        "tidemark_bytes_read_total",
        "Bytes of the values of messages read, by topic.",
    ),
    (
        "tidemark_malformed_total",
        "Messages that could not be decoded, by topic.",
    ),
    (
        "tidemark_tombstones_total",
        "Messages without a value, by topic.",
    ),
    (
        "tidemark_rows_written_total",
        "Rows written, new or replaced, by view.",
    ),
    ("tidemark_rows_deleted_total", "Rows deleted, by view."),
    ("tidemark_batches_total", "Batches written."),
    (
        "tidemark_write_retries_total",
        "Writes that failed and were repeated.",
    ),
    ("tidemark_dead_letters_total", "Dead letters written."),
];
const GAUGES: [(&str, &str); 10] = [
    (
        "tidemark_partition_position",
        "The next offset to read, by partition.",
    ),
    (
        "tidemark_partition_lag",
        "Offsets not yet read, by partition.",
    ),
    (
        "tidemark_partition_paused",
        "1 while a partition is paused because too much is in flight.",
    ),
    (
        "tidemark_in_flight_events",
        "Events read that are not yet written, by worker of this process.",
    ),
    ("tidemark_epoch_open", "The newest epoch that was opened."),
    (
        "tidemark_epoch_written",
        "The newest epoch that is written.",
    ),
    ("tidemark_ready", "1 while the process is ready."),
    ("tidemark_uptime_seconds", "How long the process has run."),
    ("tidemark_build_info", "1, with the version as a label."),
    (
        "process_start_time_seconds",
        "When the process started, in seconds since the UNIX epoch.",
    ),
];

/// A recorder and the one metric that is recorded as it happens.
#[derive(Debug)]
pub(super) struct Metrics {
    recorder: PrometheusRecorder,
    write_seconds: Histogram,
    writes: AtomicU64,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let builder = PrometheusBuilder::new();
        // Fails for no buckets at all, and these are some.
        let builder = builder.set_buckets(&BUCKETS).unwrap_or_default();
        let recorder = builder.build_recorder();
        for (name, about) in COUNTERS {
            recorder.describe_counter(KeyName::from_const_str(name), None, about.into());
        }
        for (name, about) in GAUGES {
            recorder.describe_gauge(KeyName::from_const_str(name), None, about.into());
        }
        recorder.describe_histogram(
            KeyName::from_const_str(WRITE_SECONDS),
            Some(Unit::Seconds),
            "How long the database took to acknowledge a batch.".into(),
        );
        let key = Key::from_static_name(WRITE_SECONDS);
        Self {
            write_seconds: recorder.register_histogram(&key, &METADATA),
            writes: AtomicU64::new(0),
            recorder,
        }
    }

    /// A batch was acknowledged after `time`.
    pub(super) fn write_took(&self, time: Duration) {
        self.write_seconds.record(time.as_secs_f64());
        if self.writes.fetch_add(1, Relaxed) % UPKEEP_EVERY == UPKEEP_EVERY - 1 {
            self.recorder.handle().run_upkeep();
        }
    }

    /// All metrics in Prometheus' text format.
    pub(super) fn render(&self, now: &Snapshot) -> String {
        for topic in &now.topics {
            let label = || vec![Label::new("topic", topic.name.clone())];
            self.count("tidemark_events_read_total", label(), topic.events);
            self.count("tidemark_bytes_read_total", label(), topic.bytes);
            self.count("tidemark_malformed_total", label(), topic.malformed);
            self.count("tidemark_tombstones_total", label(), topic.tombstones);
        }
        for table in &now.tables {
            let label = || vec![Label::new("view", table.table.name.clone())];
            self.count("tidemark_rows_written_total", label(), table.puts);
            self.count("tidemark_rows_deleted_total", label(), table.deletes);
        }
        self.count("tidemark_batches_total", vec![], now.batches);
        self.count("tidemark_write_retries_total", vec![], now.write_retries);
        self.count("tidemark_dead_letters_total", vec![], now.dead_letters);

        for partition in &now.partitions {
            let label = || {
                vec![
                    Label::new("topic", partition.topic.clone()),
                    Label::new("partition", partition.partition.to_string()),
                ]
            };
            let paused = f64::from(u8::from(partition.paused));
            self.gauge(
                "tidemark_partition_position",
                label(),
                partition.position as f64,
            );
            self.gauge("tidemark_partition_lag", label(), partition.lag() as f64);
            self.gauge("tidemark_partition_paused", label(), paused);
        }
        for (worker, events) in now.in_flight.iter().enumerate() {
            let label = vec![Label::new("worker", worker.to_string())];
            self.gauge("tidemark_in_flight_events", label, *events as f64);
        }
        if let Some(epoch) = now.epoch_open {
            self.gauge("tidemark_epoch_open", vec![], epoch as f64);
        }
        if let Some(epoch) = now.epoch_written {
            self.gauge("tidemark_epoch_written", vec![], epoch as f64);
        }
        let ready = f64::from(u8::from(now.stage == Stage::Ready));
        self.gauge("tidemark_ready", vec![], ready);
        self.gauge("tidemark_uptime_seconds", vec![], now.uptime.as_secs_f64());
        let version = vec![Label::new("version", env!("CARGO_PKG_VERSION"))];
        self.gauge("tidemark_build_info", version, 1.0);
        let started = now.started_at as f64 / 1000.0;
        self.gauge("process_start_time_seconds", vec![], started);
        self.recorder.handle().render()
    }

    fn count(&self, name: &'static str, labels: Vec<Label>, value: u64) {
        let key = Key::from_parts(name, labels);
        self.recorder
            .register_counter(&key, &METADATA)
            .absolute(value);
    }

    fn gauge(&self, name: &'static str, labels: Vec<Label>, value: f64) {
        let key = Key::from_parts(name, labels);
        self.recorder.register_gauge(&key, &METADATA).set(value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Board, testing::table};

    #[test]
    fn the_board_is_rendered_by_prometheus_conventions() {
        let board = Board::new(1, &["sales".to_owned()], &[table()]);
        board.events_read(0, 3, 30);
        board.malformed(0, 1);
        board.partition("sales", 2, 0, 3, 10, true);
        board.rows_written(0, 5, 1);
        board.batch_written(0.02, 6);
        board.write_failed();
        board.epoch_open(7);
        board.in_flight(0, 4);
        board.set_ready();
        let _ = board.prometheus();
        board.events_read(0, 1, 10);
        let text = board.prometheus();
        for line in [
            "# TYPE tidemark_events_read_total counter",
            "tidemark_events_read_total{topic=\"sales\"} 4",
            "tidemark_bytes_read_total{topic=\"sales\"} 40",
            "tidemark_malformed_total{topic=\"sales\"} 1",
            "tidemark_tombstones_total{topic=\"sales\"} 0",
            "tidemark_rows_written_total{view=\"sales\"} 5",
            "tidemark_rows_deleted_total{view=\"sales\"} 1",
            "tidemark_partition_lag{topic=\"sales\",partition=\"2\"} 7",
            "tidemark_partition_paused{topic=\"sales\",partition=\"2\"} 1",
            "tidemark_epoch_open 7",
            "tidemark_in_flight_events{worker=\"0\"} 4",
            "tidemark_write_retries_total 1",
            "tidemark_dead_letters_total 0",
            "# TYPE tidemark_write_seconds histogram",
            "tidemark_write_seconds_bucket{le=\"0.01\"} 0",
            "tidemark_write_seconds_bucket{le=\"0.025\"} 1",
            "tidemark_write_seconds_count 1",
            "tidemark_ready 1",
            concat!(
                "tidemark_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1"
            ),
            "# TYPE process_start_time_seconds gauge",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("tidemark_epoch_written "), "{text}");
    }
}
