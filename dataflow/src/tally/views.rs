//! Whether most of a view's events are no part of it: they come too late for it, or are from the
//! future.
//!
//! A topic into which old events were copied holds months; a view that waits two hours for late
//! events then counts next to nothing of it, and everything else lies among the dead letters, one by
//! one. Whoever starts such a run shall be told at once, and which setting would take them; or at the
//! end of the run, where there are not many.

use super::record::ViewTally;
use model::shown;
use telemetry::format::{count, length};

/// So many events decide while a run goes on.
const ENOUGH: u64 = 1_000;
/// So many decide at its end.
const ENOUGH_AT_THE_END: u64 = 10;

/// What a view was given in this run.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    judged: u64,
    late: u64,
    from_the_future: u64,
    /// The smallest and the largest event time seen, in microseconds.
    spread: Option<(i64, i64)>,
    /// Whether the first events have been looked at.
    late_decided: bool,
    future_decided: bool,
    late_said: bool,
    future_said: bool,
}

/// That most of a view's events are no part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mostly {
    /// They came too late.
    Late(MostlyLate),
    /// They are from the future: so many, of so many.
    FromTheFuture(u64, Amount),
}

/// Of how many events something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// The first so many of a run.
    First(u64),
    /// All of a run.
    All(u64),
}

/// Most of a view's events were late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MostlyLate {
    judged: Amount,
    late: u64,
    spread: (i64, i64),
}

impl Given {
    /// So much more in an epoch, by one worker.
    pub(super) fn add(&mut self, more: &ViewTally) {
        self.judged += more.judged;
        self.late += more.late;
        self.from_the_future += more.from_the_future;
        let both = self.spread.into_iter().chain(more.spread);
        self.spread = both.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    }

    /// What is to be said at the end of an epoch: each thing once in a run. `ended`: it is the last.
    pub(super) fn decide(&mut self, ended: bool) -> Vec<Mostly> {
        let mut said = Vec::new();
        let is_most = |part: u64, all: u64| part > all / 2;
        let amount = |all| {
            if ended {
                Amount::All(all)
            } else {
                Amount::First(all)
            }
        };
        let decides = |all, decided: &mut bool| match ended {
            true => all >= ENOUGH_AT_THE_END,
            false => all >= ENOUGH && !std::mem::replace(decided, true),
        };
        if decides(self.judged, &mut self.late_decided)
            && !self.late_said
            && is_most(self.late, self.judged)
            && let Some(spread) = self.spread
        {
            self.late_said = true;
            said.push(Mostly::Late(MostlyLate {
                judged: amount(self.judged),
                late: self.late,
                spread,
            }));
        }
        let all = self.judged + self.from_the_future;
        if decides(all, &mut self.future_decided)
            && !self.future_said
            && is_most(self.from_the_future, all)
        {
            self.future_said = true;
            said.push(Mostly::FromTheFuture(self.from_the_future, amount(all)));
        }
        said
    }
}

impl Mostly {
    /// What to tell of the view `name`, whose time and lateness are these. `example`: of an event
    /// that is from the future.
    pub(super) fn sentence(
        &self,
        name: &str,
        time: &str,
        lateness: &str,
        example: Option<&str>,
    ) -> String {
        match self {
            Mostly::Late(late) => late.sentence(name, time, lateness),
            Mostly::FromTheFuture(future, all) => {
                let example = example.map(|example| format!(" ({example})"));
                format!(
                    "{name}: {} of {} are from the future and are dead letters{}. Look at the clocks of \
                     those who produce them; --max-ahead says how far a time may be ahead",
                    count(*future),
                    all.events(),
                    example.unwrap_or_default(),
                )
            }
        }
    }
}

impl Amount {
    fn events(self) -> String {
        match self {
            Amount::First(events) => format!("its first {} events", count(events)),
            Amount::All(events) => format!("its {} events", count(events)),
        }
    }
}

