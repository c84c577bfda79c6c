//! Showing how far it has come: a bar on a terminal, now and then a line elsewhere.

use std::io::{IsTerminal, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::report::rate;

/// Between two lines.
const LINE: Duration = Duration::from_secs(5);

pub(crate) struct Progress {
    shown: Shown,
    started: Instant,
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines { last: Instant, count: u64 },
}

impl Progress {
    /// `rounds` of a batch; `None` is without end.
    pub(crate) fn new(quiet: bool, rounds: Option<u64>) -> Progress {
        let started = Instant::now();
        let shown = if quiet {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            Shown::Bar(bar(rounds))
        } else {
            Shown::Lines {
                last: started,
                count: 0,
            }
        };
        Progress { shown, started }
    }

    /// Says something once.
    pub(crate) fn say(&self, line: &str) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.println(line),
            Shown::Lines { .. } => print(line),
        }
    }

    /// So many rounds of this batch are made, and so many events have been sent and
    /// acknowledged in all.
    pub(crate) fn update(&mut self, rounds: u64, sent: u64, acknowledged: u64) {
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                bar.set_position(rounds);
                let rate = rate(acknowledged, self.started.elapsed());
                bar.set_message(format!(
                    "sent {sent}, acknowledged {acknowledged}, {rate:.0} events/s"
                ));
            }
            Shown::Lines { last, count } => {
                let since = last.elapsed();
                if since >= LINE {
                    let rate = rate(acknowledged - *count, since);
                    print(&format!(
                        "sent {sent}, acknowledged {acknowledged}, {rate:.0} events/s"
                    ));
                    (*last, *count) = (Instant::now(), acknowledged);
                }
            }
        }
    }

    /// Removes what would be in the way of the result.
    pub(crate) fn finish(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn bar(rounds: Option<u64>) -> ProgressBar {
    let (bar, template) = match rounds {
        Some(rounds) => (
            ProgressBar::new(rounds),
            "{bar:30} {percent:>3} % of {len} rounds · {msg}",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} rounds · {msg}"),
    };
    // A template that is not understood would only cost the looks.
    bar.with_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

/// A line on standard error; nobody may be there to read it.
fn print(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
