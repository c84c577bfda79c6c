//! What of the shop is looked at: a span of time, and sales of one status or all.

use crate::serve::query::time;
use crate::serve::routes::App;
use sinks::{Query, Role, SinkError, Totals, Value};

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
        let date = |millis: i64| crate::time::shown(millis.saturating_mul(1_000));
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
    pub(super) fn windows(&self, app: &App) -> Result<Totals, SinkError> {
        let mut windows = Totals {
            from: self.from,
            until: self.until,
            ..Totals::default()
        };
        let length = SPANS.iter().find(|(name, _)| Some(*name) == self.span());
        if let Some((_, Some(length))) = length {
            // The end of its window is not known to be later than a moment after.
            windows.until = newest(app)?.map(|newest| newest.saturating_add(1));
            windows.from = windows.until.map(|until| until.saturating_sub(*length));
        }
        Ok(windows)
    }
}

/// The start of the newest window of all views.
fn newest(app: &App) -> Result<Option<i64>, SinkError> {
    let query = Query {
        limit: 1,
        ..Query::default()
    };
    let mut newest = None;
    for (table, view) in app.views.iter().enumerate() {
        let start = view
            .columns
            .iter()
            .position(|column| column.role == Role::WindowStart);
        for row in app.reader.page(table, &query)? {
            if let Some(Value::Date(start)) = start.and_then(|start| row.values.get(start)) {
                newest = newest.max(Some(*start));
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
}
