//! From a checkpoint's files back into arrangements.
//!
//! All workers read at the same time, each its share of the blocks, whoever wrote
//! them; records travel to the workers of their keys like any update, and add up
//! there. They come in epochs of their own, a bounded number in each, before those
//! of the run:
//!
//! ```text
//!   first   …   (so many records each)   …   restored │ the run's first epoch  …
//! ```
//!
//! In the last of them, `restored`, all is there, and what operators keep beside
//! their arrangements is made again (see `views/rounds.rs`). So it takes little more
//! memory than the state itself.

use super::persist::SaveError;
use super::state::Sections;
use crate::Epoch;
use crate::background::ThreadError;
use crate::output::Output;
use checkpoint::CheckpointError;
use checkpoint::Store;
use checkpoint::{BlockEntry, FileEntry, Part, ViewOf};
use checkpoint::{RawRecord, records};
use model::fail_point;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::operator::Operator as _;
use timely::dataflow::{Scope, StreamVec};
use timely::scheduling::SyncActivator;

/// Records of one epoch, on one worker: then they are sealed into batches, and the
/// memory they took in between serves the next.
const RECORDS_OF_AN_EPOCH: u64 = 1 << 18;
/// Blocks read ahead.
const AHEAD: usize = 4;

/// What is loaded, and when.
#[derive(Clone)]
pub struct Loading {
    /// Where it is.
    pub store: Arc<Store>,
    /// The files.
    pub files: Arc<[FileEntry]>,
    /// What the sections of the files are of. Others are not loaded.
    pub sections: Arc<Sections>,
    /// The first epoch for what is loaded.
    pub first: Epoch,
    /// The last epoch for it.
    pub restored: Epoch,
}

impl Loading {
    /// The last epoch that loading these files may take, beginning with `first`,
    /// whatever the number of workers.
    pub fn last_epoch(files: &[FileEntry], first: Epoch) -> Epoch {
        let records: u64 = files.iter().map(FileEntry::total_records).sum();
        first + records / RECORDS_OF_AN_EPOCH + 2
    }
}

/// The blocks of a checkpoint, as they are loaded: see [`Loaded::decode`].
pub(crate) struct Loaded<'scope> {
    blocks: StreamVec<'scope, Epoch, Arc<Block>>,
    sections: Arc<Sections>,
    failed: Failed,
}

/// Called at most once, with the fatal error.
type Failed = Rc<dyn Fn(SaveError)>;

impl<'scope> Loaded<'scope> {
    /// The updates of a part of views' state, by what `decode` makes of a record of a view. Of a part
    /// of one view only those of that view come.
    pub(crate) fn decode<D, R, K>(
        &self,
        part: &Part<K>,
        decode: impl Fn(RawRecord<'_>, u16) -> Result<(D, R), CheckpointError> + 'static,
    ) -> StreamVec<'scope, Epoch, (D, Epoch, R)>
    where
        D: Clone + 'static,
        R: Clone + 'static,
    {
        let (sections, failed) = (Arc::clone(&self.sections), Rc::clone(&self.failed));
        let blocks = self.blocks.clone();
        let name = part.name.clone();
        let only = match part.view {
            ViewOf::Key(_) => None,
            ViewOf::All(view) => Some(view),
        };
        blocks.unary(Pipeline, &format!("Decode: {name}"), move |_, _| {
            // What comes behind a block that cannot be decoded never becomes complete.
            let mut stuck = None;
            move |input, output| {
                input.for_each(|capability, blocks| {
                    let Some(capability) = capability.retain_least(0) else {
                        return;
                    };
                    let at = *capability.time();
                    for block in blocks.drain(..) {
                        let section = block.entry.section;
                        let is_it = |(view, part): &(u16, &str)| {
                            *part == name && only.is_none_or(|only| only == *view)
                        };
                        let Some((view, _)) = sections.find(section.id).filter(is_it) else {
                            continue;
                        };
                        let mut outcome = Ok(());
                        let updates = records(&block.payload, section).map_while(|record| {
                            match record.and_then(|record| decode(record, view)) {
                                Ok((data, diff)) => Some((data, at, diff)),
                                Err(error) => {
                                    outcome = Err(error);
                                    None
                                }
                            }
                        });
                        output.session(&capability).give_iterator(updates);
                        if let Err(error) = outcome
                            && stuck.is_none()
                        {
                            stuck = Some(capability.clone());
                            failed(error.into());
                        }
                    }
                });
            }
        })
    }
}

/// Loads a checkpoint, together with all other workers.
///
/// When something of it cannot be read, `failed` is called, once, and what comes
/// behind it never becomes complete.
pub(crate) fn load<'scope>(
    scope: Scope<'scope, Epoch>,
    loading: Loading,
    failed: impl Fn(SaveError) + 'static,
) -> Loaded<'scope> {
    let sections = Arc::clone(&loading.sections);
    let told = Cell::new(false);
    let failed: Failed = Rc::new(move |error| {
        if !told.replace(true) {
            failed(error);
        }
    });
    let failing = Rc::clone(&failed);
    let mut builder = OperatorBuilder::new("Load".to_owned(), scope);
    let (mut blocks, stream) = Output::new(&mut builder);
    let address = builder.operator_info().address;
    let wake = scope.worker().sync_activator_for(address.to_vec());
    let (worker, peers) = (scope.index(), scope.peers());

    builder.build(move |mut capabilities| {
        let Loading {
            first, restored, ..
        } = loading;
        for capability in &mut capabilities {
            capability.downgrade(&first);
        }
        let reading = read(loading, worker, peers, wake);
        let mut open = reading.map_err(|error| failing(error)).ok();
        let mut loaded = 0;

        move |_| {
            // Where it failed, the capability stays: nothing may seem complete.
            let Some(coming) = &open else {
                return;
            };
            loop {
                match coming.try_recv() {
                    Ok(Ok(block)) => {
                        let at = first + loaded / RECORDS_OF_AN_EPOCH;
                        debug_assert!(at < restored);
                        for capability in capabilities.iter_mut() {
                            capability.downgrade(&at);
                        }
                        loaded += u64::from(block.entry.records);
                        blocks.send(&capabilities, std::iter::once(Arc::new(block)));
                    }
                    Ok(Err(error)) => {
                        // The thread ends next, which is not the end of the blocks.
                        open = None;
                        return failing(error.into());
                    }
                    Err(TryRecvError::Empty) => return,
                    Err(TryRecvError::Disconnected) => {
                        open = None;
                        capabilities.clear();
                        return;
                    }
                }
            }
        }
    });
    Loaded {
        blocks: stream,
        sections,
        failed,
    }
}

