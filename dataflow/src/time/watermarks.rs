//! From what is known of partitions to the watermarks of views.
//!
//! A view's watermark is the least of its partitions' watermarks, and never goes
//! back. A partition that is idle does not count; when all of them are, the
//! watermark is the greatest they had reached.
//!
//! A view that joins its events with other topics waits a little longer with
//! closing a window. The window's *moment* is the Kafka timestamp at which the
//! last of the view's own partitions passed it. The window shall hold all that
//! was in the log by that moment, and nothing that came later; so it is closed
//! when every partition of every topic that is joined has been read beyond it: when
//! its clock is. (A partition whose messages have no timestamps is not waited for.
//! Where the view's own have none, its windows close with what is newest.)

use super::mark::OfView;
use super::{Advanced, Backfill, BackfillAt, Holding, Mark, Moment, NEVER, Passed, ViewMark};
use model::Window;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

/// The watermarks of all views, from the marks of all partitions.
#[derive(Clone, Debug)]
pub struct Watermarks {
    views: Vec<View>,
    partitions: BTreeMap<(usize, i32), Partition>,
}

/// What a view's watermark follows.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Number of its topic.
    pub topic: usize,
    /// Its windows.
    pub window: Window,
    /// Numbers of the topics whose timestamps a window's moment is compared with; none where
    /// nothing is joined.
    pub joins: Vec<usize>,
}

/// How far a view has come. Times are in microseconds since the UNIX epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    /// Every window that ends at or before it is closed; [`NEVER`] before the first.
    pub watermark: i64,
    /// The number of the last closed window; [`NEVER`] before the first.
    pub through: i64,
}

/// What a view's frontier comes of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passing {
    /// How far its own partitions have come: its watermark, where nothing is
    /// joined. [`NEVER`] before the first.
    pub passed: i64,
    /// Where a window that they have passed waits for what is joined: its moment, in
    /// milliseconds since the UNIX epoch. Of several, that of the first.
    pub waits_for: Option<i64>,
}

/// What a checkpoint keeps of watermarks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedWatermarks<T = usize, V: Ord = u16> {
    /// By view.
    pub views: BTreeMap<V, SavedView>,
    /// The last mark of each partition.
    pub marks: Vec<Mark<T, V>>,
}

impl<T, V: Ord> SavedWatermarks<T, V> {
    /// The same with topics and views named otherwise; those that are not known are left out.
    pub fn named<U, W: Ord>(
        self,
        topic: impl Fn(T) -> Option<U>,
        view: impl Fn(V) -> Option<W>,
    ) -> SavedWatermarks<U, W> {
        let views = self.views.into_iter();
        let marks = self.marks.into_iter();
        SavedWatermarks {
            views: views
                .filter_map(|(of, saved)| Some((view(of)?, saved)))
                .collect(),
            marks: marks.filter_map(|mark| mark.named(&topic, &view)).collect(),
        }
    }
}

/// What a checkpoint keeps of a view's watermark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedView {
    /// How far it has come.
    pub now: Frontier,
    /// The least watermark of its partitions.
    pub passed: i64,
    /// See [`Advanced::horizon`].
    pub horizon: i64,
}

#[derive(Clone, Debug)]
struct View {
    topic: usize,
    window: Window,
    /// Topics whose timestamps a window's moment is compared with; none where
    /// nothing is joined.
    joins: Vec<usize>,
    now: Frontier,
    /// The least watermark of the partitions, or what stands for it.
    passed: i64,
    /// The moment of the first window that is passed and not closed.
    waits_for: Option<i64>,
    horizon: i64,
}

#[derive(Clone, Debug)]
struct Partition {
    mark: Mark,
    /// By view: windows passed and not closed yet.
    passed: BTreeMap<u16, VecDeque<Passed>>,
}

impl Watermarks {
    /// Those of `views`, in the order of their numbers, before anything is known.
    pub fn new(views: impl Iterator<Item = Watched>) -> Watermarks {
        let view = |view: Watched| View {
            topic: view.topic,
            window: view.window,
            joins: view.joins,
            now: Frontier {
                watermark: NEVER,
                through: NEVER,
            },
            passed: NEVER,
            waits_for: None,
            horizon: NEVER,
        };
        Watermarks {
            views: views.map(view).collect(),
            partitions: BTreeMap::new(),
        }
    }

    /// What a checkpoint keeps.
    pub fn save(&self) -> SavedWatermarks {
        let view = |view: &View| SavedView {
            now: view.now,
            passed: view.passed,
            horizon: view.horizon,
        };
        let mark = |known: &Partition| {
            let mut mark = known.mark.clone();
            // A run that goes on begins the backfill once more.
            mark.backfill = None;
            for view in &mut mark.views {
                // Of several marks, what is passed and not closed yet.
                let passed = known.passed.get(&view.view);
                view.passed = passed.into_iter().flatten().copied().collect();
            }
            mark
        };
        SavedWatermarks {
            views: (0..).zip(self.views.iter().map(view)).collect(),
            marks: self.partitions.values().map(mark).collect(),
        }
    }

