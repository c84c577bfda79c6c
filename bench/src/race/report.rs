//! Medians, with their spread, and ratios.

use super::contestant::Contestant;
use super::measure::Cost;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What was measured in a race.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Results {
    /// Events that each run has read.
    pub events: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Rows that are there in the end.
    pub rows: usize,
    /// Every run, by who ran.
    pub runs: BTreeMap<String, Vec<Cost>>,
}

/// A median, and the least and the greatest.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

impl Spread {
    /// Of some values; `None` of none.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            1 => *values.get(middle)?,
            _ => (values.get(middle.checked_sub(1)?)? + values.get(middle)?) / 2.0,
        };
        Some(Spread {
            median,
            least: *values.first()?,
            greatest: *values.last()?,
        })
    }
}

impl Results {
    /// Notes a run.
    pub fn add(&mut self, who: Contestant, cost: Cost) {
        self.runs
            .entry(who.name().to_owned())
            .or_default()
            .push(cost);
    }

    /// The median of something of who ran.
    pub fn median(&self, who: Contestant, of: fn(&Cost) -> f64) -> Option<f64> {
        Some(self.spread(who, of)?.median)
    }

    /// The least of something of who ran: other work on the machine only ever adds.
    pub fn least(&self, who: Contestant, of: fn(&Cost) -> f64) -> Option<f64> {
        Some(self.spread(who, of)?.least)
    }

    /// The median of something of who ran, and the least and the greatest.
    pub fn spread(&self, who: Contestant, of: fn(&Cost) -> f64) -> Option<Spread> {
        Spread::of(self.runs.get(who.name())?.iter().map(of))
    }

    /// A table in Markdown of all who ran, in their order. The rate is that of the processor
    /// time of both, the pipeline and its database: neither is of use without the other.
    pub fn table(&self, order: &[Contestant]) -> String {
        let mut table = String::from(
            "| | CPU of both, s | its own | MongoDB's | wall, s | peak, MB | commands \
             | to and from it, MB | events per CPU-second of both | of floor's |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        let floor = self.median(Contestant::Floor, Cost::whole);
        for who in order {
            let spread = |of| self.spread(*who, of);
            let (
                Some(both),
                Some(cpu),
                Some(wall),
                Some(peak),
                Some(database),
                Some(commands),
                Some(bytes),
            ) = (
                spread(Cost::whole),
                spread(|cost| cost.cpu),
                spread(|cost| cost.wall),
                spread(|cost| cost.peak),
                spread(|cost| cost.database.cpu),
                spread(|cost| cost.database.commands),
                spread(|cost| cost.database.bytes / 1e6),
            )
            else {
                continue;
            };
            #[allow(clippy::cast_precision_loss, reason = "shown in three digits")]
            let rate = self.events as f64 / both.median;
            let ratio = floor.map_or("".to_owned(), |floor| format!("{:.2}", floor / both.median));
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "| {} | {} | {} | {} | {} | {:.0} | {:.0} | {:.0} | {:.0} k | {ratio} |",
                who.name(),
                shown(both),
                shown(cpu),
                shown(database),
                shown(wall),
                peak.median,
                commands.median,
                bytes.median,
                rate / 1e3,
            );
        }
        table
    }
}

fn shown(spread: Spread) -> String {
    let Spread {
        median,
        least,
        greatest,
    } = spread;
    format!("{median:.1} ({least:.1}–{greatest:.1})")
}

#[cfg(test)]
mod tests {
    use super::super::measure::Served;
    use super::*;

    #[test]
    fn the_rate_is_that_of_pipeline_and_database() {
        let mut results = Results {
            events: 1_000_000,
            ..Results::default()
        };
        let cost = |cpu, database| Cost {
            cpu,
            database: Served {
                cpu: database,
                ..Served::default()
            },
            ..Cost::default()
        };
        results.add(Contestant::Floor, cost(1.0, 9.0));
        results.add(Contestant::Tidemark, cost(2.0, 3.0));
        let table = results.table(&[Contestant::Floor, Contestant::Tidemark]);
        for row in [
            "| floor | 10.0",
            "| 100 k | 1.00 |",
            "| tidemark | 5.0",
            "| 200 k | 2.00 |",
        ] {
            assert!(table.contains(row), "{row} is not in {table}");
        }
    }

    #[test]
    fn a_median_is_in_the_middle() {
        let of = |values: &[f64]| Spread::of(values.iter().copied()).map(|s| s.median);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
