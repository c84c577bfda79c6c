//! The dataflow, drawn: which operators there are, what goes from one to the next, and where
//! the time goes.
//!
//! From top to bottom, each operator is below all that it hears from. timely numbers
//! operators as they are built, so that a channel to a lower number is one that closes a
//! loop: it is drawn dashed, and moves nothing down.

use super::layout;
use crate::routes::App;
use axum::extract::State;
use maud::{Markup, html};
use std::collections::BTreeMap;
use std::time::Duration;
use telemetry::format::count;
use telemetry::{Address, OperatorSnapshot, OperatorsSnapshot};

/// Of an operator in the drawing, and between two: in pixels.
const WIDTH: usize = 168;
const HEIGHT: usize = 42;
const ACROSS: usize = 16;
const DOWN: usize = 40;
/// Characters of a name that fit in.
const FITS: usize = 22;

/// The page.
pub(super) async fn page(State(app): State<App>) -> Markup {
    let told = app.telemetry.operators();
    let all: Duration = told.operators.iter().map(busy).sum();
    let up = app.telemetry.snapshot().uptime.as_secs_f64();
    let workers = told.workers.len();
    let share = all.as_secs_f64() / (up * workers.max(1) as f64) * 100.0;
    let content = html! {
        @if told.operators.is_empty() {
            p class="quiet" { "The workers have not begun." }
        } @else {
            p class="quiet" {
                "Since the start, of the " (workers) " workers of this process: their operators ran for "
                (seconds(all)) " s, which is " (format!("{share:.1}")) " % of the time. "
                a href="/api/dataflow" { "As JSON" }
            }
            div class="wide" tabindex="0" role="region" aria-label="The dataflow" { (drawing(&told)) }
            h2 { "By time" }
            div class="wide" tabindex="0" role="region" aria-label="Operators" { (table(&told, all)) }
        }
    };
    layout::page("Dataflow", None, &content)
}

