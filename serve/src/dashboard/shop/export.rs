//! A chart's numbers as a file: all of them, exactly as the database has them.

use super::asked::Asked;
use super::blocking;
use super::charts::{CHARTS, Chart};
use crate::json;
use crate::routes::{App, Refusal};
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value as JsonValue};
use sinks::{Total, Value};
use telemetry::format::decimal;

/// Lines of a file at the most.
const MOST: u32 = 1_000_000;

/// A file of a chart: `NAME.csv` or `NAME.json`.
pub(in crate::dashboard) async fn file(
    State(app): State<App>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked =
        Asked::read(query.as_deref()).map_err(|error| Refusal(StatusCode::BAD_REQUEST, error))?;
    let found = name
        .rsplit_once('.')
        .and_then(|(name, kind)| Some((Chart::named(name)?, kind)));
    let Some((chart, kind @ ("csv" | "json"))) = found else {
        let names: Vec<&str> = CHARTS.iter().map(|chart| chart.name).collect();
        let error = format!(
            "{name}: there are {}, each as .csv and .json",
            names.join(", ")
        );
        return Err(Refusal(StatusCode::NOT_FOUND, error));
    };
    let all = blocking(&app, &asked, move |app, asked| {
        let windows = asked.windows(app)?;
        chart.ask(app, asked, &windows, MOST)
    });
    let (totals, _) = all.await?.map_err(|error| crate::views::refusal(&error))?;
    let names = has_names(chart);
    let rows = totals.into_iter().map(|total| {
        let name = names.then(|| name_of(&app, &total));
        (name, total)
    });
    Ok(match kind {
        "csv" => csv(chart, rows).into_response(),
        _ => Json(
            rows.map(|(name, total)| object(chart, name, total))
                .collect::<Vec<_>>(),
        )
        .into_response(),
    })
}

/// Whether what it is by has names beside ids.
fn has_names(chart: &Chart) -> bool {
    chart.by == "product_id"
}

fn name_of(app: &App, total: &Total) -> String {
    match total.by.first() {
        Some(Value::Text(id)) => app.names.name_of(id).unwrap_or_default(),
        _ => String::new(),
    }
}

fn object(chart: &Chart, name: Option<String>, total: Total) -> JsonValue {
    let mut object = Map::new();
    for (column, value) in chart.columns().zip(total.by) {
        object.insert(column.to_owned(), json::value(value));
    }
    if let Some(name) = name {
        object.insert("name".to_owned(), name.into());
    }
    for (unit, value) in chart.units.iter().zip(total.sums) {
        object.insert((*unit).to_owned(), json::value(value));
    }
    object.insert("final".to_owned(), total.is_final.into());
    object.into()
}

/// As RFC 4180 has it.
fn csv(
    chart: &Chart,
    rows: impl Iterator<Item = (Option<String>, Total)>,
) -> impl axum::response::IntoResponse {
    let mut text = String::new();
    let mut line = |fields: Vec<String>| {
        let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
        text += &fields.join(",");
        text += "\r\n";
    };
    let mut titles: Vec<String> = chart.columns().map(str::to_owned).collect();
    titles.extend(has_names(chart).then(|| "name".to_owned()));
    titles.extend(chart.units.iter().map(|unit| (*unit).to_owned()));
    titles.push("final".to_owned());
    line(titles);
    for (name, total) in rows {
        let mut fields: Vec<String> = total.by.iter().map(plain).collect();
        fields.extend(name);
        fields.extend(total.sums.iter().map(plain));
        fields.push(total.is_final.to_string());
        line(fields);
    }
    let kind = (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned());
    let name = format!("attachment; filename=\"{}.csv\"", chart.name);
    ([kind, (header::CONTENT_DISPOSITION, name)], text)
}

fn plain(value: &Value) -> String {
    match value {
        Value::Long(long) => long.to_string(),
        Value::Double(double) => double.to_string(),
        Value::Text(text) => text.clone(),
        Value::Date(millis) => model::shown(millis.saturating_mul(1_000)),
        Value::Decimal { unscaled, scale } => decimal(*unscaled, *scale),
        other => other.to_string(),
    }
}

fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_have_to_be() {
        assert_eq!(quoted("plain text"), "plain text");
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
    }
}