impl MostlyLate {
    fn sentence(&self, name: &str, time: &str, lateness: &str) -> String {
        let MostlyLate {
            judged,
            late,
            spread: (earliest, latest),
        } = self;
        let spread = latest.saturating_sub(*earliest);
        format!(
            "{name}: {} of {} came too late and are dead letters: their {time} \
             goes from {} to {} ({}), and lateness is {lateness}. To take such events, set \
             [views.{name}] lateness = \"forever\", or lateness = \"{}\", which covers what was seen",
            count(*late),
            judged.events(),
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

    fn more(judged: u64, late: u64) -> ViewTally {
        ViewTally {
            view: 0,
            judged,
            late,
            from_the_future: 0,
            spread: Some((0, HOUR)),
        }
    }

    /// What is said after `late` late events and then others, one in each epoch; and at the end.
    fn after(late: u64, others: u64) -> (Vec<Mostly>, Vec<Mostly>) {
        let mut given = Given::default();
        let late = (0..late).map(|_| 1);
        let mut said = Vec::new();
        for late in late.chain((0..others).map(|_| 0)) {
            given.add(&more(1, late));
            said.extend(given.decide(false));
        }
        (said, given.decide(true))
    }

    fn late(judged: Amount, late: u64) -> Mostly {
        let spread = (0, HOUR);
        Mostly::Late(MostlyLate {
            judged,
            late,
            spread,
        })
    }

    #[test]
    fn a_thousand_events_decide_and_more_than_half_of_them_are_most() {
        assert_eq!(after(500, 500), (vec![], vec![]));
        assert_eq!(
            after(501, 499),
            (vec![late(Amount::First(1_000), 501)], vec![])
        );
    }

    #[test]
    fn at_the_end_all_events_decide_where_there_are_few() {
        assert_eq!(after(999, 0), (vec![], vec![late(Amount::All(999), 999)]));
        assert_eq!(after(6, 4), (vec![], vec![late(Amount::All(10), 6)]));
        assert_eq!(after(5, 5), (vec![], vec![]));
        assert_eq!(after(9, 0), (vec![], vec![]));
    }

    #[test]
    fn at_the_end_all_events_decide_where_the_first_were_not_late() {
        let mut given = Given::default();
        given.add(&more(1_000, 0));
        assert_eq!(given.decide(false), []);
        given.add(&more(2_000, 2_000));
        assert_eq!(given.decide(false), [], "the first were not late");
        assert_eq!(given.decide(true), [late(Amount::All(3_000), 2_000)]);
    }

    #[test]
    fn it_is_said_once() {
        assert_eq!(
            after(3_000, 0),
            (vec![late(Amount::First(1_000), 1_000)], vec![])
        );
    }

    #[test]
    fn workers_count_together() {
        let mut given = Given::default();
        let of = |judged, late, spread| ViewTally {
            spread: Some(spread),
            ..more(judged, late)
        };
        given.add(&of(600, 600, (5, 9)));
        assert_eq!(given.decide(false), []);
        given.add(&of(600, 10, (2, 7)));
        let said = MostlyLate {
            judged: Amount::First(1_200),
            late: 610,
            spread: (2, 9),
        };
        assert_eq!(given.decide(false), [Mostly::Late(said)]);
    }

    #[test]
    fn events_from_the_future_are_told_as_well() {
        let future = |judged, from_the_future| ViewTally {
            from_the_future,
            ..more(judged, 0)
        };
        let mut given = Given::default();
        given.add(&future(4, 6));
        assert_eq!(given.decide(false), []);
        let said = given.decide(true);
        assert_eq!(said, [Mostly::FromTheFuture(6, Amount::All(10))]);
        assert_eq!(
            said[0].sentence("log_analysis", "timestamp", "2h", Some("such as …")),
            "log_analysis: 6 of its 10 events are from the future and are dead letters (such as …). Look at \
             the clocks of those who produce them; --max-ahead says how far a time may be ahead"
        );
        let mut given = Given::default();
        given.add(&future(0, 1_000));
        assert_eq!(
            given.decide(false),
            [Mostly::FromTheFuture(1_000, Amount::First(1_000))]
        );
        assert_eq!(given.decide(true), []);
    }

    #[test]
    fn it_names_the_spread_and_the_setting() {
        let most = MostlyLate {
            judged: Amount::First(1_000),
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