    /// Goes on from what a checkpoint kept. Every partition holds the watermark
    /// until it is heard of again, so that nothing closes before all are there.
    pub fn restore(&mut self, saved: &SavedWatermarks) {
        for (number, view) in (0..).zip(&mut self.views) {
            if let Some(known) = saved.views.get(&number) {
                view.now = known.now;
                view.passed = known.passed;
                view.horizon = known.horizon;
            }
        }
        for mark in &saved.marks {
            let mut mark = mark.clone();
            for (number, view) in (0..).zip(&self.views) {
                let is_known = mark.views.iter().any(|known| known.view == number);
                if view.topic == mark.topic && !is_known {
                    mark.views.push(ViewMark::none(number));
                }
            }
            let passed = mark.views.iter().filter(|view| !view.passed.is_empty());
            let passed = passed.map(|view| (view.view, view.passed.iter().copied().collect()));
            let known = Partition {
                passed: passed.collect(),
                mark: Mark {
                    holding: Holding::Yes,
                    ..mark
                },
            };
            let place = (known.mark.topic, known.mark.partition);
            self.partitions.insert(place, known);
        }
    }

    /// Some views are backfilled from a partition that was [restored](Watermarks::restore): of
    /// it, they know nothing yet.
    pub fn backfill(&mut self, place: (usize, i32), views: Vec<u16>) {
        if let Some(known) = self.partitions.get_mut(&place) {
            let at = BackfillAt {
                next: 0,
                kafka: NEVER,
                untimed: false,
            };
            known.mark.backfill = Some(Backfill {
                views,
                least: i64::MAX,
                at: Some(at),
            });
        }
    }

    /// The views that are backfilled from some partition.
    pub fn backfilled(&self) -> BTreeSet<u16> {
        let backfills = self.marks().filter_map(|mark| mark.backfill.as_ref());
        let under_way = backfills.filter(|backfill| backfill.at.is_some());
        under_way
            .flat_map(|backfill| backfill.views.iter().copied())
            .collect()
    }

    /// How far every view has come, as it is told to those who know nothing yet.
    pub fn advanced(&self) -> impl Iterator<Item = Advanced> + '_ {
        (0..).zip(&self.views).map(|(number, view)| Advanced {
            view: number,
            watermark: view.now.watermark,
            through: view.now.through,
            moments: Vec::new(),
            horizon: view.horizon,
        })
    }

    /// How far each view has come.
    pub fn frontiers(&self) -> impl Iterator<Item = Frontier> {
        self.views.iter().map(|view| view.now)
    }

    /// What the frontier of each view comes of.
    pub fn passing(&self) -> impl Iterator<Item = Passing> {
        let passing = |view: &View| Passing {
            passed: view.passed,
            waits_for: view.waits_for,
        };
        self.views.iter().map(passing)
    }

    /// The last mark of each partition.
    pub fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.partitions.values().map(|partition| &partition.mark)
    }

    /// Takes in the marks of an epoch. Calls `each` with the views that have come
    /// further by it.
    pub fn update(
        &mut self,
        marks: impl IntoIterator<Item = Mark>,
        mut each: impl FnMut(Advanced),
    ) {
        for mark in marks {
            let place = (mark.topic, mark.partition);
            let known = self.partitions.entry(place).or_insert_with(|| Partition {
                mark: mark.clone(),
                passed: BTreeMap::new(),
            });
            for (view, passed) in &mut known.passed {
                Passed::lower(passed.iter_mut().rev(), mark.least_of(*view));
            }
            for view in mark.views.iter().filter(|view| !view.passed.is_empty()) {
                let passed = known.passed.entry(view.view).or_default();
                passed.extend(view.passed.iter().copied());
            }
            known.mark = mark;
        }
        for (number, view) in (0..).zip(&mut self.views) {
            if let Some(advanced) = view.advance(number, &mut self.partitions) {
                each(advanced);
            }
        }
    }
}

