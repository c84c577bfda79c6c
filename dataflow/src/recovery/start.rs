//! What a run goes on from.
//!
//! ```text
//!   a checkpoint, at C ──▶ arrangements, offsets, event time, final rows to be told
//!   the database ────────▶ how far rows may reach, which are in doubt, what is final
//! ```
//!
//! The database is as new as the checkpoint or newer: rows are written through `C`
//! before `C` is committed. What has been written after `C` comes again from the
//! log; what of it does not come again as it was is *in doubt*, and told as it was
//! at `C`. So is an open row that is missing there: each was written by `C`. Without a checkpoint, `C` is the beginning of the log.

use crate::Epoch;
use crate::ingest::lanes::BackfillPlan;
use crate::saving::Loading;
use crate::saving::Manifest;
use crate::saving::tap::Saving;
use crate::saving::{Cadence, Patience};
use crate::saving::{SavedDefinition, SavedPartition, Sections, State};
use crate::sink::{Backfills, Before, CatchUp, Place, PriorRunState, Restored};
use crate::time::{Recorded, SavedWatermarks, Watermarks};
use crate::views::Catalog;
use crate::views::key::Key;
use crate::views::parts;
use crate::views::stored::Stored;
use checkpoint::Store;
use differential_dataflow::Hashable;
use sinks::{LastRead, LetterCount, Limit, RowId, ViewProgress};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// What a run goes on from; the same for all workers of a process.
#[derive(Clone)]
pub struct Start {
    /// The first epoch: later than all that have ever been written.
    pub first: Epoch,
    /// The files of the checkpoint.
    pub loading: Option<Loading>,
    /// Final rows of windows that were closed by the end of this epoch are written.
    pub finals_written: Epoch,
    /// The sections of its files and of those that follow.
    pub sections: Arc<Sections>,
    /// Where partitions stand.
    pub partitions: Arc<[SavedPartition]>,
    /// What is read a second time, for views that know nothing of it.
    pub backfill: Arc<BackfillPlan>,
    /// The views among these that have rows in the database, which stay until the views have caught
    /// up.
    pub in_place: BTreeSet<u16>,
    /// The last message that was read of partitions, by the checkpoint.
    pub last_read: Arc<BTreeMap<Place, LastRead>>,
    /// How far event time has come.
    pub watermarks: SavedWatermarks,
    /// Offsets that an earlier run may have written the effect of.
    pub targets: BTreeMap<Place, i64>,
    /// Which timestamps of messages it has believed.
    pub recorded: Arc<Recorded>,
    /// The last of these messages of each partition.
    pub last_written: BTreeMap<Place, LastRead>,
    /// What it has published of each view.
    pub views: BTreeMap<String, ViewProgress>,
    /// Rows that it may have written otherwise than they come again.
    pub in_doubt: Arc<[Key]>,
    /// The rows that the database holds, where missing ones are to be restored.
    pub stored: Option<Arc<Stored>>,
    /// Where these are counted.
    pub restored_rows: Option<Arc<Restored>>,
    /// Rows that it has written as final and did not get to publish.
    pub finals: Arc<HashSet<RowId>>,
    /// The dead letters that it has written and whose messages are read again, by
    /// their partition.
    pub letters: Arc<BTreeMap<Place, Vec<String>>>,
    /// What it had counted and written, if it ended because of too many dead letters.
    pub counted: LetterCount,
}

impl Start {
    /// From the beginning, with an empty database.
    pub fn fresh() -> Start {
        Start {
            first: 1,
            loading: None,
            finals_written: 0,
            sections: Arc::default(),
            partitions: Arc::default(),
            backfill: Arc::default(),
            in_place: BTreeSet::new(),
            last_read: Arc::default(),
            watermarks: SavedWatermarks::default(),
            targets: BTreeMap::new(),
            recorded: Arc::new(Recorded {
                limits: Some(BTreeMap::new()),
                judged: BTreeMap::new(),
            }),
            last_written: BTreeMap::new(),
            views: BTreeMap::new(),
            in_doubt: Arc::default(),
            stored: None,
            restored_rows: None,
            finals: Arc::default(),
            letters: Arc::default(),
            counted: LetterCount::default(),
        }
    }

