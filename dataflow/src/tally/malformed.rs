//! Whether most messages of a topic are malformed.
//!
//! One is a producer's mistake; most of them are a topic that this program does not read: framed for
//! a schema registry, in an envelope, with other names. Such a run ends well and has counted
//! nothing, so it is said: when more than half of the last thousand messages are malformed, and at
//! the end of a run of all.

use super::record::{LetterTally, Run, Sample};
use super::window::{LAST, Window, interleave, plus};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use telemetry::format::count;

/// So many messages decide at the end of a run.
const ENOUGH_AT_THE_END: u64 = 10;
/// What was said of a topic that has recovered is not said again within this time: its partitions may
/// come in turns.
const QUIET: Duration = Duration::from_secs(5);

/// The messages of a topic in this run.
#[derive(Debug, Default)]
pub(super) struct Topic {
    window: Window,
    all: Run,
    reasons: Reasons,
    /// When it was said last that most are malformed.
    said: Option<Instant>,
    /// Whether that is so still.
    is_bad: bool,
}

/// Why messages are malformed, how many are, and one of them.
type Counts = BTreeMap<String, (u64, Sample)>;

/// The reasons of a whole run, and those of the last messages.
#[derive(Debug, Default)]
struct Reasons {
    all: Counts,
    /// Of the last thousand and less than two thousand more.
    recent: [Counts; 2],
    /// Messages since the newer of these was begun.
    messages: u64,
}

/// That most messages of a topic are malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MostlyMalformed {
    /// Whether it is said of all messages of a run, and not of the last ones.
    of_all: bool,
    messages: Run,
    reason: Option<(String, Sample)>,
}

impl Topic {
    /// What was read of it in an epoch: of each partition by each worker, and why messages are
    /// malformed. `repeats`: what was said of it may be said again.
    pub(super) fn add(
        &mut self,
        parts: Vec<Vec<Run>>,
        letters: &[(&str, &LetterTally)],
        now: Instant,
        repeats: bool,
    ) -> Option<MostlyMalformed> {
        let mut at_worst = self.window.is_mostly_bad().then(|| self.window.sum());
        let mut read = Run::default();
        for run in interleave(parts) {
            read = plus(read, run);
            self.window.push(run);
            if self.window.is_mostly_bad() {
                at_worst = Some(self.window.sum());
            }
        }
        self.all = plus(self.all, read);
        self.reasons.add(read.len(), letters);
        let quiet = match self.said {
            Some(said) => !repeats || now.saturating_duration_since(said) < QUIET,
            None => false,
        };
        let said = match at_worst {
            Some(messages) if !self.is_bad && !quiet => {
                self.said = Some(now);
                self.is_bad = true;
                let reason = commonest(self.reasons.recent.iter().flatten());
                Some(MostlyMalformed {
                    of_all: false,
                    messages,
                    reason,
                })
            }
            _ => None,
        };
        self.is_bad = self.is_bad && self.window.is_mostly_bad();
        said
    }

    /// What is to be said at the end of a run.
    pub(super) fn end(&self) -> Option<MostlyMalformed> {
        let is_most = self.all.len() >= ENOUGH_AT_THE_END && self.all.bad > self.all.len() / 2;
        (is_most && self.said.is_none()).then(|| MostlyMalformed {
            of_all: true,
            messages: self.all,
            reason: commonest(self.reasons.all.iter()),
        })
    }
}

impl Reasons {
    fn add(&mut self, messages: u64, letters: &[(&str, &LetterTally)]) {
        if self.messages >= LAST {
            self.recent.swap(0, 1);
            self.recent[0].clear();
            self.messages = 0;
        }
        self.messages += messages;
        for (what, tally) in letters {
            for counts in [&mut self.all, &mut self.recent[0]] {
                match counts.get_mut(*what) {
                    Some((letters, _)) => *letters += tally.letters,
                    None => {
                        let first = (tally.letters, tally.sample.clone());
                        counts.insert((*what).to_owned(), first);
                    }
                }
            }
        }
    }
}

/// The reason with the most letters, and one of them.
fn commonest<'a>(
    counts: impl Iterator<Item = (&'a String, &'a (u64, Sample))>,
) -> Option<(String, Sample)> {
    let mut sums: BTreeMap<&str, (u64, &Sample)> = BTreeMap::new();
    for (what, (letters, sample)) in counts {
        sums.entry(what).or_insert((0, sample)).0 += letters;
    }
    let most = sums.into_iter().max_by_key(|(_, (letters, _))| *letters);
    most.map(|(what, (_, sample))| (what.to_owned(), sample.clone()))
}

