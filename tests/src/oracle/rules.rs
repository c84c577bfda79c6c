//! How a run was configured and how it ended: what decides, besides the log, what
//! is late, what is final and how far the watermarks are.

use super::views::{DAY, VIEWS, View};
use std::collections::BTreeMap;

/// How long a window waits for events that come late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    /// So many milliseconds of event time.
    Within(i64),
    /// It never closes.
    Forever,
}

/// How a run ended, which decides whether a partition that says nothing of event
/// time holds the watermark back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with `--until-caught-up`: what has no event time will have none.
    CaughtUp,
    /// In the middle, before any partition was idle: what has no event time yet
    /// may still have any, so that no window can be closed before it.
    Running,
    /// In the middle, when every partition had been silent for long enough to be
    /// waited for no more.
    AllIdle,
}

/// By full topic name and partition: `(offset, limit in milliseconds)`, by rising offsets.
pub type Limits = BTreeMap<(String, i32), Vec<(i64, i64)>>;

/// 2100-01-01: later than any log of a test whose times are right.
const LATER: i64 = 4_102_444_800_000;

/// A run's rules. The default ones are those of a pipeline that nobody configured
/// and that caught up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Of each view, by its name.
    pub lateness: BTreeMap<&'static str, Lateness>,
    /// Size of each view's windows in milliseconds, by its name.
    pub windows: BTreeMap<&'static str, i64>,
    /// How far an event may be ahead of its message, and a message of the clock, in
    /// milliseconds.
    pub max_ahead: i64,
    /// What the clock said when the log was read for the first time, in milliseconds.
    pub clock: i64,
    /// By topic and partition: from which offset on, which timestamps were believed. `None`
    /// where nobody knows, and the clock said the same all the time.
    pub limits: Option<Limits>,
    /// How the run ended.
    pub ending: Ending,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            lateness: VIEWS.iter().map(|v| (v.name, v.lateness)).collect(),
            windows: VIEWS.iter().map(|v| (v.name, v.size)).collect(),
            max_ahead: DAY,
            clock: LATER,
            limits: None,
            ending: Ending::CaughtUp,
        }
    }
}

impl Rules {
    /// Rules by which every event counts, whenever it says it happened.
    pub fn everything_counts() -> Rules {
        let mut rules = Rules::default();
        for lateness in rules.lateness.values_mut() {
            *lateness = Lateness::Forever;
        }
        // Longer than from the first year that a time can name to the last.
        rules.with_max_ahead(10_000 * 366 * DAY)
    }

    /// With another lateness of a view.
    ///
    /// # Panics
    /// When there is no such view.
    #[must_use]
    pub fn with_lateness(mut self, view: &str, lateness: Lateness) -> Rules {
        *self.lateness.get_mut(view).expect("a view") = lateness;
        self
    }

    /// With windows of another size, in milliseconds, of a view.
    ///
    /// # Panics
    /// When there is no such view.
    #[must_use]
    pub fn with_window(mut self, view: &str, size: i64) -> Rules {
        *self.windows.get_mut(view).expect("a view") = size;
        self
    }

    /// With events allowed to be so many milliseconds ahead of their messages.
    #[must_use]
    pub fn with_max_ahead(mut self, max_ahead: i64) -> Rules {
        self.max_ahead = max_ahead;
        self
    }

    /// With a clock that said this when the log was read.
    #[must_use]
    pub fn with_clock(mut self, clock: i64) -> Rules {
        self.clock = clock;
        self
    }

    /// With what was recorded of the clock.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Rules {
        self.limits = Some(limits);
        self
    }

    /// With another ending.
    #[must_use]
    pub fn with_ending(mut self, ending: Ending) -> Rules {
        self.ending = ending;
        self
    }

    /// A configuration file for a pipeline that shall follow these rules. What it
    /// does by itself is left out, so that it is what is tested.
    pub fn file(&self) -> String {
        let usual = Rules::default();
        let mut file = String::new();
        if self.max_ahead != usual.max_ahead {
            file += &format!("max_ahead = \"{}ms\"\n", self.max_ahead);
        }
        for View { name, .. } in &VIEWS {
            let (window, lateness) = (self.windows[name], self.lateness[name]);
            if (window, lateness) == (usual.windows[name], usual.lateness[name]) {
                continue;
            }
            let lateness = match lateness {
                Lateness::Within(millis) => format!("{millis}ms"),
                Lateness::Forever => "forever".to_owned(),
            };
            file +=
                &format!("[views.{name}]\nwindow = \"{window}ms\"\nlateness = \"{lateness}\"\n");
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_what_is_not_as_usual() {
        assert_eq!(Rules::default().file(), "");
        let rules = Rules::default()
            .with_max_ahead(5000)
            .with_window("log_analysis", 60_000)
            .with_lateness("sales_analysis", Lateness::Forever);
        assert_eq!(
            rules.file(),
            "max_ahead = \"5000ms\"\n\
             [views.sales_analysis]\nwindow = \"3600000ms\"\nlateness = \"forever\"\n\
             [views.log_analysis]\nwindow = \"60000ms\"\nlateness = \"7200000ms\"\n"
        );
    }

    #[test]
    #[should_panic(expected = "a view")]
    fn a_view_that_is_not_there_has_no_rules() {
        let _ = Rules::default().with_window("logs_analysis", 1);
    }
}