impl View {
    fn advance(
        &mut self,
        number: u16,
        partitions: &mut BTreeMap<(usize, i32), Partition>,
    ) -> Option<Advanced> {
        let (mut least, mut greatest) = (None, NEVER);
        for partition in of_topic(partitions, self.topic) {
            let Some(view) = partition.mark.views.iter().find(|view| view.view == number) else {
                continue;
            };
            greatest = greatest.max(view.watermark);
            let holds = match partition.mark.of(number).holding {
                Holding::Yes => true,
                Holding::Idle => false,
                Holding::Ended => view.latest != NEVER,
            };
            if holds {
                least = Some(least.map_or(view.watermark, |least: i64| least.min(view.watermark)));
            }
        }
        self.passed = self.passed.max(least.unwrap_or(greatest));
        if self.passed == NEVER {
            return None;
        }
        let before = (self.now, self.horizon);
        let over = self.window.last_before(self.passed);
        let mut moments = Vec::new();
        if self.joins.is_empty() {
            self.now = Frontier {
                watermark: self.passed,
                through: over,
            };
        } else {
            moments = self.close_joined(number, over, partitions);
            self.now.watermark = match self.now.through {
                NEVER => NEVER,
                // Not beyond the end of the first window that is not closed.
                through => {
                    let next_end = self.window.end_micros(through.saturating_add(1));
                    self.now
                        .watermark
                        .max(self.passed.min(next_end.saturating_sub(1)))
                }
            };
        }
        (before != (self.now, self.horizon)).then_some(Advanced {
            view: number,
            watermark: self.now.watermark,
            through: self.now.through,
            moments,
            horizon: self.horizon,
        })
    }

    /// Closes those of the windows through number `over` whose moments have been
    /// read beyond. Returns their moments, ascending.
    fn close_joined(
        &mut self,
        number: u16,
        over: i64,
        partitions: &mut BTreeMap<(usize, i32), Partition>,
    ) -> Vec<Moment> {
        let is_holding = |mark: &OfView| mark.holding == Holding::Yes;
        let of_view = |partition: &Partition| partition.mark.of(number);
        let read_to = self
            .joins
            .iter()
            .flat_map(|topic| of_topic(partitions, *topic).map(of_view))
            .filter(|mark| is_holding(mark) && !mark.untimed)
            .map(|mark| mark.kafka)
            .min()
            .unwrap_or(i64::MAX);

        // Those that have events in the view; between two of the windows' numbers at
        // which one of them passed, all windows have the same moment.
        let has_events = |(_, p): &(&(usize, i32), &Partition)| {
            let of_view = p.mark.views.iter().find(|view| view.view == number);
            of_view.is_some_and(|view| view.latest != NEVER)
        };
        let own = || partitions.range(of(self.topic));
        let counted: Vec<_> = own().filter(has_events).collect();
        let none = VecDeque::new();
        let ends: BTreeSet<i64> = counted
            .iter()
            .filter_map(|(_, p)| p.passed.get(&number))
            .flatten()
            .map(|passed| passed.through)
            .filter(|through| *through <= over)
            .collect();
        let mut moments = Vec::new();
        let mut waiting = None;
        for end in ends {
            let (mut at, mut own) = (NEVER, Vec::with_capacity(counted.len()));
            for ((_, number_of), p) in &counted {
                let mut passed = p.passed.get(&number).unwrap_or(&none).iter();
                let (by, below) = match passed.find(|passed| passed.through >= end) {
                    Some(by) => (by.moment, by.offset.saturating_add(1)),
                    // One that has not passed is idle: all it has sent by now counts.
                    None => {
                        let OfView { kafka, next, .. } = p.mark.of(number);
                        (kafka, next)
                    }
                };
                at = at.max(by);
                own.push((*number_of, below));
            }
            if at == NEVER {
                // Nothing says when that was.
                at = i64::MAX;
            } else if read_to <= at {
                waiting = Some(at);
                break;
            }
            moments.push(Moment {
                through: end,
                at,
                own,
            });
        }

        // Of the windows that are not passed yet, the moments are still to come.
        let own = || of_topic(partitions, self.topic).map(of_view);
        let to_come = own().filter(is_holding).map(|mark| mark.kafka).min();
        let latest = || own().map(|mark| mark.kafka).max();
        let to_come = to_come.or_else(latest).unwrap_or(NEVER);
        self.horizon = self
            .horizon
            .max(waiting.map_or(to_come, |at| to_come.min(at)));
        self.waits_for = waiting;

        if let Some(Moment { through, .. }) = moments.last() {
            self.now.through = *through;
            for ((topic, _), partition) in partitions.iter_mut() {
                if let Some(passed) = partition
                    .passed
                    .get_mut(&number)
                    .filter(|_| *topic == self.topic)
                {
                    passed.retain(|passed| passed.through > *through);
                }
            }
        }
        moments
    }
}

fn of_topic(
    partitions: &BTreeMap<(usize, i32), Partition>,
    topic: usize,
) -> impl Iterator<Item = &Partition> {
    partitions.range(of(topic)).map(|(_, partition)| partition)
}

/// The partitions of a topic.
fn of(topic: usize) -> RangeInclusive<(usize, i32)> {
    (topic, i32::MIN)..=(topic, i32::MAX)
}

#[cfg(test)]
#[path = "watermarks_tests.rs"]
mod tests;
