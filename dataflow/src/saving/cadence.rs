//! When checkpoints are taken.

use crate::Epoch;
use std::num::NonZeroU64;
use std::time::Duration;

/// A checkpoint is due at the end of every epoch whose number is a multiple of one
/// number. So all workers know which ones they are, and nobody has to tell anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    every: NonZeroU64,
}

impl Cadence {
    /// One after each `every` epochs.
    pub fn every(every: NonZeroU64) -> Cadence {
        Cadence { every }
    }

    /// About one in each `interval`, where an epoch ends at each `tick`.
    pub fn of(interval: Duration, tick: Duration) -> Cadence {
        let ticks = interval.as_nanos().div_ceil(tick.as_nanos().max(1));
        let every = u64::try_from(ticks).unwrap_or(u64::MAX);
        Cadence::every(NonZeroU64::new(every).unwrap_or(NonZeroU64::MIN))
    }

    /// Whether one is due at the end of an epoch.
    pub fn is_due(self, epoch: Epoch) -> bool {
        epoch % self.every == 0
    }

    /// The first epoch, from this one on, at whose end one is due: what the epoch
    /// brings is in that checkpoint.
    pub fn next(self, epoch: Epoch) -> Epoch {
        epoch
            .div_ceil(self.every.get())
            .saturating_mul(self.every.get())
    }

    /// The last epoch before `frontier` at whose end one is due; 0 where there is
    /// none.
    pub fn last_before(self, frontier: Epoch) -> Epoch {
        frontier.saturating_sub(1) / self.every * self.every.get()
    }

    /// The epoch at whose end the checkpoint is due that comes `count` later than
    /// the one which `epoch` belongs to.
    pub fn after(self, epoch: Epoch, count: u64) -> Epoch {
        let ahead = self.every.get().saturating_mul(count);
        self.next(epoch).saturating_add(ahead)
    }

    /// Whether one is due before the epoch `next` opens (`None`: never), while that
    /// of `open` has been open.
    pub fn is_due_between(self, open: Epoch, next: Option<Epoch>) -> bool {
        next.is_none_or(|next| self.next(open) < next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(every: u64) -> Cadence {
        Cadence::every(NonZeroU64::new(every).unwrap())
    }

    #[test]
    fn an_epoch_belongs_to_the_next_checkpoint() {
        assert_eq!([9, 10, 11].map(|epoch| every(10).next(epoch)), [10, 10, 20]);
        assert_eq!([9, 10].map(|epoch| every(10).is_due(epoch)), [false, true]);
    }

    #[test]
    fn one_is_due_when_its_epoch_is_passed() {
        let due = |open, next| every(10).is_due_between(open, next);
        assert!(due(10, Some(11)) && due(8, Some(25)) && due(8, None));
        assert!(!due(8, Some(10)) && !due(11, Some(20)));
    }

    #[test]
    fn an_interval_is_so_many_ticks() {
        let of =
            |millis, tick| Cadence::of(Duration::from_millis(millis), Duration::from_millis(tick));
        assert_eq!(of(10_000, 100), every(100));
        assert_eq!(of(50, 100), every(1));
        assert_eq!(of(0, 100), every(1));
    }
}
