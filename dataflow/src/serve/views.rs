//! The views and their rows.

use axum::{
    Json,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::StatusCode,
};
use serde_json::{Value, json};
use sinks::SinkError;

use super::{
    json::document,
    query,
    routes::{App, Refusal},
};
use crate::observe::ViewInfo;

/// What the views are.
pub(super) async fn list(State(app): State<App>) -> Json<Value> {
    let views: Vec<Value> = app.views.iter().map(about).collect();
    Json(json!({ "views": views }))
}

fn about(view: &ViewInfo) -> Value {
    // Destructured, so that nothing there is to know is left out.
    let ViewInfo {
        name,
        about,
        version,
        topic,
        window,
        time,
        lateness,
        columns,
    } = view;
    let groups: Vec<&str> = view.groups().map(|column| column.name.as_str()).collect();
    let fields = columns.iter();
    let fields: Vec<Value> = fields
        .map(|column| json!({ "name": column.name, "type": column.kind.as_str() }))
        .collect();
    json!({
        "name": name,
        "about": about,
        "version": version,
        "topic": topic,
        "window": window,
        "time": time,
        "lateness": lateness,
        "groups": groups,
        "fields": fields,
        "rows": format!("/api/views/{name}"),
    })
}

/// The number of the view `name`, which is that of its table.
pub(super) fn number(app: &App, name: &str) -> Result<usize, Refusal> {
    let number = app.views.iter().position(|view| view.name == name);
    number.ok_or_else(|| {
        let names: Vec<&str> = app.views.iter().map(|view| view.name.as_str()).collect();
        let error = format!("{name}: no such view; there are {}", names.join(", "));
        Refusal(StatusCode::NOT_FOUND, error)
    })
}

/// A page of a view's rows.
pub(super) async fn rows(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    RawQuery(parameters): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let bad = |error| Refusal(StatusCode::BAD_REQUEST, error);
    let Path(name) = name.map_err(|rejection| bad(rejection.body_text()))?;
    let parameters = parameters.unwrap_or_default();
    let parameters: Vec<(String, String)> = form_urlencoded::parse(parameters.as_bytes())
        .into_owned()
        .collect();
    let table = number(&app, &name)?;
    let view = &app.views[table];
    let asked = query::read(&parameters, view).map_err(bad)?;

    // One more than asked for shows whether there is a next page.
    let mut query = asked.clone();
    query.limit += 1;
    let reader = app.reader.clone();
    let page = tokio::task::spawn_blocking(move || reader.page(table, &query));
    let mut page = match page.await {
        Ok(page) => page.map_err(|error| refusal(&error))?,
        Err(_) => {
            let error = "the query was not finished".to_owned();
            return Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, error));
        }
    };
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let next = (page.len() > limit).then(|| next(&name, &parameters, &asked));
    page.truncate(limit);
    let rows = page.into_iter();
    let rows: Vec<Value> = rows.map(|row| document(&view.columns, row)).collect();
    Ok(Json(json!({ "view": name, "rows": rows, "next": next })))
}

/// The path of the next page: the same parameters, further on.
fn next(name: &str, parameters: &[(String, String)], asked: &sinks::Query) -> String {
    let offset = asked.offset.saturating_add(u64::from(asked.limit));
    let same = parameters.iter().filter(|(name, _)| name != "offset");
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(same)
        .append_pair("offset", &offset.to_string())
        .finish();
    format!("/api/views/{name}?{query}")
}

pub(super) fn refusal(error: &SinkError) -> Refusal {
    let status = match error {
        SinkError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        SinkError::BadQuery { .. } => StatusCode::BAD_REQUEST,
        // Reading is never refused for somebody else's writing.
        SinkError::Refused { .. }
        | SinkError::Misconfigured { .. }
        | SinkError::Replaced { .. }
        | SinkError::Held { .. }
        | SinkError::Deleted { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refusal(status, error.to_string())
}
