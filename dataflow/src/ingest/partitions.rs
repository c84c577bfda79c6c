//! The partitions that a worker reads, and where each stands with the watermark.
//!
//! A partition must hold the watermark before anything of it is read, or windows
//! could close that it still has events for. So it is *announced* first, and read
//! from the moment on at which every worker is known to have heard of it: when the
//! frontier of event time has passed the epoch of the announcement. The same goes
//! for a partition that was idle and speaks again:
//!
//! ```text
//!   found ─▶ announced ─▶ reading ─▶ idle
//!                ▲                    │ a message
//!                └────────────────────┘
//! ```
//!
//! By then the watermark may have passed windows that the partition itself has not:
//! they stay closed, and its events for them are late.

use super::answers::Fingerprint;
use super::source::Position;
use crate::Epoch;
use crate::recovery::rebuild::ReplayPlan;
use crate::saving::SavedPartition;
use crate::time::{Holding, Mark, PartitionTime, Recorded, Trust};
use crate::views::Catalog;
use sinks::LastRead;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where partitions stood before the run, of this worker and of others.
#[derive(Default)]
pub(super) struct Restored {
    pub(super) partitions: Arc<[SavedPartition]>,
    /// What is read again for views that are rebuilt.
    pub(super) again: Arc<ReplayPlan>,
    /// Which timestamps were believed.
    pub(super) recorded: Arc<Recorded>,
}

/// The partitions that a worker reads.
pub(super) struct Partitions {
    catalog: Arc<Catalog>,
    worker: usize,
    trust: Trust,
    restored: Restored,
    /// By topic, then by partition.
    known: Vec<BTreeMap<i32, Partition>>,
}

struct Partition {
    time: PartitionTime,
    standing: Standing,
    next: i64,
    last_read: Option<LastRead>,
    fingerprint: Fingerprint,
    /// Whether there is something new to tell of it.
    changed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Others are told in this epoch that it holds the watermark.
    Announced(Epoch),
    /// It is read, and holds the watermark.
    Reading,
    /// It is silent, and does not.
    Idle,
}

impl Partitions {
    /// None yet, of the topics of `catalog`. `restored` says where partitions stood.
    pub(super) fn new(
        catalog: Arc<Catalog>,
        worker: usize,
        trust: Trust,
        restored: Restored,
    ) -> Partitions {
        Partitions {
            known: catalog.routes.iter().map(|_| BTreeMap::new()).collect(),
            catalog,
            worker,
            trust,
            restored,
        }
    }

    /// A partition has been found: it is announced in this epoch.
    pub(super) fn announce(&mut self, topic: usize, partition: i32, epoch: Epoch) {
        let rules = self.catalog.routes[topic].rules();
        self.known[topic].entry(partition).or_insert_with(|| {
            let mut time = PartitionTime::new(rules, self.trust.clone());
            let Restored {
                partitions,
                again,
                recorded,
            } = &self.restored;
            let mut saved = partitions.iter();
            let saved = saved.find(|saved| (saved.topic, saved.partition) == (topic, partition));
            let mut next = 0;
            if let Some(saved) = saved {
                time.restore(&saved.time);
                next = saved.next;
            }
            time.follow(recorded, (topic, partition), next);
            if let Some(until) = again.until.get(&(topic, partition)) {
                time.read_again(*until, &again.views, again.joined);
                next = 0;
            }
            Partition {
                time,
                standing: Standing::Announced(epoch),
                next,
                last_read: None,
                fingerprint: 0,
                changed: true,
            }
        });
    }

    /// Every worker has heard what was told before the epoch `frontier`;
    /// `watermarks` are those of the views.
    pub(super) fn confirm(&mut self, frontier: Option<Epoch>, watermarks: &[i64]) {
        for partition in self.known.iter_mut().flat_map(BTreeMap::values_mut) {
            if let Standing::Announced(epoch) = partition.standing
                && frontier.is_none_or(|frontier| epoch < frontier)
            {
                partition.standing = Standing::Reading;
                partition.time.raise(watermarks);
            }
        }
    }

    /// The event time of a partition that a message has come of, if it may be read
    /// now. Else it may be later.
    #[inline]
    pub(super) fn read(
        &mut self,
        topic: usize,
        partition: i32,
        epoch: Epoch,
    ) -> Option<&mut PartitionTime> {
        let known = self.known[topic].get_mut(&partition)?;
        match known.standing {
            Standing::Reading => Some(&mut known.time),
            Standing::Announced(_) => None,
            Standing::Idle => {
                known.standing = Standing::Announced(epoch);
                known.changed = true;
                None
            }
        }
    }

    /// Whether a view is rebuilt.
    pub(super) fn is_rebuilt(&self, view: u16) -> bool {
        self.restored.again.views.contains(&view)
    }

    /// The smallest and the largest event time that this worker has seen of a
    /// topic, in the view at `place` among the topic's; none before the first.
    pub(super) fn spread(&self, topic: usize, place: usize) -> Option<(i64, i64)> {
        let all = self.known[topic].values();
        let seen = all.filter_map(|known| known.time.spread(place));
        seen.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// How far a partition is read, and whether it is idle.
    pub(super) fn reached(&mut self, position: &Position) {
        let Position {
            topic,
            partition,
            next,
            idle,
            last_read,
            fingerprint,
        } = *position;
        let Some(known) = self.known[topic].get_mut(&partition) else {
            return;
        };
        known.last_read = last_read;
        known.fingerprint = fingerprint;
        if known.next != next {
            known.next = next;
            known.changed = true;
        }
        if idle && known.standing == Standing::Reading {
            known.standing = Standing::Idle;
            known.changed = true;
        }
    }

    /// Where partitions stand at the end of an epoch, for a checkpoint.
    pub(super) fn save(&self) -> impl Iterator<Item = SavedPartition> + '_ {
        let all = self.known.iter().enumerate();
        all.flat_map(|(topic, partitions)| {
            let saved = move |(number, known): (&i32, &Partition)| SavedPartition {
                topic,
                partition: *number,
                next: known.next,
                time: known.time.save(),
            };
            partitions.iter().map(saved)
        })
    }

    /// What there is to tell at the end of an epoch. At the end of everything
    /// (`ended`), all of it.
    pub(super) fn marks(&mut self, ended: bool) -> impl Iterator<Item = Mark> + '_ {
        let worker = self.worker;
        let all = self.known.iter_mut().enumerate();
        let all = all.flat_map(|(topic, partitions)| {
            partitions
                .iter_mut()
                .map(move |(number, known)| (topic, *number, known))
        });
        all.filter_map(move |(topic, number, known)| {
            if !std::mem::take(&mut known.changed) && !ended {
                return None;
            }
            let holding = match known.standing {
                _ if ended => Holding::Ended,
                Standing::Idle => Holding::Idle,
                Standing::Announced(_) | Standing::Reading => Holding::Yes,
            };
            let next = known.next;
            Some(Mark {
                last_read: known.last_read,
                fingerprint: known.fingerprint,
                ..known.time.mark(topic, number, worker, next, holding)
            })
        })
    }
}