fn busy(operator: &OperatorSnapshot) -> Duration {
    operator.busy.iter().sum()
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

fn percent(part: Duration, all: Duration) -> f64 {
    match all.is_zero() {
        true => 0.0,
        false => part.as_secs_f64() / all.as_secs_f64() * 100.0,
    }
}

fn table(told: &OperatorsSnapshot, all: Duration) -> Markup {
    let mut operators: Vec<_> = told.operators.iter().collect();
    operators.sort_by_key(|operator| std::cmp::Reverse(busy(operator)));
    let records = |operator: &OperatorSnapshot, into: bool| -> u64 {
        let channels = told.channels.iter().filter(|channel| {
            let end = if into { &channel.to } else { &channel.from };
            *end == operator.address
        });
        channels.map(|channel| channel.records).sum()
    };
    html! {
        table {
            thead { tr {
                th scope="col" { "Operator" }
                @for title in ["seconds", "share", "busiest worker", "activations", "records in", "records out"] {
                    th scope="col" class="number" { (title) }
                }
            } }
            tbody { @for operator in operators { tr {
                th scope="row" { (operator.name) }
                td class="number" { (seconds(busy(operator))) }
                td class="number" { (format!("{:.1} %", percent(busy(operator), all))) }
                td class="number" { (seconds(operator.busy.iter().copied().max().unwrap_or_default())) }
                td class="number" { (count(operator.activations)) }
                td class="number" { (count(records(operator, true))) }
                td class="number" { (count(records(operator, false))) }
            } } }
        }
    }
}

/// Where each operator stands: its row from above, and its column from the left.
fn places(told: &OperatorsSnapshot) -> BTreeMap<&Address, (usize, usize)> {
    let mut rows: BTreeMap<&Address, usize> = BTreeMap::new();
    // The dataflow itself is all of it.
    let operators = told.operators.iter().filter(|o| o.address.len() > 1);
    rows.extend(operators.map(|operator| (&operator.address, 0)));
    let mut forward: Vec<_> = told.channels.iter().filter(|c| c.from < c.to).collect();
    forward.sort_by_key(|channel| &channel.from);
    for channel in &forward {
        let Some(above) = rows.get(&channel.from).copied() else {
            continue;
        };
        if let Some(row) = rows.get_mut(&channel.to) {
            *row = (*row).max(above + 1);
        }
    }
    // What hears from nobody is near to who hears from it, and not all on top.
    let begins = |address: &&Address| forward.iter().all(|channel| channel.to != **address);
    for address in rows.keys().copied().filter(begins).collect::<Vec<_>>() {
        let below = forward.iter().filter(|channel| channel.from == *address);
        let below = below.filter_map(|channel| rows.get(&channel.to)).min();
        if let Some(above) = below.and_then(|row| row.checked_sub(1)) {
            rows.insert(address, above);
        }
    }
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    let place = |(address, row)| {
        let column = taken.entry(row).or_default();
        *column += 1;
        (address, (row, *column - 1))
    };
    rows.into_iter().map(place).collect()
}

fn drawing(told: &OperatorsSnapshot) -> Markup {
    let places = places(told);
    let most = |of: fn(&(usize, usize)) -> usize| places.values().map(of).max().unwrap_or(0) + 1;
    let (rows, columns) = (most(|place| place.0), most(|place| place.1));
    let (width, height) = (
        columns * (WIDTH + ACROSS) + ACROSS,
        rows * (HEIGHT + DOWN) + ACROSS,
    );
    let corner = |(row, column): (usize, usize)| {
        (
            ACROSS + column * (WIDTH + ACROSS),
            ACROSS + row * (HEIGHT + DOWN),
        )
    };
    let longest = told.operators.iter().map(busy).max().unwrap_or_default();
    html! {
        svg class="dataflow" width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="img" {
            title { "Operators, and the channels between them. The table below has the same." }
            @for channel in &told.channels {
                @if let (Some(from), Some(to)) = (places.get(&channel.from), places.get(&channel.to)) {
                    @let (x, y) = corner(*from);
                    @let (to_x, to_y) = corner(*to);
                    @let (x, y, to_x) = (x + WIDTH / 2, y + HEIGHT, to_x + WIDTH / 2);
                    // Thicker where more goes, by powers of ten.
                    @let thick = 1.0 + (channel.records.max(1) as f64).log10() / 2.0;
                    path class=(if channel.from < channel.to { "channel" } else { "channel back" })
                        stroke-width=(format!("{thick:.1}"))
                        d={ "M " (x) " " (y) " C " (x) " " (y + DOWN) " " (to_x) " " (to_y.saturating_sub(DOWN)) " " (to_x) " " (to_y) } {
                        title { (count(channel.records)) " records in " (count(channel.batches)) " batches" }
                    }
                }
            }
            @for operator in &told.operators {
                @if let Some(place) = places.get(&operator.address) {
                    @let (x, y) = corner(*place);
                    @let part = percent(busy(operator), longest) / 100.0;
                    g {
                        title { (operator.name) ": " (seconds(busy(operator))) " s in " (count(operator.activations)) " activations" }
                        rect class="operator" x=(x) y=(y) width=(WIDTH) height=(HEIGHT) rx="4" {}
                        rect class="busy" x=(x) y=(y + HEIGHT - 4) width=(format!("{:.0}", part * WIDTH as f64)) height="4" {}
                        text x=(x + 8) y=(y + 17) { (shortened(&operator.name)) }
                        text class="quiet" x=(x + 8) y=(y + 32) { (seconds(busy(operator))) " s" }
                    }
                }
            }
        }
    }
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(FITS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telemetry::ChannelSnapshot;

    fn told(channels: &[(usize, usize)]) -> OperatorsSnapshot {
        let operator = |n: usize| OperatorSnapshot {
            address: if n == 0 { vec![0] } else { vec![0, n] },
            name: format!("<{n}>"),
            activations: 1,
            busy: vec![Duration::from_millis(n as u64)],
        };
        let channel = |(from, to): &(usize, usize)| ChannelSnapshot {
            from: vec![0, *from],
            to: vec![0, *to],
            records: 10,
            batches: 1,
        };
        OperatorsSnapshot {
            workers: vec![0],
            operators: (0..5).map(operator).collect(),
            channels: channels.iter().map(channel).collect(),
        }
    }

    #[test]
    fn an_operator_is_below_all_that_it_hears_from() {
        let told = told(&[(1, 2), (1, 4), (2, 3), (3, 4), (4, 1)]);
        let places = places(&told);
        let rows: Vec<_> = (1..5).map(|n| places[&vec![0, n]]).collect();
        assert_eq!(rows, [(0, 0), (1, 0), (2, 0), (3, 0)]);
        let drawn = drawing(&told).into_string();
        assert_eq!(drawn.matches("channel back").count(), 1);
        assert!(
            drawn.contains("&lt;4&gt;") && !drawn.contains("<4>"),
            "{drawn}"
        );
    }

    #[test]
    fn operators_beside_each_other_share_a_row() {
        let told = told(&[(1, 2), (1, 3)]);
        let places = places(&told);
        assert_eq!(places[&vec![0, 2]], (1, 0));
        assert_eq!(places[&vec![0, 3]], (1, 1));
        assert_eq!(places[&vec![0, 4]], (0, 1));
        // The third hears from nobody, and stands above the fourth all the same.
        let near = self::told(&[(1, 2), (2, 4), (3, 4)]);
        assert_eq!(super::places(&near)[&vec![0, 3]].0, 1);
        let table = table(&told, Duration::from_millis(10)).into_string();
        let first = table.find("&lt;4&gt;").unwrap();
        assert!(first < table.find("&lt;1&gt;").unwrap(), "{table}");
    }
}
