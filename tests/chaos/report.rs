//! What is printed while it runs and at its end.

use crate::cast::Cast;
use crate::plan::Kind;
use crate::verdict::Tally;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Prints lines, and counts faults.
pub(crate) struct Report {
    begun: Instant,
    faults: BTreeMap<Kind, (usize, Duration)>,
}

impl Report {
    pub(crate) fn new() -> Report {
        Report {
            begun: Instant::now(),
            faults: BTreeMap::new(),
        }
    }

    /// A line with the time since the beginning.
    pub(crate) fn line(&self, text: &str) {
        println!("{:7.1} s  {text}", self.begun.elapsed().as_secs_f64());
    }

    /// A fault has begun.
    pub(crate) fn fault(&mut self, kind: Kind, lasts: Duration, on: &str) {
        let (count, sum) = self.faults.entry(kind).or_default();
        *count += 1;
        *sum += lasts;
        let mut text = format!("{kind:22} {on}");
        if !lasts.is_zero() {
            text = format!("{text:46} for {:.1} s", lasts.as_secs_f64());
        }
        self.line(&text);
    }

    /// How many faults there were.
    pub(crate) fn faults(&self) -> usize {
        self.faults.values().map(|(count, _)| count).sum()
    }

    /// The table at the end.
    pub(crate) fn table(&self, tally: &Tally, cast: &Cast, checkpoints: u64) {
        println!("\nfault                    times   seconds");
        for (kind, (count, sum)) in &self.faults {
            println!("{kind:22} {count:7} {:9.1}", sum.as_secs_f64());
        }
        println!("{:22} {:7}", "all", self.faults());
        println!("\nprocesses ended");
        for (exit, count) in &cast.told.exits {
            println!("{count:7}  {exit}");
        }
        println!();
        let seen = &tally.seen;
        for (what, count) in [
            ("runs started", cast.runs.to_string()),
            ("generations", seen.generation.to_string()),
            ("checkpoints taken", checkpoints.to_string()),
            ("events in the log", tally.messages.to_string()),
            ("verdicts", tally.verdicts.to_string()),
            ("rows compared", of_all(tally.rows)),
            ("dead letters compared", of_all(tally.letters)),
            ("processes whose counters add up", tally.counted.to_string()),
            (
                "changes watched",
                format!(
                    "{} of rows, {} final; {} of dead letters; {} of progress",
                    seen.rows, seen.finals, seen.letters, seen.progress
                ),
            ),
        ] {
            println!("{what:34}{count}");
        }
    }
}

fn of_all((all, last): (u64, u64)) -> String {
    format!("{all}, {last} of them at the end")
}
