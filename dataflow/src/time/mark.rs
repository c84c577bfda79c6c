//! What a worker tells all others of a partition that it reads.

use super::NEVER;
use model::Holding;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use sinks::{LastRead, Limit};
use std::fmt;

/// Where a partition stands at the end of an epoch. It replaces what was said of
/// the partition before. `T` and `V` name a topic and a view: by their numbers while the program
/// runs, by their names in the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark<T = usize, V = u16> {
    /// Its topic.
    pub topic: T,
    /// Its number.
    pub partition: i32,
    /// The worker that reads it.
    pub worker: usize,
    /// The next offset to read.
    pub next: i64,
    /// Whether it holds the watermark.
    pub holding: Holding,
    /// The partition's clock, in milliseconds: see [`PartitionTime`](super::PartitionTime).
    /// [`NEVER`](super::NEVER) before the second message.
    pub kafka: i64,
    /// The least time of a message since the last mark, in milliseconds; the greatest there
    /// is where none has come.
    #[serde(default = "never_less")]
    pub least: i64,
    /// Whether it has messages, and none of them has a timestamp.
    #[serde(default)]
    pub untimed: bool,
    /// Which timestamps have come to be believed since the last mark.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// One for each view of its topic.
    pub views: Vec<ViewMark<V>>,
    /// The last message that was read of it, below `next`.
    #[serde(default)]
    pub last_read: Option<LastRead>,
    /// That of the topic that is read under its name; 0 where it has none.
    #[serde(default)]
    pub fingerprint: u32,
    /// Where it is read a second time, for views that are backfilled.
    pub backfill: Option<Backfill<V>>,
}

/// A partition that is read a second time, from its beginning on, for views that know nothing of
/// it yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill<V = u16> {
    /// These views.
    pub views: Vec<V>,
    /// The least time of a message since the last mark, as [`Mark::least`] is for the other views.
    pub least: i64,
    /// Where it stands; none once it has caught up, which is said once.
    pub at: Option<BackfillAt>,
}

/// Where the backfill of a partition stands: as the fields of the same names of [`Mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillAt {
    /// The next offset to read.
    pub next: i64,
    /// The partition's clock, in milliseconds.
    pub kafka: i64,
    /// Whether it has messages, and none of them has a timestamp.
    pub untimed: bool,
}

/// How far a partition has come in the event time of one view, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewMark<V = u16> {
    /// The view.
    pub view: V,
    /// The largest event time seen; [`NEVER`](super::NEVER) before the first.
    pub latest: i64,
    /// The partition's watermark; [`NEVER`](super::NEVER) before the first.
    pub watermark: i64,
    /// The windows that the watermark has passed since the last mark, where it
    /// matters when.
    pub passed: Vec<Passed>,
}

impl<V> ViewMark<V> {
    /// Of a view that knows nothing of the partition yet.
    pub fn none(view: V) -> ViewMark<V> {
        ViewMark {
            view,
            latest: NEVER,
            watermark: NEVER,
            passed: Vec::new(),
        }
    }
}

impl Mark {
    /// The backfill of a view, if it is being backfilled from this partition.
    pub fn backfill_of(&self, view: u16) -> Option<BackfillAt> {
        let backfill = self.backfill.as_ref()?;
        backfill.at.filter(|_| backfill.views.contains(&view))
    }

    /// The same mark as it is of a view: where the view is backfilled, as far as that has come.
    pub(super) fn of(&self, view: u16) -> OfView {
        match self.backfill_of(view) {
            // More is to come, up to where the others have read.
            Some(BackfillAt {
                next,
                kafka,
                untimed,
            }) => OfView {
                next,
                kafka,
                untimed,
                holding: Holding::Yes,
            },
            None => OfView {
                next: self.next,
                kafka: self.kafka,
                untimed: self.untimed,
                holding: self.holding,
            },
        }
    }

    /// The least time of a message since the last mark that the partition was read for a view.
    pub(super) fn least_of(&self, view: u16) -> i64 {
        match &self.backfill {
            Some(backfill) if backfill.views.contains(&view) => backfill.least,
            _ => self.least,
        }
    }
}

/// What [`Mark`] says to a view.
pub(super) struct OfView {
    pub(super) next: i64,
    pub(super) kafka: i64,
    pub(super) untimed: bool,
    pub(super) holding: Holding,
}

impl<T, V> Mark<T, V> {
    /// The same with its topic and views named otherwise, if `topic` knows the former; views that
    /// `view` does not know are left out.
    pub fn named<U, W>(
        self,
        topic: impl Fn(T) -> Option<U>,
        view: impl Fn(V) -> Option<W>,
    ) -> Option<Mark<U, W>> {
        let of_view = |mark: ViewMark<V>| {
            Some(ViewMark {
                view: view(mark.view)?,
                latest: mark.latest,
                watermark: mark.watermark,
                passed: mark.passed,
            })
        };
        Some(Mark {
            topic: topic(self.topic)?,
            partition: self.partition,
            worker: self.worker,
            next: self.next,
            holding: self.holding,
            kafka: self.kafka,
            least: self.least,
            untimed: self.untimed,
            limits: self.limits,
            views: self.views.into_iter().filter_map(of_view).collect(),
            last_read: self.last_read,
            fingerprint: self.fingerprint,
            backfill: self.backfill.map(|backfill| Backfill {
                views: backfill.views.into_iter().filter_map(&view).collect(),
                least: backfill.least,
                at: backfill.at,
            }),
        })
    }
}

/// Windows that a partition's watermark has passed by one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The number of the last of them.
    pub through: i64,
    /// The moment at which they were passed, in milliseconds: the time of that message (where it
    /// has no timestamp, of the one before it), or of the next one where that is less. So a stray
    /// timestamp makes no moment.
    pub moment: i64,
    /// The offset of the message.
    pub offset: i64,
}

impl Passed {
    /// A message has come whose time is `seen`: the last ones, of `newest_first`, were passed
    /// no later.
    pub(super) fn lower<'a>(newest_first: impl Iterator<Item = &'a mut Passed>, seen: i64) {
        for passed in newest_first {
            if passed.moment <= seen {
                return;
            }
            passed.moment = seen;
        }
    }
}

fn never_less() -> i64 {
    i64::MAX
}

impl Serialize for Passed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.through, self.moment, self.offset).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Passed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Passed, D::Error> {
        deserializer.deserialize_tuple(3, PassedVisitor)
    }
}

struct PassedVisitor;

impl<'de> Visitor<'de> for PassedVisitor {
    type Value = Passed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number of a window, a moment and an offset")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Passed, A::Error> {
        let through = sequence.next_element()?;
        let moment = sequence.next_element()?;
        let (Some(through), Some(moment)) = (through, moment) else {
            return Err(A::Error::invalid_length(1, &self));
        };
        Ok(Passed {
            through,
            moment,
            // In a checkpoint of a program that kept none.
            offset: sequence.next_element()?.unwrap_or(NEVER),
        })
    }
}
