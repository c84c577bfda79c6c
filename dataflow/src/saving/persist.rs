//! From the records of an epoch to the files of a checkpoint, on each worker.
//!
//! Records go to a thread beside the worker as they come, and it writes them to
//! the store: a file at each checkpoint, and more where there is much. When all of
//! a worker's files of a checkpoint are durable, it reports them to worker 0
//! (`commit.rs`). A store that is away is waited for; the worker goes on meanwhile,
//! for as long as two more checkpoints would take, and then stops reading.

use super::Patience;
use super::tap::{Run, Saving};
use crate::Epoch;
use crate::background::{Background, Held, State, ThreadError};
use crate::inputs::earliest;
use crate::output::Sender;
use checkpoint::CheckpointError;
use checkpoint::FileEntry;
use checkpoint::Store;
use model::fail_point;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use telemetry::Telemetry;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// Bytes of records after which a file is written before its checkpoint is due, so
/// that they do not wait in memory.
const FILE_BYTES: usize = 32 << 20;

/// A worker's files of a checkpoint, durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The epoch of the checkpoint.
    pub checkpoint: Epoch,
    /// They themselves.
    pub files: Vec<FileEntry>,
    /// The worker, counted over all processes.
    pub worker: usize,
    /// Updates that its arrangements hold.
    pub held: u64,
    /// By number of the view: the first epoch in which a row of it became final on this
    /// worker, where that is told the first time.
    pub finals: BTreeMap<u16, Epoch>,
}

/// What persisting needs to know.
pub struct Persisting {
    /// Where files go.
    pub store: Arc<Store>,
    /// When checkpoints are due, and from where on.
    pub saving: Saving,
    /// The generation of this run: part of files' names.
    pub generation: u64,
    /// How a store that is away is waited for.
    pub patience: Patience,
    /// Where is told what arrangements hold.
    pub telemetry: Arc<Telemetry>,
}

/// What comes of it.
pub(crate) struct Persisted<'scope> {
    /// Files, when they are durable.
    pub(crate) reports: StreamVec<'scope, Epoch, Report>,
    /// Without data: as far as its frontier has come, the worker may go on.
    pub(crate) kept: StreamVec<'scope, Epoch, ()>,
}

/// Why nothing more is saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The store refuses.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A thread could not be started, or has panicked.
    #[error(transparent)]
    Thread(#[from] ThreadError),
}

/// Persists a worker's runs, and reports what is durable.
///
/// When the store refuses, `failed` is called, once, and the frontiers stay.
pub(crate) fn persist<'scope>(
    runs: StreamVec<'scope, Epoch, Run>,
    persisting: Persisting,
    failed: impl Fn(SaveError) + Clone + 'static,
) -> Persisted<'scope> {
    let scope = runs.scope();
    let mut builder = OperatorBuilder::new("Persist".to_owned(), scope);
    let mut runs = builder.new_input(runs, Pipeline);
    let (reports, reports_stream) = builder.new_output::<Vec<Report>>();
    let (_kept, kept_stream) = builder.new_output::<Vec<()>>();
    let address = builder.operator_info().address;
    let wake = scope.worker().sync_activator_for(address.to_vec());
    let lane = scope.index();

    builder.build(move |capabilities| {
        let mut reports: Sender<Report> = OutputBuilder::from(reports);
        let mut capabilities = capabilities.into_iter();
        let mut reported = Held::new(capabilities.next());
        let mut kept = Held::new(capabilities.next());
        let Saving {
            cadence, restored, ..
        } = persisting.saving;
        let (records, coming) = channel();
        let mut files = Files::new(persisting, lane, coming);
        let background = Background::start("checkpoint", wake, move |work| files.work(work));
        let mut background = background.map_err(&failed).ok();
        // The first epoch that is not known to be in a checkpoint's files.
        let mut finished = restored + 1;
        let mut last = restored;
        let mut waiting = 0;
        let mut ended = false;

        move |frontiers: &[MutableAntichain<Epoch>]| {
            runs.for_each(|_, runs| {
                for run in runs.drain(..) {
                    last = run.epoch.max(last);
                    waiting += run.bytes.len();
                    // Its thread is there, or the run has failed.
                    let _ = records.send(run);
                }
            });
            let Some(thread) = &mut background else {
                return;
            };
            let mut finish = || {
                match thread.state()? {
                    State::Busy => return Ok(()),
                    State::Free | State::Done(None) => {}
                    State::Done(Some(report)) => {
                        finished = report.checkpoint + 1;
                        if let Some(capability) = reported.capability() {
                            reports.activate().session(capability).give(report);
                        }
                        reported.release((!ended).then_some(finished));
                    }
                }
                let frontier = earliest(frontiers);
                let through = match frontier {
                    None => cadence.next(last.max(finished)),
                    Some(frontier) => cadence.last_before(frontier),
                };
                if through >= finished && !ended {
                    ended = frontier.is_none();
                    waiting = 0;
                    thread.give(Work::Finish(through))?;
                } else if waiting >= FILE_BYTES {
                    waiting = 0;
                    thread.give(Work::Write)?;
                }
                Ok::<_, SaveError>(())
            };
            let outcome = finish();
            let ahead = cadence.after(finished, 2);
            kept.release(match earliest(frontiers) {
                None if ended => None,
                None => Some(ahead),
                Some(frontier) => Some(frontier.min(ahead)),
            });
            if let Err(error) = outcome {
                background = None;
                failed(error);
            }
        }
    });
    Persisted {
        reports: reports_stream,
        kept: kept_stream,
    }
}

