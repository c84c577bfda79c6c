//! `/api/dataflow`: what each operator of this process has done.

use super::routes::App;
use axum::{Json, extract::State};
use serde_json::{Value, json};
use telemetry::{ChannelSnapshot, OperatorSnapshot};

/// Operators by address and channels by what they connect, since the start.
pub(super) async fn operators(State(app): State<App>) -> Json<Value> {
    let told = app.telemetry.operators();
    let operator = |operator: &OperatorSnapshot| {
        let seconds = operator.busy.iter().map(std::time::Duration::as_secs_f64);
        json!({
            "address": operator.address,
            "name": operator.name,
            "activations": operator.activations,
            "busy_seconds": seconds.clone().sum::<f64>(),
            "busy_seconds_by_worker": seconds.collect::<Vec<_>>(),
        })
    };
    let channel = |channel: &ChannelSnapshot| {
        json!({
            "from": channel.from,
            "to": channel.to,
            "records": channel.records,
            "batches": channel.batches,
        })
    };
    Json(json!({
        "workers": told.workers,
        "operators": told.operators.iter().map(operator).collect::<Vec<_>>(),
        "channels": told.channels.iter().map(channel).collect::<Vec<_>>(),
    }))
}
