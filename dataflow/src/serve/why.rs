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
use crate::{
    observe::{BlockedPartition, PartitionTime, Stage, ViewInfo, ViewTime, Why},
    time::shown,
};

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
    let start = match start {
        Some(start) => aligned(start, info, time).map_err(bad)?,
        None => newest(time).ok_or_else(|| not_yet(none_has_begun(info, &blocked)))?,
    };
    let lag = |p: &PartitionTime| {
        let mut read = read.iter();
        let read = read.find(|read| read.topic == p.topic && read.partition == p.partition);
        read.map(|read| read.lag())
    };
    let mut why = Why::of(info, time, start, lag);
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

/// Start of the newest window that has begun.
fn newest(time: &ViewTime) -> Option<i64> {
    let own = time.partitions.iter().filter(|p| !p.is_joined);
    let newest = own.filter_map(|p| p.event_time).max()?;
    Some(before(newest.div_euclid(1_000), time))
}

/// Start of the window that holds a time.
fn before(millis: i64, time: &ViewTime) -> i64 {
    millis.div_euclid(time.window).saturating_mul(time.window)
}

fn aligned(start: i64, info: &ViewInfo, time: &ViewTime) -> Result<i64, String> {
    let before = before(start, time);
    if before == start {
        return Ok(start);
    }
    let text = |millis: i64| shown(millis.saturating_mul(1_000));
    let ViewInfo { name, window, .. } = info;
    Err(format!(
        "window: no window of {name} starts at {}: they are {window} long, and the nearest start at \
         {} and {}",
        text(start),
        text(before),
        text(before.saturating_add(time.window)),
    ))
}
