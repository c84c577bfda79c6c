//! How far event time has come, view by view and partition by partition.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
};
use serde_json::{Value, json};

use super::{
    json::date,
    routes::{App, Refusal},
    views,
};
use model::shown;
use telemetry::{Holders, PartitionTime, ViewInfo, ViewTime, format::length};

/// The event time of all views, or of one.
pub(super) async fn watermarks(
    State(app): State<App>,
    RawQuery(parameters): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let mut asked = None;
    for (name, value) in form_urlencoded::parse(parameters.unwrap_or_default().as_bytes()) {
        if name != "view" {
            let error = format!("{name}: /api/watermarks takes no such parameter; there is view");
            return Err(Refusal(StatusCode::BAD_REQUEST, error));
        }
        if asked.is_some() {
            let error = "view: it is given twice".to_owned();
            return Err(Refusal(StatusCode::BAD_REQUEST, error));
        }
        asked = Some(views::number(&app, &value)?);
    }
    let times = app.telemetry.times();
    let views = app.views.iter().enumerate();
    let views = views.filter(|(number, _)| asked.is_none_or(|asked| asked == *number));
    let views: Vec<Value> = views
        .map(|(number, info)| view(info, times.get(number)))
        .collect();
    Ok(Json(json!({ "views": views })))
}

/// `time` is not known before the workers have started.
fn view(info: &ViewInfo, time: Option<&ViewTime>) -> Value {
    let partitions: Vec<Value> = time.map_or_else(Vec::new, |time| {
        let holders = Holders::of(time);
        let partitions = time.partitions.iter();
        partitions.map(|p| partition(p, &holders)).collect()
    });
    json!({
        "name": info.name,
        "time": info.time,
        "window": info.window,
        "lateness": info.lateness,
        "watermark": time.and_then(|time| time.watermark).map(shown),
        "final_until": time.and_then(|time| time.final_until).map(date),
        "behind_others": time.and_then(|time| time.behind_others),
        "partitions": partitions,
    })
}

fn partition(partition: &PartitionTime, holders: &Holders<'_>) -> Value {
    let behind = holders.behind(partition);
    json!({
        "topic": partition.topic,
        "partition": partition.partition,
        "worker": partition.worker,
        "offset": partition.offset,
        "state": partition.state(),
        "joined": partition.is_joined,
        "event_time": partition.event_time.map(shown),
        "watermark": partition.watermark.map(shown),
        "kafka_time": partition.kafka.map(date),
        "holds": holders.has(partition),
        "behind": behind.map(length),
        "behind_ms": behind,
    })
}
