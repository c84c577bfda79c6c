//! Whether the process lives, and whether it does its work.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

use super::routes::App;
use telemetry::{Stage, away};

/// Lives until it has failed.
pub(super) async fn alive(State(app): State<App>) -> (StatusCode, Json<Value>) {
    answer(match app.telemetry.stage() {
        Stage::Starting(_) | Stage::Ready | Stage::Stopping => Ok("alive"),
        Stage::Failed(reason) => Err(format!("it failed: {reason}")),
    })
}

/// Does its work from the moment it has its partitions and its store until it is
/// told to stop, except while the database is away.
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, Json<Value>) {
    answer(match app.telemetry.stage() {
        Stage::Ready => match app.telemetry.database_away() {
            None => Ok("ready"),
            Some(since) => Err(format!("not ready: {}", away(since))),
        },
        Stage::Starting(reason) => Err(format!("not ready: {reason}")),
        Stage::Stopping => Err("not ready: it is stopping".to_owned()),
        Stage::Failed(reason) => Err(format!("not ready: it failed: {reason}")),
    })
}

fn answer(state: Result<&str, String>) -> (StatusCode, Json<Value>) {
    match state {
        Ok(status) => (StatusCode::OK, Json(json!({ "status": status }))),
        Err(error) => {
            let error = Json(json!({ "error": error }));
            (StatusCode::SERVICE_UNAVAILABLE, error)
        }
    }
}
