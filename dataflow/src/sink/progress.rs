//! What readers may rely on: the `progress` document.
//!
//! When the frontier of what all workers have written passes an epoch, worker 0
//! publishes that epoch, with the offsets that all partitions had reached by its
//! end. Its own output's frontier follows what is published: when it is empty,
//! everything that was read is written, and said to be.

use super::WriteError;
use super::background::Background;
use super::operator::earliest;
use crate::Epoch;
use crate::epochs::take_before;
use crate::observe::Board;
use sinks::{Progress, Writer};
use std::collections::BTreeMap;
use std::sync::Arc;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// Positions by the epoch at whose end they hold.
#[derive(Default)]
struct Positions {
    coming: BTreeMap<Epoch, Vec<(usize, i32, i64)>>,
    reached: Progress,
}

impl Positions {
    /// Takes in all positions before `frontier`. Returns whether any has moved.
    fn advance(&mut self, frontier: Option<Epoch>, topics: &[String]) -> bool {
        let mut moved = false;
        for (epoch, positions) in take_before(&mut self.coming, frontier) {
            self.reached.epoch = epoch;
            for (topic, partition, next) in positions {
                let offsets = self
                    .reached
                    .offsets
                    .entry(topics[topic].clone())
                    .or_default();
                moved |= offsets.insert(partition, next) != Some(next);
            }
        }
        moved
    }
}

/// Publishes progress on worker 0, and returns a stream without data: what its
/// frontier has passed is published.
///
/// When the database refuses, `failed` is called, once, and the frontier stays.
pub fn publish<'scope>(
    written: StreamVec<'scope, Epoch, ()>,
    positions: StreamVec<'scope, Epoch, (usize, i32, i64)>,
    topics: Arc<[String]>,
    mut writer: Box<dyn Writer>,
    board: Arc<Board>,
    failed: impl Fn(WriteError) + Clone + 'static,
) -> StreamVec<'scope, Epoch, ()> {
    let scope = written.scope();
    let mut builder = OperatorBuilder::new("Progress".to_owned(), scope);
    let _written = builder.new_input(written, Pipeline);
    let mut positions = builder.new_input(positions, Exchange::new(|_| 0));
    let (_output, published) = builder.new_output::<Vec<()>>();
    let address = builder.operator_info().address;
    let wake = scope.worker().sync_activator_for(address.to_vec());
    let here = scope.index() == 0;

    builder.build(move |mut capabilities| {
        let held = capabilities.pop();
        let background = here.then(|| {
            Background::start("progress", wake, held, move |work: Progress| {
                writer.publish(&work)
            })
        });
        let mut background = background.and_then(|started| started.map_err(&failed).ok());
        let mut known = Positions::default();

        move |frontiers: &[MutableAntichain<Epoch>]| {
            positions.for_each(|capability, positions| {
                if let Some(epoch) = capability.least() {
                    known.coming.entry(*epoch).or_default().append(positions);
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
                if known.advance(frontier, &topics) {
                    let updated_at = jiff::Timestamp::now().as_millisecond();
                    return thread.give(
                        Progress {
                            updated_at,
                            ..known.reached.clone()
                        },
                        frontier,
                    );
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
