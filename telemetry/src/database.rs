//! Whether the database answers. It is asked each second, whether there is something to write
//! or not; and it counts as away also while it answers and takes no writes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Without an answer for so long, it is away. Less may be a busy moment.
const AWAY: Duration = Duration::from_secs(5);

/// When the database was last known to be there.
#[derive(Debug, Default)]
pub(super) struct Database(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// When it answered last; `None` before it is asked.
    answered: Option<Moment>,
    /// When the first of the writes failed that have failed since the last that did not.
    failing: Option<Moment>,
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    time: jiff::Timestamp,
}

impl Moment {
    fn now() -> Moment {
        Moment {
            at: Instant::now(),
            time: jiff::Timestamp::now(),
        }
    }
}

impl Database {
    /// It has answered.
    pub(super) fn answered(&self) {
        self.with(|known| known.answered = Some(Moment::now()));
    }

    /// It has taken a write.
    pub(super) fn written(&self) {
        self.with(|known| known.failing = None);
        self.answered();
    }

    /// It has not taken a write.
    pub(super) fn failed(&self) {
        self.with(|known| known.failing = known.failing.or_else(|| Some(Moment::now())));
    }

    /// Since when it is away, if it is.
    pub(super) fn away_since(&self) -> Option<jiff::Timestamp> {
        self.away_at(Instant::now())
    }

    fn away_at(&self, now: Instant) -> Option<jiff::Timestamp> {
        self.with(|known| {
            let moments = [known.answered, known.failing].into_iter().flatten();
            let long_ago = |moment: &Moment| now.saturating_duration_since(moment.at) >= AWAY;
            moments.filter(long_ago).map(|moment| moment.time).min()
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// That it is away, as a clause.
pub fn away(since: jiff::Timestamp) -> String {
    format!("database away since {since:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_away_when_it_has_not_answered_for_seconds() {
        let database = Database::default();
        let later = || Instant::now() + AWAY;
        assert_eq!(database.away_at(later()), None, "nobody has asked it");
        database.answered();
        let answered = jiff::Timestamp::now();
        assert_eq!(database.away_since(), None);
        let since = database.away_at(later()).unwrap();
        assert!(since <= answered);
        assert!(away(since).ends_with('Z'), "{}", away(since));
    }

    #[test]
    fn it_is_away_while_it_answers_and_takes_no_writes() {
        let database = Database::default();
        database.failed();
        database.answered();
        database.failed();
        let known = |change: fn(&mut Known)| database.with(change);
        known(|known| known.answered = None);
        assert!(database.away_at(Instant::now() + AWAY).is_some());
        database.written();
        known(|known| known.answered = None);
        assert_eq!(database.away_at(Instant::now() + AWAY), None);
    }
}
