//! How much has been read and is not written yet.

use crate::Epoch;
use std::collections::VecDeque;
use timely::dataflow::operators::probe;

/// Events in flight on one worker, by epoch: read, and not known to be written.
///
/// What has been written is learned from timely: the frontier that the sink lets
/// go. So backpressure needs no channel of its own, and works across processes.
pub(super) struct Flight {
    written: probe::Handle<Epoch>,
    epochs: VecDeque<(Epoch, u64)>,
    events: u64,
    limit: u64,
    full: bool,
}

impl Flight {
    /// At most `limit` events, until the frontier of `written` passes them.
    pub(super) fn new(written: probe::Handle<Epoch>, limit: u64) -> Flight {
        Flight {
            written,
            epochs: VecDeque::new(),
            events: 0,
            limit: limit.max(1),
            full: false,
        }
    }

    /// Notes that so many events were read in an epoch.
    pub(super) fn add(&mut self, epoch: Epoch, events: u64) {
        if events == 0 {
            return;
        }
        self.events += events;
        match self.epochs.back_mut() {
            Some((last, count)) if *last == epoch => *count += events,
            _ => self.epochs.push_back((epoch, events)),
        }
    }

    /// Whether no more should be read. Once full, it is full until half of the
    /// limit is free again, so that partitions are not paused and resumed all
    /// the time.
    pub(super) fn is_full(&mut self) -> bool {
        while let Some((epoch, events)) = self.epochs.front().copied() {
            if self.written.less_equal(&epoch) {
                break;
            }
            self.epochs.pop_front();
            self.events -= events;
        }
        self.full = self.events
            >= if self.full {
                self.limit / 2 + 1
            } else {
                self.limit
            };
        self.full
    }

    /// How many more may be read.
    pub(super) fn room(&self) -> usize {
        usize::try_from(self.limit.saturating_sub(self.events)).unwrap_or(usize::MAX)
    }

    /// Events in flight.
    pub(super) fn events(&self) -> u64 {
        self.events
    }
}
