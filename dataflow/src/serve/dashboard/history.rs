//! The last minutes, a point a second.

use crate::observe::{Snapshot, ViewTime};
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// How many seconds charts look back.
const LENGTH: usize = 600;

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
}

/// Points, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    points: VecDeque<Point>,
    last: Option<(Duration, u64, u64)>,
}

impl History {
    /// Takes note of how things are now, at `millis` since the UNIX epoch.
    pub(super) fn note(&mut self, now: &Snapshot, times: &[ViewTime], millis: i64) -> Point {
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
        };
        if self.points.len() == LENGTH {
            self.points.pop_front();
        }
        self.points.push_back(point.clone());
        point
    }

    /// All points there are.
    pub(super) fn points(&self) -> impl Iterator<Item = &Point> {
        self.points.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Board;

    #[test]
    fn a_point_says_what_has_come_since_the_one_before() {
        let topics = ["sales".to_owned()];
        let board = Board::new(1, &topics, &[]);
        let mut history = History::default();
        let mut note = |seconds: u64, events: u64| {
            board.events_read(0, events, 0);
            let mut now = board.snapshot();
            now.uptime = Duration::from_secs(seconds);
            history.note(&now, &[], 1_000)
        };
        assert_eq!(note(1, 500).events, 0);
        assert_eq!(note(3, 500).events, 250);
        assert_eq!(note(4, 0).events, 0);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let board = Board::new(1, &[], &[]);
        let mut history = History::default();
        for second in 0..1_000 {
            history.note(&board.snapshot(), &[], second * 1_000);
        }
        assert_eq!(history.points().count(), LENGTH);
        assert_eq!(history.points().next().map(|point| point.at), Some(400.0));
    }
}
