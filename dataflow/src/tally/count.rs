//! What one worker counts while an epoch is open.

use super::record::{Kind, LetterTally, Run, Sample, Tally, TopicTally, ViewTally};
use events::forms;
use sinks::{DeadLetter, Reason};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Messages whose order is not told.
const STEP: u64 = 100;

/// Counts messages, and those of them that could not be used.
#[derive(Debug)]
pub struct Counting {
    /// The offsets before which an earlier run has committed the effect of messages.
    committed: Arc<BTreeMap<(usize, i32), i64>>,
    topics: Vec<Topic>,
    /// The topic and the place in it of the partition that was read last.
    last: Option<(usize, usize)>,
    /// Whether the current message counts towards a limit of dead letters.
    counts: bool,
    tally: Tally,
    letters: BTreeMap<Kind, LetterTally>,
}

/// A topic, by the messages of the open epoch.
#[derive(Debug)]
struct Topic {
    /// Without a prefix.
    name: String,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    partition: i32,
    /// Messages from this offset on count towards a limit.
    committed: i64,
    /// Messages, in their order; the last ones are still added to.
    runs: Vec<Run>,
    open: Run,
}

impl Counting {
    /// Nothing yet, of topics with these names (without a prefix). Messages at offsets below
    /// `committed` do not count towards a limit of dead letters.
    pub fn new(
        topics: impl Iterator<Item = String>,
        committed: Arc<BTreeMap<(usize, i32), i64>>,
    ) -> Counting {
        let topic = |name| Topic {
            name,
            parts: Vec::new(),
        };
        Counting {
            committed,
            topics: topics.map(topic).collect(),
            last: None,
            counts: false,
            tally: Tally::default(),
            letters: BTreeMap::new(),
        }
    }

    /// A message is read. `is_backfill`: it was before, and is read for a backfill.
    #[inline]
    pub fn message(&mut self, topic: usize, partition: i32, offset: i64, is_backfill: bool) {
        let place = match self.last {
            Some((last, place))
                if last == topic && self.topics[topic].parts[place].partition == partition =>
            {
                place
            }
            _ => self.find(topic, partition),
        };
        self.last = Some((topic, place));
        let part = &mut self.topics[topic].parts[place];
        self.counts = !is_backfill && offset >= part.committed;
        self.tally.counted += u64::from(self.counts);
        if !is_backfill {
            part.good();
        }
    }

    fn find(&mut self, topic: usize, partition: i32) -> usize {
        let parts = &mut self.topics[topic].parts;
        let known = parts.iter().position(|part| part.partition == partition);
        known.unwrap_or_else(|| {
            let committed = self.committed.get(&(topic, partition));
            parts.push(Part {
                partition,
                committed: committed.copied().unwrap_or(0),
                runs: Vec::new(),
                open: Run::default(),
            });
            parts.len() - 1
        })
    }

    /// The current message has become a dead letter. `view`: for that one; else it is
    /// malformed, and `what` says why, with nothing of the message in it.
    #[cold]
    pub fn letter(&mut self, letter: &DeadLetter, view: Option<usize>, what: &str) {
        let Some((topic, place)) = self.last else {
            return;
        };
        let of_topic = &mut self.topics[topic];
        let kind = match view {
            None => {
                of_topic.parts[place].spoil();
                let what = what.to_owned();
                Kind::Malformed { topic, what }
            }
            Some(view) => Kind::Refused {
                topic,
                view,
                reason: letter.reason,
            },
        };
        let counted = u64::from(self.counts);
        if let Some(tally) = self.letters.get_mut(&kind) {
            tally.letters += 1;
            tally.counted += counted;
            return;
        }
        let more = match view {
            None => forms::recognise(&of_topic.name, &letter.value).map(|form| form.to_string()),
            // What stands there of other reasons are times.
            Some(_) => (letter.reason != Reason::Malformed).then(|| letter.detail.clone()),
        };
        let tally = LetterTally {
            kind: kind.clone(),
            letters: 1,
            counted,
            sample: Sample {
                partition: letter.partition,
                offset: letter.offset,
                more,
            },
        };
        self.letters.insert(kind, tally);
    }

    /// A view was given so much more.
    pub fn view(&mut self, more: ViewTally) {
        let ViewTally {
            view,
            judged,
            late,
            from_the_future,
            spread,
        } = more;
        if judged + from_the_future == 0 {
            return;
        }
        let views = &mut self.tally.views;
        match views.iter_mut().find(|known| known.view == view) {
            Some(known) => {
                known.judged += judged;
                known.late += late;
                known.from_the_future += from_the_future;
                known.spread = spread;
            }
            None => views.push(more),
        }
    }

