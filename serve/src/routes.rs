//! Which path is answered by what, and what holds for all answers.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{from_fn_with_state, map_response},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use sinks::Reader;

use super::ProductNames;
use super::access::{Access, check};
use super::{dashboard, health, operators, views, watermarks, why};
use cluster::Place;
use telemetry::{Telemetry, ViewInfo};

/// What the answers are made from.
#[derive(Clone)]
pub(super) struct App {
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) reader: Arc<dyn Reader>,
    pub(super) views: Arc<Vec<ViewInfo>>,
    pub(super) live: dashboard::Live,
    pub(super) names: Arc<dyn ProductNames>,
    /// Which of the processes this one is.
    pub(super) place: Place,
}

/// All paths.
pub(super) fn router(app: App, access: Arc<Access>) -> Router {
    Router::new()
        .route("/api", get(index))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics))
        .route("/api/views", get(views::list))
        .route("/api/views/{name}", get(views::rows))
        .route("/api/dataflow", get(operators::operators))
        .route("/api/watermarks", get(watermarks::watermarks))
        .route("/api/why/{view}/{window}", get(why::why))
        .merge(dashboard::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(access, check))
        .layer(map_response(guarded))
        .with_state(app)
}

/// An answer that is not what was asked for, as JSON with a sentence.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        (status, Json(json!({ "error": error }))).into_response()
    }
}

const PATHS: &str = "\
/healthz                200 while the process lives, 503 once it has failed
/readyz                 200 once it is ready, 503 with the reason before
/metrics                Prometheus
/api/views              what the views are
/api/views/NAME         a view's rows, newest window first; parameters:
                        from, until   windows that start at or after, before a time
                        window        the window that starts at a time
                        GROUPCOLUMN   rows whose group column has this value
                        limit         rows a page
                        after         rows after that of this _id: the next page
                        offset        rows to pass over; after takes less time
/api/watermarks         how far event time has come, by view and partition; parameter:
                        view          this view alone
/api/dataflow           time, activations and records of each operator of this process
/api/why/NAME/WINDOW    why the window that starts then, or latest, is still open
/                       the shop, for people; parameters:
                        span          24h, 7d, 30d or all, before the newest window
                        from, until   windows that start at or after, before a time
                        status        sales of this status alone
/shop/CHART.csv, .json  the numbers of its chart, the same parameters: revenue, sold,
                        viewed, customers, interactions, logs
/pipeline               the pipeline, for people
/pipeline/dataflow      the operators, drawn, and where the time goes
/pipeline/dead-letters  what could not be used, and why; parameters:
                        reason        malformed, late, partly_late or
                                      from_the_future
                        topic         of this topic alone
                        offset        letters to pass over
";

async fn index() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("Tidemark {version}\n\n{PATHS}")
}

async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let text = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, text)], app.telemetry.prometheus())
}

async fn unknown() -> Refusal {
    let error = "no such path; /api lists those there are".to_owned();
    Refusal(StatusCode::NOT_FOUND, error)
}

async fn wrong_method() -> Refusal {
    let error = "everything here is read with GET".to_owned();
    Refusal(StatusCode::METHOD_NOT_ALLOWED, error)
}

/// No answer is guessed to be another type than it says, kept after it is no
/// longer true, or shown or read inside another site's page; and no page runs or fetches
/// what is not from here.
async fn guarded(mut response: Response) -> Response {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
    ] {
        let headers = response.headers_mut();
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