/// What there is to do for a worker's files.
#[derive(Clone, Copy)]
enum Work {
    /// Write what waits, since it is much.
    Write,
    /// Write all that belongs to the checkpoints through this one.
    Finish(Epoch),
}

/// The files of a worker, on the thread that writes them.
struct Files {
    persisting: Persisting,
    lane: usize,
    coming: Receiver<Run>,
    /// Runs that are not in a file yet, by the checkpoint they belong to.
    waiting: BTreeMap<Epoch, Waiting>,
    /// The views of which rows have become final.
    with_finals: BTreeSet<u16>,
    /// Those of them that have not been reported, with the first epoch.
    finals: BTreeMap<u16, Epoch>,
    count: u64,
}

#[derive(Default)]
struct Waiting {
    runs: Vec<Run>,
    bytes: usize,
    files: Vec<FileEntry>,
}

impl Files {
    fn new(persisting: Persisting, lane: usize, coming: Receiver<Run>) -> Files {
        Files {
            persisting,
            lane,
            coming,
            waiting: BTreeMap::new(),
            with_finals: BTreeSet::new(),
            finals: BTreeMap::new(),
            count: 0,
        }
    }

    fn work(&mut self, work: Work) -> Result<Option<Report>, SaveError> {
        while let Ok(run) = self.coming.try_recv() {
            self.note_finals(&run);
            let due = self.persisting.saving.cadence.next(run.epoch);
            let waiting = self.waiting.entry(due).or_default();
            waiting.bytes += run.bytes.len();
            waiting.runs.push(run);
            if waiting.bytes >= FILE_BYTES {
                self.write(due)?;
            }
        }
        let Work::Finish(checkpoint) = work else {
            return Ok(None);
        };
        let mut files = Vec::new();
        while let Some((&due, _)) = self.waiting.range(..=checkpoint).next() {
            self.write(due)?;
            files.extend(self.waiting.remove(&due).unwrap_or_default().files);
        }
        Ok(Some(Report {
            checkpoint,
            files,
            worker: self.lane,
            held: self.persisting.telemetry.held(self.lane),
            finals: std::mem::take(&mut self.finals),
        }))
    }

    /// Notes of which view these final rows are, if they are: they alone are kept once.
    fn note_finals(&mut self, run: &Run) {
        let of = self.persisting.saving.sections.find(run.section.id);
        if run.section.sums == 0
            && let Some((view, _)) = of
            && self.with_finals.insert(view)
        {
            self.finals.insert(view, run.epoch);
        }
    }

    /// Writes what waits for a checkpoint into a file of its own.
    fn write(&mut self, due: Epoch) -> Result<(), SaveError> {
        let Persisting {
            store,
            generation,
            patience,
            ..
        } = &self.persisting;
        let waiting = self.waiting.entry(due).or_default();
        if waiting.runs.is_empty() {
            return Ok(());
        }
        self.count += 1;
        let name = format!("{generation:08}-{:04}-{:08}", self.lane, self.count);
        let file = patience.until_done("a checkpoint's file", || {
            let from = waiting.runs.iter().map(|run| run.epoch).min();
            fail_point("file.before");
            let mut file = store.create(&name, self.lane, from.unwrap_or(due))?;
            for run in &waiting.runs {
                file.append(run.section, run.records, &run.bytes)?;
            }
            fail_point("file.filled");
            file.finish(due)
        })?;
        fail_point("file.after");
        waiting.files.push(file);
        waiting.runs.clear();
        waiting.bytes = 0;
        Ok(())
    }
}