impl MostlyMalformed {
    /// What to tell of the topic `name`.
    pub(super) fn sentence(&self, name: &str) -> String {
        let MostlyMalformed {
            of_all,
            messages,
            reason,
        } = self;
        let which = if *of_all { "" } else { "last " };
        let percent = 100 * u128::from(messages.bad) / u128::from(messages.len().max(1));
        let mut text = format!(
            "{name}: {} of its {which}{} messages ({percent} %) are malformed and are dead letters, in no view",
            count(messages.bad),
            count(messages.len()),
        );
        if let Some((
            what,
            Sample {
                partition,
                offset,
                more,
            },
        )) = reason
        {
            text += &format!(
                ". The commonest reason: {what}, such as partition {partition} offset {offset}"
            );
            if let Some(more) = more {
                text += &format!(". Hint: {more}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Kind;
    use super::*;

    fn letters(what: &str, letters: u64) -> LetterTally {
        LetterTally {
            kind: Kind::Malformed {
                topic: 0,
                what: what.to_owned(),
            },
            letters,
            counted: letters,
            sample: Sample {
                partition: 2,
                offset: 17,
                more: Some("it is an array: send one message for each event".to_owned()),
            },
        }
    }

    /// A topic of one partition, whose clock is set by hand.
    struct Log {
        topic: Topic,
        now: Instant,
        repeats: bool,
    }

    impl Log {
        fn new() -> Log {
            Log {
                topic: Topic::default(),
                now: Instant::now(),
                repeats: true,
            }
        }

        fn read(&mut self, good: u64, bad: u64) -> Option<MostlyMalformed> {
            self.read_for(good, bad, "not JSON")
        }

        fn read_for(&mut self, good: u64, bad: u64, what: &str) -> Option<MostlyMalformed> {
            let tally = letters(what, bad);
            let because = [(what, &tally)];
            let because = if bad > 0 { &because[..] } else { &[] };
            let parts = vec![vec![Run { good, bad: 0 }, Run { good: 0, bad }]];
            self.topic.add(parts, because, self.now, self.repeats)
        }

        fn later(&mut self) {
            self.now += QUIET;
        }
    }

    #[test]
    fn two_thousand_are_said_once_and_not_again_at_the_end() {
        let mut log = Log::new();
        let said: Vec<_> = (0..20).filter_map(|_| log.read(0, 100)).collect();
        assert_eq!(said.len(), 1);
        assert_eq!(
            said[0].messages,
            Run {
                good: 0,
                bad: 1_000
            }
        );
        assert_eq!(log.topic.end(), None);
    }

    #[test]
    fn fifty_are_said_at_the_end_and_nine_are_not() {
        let mut log = Log::new();
        assert_eq!(log.read(0, 9), None);
        assert_eq!(log.topic.end(), None);
        assert_eq!(log.read(19, 22), None);
        let said = log.topic.end().unwrap();
        assert_eq!(
            said.sentence("shop-transactions"),
            "shop-transactions: 31 of its 50 messages (62 %) are malformed and are dead letters, in no view. The \
             commonest reason: not JSON, such as partition 2 offset 17. Hint: it is an array: send one message for each event"
        );
        assert_eq!(log.read(12, 0), None);
        assert_eq!(log.topic.end(), None, "half of them");
    }

    #[test]
    fn good_ones_before_them_in_the_same_epoch_do_not_hide_them() {
        let mut log = Log::new();
        let said = log.read(50_000, 2_000).unwrap();
        assert!(
            said.sentence("x").contains(" of its last 1,000 messages ("),
            "{said:?}"
        );
    }

    #[test]
    fn it_is_said_again_when_it_had_recovered() {
        let mut log = Log::new();
        assert!(log.read(0, 1_000).is_some());
        assert!(log.read(499, 1).is_none());
        assert!(log.read(0, 1_000).is_none(), "it had not");
        log.later();
        assert!(log.read(0, 1_000).is_none(), "it had not");
        assert!(log.read(1_000, 0).is_none());
        assert!(log.read(0, 1_000).is_some());
        assert!(log.read(1_000, 0).is_none());
        assert!(log.read(0, 1_000).is_none(), "too soon");
        log.later();
        assert!(log.read(0, 1).is_some(), "it is so still");
    }

    #[test]
    fn a_run_that_ends_by_itself_says_it_once() {
        let mut log = Log::new();
        log.repeats = false;
        assert!(log.read(0, 1_000).is_some());
        assert!(log.read(1_000, 0).is_none());
        log.later();
        assert!(log.read(0, 1_000).is_none());
    }

    #[test]
    fn the_reason_is_that_of_the_last_messages() {
        let mut log = Log::new();
        for _ in 0..100 {
            assert_eq!(log.read_for(900, 100, "`quantity` is missing"), None);
        }
        let said = (0..10).find_map(|_| log.read_for(0, 100, "not UTF-8"));
        let (what, _) = said.unwrap().reason.unwrap();
        assert_eq!(what, "not UTF-8");
    }
}