    /// The epoch before the first: in it, everything is restored.
    pub fn restored(&self) -> Epoch {
        self.first.saturating_sub(1)
    }

    /// The next offset of each partition that has been read.
    pub fn positions(&self) -> Arc<BTreeMap<Place, i64>> {
        let saved = self.partitions.iter();
        let positions = saved.map(|saved| ((saved.topic, saved.partition), saved.next));
        Arc::new(positions.collect())
    }

    /// The limits that have been recorded, by topic and partition.
    pub fn limits(&self) -> BTreeMap<Place, Vec<Limit>> {
        self.recorded.limits.clone().unwrap_or_default()
    }

    /// How far an earlier run may have written.
    pub fn before(&self) -> Before {
        Before {
            targets: self.targets.clone(),
            last_read: self.last_written.clone(),
            limits: self.limits(),
        }
    }

    /// What is saved of the run, in checkpoints at this `cadence`.
    pub fn saving(&self, cadence: Cadence) -> Saving {
        Saving {
            cadence,
            restored: self.restored(),
            sections: Arc::clone(&self.sections),
        }
    }

    /// How far event time has come.
    pub fn known(&self, catalog: &Catalog) -> Watermarks {
        let mut known = catalog.watermarks();
        known.restore(&self.watermarks);
        for (place, views) in &self.backfill.places {
            known.backfill(*place, views.clone());
        }
        known
    }

    /// Nothing is written before this is reached.
    pub fn catch_up(&self) -> CatchUp {
        CatchUp::new(self.targets.clone())
    }

    /// The views whose rows are held back until they have caught up.
    pub fn backfills(&self) -> Backfills {
        Backfills::new(&self.backfill.places, &self.in_place)
    }

    /// The rows in doubt that live on a worker of `peers`, in their order.
    pub fn in_doubt(&self, worker: usize, peers: usize) -> Vec<Key> {
        let peers = u64::try_from(peers).unwrap_or(u64::MAX);
        let mine = |key: &&Key| usize::try_from(key.hashed() % peers) == Ok(worker);
        let mut keys: Vec<_> = self.in_doubt.iter().filter(mine).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// By view: an earlier run has closed the windows that end at or before this, in
    /// milliseconds since the UNIX epoch, and has published it.
    pub fn final_until(&self, catalog: &Catalog) -> Vec<Option<i64>> {
        let final_until = catalog.definitions.iter().map(|view| {
            let published = self.views.get(&view.name);
            published.map(|published| published.final_until)
        });
        final_until.collect()
    }

    /// What a worker's writer has to heed. `reads`: whether the worker reads a
    /// partition, or writes what is read of it.
    pub fn left(&self, catalog: &Catalog, reads: impl Fn(Place) -> bool) -> PriorRunState {
        let letters = self.letters.iter().filter(|(place, _)| reads(**place));
        PriorRunState {
            targets: self.catch_up(),
            final_until: self.final_until(catalog),
            finals: (*self.finals).clone(),
            letters: letters.flat_map(|(_, ids)| ids.iter().cloned()).collect(),
            backfills: self.backfills(),
        }
    }
}

/// How checkpoints are taken.
#[derive(Clone)]
pub struct Checkpointing {
    /// Where they go.
    pub store: Arc<Store>,
    /// When they are due.
    pub cadence: Cadence,
    /// The last one, put in this run's name.
    pub last: Manifest,
    /// How a store that is away is waited for.
    pub patience: Patience,
}

/// The state of a catalog's views, of these definitions, before anything has been read.
pub fn nothing(catalog: &Catalog, definitions: &[SavedDefinition]) -> State {
    let mut state = State::default();
    for view in definitions {
        state.add_view(view);
    }
    let _ = sections(&mut state, catalog);
    state
}

/// The sections that `state` has for the views of a catalog: new ones where it has none.
pub fn sections(state: &mut State, catalog: &Catalog) -> Sections {
    let views = catalog.definitions.iter();
    let views = views.map(|view| (view.name.as_str(), parts::of(view)));
    Sections::of(state, views)
}
