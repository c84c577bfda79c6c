//! The live status as lines: what is drawn, without the drawing.
//!
//! ```text
//! tidemark running 00:01:23 · 12,345 events/s · lag 0 · epoch 830 written, 1 behind
//! rows 56,789 (1,234/s) · dead letters 0 · in flight 1,200 · store writing
//! sales_analysis 2024-11-02 13:00       number_of_sales  total_quantity_sold  unique_customers
//! 4b4c1a60-…                                         12                   31                 9
//! ```

use console::{measure_text_width, style, truncate_str};
use sinks::{Role, Value};

use super::{
    Snapshot, Stage, StoreState, TableSnapshot, away,
    format::{aligned, count, moment, uptime, value},
    rates::Rates,
};

/// Rows a view shows at the most, with its heading.
const TALLEST: usize = 6;
/// Rows it shows at the least, with its heading.
const SHORTEST: usize = 2;

/// The status as at most `height` lines of at most `width` columns.
pub(super) fn lines(now: &Snapshot, rates: Rates, width: usize, height: usize) -> Vec<String> {
    let mut lines = head(now, rates);
    let room = height.saturating_sub(lines.len());
    let share = room / now.tables.len().max(1);
    let share = share.clamp(SHORTEST, TALLEST);
    for table in &now.tables {
        let view = view(table, width, share);
        if lines.len() + view.len() > height {
            break;
        }
        lines.extend(view);
    }
    lines.truncate(height);
    let cut = lines.iter().map(|line| truncate_str(line, width, "…"));
    cut.map(|line| line.into_owned()).collect()
}

/// What holds for the process as a whole.
fn head(now: &Snapshot, rates: Rates) -> Vec<String> {
    let stage = match &now.stage {
        Stage::Starting(reason) => format!("starting ({})", one_line(reason)),
        Stage::Ready => now.database_away.map_or_else(|| "running".to_owned(), away),
        Stage::Stopping => "stopping".to_owned(),
        Stage::Failed(reason) => format!("failed ({})", one_line(reason)),
    };
    let epoch = match now.epoch_written {
        Some(epoch) => format!("epoch {epoch} written"),
        None => "no epoch written".to_owned(),
    };
    let store = match now.store {
        StoreState::Unknown => "not written to yet",
        StoreState::Writing => "writing",
        StoreState::Retrying => "AWAY, retrying",
    };
    let blocked = match now.behind_transactions() {
        0 => String::new(),
        blocked => format!(" ({} blocked by open transactions)", count(blocked)),
    };
    let late = match now.late() {
        0 => String::new(),
        late => format!(" ({} late)", count(late)),
    };
    vec![
        format!(
            "{} {stage} {} · {} events/s · lag {}{blocked} · {epoch}, {} behind",
            style("tidemark").bold(),
            uptime(now.uptime),
            count(rates.events),
            count(now.lag()),
            count(now.epochs_behind()),
        ),
        format!(
            "rows {} ({}/s) · dead letters {}{late} · in flight {} · store {store}",
            count(now.rows()),
            count(rates.rows),
            count(now.dead_letters),
            count(now.in_flight()),
        ),
    ]
}

/// A reason may come from a library and span lines.
fn one_line(reason: &str) -> String {
    value(&Value::Text(reason.replace('\n', " ")))
}

