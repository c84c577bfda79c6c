//! What a manifest knows beside its files.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far the pipeline had come at the end of the checkpoint's epoch.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The views, in the order of their numbers.
    pub views: Vec<ViewState>,
    /// The next offset of each partition, by topic.
    pub offsets: BTreeMap<String, BTreeMap<i32, i64>>,
}

/// What is known of a view.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ViewState {
    /// Its name.
    pub name: String,
    /// What it computes from what: another definition is another view.
    pub definition: String,
    /// Its watermark, in milliseconds since the UNIX epoch, once it has one.
    pub watermark: Option<i64>,
}
