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
use telemetry::ViewInfo;

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
        group_index: _,
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
        "indexes": view.indexes(),
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
    let is_more = page.len() > limit;
    page.truncate(limit);
    let last = page.last().filter(|_| is_more);
    let next = last.map(|row| next(&name, &parameters, &row.id.to_string()));
    let rows = page.into_iter();
    let rows: Vec<Value> = rows.map(|row| document(&view.columns, row)).collect();
    let mut answer = json!({ "view": name, "rows": rows, "next": next });
    if let Some(note) = slow(view, &asked) {
        answer["note"] = note.into();
    }
    Ok(Json(answer))
}

/// What to know of a question that reads rows of all windows to find those of one group.
fn slow(view: &ViewInfo, asked: &sinks::Query) -> Option<String> {
    let is_open = asked.from.is_none() && asked.until.is_none();
    let (group, _) = asked.groups.first()?;
    (is_open && !view.group_index).then(|| {
        format!(
            "rows are read from the newest window on until enough are found: slow in a large view. \
             Give window, or from and until; or set views.{}.group_index = true, which indexes \
             {group} and makes writing slower",
            view.name
        )
    })
}

/// The path of the next page: the same parameters, after the last row of this one. Rows that
/// come meanwhile move none from one page to another.
fn next(name: &str, parameters: &[(String, String)], last: &str) -> String {
    let same = parameters
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "offset" | "after"));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(same)
        .append_pair("after", last)
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
