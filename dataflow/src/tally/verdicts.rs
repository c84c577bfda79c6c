//! What is made of all workers' tallies, in the order of epochs.

use super::limit::{Limit, OverLimit};
use super::malformed;
use super::record::{Kind, LetterTally, Sample, Tally};
use super::views::{Given, Mostly};
use super::{Judging, Names};
use crate::Epoch;
use sinks::LetterCount;
use std::collections::BTreeMap;
use std::time::Instant;
use telemetry::format::count;

/// Reasons that are named when there are too many dead letters.
const NAMED: usize = 5;

/// The verdicts on a run, as far as it has come.
#[derive(Debug)]
pub struct Verdicts {
    judging: Judging,
    names: Names,
    topics: Vec<malformed::Topic>,
    views: Vec<Given>,
    letters: BTreeMap<Kind, LetterTally>,
    counted: LetterCount,
}

impl Verdicts {
    /// On a run of which nothing is known yet.
    pub fn new(judging: Judging, names: Names) -> Verdicts {
        Verdicts {
            counted: judging.before,
            topics: names
                .topics
                .iter()
                .map(|_| malformed::Topic::default())
                .collect(),
            views: vec![Given::default(); names.views.len()],
            judging,
            names,
            letters: BTreeMap::new(),
        }
    }

    /// Takes in what all workers have read in an epoch. Returns what is to be logged.
    pub fn add(&mut self, tallies: Vec<Tally>, now: Instant) -> Vec<String> {
        let mut parts: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        let mut letters = Vec::new();
        for tally in tallies {
            for topic in tally.topics {
                parts.entry(topic.topic).or_default().extend(topic.parts);
            }
            for view in &tally.views {
                if let Some(given) = self.views.get_mut(usize::from(view.view)) {
                    given.add(view);
                }
            }
            self.counted.messages += tally.counted;
            letters.extend(tally.letters);
        }
        let mut lines = Vec::new();
        let repeats = !self.judging.ends_by_itself;
        for (number, topic) in self.topics.iter_mut().enumerate() {
            let parts = parts.remove(&number).unwrap_or_default();
            let of_topic = letters.iter().filter_map(|tally| match &tally.kind {
                Kind::Malformed { topic, what } if *topic == number => Some((what.as_str(), tally)),
                _ => None,
            });
            let of_topic: Vec<_> = of_topic.collect();
            let said = topic.add(parts, &of_topic, now, repeats);
            lines.extend(said.map(|said| said.sentence(&self.names.topics[number])));
        }
        letters.into_iter().for_each(|tally| self.count(tally));
        lines.extend(self.decide_views(false));
        lines
    }

    /// Nothing more is read. Returns what is to be logged.
    pub fn end(&mut self) -> Vec<String> {
        let topics = self.topics.iter().zip(self.names.topics.iter());
        let of_topics = topics.filter_map(|(topic, name)| Some(topic.end()?.sentence(name)));
        let mut lines: Vec<_> = of_topics.collect();
        lines.extend(self.decide_views(true));
        lines
    }

    /// Messages and dead letters that count towards the limit.
    pub fn counted(&self) -> LetterCount {
        self.counted
    }

    /// Whether there are too many dead letters. `ended`: there will be no more messages.
    pub fn is_over(&self, ended: bool) -> bool {
        let limit = self.judging.limit;
        limit.is_some_and(|limit| limit.is_passed(self.counted, ended))
    }

    /// That there are too many. `committed` is of the epochs before `epoch`, which alone are
    /// written then; `None`: nothing is.
    pub fn over(&self, epoch: Option<Epoch>, committed: LetterCount) -> OverLimit {
        OverLimit {
            limit: self.judging.limit.unwrap_or(Limit::Letters(0)),
            counted: self.counted,
            before: self.judging.before,
            committed,
            epoch,
            reasons: self.reasons(),
        }
    }

    fn count(&mut self, tally: LetterTally) {
        self.counted.letters += tally.counted;
        match self.letters.get_mut(&tally.kind) {
            Some(known) => {
                if known.counted == 0 {
                    known.sample = tally.sample;
                }
                known.letters += tally.letters;
                known.counted += tally.counted;
            }
            None => drop(self.letters.insert(tally.kind.clone(), tally)),
        }
    }

    fn decide_views(&mut self, ended: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, given) in self.views.iter_mut().enumerate() {
            let (name, time, lateness) = &self.names.views[number];
            for mostly in given.decide(ended) {
                let mut letters = self.letters.values();
                let example = match mostly {
                    Mostly::FromTheFuture(..) => {
                        letters.find(|tally| tally.kind.is_from_the_future(number))
                    }
                    Mostly::Late(_) => None,
                };
                let example = example.map(|tally| example_of(&tally.sample));
                lines.push(mostly.sentence(name, time, lateness, example.as_deref()));
            }
        }
        lines
    }

    /// The commonest reasons of letters that count towards the limit.
    fn reasons(&self) -> Vec<String> {
        let counted = self.letters.values().filter(|tally| tally.counted > 0);
        let mut most: Vec<_> = counted.collect();
        most.sort_by_key(|tally| std::cmp::Reverse(tally.counted));
        let named = most.iter().take(NAMED).map(|tally| {
            let what = match &tally.kind {
                Kind::Malformed { what, .. } => what.clone(),
                Kind::Refused { view, reason, .. } => {
                    let view = self.names.views.get(*view).map_or("?", |(name, ..)| name);
                    format!("{} for {view}", reason.as_str())
                }
            };
            let topic = self.names.topics.get(tally.kind.topic());
            let topic = topic.map_or("?", |name| name);
            let (letters, example) = (count(tally.counted), example_of(&tally.sample));
            format!("{letters} × {topic}: {what} ({example})")
        });
        let mut named: Vec<_> = named.collect();
        let others = most.iter().skip(NAMED).map(|tally| tally.counted).sum();
        if others > 0 {
            named.push(format!("{} × others", count(others)));
        }
        named
    }
}

fn example_of(sample: &Sample) -> String {
    let Sample {
        partition,
        offset,
        more,
    } = sample;
    let more = more.as_ref().map(|more| format!(": {more}"));
    let more = more.unwrap_or_default();
    format!("such as partition {partition} offset {offset}{more}")
}

#[cfg(test)]
#[path = "verdicts_tests.rs"]
mod tests;
