//! Exact distinct counts, kept incrementally.
//!
//! An arrangement holds, for each row, the members it has seen. When a batch of
//! updates brings a member from none to some (or back), the row's `unique` goes
//! up (or down) by one. Only the members in the batch are looked up.
//!
//! Like differential's own `distinct_total` and `count_total`, it relies on times
//! that are totally ordered: the history of a member is then a running sum.
//! Unlike them it works on the values below a key, so that a row's members are
//! stored once under its key, and live with the row.

use super::key::Key;
use super::sums::Sums;
use crate::Epoch;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::cursor::{Cursor, cursor_list};
use differential_dataflow::trace::implementations::ValSpine;
use differential_dataflow::trace::TraceReader;
use differential_dataflow::{AsCollection, VecCollection};
use events::Id;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::{CapabilitySet, Operator};
use timely::progress::frontier::Antichain;
use timely::progress::Timestamp;

/// Members of rows, by row.
pub(super) type Members = TraceAgent<ValSpine<Key, Id, Epoch, isize>>;

/// Changes of the number of distinct members of each row.
pub(super) fn unique<'scope>(
    members: Arranged<'scope, Members>,
) -> VecCollection<'scope, Epoch, Key, Sums> {
    let mut trace = members.trace;
    members
        .stream
        .unary_frontier(Pipeline, "Unique", move |_, _| {
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
                    let mut session = output.session(&capabilities);
                    let before = trace
                        .batches_through(lower.borrow())
                        .expect("only this operator compacts its handle of the trace");
                    let (mut old, old_storage) = cursor_list(before);
                    let (mut new, new_storage) = cursor_list(batches);
                    let mut changes: Vec<(Epoch, i64)> = Vec::new();

                    while let Some(key) = new.get_key(&new_storage) {
                        old.seek_key(&old_storage, key);
                        let known = old.get_key(&old_storage) == Some(key);
                        while let Some(member) = new.get_val(&new_storage) {
                            let mut weight = 0;
                            if known {
                                old.seek_val(&old_storage, member);
                                if old.get_val(&old_storage) == Some(member) {
                                    old.map_times(&old_storage, |_, diff| weight += diff);
                                }
                            }
                            new.map_times(&new_storage, |time, diff| {
                                let was = weight > 0;
                                weight += diff;
                                match (was, weight > 0) {
                                    (false, true) => add(&mut changes, *time, 1),
                                    (true, false) => add(&mut changes, *time, -1),
                                    _ => {}
                                }
                            });
                            new.step_val(&new_storage);
                        }
                        for (time, unique) in changes.drain(..) {
                            session.give((key.clone(), time, Sums { unique, ..Sums::default() }));
                        }
                        new.step_key(&new_storage);
                    }
                }

                trace.advance_upper(&mut upper);
                trace.set_logical_compaction(upper.borrow());
                trace.set_physical_compaction(upper.borrow());
            }
        })
        .as_collection()
}

/// Adds `change` at `time`. A batch holds few times, most often one.
fn add(changes: &mut Vec<(Epoch, i64)>, time: Epoch, change: i64) {
    match changes.iter_mut().find(|(at, _)| *at == time) {
        Some((_, sum)) => *sum += change,
        None => changes.push((time, change)),
    }
}
