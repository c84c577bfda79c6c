//! The load: events of all six topics, all the time, with whatever is awkward among
//! them.
//!
//! Its clock runs fast, an hour every few seconds, so that windows close while things
//! break. What has been sent is not remembered here: Kafka's log is the truth, and is
//! read back for each comparison.

use end_to_end::kafka::Kafka;
use end_to_end::samples::{Dice, Sample, passing};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Hours of event time that are made at once.
const HOURS: u64 = 2;
/// How long an hour of event time takes.
const HOUR_TAKES: Duration = Duration::from_secs(2);
/// How often some are sent.
const TICK: Duration = Duration::from_millis(50);

/// What the load does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Runs,
    /// It shall rest.
    Stops,
    /// It rests, and all that it has sent is acknowledged.
    Rests,
    Ends,
}

/// Sends, from a thread of its own, until it is dropped.
pub(crate) struct Load {
    state: Arc<(Mutex<State>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Begins to send `rate` events a second, to the topics with this prefix.
    ///
    /// # Panics
    /// When there is no thread to be had.
    pub(crate) fn start(brokers: &str, prefix: &str, seed: u64, rate: u64) -> Load {
        let state = Arc::new((Mutex::new(State::Runs), Condvar::new()));
        let kafka = Kafka::connect(brokers);
        let prefix = prefix.to_owned();
        let heard = Arc::clone(&state);
        let thread = std::thread::spawn(move || run(&kafka, &prefix, seed, rate, &heard));
        Load {
            state,
            thread: Some(thread),
        }
    }

    /// Stops sending, and waits until all that was sent is acknowledged.
    ///
    /// # Panics
    /// When it is not.
    pub(crate) fn rest(&self) {
        self.set(State::Stops);
        let (state, changed) = &*self.state;
        let state = state.lock().expect("nobody panics with it");
        let waited = changed.wait_timeout_while(state, Duration::from_secs(120), |state| {
            *state == State::Stops && !self.has_failed()
        });
        let (state, _) = waited.expect("nobody panics with it");
        assert_eq!(*state, State::Rests, "the load has not come to rest");
    }

    /// Goes on.
    pub(crate) fn go_on(&self) {
        self.set(State::Runs);
    }

    /// Whether its thread has panicked.
    pub(crate) fn has_failed(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    fn set(&self, new: State) {
        let (state, changed) = &*self.state;
        *state.lock().expect("nobody panics with it") = new;
        changed.notify_all();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.set(State::Ends);
        // Its own panic has been told by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(kafka: &Kafka, prefix: &str, seed: u64, rate: u64, heard: &(Mutex<State>, Condvar)) {
    let (state, changed) = heard;
    let mut chunks = (0..).flat_map(|chunk| chunk_of(seed, chunk, rate));
    let mut due = Instant::now();
    loop {
        let now = *state.lock().expect("nobody panics with it");
        match now {
            State::Ends => return,
            State::Runs => {
                let per_tick = rate * u64::try_from(TICK.as_millis()).unwrap_or(1) / 1000;
                for sample in chunks.by_ref().take(per_tick.try_into().unwrap_or(1)) {
                    send(kafka, prefix, &sample);
                }
                // After a time at rest, or without processor, it does not hurry.
                due = (due + TICK).max(Instant::now());
                std::thread::sleep(due.saturating_duration_since(Instant::now()).max(TICK / 2));
            }
            State::Stops => {
                kafka.flush();
                let mut state = state.lock().expect("nobody panics with it");
                if *state == State::Stops {
                    *state = State::Rests;
                    changed.notify_all();
                }
            }
            State::Rests => {
                let state = state.lock().expect("nobody panics with it");
                let waited = changed.wait_while(state, |state| *state == State::Rests);
                drop(waited.expect("nobody panics with it"));
            }
        }
    }
}

fn send(kafka: &Kafka, prefix: &str, sample: &Sample) {
    kafka.send(
        &format!("{prefix}{}", sample.topic),
        sample.partition,
        sample.timestamp,
        sample.key.as_deref(),
        sample.value.as_deref(),
    );
}

/// Two hours of events: late ones, sales that are completed, products and customers
/// that change, messages that are no event; and here also tombstones, messages without
/// a key, and events that are from the future.
fn chunk_of(seed: u64, chunk: u64, rate: u64) -> Vec<Sample> {
    let rounds = rate * HOUR_TAKES.as_secs() * HOURS / 6;
    let own = seed.wrapping_mul(1_000_003).wrapping_add(chunk);
    let mut dice = Dice::new(own);
    let samples = passing(own, rounds, (chunk * HOURS, (chunk + 1) * HOURS));
    let change = |mut sample: Sample| {
        if dice.roll(2) == 0 {
            sample.key = None;
        }
        match dice.roll(300) {
            0..4 => sample.value = None,
            4 => sample.timestamp = sample.timestamp.map(|sent| sent - 3 * 24 * 3_600_000),
            _ => {}
        }
        sample
    };
    samples.into_iter().map(change).collect()
}
