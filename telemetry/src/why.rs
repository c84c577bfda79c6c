//! Why a window is still open: an answer that one process gives, and another prints.

use super::{Blocking, PartitionSnapshot, PartitionTime, ViewInfo, ViewTime, format::length};
use model::{Holding, shown};
use serde::{Deserialize, Serialize};

/// Why a window of a view is still open, or that it is not. Times are texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// Name of the view.
    pub view: String,
    /// What its time is called.
    pub time: String,
    /// Length of its windows.
    pub window: String,
    /// How late an event may be.
    pub lateness: String,
    /// Start of the window that was asked for.
    pub start: String,
    /// Its end.
    pub end: String,
    /// Whether it is still open.
    pub state: State,
    /// Whether no window of the view ever closes.
    pub forever: bool,
    /// The watermark that makes it final.
    pub watermark_needed: Option<String>,
    /// The event time that each partition must have shown for that.
    pub event_time_needed: Option<String>,
    /// The view's watermark.
    pub watermark: Option<String>,
    /// The end of the view's last final window.
    pub final_until: Option<String>,
    /// How much event time is missing; `None` where no end of it can be told.
    pub missing: Option<String>,
    /// The same in milliseconds.
    pub missing_ms: Option<i64>,
    /// The partitions that hold it open by their event time, most behind first.
    /// When all partitions are idle, all: it stays open until one of them comes
    /// far enough.
    pub partitions: Vec<Behind>,
    /// What is joined and not read far enough, when all partitions of the view's
    /// own topic have passed it. Windows close in their order: this is what the
    /// first one that waits is waiting for.
    pub waits_for: Option<WaitsFor>,
    /// The partitions of the view's topics that open transactions block, of those that
    /// the process reads that answers.
    #[serde(default)]
    pub blocked: Vec<BlockedPartition>,
}

/// A partition that an open transaction blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedPartition {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// What blocks it.
    #[serde(flatten)]
    pub blocking: Blocking,
}

impl BlockedPartition {
    /// Those of the topics of a view, of all that a process reads.
    pub fn of(time: &ViewTime, read: &[PartitionSnapshot]) -> Vec<BlockedPartition> {
        let of_view = |read: &&PartitionSnapshot| {
            let mut known = time.partitions.iter();
            known.any(|known| known.topic == read.topic && known.partition == read.partition)
        };
        let blocked = read.iter().filter(of_view).filter_map(|read| {
            let blocked = read.blocked.as_ref()?;
            Some(BlockedPartition {
                topic: read.topic.clone(),
                partition: read.partition,
                blocking: Blocking::from(blocked),
            })
        });
        blocked.collect()
    }

    /// What blocks it, as a sentence without its full stop.
    pub fn sentence(&self) -> String {
        let BlockedPartition {
            topic,
            partition,
            blocking,
        } = self;
        format!(
            "topic {topic} partition {partition} is {}",
            blocking.clause()
        )
    }
}

/// Whether a window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its rows do not change any more.
    Final,
    /// They may.
    Open,
    /// No partition has shown an event time of it or later.
    NotBegun,
}

/// A partition, and where it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The worker that reads it, counted over all processes.
    pub worker: usize,
    /// The next offset to read.
    pub offset: i64,
    /// Offsets not yet read; `None` where another process reads it.
    pub lag: Option<u64>,
    /// `reading`, `idle` or `ended`.
    pub state: String,
}

/// A partition whose event time holds a window open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// Which one.
    #[serde(flatten)]
    pub place: Place,
    /// The largest event time it has shown.
    pub event_time: Option<String>,
    /// The one it has to show.
    pub event_time_needed: String,
    /// How far that is away.
    pub behind: Option<String>,
    /// The same in milliseconds.
    pub behind_ms: Option<i64>,
}

/// What is joined and must be read further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitsFor {
    /// The Kafka timestamp beyond which it must be read.
    pub kafka_time: String,
    /// The topics that are not.
    pub topics: Vec<String>,
    /// Their partitions that are not, most behind first.
    pub partitions: Vec<JoinedBehind>,
}

/// A partition whose Kafka timestamps hold a window open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedBehind {
    /// Which one.
    #[serde(flatten)]
    pub place: Place,
    /// The largest Kafka timestamp it has shown.
    pub kafka_time: Option<String>,
    /// How far it is behind.
    pub behind: Option<String>,
    /// The same in milliseconds.
    pub behind_ms: Option<i64>,
}

