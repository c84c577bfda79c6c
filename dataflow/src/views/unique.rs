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
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::cursor::{BatchCursor, Cursor, Navigable, cursor_list};
use differential_dataflow::trace::implementations::ValSpine;
use differential_dataflow::{AsCollection, VecCollection};
use events::Id;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::{CapabilitySet, Operator};
use timely::progress::Timestamp;
use timely::progress::frontier::Antichain;

/// Members of rows, by row.
pub(super) type Members = TraceAgent<ValSpine<Key, Id, Epoch, isize>>;
type MembersBatch = <Members as TraceReader>::Batch;

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
                    let mut before: Vec<_> = before.iter().map(Seen::new).collect();
                    let (mut new, new_storage) = cursor_list(batches);
                    let mut changes: Vec<(Epoch, i64)> = Vec::new();

                    while let Some(key) = new.get_key(&new_storage) {
                        before.iter_mut().for_each(|seen| seen.seek_key(key));
                        while let Some(member) = new.get_val(&new_storage) {
                            let mut weight: isize =
                                before.iter_mut().map(|seen| seen.weight(member)).sum();
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
                            session.give((
                                key.clone(),
                                time,
                                Sums {
                                    unique,
                                    ..Sums::default()
                                },
                            ));
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

/// A batch of members seen before, searched forwards.
///
/// One cursor for each batch, and not one over all of them: that would move the
/// values of batches that are still before, or already behind, the key.
struct Seen<'a> {
    batch: &'a MembersBatch,
    cursor: BatchCursor<Members>,
    has_key: bool,
}

impl<'a> Seen<'a> {
    fn new(batch: &'a MembersBatch) -> Seen<'a> {
        Seen {
            batch,
            cursor: batch.cursor(),
            has_key: false,
        }
    }

    /// Goes to a key that is not before the last one.
    fn seek_key(&mut self, key: &Key) {
        self.cursor.seek_key(self.batch, key);
        self.has_key = self.cursor.get_key(self.batch) == Some(key);
    }

    /// How often the key has a member that is not before the last one.
    fn weight(&mut self, member: &Id) -> isize {
        let mut weight = 0;
        if self.has_key {
            self.cursor.seek_val(self.batch, member);
            if self.cursor.get_val(self.batch) == Some(member) {
                self.cursor.map_times(self.batch, |_, diff| weight += diff);
            }
        }
        weight
    }
}

/// Adds `change` at `time`. A batch holds few times, most often one.
fn add(changes: &mut Vec<(Epoch, i64)>, time: Epoch, change: i64) {
    match changes.iter_mut().find(|(at, _)| *at == time) {
        Some((_, sum)) => *sum += change,
        None => changes.push((time, change)),
    }
}
