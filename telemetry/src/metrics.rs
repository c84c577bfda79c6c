//! What Prometheus scrapes.
//!
//! Counts are kept on the telemetry and copied into a recorder of our own when they
//! are asked for; those of the process (`process_*`, Prometheus' standard ones) are asked of
//! the system. Only times are recorded as they happen, since a histogram cannot be told
//! afterwards.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use metrics::{Histogram, Key, KeyName, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};
use metrics_process::Collector;

use super::{PartitionSnapshot, PartitionTime, Snapshot, ViewTime};
use model::Holding;

const METADATA: Metadata<'static> = Metadata::new("tidemark", Level::INFO, None);
const WRITE_SECONDS: &str = "tidemark_write_seconds";
const LATENCY_SECONDS: &str = "tidemark_latency_seconds";
/// Upper bounds of the histogram, in seconds: from an SQLite commit to a
/// database that is between two primaries.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
/// The same of what a message takes: from an epoch of a few milliseconds to what was left
/// lying for days.
const LATENCY_BUCKETS: [f64; 16] = [
    0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0, 3_600.0,
    86_400.0,
];
/// Recorded times lie in a buffer until somebody scrapes. Where nobody does, it
/// is emptied after so many.
const UPKEEP_EVERY: u64 = 1024;

const COUNTERS: [(&str, &str); 18] = [
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
        "tidemark_view_events_total",
        "Events of its topic that a view took, by view. With those that came too late, are from \
         the future, could be placed nowhere, were filtered or failed, tombstones and malformed \
         messages, these are all messages read of it.",
    ),
    (
        "tidemark_view_late_total",
        "Events that came too late for a view, by view.",
    ),
    (
        "tidemark_view_partly_late_total",
        "Events that came too late for some of a view's windows, by view. They are counted among \
         those that it took as well.",
    ),
    (
        "tidemark_view_from_the_future_total",
        "Events whose time, or their message's, lay too far ahead for a view, by view.",
    ),
    (
        "tidemark_view_malformed_total",
        "Events that a view could place in no window, by view: their messages have no timestamp, \
         or the window is not within the years 1 to 9999.",
    ),
    (
        "tidemark_view_filtered_total",
        "Events that the condition of a view leaves out, by view.",
    ),
    (
        "tidemark_view_failed_total",
        "Events on which an expression of a view failed, by view.",
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
    ("tidemark_checkpoints_total", "Checkpoints committed."),
    (
        "tidemark_checkpoint_retries_total",
        "Attempts to write something of a checkpoint that failed and were repeated.",
    ),
];
const GAUGES: [(&str, &str); 20] = [
    (
        "tidemark_partition_position",
        "The next offset to read, by partition.",
    ),
    (
        "tidemark_partition_lag",
        "Offsets that can be read and are not read yet, by partition.",
    ),
    (
        "tidemark_partition_blocked_offsets",
        "Offsets that Kafka does not deliver because of an open transaction, by partition.",
    ),
    (
        "tidemark_partition_blocked_seconds",
        "How long the open transaction has blocked the partition; 0 where none does.",
    ),
    (
        "tidemark_partition_paused",
        "1 while a partition is paused because too much is in flight.",
    ),
    (
        "tidemark_partition_idle",
        "1 while a partition is silent and holds no windows open.",
    ),
    (
        "tidemark_view_watermark_seconds",
        "The view's watermark, in seconds since the UNIX epoch: windows that end before are final.",
    ),
    (
        "tidemark_view_watermark_lag_seconds",
        "How far the view's watermark is behind the clock.",
    ),
    (
        "tidemark_view_behind_others",
        "Offsets by which a view that is built, or rebuilt, is behind the other views; 0 for any \
         other.",
    ),
    (
        "tidemark_arrangement_records",
        "Updates that an arrangement holds, by arrangement and worker of this process.",
    ),
    (
        "tidemark_arrangement_bytes",
        "Bytes that they take, without those of long texts.",
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
    (
        "tidemark_checkpoint_timestamp_seconds",
        "When the last checkpoint was made, in seconds since the UNIX epoch.",
    ),
    (
        "tidemark_checkpoint_bytes",
        "Bytes of the files that the last checkpoint consists of.",
    ),
    (
        "tidemark_checkpoint_files",
        "Files that the last checkpoint consists of.",
    ),
    (
        "tidemark_ready",
        "1 while the process is ready: as `/readyz`, 0 while the database is away.",
    ),
    ("tidemark_uptime_seconds", "How long the process has run."),
    ("tidemark_build_info", "1, with the version as a label."),
];

/// A recorder and the one metric that is recorded as it happens.
#[derive(Debug)]
pub(super) struct Metrics {
    recorder: PrometheusRecorder,
    write_seconds: Histogram,
    latency_seconds: Histogram,
    /// Times that were recorded, of either kind.
    recorded: AtomicU64,
    process: Collector,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let builder = PrometheusBuilder::new();
        // Fails for no buckets at all, and these are some.
        let builder = builder.set_buckets(&BUCKETS).unwrap_or_default();
        let latency = Matcher::Full(LATENCY_SECONDS.to_owned());
        let builder = builder
            .set_buckets_for_metric(latency, &LATENCY_BUCKETS)
            .unwrap_or_default();
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
        recorder.describe_histogram(
            KeyName::from_const_str(LATENCY_SECONDS),
            Some(Unit::Seconds),
            "From Kafka's timestamp of the oldest message of an epoch until the database had \
             acknowledged that epoch; once for each worker that read in it."
                .into(),
        );
        let process = Collector::default();
        metrics::with_local_recorder(&recorder, || process.describe());
        let histogram = |name| recorder.register_histogram(&Key::from_static_name(name), &METADATA);
        Self {
            write_seconds: histogram(WRITE_SECONDS),
            latency_seconds: histogram(LATENCY_SECONDS),
            recorded: AtomicU64::new(0),
            process,
            recorder,
        }
    }

    /// A batch was acknowledged after `time`.
    pub(super) fn write_took(&self, time: Duration) {
        self.write_seconds.record(time.as_secs_f64());
        self.upkeep();
    }

    /// The oldest message of an epoch was written after so long.
    pub(super) fn was_written_after(&self, seconds: f64) {
        self.latency_seconds.record(seconds);
        self.upkeep();
    }

    fn upkeep(&self) {
        if self.recorded.fetch_add(1, Relaxed) % UPKEEP_EVERY == UPKEEP_EVERY - 1 {
            self.recorder.handle().run_upkeep();
        }
    }

    /// All metrics in Prometheus' text format.
    pub(super) fn render(&self, now: &Snapshot, views: &[ViewTime]) -> String {
        for topic in &now.topics {
            let label = || vec![Label::new("topic", topic.name.clone())];
            self.count("tidemark_events_read_total", label(), topic.events);
            self.count("tidemark_bytes_read_total", label(), topic.bytes);
            self.count("tidemark_malformed_total", label(), topic.malformed);
            self.count("tidemark_tombstones_total", label(), topic.tombstones);
        }
        for table in &now.tables {
            let label = || vec![Label::new("view", table.table.name.clone())];
            self.count("tidemark_view_events_total", label(), table.events);
            self.count("tidemark_view_late_total", label(), table.late);
            let partly_late = table.partly_late;
            self.count("tidemark_view_partly_late_total", label(), partly_late);
            self.count(
                "tidemark_view_from_the_future_total",
                label(),
                table.from_the_future,
            );
            self.count("tidemark_view_malformed_total", label(), table.malformed);
            self.count("tidemark_view_filtered_total", label(), table.filtered);
            self.count("tidemark_view_failed_total", label(), table.failed);
            self.count("tidemark_rows_written_total", label(), table.puts);
            self.count("tidemark_rows_deleted_total", label(), table.deletes);
        }
        self.count("tidemark_batches_total", vec![], now.batches);
        self.count("tidemark_write_retries_total", vec![], now.write_retries);
        self.count("tidemark_dead_letters_total", vec![], now.dead_letters);
        let checkpoints = &now.checkpoints;
        self.count("tidemark_checkpoints_total", vec![], checkpoints.count);
        let failures = checkpoints.failures;
        self.count("tidemark_checkpoint_retries_total", vec![], failures);
        if checkpoints.count > 0 {
            let made_at = checkpoints.made_at as f64 / 1_000.0;
            let (bytes, files) = (checkpoints.bytes as f64, checkpoints.files as f64);
            self.gauge("tidemark_checkpoint_timestamp_seconds", vec![], made_at);
            self.gauge("tidemark_checkpoint_bytes", vec![], bytes);
            self.gauge("tidemark_checkpoint_files", vec![], files);
        }

        let clock = jiff::Timestamp::now().as_millisecond();
        for partition in &now.partitions {
            let label = || labels(partition);
            let paused = f64::from(u8::from(partition.paused));
            self.gauge(
                "tidemark_partition_position",
                label(),
                partition.offsets.position as f64,
            );
            self.gauge("tidemark_partition_lag", label(), partition.lag() as f64);
            self.gauge("tidemark_partition_paused", label(), paused);
            let blocked = partition.blocked.as_ref();
            let offsets = blocked.map_or(0, |blocked| blocked.behind);
            let millis = blocked.map_or(0, |blocked| clock.saturating_sub(blocked.seen).max(0));
            self.gauge(
                "tidemark_partition_blocked_offsets",
                label(),
                offsets as f64,
            );
            self.gauge(
                "tidemark_partition_blocked_seconds",
                label(),
                millis as f64 / 1_000.0,
            );
        }
        self.event_time(now, views);
        for arrangement in &now.arrangements {
            let label = || {
                vec![
                    Label::new("arrangement", arrangement.name.clone()),
                    Label::new("worker", arrangement.worker.to_string()),
                ]
            };
            let (records, bytes) = (arrangement.records as f64, arrangement.bytes as f64);
            self.gauge("tidemark_arrangement_records", label(), records);
            self.gauge("tidemark_arrangement_bytes", label(), bytes);
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
        let ready = f64::from(u8::from(now.is_ready()));
        self.gauge("tidemark_ready", vec![], ready);
        self.gauge("tidemark_uptime_seconds", vec![], now.uptime.as_secs_f64());
        let version = vec![Label::new("version", env!("CARGO_PKG_VERSION"))];
        self.gauge("tidemark_build_info", version, 1.0);
        metrics::with_local_recorder(&self.recorder, || self.process.collect());
        self.recorder.handle().render()
    }

    /// How far event time has come. Of partitions, those that this process reads, as
    /// with their positions: added up over processes each is there once.
    fn event_time(&self, now: &Snapshot, views: &[ViewTime]) {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH);
        let clock = clock.unwrap_or_default().as_secs_f64();
        for view in views {
            let label = || vec![Label::new("view", view.view.clone())];
            let behind = view.behind_others.unwrap_or(0) as f64;
            self.gauge("tidemark_view_behind_others", label(), behind);
            let Some(watermark) = view.watermark else {
                continue;
            };
            let watermark = watermark as f64 / 1e6;
            self.gauge("tidemark_view_watermark_seconds", label(), watermark);
            self.gauge(
                "tidemark_view_watermark_lag_seconds",
                label(),
                clock - watermark,
            );
        }
        for partition in &now.partitions {
            let same = |known: &&PartitionTime| {
                known.topic == partition.topic && known.partition == partition.partition
            };
            let mut known = views.iter().flat_map(|view| &view.partitions);
            if let Some(known) = known.find(same) {
                let idle = f64::from(u8::from(known.holding == Holding::Idle));
                self.gauge("tidemark_partition_idle", labels(partition), idle);
            }
        }
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

fn labels(partition: &PartitionSnapshot) -> Vec<Label> {
    vec![
        Label::new("topic", partition.topic.clone()),
        Label::new("partition", partition.partition.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::testing::{partition_time, table, view_time};
    use super::super::{Judged, Offsets, PartitionTime, Telemetry, ViewTime};
    use model::Holding;

    #[test]
    fn the_board_is_rendered_by_prometheus_conventions() {
        let telemetry = Telemetry::new(1, &["sales".to_owned()], &[table()]);
        telemetry.events_read(0, 3, 30);
        telemetry.malformed(0, 1);
        telemetry.judged(
            0,
            Judged {
                taken: 1,
                late: 2,
                partly_late: 1,
                from_the_future: 1,
                ..Judged::default()
            },
        );
        telemetry.arrangement("sums", 3, 40, 1_600);
        telemetry.partition("sales", 2, 0, Offsets::stable(3, 10), true);
        let blocked = Offsets {
            position: 40,
            stable: 40,
            end: 63,
        };
        telemetry.partition("sales", 3, 0, blocked, false);
        telemetry.rows_written(0, 5, 1);
        telemetry.batch_written(0.02, 6);
        telemetry.write_failed();
        telemetry.epoch_open(7);
        telemetry.in_flight(0, 4);
        telemetry.set_ready();
        let _ = telemetry.prometheus();
        telemetry.events_read(0, 1, 10);
        let text = telemetry.prometheus();
        for line in [
            "# TYPE tidemark_events_read_total counter",
            "tidemark_events_read_total{topic=\"sales\"} 4",
            "tidemark_bytes_read_total{topic=\"sales\"} 40",
            "tidemark_malformed_total{topic=\"sales\"} 1",
            "tidemark_tombstones_total{topic=\"sales\"} 0",
            "tidemark_view_events_total{view=\"sales\"} 1",
            "tidemark_view_late_total{view=\"sales\"} 2",
            "tidemark_view_partly_late_total{view=\"sales\"} 1",
            "tidemark_view_from_the_future_total{view=\"sales\"} 1",
            "tidemark_view_malformed_total{view=\"sales\"} 0",
            "tidemark_arrangement_records{arrangement=\"sums\",worker=\"3\"} 40",
            "tidemark_arrangement_bytes{arrangement=\"sums\",worker=\"3\"} 1600",
            "tidemark_rows_written_total{view=\"sales\"} 5",
            "tidemark_rows_deleted_total{view=\"sales\"} 1",
            "tidemark_partition_lag{topic=\"sales\",partition=\"2\"} 7",
            "tidemark_partition_blocked_offsets{topic=\"sales\",partition=\"2\"} 0",
            "tidemark_partition_blocked_seconds{topic=\"sales\",partition=\"2\"} 0",
            "tidemark_partition_lag{topic=\"sales\",partition=\"3\"} 0",
            "tidemark_partition_blocked_offsets{topic=\"sales\",partition=\"3\"} 23",
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

    /// The table of `docs/metrics.md`: name and type.
    fn documented() -> Vec<(String, String)> {
        let page = include_str!("../../docs/metrics.md");
        let row = |line: &str| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            Some((name.to_owned(), cells.next()?.to_owned()))
        };
        page.lines().filter_map(row).collect()
    }

    #[test]
    fn all_that_is_exported_is_documented_and_nothing_else() {
        let documented = documented();
        let telemetry = Telemetry::new(1, &["sales".to_owned()], &[table()]);
        telemetry.rows_written(0, 5, 1);
        telemetry.batch_written(0.02, 6);
        let text = telemetry.prometheus();
        let exported = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()));
        for metric in exported {
            assert!(
                documented.contains(&metric),
                "{metric:?} is not in docs/metrics.md"
            );
        }
        let names = super::COUNTERS.iter().chain(&super::GAUGES);
        let mut known: Vec<&str> = names.map(|(name, _)| *name).collect();
        known.extend([super::WRITE_SECONDS, super::LATENCY_SECONDS]);
        for (name, _) in documented {
            assert!(
                known.contains(&name.as_str()) || name.starts_with("process_"),
                "{name} is documented and not there"
            );
        }
    }

    #[test]
    fn times_are_counted_in_their_own_buckets() {
        let telemetry = Telemetry::new(1, &["sales".to_owned()], &[table()]);
        let now = jiff::Timestamp::now().as_millisecond();
        telemetry.oldest_read(3, 0, now - 45_000);
        telemetry.epoch_written(2);
        let none = telemetry.prometheus();
        assert!(none.contains("tidemark_latency_seconds_count 0") || !none.contains("latency"));
        telemetry.epoch_written(3);
        let text = telemetry.prometheus();
        for line in [
            "tidemark_latency_seconds_bucket{le=\"30\"} 0",
            "tidemark_latency_seconds_bucket{le=\"60\"} 1",
            "tidemark_latency_seconds_count 1",
            "# TYPE process_cpu_seconds_total counter",
            "# TYPE process_resident_memory_bytes gauge",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn event_time_is_told_of_views_that_have_one_and_of_own_partitions() {
        const DAY: i64 = 86_400_000;
        let of_logs = |number, at, holding| PartitionTime {
            topic: "system_logs".to_owned(),
            ..partition_time(number, Some(at), holding)
        };
        let logs = vec![of_logs(0, DAY, Holding::Yes), of_logs(1, 0, Holding::Idle)];
        let logs = ViewTime {
            view: "log_analysis".to_owned(),
            behind_others: Some(12),
            ..view_time(logs)
        };
        let none = ViewTime {
            view: "sales_analysis".to_owned(),
            ..view_time(Vec::new())
        };
        let telemetry = Telemetry::new(1, &["system_logs".to_owned()], &[]);
        telemetry.watch(move || vec![none.clone(), logs.clone()]);
        telemetry.partition("system_logs", 1, 0, Offsets::stable(3, 10), false);
        let text = telemetry.prometheus();
        for line in [
            "tidemark_view_watermark_seconds{view=\"log_analysis\"} 79200",
            "tidemark_partition_idle{topic=\"system_logs\",partition=\"1\"} 1",
            "tidemark_view_behind_others{view=\"log_analysis\"} 12",
            "tidemark_view_behind_others{view=\"sales_analysis\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("tidemark_view_watermark_lag_seconds{view=\"log_analysis\"} "));
        let absent = "tidemark_view_watermark_seconds{view=\"sales_analysis\"}";
        for absent in [absent, "partition=\"0\""] {
            assert!(!text.contains(absent), "{absent} is in\n{text}");
        }
    }
}
