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
//!
//! Views that know nothing of a partition of which others have read a part are *backfilled*: for
//! them it is read a second time, from its beginning on, while it is read on for the others. It has
//! an event time of its own there. Once the second has read what the first has, it ends, and what
//! it knows of its views goes over to the first:
//!
//! ```text
//!   read for the others    ──────────────480──────────▶ 912 ──▶ for all of them
//!   read for a backfill    0 ──────────────────────────▶ 912 ┘
//! ```

use super::answers::Fingerprint;
use super::source::{Message, Position, Taken};
use crate::Epoch;
use crate::ingest::lanes::BackfillPlan;
use crate::saving::SavedPartition;
use crate::time::{Audience, Backfill, Holding, Mark, PartitionTime, Recorded, Trust};
use crate::views::Catalog;
use sinks::LastRead;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where partitions stood before the run, of this worker and of others.
#[derive(Default)]
pub(super) struct Restored {
    pub(super) partitions: Arc<[SavedPartition]>,
    /// What is read a second time, for views that know nothing of it.
    pub(super) backfill: Arc<BackfillPlan>,
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
    /// Those of them that are read a second time.
    backfills: Vec<BTreeMap<i32, Partition>>,
}

struct Partition {
    time: PartitionTime,
    standing: Standing,
    next: i64,
    /// All messages below this offset have been taken up.
    taken: i64,
    /// The views that are backfilled from it, and nothing else is read for.
    views: Vec<u16>,
    /// Whether their backfill has caught up since this was last told.
    has_caught_up: bool,
    /// The least time of a message of their backfill in the epoch in which it has caught up.
    least: i64,
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
            backfills: catalog.routes.iter().map(|_| BTreeMap::new()).collect(),
            catalog,
            worker,
            trust,
            restored,
        }
    }

    /// A partition has been found: it is announced in this epoch.
    pub(super) fn announce(&mut self, topic: usize, partition: i32, epoch: Epoch) {
        if self.known[topic].contains_key(&partition) {
            return;
        }
        let place = (topic, partition);
        let rules = self.catalog.routes[topic].rules();
        let Restored {
            partitions,
            backfill,
            recorded,
        } = &self.restored;
        let mut saved = partitions.iter();
        let saved = saved.find(|saved| (saved.topic, saved.partition) == place);
        let next = saved.map_or(0, |saved| saved.next);
        let new = |next, views: &[u16]| {
            let mut time = PartitionTime::new(rules, self.trust.clone());
            time.follow(recorded, place, next);
            Partition {
                time,
                standing: Standing::Announced(epoch),
                next,
                taken: next,
                views: views.to_vec(),
                has_caught_up: false,
                least: i64::MAX,
                last_read: None,
                fingerprint: 0,
                changed: true,
            }
        };
        let views = backfill.places.get(&place).map_or(&[][..], Vec::as_slice);
        let mut current = new(next, views);
        if let Some(saved) = saved {
            current.time.restore(&saved.time);
        }
        if !views.is_empty() {
            current.time.read_for(Audience::AllBut(views.to_vec()));
            let mut second = new(0, views);
            second.time.read_for(Audience::Only(views.to_vec()));
            self.backfills[topic].insert(partition, second);
        }
        self.known[topic].insert(partition, current);
    }

    /// Every worker has heard what was told before the epoch `frontier`;
    /// `watermarks` are those of the views.
    pub(super) fn confirm(&mut self, frontier: Option<Epoch>, watermarks: &[i64]) {
        let all = self.known.iter_mut().chain(&mut self.backfills);
        for partition in all.flat_map(BTreeMap::values_mut) {
            if let Standing::Announced(epoch) = partition.standing
                && frontier.is_none_or(|frontier| epoch < frontier)
            {
                partition.standing = Standing::Reading;
                partition.time.raise(watermarks);
            }
        }
    }

    /// The event time of the partition of a message, if it may be read now.
    ///
    /// # Errors
    /// When it may be read later, or is read elsewhere.
    #[inline]
    pub(super) fn read(
        &mut self,
        message: &Message<'_>,
        epoch: Epoch,
    ) -> Result<&mut PartitionTime, Taken> {
        if message.backfill {
            return self.read_second(message);
        }
        let known = self.known[message.topic].get_mut(&message.partition);
        let known = known.ok_or(Taken::Later)?;
        match known.standing {
            Standing::Reading => {
                known.taken = message.offset + 1;
                Ok(&mut known.time)
            }
            Standing::Announced(_) => Err(Taken::Later),
            Standing::Idle => {
                known.standing = Standing::Announced(epoch);
                known.changed = true;
                Err(Taken::Later)
            }
        }
    }

    /// The same of a message that is read for a backfill.
    fn read_second(&mut self, message: &Message<'_>) -> Result<&mut PartitionTime, Taken> {
        let Message {
            topic,
            partition,
            offset,
            ..
        } = *message;
        let is_known = self.known[topic].contains_key(&partition);
        let second = self.backfills[topic].get(&partition);
        let second = second.ok_or(if is_known {
            Taken::Finished
        } else {
            Taken::Later
        })?;
        if matches!(second.standing, Standing::Announced(_)) {
            return Err(Taken::Later);
        }
        if self.ends_by(topic, partition, offset) {
            return Err(Taken::Finished);
        }
        let current = self.known[topic].get(&partition).ok_or(Taken::Later)?;
        let second = self.backfills[topic].get_mut(&partition);
        let second = second.ok_or(Taken::Finished)?;
        second.time.believe_like(&current.time);
        Ok(&mut second.time)
    }

    /// Whether the backfill of a partition has read all below the offset `next`, and with it all
    /// that has been read for the other views: then it ends.
    fn ends_by(&mut self, topic: usize, partition: i32, next: i64) -> bool {
        let Some(current) = self.known[topic].get_mut(&partition) else {
            return false;
        };
        // Between what was taken up last and where the log goes on there are no messages.
        if next < current.taken {
            return false;
        }
        if let Some(mut second) = self.backfills[topic].remove(&partition) {
            current.least = second.time.take_least();
            current.time.take_over(second.time);
            current.has_caught_up = true;
            current.changed = true;
        }
        true
    }

    /// Whether a view has been backfilled in this run, or is.
    pub(super) fn is_backfilled(&self, view: u16) -> bool {
        self.restored.backfill.views.contains(&view)
    }

    /// The smallest and the largest event time that this worker has seen of a
    /// topic, in the view at `place` among the topic's; none before the first.
    pub(super) fn spread(&self, topic: usize, place: usize) -> Option<(i64, i64)> {
        let all = self.known[topic]
            .values()
            .chain(self.backfills[topic].values());
        let seen = all.filter_map(|known| known.time.spread(place));
        seen.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// How far a partition is read, and whether it is idle. Returns whether more is to be read of it
    /// there.
    pub(super) fn reached(&mut self, position: &Position) -> bool {
        let Position {
            topic,
            partition,
            next,
            idle,
            last_read,
            fingerprint,
            backfill,
        } = *position;
        if backfill {
            return self.reached_second(topic, partition, next);
        }
        let Some(known) = self.known[topic].get_mut(&partition) else {
            return true;
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
        true
    }

    fn reached_second(&mut self, topic: usize, partition: i32, next: i64) -> bool {
        let Some(second) = self.backfills[topic].get_mut(&partition) else {
            return false;
        };
        if second.next != next {
            second.next = next;
            second.changed = true;
        }
        matches!(second.standing, Standing::Announced(_)) || !self.ends_by(topic, partition, next)
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
    pub(super) fn marks(&mut self, ended: bool) -> impl Iterator<Item = Mark> + use<> {
        let mut marks = Vec::new();
        let all = self.known.iter_mut().zip(&mut self.backfills).enumerate();
        for (topic, (partitions, backfills)) in all {
            for (number, known) in partitions {
                let second = backfills.get_mut(number);
                let is_changed = std::mem::take(&mut known.changed);
                let is_second_changed = second.as_ref().is_some_and(|second| second.changed);
                if is_changed || is_second_changed || ended {
                    marks.push(known.mark(topic, *number, self.worker, second, ended));
                }
            }
        }
        marks.into_iter()
    }
}

impl Partition {
    /// What there is to tell of it, and of where it is read a second time.
    fn mark(
        &mut self,
        topic: usize,
        partition: i32,
        worker: usize,
        second: Option<&mut Partition>,
        ended: bool,
    ) -> Mark {
        let holding = match self.standing {
            _ if ended => Holding::Ended,
            Standing::Idle => Holding::Idle,
            Standing::Announced(_) | Standing::Reading => Holding::Yes,
        };
        // Of the views whose backfill has caught up: before that, and since.
        let least = self.least.min(self.time.least());
        let mut mark = Mark {
            last_read: self.last_read,
            fingerprint: self.fingerprint,
            ..self.time.mark(topic, partition, worker, self.next, holding)
        };
        if std::mem::take(&mut self.has_caught_up) {
            mark.backfill = Some(Backfill {
                views: std::mem::take(&mut self.views),
                least,
                at: None,
            });
        } else if let Some(second) = second {
            second.changed = false;
            let views = self.views.clone();
            let (backfill, marks) = second.time.backfill_mark(second.next, views);
            mark.views.extend(marks);
            mark.backfill = Some(backfill);
        }
        mark
    }
}
