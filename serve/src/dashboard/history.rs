//! The last minutes, a point a second.

use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;
use telemetry::{Snapshot, ViewTime};

/// How many seconds charts look back.
const LENGTH: usize = 600;
/// Partitions of which there are points: more lines than anybody looks at, and less than a
/// page takes to load. Metrics have all.
const MOST: usize = 64;

/// How the pipeline was at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Point {
    /// When, in seconds since the UNIX epoch.
    pub(super) at: f64,
    /// Messages read in a second, by this process.
    pub(super) events: u64,
    /// Rows written or deleted in a second, by this process.
    pub(super) rows: u64,
    /// Messages that Kafka has and that are not read, of this process's partitions.
    pub(super) lag: u64,
    /// By view: how far its watermark is behind the clock, in seconds; none before the
    /// first.
    pub(super) behind: Vec<Option<f64>>,
    /// By partition: messages that Kafka has and that are not read, and how far the newest
    /// event's time is behind the clock, in seconds; none before the first event.
    pub(super) partitions: Vec<(u64, Option<f64>)>,
}

/// A partition: its topic and number.
pub(super) type Place = (String, i32);

/// Points, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    points: VecDeque<Point>,
    last: Option<(Duration, u64, u64)>,
    /// What the partitions of the points are.
    places: Vec<Place>,
}

impl History {
    /// Takes note of how things are now, at `millis` since the UNIX epoch. When there are
    /// other partitions than before, all points are about those.
    pub(super) fn note(&mut self, now: &Snapshot, times: &[ViewTime], millis: i64) -> Point {
        self.know(now);
        let counts = (now.uptime, now.events(), now.rows());
        let (since, events, rows) = self.last.replace(counts).unwrap_or(counts);
        let span = now.uptime.saturating_sub(since).as_millis();
        let rate = |now: u64, then: u64| {
            let grown = u128::from(now.saturating_sub(then)) * 1_000;
            let rate = grown.checked_div(span).unwrap_or(0);
            u64::try_from(rate).unwrap_or(u64::MAX)
        };
        let behind = |time: &ViewTime| {
            let watermark = time.watermark?.div_euclid(1_000);
            Some(millis.saturating_sub(watermark) as f64 / 1_000.0)
        };
        let point = Point {
            at: millis as f64 / 1_000.0,
            events: rate(counts.1, events),
            rows: rate(counts.2, rows),
            lag: now.lag(),
            behind: times.iter().map(behind).collect(),
            partitions: self
                .places
                .iter()
                .map(|place| standing(place, now, times, millis))
                .collect(),
        };
        if self.points.len() == LENGTH {
            self.points.pop_front();
        }
        self.points.push_back(point.clone());
        point
    }

    /// The partitions that the points are about.
    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    fn know(&mut self, now: &Snapshot) {
        let found = now.partitions.iter().take(MOST);
        let found: Vec<Place> = found
            .map(|partition| (partition.topic.clone(), partition.partition))
            .collect();
        if found == self.places {
            return;
        }
        for point in &mut self.points {
            let of = |place: &Place| {
                let known = self.places.iter().position(|other| other == place);
                known.map_or((0, None), |known| point.partitions[known])
            };
            point.partitions = found.iter().map(of).collect();
        }
        self.places = found;
    }

    /// All points there are.
    pub(super) fn points(&self) -> impl Iterator<Item = &Point> {
        self.points.iter()
    }
}

/// Where a partition stands: its lag, and how far its events are behind the clock.
fn standing(
    (topic, number): &Place,
    now: &Snapshot,
    times: &[ViewTime],
    millis: i64,
) -> (u64, Option<f64>) {
    let mut found = now.partitions.iter();
    let found = found.find(|found| found.topic == *topic && found.partition == *number);
    let times = times.iter().flat_map(|time| &time.partitions);
    let newest = times
        .filter(|time| time.topic == *topic && time.partition == *number)
        .filter_map(|time| time.event_time)
        .max();
    let behind = newest.map(|at| millis.saturating_sub(at.div_euclid(1_000)) as f64 / 1_000.0);
    (found.map_or(0, |found| found.lag()), behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use telemetry::Telemetry;

    #[test]
    fn a_point_says_what_has_come_since_the_one_before() {
        let topics = ["sales".to_owned()];
        let telemetry = Telemetry::new(1, &topics, &[]);
        let mut history = History::default();
        let mut note = |seconds: u64, events: u64| {
            telemetry.events_read(0, events, 0);
            let mut now = telemetry.snapshot();
            now.uptime = Duration::from_secs(seconds);
            history.note(&now, &[], 1_000)
        };
        assert_eq!(note(1, 500).events, 0);
        assert_eq!(note(3, 500).events, 250);
        assert_eq!(note(4, 0).events, 0);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let telemetry = Telemetry::new(1, &[], &[]);
        let mut history = History::default();
        for second in 0..1_000 {
            history.note(&telemetry.snapshot(), &[], second * 1_000);
        }
        assert_eq!(history.points().count(), LENGTH);
        assert_eq!(history.points().next().map(|point| point.at), Some(400.0));
    }
    #[test]
    fn points_are_about_the_partitions_there_are() {
        let telemetry = Telemetry::new(1, &["sales".to_owned()], &[]);
        let mut history = History::default();
        let partition = |number: i32, end: i64| telemetry::PartitionSnapshot {
            topic: "sales".to_owned(),
            partition: number,
            worker: 0,
            offsets: telemetry::Offsets::stable(10, end),
            blocked: None,
            paused: false,
        };
        let mut note = |partitions| {
            let mut now = telemetry.snapshot();
            now.partitions = partitions;
            history.note(&now, &[], 1_000)
        };
        assert_eq!(note(vec![partition(1, 13)]).partitions, [(3, None)]);
        let both = note(vec![partition(0, 12), partition(1, 10)]);
        assert_eq!(both.partitions, [(2, None), (0, None)]);
        let old = history.points().next().unwrap();
        assert_eq!(old.partitions, [(0, None), (3, None)]);
        assert_eq!(history.places()[1], ("sales".to_owned(), 1));
    }
}
