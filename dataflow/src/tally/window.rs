//! The last messages of a topic, of all its partitions.

use super::record::Run;
use std::collections::VecDeque;

/// So many messages are looked at.
pub(super) const LAST: u64 = 1_000;

/// How finely the order of messages in an epoch is followed: in so many messages, and in so many
/// steps at the most.
const STEP: u64 = 100;
const STEPS: u64 = 400;

/// How many of the last messages are malformed.
#[derive(Debug, Default)]
pub(super) struct Window {
    runs: VecDeque<Run>,
    sum: Run,
}

impl Window {
    /// Puts more messages behind the others.
    pub(super) fn push(&mut self, run: Run) {
        if run.is_empty() {
            return;
        }
        self.runs.push_back(run);
        self.sum = plus(self.sum, run);
        while let Some(first) = self.runs.front_mut()
            && self.sum.len() > LAST
        {
            let gone = take(first, self.sum.len() - LAST);
            self.sum.good -= gone.good;
            self.sum.bad -= gone.bad;
            if first.is_empty() {
                self.runs.pop_front();
            }
        }
    }

    /// Whether there have been enough messages, and more than half of the last are malformed.
    pub(super) fn is_mostly_bad(&self) -> bool {
        self.sum.len() >= LAST && self.sum.bad > LAST / 2
    }

    /// The last messages.
    pub(super) fn sum(&self) -> Run {
        self.sum
    }
}

pub(super) fn plus(one: Run, other: Run) -> Run {
    Run {
        good: one.good + other.good,
        bad: one.bad + other.bad,
    }
}

/// Takes the first messages out of some that are evenly mixed.
fn take(run: &mut Run, messages: u64) -> Run {
    let gone = match run.len() {
        length if messages >= length => *run,
        length => {
            let product = u128::from(run.bad) * u128::from(messages) / u128::from(length);
            let bad = u64::try_from(product).unwrap_or(run.bad);
            Run {
                good: messages - bad,
                bad,
            }
        }
    };
    run.good -= gone.good;
    run.bad -= gone.bad;
    gone
}

/// The messages of an epoch of several partitions, as if all partitions had been read evenly: which
/// one was read first says nothing.
pub(super) fn interleave(parts: Vec<Vec<Run>>) -> Vec<Run> {
    let sum = parts
        .iter()
        .flatten()
        .fold(Run::default(), |sum, run| plus(sum, *run));
    if sum.bad == 0 || sum.good == 0 {
        return vec![sum];
    }
    let steps = sum.len().div_ceil(STEP).clamp(1, STEPS);
    let mut parts: Vec<Part> = parts.into_iter().map(Part::new).collect();
    let step = |step| {
        let of_part = |sum, part: &mut Part| plus(sum, part.advance(step, steps));
        parts.iter_mut().fold(Run::default(), of_part)
    };
    (1..=steps).map(step).collect()
}

/// What is left of a partition.
struct Part {
    runs: VecDeque<Run>,
    length: u64,
    taken: u64,
}

impl Part {
    fn new(runs: Vec<Run>) -> Part {
        Part {
            length: runs.iter().map(|run| run.len()).sum(),
            runs: runs.into(),
            taken: 0,
        }
    }

    /// Goes on to `step` of `steps`.
    fn advance(&mut self, step: u64, steps: u64) -> Run {
        let until = u128::from(self.length) * u128::from(step) / u128::from(steps);
        let until = u64::try_from(until).unwrap_or(self.length);
        let mut sum = Run::default();
        while let Some(first) = self.runs.front_mut()
            && self.taken < until
        {
            let gone = take(first, until - self.taken);
            self.taken += gone.len();
            sum = plus(sum, gone);
            if first.is_empty() {
                self.runs.pop_front();
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn good(good: u64) -> Run {
        Run { good, bad: 0 }
    }

    fn bad(bad: u64) -> Run {
        Run { good: 0, bad }
    }

    #[test]
    fn more_than_half_of_the_last_thousand_decide() {
        let mut window = Window::default();
        window.push(bad(999));
        assert!(!window.is_mostly_bad(), "too few");
        window.push(bad(1));
        assert!(window.is_mostly_bad());
        window.push(good(499));
        assert!(window.is_mostly_bad());
        window.push(good(1));
        assert!(!window.is_mostly_bad(), "half of them");
    }

    #[test]
    fn a_long_past_does_not_count() {
        let mut window = Window::default();
        window.push(good(1_000_000));
        window.push(bad(500));
        assert!(!window.is_mostly_bad());
        window.push(bad(1));
        assert!(window.is_mostly_bad());
        assert_eq!(
            window.sum(),
            Run {
                good: 499,
                bad: 501
            }
        );
    }

    #[test]
    fn partitions_are_read_evenly_whichever_comes_first() {
        let parts = vec![vec![bad(3_000)], vec![good(7_000)]];
        let mut window = Window::default();
        for run in interleave(parts) {
            window.push(run);
            assert!(!window.is_mostly_bad());
        }
    }

    #[test]
    fn the_order_within_partitions_is_kept() {
        let part = || vec![good(5_000), bad(1_000)];
        let runs = interleave(vec![part(), part(), part()]);
        let mut window = Window::default();
        runs.into_iter().for_each(|run| window.push(run));
        assert!(window.is_mostly_bad());
        assert_eq!(window.sum(), bad(1_000));
    }

    proptest! {
        #[test]
        fn no_message_is_lost_or_made_up(
            parts in prop::collection::vec(prop::collection::vec((0..2_000u64, 0..2_000u64), 0..5), 0..5),
        ) {
            let run = |(good, bad)| Run { good, bad };
            let parts: Vec<Vec<Run>> = parts
                .into_iter()
                .map(|runs| runs.into_iter().map(run).collect())
                .collect();
            let whole = parts.iter().flatten().fold(Run::default(), |sum, run| plus(sum, *run));
            let mut window = Window::default();
            let mut sum = Run::default();
            for run in interleave(parts) {
                sum = plus(sum, run);
                window.push(run);
                prop_assert!(window.sum().len() <= LAST);
            }
            prop_assert_eq!(sum, whole);
            prop_assert_eq!(window.sum().len(), whole.len().min(LAST));
        }
    }
}
