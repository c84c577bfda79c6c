//! Who plays: the run that works now, those that it has replaced, and whoever starts
//! the next one.
//!
//! ```text
//!   start ─▶ run ─▶ all have ended ─▶ a moment ─▶ start, in another shape
//!             └─── taken over from ─▶ ghost ─▶ has to end with 1
//! ```
//!
//! Who notices that others are gone has to end as well, within [`NOTICE`]: nobody here
//! helps, as nobody would at night.

use crate::plan::Shape;
use crate::run::Run;
use end_to_end::Process;
use end_to_end::samples::Dice;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Within which a process ends that has lost another or its right to write.
const NOTICE: Duration = Duration::from_secs(60);

/// All runs there are.
pub(crate) struct Cast {
    arguments: Vec<String>,
    dice: Dice,
    run: Option<Run>,
    /// What the next start has to be like.
    wanted: Option<Shape>,
    /// When to start the next one.
    due: Instant,
    ghosts: Vec<(Run, Instant)>,
    /// Of those that have ended since the last verdict: for their logs.
    ended: Vec<Process>,
    /// Runs that were started.
    pub(crate) runs: usize,
    pub(crate) told: Told,
}

/// What is told of starts and ends.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// How processes have ended, and how often.
    pub(crate) exits: BTreeMap<String, usize>,
    /// What has happened and is not printed yet.
    pub(crate) news: Vec<String>,
}

impl Drop for Cast {
    /// Those that are frozen do not notice that their supervisor has gone.
    fn drop(&mut self) {
        let ghosts = self.ghosts.iter_mut().map(|(run, _)| run);
        ghosts.chain(&mut self.run).for_each(Run::kill_all);
    }
}

impl Told {
    /// Whether a run has ended; whoever has is told of.
    fn by(&mut self, run: &mut Run) -> bool {
        let number = run.number;
        run.has_ended(|exit| {
            self.news.push(format!("  run {number:<4} ends: {exit}"));
            *self.exits.entry(exit).or_default() += 1;
        })
    }
}

impl Cast {
    /// Nobody yet. Runs are started with these arguments.
    pub(crate) fn new(arguments: Vec<String>, seed: u64) -> Cast {
        Cast {
            arguments,
            dice: Dice::new(seed ^ 0x5eed),
            run: None,
            wanted: None,
            due: Instant::now(),
            ghosts: Vec::new(),
            ended: Vec::new(),
            runs: 0,
            told: Told::default(),
        }
    }

    /// Looks after everybody: to be called all the time.
    ///
    /// # Panics
    /// When somebody has ended without a reason, or does not end with one.
    pub(crate) fn tend(&mut self) {
        self.tend_ghosts();
        let Some(run) = &mut self.run else {
            if Instant::now() >= self.due {
                self.start();
            }
            return;
        };
        let over = self.told.by(run);
        let waiting = run.uneven.filter(|_| !run.has_frozen());
        if over {
            let run = self.run.take().expect("it was there");
            self.ended.extend(run.into_processes());
            let wait = 100 + self.dice.roll(1400);
            self.due = Instant::now() + Duration::from_millis(wait);
        } else if let Some(since) = waiting {
            if run.is_waiting() {
                // Who had not met the others yet waits for them for as long as it
                // takes. Whoever starts it knows better.
                run.kill_all();
            }
            assert!(
                since.elapsed() < NOTICE,
                "a process has not noticed for {NOTICE:?} that others of its run have ended"
            );
        } else if run.is_frozen() && run.uneven.is_some() && self.dice.roll(40) == 0 {
            // Only who sleeps is left. It is not waited for, or not always.
            self.take_over();
        }
    }

    fn tend_ghosts(&mut self) {
        for (mut run, since) in std::mem::take(&mut self.ghosts) {
            if self.told.by(&mut run) {
                run.check_replaced();
                self.ended.extend(run.into_processes());
                continue;
            }
            // It is given its time from when it was thawed.
            let since = if run.has_frozen() {
                Instant::now()
            } else {
                since
            };
            assert!(
                since.elapsed() < NOTICE,
                "a run that was replaced has not ended after {NOTICE:?}"
            );
            self.ghosts.push((run, since));
        }
    }

    fn start(&mut self) {
        let drawn = Shape::draw(&mut self.dice);
        let shape = self.wanted.take().unwrap_or(drawn);
        let mut arguments = self.arguments.clone();
        self.runs += 1;
        let mut news = format!("  run {:<4} starts: {shape}", self.runs);
        if !self.ghosts.is_empty() {
            // The one that was to take over may have been killed before it did. Then it
            // is up to this one, and nobody had to notice before.
            arguments.push("--take-over".to_owned());
            news.push_str(", takes over");
            for (_, since) in &mut self.ghosts {
                *since = Instant::now();
            }
        }
        self.run = Some(Run::start(self.runs, &arguments, shape));
        self.told.news.push(news);
    }

    /// Starts a run that takes over from the one there is, which is frozen.
    pub(crate) fn take_over(&mut self) {
        if let Some(mut old) = self.run.take() {
            old.set_replaced();
            self.ghosts.push((old, Instant::now()));
        }
        self.start();
    }

    /// Thaws everybody.
    pub(crate) fn thaw(&mut self) {
        for (ghost, since) in &mut self.ghosts {
            if ghost.has_frozen() {
                *since = Instant::now();
            }
            ghost.thaw();
        }
        if let Some(run) = &mut self.run {
            run.thaw();
        }
    }

    /// The run that works now, if there is one and it still has processes.
    pub(crate) fn run(&mut self) -> Option<&mut Run> {
        self.run.as_mut()
    }

    /// The next start is of this shape.
    pub(crate) fn want(&mut self, shape: Shape) {
        self.wanted = Some(shape);
    }

    /// Whether runs that were replaced are still there.
    pub(crate) fn has_ghosts(&self) -> bool {
        !self.ghosts.is_empty()
    }

    /// Runs once until all that the topics hold is written.
    ///
    /// # Panics
    /// When that does not end with 0.
    pub(crate) fn run_until_caught_up(&mut self) {
        let mut arguments = self.arguments.clone();
        arguments.push("--until-caught-up".to_owned());
        self.runs += 1;
        let mut process = Process::start("tidemark", "chaos-last", &arguments, &[]);
        assert_eq!(process.exit_code(NOTICE), Some(0), "{}", process.output());
        self.ended.push(process);
    }

    /// Starts one more process by itself, with more arguments. Whoever asks for it looks
    /// after it.
    pub(crate) fn start_last(&mut self, more: &[&str]) -> Process {
        let mut arguments = self.arguments.clone();
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        self.runs += 1;
        Process::start("tidemark", "chaos-closing", &arguments, &[])
    }

    /// All is well, so that nobody will ask for the logs of those that have ended.
    pub(crate) fn forget_logs(&mut self) {
        self.ended.clear();
    }
}
