//! What of the shop is looked at: a span of time, and sales of one status or all.

use crate::query::time;
use crate::routes::App;
use sinks::{Query, Role, SinkError, Totals, Value};
use std::collections::BTreeMap;

/// Spans to choose from, by their names, in milliseconds.
pub(super) const SPANS: [(&str, Option<i64>); 4] = [
    ("24h", Some(24 * 3_600_000)),
    ("7d", Some(7 * 24 * 3_600_000)),
    ("30d", Some(30 * 24 * 3_600_000)),
    ("all", None),
];

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The name of one of [`SPANS`], where no times are given.
    pub(super) span: Option<String>,
    /// Windows that start at or after this, in milliseconds since the UNIX epoch.
    pub(super) from: Option<i64>,
    /// Windows that start before this.
    pub(super) until: Option<i64>,
    /// Sales of this status alone.
    pub(super) status: Option<String>,
}

impl Asked {
    /// Reads the parameters of a request. An error is a sentence that says which one is
    /// wrong, and what it takes.
    pub(super) fn read(query: Option<&str>) -> Result<Asked, String> {
        let mut asked = Asked::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            // A form sends what was left empty, too.
            if value.is_empty() {
                continue;
            }
            match &*name {
                "from" => asked.from = Some(time("from", &value)?),
                "until" => asked.until = Some(time("until", &value)?),
                "status" => asked.status = Some(value.into_owned()),
                "span" if SPANS.iter().any(|(name, _)| *name == value) => {
                    asked.span = Some(value.into_owned());
                }
                "span" => {
                    return Err(format!("span: {value:?}: it takes 24h, 7d, 30d or all"));
                }
                other => {
                    let there = "there are span, from, until and status";
                    return Err(format!("{other}: there is no such parameter; {there}"));
                }
            }
        }
        if asked
            .from
            .zip(asked.until)
            .is_some_and(|(from, until)| from >= until)
        {
            return Err("until: it has to be later than from".to_owned());
        }
        Ok(asked)
    }

    /// The same as parameters.
    pub(super) fn parameters(&self) -> String {
        let date = |millis: i64| model::shown(millis.saturating_mul(1_000));
        let mut text = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("span", self.span.clone()),
            ("from", self.from.map(date)),
            ("until", self.until.map(date)),
            ("status", self.status.clone()),
        ] {
            if let Some(value) = value {
                text.append_pair(name, &value);
            }
        }
        text.finish()
    }

    /// The name of the span, where no times are given: 24 hours unless asked otherwise.
    pub(super) fn span(&self) -> Option<&str> {
        let times = self.from.is_some() || self.until.is_some();
        (!times).then(|| self.span.as_deref().unwrap_or(SPANS[0].0))
    }

    /// The windows that are meant: those asked for, or a span before the newest that the
    /// shop has. What is called the last 24 hours ends with what has been sold, and not
    /// with the clock: a shop that is read again from its beginning is elsewhere.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn windows(&self, app: &App) -> Result<Windows, SinkError> {
        let totals = Totals {
            from: self.from,
            until: self.until,
            ..Totals::default()
        };
        let span = SPANS.iter().find(|(name, _)| Some(*name) == self.span());
        match span {
            Some((_, Some(span))) => Ok(Windows::before(&newest(app)?, *span)),
            _ => Ok(Windows {
                totals,
                reaches: BTreeMap::new(),
            }),
        }
    }
}

/// Which windows are meant, of each view.
#[derive(Debug)]
pub(super) struct Windows {
    totals: Totals,
    /// By the number of a view: by how much earlier its first window starts, in milliseconds.
    /// A window of a day that reaches into the last 24 hours starts before them.
    reaches: BTreeMap<usize, i64>,
}