impl Why {
    /// The answer for the window number `index`. `lag` knows the offsets of a partition not yet
    /// read.
    pub fn of(
        info: &ViewInfo,
        time: &ViewTime,
        index: i64,
        lag: impl Fn(&PartitionTime) -> Option<u64>,
    ) -> Why {
        let (start, end) = (
            time.window.start_millis(index),
            time.window.end_millis(index),
        );
        let end_micros = micros(end);
        let needed = time.lateness.map(|lateness| end.saturating_add(lateness));
        let own = || time.partitions.iter().filter(|p| !p.is_joined);
        let has_begun = |p: &PartitionTime| p.event_time.is_some_and(|at| at >= micros(start));
        let state = if time.final_until.is_some_and(|until| until >= end) {
            State::Final
        } else if own().any(has_begun) {
            State::Open
        } else {
            State::NotBegun
        };
        let is_passed = time.passed.is_some_and(|passed| passed >= end_micros);
        let place = |p: &PartitionTime| Place {
            topic: p.topic.clone(),
            partition: p.partition,
            worker: p.worker,
            offset: p.offset,
            lag: lag(p),
            state: p.state().to_owned(),
        };
        let missing_ms = match (state, needed) {
            (_, None) => None,
            (State::Final, _) => Some(0),
            _ if is_passed => Some(0),
            _ => time.passed.map(|passed| short(passed, end_micros)),
        };

        let mut partitions = Vec::new();
        let mut waits_for = None;
        if let (State::Open | State::NotBegun, Some(needed)) = (state, needed) {
            if !is_passed {
                let someone_holds = own().any(PartitionTime::counts);
                let behind = own().filter(|p| p.counts() || !someone_holds);
                let mut behind: Vec<_> =
                    behind.filter(|p| p.watermark < Some(end_micros)).collect();
                behind.sort_by_key(|p| (p.event_time, p.partition));
                let behind = behind.into_iter().map(|p| {
                    let behind_ms = p.event_time.map(|at| short(at, micros(needed)));
                    Behind {
                        place: place(p),
                        event_time: p.event_time.map(shown),
                        event_time_needed: shown(micros(needed)),
                        behind: behind_ms.map(length),
                        behind_ms,
                    }
                });
                partitions = behind.collect();
            }
            waits_for = time.waits_for.filter(|_| is_passed).map(|moment| {
                let holding = |p: &&PartitionTime| p.holding == Holding::Yes;
                let all = time.partitions.iter().filter(holding);
                let mut behind: Vec<_> = all.filter(|p| p.kafka <= Some(moment)).collect();
                behind.sort_by_key(|p| (p.kafka, &p.topic, p.partition));
                let mut topics: Vec<_> = behind.iter().map(|p| p.topic.clone()).collect();
                topics.sort_unstable();
                topics.dedup();
                let partitions = behind.into_iter().map(|p| {
                    // It has to be read beyond the moment.
                    let needed = moment.saturating_add(1);
                    let behind_ms = p.kafka.map(|kafka| needed.saturating_sub(kafka));
                    JoinedBehind {
                        place: place(p),
                        kafka_time: p.kafka.map(|kafka| shown(micros(kafka))),
                        behind: behind_ms.map(length),
                        behind_ms,
                    }
                });
                WaitsFor {
                    kafka_time: shown(micros(moment)),
                    topics,
                    partitions: partitions.collect(),
                }
            });
        }
        Why {
            view: info.name.clone(),
            time: info.time.clone(),
            window: info.window.clone(),
            lateness: info.lateness.clone(),
            start: shown(micros(start)),
            end: shown(end_micros),
            state,
            forever: needed.is_none(),
            watermark_needed: needed.map(|_| shown(end_micros)),
            event_time_needed: needed.map(|needed| shown(micros(needed))),
            watermark: time.watermark.map(shown),
            final_until: time.final_until.map(|until| shown(micros(until))),
            missing: missing_ms.map(length),
            missing_ms,
            partitions,
            waits_for,
            blocked: Vec::new(),
        }
    }
}

fn micros(millis: i64) -> i64 {
    millis.saturating_mul(1_000)
}

