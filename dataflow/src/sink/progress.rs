//! What readers may rely on: the `progress` document.
//!
//! When the frontier of what all workers have written passes an epoch, worker 0
//! publishes that epoch, with the offsets that all partitions had reached by its
//! end, and how far event time had come in it. Its own output's frontier follows
//! what is published: when it is empty, everything that was read is written, and
//! said to be.

use super::WriteError;
use super::background::Background;
use super::operator::earliest;
use crate::Epoch;
use crate::epochs::take_before;
use crate::observe::Board;
use crate::time::{Frontier, Mark, NEVER, Watermarks};
use crate::views::Catalog;
use sinks::{Progress, ViewProgress, Writer};
use std::collections::BTreeMap;
use std::sync::Arc;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// What an earlier run has left.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// What it has published of each view.
    pub views: BTreeMap<String, ViewProgress>,
    /// How far it had read each topic's partitions.
    pub offsets: BTreeMap<String, BTreeMap<i32, i64>>,
    /// Tables whose rows may come and go. What it has left of them, and is not
    /// written again by the time that this run has read as far, is no more.
    pub sweep: Vec<usize>,
}

impl Before {
    /// Whether the log has been read as far as it was before.
    fn is_reached(&self, offsets: &BTreeMap<String, BTreeMap<i32, i64>>) -> bool {
        self.offsets.iter().all(|(topic, partitions)| {
            let now = offsets.get(topic);
            partitions.iter().all(|(partition, before)| {
                let now = now.and_then(|topic| topic.get(partition));
                now.is_some_and(|now| now >= before)
            })
        })
    }
}

/// What is known of partitions, by the epoch at whose end it holds.
struct Reached {
    catalog: Arc<Catalog>,
    topics: Arc<[String]>,
    coming: BTreeMap<Epoch, Vec<Mark>>,
    known: Watermarks,
    /// What has been published, or will be next.
    now: Progress,
    changed: bool,
}

impl Reached {
    /// Takes in all marks before `frontier`. Returns whether there is anything new
    /// to publish.
    fn advance(&mut self, frontier: Option<Epoch>) -> bool {
        for (epoch, marks) in take_before(&mut self.coming, frontier) {
            self.now.epoch = epoch;
            for mark in &marks {
                let name = self.topics[mark.topic].clone();
                let offsets = self.now.offsets.entry(name).or_default();
                self.changed |= offsets.insert(mark.partition, mark.next) != Some(mark.next);
            }
            self.known.update(marks, |_| {});
        }
        for (definition, reached) in self.catalog.definitions.iter().zip(self.known.frontiers()) {
            let Frontier { watermark, through } = reached;
            if through == NEVER {
                continue;
            }
            let view = ViewProgress {
                watermark: watermark.div_euclid(1_000),
                final_until: definition.window.end_millis(through),
            };
            let views = &mut self.now.views;
            // What is final stays so: an earlier run may have come further.
            let before = views.get(definition.name);
            if before.is_none_or(|before| before.watermark < view.watermark) {
                views.insert(definition.name.to_owned(), view);
                self.changed = true;
            }
        }
        // Before the first epoch partitions are announced, and nothing is read.
        self.now.epoch > Epoch::MIN && std::mem::take(&mut self.changed)
    }
}

/// What is to be published, after these tables have been swept.
struct Work {
    progress: Progress,
    sweep: Vec<usize>,
}

/// Publishes progress on worker 0, and returns a stream without data: what its
/// frontier has passed is published. `before` is what an earlier run has left; the
/// epochs of this one begin with `first_epoch`.
///
/// When the database refuses, `failed` is called, once, and the frontier stays.
pub fn publish<'scope>(
    written: StreamVec<'scope, Epoch, ()>,
    marks: StreamVec<'scope, Epoch, Mark>,
    (catalog, topics): (Arc<Catalog>, Arc<[String]>),
    (mut before, first_epoch): (Before, Epoch),
    mut writer: Box<dyn Writer>,
    board: Arc<Board>,
    failed: impl Fn(WriteError) + Clone + 'static,
) -> StreamVec<'scope, Epoch, ()> {
    let scope = written.scope();
    let mut builder = OperatorBuilder::new("Progress".to_owned(), scope);
    let _written = builder.new_input(written, Pipeline);
    let mut marks = builder.new_input(marks, Pipeline);
    let (_output, published) = builder.new_output::<Vec<()>>();
    let address = builder.operator_info().address;
    let wake = scope.worker().sync_activator_for(address.to_vec());
    let here = scope.index() == 0;

    builder.build(move |mut capabilities| {
        let held = capabilities.pop();
        let background = here.then(|| {
            Background::start("progress", wake, held, move |work: Work| {
                for table in work.sweep {
                    writer.sweep(table, first_epoch)?;
                }
                writer.publish(&work.progress)
            })
        });
        let mut background = background.and_then(|started| started.map_err(&failed).ok());
        let mut reached = Reached {
            known: Watermarks::new(&catalog),
            catalog,
            topics,
            coming: BTreeMap::new(),
            now: Progress {
                views: std::mem::take(&mut before.views),
                ..Progress::default()
            },
            changed: false,
        };

        move |frontiers: &[MutableAntichain<Epoch>]| {
            marks.for_each(|capability, marks| {
                // Everybody is told; one publishes.
                if here && let Some(epoch) = capability.least() {
                    reached.coming.entry(*epoch).or_default().append(marks);
                }
            });
            let frontier = earliest(frontiers);
            if let Some(frontier) = frontier {
                board.epoch_written(frontier.saturating_sub(1));
            }
            let Some(thread) = &mut background else {
                return;
            };
            let mut publish_reached = || {
                if !thread.is_free(|()| ())? {
                    return Ok(());
                }
                if reached.advance(frontier) {
                    let updated_at = jiff::Timestamp::now().as_millisecond();
                    let progress = Progress {
                        updated_at,
                        ..reached.now.clone()
                    };
                    let sweep = match before.is_reached(&progress.offsets) {
                        true => std::mem::take(&mut before.sweep),
                        false => Vec::new(),
                    };
                    return thread.give(Work { progress, sweep }, frontier);
                }
                thread.release(frontier);
                Ok(())
            };
            if let Err(error) = publish_reached() {
                background = None;
                failed(error);
            }
        }
    });
    published
}
