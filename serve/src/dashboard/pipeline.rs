//! The pipeline, as whoever keeps it going sees it.

use super::history::Point;
use super::layout;
use crate::routes::{App, Refusal};
use crate::why;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use cluster::Place;
use maud::{Markup, html};
use model::shown;
use std::time::Duration;
use telemetry::format::{count, length};
use telemetry::{CheckpointSnapshot, Holders, PartitionSnapshot, Snapshot, Stage, ViewTime, away};

/// How long a page waits for the database to say how many windows are open.
const PATIENCE: Duration = Duration::from_millis(500);

/// The page.
pub(super) async fn page(State(app): State<App>) -> Markup {
    // Without it there is a page, too.
    let _ = tokio::time::timeout(PATIENCE, app.live.windows().refresh(&app)).await;
    let (now, times) = (app.telemetry.snapshot(), app.telemetry.times());
    let point = app.live.newest();
    let parts = point.map(|point| parts(&app, &now, &times, &point));
    let part = |id: &str| {
        let parts = parts.iter().flatten();
        let found = parts.clone().find(|(other, _)| *other == id);
        found.map(|(_, part)| part.clone()).unwrap_or_default()
    };
    let content = html! {
        section id="now" class="tiles" aria-label="Now" { (part("now")) }
        section class="charts" aria-label="The last ten minutes" {
            (chart("rates", "Events read and rows written, a second"))
            (chart("lag", "Messages not read yet"))
            (chart("behind", "Watermarks behind the clock, in seconds"))
        }
        section aria-label="The partitions of a topic" {
            label class="choice" { "Partitions of " select id="topic" {
                @for topic in &now.topics { option { (topic.name) } }
            } }
            div class="charts" {
                (chart("lags", "Messages not read yet, by partition"))
                (chart("late", "Newest event behind the clock, by partition, in seconds"))
            }
        }
        (section("Views", "views", &part("views")))
        (section("Partitions", "partitions", &part("partitions")))
        (section("Topics", "topics", &part("topics")))
        (section("Processes", "processes", &part("processes")))
        (section("Workers", "workers", &part("workers")))
    };
    layout::page(
        "Pipeline",
        Some(("/live/pipeline", "pipeline.js")),
        &content,
    )
}

fn section(title: &str, id: &str, part: &Markup) -> Markup {
    html! {
        section {
            h2 { (title) }
            div class="wide" tabindex="0" role="region" aria-label=(title) id=(id) { (part) }
        }
    }
}

fn chart(name: &str, title: &str) -> Markup {
    html! {
        figure {
            figcaption { (title) }
            div class="chart" data-chart=(name) role="img" aria-label=(title) {}
            details { summary { "As a table" } div class="wide" tabindex="0" role="region" aria-label=(title) data-table=(name) {} }
        }
    }
}

/// The parts of the page that change, by their ids.
pub(super) fn parts(
    app: &App,
    now: &Snapshot,
    times: &[ViewTime],
    point: &Point,
) -> Vec<(&'static str, Markup)> {
    vec![
        ("now", tiles(now, point)),
        ("views", views(app, now, times)),
        ("partitions", partitions(now)),
        ("topics", topics(now)),
        ("processes", processes(&app.place, now)),
        ("workers", workers(now)),
    ]
}

fn tiles(now: &Snapshot, point: &Point) -> Markup {
    let stage = match &now.stage {
        Stage::Starting(waiting) => format!("starting: {waiting}"),
        Stage::Ready => now.database_away.map_or_else(|| "running".to_owned(), away),
        Stage::Stopping => now.database_away.map_or_else(
            || "stopping".to_owned(),
            |since| format!("stopping; {}", away(since)),
        ),
        Stage::Failed(why) => format!("failed: {why}"),
    };
    let stopped = matches!(now.stage, Stage::Failed(_)) || now.database_away.is_some();
    let tile = |name: &str, value: String| html! { div { dt { (name) } dd { (value) } } };
    let uptime = i64::try_from(now.uptime.as_secs()).unwrap_or(i64::MAX);
    html! {
        dl class=[stopped.then_some("failed")] {
            (tile("Process", stage))
            (tile("Up for", length(uptime.saturating_mul(1_000))))
            (tile("Events a second", count(point.events)))
            (tile("Rows a second", count(point.rows)))
            (tile("Not read yet", count(now.lag())))
            @let blocked = now.behind_transactions();
            @if blocked > 0 { (tile("Blocked by open transactions", count(blocked))) }
            (tile("Read and not written", count(now.in_flight())))
            (tile("Epochs under way", count(now.epochs_behind())))
            (tile("A write takes", write_time(now)))
            div {
                dt { "Dead letters" }
                dd { a href="/pipeline/dead-letters" { (count(now.dead_letters)) } }
            }
            (tile("Last checkpoint", checkpoint(&now.checkpoints)))
        }
    }
}

/// The mean of all writes.
fn write_time(now: &Snapshot) -> String {
    match now.write_time.as_millis().checked_div(now.batches.into()) {
        Some(mean) => format!("{mean} ms"),
        None => "–".to_owned(),
    }
}

