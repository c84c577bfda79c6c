//! The shop, as its people see it.
//!
//! ```text
//!   /?span=7d ─▶ asked ─▶ windows ─▶ sums that the database makes ─▶ lines, tops ─▶ page
//!                                        │
//!                                        └─▶ /shop/NAME.csv, /shop/NAME.json: the same, all
//! ```

mod asked;
mod charts;
mod export;
mod live;
mod parts;

pub(super) use export::file;
pub(super) use live::events;

use super::layout;
use crate::routes::{App, Refusal};
use asked::{Asked, SPANS};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use charts::CHARTS;
use maud::{Markup, html};
use parts::Moment;
use sinks::SinkError;

/// The page.
pub(super) async fn page(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Markup, Refusal> {
    let asked =
        Asked::read(query.as_deref()).map_err(|error| Refusal(StatusCode::BAD_REQUEST, error))?;
    let moment = blocking(&app, &asked, Moment::of).await?;
    let parts = moment.as_ref().map(|moment| &moment.parts);
    let part = |id: &str| {
        let part = parts.ok()?.iter().find(|(other, _)| *other == id);
        part.map(|(_, part)| part.clone())
    };
    let content = html! {
        (choice(&asked))
        @if let Err(error) = &moment { p class="warning" role="alert" { "The numbers cannot be had now: " (error) } }
        p class="key" { span class="solid" {} " final  " span class="dashed" {} " provisional: the window is open, or its watermark has not passed yet" }
        section class="charts" {
            @for chart in &CHARTS {
                figure class=[(chart.name == "revenue").then_some("first")] {
                    figcaption { (chart.title) }
                    @if chart.at.is_some() {
                        div class="chart" data-lines=(chart.name) role="img" aria-label={ (chart.title) "; its numbers are in the table below" } {}
                    }
                    div id=(chart.name) { (part(chart.name).unwrap_or_default()) }
                }
            }
        }
    };
    let live = format!("/live/shop?{}", asked.parameters());
    Ok(layout::page("Shop", Some((&live, "shop.js")), &content))
}

/// Which time is looked at, and what of it.
fn choice(asked: &Asked) -> Markup {
    let date = |millis: Option<i64>| {
        let text = model::shown(millis?.saturating_mul(1_000));
        // As far as such a field takes it: to the minute.
        Some(text.chars().take(16).collect::<String>())
    };
    let link = |name: &str| {
        let other = Asked {
            span: Some(name.to_owned()),
            status: asked.status.clone(),
            ..Asked::default()
        };
        format!("/?{}", other.parameters())
    };
    html! {
        form class="choice" action="/" method="get" {
            nav aria-label="Time" { @for (name, _) in SPANS {
                a href=(link(name)) aria-current=[(asked.span() == Some(name)).then_some("true")] { (name) }
            } }
            label { "from " input type="datetime-local" name="from" value=[date(asked.from)]; }
            label { "until " input type="datetime-local" name="until" value=[date(asked.until)]; }
            label { "sales that are " input type="text" name="status" list="statuses" placeholder="any" size="10" value=[asked.status.as_deref()]; }
            datalist id="statuses" { option value="completed" {} option value="pending" {} option value="canceled" {} }
            button { "Show" }
            span class="quiet" { "Times are UTC. Drag over a chart to look closer." }
        }
    }
}

/// Asks the database, on a thread that may wait for it. Inside, whether it has answered.
async fn blocking<T: Send + 'static>(
    app: &App,
    asked: &Asked,
    work: impl FnOnce(&App, &Asked) -> Result<T, SinkError> + Send + 'static,
) -> Result<Result<T, SinkError>, Refusal> {
    let (app, asked) = (app.clone(), asked.clone());
    let done = tokio::task::spawn_blocking(move || work(&app, &asked)).await;
    done.map_err(|_| {
        let error = "the query was not finished".to_owned();
        Refusal(StatusCode::INTERNAL_SERVER_ERROR, error)
    })
}
