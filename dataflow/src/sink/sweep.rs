//! What is left of views that were rebuilt in place, deleted once all of their rows are written.

use super::WriteError;
use super::backfills::Backfills;
use super::catch_up::CatchUp;
use crate::Epoch;
use crate::background::{Background, Held};
use crate::inputs::Inputs;
use crate::time::Mark;
use std::collections::BTreeSet;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// Deletes the rows and dead letters of some views that this run has not written.
pub type Sweep = Box<dyn FnMut(&BTreeSet<u16>) -> Result<(), WriteError> + Send>;

/// What is to be deleted, and when.
pub struct Sweeping {
    /// The views that are rebuilt.
    pub backfills: Backfills,
    /// Nothing is written before this is reached.
    pub targets: CatchUp,
    /// How, on worker 0.
    pub sweep: Option<Sweep>,
}

/// Passes on what is `written`, and deletes on worker 0 what is left of a view before it passes on
/// the epoch in which the view has caught up.
///
/// When the database refuses, `failed` is called, once, and the frontier stays.
pub fn sweep<'scope>(
    written: StreamVec<'scope, Epoch, ()>,
    marks: StreamVec<'scope, Epoch, Mark>,
    sweeping: Sweeping,
    failed: impl Fn(WriteError) + Clone + 'static,
) -> StreamVec<'scope, Epoch, ()> {
    let Sweeping {
        mut backfills,
        mut targets,
        sweep,
    } = sweeping;
    let scope = marks.scope();
    let mut builder = OperatorBuilder::new("Sweep".to_owned(), scope);
    let mut inputs = Inputs::default();
    let _written = inputs.add(&mut builder, written, Pipeline);
    let mut marks = inputs.add(&mut builder, marks, Pipeline);
    let (_output, swept) = builder.new_output::<Vec<()>>();
    let address = builder.operator_info().address;
    let wake = scope.worker().sync_activator_for(address.to_vec());

    builder.build(move |mut capabilities| {
        let mut held = Held::new(capabilities.pop().filter(|_| sweep.is_some()));
        let background = sweep.map(|mut sweep| {
            Background::start("sweep", wake, move |(views, frontier)| {
                sweep(&views)?;
                Ok::<Option<Epoch>, WriteError>(frontier)
            })
        });
        let mut background = background.and_then(|started| started.map_err(&failed).ok());
        let here = background.is_some();
        let mut caught_up = BTreeSet::new();

        move |frontiers: &[MutableAntichain<Epoch>]| {
            marks.for_each(|capability, marks| {
                // Everybody is sent them; one takes what it hears, or it would pile up.
                if here && let Some(epoch) = capability.least() {
                    targets.hear(*epoch, marks);
                    backfills.hear(*epoch, marks);
                }
            });
            let Some(thread) = &mut background else {
                return;
            };
            let swept = thread.go_on(&mut held, || {
                let complete = inputs.earliest(frontiers);
                let is_written = targets.is_reached(complete);
                caught_up.append(&mut backfills.take_caught_up(complete));
                let due = is_written && !caught_up.is_empty();
                let views = due.then(|| std::mem::take(&mut caught_up));
                (views, complete)
            });
            if let Err(error) = swept {
                background = None;
                failed(error);
            }
        }
    });
    swept
}
