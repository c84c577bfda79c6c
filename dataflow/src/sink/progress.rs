//! What readers may rely on: the `progress` document.
//!
//! When the frontier of what all workers have written passes an epoch, worker 0
//! publishes that epoch, with the offsets that all partitions had reached by its
//! end, and how far event time had come: as far as final rows are written. Its own
//! output's frontier follows what is published: when it is empty, everything that
//! was read is written, and said to be.

use super::WriteError;
use super::catch_up::{CatchUp, Place};
use super::operator::Written;
use super::pending::Through;
use super::record::by_name;
use crate::Epoch;
use crate::background::{Background, Held};
use crate::epochs::take_before;
use crate::ingest::identity::IdentityCheck;
use crate::inputs::Inputs;
use crate::time::{Frontier, Mark, NEVER, Watermarks};
use crate::views::Catalog;
use model::{FIRST_DATE, LAST_DATE};
use sinks::{Limit, Progress, ViewProgress, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// How far the pipeline has come, as it is published.
pub struct Reached {
    catalog: Arc<Catalog>,
    topics: Arc<[String]>,
    targets: CatchUp,
    /// What is said of partitions: their offsets count when an epoch is written,
    offsets: BTreeMap<Epoch, Vec<Mark>>,
    /// and their event time when its final rows are.
    times: BTreeMap<Epoch, Vec<Mark>>,
    known: Watermarks,
    /// Which timestamps are believed, where nobody records it before rows are written.
    limits: Option<BTreeMap<Place, Vec<Limit>>>,
    /// What has been published, or will be next.
    now: Progress,
    first: Epoch,
    identity: Arc<dyn IdentityCheck>,
    changed: bool,
}

/// Where a run goes on from, as far as progress is concerned.
#[derive(Clone)]
pub struct From {
    /// What an earlier run has published of each view.
    pub views: BTreeMap<String, ViewProgress>,
    /// Nothing is published before this is reached.
    pub targets: CatchUp,
    /// How far event time had come.
    pub known: Watermarks,
    /// The first epoch.
    pub first: Epoch,
    /// Which timestamps were believed, where that is to be published.
    pub limits: Option<BTreeMap<Place, Vec<Limit>>>,
    /// Which log is read.
    pub identity: Arc<dyn IdentityCheck>,
}

impl Reached {
    /// Nothing new yet.
    pub fn new(from: From, catalog: Arc<Catalog>, topics: Arc<[String]>) -> Reached {
        let From {
            views,
            targets,
            known,
            first,
            limits,
            identity,
        } = from;
        Reached {
            catalog,
            targets,
            offsets: BTreeMap::new(),
            times: BTreeMap::new(),
            known,
            now: Progress {
                limits: limits.as_ref().map(|limits| by_name(limits, &topics)),
                views,
                ..Progress::default()
            },
            topics,
            first,
            limits,
            identity,
            changed: false,
        }
    }

    /// Takes in what is said of partitions at the end of an epoch.
    pub(super) fn hear(&mut self, epoch: Epoch, marks: impl Iterator<Item = Mark>) {
        let marks: Vec<_> = marks.collect();
        self.targets.hear(epoch, &marks);
        let of_epoch = self.offsets.entry(epoch).or_default();
        of_epoch.extend(marks.iter().cloned());
        self.times.entry(epoch).or_default().extend(marks);
    }

    /// What is to be published when everything is written `through` there, if that
    /// is anything new.
    pub(super) fn advance(&mut self, through: Through, now: i64) -> Option<Progress> {
        for (epoch, marks) in take_before(&mut self.offsets, through.complete) {
            self.now.epoch = epoch;
            for mark in marks {
                if let Some(limits) = &mut self.limits
                    && !mark.limits.is_empty()
                {
                    let place = (mark.topic, mark.partition);
                    limits.entry(place).or_default().extend(&mark.limits);
                    self.now.limits = Some(by_name(limits, &self.topics));
                }
                let name = &self.topics[mark.topic];
                if let Some(last) = mark.last_read {
                    let last_read = self.now.log.last_read.entry(name.clone()).or_default();
                    last_read.insert(mark.partition, last);
                }
                let offsets = self.now.offsets.entry(name.clone()).or_default();
                self.changed |= offsets.insert(mark.partition, mark.next) != Some(mark.next);
            }
        }
        for marks in take_before(&mut self.times, through.all()).into_values() {
            self.known.update(marks, |_| {});
        }
        let backfilled = self.known.backfilled();
        let definitions = (0..).zip(&self.catalog.definitions);
        let mut rebuilding = BTreeSet::new();
        for ((number, definition), reached) in definitions.zip(self.known.frontiers()) {
            let Frontier { watermark, through } = reached;
            if backfilled.contains(&number) {
                rebuilding.insert(definition.name.clone());
                continue;
            }
            if through == NEVER {
                continue;
            }
            // A date beyond these is none to those who read it.
            let date = |millis: i64| millis.clamp(FIRST_DATE / 1_000, LAST_DATE / 1_000);
            let view = ViewProgress {
                watermark: date(watermark.div_euclid(1_000)),
                final_until: date(definition.window.end_micros(through).div_euclid(1_000)),
            };
            let views = &mut self.now.views;
            // What is final stays so: an earlier run may have come further.
            let before = views.get(&definition.name);
            if before.is_none_or(|before| before.watermark < view.watermark) {
                views.insert(definition.name.to_owned(), view);
                self.changed = true;
            }
        }
        if self.now.rebuilding != rebuilding {
            self.now.rebuilding = rebuilding;
            self.changed = true;
        }
        // Before the first epoch partitions are announced, and nothing is read.
        let begun = self.now.epoch >= self.first;
        let is_new = self.targets.is_reached(through.complete) && begun;
        if !is_new || !std::mem::take(&mut self.changed) {
            return None;
        }
        self.now.log.identity = self.identity.identity();
        Some(Progress {
            updated_at: now,
            ..self.now.clone()
        })
    }
}

/// Publishes progress on worker 0, and returns a stream without data: what its
/// frontier has passed is published.
///
/// When the database refuses, `failed` is called, once, and the frontier stays.
pub fn publish<'scope>(
    written: Written<'scope>,
    marks: StreamVec<'scope, Epoch, Mark>,
    mut reached: Reached,
    mut writer: Box<dyn Writer>,
    failed: impl Fn(WriteError) + Clone + 'static,
) -> StreamVec<'scope, Epoch, ()> {
    let scope = marks.scope();
    let mut builder = OperatorBuilder::new("Progress".to_owned(), scope);
    let (mut complete, mut durable) = (Inputs::default(), Inputs::default());
    let mut marks = complete.add(&mut builder, marks, Pipeline);
    let _open = complete.add(&mut builder, written.open, Pipeline);
    let _finals = durable.add(&mut builder, written.finals, Pipeline);
    let (_output, published) = builder.new_output::<Vec<()>>();
    let address = builder.operator_info().address;
    let wake = scope.worker().sync_activator_for(address.to_vec());
    let here = scope.index() == 0;

    builder.build(move |mut capabilities| {
        let mut held = Held::new(capabilities.pop().filter(|_| here));
        let background = here.then(|| {
            Background::start("progress", wake, move |(progress, frontier)| {
                writer.publish(&progress)?;
                Ok::<Option<Epoch>, WriteError>(frontier)
            })
        });
        let mut background = background.and_then(|started| started.map_err(&failed).ok());

        move |frontiers: &[MutableAntichain<Epoch>]| {
            marks.for_each(|capability, marks| {
                // Everybody is told; one publishes.
                if here && let Some(epoch) = capability.least() {
                    reached.hear(*epoch, marks.drain(..));
                }
            });
            let Some(thread) = &mut background else {
                return;
            };
            let told = thread.go_on(&mut held, || {
                let through = Through {
                    complete: complete.earliest(frontiers),
                    durable: durable.earliest(frontiers),
                };
                let now = jiff::Timestamp::now().as_millisecond();
                (reached.advance(through, now), through.all())
            });
            if let Err(error) = told {
                background = None;
                failed(error);
            }
        }
    });
    published
}
