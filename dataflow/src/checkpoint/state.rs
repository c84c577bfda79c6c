//! What a checkpoint knows beside the contents of arrangements.

use crate::Epoch;
use crate::time::{NEVER, SavedTime, SavedWatermarks};
use serde::{Deserialize, Serialize};
use sinks::LogIdentity;
use std::collections::BTreeMap;

/// Views, offsets and event time at the end of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Names of the topics, in full; a topic's number is its place here.
    pub topics: Vec<String>,
    /// The views; a view's number is its place here.
    pub views: Vec<SavedDefinition>,
    /// The partitions that have been read.
    pub partitions: Vec<SavedPartition>,
    /// How far the views have come in event time.
    pub watermarks: SavedWatermarks,
    /// Rows of windows that were closed by the end of this epoch are written as
    /// final; those of later ones are in the checkpoint's files.
    pub finals_written: Epoch,
    /// Numbers of views that are being rebuilt: of their topics, nothing has been read
    /// for them yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rebuilding: Vec<u16>,
    /// By number of the view: the first epoch in which rows of it became final.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub finals: BTreeMap<u16, Epoch>,
    /// The cluster and the topics that offsets belong to; empty in the checkpoint of an
    /// earlier version.
    #[serde(default, skip_serializing_if = "LogIdentity::is_empty")]
    pub log: LogIdentity,
}

/// What a view was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedDefinition {
    /// Its name.
    pub name: String,
    /// All that its rows depend on, as a text.
    pub definition: String,
}

/// Where a partition stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPartition {
    /// Number of its topic.
    pub topic: usize,
    /// Its number.
    pub partition: i32,
    /// The next offset to read.
    pub next: i64,
    /// Its event time.
    pub time: SavedTime,
}

impl State {
    /// Topic → partition → the next offset to read.
    pub fn offsets(&self) -> BTreeMap<&str, BTreeMap<i32, i64>> {
        let mut offsets: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
        for partition in &self.partitions {
            let topic = self.topics.get(partition.topic).map_or("?", |name| name);
            let of_topic = offsets.entry(topic).or_default();
            of_topic.insert(partition.partition, partition.next);
        }
        offsets
    }

    /// The numbers of the views that have final rows in the database.
    pub fn views_with_finals(&self) -> impl Iterator<Item = u16> {
        let finals = self.finals.iter();
        let written = finals.filter(|(_, epoch)| **epoch <= self.finals_written);
        written.map(|(view, _)| *view)
    }

    /// The watermark of view number `view`, in milliseconds since the UNIX epoch;
    /// none before the first.
    pub fn watermark(&self, view: usize) -> Option<i64> {
        let watermark = self.watermarks.views.get(view)?.now.watermark;
        (watermark != NEVER).then(|| watermark.div_euclid(1_000))
    }
}
