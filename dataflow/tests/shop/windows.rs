//! Views with windows of several kinds, and what is right of them, computed slowly.

use super::{HOUR, MINUTE, Rows, shown};
use ::shop::{ProgramViews, catalog_with, product_views};
use dataflow::ingest::memory::{Kept, Partition};
use dataflow::views::Catalog;
use dataflow::views::view::View;
use end_to_end::oracle::Field;
use model::{Lateness, Span, Window};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// 2018-11-03T09:00:00Z: the day before summer time begins in São Paulo, at midnight.
const START: i64 = 1_541_235_600_000;
/// Starts of the days there, in hours after [`START`].
const DAYS: [i64; 6] = [-30, -6, 18, 41, 65, 89];
const SLIDE: i64 = 5 * MINUTE;
const SIZE: i64 = 20 * MINUTE;
const OFFSET: i64 = 2 * MINUTE;

/// Somebody has looked at a product.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    partition: i32,
    /// In milliseconds after [`START`].
    time: i64,
    product: u8,
    customer: u8,
    duration: i64,
    damaged: bool,
}

prop_compose! {
    pub(crate) fn any_look()(
        partition in 0..3i32,
        // Few minutes, so that windows are shared; or exactly at the edges of windows; or any
        // time of two days; or from the future.
        time in prop_oneof![
            8 => 14 * HOUR..15 * HOUR,
            4 => (0..60i64).prop_map(|slides| 18 * HOUR + slides * SLIDE + OFFSET),
            4 => 0..48 * HOUR,
            1 => 100 * HOUR..2_000 * HOUR,
        ],
        product in 0u8..2,
        customer in 0u8..4,
        duration in 0i64..1_000,
        damaged in prop::bool::weighted(0.05),
    ) -> Look {
        Look { partition, time, product, customer, duration, damaged }
    }
}

fn own() -> Vec<View> {
    let view = |name| {
        View::new(&product_views(), name, "Looks")
            .by_time("timestamp")
            .lateness(Lateness::Millis(15 * MINUTE))
            .count("looks")
            .sum("duration", "view_duration")
            .unique("customers", "customer_id")
            .max("latest", "timestamp")
    };
    let by_product = |name| {
        let view = view(name);
        let product = view.column("product_id");
        view.group_by_expression("product", product)
    };
    let [slide, size, offset] = [SLIDE, SIZE, OFFSET].map(|millis| Span::micros(millis * 1_000));
    let hopping = Window::hopping(slide, size, offset, None).unwrap();
    let day = Window::tumbling(Span::days(1), Span::ZERO, Some("America/Sao_Paulo")).unwrap();
    vec![
        by_product("hopping").windows_of(hopping),
        by_product("local_days").windows_of(day),
        by_product("whole").windows_of(Window::ALL),
        view("everything").windows_of(Window::ALL),
    ]
}

/// These views, and no other.
pub(crate) fn catalog() -> Catalog {
    let built_in = |_: &str| false;
    catalog_with(&BTreeMap::new(), ProgramViews { built_in, own }).unwrap()
}

/// The looks as they are read.
pub(crate) fn log(catalog: &Catalog, looks: &[Look]) -> Vec<Partition> {
    let topic = catalog.topic_number("product_views").unwrap();
    let kept = |look: &Look| {
        let time = jiff::Timestamp::from_millisecond(START + look.time).unwrap();
        let mut value = json!({
            "view_id": "v",
            "customer_id": look.customer.to_string(),
            "product_id": look.product.to_string(),
            "timestamp": time.to_string(),
        });
        if !look.damaged {
            value["view_duration"] = json!(look.duration);
        }
        Kept {
            timestamp: START + 48 * HOUR,
            key: None,
            value: Some(value.to_string().into_bytes()),
        }
    };
    let partitions = (0..3).map(|partition| {
        let own = looks.iter().filter(|look| look.partition == partition);
        Partition {
            topic,
            partition,
            messages: Arc::new(own.map(kept).collect()),
        }
    });
    partitions.collect()
}

