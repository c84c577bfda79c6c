//! The checkpoints of a run, one after the other: when each may be committed, and
//! what it consists of.

use crate::Epoch;
use crate::background::{Background, State as Thread};
use crate::epochs::take_before;
use crate::ingest::identity::IdentityCheck;
use crate::recovery::names::CatalogNames;
use crate::saving::persist::{Report, SaveError};
use crate::saving::tap::Saving;
use crate::saving::{Manifest, Patience, SavedPartition, State};
use crate::sink::{CatchUp, Place};
use crate::time::{Mark, Watermarks};
use checkpoint::FileEntry;
use checkpoint::SectionId;
use checkpoint::Store;
use checkpoint::{choose, merge};
use model::fail_point;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use telemetry::{CommittedCheckpoint, Telemetry};
use timely::scheduling::SyncActivator;

/// What committing needs to know.
pub(crate) struct Committing {
    /// Where it is put.
    pub store: Arc<Store>,
    /// The last manifest, put in this run's name.
    pub last: Manifest,
    /// How far event time had come in it.
    pub known: Watermarks,
    /// Nothing is committed before this is reached.
    pub targets: CatchUp,
    /// When checkpoints are due, and from where on.
    pub saving: Saving,
    /// How a store that is away is waited for.
    pub patience: Patience,
    /// Where it is told.
    pub telemetry: Arc<Telemetry>,
    /// Which log is read.
    pub identity: Arc<dyn IdentityCheck>,
    /// How topics and views are named.
    pub names: Arc<CatalogNames>,
}

/// Files that no manifest names any more are deleted when so many manifests have
/// followed, at the latest.
const KEPT: u64 = 8;

/// What is known of the next checkpoint.
pub(super) struct Checkpoints {
    saving: Saving,
    targets: CatchUp,
    telemetry: Arc<Telemetry>,
    identity: Arc<dyn IdentityCheck>,
    names: Arc<CatalogNames>,
    /// Files of checkpoints that are not committed yet.
    coming: Vec<FileEntry>,
    partitions: BTreeMap<Epoch, Vec<SavedPartition>>,
    marks: BTreeMap<Epoch, Vec<Mark>>,
    standing: BTreeMap<Place, SavedPartition>,
    known: Watermarks,
    /// The last epoch that anything has been heard of.
    heard: Epoch,
    last: Manifest,
    /// The files of the next manifest.
    files: Vec<FileEntry>,
    /// By number of the view: the first epoch in which rows of it became final.
    finals: BTreeMap<u16, Epoch>,
    /// Updates that arrangements hold, by worker that has told it.
    held: BTreeMap<usize, u64>,
    /// The last checkpoint that was due and is committed, or had nothing new.
    through: Epoch,
    commits: Background<Commit, Committed, SaveError>,
    merges: Background<Merge, Merged, SaveError>,
    /// Files that the next manifest does not name any more, by the number of that
    /// manifest.
    obsolete: BTreeMap<u64, BTreeSet<String>>,
}

struct Commit {
    manifest: Manifest,
    obsolete: BTreeSet<String>,
}

struct Committed {
    manifest: Manifest,
    took: Duration,
}

struct Merge {
    files: Vec<FileEntry>,
    kept: BTreeSet<SectionId>,
    finals_written: Epoch,
}

struct Merged {
    before: Vec<FileEntry>,
    after: FileEntry,
}