/// From one time to a later one, both in microseconds, in whole milliseconds that
/// are enough.
fn short(from: i64, to: i64) -> i64 {
    to.saturating_sub(from).saturating_add(999).max(0) / 1_000
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, partition_time, view_time};
    use super::*;

    const HOUR: i64 = 3_600_000;
    const MINUTE: i64 = 60_000;

    fn why(time: &ViewTime, start: i64) -> Why {
        let lag = |p: &PartitionTime| (p.partition == 1).then_some(7);
        let index = time.window.index_starting(start).unwrap();
        Why::of(&testing::view(), time, index, lag)
    }

    fn numbers(why: &Why) -> Vec<i32> {
        why.partitions.iter().map(|p| p.place.partition).collect()
    }

    /// Watermarks at 10:00, 7:30 and, of what has shown nothing, none.
    fn three() -> ViewTime {
        view_time(vec![
            partition_time(0, Some(12 * HOUR), Holding::Yes),
            partition_time(1, Some(9 * HOUR + 30 * MINUTE), Holding::Yes),
            partition_time(2, None, Holding::Yes),
        ])
    }

    #[test]
    fn the_furthest_behind_comes_first() {
        let why = why(&three(), 9 * HOUR);
        assert_eq!((why.state, why.forever), (State::Open, false));
        assert_eq!(
            why.watermark_needed.as_deref(),
            Some("1970-01-01T10:00:00Z")
        );
        assert_eq!(
            why.event_time_needed.as_deref(),
            Some("1970-01-01T12:00:00Z")
        );
        assert_eq!((&why.watermark, &why.missing), (&None, &None));
        assert_eq!(numbers(&why), [2, 1]);
        let [none, some] = &why.partitions[..] else {
            panic!("{why:?}")
        };
        assert_eq!((&none.event_time, &none.behind), (&None, &None));
        assert_eq!(some.event_time.as_deref(), Some("1970-01-01T09:30:00Z"));
        assert_eq!(some.behind.as_deref(), Some("2h 30m"));
        assert_eq!(some.behind_ms, Some(150 * MINUTE));
        assert_eq!((none.place.lag, some.place.lag), (None, Some(7)));
        assert_eq!(why.waits_for, None);
    }

    #[test]
    fn a_window_is_final_or_open_or_has_not_begun() {
        let mut time = three();
        time.partitions.pop();
        let time = view_time(time.partitions);
        let first = why(&time, 6 * HOUR);
        assert_eq!((first.state, first.missing_ms), (State::Final, Some(0)));
        assert!(first.partitions.is_empty());
        let open = why(&time, 7 * HOUR);
        assert_eq!(
            (open.state, open.missing.as_deref()),
            (State::Open, Some("30m"))
        );
        assert_eq!(numbers(&open), [1]);
        let open = why(&time, 12 * HOUR);
        assert_eq!((open.state, numbers(&open)), (State::Open, vec![1, 0]));
        assert_eq!(why(&time, 13 * HOUR).state, State::NotBegun);
    }

    #[test]
    fn windows_that_overlap_are_final_one_by_one() {
        let mut time = three();
        time.partitions.pop();
        let mut time = view_time(time.partitions);
        let [slide, size] = [HOUR, 3 * HOUR].map(|millis| model::Span::micros(millis * 1_000));
        time.window = model::Window::hopping(slide, size, model::Span::ZERO, None).unwrap();
        assert_eq!(why(&time, 4 * HOUR).state, State::Final);
        let open = why(&time, 5 * HOUR);
        assert_eq!(
            (open.state, open.missing_ms),
            (State::Open, Some(30 * MINUTE))
        );
        assert_eq!(open.end, "1970-01-01T08:00:00Z");
    }

    #[test]
    fn the_idle_hold_nothing_unless_all_are() {
        let mut time = three();
        time.partitions[2].holding = Holding::Idle;
        assert_eq!(numbers(&why(&time, 9 * HOUR)), [1]);
        time.partitions
            .iter_mut()
            .for_each(|p| p.holding = Holding::Idle);
        let all = why(&time, 11 * HOUR);
        assert_eq!(numbers(&all), [2, 1, 0]);
        assert!(all.partitions.iter().all(|p| p.place.state == "idle"));
    }

    #[test]
    fn for_ever_is_a_setting_and_no_partition() {
        let mut time = three();
        time.lateness = None;
        time.partitions.iter_mut().for_each(|p| p.watermark = None);
        let why = why(&time, 9 * HOUR);
        assert!(why.forever && why.partitions.is_empty());
        assert_eq!((why.watermark_needed, why.missing), (None, None));
    }

    #[test]
    fn what_is_joined_is_waited_for_by_its_kafka_timestamps() {
        let mut time = view_time(vec![partition_time(0, Some(12 * HOUR), Holding::Yes)]);
        time.final_until = Some(9 * HOUR);
        time.waits_for = Some(11 * HOUR);
        time.partitions.push(PartitionTime {
            is_joined: true,
            topic: "products".to_owned(),
            event_time: None,
            watermark: None,
            ..partition_time(1, Some(11 * HOUR), Holding::Yes)
        });
        let why = why(&time, 9 * HOUR);
        assert_eq!((why.state, why.missing_ms), (State::Open, Some(0)));
        assert!(why.partitions.is_empty());
        let waits_for = why.waits_for.unwrap();
        assert_eq!(waits_for.kafka_time, "1970-01-01T11:00:00Z");
        assert_eq!(waits_for.topics, ["products"]);
        assert_eq!(waits_for.partitions[0].behind.as_deref(), Some("1ms"));
        assert_eq!(waits_for.partitions[0].place.lag, Some(7));
    }
}
