//! Whether most of a view's first events come too late for it.
//!
//! A topic into which old events were copied holds months; a view that waits two
//! hours for late events then counts next to nothing of it, and everything else
//! lies among the dead letters, one by one. Whoever starts such a run shall be told
//! at once, and which setting would take them.

use super::format::{count, length};
use crate::time::shown;

/// So many events decide.
const ENOUGH: u64 = 1_000;

/// The first events of a view that this process has judged.
#[derive(Debug)]
pub(super) struct FirstEvents {
    judged: u64,
    late: u64,
    /// The smallest and the largest event time seen, in microseconds.
    spread: Option<(i64, i64)>,
    is_decided: bool,
}

/// What first events show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// There are too few of them yet.
    Open,
    /// Nothing, or what has been said already.
    Closed,
    /// Most of them were late. This is said once.
    MostlyLate(MostlyLate),
}

/// Most of a view's first events were late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MostlyLate {
    judged: u64,
    late: u64,
    spread: (i64, i64),
}

impl FirstEvents {
    pub(super) const NONE: FirstEvents = FirstEvents {
        judged: 0,
        late: 0,
        spread: None,
        is_decided: false,
    };

    /// So many more events were judged, and so many of these were late; all that
    /// some worker has seen lie in `spread`.
    pub(super) fn add(&mut self, judged: u64, late: u64, spread: Option<(i64, i64)>) -> Decision {
        if self.is_decided {
            return Decision::Closed;
        }
        self.judged += judged;
        self.late += late;
        let both = self.spread.into_iter().chain(spread);
        self.spread = both.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        if self.judged < ENOUGH {
            return Decision::Open;
        }
        self.is_decided = true;
        match self.spread {
            Some(spread) if self.late > self.judged / 2 => Decision::MostlyLate(MostlyLate {
                judged: self.judged,
                late: self.late,
                spread,
            }),
            _ => Decision::Closed,
        }
    }
}

impl MostlyLate {
    /// What to tell of the view `name`, whose time and lateness are these.
    pub fn sentence(&self, name: &str, time: &str, lateness: &str) -> String {
        let MostlyLate {
            judged,
            late,
            spread: (earliest, latest),
        } = self;
        let spread = latest.saturating_sub(*earliest);
        format!(
            "{name}: {} of its first {} events came too late and are dead letters: their {time} \
             goes from {} to {} ({}), and lateness is {lateness}. To take such events, set \
             [views.{name}] lateness = \"forever\", or lateness = \"{}\", which covers what was seen",
            count(*late),
            count(*judged),
            shown(*earliest),
            shown(*latest),
            length(spread / 1_000),
            covering(spread),
        )
    }
}

/// A lateness that covers a length of time in microseconds: whole hours, or whole
/// days where these are more than two.
fn covering(micros: i64) -> String {
    let hours = micros.unsigned_abs().div_ceil(3_600_000_000).max(1);
    match hours {
        0..=48 => format!("{hours}h"),
        _ => format!("{}d", hours.div_ceil(24)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    /// What is said after `late` late events and then others, one by one.
    fn after(late: u64, others: u64) -> Vec<Decision> {
        let mut first = FirstEvents::NONE;
        let late = (0..late).map(|_| 1);
        let events = late.chain((0..others).map(|_| 0));
        events
            .map(|late| first.add(1, late, Some((0, HOUR))))
            .collect()
    }

    #[test]
    fn a_thousand_events_decide_and_more_than_half_of_them_are_most() {
        let few = after(999, 0);
        assert!(few.iter().all(|decision| *decision == Decision::Open));
        assert_eq!(after(500, 500).last(), Some(&Decision::Closed));
        let most = after(501, 499);
        let Some(Decision::MostlyLate(most)) = most.last() else {
            panic!("{most:?}")
        };
        assert_eq!((most.late, most.judged), (501, 1_000));
    }

    #[test]
    fn it_is_said_once() {
        let said = after(3_000, 0);
        let said = said.iter().filter(|d| matches!(d, Decision::MostlyLate(_)));
        assert_eq!(said.count(), 1);
    }

    #[test]
    fn workers_count_together() {
        let mut first = FirstEvents::NONE;
        assert_eq!(first.add(600, 600, Some((5, 9))), Decision::Open);
        let said = MostlyLate {
            judged: 1_200,
            late: 610,
            spread: (2, 9),
        };
        assert_eq!(first.add(600, 10, Some((2, 7))), Decision::MostlyLate(said));
    }

    #[test]
    fn it_names_the_spread_and_the_setting() {
        let most = MostlyLate {
            judged: 1_000,
            late: 812,
            spread: (0, 50 * HOUR + 1),
        };
        assert_eq!(
            most.sentence("sales_analysis", "date_time", "2h"),
            "sales_analysis: 812 of its first 1,000 events came too late and are dead letters: \
             their date_time goes from 1970-01-01T00:00:00Z to 1970-01-03T02:00:00.000001Z \
             (2d 2h), and lateness is 2h. To take such events, set [views.sales_analysis] \
             lateness = \"forever\", or lateness = \"3d\", which covers what was seen"
        );
    }

    #[test]
    fn a_lateness_covers_in_whole_hours_or_days() {
        for (micros, text) in [
            (0, "1h"),
            (1, "1h"),
            (HOUR, "1h"),
            (HOUR + 1, "2h"),
            (48 * HOUR, "48h"),
            (48 * HOUR + 1, "3d"),
            (72 * HOUR, "3d"),
        ] {
            assert_eq!(covering(micros), text);
        }
    }
}
