//! Which faults come, in which order: that follows from the seed alone. When they come
//! depends on the machine too.
//!
//! Faults are dealt from a shuffled deck with a card for each kind, and another deck
//! when it is empty. So each kind comes in every run that sees its first deck to the
//! end, and none is forgotten in a long one.

use end_to_end::samples::Dice;
use std::fmt;
use std::time::Duration;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    KillProcess,
    KillRun,
    FreezeProcess,
    TakeOver,
    Interrupt,
    KillBroker,
    FreezeBroker,
    KillPrimary,
    FreezePrimary,
    FullDisk,
    ReadOnlyDisk,
    CutMongodb,
    HoldMongodb,
    CutKafka,
    HoldKafka,
    CutPeers,
    HoldPeers,
}

/// What a fault is done to. There is one at a time for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Pipeline,
    Brokers,
    Primary,
    Disk,
    MongodbLines,
    KafkaLines,
}

/// Processes and workers of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) processes: usize,
    pub(crate) workers: usize,
    /// By `tidemark supervise`.
    pub(crate) supervised: bool,
}

/// One fault to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    /// How long it lasts, where it lasts.
    pub(crate) lasts: Duration,
    /// From its beginning to the next one's, at least.
    pub(crate) gap: Duration,
    /// Chooses whom it hits.
    pub(crate) pick: u64,
}

impl Kind {
    pub(crate) const ALL: [Kind; 17] = [
        Kind::KillProcess,
        Kind::KillRun,
        Kind::FreezeProcess,
        Kind::TakeOver,
        Kind::Interrupt,
        Kind::KillBroker,
        Kind::FreezeBroker,
        Kind::KillPrimary,
        Kind::FreezePrimary,
        Kind::FullDisk,
        Kind::ReadOnlyDisk,
        Kind::CutMongodb,
        Kind::HoldMongodb,
        Kind::CutKafka,
        Kind::HoldKafka,
        Kind::CutPeers,
        Kind::HoldPeers,
    ];

    pub(crate) fn target(self) -> Target {
        match self {
            Kind::KillProcess
            | Kind::KillRun
            | Kind::FreezeProcess
            | Kind::TakeOver
            | Kind::Interrupt
            | Kind::CutPeers
            | Kind::HoldPeers => Target::Pipeline,
            Kind::KillBroker | Kind::FreezeBroker => Target::Brokers,
            Kind::KillPrimary | Kind::FreezePrimary => Target::Primary,
            Kind::FullDisk | Kind::ReadOnlyDisk => Target::Disk,
            Kind::CutMongodb | Kind::HoldMongodb => Target::MongodbLines,
            Kind::CutKafka | Kind::HoldKafka => Target::KafkaLines,
        }
    }

    /// Whether it is over as soon as it is done.
    fn is_a_blow(self) -> bool {
        matches!(self, Kind::KillProcess | Kind::KillRun | Kind::Interrupt)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Kind::KillProcess => "kill a process",
            Kind::KillRun => "kill all processes",
            Kind::FreezeProcess => "freeze a process",
            Kind::TakeOver => "freeze and take over",
            Kind::Interrupt => "interrupt",
            Kind::KillBroker => "kill a broker",
            Kind::FreezeBroker => "freeze a broker",
            Kind::KillPrimary => "kill the primary",
            Kind::FreezePrimary => "freeze the primary",
            Kind::FullDisk => "full disk",
            Kind::ReadOnlyDisk => "read-only disk",
            Kind::CutMongodb => "cut MongoDB off",
            Kind::HoldMongodb => "hold MongoDB's lines",
            Kind::CutKafka => "cut Kafka off",
            Kind::HoldKafka => "hold Kafka's lines",
            Kind::CutPeers => "cut processes apart",
            Kind::HoldPeers => "hold processes' lines",
        })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (processes, workers) = (self.processes, self.workers);
        write!(formatter, "{processes}x{workers}")?;
        match self.supervised {
            true => formatter.write_str(" supervised"),
            false => Ok(()),
        }
    }
}

impl Shape {
    /// One or two processes of one or two workers, one in four of them supervised.
    pub(crate) fn draw(dice: &mut Dice) -> Shape {
        let two = |dice: &mut Dice| if dice.roll(2) == 0 { 1 } else { 2 };
        Shape {
            processes: two(dice),
            workers: two(dice),
            supervised: dice.roll(4) == 0,
        }
    }
}

/// All faults of a run, without an end.
#[derive(Debug)]
pub(crate) struct Plan {
    dice: Dice,
    deck: Vec<Kind>,
    kinds: Vec<Kind>,
    longest: Duration,
    dealt: usize,
}

impl Plan {
    /// Faults of these kinds, none of which lasts longer than `longest`.
    pub(crate) fn new(seed: u64, kinds: Vec<Kind>, longest: Duration) -> Plan {
        Plan {
            dice: Dice::new(seed),
            deck: Vec::new(),
            kinds,
            longest,
            dealt: 0,
        }
    }

    /// Whether every kind has been dealt.
    pub(crate) fn all_dealt(&self) -> bool {
        self.dealt >= self.kinds.len()
    }

    /// The next fault.
    pub(crate) fn deal(&mut self) -> Step {
        if self.deck.is_empty() {
            self.deck.clone_from(&self.kinds);
            for place in (1..self.deck.len()).rev() {
                let other = self.dice.roll(place as u64 + 1);
                let other = usize::try_from(other).expect("a place in the deck");
                self.deck.swap(place, other);
            }
        }
        let kind = self.deck.pop().expect("there is at least one kind");
        self.dealt += 1;
        let longest = u64::try_from(self.longest.as_millis()).expect("some seconds");
        // Short ones are more likely: it is beginnings and ends where things go wrong.
        let lasts = 300
            + self
                .dice
                .roll(longest - 300)
                .min(self.dice.roll(longest - 300));
        let gap = 500 + self.dice.roll(4500);
        Step {
            kind,
            lasts: match kind.is_a_blow() {
                true => Duration::ZERO,
                false => Duration::from_millis(lasts),
            },
            gap: Duration::from_millis(gap),
            pick: self.dice.roll(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(15);

    fn steps(seed: u64, count: usize) -> Vec<Step> {
        let mut plan = Plan::new(seed, Kind::ALL.to_vec(), LONGEST);
        (0..count).map(|_| plan.deal()).collect()
    }

    #[test]
    fn the_same_seed_is_the_same_plan() {
        assert_eq!(steps(7, 100), steps(7, 100));
        assert_ne!(steps(7, 100), steps(8, 100));
    }

    #[test]
    fn every_deck_has_every_kind_once() {
        for deck in steps(1, 5 * Kind::ALL.len()).chunks(Kind::ALL.len()) {
            let mut kinds: Vec<_> = deck.iter().map(|step| step.kind).collect();
            kinds.sort();
            assert_eq!(kinds, Kind::ALL);
            assert!(deck.iter().all(|step| step.lasts <= LONGEST));
        }
    }
}
