//! The dashboard: pages that the server renders, and keeps up to date.
//!
//! ```text
//!   database ─▶ sums, every two seconds ──────────────────▶ /live/shop ─────▶ page, charts
//!   telemetry ─▶ sample, every second ─▶ history ─────────────┐
//!                                  └▶ what a page shows ──┴─▶ /live/pipeline (server-sent
//!                                                             events) ─▶ page, charts
//! ```
//!
//! A page is whole when it is sent: without scripts it shows the moment that it was
//! asked for. With them, each part of it that changes is replaced, and charts grow.
//! Everything is in the program itself: nothing is fetched from anywhere else.

mod assets;
mod history;
mod layout;
mod letters;
mod live;
mod operators;
mod pipeline;
mod shop;
mod windows;

pub(super) use live::Live;

use super::routes::App;
use axum::Router;
use axum::routing::get;

/// The pages, what they are made of, and what keeps them up to date.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(shop::page))
        .route("/shop/{file}", get(shop::file))
        .route("/live/shop", get(shop::events))
        .route("/pipeline", get(pipeline::page))
        .route("/pipeline/why/{view}/{window}", get(pipeline::why))
        .route("/pipeline/dataflow", get(operators::page))
        .route("/pipeline/dead-letters", get(letters::page))
        .route("/pipeline/dead-letters/message", get(letters::message))
        .route("/live/pipeline", get(live::events))
        .route("/assets/{name}", get(assets::asset))
}