/// The windows of a view that hold a time, in milliseconds; none where it has none.
fn windows(view: &str, time: i64) -> Vec<Option<(i64, i64)>> {
    let all: Vec<_> = match view {
        "hopping" => {
            // As many before and after as there can be.
            let near = (time - OFFSET) / SLIDE;
            let starts = (near - 10..near + 10).map(|number| number * SLIDE + OFFSET);
            starts.map(|start| (start, start + SIZE)).collect()
        }
        "local_days" => {
            let days = DAYS.map(|hours| START + hours * HOUR);
            days.windows(2).map(|day| (day[0], day[1])).collect()
        }
        _ => return vec![None],
    };
    let holds = |(start, end): &(i64, i64)| *start <= time && time < *end;
    all.into_iter().filter(holds).map(Some).collect()
}

/// What is in a row.
#[derive(Default)]
struct Sums {
    looks: i64,
    duration: i64,
    customers: BTreeSet<u8>,
    latest: i64,
}

type Letters = BTreeSet<(String, &'static str)>;

/// The rows of all views, and the dead letters: of all looks, when all are read.
pub(crate) fn expected(looks: &[Look]) -> (Rows, Letters) {
    let mut rows = Rows::new();
    let mut letters = Letters::new();
    for view in ["hopping", "local_days", "whole", "everything"] {
        let (of_view, watermark) = of_view(view, looks, &mut letters);
        let of_view = of_view.into_iter().map(|((window, product), sums)| {
            let mut fields = Vec::new();
            if let Some((start, end)) = window {
                fields.push(("window_start", Field::Date(start)));
                fields.push(("window_end", Field::Date(end)));
            }
            if let Some(product) = product {
                fields.push(("product", Field::Text(product.to_string())));
            }
            let customers = i64::try_from(sums.customers.len()).unwrap();
            fields.push(("looks", Field::Long(sums.looks)));
            fields.push(("duration", Field::Long(sums.duration)));
            fields.push(("customers", Field::Long(customers)));
            fields.push(("latest", Field::Date(sums.latest)));
            let (names, fields): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
            let is_final = window.is_some_and(|(_, end)| end <= watermark);
            shown(&names, fields.into_iter(), is_final)
        });
        rows.insert(view.to_owned(), of_view.collect());
    }
    (rows, letters)
}

type Groups = BTreeMap<(Option<(i64, i64)>, Option<u8>), Sums>;

/// The rows of one view, and its watermark in the end.
fn of_view(view: &'static str, looks: &[Look], letters: &mut Letters) -> (Groups, i64) {
    let is_windowed = !windows(view, START).contains(&None);
    let mut groups = Groups::new();
    let mut watermarks = Vec::new();
    for partition in 0..3 {
        let own = looks.iter().filter(|look| look.partition == partition);
        let mut watermark = i64::MIN;
        for (offset, look) in own.enumerate() {
            let id = format!("product_views/{partition}/{offset}");
            let mut letter = |reason| letters.insert((format!("{id}/{view}"), reason));
            if look.damaged {
                letters.insert((id, "malformed"));
                continue;
            }
            if is_windowed && look.time > (48 + 24) * HOUR {
                letter("from_the_future");
                continue;
            }
            let time = START + look.time;
            let all = windows(view, time);
            let is_late = |window: &Option<(i64, i64)>| {
                let end = window.map(|(_, end)| end);
                end.is_some_and(|end| end <= watermark)
            };
            let taken: Vec<_> = all.iter().filter(|window| !is_late(window)).collect();
            if taken.is_empty() {
                letter("late");
            } else if taken.len() < all.len() {
                letter("partly_late");
            }
            for window in taken {
                let product = (view != "everything").then_some(look.product);
                let sums = groups.entry((*window, product)).or_default();
                sums.looks += 1;
                sums.duration += look.duration;
                sums.customers.insert(look.customer);
                sums.latest = sums.latest.max(time);
            }
            watermark = watermark.max(time - 15 * MINUTE);
        }
        if watermark > i64::MIN {
            watermarks.push(watermark);
        }
    }
    let watermark = watermarks.into_iter().min().unwrap_or(i64::MIN);
    (groups, watermark)
}
