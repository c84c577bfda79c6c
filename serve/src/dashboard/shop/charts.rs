//! What is drawn over time, and which products are on top: sums that the database makes.

use super::asked::{Asked, Windows};
use crate::routes::App;
use serde::Serialize;
use sinks::{SinkError, Total, Totals, Value};
use std::collections::{BTreeMap, BTreeSet};
use telemetry::format;

/// Sums of a view by windows and groups, or by groups alone.
pub(super) struct Chart {
    /// Its name in paths.
    pub(super) name: &'static str,
    /// What it says.
    pub(super) title: &'static str,
    view: &'static str,
    /// The column of the window's start, where it is drawn over time.
    pub(super) at: Option<&'static str>,
    /// The group column.
    pub(super) by: &'static str,
    sums: &'static [&'static str],
    /// What the sums are called.
    pub(super) units: &'static [&'static str],
    /// Whether it can be of sales of one status.
    has_status: bool,
}

/// All there are, in the order of the page.
pub(super) const CHARTS: [Chart; 6] = [
    Chart {
        name: "revenue",
        title: "Revenue by category",
        view: "revenue_analysis",
        at: Some("window_start"),
        by: "category",
        sums: &["revenue"],
        units: &["revenue"],
        has_status: true,
    },
    Chart {
        name: "sold",
        title: "Products sold most",
        view: "sales_analysis",
        at: None,
        by: "product_id",
        sums: &["total_quantity_sold", "number_of_sales"],
        units: &["pieces", "sales"],
        has_status: false,
    },
    Chart {
        name: "viewed",
        title: "Products looked at most",
        view: "product_views_analysis",
        at: None,
        by: "product_id",
        sums: &["total_views"],
        units: &["views"],
        has_status: false,
    },
    Chart {
        name: "customers",
        title: "Active customers by gender and day",
        view: "customer_analysis",
        at: Some("window.start"),
        by: "gender",
        sums: &["unique_customers"],
        units: &["customers"],
        has_status: false,
    },
    Chart {
        name: "interactions",
        title: "Interactions",
        view: "interaction_analysis",
        at: Some("window_start"),
        by: "interaction_type",
        sums: &["total_interactions"],
        units: &["interactions"],
        has_status: false,
    },
    Chart {
        name: "logs",
        title: "Log lines by level",
        view: "log_analysis",
        at: Some("window_start"),
        by: "level",
        sums: &["total_logs"],
        units: &["lines"],
        has_status: false,
    },
];

/// Sums that one chart is made of, at the most; a year of hours of two groups.
pub(super) const MOST: u32 = 20_000;
/// Lines that can be told apart; what else there is, is drawn as one more.
const LINES: usize = 6;
const OTHERS: &str = "all others";

impl Chart {
    /// The chart of this name.
    pub(super) fn named(name: &str) -> Option<&'static Chart> {
        CHARTS.iter().find(|chart| chart.name == name)
    }

    /// The sums it is made of, so many at the most, and how to ask for the same.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn ask(
        &self,
        app: &App,
        asked: &Asked,
        windows: &Windows,
        limit: u32,
    ) -> Result<(Vec<Total>, String), SinkError> {
        // The views are those of the program itself: all of them are there.
        let table = app.views.iter().position(|view| view.name == self.view);
        let table = table.unwrap_or(usize::MAX);
        let status = asked.status.iter().filter(|_| self.has_status);
        let totals = Totals {
            groups: status
                .map(|status| ("status".to_owned(), status.as_str().into()))
                .collect(),
            by: self.columns().map(str::to_owned).collect(),
            sums: self.sums.iter().map(|sum| (*sum).to_owned()).collect(),
            limit,
            ..windows.of(table)
        };
        let query = app.reader.totals_query(table, &totals)?;
        Ok((app.reader.totals(table, &totals)?, query))
    }

    /// The columns that its sums are of.
    pub(super) fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.at.into_iter().chain([self.by])
    }
}

/// A chart over time.
#[derive(Debug, PartialEq)]
pub(super) struct Lines {
    /// The starts of windows, in milliseconds since the UNIX epoch.
    pub(super) at: Vec<i64>,
    /// Which of them are final.
    pub(super) is_final: Vec<bool>,
    /// What each line is of, the largest first, and its values at these times.
    pub(super) lines: Vec<(String, Vec<Option<Value>>)>,
}

