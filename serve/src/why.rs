//! Why a window is still open.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};

use super::{
    query,
    routes::{App, Refusal},
    views,
};
use model::shown;
use telemetry::{BlockedPartition, PartitionTime, Stage, ViewInfo, ViewTime, Why};

/// What stands for the newest window that has begun.
const LATEST: &str = "latest";

/// The answer for one window of a view.
pub(super) async fn why(
    State(app): State<App>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Why>, Refusal> {
    let bad = |error| Refusal(StatusCode::BAD_REQUEST, error);
    let not_yet = |error| Refusal(StatusCode::SERVICE_UNAVAILABLE, error);
    let Path((name, window)) = path.map_err(|rejection| bad(rejection.body_text()))?;
    let number = views::number(&app, &name)?;
    let info = &app.views[number];
    let times = app.telemetry.times();
    let start = match &window[..] {
        LATEST => None,
        _ => Some(query::time("window", &window).map_err(|e| bad(format!("{e}, or {LATEST}")))?),
    };
    let Some(time) = times.get(number) else {
        let reason = match app.telemetry.stage() {
            Stage::Starting(reason) => reason,
            _ => "its workers have not started".to_owned(),
        };
        return Err(not_yet(format!(
            "nothing is known of any window yet: {reason}"
        )));
    };
    let read = app.telemetry.snapshot().partitions;
    let blocked = BlockedPartition::of(time, &read);
    if time.window.is_all() {
        return Err(bad(format!("{name} has no windows")));
    }
    let index = match start {
        Some(start) => starting(start, info, time).map_err(bad)?,
        None => newest(time).ok_or_else(|| not_yet(none_has_begun(info, &blocked)))?,
    };
    let lag = |p: &PartitionTime| {
        let mut read = read.iter();
        let read = read.find(|read| read.topic == p.topic && read.partition == p.partition);
        read.map(|read| read.lag())
    };
    let mut why = Why::of(info, time, index, lag);
    why.blocked = blocked;
    Ok(Json(why))
}

/// Why there is no newest window.
fn none_has_begun(info: &ViewInfo, blocked: &[BlockedPartition]) -> String {
    let topic = &info.topic;
    let mut said = format!("no window has begun: no event of {topic} has been read yet");
    for blocked in blocked {
        said.push_str("; ");
        said.push_str(&blocked.sentence());
    }
    said
}

/// The newest window that has begun.
fn newest(time: &ViewTime) -> Option<i64> {
    let own = time.partitions.iter().filter(|p| !p.is_joined);
    let newest = own.filter_map(|p| p.event_time).max()?;
    Some(time.window.index_of(newest))
}

/// The window that starts at `start`, in milliseconds.
fn starting(start: i64, info: &ViewInfo, time: &ViewTime) -> Result<i64, String> {
    if let Some(index) = time.window.index_starting(start) {
        return Ok(index);
    }
    let before = time.window.index_of(start.saturating_mul(1_000));
    let start_of = |index| shown(time.window.start_micros(index));
    let ViewInfo { name, window, .. } = info;
    Err(format!(
        "window: no window of {name} starts at {}: they are {window} long, and the nearest start at \
         {} and {}",
        shown(start.saturating_mul(1_000)),
        start_of(before),
        start_of(before.saturating_add(1)),
    ))
}
