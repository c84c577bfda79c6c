//! How fast things go, over the last few seconds.

use std::{collections::VecDeque, time::Duration};

use super::Snapshot;

/// How long a rate looks back.
const SPAN: Duration = Duration::from_secs(5);

/// What happens in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rates {
    /// Messages read.
    pub(super) events: u64,
    /// Rows written or deleted.
    pub(super) rows: u64,
}

/// Counts as they were, oldest first.
#[derive(Debug, Default)]
pub(super) struct Meter {
    seen: VecDeque<Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Duration,
    events: u64,
    rows: u64,
}

impl Meter {
    /// Takes note of the counts now and says how fast they grew since about
    /// [`SPAN`] ago, or since the last time where that is longer.
    pub(super) fn rates(&mut self, now: &Snapshot) -> Rates {
        self.note(Seen {
            at: now.uptime,
            events: now.events(),
            rows: now.rows(),
        })
    }

    fn note(&mut self, now: Seen) -> Rates {
        while self.seen.len() > 1 && now.at.saturating_sub(self.seen[1].at) >= SPAN {
            self.seen.pop_front();
        }
        self.seen.push_back(now);
        let then = self.seen[0];
        let millis = now.at.saturating_sub(then.at).as_millis();
        let rate = |now: u64, then: u64| {
            let grown = u128::from(now.saturating_sub(then)) * 1000;
            let rate = grown.checked_div(millis).unwrap_or(0);
            u64::try_from(rate).unwrap_or(u64::MAX)
        };
        Rates {
            events: rate(now.events, then.events),
            rows: rate(now.rows, then.rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut meter = Meter::default();
        let mut note = |at, events| {
            let at = Duration::from_secs(at);
            meter
                .note(Seen {
                    at,
                    events,
                    rows: 0,
                })
                .events
        };
        assert_eq!(note(0, 0), 0);
        assert_eq!(note(1, 1000), 1000);
        assert_eq!(note(2, 1000), 500);
        assert_eq!(note(6, 1000), 0);
        // Looks back to the last time even where that is long ago.
        assert_eq!(note(106, 2000), 10);
    }
}