/// A block, read and checked.
struct Block {
    entry: BlockEntry,
    payload: Vec<u8>,
}

type Blocks = Receiver<Result<Block, CheckpointError>>;

/// Reads a worker's share of the blocks on a thread, a few ahead.
fn read(
    loading: Loading,
    worker: usize,
    peers: usize,
    wake: SyncActivator,
) -> Result<Blocks, SaveError> {
    let (to, blocks) = sync_channel(AHEAD);
    let run = move || {
        let outcome = read_share(&loading, worker, peers, &mut |block| {
            give(&to, &wake, Ok(block))
        });
        if let Err(error) = outcome {
            give(&to, &wake, Err(error));
        }
        drop(to);
        // So that the end is seen.
        let _ = wake.activate();
    };
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(run)
        .map_err(|error| ThreadError::new("load", &error.to_string()))?;
    Ok(blocks)
}

/// Gives a block to the operator, and wakes it. When the worker has ended, nobody
/// is left to take it.
fn give(
    to: &SyncSender<Result<Block, CheckpointError>>,
    wake: &SyncActivator,
    block: Result<Block, CheckpointError>,
) {
    let _ = to.send(block);
    let _ = wake.activate();
}

fn read_share(
    loading: &Loading,
    worker: usize,
    peers: usize,
    each: &mut dyn FnMut(Block),
) -> Result<(), CheckpointError> {
    let store = &loading.store;
    let mut count = 0;
    for file in &*loading.files {
        let blocks = store.blocks(file)?.into_iter();
        for entry in blocks.filter(|block| loading.sections.find(block.section.id).is_some()) {
            if count % peers == worker {
                fail_point("load.block");
                let payload = store.read(file, &entry)?;
                each(Block { entry, payload });
            }
            count += 1;
        }
    }
    fail_point("load.done");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PARTS, write};
    use super::*;
    use crate::saving::Manifest;
    use crate::saving::testing::manifest;
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;
    use timely::dataflow::operators::Probe;

    /// The frontier of what is loaded when nothing more happens, and what failed.
    fn loaded(damaged: bool) -> (Option<Epoch>, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap()).unwrap();
        let entry = write(&store, "one", "members", &[2, 0, 0], &[1]);
        let Manifest { mut state, .. } = manifest(1, &[]);
        let parts = PARTS.map(|(name, sums)| (name.to_owned(), sums)).to_vec();
        let sections = Sections::of(&mut state, [("sales_analysis", parts)].into_iter());
        if damaged {
            let block = store.blocks(&entry).unwrap()[0];
            let path = directory.path().join("files/one");
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[usize::try_from(block.offset).unwrap()] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        let loading = Loading {
            store: Arc::new(store),
            files: Arc::from([entry]),
            sections: Arc::new(sections),
            first: 1,
            restored: 3,
        };
        timely::execute_directly(move |worker| {
            let failures = Rc::new(RefCell::new(Vec::new()));
            let probe = worker.dataflow(|scope| {
                let failures = failures.clone();
                let failed = move |error: SaveError| failures.borrow_mut().push(error.to_string());
                {
                    let decode = |_: RawRecord<'_>, _| Ok(((), ()));
                    let part = Part {
                        name: "members".into(),
                        sums: 1,
                        view: ViewOf::Key(|()| 0),
                    };
                    load(scope, loading, failed).decode(&part, decode).probe().0
                }
            });
            let pause = Some(Duration::from_millis(10));
            while !probe.done() && failures.borrow().is_empty() {
                worker.step_or_park(pause);
            }
            // The thread that reads ends next, and wakes the operator once more.
            for _ in 0..20 {
                worker.step_or_park(pause);
            }
            // The worker would wait for the dataflow that does not end.
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
            let reached = probe.with_frontier(|frontier| frontier.first().copied());
            (reached, failures.take())
        })
    }

    #[test]
    fn what_is_read_is_complete_and_what_cannot_be_read_never_is() {
        assert_eq!(loaded(false), (None, vec![]));
        let (reached, failures) = loaded(true);
        assert_eq!(reached, Some(1));
        assert!(
            failures.len() == 1 && failures[0].contains("is damaged"),
            "{failures:?}"
        );
    }
}
