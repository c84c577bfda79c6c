//! How a run takes the right to write, whatever the database.
//!
//! ```text
//!   look ─▶ nobody, or ended, or gone, or told to take over ──────────▶ take
//!     ▲   └▶ alive, perhaps ─▶ ask ─▶ answered ─▶ Held                   │
//!     │                         └──▶ silent for as long as patience ─────┤
//!     └──────────── somebody else was quicker ───────────────────────────┘
//! ```
//!
//! Only the last step changes anything that counts, and it is one compare-and-set on
//! the generation: of any number of runs that claim at the same time, one gets it, and
//! the others look again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::alive::{self, Place};
use crate::{Claim, Holder, SinkError};
use model::fail_point;

/// What the database says of who writes.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) holder: Holder,
    /// Where its process can be looked for.
    pub(crate) place: Option<Place>,
    pub(crate) ended: bool,
    /// What it has answered last.
    pub(crate) answer: Option<i64>,
}

/// Where a database keeps who writes. All that returns is durable.
pub(crate) trait Register {
    /// Who has claimed it last.
    fn look(&self) -> Result<Option<Seen>, SinkError>;

    /// Makes `holder` the holder if the generation is still `last` (`None`: there is
    /// none), and says whether it was.
    fn take(
        &self,
        last: Option<u64>,
        holder: &Holder,
        place: Option<&Place>,
    ) -> Result<bool, SinkError>;

    /// Asks the holder of this generation to answer with this number, if it is still
    /// the last.
    fn ask(&self, generation: u64, question: i64) -> Result<(), SinkError>;

    /// Which database, as a person would name it.
    fn describe(&self) -> &str;
}

/// The generation that a storage writes under, once it has one.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// 0 before the first.
    generation: AtomicU64,
}

impl Held {
    pub(crate) fn set(&self, generation: u64) {
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// It, or an error where the storage has neither been claimed nor entered.
    pub(crate) fn generation(&self, database: &str) -> Result<u64, SinkError> {
        match self.generation.load(Ordering::Relaxed) {
            0 => Err(SinkError::refused(
                database,
                "it must be claimed before it is written",
            )),
            generation => Ok(generation),
        }
    }
}

/// Between two looks for an answer, and before looking again after losing.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a claim may lose to others. Only somebody who claims all the time can take so
/// long, or a database that does not show what was written to it.
const LOSING: Duration = Duration::from_secs(5);

/// Takes the right to write, as `claim` says.
pub(crate) fn claim(register: &dyn Register, claim: &Claim) -> Result<Holder, SinkError> {
    let place = Place::of(claim.process);
    let mut losing = None;
    loop {
        let seen = register.look()?;
        if let Some(seen) = &seen
            && !claim.take_over
            && may_be_alive(seen, claim, place.as_ref())
        {
            match ask(register, seen, claim.patience)? {
                Asked::Answered => {
                    return Err(SinkError::Held {
                        database: register.describe().to_owned(),
                        by: seen.holder.clone(),
                    });
                }
                Asked::Another => continue,
                Asked::Silent => {}
            }
        }
        let last = seen.map(|seen| seen.holder.generation);
        let holder = claim.holder(last.unwrap_or(0).saturating_add(1));
        fail_point("claim.before");
        if register.take(last, &holder, place.as_ref())? {
            fail_point("claim.after");
            return Ok(holder);
        }
        let since = *losing.get_or_insert_with(Instant::now);
        if since.elapsed() >= LOSING {
            return Err(SinkError::unavailable(
                register.describe(),
                format!(
                    "who may write is never what it was when it was looked up, for {:.0} s now; \
                     {holder} cannot take over",
                    since.elapsed().as_secs_f32()
                ),
            ));
        }
        std::thread::sleep(PAUSE);
    }
}

fn may_be_alive(seen: &Seen, claim: &Claim, place: Option<&Place>) -> bool {
    // A claim that got no answer has passed after all, and is made again.
    let is_our_own = seen.holder == claim.holder(seen.holder.generation);
    if seen.ended || is_our_own {
        return false;
    }
    let there = seen.place.as_ref().zip(place);
    let same_host = seen.holder.host == claim.host;
    !there
        .is_some_and(|(there, here)| same_host && alive::is_gone(seen.holder.process, there, here))
}

/// What came of asking.
enum Asked {
    /// The holder is alive.
    Answered,
    /// Nobody answered in time.
    Silent,
    /// The holder is another one now.
    Another,
}

fn ask(register: &dyn Register, seen: &Seen, patience: Duration) -> Result<Asked, SinkError> {
    let generation = seen.holder.generation;
    let deadline = Instant::now() + patience;
    tracing::info!(
        "{} may still be written by {}: waiting {:.1} s for its answer",
        register.describe(),
        seen.holder,
        patience.as_secs_f32()
    );
    register.ask(generation, rand::random())?;
    loop {
        let now = register.look()?;
        match now {
            Some(now) if now.holder.generation == generation => {
                // Two may ask at the same time, and the later question is the one that
                // is answered: any new answer says that there is somebody.
                if now.answer != seen.answer {
                    return Ok(Asked::Answered);
                }
                if now.ended {
                    return Ok(Asked::Another);
                }
            }
            _ => return Ok(Asked::Another),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Asked::Silent);
        }
        std::thread::sleep(left.min(PAUSE));
    }
}
