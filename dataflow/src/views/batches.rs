//! What operators over an arrangement share.
//!
//! Like differential's own `count_total` and `distinct_total`, they rely on epochs
//! being totally ordered: what a trace held before a batch is then a plain sum.

use crate::Epoch;
use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::trace::TraceReader;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::{CapabilitySet, Operator};
use timely::progress::Timestamp;
use timely::progress::frontier::Antichain;

/// Calls `each` whenever an arrangement has grown: with the batches that it held
/// before, the batches that have come, and where the output goes. Keeps the
/// trace compacted as far as it has been seen.
pub(super) fn on_batches<'scope, Tr, D>(
    arranged: Arranged<'scope, Tr>,
    name: &str,
    mut each: impl FnMut(&[Tr::Batch], Vec<Tr::Batch>, &mut dyn FnMut(D)) + 'static,
) -> StreamVec<'scope, Epoch, D>
where
    Tr: TraceReader<Time = Epoch> + 'static,
    D: Clone + 'static,
{
    let mut trace = arranged.trace;
    arranged.stream.unary_frontier(Pipeline, name, move |_, _| {
        // What the trace held before the batches of this activation, and after.
        let mut lower = Antichain::from_elem(Epoch::minimum());
        let mut upper = Antichain::from_elem(Epoch::minimum());

        move |(input, _frontier), output| {
            lower.clone_from(&upper);
            let mut batches = Vec::new();
            let mut capabilities = CapabilitySet::new();
            input.for_each(|capability, spans| {
                for capability in capability.retain_stamp(0).iter() {
                    capabilities.insert(capability.clone());
                }
                for span in spans.drain(..) {
                    upper.clone_from(span.upper());
                    batches.extend(span.inner);
                }
            });

            if !capabilities.is_empty() && !batches.is_empty() {
                let before = trace
                    .batches_through(lower.borrow())
                    .expect("only this operator compacts its handle of the trace");
                let mut session = output.session(&capabilities);
                each(&before, batches, &mut |item| session.give(item));
            }

            trace.advance_upper(&mut upper);
            trace.set_logical_compaction(upper.borrow());
            trace.set_physical_compaction(upper.borrow());
        }
    })
}