impl Lines {
    /// Sorts sums by a window's start and a group into lines.
    pub(super) fn of(totals: &[Total]) -> Lines {
        let mut finals: BTreeMap<i64, bool> = BTreeMap::new();
        let mut sizes: BTreeMap<String, f64> = BTreeMap::new();
        let points: Vec<(i64, String, &Value)> = totals.iter().filter_map(point).collect();
        for ((at, group, value), total) in points.iter().zip(totals) {
            *finals.entry(*at).or_insert(true) &= total.is_final;
            *sizes.entry(group.clone()).or_default() += value.approximate();
        }
        let mut names: Vec<&String> = sizes.keys().collect();
        names.sort_by(|one, other| sizes[*other].total_cmp(&sizes[*one]));
        let has_others = names.len() > LINES + 1;
        if has_others {
            names.truncate(LINES);
        }
        let own: BTreeSet<&String> = names.iter().copied().collect();
        let at: Vec<i64> = finals.keys().copied().collect();
        let empty = || vec![None::<Value>; at.len()];
        let mut lines: Vec<_> = names
            .iter()
            .map(|name| ((*name).clone(), empty()))
            .collect();
        if has_others {
            lines.push((OTHERS.to_owned(), empty()));
        }
        for (when, group, value) in &points {
            let line = match own.contains(group) {
                true => lines.iter_mut().find(|(name, _)| name == group),
                false => lines.last_mut(),
            };
            let (Some((_, values)), Ok(place)) = (line, at.binary_search(when)) else {
                continue;
            };
            values[place] = Some(match &values[place] {
                Some(sum) => sum.plus(value),
                None => (*value).clone(),
            });
        }
        Lines {
            is_final: finals.values().copied().collect(),
            at,
            lines,
        }
    }

    /// The same to draw.
    pub(super) fn drawn(&self) -> Drawn<'_> {
        let approximate = |value: &Option<Value>| value.as_ref().map(Value::approximate);
        Drawn {
            at: self.at.iter().map(|millis| millis / 1_000).collect(),
            is_final: &self.is_final,
            lines: self.lines.iter().map(|(name, _)| name.as_str()).collect(),
            values: self
                .lines
                .iter()
                .map(|(_, values)| values.iter().map(approximate).collect())
                .collect(),
        }
    }
}

/// A chart as the page's script takes it.
#[derive(Debug, Serialize)]
pub(super) struct Drawn<'a> {
    /// In seconds since the UNIX epoch.
    at: Vec<i64>,
    is_final: &'a [bool],
    lines: Vec<&'a str>,
    values: Vec<Vec<Option<f64>>>,
}

fn point(total: &Total) -> Option<(i64, String, &Value)> {
    match (&total.by[..], &total.sums[..]) {
        ([Value::Date(at), group], [sum, ..]) => Some((*at, shown(group), sum)),
        _ => None,
    }
}

/// A value as people read it, with all its digits.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Long(long) => match u64::try_from(*long) {
            Ok(long) => format::count(long),
            Err(_) => long.to_string(),
        },
        Value::Double(double) => double.to_string(),
        Value::Text(text) => text.clone(),
        Value::Date(millis) => model::shown(millis.saturating_mul(1_000)),
        Value::Decimal { unscaled, scale } => format::decimal(*unscaled, *scale),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(at: i64, group: &str, sum: i64, is_final: bool) -> Total {
        Total {
            by: vec![Value::Date(at), Value::Text(group.to_owned())],
            sums: vec![Value::Long(sum)],
            is_final,
        }
    }

    #[test]
    fn lines_are_in_the_order_of_their_size_with_gaps() {
        let totals = [
            total(0, "small", 1, true),
            total(3_600_000, "large", 5, false),
            total(0, "large", 7, true),
        ];
        let lines = Lines::of(&totals);
        assert_eq!(lines.at, [0, 3_600_000]);
        assert_eq!(lines.is_final, [true, false]);
        let long = |n| Some(Value::Long(n));
        let expected = [
            ("large".to_owned(), vec![long(7), long(5)]),
            ("small".to_owned(), vec![long(1), None]),
        ];
        assert_eq!(lines.lines, expected);
    }

    #[test]
    fn what_cannot_be_told_apart_is_one_line() {
        let totals: Vec<Total> = (0..20)
            .map(|n| total(0, &format!("{n:02}"), n, true))
            .collect();
        let lines = Lines::of(&totals).lines;
        assert_eq!(lines.len(), LINES + 1);
        let (name, values) = lines.last().unwrap();
        assert_eq!(
            (name.as_str(), &values[0]),
            (OTHERS, &Some(Value::Long((0..14).sum())))
        );
    }
}
