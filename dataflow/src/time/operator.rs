//! The operator that follows event time, the same on every worker.

use super::{Advanced, Mark, Watermarks};
use crate::Epoch;
use crate::epochs::take_before;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator as _;

/// Follows the marks of all partitions of all workers, epoch by epoch, in `known`,
/// where others may look on. (No operator does: they are told by the stream.)
///
/// In the epoch `restored`, before the first of a run, it tells all that is known
/// at the start.
pub fn watermarks<'scope>(
    marks: StreamVec<'scope, Epoch, Mark>,
    known: Arc<Mutex<Watermarks>>,
    restored: Epoch,
) -> StreamVec<'scope, Epoch, Advanced> {
    marks.unary_frontier(Pipeline, "Watermarks", move |capability, _| {
        let mut coming = BTreeMap::new();
        let mut start = Some(capability.delayed(&restored));
        move |(input, frontier), output| {
            if let Some(start) = start.take() {
                let known = known.lock().unwrap_or_else(PoisonError::into_inner);
                let mut session = output.session(&start);
                known.advanced().for_each(|advanced| session.give(advanced));
            }
            input.for_each(|capability, marks| {
                if let Some(capability) = capability.retain_least(0) {
                    let epoch = *capability.time();
                    let entry = coming
                        .entry(epoch)
                        .or_insert_with(|| (capability, Vec::new()));
                    entry.1.append(marks);
                }
            });
            let complete = take_before(&mut coming, frontier.frontier().first().copied());
            if complete.is_empty() {
                return;
            }
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            for (capability, marks) in complete.into_values() {
                let mut session = output.session(&capability);
                known.update(marks, |advanced| session.give(advanced));
            }
        }
    })
}
