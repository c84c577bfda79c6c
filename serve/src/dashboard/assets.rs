//! What pages are made of: one style sheet, a script for each page, and uPlot, which draws charts.

use crate::routes::Refusal;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// An asset by its name.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let (kind, text) = match &name[..] {
        "common.js" => (SCRIPT, include_str!("assets/common.js")),
        "pipeline.js" => (SCRIPT, include_str!("assets/pipeline.js")),
        "shop.js" => (SCRIPT, include_str!("assets/shop.js")),
        "dashboard.css" => (STYLE, include_str!("assets/dashboard.css")),
        "uplot.js" => (SCRIPT, include_str!("assets/uplot.js")),
        "uplot.css" => (STYLE, include_str!("assets/uplot.css")),
        "uplot.LICENSE" => ("text/plain", include_str!("assets/uplot.LICENSE")),
        _ => {
            let error = format!("{name}: no such asset");
            return Refusal(StatusCode::NOT_FOUND, error).into_response();
        }
    };
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
