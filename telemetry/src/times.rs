//! How far event time has come, for people and programs to see.

use model::{Holding, Window};
use std::fmt;
use std::sync::Arc;

/// Where the event time of all views is to be had.
#[derive(Clone)]
pub(super) struct Times(Arc<dyn Fn() -> Vec<ViewTime> + Send + Sync>);

impl Times {
    pub(super) fn of(views: impl Fn() -> Vec<ViewTime> + Send + Sync + 'static) -> Times {
        Times(Arc::new(views))
    }

    /// The event time of every view; none while nothing is known.
    pub(super) fn views(&self) -> Vec<ViewTime> {
        (self.0)()
    }
}

impl Default for Times {
    fn default() -> Times {
        Times::of(Vec::new)
    }
}

impl fmt::Debug for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Times").finish_non_exhaustive()
    }
}

/// The event time of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewTime {
    /// Name of the view.
    pub view: String,
    /// Its windows.
    pub window: Window,
    /// How long they stay open, in milliseconds; `None` is for ever.
    pub lateness: Option<i64>,
    /// What its time is called.
    pub time: String,
    /// Its watermark, in microseconds since the UNIX epoch.
    pub watermark: Option<i64>,
    /// The end of its last final window, in milliseconds since the UNIX epoch.
    pub final_until: Option<i64>,
    /// How far the partitions of its own topic have come, in microseconds since the
    /// UNIX epoch: its watermark, unless that waits for what is joined.
    pub passed: Option<i64>,
    /// Where a window that they have passed waits for what is joined: the Kafka
    /// timestamp that all of it must be read beyond, in milliseconds. Of several
    /// windows, that of the first.
    pub waits_for: Option<i64>,
    /// While it is built beside the other views: how many offsets it is behind them, over all of
    /// its partitions.
    pub behind_others: Option<u64>,
    /// The partitions of its topic, and of those that are joined.
    pub partitions: Vec<PartitionTime>,
}

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionTime {
    /// Full name of its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The worker that reads it, counted over all processes.
    pub worker: usize,
    /// The next offset to read.
    pub offset: i64,
    /// Whether it holds the watermark.
    pub holding: Holding,
    /// Whether its topic is not the view's own but one that is joined: then it
    /// holds windows by its Kafka timestamps.
    pub is_joined: bool,
    /// The largest event time seen, in microseconds since the UNIX epoch.
    pub event_time: Option<i64>,
    /// Its watermark, in microseconds since the UNIX epoch.
    pub watermark: Option<i64>,
    /// The largest Kafka timestamp seen, in milliseconds since the UNIX epoch.
    pub kafka: Option<i64>,
}