impl Checkpoints {
    /// Goes on from the last manifest. `wake` wakes the operator.
    pub(super) fn start(
        committing: Committing,
        wake: SyncActivator,
    ) -> Result<Checkpoints, SaveError> {
        let Committing {
            store,
            last,
            known,
            targets,
            saving,
            patience,
            telemetry,
            identity,
            names,
        } = committing;
        let (storing, waiting) = (Arc::clone(&store), patience.clone());
        let commits = Background::start("commit", wake.clone(), move |commit: Commit| {
            let Commit { manifest, obsolete } = commit;
            let started = Instant::now();
            fail_point("manifest.before");
            waiting.until_done("a checkpoint", || storing.commit(&manifest))?;
            fail_point("manifest.after");
            // Of this run's files, those that no manifest has named yet will be.
            // So will all of a later run's.
            let own = format!("{:08}-", manifest.generation);
            let cleaned = storing.clean(&manifest, &|name| {
                name >= own.as_str() && !obsolete.contains(name)
            });
            if let Err(error) = cleaned {
                tracing::warn!("old files of the checkpoint are still there: {error}");
            }
            fail_point("clean.after");
            let took = started.elapsed();
            Ok(Committed { manifest, took })
        })?;
        let generation = last.generation;
        let mut count = 0;
        let merges = Background::start("merge", wake, move |work: Merge| {
            count += 1;
            let name = format!("{generation:08}-merged-{count:08}");
            let Merge {
                files: before,
                kept,
                finals_written,
            } = work;
            let after = patience.until_done("a merged file of the checkpoint", || {
                merge(&store, &before, &name, 0, &kept, finals_written)
            })?;
            Ok(Merged { before, after })
        })?;
        let standing = last.state.partitions.iter().cloned();
        let standing = standing.filter_map(|saved| names.number_partition(saved));
        let standing = standing.map(|saved| ((saved.topic, saved.partition), saved));
        let finals = last.state.finals.iter();
        let finals = finals.filter_map(|(view, epoch)| Some((names.view_number(view)?, *epoch)));
        let restored = saving.restored;
        let (standing, finals) = (standing.collect(), finals.collect());
        Ok(Checkpoints {
            saving,
            targets,
            telemetry,
            identity,
            names,
            coming: Vec::new(),
            partitions: BTreeMap::new(),
            marks: BTreeMap::new(),
            standing,
            finals,
            known,
            heard: restored,
            files: last.files.clone(),
            held: BTreeMap::new(),
            through: restored,
            last,
            commits,
            merges,
            obsolete: BTreeMap::new(),
        })
    }

    pub(super) fn hear_files(&mut self, reports: impl Iterator<Item = Report>) {
        for report in reports {
            self.heard = self.heard.max(report.checkpoint);
            self.coming.extend(report.files);
            self.held.insert(report.worker, report.held);
            for (view, epoch) in report.finals {
                let first = self.finals.entry(view).or_insert(epoch);
                *first = epoch.min(*first);
            }
        }
    }

    pub(super) fn hear_partitions(&mut self, epoch: Epoch, partitions: &mut Vec<SavedPartition>) {
        self.heard = self.heard.max(epoch);
        self.partitions.entry(epoch).or_default().append(partitions);
    }

    pub(super) fn hear_marks(&mut self, epoch: Epoch, marks: &mut Vec<Mark>) {
        self.heard = self.heard.max(epoch);
        self.targets.hear(epoch, marks);
        self.marks.entry(epoch).or_default().append(marks);
    }

    /// Commits what can be. Everything before `complete` is saved and written, and
    /// everything before `finals` is written as final (`None`: all there is).
    /// Returns the frontier before which everything is committed.
    pub(super) fn work(
        &mut self,
        complete: Option<Epoch>,
        finals: Option<Epoch>,
    ) -> Result<Option<Epoch>, SaveError> {
        match self.commits.state()? {
            Thread::Busy => return Ok(Some(self.through + 1)),
            Thread::Free => {}
            Thread::Done(committed) => self.is_committed(committed),
        }
        self.merge(complete.is_none())?;
        let due = match complete {
            Some(frontier) => self.saving.cadence.last_before(frontier),
            None => self.saving.cadence.next(self.heard.max(self.through + 1)),
        };
        if due <= self.through {
            return Ok(Some(self.through + 1));
        }
        if !self.targets.is_reached(Some(due + 1)) {
            // At the end, nothing has been written that had to be known.
            return Ok(complete.map(|_| self.through + 1));
        }
        if finals.is_some_and(|finals| finals <= self.through) {
            return Ok(Some(self.through + 1));
        }
        let manifest = self.manifest(due);
        let finals_written = self.last.state.finals_written;
        let state = State {
            finals_written,
            ..manifest.state.clone()
        };
        if state == self.last.state && manifest.files == self.last.files {
            // An idle pipeline writes nothing.
            self.through = due;
            return Ok(complete.map(|_| self.through + 1));
        }
        // Those of older ones are deleted.
        let kept = manifest.sequence.saturating_sub(KEPT);
        self.obsolete = self.obsolete.split_off(&kept);
        let obsolete = self.obsolete.values().flatten().cloned().collect();
        if complete.is_none() {
            fail_point("manifest.last");
        }
        self.commits.give(Commit { manifest, obsolete })?;
        Ok(Some(self.through + 1))
    }

