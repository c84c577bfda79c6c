//! What an arrangement takes up, as the records of a checkpoint.
//!
//! A checkpoint at the end of epoch `C` holds what arrangements hold then: all
//! batches through `C`. Batches are written down as they come, so that a
//! checkpoint costs what has changed, and the dataflow need not stop for it.
//!
//! One thing is under way between two epochs: what an operator drops in `C` comes
//! back as retractions of `C + 1` (see `views/rounds.rs`), and nobody would send
//! them again after a restart. So they belong to the checkpoint at `C`; and since
//! they also stand in the batch of `C + 1`, the next checkpoint gets their
//! opposite, which takes them out again:
//!
//! ```text
//!   file of checkpoint C:    … batch of C,  what C drops
//!   file of the next one:    − what C drops,  batch of C + 1, …
//! ```

use super::cadence::Cadence;
use super::state::Sections;
use crate::Epoch;
use checkpoint::Codec;
use checkpoint::Section;
use checkpoint::{Part, encode};
use differential_dataflow::difference::Abelian;
use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::cursor::{Cursor, Navigable};
use std::sync::Arc;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::generic::operator::Operator as _;

/// Records of one section that belong to one epoch, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What they are.
    pub section: Section,
    /// The epoch they belong to.
    pub epoch: Epoch,
    /// How many there are.
    pub records: u64,
    /// They themselves.
    pub bytes: Vec<u8>,
}

impl Run {
    /// No records yet.
    pub fn new(section: Section, epoch: Epoch) -> Run {
        let (records, bytes) = (0, Vec::new());
        Run {
            section,
            epoch,
            records,
            bytes,
        }
    }

    /// One update more.
    pub fn push(&mut self, key: &impl Codec, value: &impl Codec, diff: &impl Codec) {
        self.records += 1;
        encode(key, value, diff, &mut self.bytes);
    }
}

/// What is saved, and when.
#[derive(Clone, Debug)]
pub struct Saving {
    /// When checkpoints are due.
    pub cadence: Cadence,
    /// What has come by the end of this epoch is in a checkpoint already.
    pub restored: Epoch,
    /// The sections of all views.
    pub sections: Arc<Sections>,
}

/// All that `arranged` takes up after what was restored. `retracted` is what its
/// operator drops.
pub(crate) fn tap<'scope, Tr, K, V, R>(
    arranged: &Arranged<'scope, Tr>,
    retracted: StreamVec<'scope, Epoch, ((K, V), Epoch, R)>,
    part: &Part<K>,
    saving: &Saving,
) -> StreamVec<'scope, Epoch, Run>
where
    Tr: TraceReader<Time = Epoch> + 'static,
    Tr::Batch: Navigable,
    <Tr::Batch as Navigable>::Cursor: for<'a> Cursor<
            Key<'a> = &'a K,
            Val<'a> = &'a V,
            TimeGat<'a> = &'a Epoch,
            DiffGat<'a> = &'a R,
        >,
    K: Codec + Clone + 'static,
    V: Codec + Clone + 'static,
    R: Codec + Abelian + Clone + 'static,
{
    let Saving {
        cadence,
        restored,
        sections,
    } = saving;
    let (cadence, restored) = (*cadence, *restored);
    let by_view: Arc<[Section]> = sections.of_part(&part.name).into();
    let view = part.view;
    let section = move |by_view: &[Section], key: &K| by_view[usize::from(view.number(key))];
    let by_view_dropped = Arc::clone(&by_view);
    let spans = arranged.stream.clone();
    let taken_up = spans.unary(Pipeline, "Save: taken up", move |_, _| {
        move |input, output| {
            input.for_each(|capability, spans| {
                let mut runs = Runs::default();
                for batch in spans.drain(..).filter_map(|span| span.inner) {
                    let mut cursor = batch.cursor();
                    while let Some(key) = cursor.get_key(&batch) {
                        let section = section(&by_view, key);
                        while let Some(value) = cursor.get_val(&batch) {
                            cursor.map_times(&batch, |epoch, diff| {
                                if *epoch > restored {
                                    runs.of(section, *epoch).push(key, value, diff);
                                }
                            });
                            cursor.step_val(&batch);
                        }
                        cursor.step_key(&batch);
                    }
                }
                if let Some(capability) = capability.retain_least(0) {
                    output
                        .session(&capability)
                        .give_iterator(runs.all.into_iter());
                }
            });
        }
    });
    let dropped = retracted.unary(Pipeline, "Save: dropped", move |_, _| {
        move |input, output| {
            input.for_each(|capability, changes| {
                let mut runs = Runs::default();
                for ((key, value), epoch, diff) in changes.drain(..) {
                    // It is dropped an epoch before it comes back.
                    let due = epoch - 1;
                    if due > restored && cadence.is_due(due) {
                        let section = section(&by_view_dropped, &key);
                        runs.of(section, due).push(&key, &value, &diff);
                        let mut opposite = diff;
                        opposite.negate();
                        runs.of(section, epoch).push(&key, &value, &opposite);
                    }
                }
                if let Some(capability) = capability.retain_least(0) {
                    output
                        .session(&capability)
                        .give_iterator(runs.all.into_iter());
                }
            });
        }
    });
    taken_up.concat(dropped)
}

/// Runs, by section and epoch. Updates come sorted by view and, most often, of one epoch: that
/// of the last one is at the end.
#[derive(Default)]
struct Runs {
    all: Vec<Run>,
}

impl Runs {
    fn of(&mut self, section: Section, epoch: Epoch) -> &mut Run {
        let is_it = |run: &Run| run.epoch == epoch && run.section == section;
        let place = self.all.iter().rposition(is_it);
        let place = place.unwrap_or_else(|| {
            self.all.push(Run::new(section, epoch));
            self.all.len() - 1
        });
        &mut self.all[place]
    }
}
