//! Rows that are final, until a checkpoint knows that they are.
//!
//! A row that is final never changes again, through any restart. So it is written
//! only when a checkpoint is committed from which every restart knows that its
//! window has closed. Until then it waits, and the checkpoint holds it: whoever
//! goes on from there writes it, the same to the last bit.

use super::parts::{FINALS, Final};
use super::rows::RowChange;
use crate::Epoch;
use crate::output::Sender;
use crate::saving::load::Loaded;
use crate::saving::tap::{Run, Saving};
use checkpoint::{Part, ViewOf, decode};
use model::fail_point;
use std::borrow::Cow;
use std::collections::BTreeMap;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Map;

/// Rows, by whether they are final.
pub(crate) struct SplitRows<'scope> {
    /// Those that may change again, as they became.
    pub(crate) open: StreamVec<'scope, Epoch, RowChange>,
    /// Those that are final.
    pub(crate) finals: StreamVec<'scope, Epoch, Final>,
    /// The final ones once more, as the records of a checkpoint.
    pub(crate) runs: StreamVec<'scope, Epoch, Run>,
}

/// Splits final rows from others. They are saved if there is a `saving`.
pub(crate) fn split_final<'scope>(
    rows: StreamVec<'scope, Epoch, RowChange>,
    saving: Option<&Saving>,
) -> SplitRows<'scope> {
    let saved = saving.map(|saving| saving.sections.of_part(FINALS));
    let mut builder = OperatorBuilder::new("Finals".to_owned(), rows.scope());
    let mut rows = builder.new_input(rows, Pipeline);
    let (open, open_stream) = builder.new_output::<Vec<RowChange>>();
    let (finals, finals_stream) = builder.new_output::<Vec<Final>>();
    let (runs, runs_stream) = builder.new_output::<Vec<Run>>();
    builder.build(move |_| {
        let mut open: Sender<RowChange> = OutputBuilder::from(open);
        let mut finals: Sender<Final> = OutputBuilder::from(finals);
        let mut runs: Sender<Run> = OutputBuilder::from(runs);
        move |_| {
            rows.for_each(|capability, rows| {
                let capabilities = [0, 1, 2].map(|output| capability.retain_least(output));
                let [Some(to_open), Some(to_finals), Some(to_runs)] = capabilities else {
                    return;
                };
                let closed_at = jiff::Timestamp::now().as_millisecond();
                let (mut open, mut finals) = (open.activate(), finals.activate());
                let mut open = open.session(&to_open);
                let mut finals = finals.session(&to_finals);
                let mut to_save: BTreeMap<u16, Run> = BTreeMap::new();
                for row in rows.drain(..) {
                    if !row.is_final {
                        open.give(row);
                        continue;
                    }
                    let row = Final {
                        key: row.key,
                        epoch: row.epoch,
                        sums: row.sums,
                        closed_at,
                    };
                    if let Some(sections) = &saved {
                        let view = row.key.slot.view();
                        // All of a message are of one epoch.
                        let new = || Run::new(sections[usize::from(view)], row.epoch);
                        let run = to_save.entry(view).or_insert_with(new);
                        run.push(&row, &(), &());
                    }
                    finals.give(row);
                    fail_point("close.told");
                }
                if !to_save.is_empty() {
                    let all = to_save.into_values();
                    runs.activate().session(&to_runs).give_iterator(all);
                }
            });
        }
    });
    SplitRows {
        open: open_stream,
        finals: finals_stream,
        runs: runs_stream,
    }
}

/// The final rows of a checkpoint that are not written yet: those of windows that were closed after
/// the epoch `written`.
pub(crate) fn unwritten<'scope>(
    loaded: &Loaded<'scope>,
    written: Epoch,
) -> StreamVec<'scope, Epoch, Final> {
    let part = Part {
        name: Cow::Borrowed(FINALS),
        sums: 0,
        view: ViewOf::Key(|row: &Final| row.key.slot.view()),
    };
    let rows = loaded.decode(&part, decode::<Final, (), ()>);
    rows.flat_map(move |((row, ()), _, ())| (row.epoch > written).then_some(row))
}