impl Windows {
    /// Those that reach into a span before the `newest` of each view, by its number: their
    /// starts and ends.
    fn before(newest: &BTreeMap<usize, (i64, i64)>, span: i64) -> Windows {
        let length = |(start, end): &(i64, i64)| end.saturating_sub(*start);
        let last = newest.values().map(|(start, _)| *start).max();
        let shortest = newest.values().filter(|(start, _)| Some(*start) == last);
        let shortest = shortest.map(length).min().unwrap_or(0);
        let reach = |window| length(window).saturating_sub(shortest).max(0);
        let until = last.map(|last| last.saturating_add(1));
        Windows {
            totals: Totals {
                from: until.map(|until| until.saturating_sub(span)),
                until,
                ..Totals::default()
            },
            reaches: newest.iter().map(|(view, at)| (*view, reach(at))).collect(),
        }
    }

    /// Those of a view.
    pub(super) fn of(&self, view: usize) -> Totals {
        let reach = self.reaches.get(&view).copied().unwrap_or(0);
        Totals {
            from: self.totals.from.map(|from| from.saturating_sub(reach)),
            ..self.totals.clone()
        }
    }
}

/// The newest window of each view that has one: its start and end.
fn newest(app: &App) -> Result<BTreeMap<usize, (i64, i64)>, SinkError> {
    let query = Query {
        limit: 1,
        ..Query::default()
    };
    let mut newest = BTreeMap::new();
    for (table, view) in app.views.iter().enumerate() {
        let column = |role| view.columns.iter().position(|column| column.role == role);
        let (start, end) = (column(Role::WindowStart), column(Role::WindowEnd));
        for row in app.reader.page(table, &query)? {
            let date = |column: Option<usize>| match row.values.get(column?) {
                Some(Value::Date(millis)) => Some(*millis),
                _ => None,
            };
            if let Some(start) = date(start) {
                newest.insert(table, (start, date(end).unwrap_or(start)));
            }
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_and_written() {
        let asked = Asked::read(Some("from=2026-11-24T13:00&until=&status=a%26b")).unwrap();
        assert_eq!(asked.from, Some(1_795_525_200_000));
        assert_eq!((asked.until, asked.span()), (None, None));
        assert_eq!(Asked::read(Some(&asked.parameters())).unwrap(), asked);
        assert_eq!(Asked::read(None).unwrap().span(), Some("24h"));
        for (query, expected) in [
            ("span=1y", "span: \"1y\": it takes"),
            ("from=soon", "from: \"soon\": it takes"),
            ("page=1", "page: there is no such parameter"),
            (
                "from=2026-11-24&until=2026-11-23",
                "until: it has to be later",
            ),
        ] {
            let error = Asked::read(Some(query)).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_day_that_reaches_into_the_span_is_meant_as_a_whole() {
        const HOUR: i64 = 3_600_000;
        const DAY: i64 = 24 * HOUR;
        let start = 100 * DAY + 21 * HOUR;
        let hourly = (start, start + HOUR);
        let newest = BTreeMap::from([(0, hourly), (1, (100 * DAY, 101 * DAY))]);
        let windows = Windows::before(&newest, DAY);
        let means = |view, start| {
            let Totals { from, until, .. } = windows.of(view);
            from.is_some_and(|from| from <= start) && until.is_some_and(|until| start < until)
        };
        let hours = (0..200).filter(|hour| means(0, start - hour * HOUR));
        assert_eq!(Vec::from_iter(hours), Vec::from_iter(0..24));
        // Yesterday's last hours are among the last 24.
        let days = (0..9).filter(|day| means(1, (100 - day) * DAY));
        assert_eq!(Vec::from_iter(days), [0, 1]);
        // At midnight, the newest hour and day start together.
        let midnight = BTreeMap::from([(0, (DAY, DAY + HOUR)), (1, (DAY, 2 * DAY))]);
        assert_eq!(Windows::before(&midnight, DAY).of(0).until, Some(DAY + 1));
        assert_eq!(Windows::before(&midnight, DAY).reaches[&0], 0);
        let empty = Windows::before(&BTreeMap::new(), DAY).of(0);
        assert_eq!((empty.from, empty.until), (None, None));
    }
}