    /// The manifest of the checkpoint at `due`.
    fn manifest(&mut self, due: Epoch) -> Manifest {
        for marks in take_before(&mut self.marks, Some(due + 1)).into_values() {
            self.known.update(marks, |_| {});
        }
        for partitions in take_before(&mut self.partitions, Some(due + 1)).into_values() {
            let places = partitions.into_iter();
            let places = places.map(|saved| ((saved.topic, saved.partition), saved));
            self.standing.extend(places);
        }
        // By file, and not by report: a worker that was busy reports several checkpoints
        // at once, while another may only have come to the first of them.
        let ready = self.coming.extract_if(.., |file| file.through <= due);
        self.files.extend(ready);
        Manifest {
            sequence: self.last.sequence + 1,
            generation: self.last.generation,
            epoch: due,
            made_at: jiff::Timestamp::now().as_millisecond(),
            state: State {
                partitions: self.names.name_partitions(self.standing.values().cloned()),
                watermarks: self.names.name_watermarks(self.known.save()),
                finals_written: self.through,
                rebuilding: self.rebuilding(),
                finals: self.finals_through(due),
                log: self.identity.identity(),
                ..self.last.state.clone()
            },
            files: self.files.clone(),
        }
    }

    /// The views that have not caught up with the others.
    fn rebuilding(&self) -> BTreeSet<String> {
        let views = self.known.backfilled().into_iter();
        views.filter_map(|view| self.names.view(view)).collect()
    }

    /// The views of which rows have become final by the end of an epoch.
    fn finals_through(&self, due: Epoch) -> BTreeMap<String, Epoch> {
        let finals = self.finals.iter();
        let finals = finals.filter(|(_, epoch)| **epoch <= due);
        let named = finals.filter_map(|(view, epoch)| Some((self.names.view(*view)?, *epoch)));
        named.collect()
    }

    fn is_committed(&mut self, committed: Committed) {
        let Committed { manifest, took } = committed;
        let checkpoint = CommittedCheckpoint {
            epoch: manifest.epoch,
            made_at: manifest.made_at,
            files: manifest.files.len() as u64,
            bytes: manifest.bytes(),
        };
        self.telemetry.checkpoint_committed(checkpoint, took);
        self.through = manifest.epoch;
        self.last = manifest;
    }

    /// Updates that all arrangements hold; 0 until it is known of all workers, which have
    /// told it when a checkpoint of this run is committed.
    fn held(&self) -> u64 {
        if self.through <= self.saving.restored {
            return 0;
        }
        self.held.values().sum()
    }

