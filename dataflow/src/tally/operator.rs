//! The operator that judges a run, on worker 0.

use super::limit::SHARE_FROM;
use super::{Judging, Names, OverLimit, Tally, Verdicts};
use crate::Epoch;
use crate::background::Held;
use crate::epochs::take_before;
use crate::inputs::earliest;
use sinks::LetterCount;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe;
use timely::progress::frontier::MutableAntichain;

/// How often it is looked whether the last epochs that may be written are.
const LOOK: Duration = Duration::from_millis(20);

/// A run that ends by itself writes nothing before it has read so many messages, or all, where the
/// dead letters that it may have are limited: of a small one that has too many, nothing is written.
const SMALL: u64 = SHARE_FROM;

/// Judges a run by the tallies of all workers, and logs what is to be said of it. Returns a stream
/// without data: what its frontier has passed may be written. `written` follows what is.
///
/// When there are too many dead letters, the frontier stays, and `failed` is called once all that
/// may be written is.
pub fn judge<'scope>(
    tallies: StreamVec<'scope, Epoch, Tally>,
    judging: Judging,
    names: Names,
    written: probe::Handle<Epoch>,
    failed: impl Fn(OverLimit) + 'static,
) -> StreamVec<'scope, Epoch, ()> {
    let scope = tallies.scope();
    let mut builder = OperatorBuilder::new("Judge".to_owned(), scope);
    let mut tallies = builder.new_input(tallies, Exchange::new(|_: &Tally| 0));
    let (_output, allowed) = builder.new_output::<Vec<()>>();
    let activator = scope.activator_for(builder.operator_info().address);
    let here = scope.index() == 0;

    builder.build(move |mut capabilities| {
        let limited = judging.limit.is_some();
        let held = Held::new(capabilities.pop().filter(|_| here && limited));
        let mut state = match here {
            true => State::Judging(Bench::new(judging, names, held)),
            false => State::Elsewhere,
        };

        move |frontiers: &[MutableAntichain<Epoch>]| {
            tallies.for_each(|capability, tallies| {
                if let (State::Judging(bench), Some(epoch)) = (&mut state, capability.least()) {
                    bench.coming.entry(*epoch).or_default().append(tallies);
                }
            });
            if let State::Judging(bench) = &mut state
                && let Err(over) = bench.work(earliest(frontiers))
            {
                let held = std::mem::replace(&mut bench.held, Held::new(None));
                state = State::Over(Some(over), held);
            }
            if let State::Over(over, _) = &mut state
                && let Some(told) = over.take()
            {
                if written.less_than(&told.epoch.unwrap_or(Epoch::MIN)) {
                    *over = Some(told);
                    activator.activate_after(LOOK);
                } else {
                    failed(told);
                }
            }
        }
    });
    allowed
}

/// How the operator stands on a worker.
enum State {
    /// Another worker judges.
    Elsewhere,
    /// The run goes on, or has ended well.
    Judging(Bench),
    /// There are too many dead letters, which is yet to be told. What is held stays held.
    Over(
        Option<OverLimit>,
        #[expect(dead_code, reason = "it is held")] Held,
    ),
}

/// What is known of a run that goes on.
struct Bench {
    verdicts: Verdicts,
    coming: BTreeMap<Epoch, Vec<Tally>>,
    held: Held,
    /// Whether nothing may be written yet.
    waits: bool,
    before: LetterCount,
    /// What has been counted in the epochs that may be written.
    allowed: LetterCount,
    /// The first epoch that may not be written yet; none before any may.
    next: Option<Epoch>,
}

impl Bench {
    fn new(judging: Judging, names: Names, held: Held) -> Bench {
        Bench {
            waits: judging.ends_by_itself && judging.limit.is_some(),
            before: judging.before,
            allowed: judging.before,
            verdicts: Verdicts::new(judging, names),
            coming: BTreeMap::new(),
            held,
            next: None,
        }
    }

    /// Judges the epochs before `frontier` (`None`: all there are), and lets them be written.
    fn work(&mut self, frontier: Option<Epoch>) -> Result<(), OverLimit> {
        let now = Instant::now();
        for (epoch, tallies) in take_before(&mut self.coming, frontier) {
            let before = self.verdicts.counted();
            if tallies.iter().any(|tally| tally.is_full) {
                self.waits = false;
            }
            log(self.verdicts.add(tallies, now));
            if self.verdicts.is_over(false) {
                if !self.waits {
                    self.allow(Some(epoch), before);
                }
                return Err(self.verdicts.over(self.next, self.allowed));
            }
        }
        // Some of it is said when a while is over.
        log(self.verdicts.add(Vec::new(), now));
        let counted = self.verdicts.counted();
        let read = counted.messages - self.before.messages;
        self.waits = self.waits && read < SMALL && frontier.is_some();
        if frontier.is_none() {
            log(self.verdicts.end());
            if self.verdicts.is_over(true) {
                return Err(self.verdicts.over(self.next, self.allowed));
            }
        }
        if !self.waits {
            self.allow(frontier, counted);
        }
        Ok(())
    }

    fn allow(&mut self, frontier: Option<Epoch>, counted: LetterCount) {
        self.held.release(frontier);
        self.next = frontier;
        self.allowed = counted;
    }
}

fn log(lines: Vec<String>) {
    for line in lines {
        tracing::warn!("{line}");
    }
}
