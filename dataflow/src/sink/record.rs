//! How far rows may reach, written down before they are.
//!
//! Rows of an epoch are written in many transactions, and a run may end in their
//! middle. Whoever goes on has to know which offsets may have had an effect. So
//! worker 0 records the offsets of an epoch first, and no worker writes a row of it
//! before that is acknowledged: the frontier of this operator's output is a gate.

use super::WriteError;
use super::catch_up::Place;
use super::operator::earliest;
use crate::Epoch;
use crate::background::{Background, Held};
use crate::epochs::take_before;
use crate::time::Mark;
use sinks::{Limit, Reaching, Writer};
use std::collections::BTreeMap;
use std::sync::Arc;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// What an earlier run has recorded.
pub struct Before {
    /// How far rows may reach.
    pub offsets: BTreeMap<Place, i64>,
    /// Which timestamps were believed.
    pub limits: BTreeMap<Place, Vec<Limit>>,
}

/// Records on worker 0 how far each epoch reaches, and which timestamps it has come to
/// believe, beyond what an earlier run has recorded (`before`), and returns a stream without data: what its frontier has
/// passed is recorded.
///
/// When the database refuses, `failed` is called, once, and the frontier stays.
pub fn record<'scope>(
    marks: StreamVec<'scope, Epoch, Mark>,
    mut before: Before,
    topics: Arc<[String]>,
    mut writer: Box<dyn Writer>,
    failed: impl Fn(WriteError) + Clone + 'static,
) -> StreamVec<'scope, Epoch, ()> {
    let scope = marks.scope();
    let mut builder = OperatorBuilder::new("Record".to_owned(), scope);
    let mut marks = builder.new_input(marks, Pipeline);
    let (_output, recorded) = builder.new_output::<Vec<()>>();
    let address = builder.operator_info().address;
    let wake = scope.worker().sync_activator_for(address.to_vec());
    let here = scope.index() == 0;

    builder.build(move |mut capabilities| {
        let mut held = Held::new(capabilities.pop().filter(|_| here));
        let background = here.then(|| {
            Background::start("record", wake, move |(reaching, frontier)| {
                writer.reach(&reaching)?;
                Ok::<Option<Epoch>, WriteError>(frontier)
            })
        });
        let mut background = background.and_then(|started| started.map_err(&failed).ok());
        let mut coming: BTreeMap<Epoch, Vec<Mark>> = BTreeMap::new();

        move |frontiers: &[MutableAntichain<Epoch>]| {
            marks.for_each(|capability, marks| {
                if here && let Some(epoch) = capability.least() {
                    coming.entry(*epoch).or_default().append(marks);
                }
            });
            let Some(thread) = &mut background else {
                return;
            };
            let recorded = thread.go_on(&mut held, || {
                let frontier = earliest(frontiers);
                let mut last = None;
                for (epoch, marks) in take_before(&mut coming, frontier) {
                    for mark in marks {
                        let place = (mark.topic, mark.partition);
                        let known = before.offsets.entry(place).or_default();
                        *known = mark.next.max(*known);
                        if !mark.limits.is_empty() {
                            before.limits.entry(place).or_default().extend(mark.limits);
                        }
                        // Also where nothing has been read: windows may have closed.
                        last = Some(epoch);
                    }
                }
                (
                    last.map(|epoch| reaching(epoch, &before, &topics)),
                    frontier,
                )
            });
            if let Err(error) = recorded {
                background = None;
                failed(error);
            }
        }
    });
    recorded
}

fn reaching(epoch: Epoch, known: &Before, topics: &[String]) -> Reaching {
    Reaching {
        epoch,
        offsets: by_name(&known.offsets, topics),
        limits: Some(by_name(&known.limits, topics)),
    }
}

/// What is known by place, by the full names of topics.
pub(super) fn by_name<T: Clone>(
    known: &BTreeMap<Place, T>,
    topics: &[String],
) -> BTreeMap<String, BTreeMap<i32, T>> {
    let mut by_name: BTreeMap<String, BTreeMap<i32, T>> = BTreeMap::new();
    for ((topic, partition), of_partition) in known {
        let of_topic = by_name.entry(topics[*topic].clone()).or_default();
        of_topic.insert(*partition, of_partition.clone());
    }
    by_name
}
