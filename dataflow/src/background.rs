//! Blocking work beside the dataflow, and the capability that waits for it.
//!
//! A worker never waits for a database or a disk: it hands a piece of work to a
//! thread, goes on, and is woken when the work is done. One piece is under way at
//! a time, so that nothing piles up between the two: what comes meanwhile stays in
//! the operator, where it is consolidated. The operator lets go of its capability
//! only when the work that belongs to it is done; so the frontier of its output
//! says what is done.

use crate::Epoch;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use timely::dataflow::operators::Capability;
use timely::scheduling::SyncActivator;

/// A thread could not be started, or has panicked.
#[derive(Debug, thiserror::Error)]
#[error("the thread {thread}: {detail}")]
pub struct ThreadError {
    thread: String,
    detail: String,
}

impl ThreadError {
    /// The thread of this name is not there.
    pub(crate) fn new(thread: &str, detail: &str) -> ThreadError {
        ThreadError {
            thread: thread.to_owned(),
            detail: detail.to_owned(),
        }
    }
}

/// A thread that does one piece of work at a time, for an operator.
pub(crate) struct Background<W, R, E> {
    name: String,
    work: SyncSender<W>,
    done: Receiver<Result<R, E>>,
    busy: bool,
}

/// How a thread stands.
pub(crate) enum State<R> {
    /// It has nothing to do.
    Free,
    /// A piece of work is under way.
    Busy,
    /// A piece of work has just been done, and it is free.
    Done(R),
}

impl<W, R, E> Background<W, R, E>
where
    W: Send + 'static,
    R: Send + 'static,
    E: From<ThreadError> + Send + 'static,
{
    /// Starts a thread that does `each` piece of work, and wakes an operator by
    /// `wake` when one is done.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(crate) fn start(
        name: &str,
        wake: SyncActivator,
        mut each: impl FnMut(W) -> Result<R, E> + Send + 'static,
    ) -> Result<Background<W, R, E>, E> {
        let (work, todo) = sync_channel::<W>(1);
        let (report, done) = sync_channel(1);
        let run = move || {
            for work in todo {
                if report.send(each(work)).is_err() {
                    return;
                }
                // When the worker has ended, nobody is left to wake.
                let _ = wake.activate();
            }
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|error| ThreadError::new(name, &error.to_string()))?;
        Ok(Background {
            name: name.to_owned(),
            work,
            done,
            busy: false,
        })
    }

    /// How it stands; what has been done is told once.
    ///
    /// # Errors
    /// When the work failed.
    pub(crate) fn state(&mut self) -> Result<State<R>, E> {
        if !self.busy {
            return Ok(State::Free);
        }
        match self.done.try_recv() {
            Ok(outcome) => {
                self.busy = false;
                outcome.map(State::Done)
            }
            Err(TryRecvError::Empty) => Ok(State::Busy),
            Err(TryRecvError::Disconnected) => Err(self.gone()),
        }
    }

    /// Hands over a piece of work, while none is under way.
    ///
    /// # Errors
    /// When the thread is gone.
    pub(crate) fn give(&mut self, work: W) -> Result<(), E> {
        debug_assert!(!self.busy);
        self.busy = true;
        self.work.try_send(work).map_err(|_| self.gone())
    }

    /// The thread ended before its time: it has panicked.
    fn gone(&self) -> E {
        E::from(ThreadError::new(&self.name, "it ended before its time"))
    }
}

/// Work that comes back as the frontier up to which everything is done with it.
impl<W, E> Background<(W, Option<Epoch>), Option<Epoch>, E>
where
    W: Send + 'static,
    E: From<ThreadError> + Send + 'static,
{
    /// Where no work is under way: lets `held` go on as far as it is done, and hands
    /// over what is to be done `next`, which completes everything before a frontier;
    /// where that is nothing, it is complete already.
    ///
    /// # Errors
    /// When the work failed.
    pub(crate) fn go_on(
        &mut self,
        held: &mut Held,
        next: impl FnOnce() -> (Option<W>, Option<Epoch>),
    ) -> Result<(), E> {
        match self.state()? {
            State::Busy => return Ok(()),
            State::Free => {}
            State::Done(frontier) => held.release(frontier),
        }
        match next() {
            (Some(work), frontier) => self.give((work, frontier)),
            (None, frontier) => {
                held.release(frontier);
                Ok(())
            }
        }
    }
}

/// An operator's capability for one output.
pub(crate) struct Held(Option<Capability<Epoch>>);

impl Held {
    /// Holds a capability; none where there is nothing to wait for.
    pub(crate) fn new(capability: Option<Capability<Epoch>>) -> Held {
        Held(capability)
    }

    /// Tells everyone that everything before `frontier` is done (`None`:
    /// everything).
    pub(crate) fn release(&mut self, frontier: Option<Epoch>) {
        match (self.0.as_mut(), frontier) {
            (Some(held), Some(frontier)) if frontier > *held.time() => held.downgrade(&frontier),
            (_, Some(_)) => {}
            (_, None) => self.0 = None,
        }
    }

    /// The capability, while it is held.
    pub(crate) fn capability(&self) -> Option<&Capability<Epoch>> {
        self.0.as_ref()
    }
}
