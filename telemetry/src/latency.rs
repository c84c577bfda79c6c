//! How long it takes from a message in Kafka to its effect in the database.
//!
//! What is read in an epoch is written together, so that its oldest message (by Kafka's
//! timestamp) is the one that has waited longest: one time for each epoch and worker that
//! has read something, and none of its other messages took longer.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Epochs that are not yet written, each with the timestamps of what is oldest in it, one for
/// each worker: in milliseconds since the UNIX epoch.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<BTreeMap<u64, Vec<(usize, i64)>>>);

impl Waiting {
    /// A worker has read messages in an epoch, the oldest of them of `timestamp`.
    pub(super) fn read(&self, epoch: u64, worker: usize, timestamp: i64) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = waiting.entry(epoch).or_default();
        match oldest.iter_mut().find(|(known, _)| *known == worker) {
            Some((_, known)) => *known = timestamp.min(*known),
            None => oldest.push((worker, timestamp)),
        }
    }

    /// Everything through an epoch is written; gives how long it took, in seconds, as seen
    /// at `now`. A clock that is behind Kafka's makes nothing of it negative.
    pub(super) fn written(&self, epoch: u64, now: i64) -> Vec<f64> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let later = waiting.split_off(&epoch.saturating_add(1));
        let written = std::mem::replace(&mut *waiting, later);
        let oldest = written.into_values().flatten();
        oldest
            .map(|(_, timestamp)| now.saturating_sub(timestamp).max(0) as f64 / 1_000.0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_takes_as_long_as_its_oldest_message() {
        let waiting = Waiting::default();
        waiting.read(3, 0, 1_000);
        waiting.read(3, 0, 900);
        waiting.read(3, 1, 2_000);
        waiting.read(5, 0, 1_500);
        assert_eq!(waiting.written(2, 2_500), Vec::<f64>::new());
        assert_eq!(waiting.written(4, 2_500), [1.6, 0.5]);
        assert_eq!(waiting.written(4, 9_000), Vec::<f64>::new());
        waiting.read(6, 0, 9_999);
        assert_eq!(waiting.written(u64::MAX, 2_500), [1.0, 0.0]);
    }
}
