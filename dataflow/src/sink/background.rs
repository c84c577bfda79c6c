//! Blocking work beside the dataflow, and the capability that waits for it.
//!
//! A worker never waits for a database: it hands a piece of work to a thread,
//! goes on, and is woken when the work is done. One piece is under way at a
//! time, so that nothing piles up between the two: what comes meanwhile stays in
//! the operator, where it is consolidated. The operator's capability is let go
//! only when the work that belongs to it is done; so the frontier of its output
//! says what is done.

use super::WriteError;
use crate::Epoch;
use sinks::SinkError;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use timely::dataflow::operators::Capability;
use timely::scheduling::SyncActivator;

/// A thread that does one piece of work at a time, for an operator.
pub(super) struct Background<W, R> {
    work: SyncSender<W>,
    done: Receiver<Result<R, SinkError>>,
    /// While a piece of work is under way: the frontier before which everything
    /// is done with it.
    under_way: Option<Option<Epoch>>,
    held: Option<Capability<Epoch>>,
}

impl<W: Send + 'static, R: Send + 'static> Background<W, R> {
    /// Starts a thread that does `each` piece of work, and wakes an operator by
    /// `wake` when one is done. `held` is the operator's capability.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn start(
        name: &str,
        wake: SyncActivator,
        held: Option<Capability<Epoch>>,
        mut each: impl FnMut(W) -> Result<R, SinkError> + Send + 'static,
    ) -> Result<Background<W, R>, WriteError> {
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
            .map_err(|error| WriteError::Thread(error.to_string()))?;
        Ok(Background { work, done, under_way: None, held })
    }

    /// Whether work can be given now. Calls `finished` with the outcome of the
    /// piece of work that was under way, if it is done.
    ///
    /// # Errors
    /// When the work failed.
    pub(super) fn is_free(&mut self, finished: impl FnOnce(R)) -> Result<bool, WriteError> {
        let Some(frontier) = self.under_way else { return Ok(true) };
        match self.done.try_recv() {
            Ok(outcome) => {
                finished(outcome?);
                self.under_way = None;
                self.release(frontier);
                Ok(true)
            }
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Disconnected) => Err(gone()),
        }
    }

    /// Hands over a piece of work, while none is under way. When it is done,
    /// everything before `frontier` is done (`None`: everything).
    ///
    /// # Errors
    /// When the thread is gone.
    pub(super) fn give(&mut self, work: W, frontier: Option<Epoch>) -> Result<(), WriteError> {
        debug_assert!(self.under_way.is_none());
        self.under_way = Some(frontier);
        self.work.try_send(work).map_err(|_| gone())
    }

    /// Tells everyone that everything before `frontier` is done.
    pub(super) fn release(&mut self, frontier: Option<Epoch>) {
        match (self.held.as_mut(), frontier) {
            (Some(held), Some(frontier)) => held.downgrade(&frontier),
            _ => self.held = None,
        }
    }
}

/// The thread ended before its time: it has panicked.
fn gone() -> WriteError {
    WriteError::Thread("it ended before its time".to_owned())
}