fn checkpoint(checkpoints: &CheckpointSnapshot) -> String {
    if checkpoints.made_at == 0 {
        return "none".to_owned();
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let made_at = i64::try_from(checkpoints.made_at).unwrap_or(i64::MAX);
    let seconds = now.saturating_sub(made_at).max(0) / 1_000;
    format!(
        "{} ago, {} bytes",
        length(seconds * 1_000),
        count(checkpoints.bytes)
    )
}

fn views(app: &App, now: &Snapshot, times: &[ViewTime]) -> Markup {
    let all = app.views.iter().zip(&now.tables).enumerate();
    let windows = app.live.windows().known();
    html! {
        table {
            thead { tr {
                th scope="col" { "View" }
                th scope="col" { "Watermark" }
                th scope="col" { "Final until" }
                th scope="col" class="number" { "Open windows" }
                th scope="col" class="number" { "Rows in them" }
                th scope="col" class="number" { "Events taken" }
                th scope="col" class="number" { "Late" }
                th scope="col" class="number" { "Partly late" }
                th scope="col" class="number" { "Rows written" }
                th scope="col" { "Held by" }
                th scope="col" { "Newest window" }
            } }
            tbody { @for (number, (info, table)) in all {
                @let time = times.get(number);
                tr {
                    th scope="row" { (info.name) }
                    td { (time.and_then(|time| time.watermark).map_or("–".to_owned(), shown)) }
                    td { (time.and_then(|time| time.final_until).map_or("–".to_owned(), |until| shown(until.saturating_mul(1_000)))) }
                    @let open = windows.get(number).copied().flatten();
                    td class="number" { (open.map_or("–".to_owned(), |open| count(open.windows))) }
                    td class="number" { (open.map_or("–".to_owned(), |open| count(open.rows))) }
                    td class="number" { (count(table.events)) }
                    td class="number" { (count(table.late + table.from_the_future + table.malformed)) }
                    td class="number" { (count(table.partly_late)) }
                    td class="number" { (count(table.puts)) }
                    td { (time.map_or_else(String::new, holders)) }
                    td { @if time.is_none_or(|time| !time.window.is_all()) {
                        a href={ "/pipeline/why/" (info.name) "/latest" } { "why is it open?" }
                    } }
                }
            } }
        }
    }
}

/// The partitions that hold a view's watermark; the first of them, where there are many.
fn holders(time: &ViewTime) -> String {
    if let Some(behind) = time.behind_others {
        return format!(
            "being built: {} offsets behind the other views",
            count(behind)
        );
    }
    let holders = Holders::of(time);
    let held = time
        .partitions
        .iter()
        .filter(|partition| holders.has(partition));
    let mut names = held.map(|partition| format!("{} {}", partition.topic, partition.partition));
    let first: Vec<String> = names.by_ref().take(2).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn partitions(now: &Snapshot) -> Markup {
    let state = |partition: &PartitionSnapshot| match (&partition.blocked, partition.paused) {
        (Some(blocked), _) => blocked.clause(),
        (None, true) => "paused: too much is in flight".to_owned(),
        (None, false) => "read".to_owned(),
    };
    html! {
        table {
            thead { tr {
                th scope="col" { "Topic" }
                th scope="col" class="number" { "Partition" }
                th scope="col" class="number" { "Worker" }
                th scope="col" class="number" { "Next offset" }
                th scope="col" class="number" { "Not read yet" }
                th scope="col" { "State" }
            } }
            tbody { @for partition in &now.partitions { tr {
                th scope="row" { (partition.topic) }
                td class="number" { (partition.partition) }
                td class="number" { (partition.worker) }
                td class="number" { (partition.offsets.position) }
                td class="number" { (count(partition.lag())) }
                td { (state(partition)) }
            } } }
        }
    }
}

fn topics(now: &Snapshot) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "Topic" }
                th scope="col" class="number" { "Messages" }
                th scope="col" class="number" { "Bytes" }
                th scope="col" class="number" { "Tombstones" }
                th scope="col" class="number" { "Malformed" }
            } }
            tbody { @for topic in &now.topics { tr {
                th scope="row" { (topic.name) }
                td class="number" { (count(topic.events)) }
                td class="number" { (count(topic.bytes)) }
                td class="number" { (count(topic.tombstones)) }
                td class="number" { (count(topic.malformed)) }
            } } }
        }
    }
}

/// The processes of the run. When one is lost, all end: while this one runs, all do.
fn processes(place: &Place, now: &Snapshot) -> Markup {
    let others = match now.stage {
        Stage::Starting(_) => "not known yet: this one is starting",
        Stage::Ready => "running",
        Stage::Stopping => "stopping",
        Stage::Failed(_) => "ended",
    };
    html! {
        table {
            thead { tr {
                th scope="col" class="number" { "Process" }
                th scope="col" { "Workers" }
                th scope="col" { "Others reach it at" }
                th scope="col" { "State" }
            } }
            tbody { @for (process, address) in place.addresses.iter().enumerate() {
                @let first = process * place.workers;
                tr {
                    th scope="row" class="number" { (process) }
                    td { (first) @if place.workers > 1 { " to " (first + place.workers - 1) } }
                    td { @if place.addresses.len() > 1 { (address) } @else { "–" } }
                    td { @if process == place.process { "this one" } @else { (others) } }
                }
            } }
        }
    }
}

/// What the workers of this process hold in memory.
fn workers(now: &Snapshot) -> Markup {
    html! {
        p { a href="/pipeline/dataflow" { "What each operator does, and where the time goes" } }
        table {
            thead { tr {
                th scope="col" class="number" { "Worker" }
                th scope="col" { "Arrangement" }
                th scope="col" class="number" { "Updates" }
                th scope="col" class="number" { "Bytes" }
            } }
            tbody { @for held in &now.arrangements { tr {
                th scope="row" class="number" { (held.worker) }
                td { (held.name) }
                td class="number" { (count(held.records)) }
                td class="number" { (count(held.bytes)) }
            } } }
        }
    }
}

/// Why a window is still open, as a page.
pub(super) async fn why(
    state: State<App>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Markup, Refusal> {
    let Json(why) = why::why(state, path).await?;
    let title = format!("Why is {} open?", why.view);
    Ok(layout::page(
        &title,
        None,
        &html! { pre { (telemetry::why_text(&why)) } },
    ))
}
