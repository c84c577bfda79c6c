//! The shop's own clock.
//!
//! It moves by the same step for each event, so that the times of a run depend on
//! its options and not on how fast the machine is. When the events are paced, the
//! step is the real distance between two of them and the clock runs with the one
//! on the wall.

use std::time::Duration;

use events::Timestamp;

/// Between two events when nothing paces them.
const UNPACED: Duration = Duration::from_micros(5);

#[derive(Debug)]
pub(crate) struct Clock {
    start: Timestamp,
    step: Duration,
    events: u64,
}

impl Clock {
    pub(crate) fn new(start: Timestamp, rate: Option<f64>) -> Clock {
        Clock {
            start,
            step: step(rate).unwrap_or(UNPACED),
            events: 0,
        }
    }

    /// Begins anew at `start`.
    pub(crate) fn set(&mut self, start: Timestamp) {
        self.start = start;
        self.events = 0;
    }

    /// Begins anew at `start`, with so many events a second.
    pub(crate) fn set_pace(&mut self, start: Timestamp, rate: Option<f64>) {
        *self = Clock::new(start, rate);
    }

    /// The time of the next event.
    pub(crate) fn now(&self) -> Timestamp {
        let micros = self.step.as_nanos() * u128::from(self.events) / 1000;
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        Timestamp(self.start.as_micros().saturating_add(micros))
    }

    /// An event was handed over.
    pub(crate) fn tick(&mut self) {
        self.events += 1;
    }
}

/// Between two events at so many a second.
pub(crate) fn step(rate: Option<f64>) -> Option<Duration> {
    rate.and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok())
}
