//! What a request asks of a view: its parameters, checked.

use jiff::{Timestamp, civil, tz::Offset};
use sinks::Query;

use telemetry::ViewInfo;

/// Rows a page holds where nothing else is said.
const DEFAULT_LIMIT: u32 = 100;
/// Rows a page holds at the most.
const MAX_LIMIT: u32 = 1000;

/// Reads the parameters for `view`. An error is a sentence that says which
/// parameter is wrong and what it takes.
pub(super) fn read(parameters: &[(String, String)], view: &ViewInfo) -> Result<Query, String> {
    let mut query = Query {
        limit: DEFAULT_LIMIT,
        ..Query::default()
    };
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in parameters {
        if seen.contains(&name.as_str()) {
            return Err(format!("{name}: it is given twice"));
        }
        seen.push(name);
        match name.as_str() {
            "from" => query.from = Some(time(name, value)?),
            "until" => query.until = Some(time(name, value)?),
            "window" => {
                let start = time(name, value)?;
                query.from = Some(start);
                query.until = Some(start.saturating_add(1));
            }
            "after" => query.after = Some(value.as_str().into()),
            "limit" => {
                query.limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                    .ok_or_else(|| format!("limit: {value:?}: it takes 1 to {MAX_LIMIT}"))?;
            }
            "offset" => {
                query.offset = value
                    .parse()
                    .ok()
                    // Databases count rows with a signed number.
                    .filter(|offset| i64::try_from(*offset).is_ok())
                    .ok_or_else(|| format!("offset: {value:?}: it takes a whole number"))?;
            }
            _ => {
                let mut groups = view.groups();
                let group = groups.find(|column| column.name == *name);
                let kind = &group.ok_or_else(|| unknown(name, view))?.kind;
                let value = kind.parse(value).ok_or_else(|| {
                    format!(
                        "{name}: {value:?}: it takes a value of type {}",
                        kind.as_str()
                    )
                })?;
                query.groups.push((name.clone(), value));
            }
        }
    }
    let bounded = seen.contains(&"from") || seen.contains(&"until");
    if seen.contains(&"window") && bounded {
        return Err("window: it takes the place of from and until; leave them out".to_owned());
    }
    Ok(query)
}

fn unknown(name: &str, view: &ViewInfo) -> String {
    let groups = view.groups().map(|column| column.name.as_str());
    let valid = ["from", "until", "window", "after", "limit", "offset"];
    let valid: Vec<&str> = valid.into_iter().chain(groups).collect();
    let valid = valid.join(", ");
    format!(
        "{name}: {} takes no such parameter; there are {valid}",
        view.name
    )
}

/// Milliseconds since the UNIX epoch, from ISO 8601. Without an offset it is
/// UTC, and a day alone is its midnight, as in the events.
pub(super) fn time(name: &str, text: &str) -> Result<i64, String> {
    // A + that was not escaped arrives as a space; there is no other in a time.
    let escaped = text.replace(' ', "+");
    let with_offset = escaped.parse::<Timestamp>();
    let utc = || Offset::UTC.to_timestamp(text.parse::<civil::DateTime>()?);
    match with_offset.or_else(|_| utc()) {
        Ok(time) => Ok(time.as_millisecond()),
        Err(_) => Err(format!(
            "{name}: {text:?}: it takes a time such as 2024-11-02T13:00:00Z or a day such as 2024-11-02"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telemetry::testing;

    fn read(parameters: &[(&str, &str)]) -> Result<Query, String> {
        let parameters = parameters.iter();
        let parameters: Vec<(String, String)> = parameters
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        super::read(&parameters, &testing::view())
    }

    #[test]
    fn times_are_iso_and_utc() {
        for (text, millis) in [
            ("2024-11-02", 1_730_505_600_000),
            ("2024-11-02T00:00:00", 1_730_505_600_000),
            ("2024-11-02T00:00:00.5Z", 1_730_505_600_500),
            ("2024-11-02T01:00:00 01:00", 1_730_505_600_000),
            ("2024-11-02T01:00:00+01:00", 1_730_505_600_000),
            ("2024-11-02 00:00", 1_730_505_600_000),
        ] {
            let query = read(&[("from", text)]).unwrap();
            assert_eq!(query.from, Some(millis), "{text}");
        }
    }

    #[test]
    fn a_window_is_one_start() {
        let query = read(&[("window", "1970-01-01T00:00:01Z"), ("product", "a")]).unwrap();
        assert_eq!((query.from, query.until), (Some(1000), Some(1001)));
        assert_eq!(query.groups, [("product".to_owned(), "a".into())]);
        assert_eq!((query.limit, query.offset), (DEFAULT_LIMIT, 0));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (parameters, expected) in [
            (
                &[("from", "yesterday")][..],
                "from: \"yesterday\": it takes a time",
            ),
            (&[("limit", "0")], "limit: \"0\": it takes 1 to 1000"),
            (&[("limit", "1001")], "limit: \"1001\": it takes 1 to 1000"),
            (
                &[("offset", "-1")],
                "offset: \"-1\": it takes a whole number",
            ),
            (&[("offset", "18446744073709551615")], "offset: "),
            (
                &[("total", "1")],
                "total: sales takes no such parameter; there are from, until, window, after, limit, offset, product",
            ),
            (
                &[("limit", "1"), ("limit", "2")],
                "limit: it is given twice",
            ),
            (
                &[("window", "2024-11-02"), ("from", "2024-11-02")],
                "window: it takes the place of",
            ),
        ] {
            let error = read(parameters).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
