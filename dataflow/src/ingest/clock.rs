//! Epochs, closed by a ticker.
//!
//! One worker of all, number 0 of process 0, owns the clock: an input that
//! carries no data and whose epoch it advances at each tick. Timely's own
//! progress tracking tells every other worker, in every process, which epoch is
//! open: it is the frontier of the clock's stream. So no machine's time of day
//! matters, and when the clock is closed everyone knows that it is time to stop.

use crate::Epoch;
use std::time::{Duration, Instant};
use timely::dataflow::operators::Input;
use timely::dataflow::operators::vec::input::Handle;
use timely::dataflow::{Scope, StreamVec};

/// The stream that tells workers which epoch is open.
pub type Ticks<'scope> = StreamVec<'scope, Epoch, ()>;

/// The owner's end of the clock; on all other workers it does nothing.
pub struct Clock {
    input: Option<Handle<Epoch, ()>>,
    tick: Duration,
    next: Instant,
}

impl Clock {
    /// A clock in `scope`. Its epochs begin at `first`, which must be the same
    /// on every worker, and are `tick` long.
    pub fn new<'scope>(
        scope: Scope<'scope, Epoch>,
        first: Epoch,
        tick: Duration,
    ) -> (Clock, Ticks<'scope>) {
        let (mut input, ticks) = scope.new_input();
        let input = (scope.index() == 0).then(|| {
            input.advance_to(first);
            input
        });
        (Clock { input, tick, next: Instant::now() + tick }, ticks)
    }

    /// Opens the next epoch if it is time to. Returns how long it is until the
    /// next tick.
    pub fn tick(&mut self) -> Duration {
        let now = Instant::now();
        if now >= self.next {
            if let Some(input) = &mut self.input {
                input.advance_to(input.time() + 1);
            }
            self.next = now + self.tick;
        }
        self.next - now
    }

    /// The epoch that is open, on the worker that owns the clock.
    pub fn open_epoch(&self) -> Option<Epoch> {
        self.input.as_ref().map(|input| *input.time())
    }

    /// Closes the last epoch: all workers finish what they have read, and stop.
    pub fn close(&mut self) {
        self.input = None;
    }
}
