//! The parts of the shop's page that change, made of what the database says now.

use super::asked::Asked;
use super::charts::{CHARTS, Chart, Drawn, Lines, MOST, shown};
use crate::routes::App;
use maud::{Markup, html};
use serde::Serialize;
use sinks::{SinkError, Total, Value};
use std::collections::BTreeMap;
use telemetry::format::count;

/// Lines of a table on the page; its files have all.
const LINES: usize = 200;
/// Products on top.
const PRODUCTS: u32 = 20;

/// What the page shows of one moment.
pub(super) struct Moment {
    /// By the chart's name: what stands below its title.
    pub(super) parts: Vec<(&'static str, Markup)>,
    lines: BTreeMap<&'static str, Lines>,
}

/// What a page is told.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    parts: Vec<(&'static str, String)>,
    charts: BTreeMap<&'static str, Drawn<'a>>,
}

impl Moment {
    /// Asks the database; blocks until it has answered.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn of(app: &App, asked: &Asked) -> Result<Moment, SinkError> {
        let windows = asked.windows(app)?;
        let mut moment = Moment {
            parts: Vec::new(),
            lines: BTreeMap::new(),
        };
        for chart in &CHARTS {
            let limit = if chart.at.is_some() { MOST } else { PRODUCTS };
            let (totals, query) = chart.ask(app, asked, &windows, limit)?;
            let part = match chart.at {
                None => products(app, chart, &totals),
                Some(_) => {
                    let lines = Lines::of(&totals);
                    let part = table(chart, &lines, totals.len());
                    moment.lines.insert(chart.name, lines);
                    part
                }
            };
            moment
                .parts
                .push((chart.name, html! { (part) (same(chart, asked, &query)) }));
        }
        Ok(moment)
    }

    /// The same for the page's script.
    pub(super) fn told(&self) -> Told<'_> {
        let parts = self.parts.iter();
        let lines = self.lines.iter();
        Told {
            parts: parts
                .map(|(id, part)| (*id, part.clone().into_string()))
                .collect(),
            charts: lines.map(|(name, lines)| (*name, lines.drawn())).collect(),
        }
    }
}

/// Where the same is to be had otherwise.
fn same(chart: &Chart, asked: &Asked, query: &str) -> Markup {
    let file = |kind: &str| format!("/shop/{}.{kind}?{}", chart.name, asked.parameters());
    html! {
        p class="files" { a href=(file("csv")) download { "CSV" } " " a href=(file("json")) { "JSON" } }
        details data-keep={ (chart.name) "-query" } {
            summary { "The same from the database" }
            pre { (query) }
        }
    }
}

fn table(chart: &Chart, lines: &Lines, sums: usize) -> Markup {
    let open = lines.is_final.iter().filter(|is_final| !**is_final).count();
    let newest = (0..lines.at.len()).rev().take(LINES);
    html! {
        p class="quiet" {
            @match lines.at.len() { 0 => "Nothing in this time", 1 => "1 window, ", many => { (many) " windows, " } }
            @match open { 0 if lines.at.is_empty() => "", 0 => "final", _ => { (open) " still open: numbers may change" } }
            @if u32::try_from(sums).is_ok_and(|sums| sums >= MOST) {
                "; these are the " (count(u64::from(MOST))) " largest numbers of more"
            }
        }
        details data-keep={ (chart.name) "-table" } {
            summary { "As a table" }
            div class="wide tall" tabindex="0" role="region" aria-label=(chart.title) { table {
                thead { tr {
                    th scope="col" { "Window (UTC)" }
                    th scope="col" { "State" }
                    @for (name, _) in &lines.lines { th scope="col" class="number" { (name) } }
                } }
                tbody { @for place in newest { tr {
                    th scope="row" { (shown(&Value::Date(lines.at[place]))) }
                    td { @if lines.is_final[place] { "final" } @else { "provisional" } }
                    @for (_, values) in &lines.lines {
                        td class="number" { @match &values[place] { Some(value) => (shown(value)), None => "–" } }
                    }
                } } }
            } }
            @if lines.at.len() > LINES { p class="quiet" { "The newest " (LINES) " windows; the files have all." } }
        }
    }
}

fn products(app: &App, chart: &Chart, totals: &[Total]) -> Markup {
    let largest = totals.first().and_then(|total| total.sums.first());
    let largest = largest.map_or(0.0, Value::approximate).max(1.0);
    html! {
        div class="wide tall" tabindex="0" role="region" aria-label=(chart.title) { table class="top" {
            thead { tr {
                th scope="col" { "Product" }
                @for unit in chart.units { th scope="col" class="number" { (unit) } }
                th scope="col" { "Share" }
            } }
            tbody { @for total in totals {
                @let id = total.by.first().map(shown).unwrap_or_default();
                tr {
                    @match app.names.name_of(&id) {
                        Some(name) => th scope="row" title=(id) { (name) },
                        None => th scope="row" class="quiet" { (id) },
                    }
                    @for sum in &total.sums { td class="number" { (shown(sum)) } }
                    td { meter max=(largest) value=(total.sums.first().map_or(0.0, Value::approximate)) aria-label="of the largest" {} }
                }
            } }
        } }
        @if totals.is_empty() { p class="quiet" { "Nothing in this time." } }
    }
}