    /// Whether the worker reads nothing more until something is written.
    pub fn full(&mut self, is_full: bool) {
        self.tally.is_full = is_full;
    }

    /// What has been counted since this was last called, if anything.
    pub fn take(&mut self) -> Option<Tally> {
        let mut tally = std::mem::take(&mut self.tally);
        self.tally.is_full = tally.is_full;
        for (topic, of_topic) in self.topics.iter_mut().enumerate() {
            let parts = of_topic.parts.iter_mut().map(Part::take);
            let parts: Vec<_> = parts.filter(|runs| !runs.is_empty()).collect();
            let runs = parts.iter().flatten();
            let (good, bad) =
                runs.fold((0, 0), |(good, bad), run| (good + run.good, bad + run.bad));
            if good + bad > 0 {
                let parts = match bad {
                    0 => vec![vec![Run { good, bad }]],
                    _ => parts,
                };
                tally.topics.push(TopicTally { topic, parts });
            }
        }
        let letters = std::mem::take(&mut self.letters);
        tally.letters = letters.into_values().collect();
        (!tally.is_empty()).then_some(tally)
    }
}

impl Part {
    #[inline]
    fn good(&mut self) {
        if self.open.len() >= STEP {
            self.close();
        }
        self.open.good += 1;
    }

    /// The last message is malformed.
    fn spoil(&mut self) {
        self.open.good -= 1;
        self.open.bad += 1;
    }

    fn close(&mut self) {
        let run = std::mem::take(&mut self.open);
        match self.runs.last_mut() {
            // The same however they are cut.
            Some(last) if last.bad + run.bad == 0 || last.good + run.good == 0 => {
                last.good += run.good;
                last.bad += run.bad;
            }
            _ => self.runs.push(run),
        }
    }

    fn take(&mut self) -> Vec<Run> {
        if !self.open.is_empty() {
            self.close();
        }
        std::mem::take(&mut self.runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> Counting {
        let committed = BTreeMap::from([((0, 1), 5)]);
        Counting::new(
            ["transactions", "customers"].map(str::to_owned).into_iter(),
            Arc::new(committed),
        )
    }

    fn letter(partition: i32, offset: i64, reason: Reason, value: &[u8]) -> DeadLetter {
        DeadLetter {
            topic: "shop-transactions".to_owned(),
            partition,
            offset,
            timestamp: Some(0),
            reason,
            detail: "its window had closed".to_owned(),
            view: None,
            key: None,
            value: value.to_vec(),
            epoch: 1,
        }
    }

    #[test]
    fn partitions_are_told_apart_where_one_has_malformed_messages() {
        let mut counting = counting();
        for offset in 0..250 {
            counting.message(0, 0, offset, false);
            counting.message(0, 1, offset, false);
            if offset >= 100 {
                let letter = letter(1, offset, Reason::Malformed, b"\0\0\0\0\x07{}");
                counting.letter(&letter, None, "not JSON");
            }
            counting.message(1, 0, offset, false);
            counting.message(1, 1, offset, false);
        }
        let tally = counting.take().unwrap();
        let good = |good| Run { good, bad: 0 };
        let transactions = [vec![good(250)], vec![good(100), Run { good: 0, bad: 150 }]];
        assert_eq!(tally.topics[0].parts, transactions);
        assert_eq!(tally.topics[1].parts, [[good(500)]]);
        assert_eq!(tally.counted, 995, "five were committed");
        let [letters] = &tally.letters[..] else {
            panic!("{tally:?}")
        };
        assert_eq!((letters.letters, letters.counted), (150, 150));
        assert_eq!((letters.sample.partition, letters.sample.offset), (1, 100));
        let more = letters.sample.more.as_deref().unwrap();
        assert!(more.contains("schema id 7"), "{more}");
        assert_eq!(counting.take(), None, "it is told once");
    }

    #[test]
    fn what_was_committed_or_is_backfilled_does_not_count_towards_a_limit() {
        let mut counting = counting();
        for (offset, is_backfill) in [(4, false), (5, false), (6, true)] {
            counting.message(0, 1, offset, is_backfill);
            counting.letter(&letter(1, offset, Reason::Late, b"{}"), Some(3), "");
        }
        let tally = counting.take().unwrap();
        assert_eq!(tally.counted, 1);
        assert_eq!((tally.letters[0].letters, tally.letters[0].counted), (3, 1));
        let more = tally.letters[0].sample.more.as_deref();
        assert_eq!(more, Some("its window had closed"));
    }

    #[test]
    fn a_full_worker_says_so_until_it_is_not() {
        let mut counting = counting();
        counting.full(true);
        assert!(counting.take().unwrap().is_full);
        assert!(counting.take().unwrap().is_full);
        counting.full(false);
        assert_eq!(counting.take(), None);
    }
}