    /// Merges files in the background, where there are enough of them.
    fn merge(&mut self, ending: bool) -> Result<(), SaveError> {
        match self.merges.state()? {
            Thread::Busy => return Ok(()),
            Thread::Free => {}
            Thread::Done(Merged { before, after }) => {
                let gone: BTreeSet<_> = before.into_iter().map(|file| file.name).collect();
                self.files.retain(|file| !gone.contains(&file.name));
                self.files.push(after);
                let next = self.last.sequence + 1;
                self.obsolete.entry(next).or_default().extend(gone);
            }
        }
        if !ending && let Some(files) = choose(&self.last.files, self.held()) {
            // Only what is committed, and is still there.
            let chosen = files
                .into_iter()
                .map(|place| self.last.files[place].clone());
            let chosen: Vec<_> = chosen.collect();
            if chosen.iter().all(|file| self.files.contains(file)) {
                self.merges.give(Merge {
                    files: chosen,
                    kept: self.last.state.kept(),
                    finals_written: self.last.state.finals_written,
                })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::identity::Unchanging;
    use crate::recovery::start::nothing;
    use crate::saving::cadence::Cadence;
    use crate::saving::testing::{file, manifest};
    use crate::shop::catalog;
    use std::num::NonZeroU64;
    use std::sync::atomic::AtomicBool;
    use tempfile::TempDir;

    fn report(checkpoint: Epoch, files: &[(&str, Epoch)]) -> Report {
        let files = files.iter().map(|(name, through)| FileEntry {
            through: *through,
            ..file(name, 100)
        });
        Report {
            checkpoint,
            files: files.collect(),
            worker: 0,
            held: 0,
            finals: BTreeMap::new(),
        }
    }

    /// Goes on from a checkpoint at epoch 0 that names one file, `kept`; its folder goes with
    /// what is returned.
    fn start() -> (Checkpoints, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap()).unwrap();
        let catalog = catalog(&Default::default()).unwrap();
        let wake = timely::execute_directly(|worker| worker.sync_activator_for(vec![0]));
        let every = NonZeroU64::new(1).unwrap();
        let mut last = manifest(1, &["kept"]);
        last.state = nothing(&catalog, &catalog.saved(0));
        let committing = Committing {
            store: Arc::new(store),
            known: catalog.watermarks(),
            targets: CatchUp::default(),
            saving: Saving {
                cadence: Cadence::every(every),
                restored: 0,
                sections: Arc::default(),
            },
            patience: Patience {
                abandoned: Arc::new(AtomicBool::new(false)),
                failed: Arc::new(|| {}),
            },
            telemetry: Arc::new(Telemetry::new(1, &[], &[])),
            identity: Arc::new(Unchanging),
            names: Arc::new(CatalogNames::of(&catalog, &[])),
            last,
        };
        (Checkpoints::start(committing, wake).unwrap(), directory)
    }

    #[test]
    fn a_worker_that_is_ahead_has_its_files_in_a_checkpoint_before() {
        let (mut checkpoints, _directory) = start();
        // One worker has finished the first; the other one both, at once.
        let reports = [report(1, &[("a1", 1)]), report(2, &[("b1", 1), ("b2", 2)])];
        checkpoints.hear_files(reports.into_iter());
        let names = |manifest: &Manifest| Vec::from_iter(manifest.names().map(str::to_owned));
        assert_eq!(names(&checkpoints.manifest(1)), ["kept", "a1", "b1"]);
        checkpoints.hear_files([report(2, &[("a2", 2)])].into_iter());
        let second = checkpoints.manifest(2);
        assert_eq!(names(&second), ["kept", "a1", "b1", "b2", "a2"]);
    }

    #[test]
    fn a_view_has_final_rows_when_they_are_written() {
        let (mut checkpoints, _directory) = start();
        let of = |checkpoint, finals: &[(u16, Epoch)]| Report {
            finals: finals.iter().copied().collect(),
            ..report(checkpoint, &[])
        };
        // Another worker is ahead by one checkpoint.
        checkpoints.hear_files([of(1, &[(3, 1)]), of(2, &[(3, 1), (4, 2)])].into_iter());
        let with_finals = |manifest: &Manifest| {
            let views = manifest.state.views_with_finals();
            Vec::from_iter(views.map(str::to_owned))
        };
        let (one, other) = ("revenue_analysis", "product_views_analysis");
        let named = |finals: &[(&str, Epoch)]| {
            let finals = finals.iter();
            BTreeMap::from_iter(finals.map(|(view, epoch)| ((*view).to_owned(), *epoch)))
        };
        let first = checkpoints.manifest(1);
        assert_eq!(first.state.finals, named(&[(one, 1)]));
        assert_eq!(
            with_finals(&first),
            [""; 0],
            "they are written when this is committed"
        );
        let took = Duration::ZERO;
        checkpoints.is_committed(Committed {
            manifest: first,
            took,
        });
        let second = checkpoints.manifest(2);
        assert_eq!(second.state.finals, named(&[(one, 1), (other, 2)]));
        assert_eq!(with_finals(&second), [one]);
    }

    #[test]
    fn what_is_held_is_known_when_all_workers_have_told_it() {
        let (mut checkpoints, _directory) = start();
        let tell = |checkpoint, worker, held| Report {
            worker,
            held,
            ..report(checkpoint, &[])
        };
        checkpoints.hear_files([tell(1, 0, 40), tell(1, 1, 2)].into_iter());
        assert_eq!(checkpoints.held(), 0);
        let manifest = checkpoints.manifest(1);
        checkpoints.is_committed(Committed {
            manifest,
            took: Duration::ZERO,
        });
        assert_eq!(checkpoints.held(), 42);
        checkpoints.hear_files([tell(2, 0, 5)].into_iter());
        assert_eq!(checkpoints.held(), 7);
    }
}