/// A view's busiest rows below its heading, at most `height` lines in all. Of its columns as
/// many are shown as fit into `width` as a whole, and at least the first.
fn view(table: &TableSnapshot, width: usize, height: usize) -> Vec<String> {
    let columns = &table.table.columns;
    let aggregates: Vec<usize> = (0..columns.len())
        .filter(|column| columns[*column].role == Role::Aggregate)
        .collect();
    let Some(first) = table.busiest.first() else {
        return vec![format!(
            "{} {}",
            style(&table.table.name).bold(),
            "no rows yet"
        )];
    };
    let window = columns.iter().position(|c| c.role == Role::WindowStart);
    let window = match window.and_then(|column| first.values.get(column)) {
        Some(Value::Date(start)) => moment(*start),
        _ => String::new(),
    };

    let mut heading = vec![format!("{} {window}", style(&table.table.name).bold())];
    heading.extend(aggregates.iter().map(|c| columns[*c].name.clone()));
    let mut cells = vec![heading];
    for row in table.busiest.iter().take(height.saturating_sub(1)) {
        let groups = columns.iter().zip(&row.values);
        let groups = groups.filter(|(column, _)| column.role == Role::Group);
        let groups: Vec<String> = groups.map(|(_, group)| value(group)).collect();
        let mut line = vec![groups.join(" · ")];
        let values = aggregates.iter().map(|c| row.values.get(*c));
        line.extend(values.map(|v| v.map_or_else(String::new, value)));
        cells.push(line);
    }
    loop {
        let lines = aligned(&cells);
        let fits = lines.iter().all(|line| measure_text_width(line) <= width);
        if fits || cells[0].len() <= 2 {
            return lines;
        }
        for line in &mut cells {
            line.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Offsets, Telemetry, testing};
    use super::*;
    use crate::Judged;

    fn snapshot(tables: usize) -> Snapshot {
        let tables = vec![testing::table(); tables];
        let telemetry = Telemetry::new(1, &["sales".to_owned()], &tables);
        for table in 0..tables.len() {
            for (group, total) in [("a", 12), ("a longer name", 1_200), ("c", 5)] {
                telemetry.busiest(table, &testing::row(3_600_000, group, total));
            }
        }
        telemetry.epoch_open(3);
        telemetry.epoch_written(2);
        telemetry.in_flight(0, 1_000);
        telemetry.set_ready();
        telemetry.snapshot()
    }

    const RATES: Rates = Rates {
        events: 12_345,
        rows: 7,
    };

    fn plain(now: &Snapshot, width: usize, height: usize) -> Vec<String> {
        let lines = lines(now, RATES, width, height);
        let strip = |line: &String| console::strip_ansi_codes(line).into_owned();
        lines.iter().map(strip).collect()
    }

    #[test]
    fn it_fits_and_lines_up() {
        let lines = plain(&snapshot(1), 100, 24);
        assert_eq!(
            lines,
            [
                "tidemark running 00:00:00 · 12,345 events/s · lag 0 · epoch 2 written, 1 behind",
                "rows 0 (7/s) · dead letters 0 · in flight 1,000 · store not written to yet",
                "sales 1970-01-01 01:00  total",
                "a longer name           1,200",
                "a                          12",
                "c                           5",
            ]
        );
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out_as_a_whole() {
        let mut table = testing::table();
        let last = table.columns[3].clone();
        table.columns.push(sinks::Column {
            name: "another".to_owned(),
            ..last
        });
        let telemetry = Telemetry::new(1, &[], std::slice::from_ref(&table));
        let mut row = testing::row(3_600_000, "a", 12);
        row.values.push(Value::Long(34));
        telemetry.busiest(0, &row);
        let now = telemetry.snapshot();
        let shown = |width| plain(&now, width, 24).split_off(2);
        let whole = shown(100);
        assert!(whole[0].ends_with("total  another"), "{whole:?}");
        let narrow = shown(measure_text_width(&whole[0]) - 1);
        assert!(narrow[0].ends_with("total"), "{narrow:?}");
        assert!(narrow[1].ends_with("12"), "{narrow:?}");
        // The first stays, as far as there is room for it.
        assert!(shown(25)[0].ends_with('…'));
    }

    #[test]
    fn it_is_cut_to_the_terminal() {
        for (tables, width, height) in [(1, 10, 24), (6, 80, 23), (6, 80, 4), (1, 5, 1), (3, 1, 0)]
        {
            let lines = plain(&snapshot(tables), width, height);
            assert!(lines.len() <= height, "{lines:?}");
            assert!(lines.iter().all(|line| measure_text_width(line) <= width));
        }
        // Six views on 24 lines: each has its heading and two rows.
        assert_eq!(plain(&snapshot(6), 80, 23).len(), 2 + 6 * 3);
    }

    #[test]
    fn late_events_are_mentioned_when_there_are_any() {
        let telemetry = Telemetry::new(1, &[], &[testing::table()]);
        telemetry.judged(
            0,
            Judged {
                taken: 10,
                late: 1_234,
                from_the_future: 5,
                ..Judged::default()
            },
        );
        telemetry.dead_letters_written(1_300);
        let lines = plain(&telemetry.snapshot(), 100, 24);
        let said = "dead letters 1,300 (1,234 late) · in flight";
        assert!(lines[1].contains(said), "{}", lines[1]);
    }

    #[test]
    fn what_open_transactions_block_is_no_lag() {
        let telemetry = Telemetry::new(1, &[], &[testing::table()]);
        let blocked = Offsets {
            position: 40,
            stable: 40,
            end: 1_063,
        };
        telemetry.partition("sales", 0, 0, blocked, false);
        telemetry.set_ready();
        let lines = plain(&telemetry.snapshot(), 120, 24);
        let said = "lag 0 (1,023 blocked by open transactions) · no epoch";
        assert!(lines[0].contains(said), "{}", lines[0]);
    }

    #[test]
    fn a_view_without_rows_says_so() {
        let telemetry = Telemetry::new(1, &[], &[testing::table()]);
        telemetry.set_waiting("Kafka is\naway");
        let lines = plain(&telemetry.snapshot(), 100, 24);
        assert!(lines[0].starts_with("tidemark starting (Kafka is away) 00:00:00"));
        assert_eq!(lines[2], "sales no rows yet");
    }
}
