//! From the files of all workers to a checkpoint, on worker 0.
//!
//! ```text
//!   files of all workers ─┐
//!   partitions, marks ────┼─▶ manifest ─▶ (thread) put, if none of its number is there
//!   what is written ──────┘                   │
//!                                             └─▶ committed: final rows may be told
//! ```
//!
//! A checkpoint at the end of epoch `C` is committed when
//!
//! 1. all workers' files of it are durable;
//! 2. all rows through `C` are written: whoever goes on from `C` only writes what
//!    comes after it;
//! 3. all rows are written that the checkpoint before made final: whoever goes on
//!    from `C` knows only of those that closed since then;
//! 4. this run has caught up with an earlier one.
//!
//! One put of one object commits it, and fails if somebody else has put one of that
//! number. So there is never more than one next checkpoint, and never half of one.

use super::checkpoints::{Checkpoints, Committing};
use crate::Epoch;
use crate::background::Held;
use crate::inputs::Inputs;
use crate::saving::SavedPartition;
use crate::saving::persist::{Report, SaveError};
use crate::sink::Written;
use crate::time::Mark;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// What comes to be committed.
pub(crate) struct Saved<'scope> {
    /// Workers' files.
    pub(crate) reports: StreamVec<'scope, Epoch, Report>,
    /// Partitions, as they stand when a checkpoint is due.
    pub(crate) partitions: StreamVec<'scope, Epoch, SavedPartition>,
    /// What is told of them.
    pub(crate) marks: StreamVec<'scope, Epoch, Mark>,
    /// What is in the database.
    pub(crate) written: Written<'scope>,
}

/// Commits checkpoints on worker 0, and returns a stream without data: its frontier
/// has passed what is committed.
///
/// When the store refuses, `failed` is called, once, and the frontier stays.
pub(crate) fn commit<'scope>(
    saved: Saved<'scope>,
    committing: Committing,
    failed: impl Fn(SaveError) + Clone + 'static,
) -> StreamVec<'scope, Epoch, ()> {
    let scope = saved.marks.scope();
    let mut builder = OperatorBuilder::new("Commit".to_owned(), scope);
    let (mut complete, mut written_finals) = (Inputs::default(), Inputs::default());
    let mut reports = complete.add(&mut builder, saved.reports, Exchange::new(|_: &Report| 0));
    let to_one = Exchange::new(|_: &SavedPartition| 0);
    let mut partitions = complete.add(&mut builder, saved.partitions, to_one);
    let mut marks = complete.add(&mut builder, saved.marks, Pipeline);
    let _open = complete.add(&mut builder, saved.written.open, Pipeline);
    let _finals = written_finals.add(&mut builder, saved.written.finals, Pipeline);
    let (_output, committed) = builder.new_output_connection::<Vec<()>, _>([]);
    let address = builder.operator_info().address;
    let wake = scope.worker().sync_activator_for(address.to_vec());
    let here = scope.index() == 0;

    builder.build(move |mut capabilities| {
        let mut held = Held::new(capabilities.pop().filter(|_| here));
        // What was restored is committed.
        held.release(Some(committing.saving.restored + 1));
        let started = here.then(|| Checkpoints::start(committing, wake));
        let mut checkpoints = started.and_then(|started| started.map_err(&failed).ok());

        move |frontiers: &[MutableAntichain<Epoch>]| {
            reports.for_each(|_, reports| {
                if let Some(known) = &mut checkpoints {
                    known.hear_files(reports.drain(..));
                }
            });
            partitions.for_each(|capability, partitions| {
                if let (Some(known), Some(epoch)) = (&mut checkpoints, capability.least()) {
                    known.hear_partitions(*epoch, partitions);
                }
            });
            marks.for_each(|capability, marks| {
                if let (Some(known), Some(epoch)) = (&mut checkpoints, capability.least()) {
                    known.hear_marks(*epoch, marks);
                }
            });
            let Some(known) = &mut checkpoints else {
                return;
            };
            let complete = complete.earliest(frontiers);
            match known.work(complete, written_finals.earliest(frontiers)) {
                Ok(released) => held.release(released),
                Err(error) => {
                    checkpoints = None;
                    failed(error);
                }
            }
        }
    });
    committed
}
