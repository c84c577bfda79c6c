//! The dataflow that keeps every row of every view.

use super::Catalog;
use super::changes::{LatestChange, MemberChange, SumsChange};
use super::footprint::Gauge;
use super::join::{Joined, join};
use super::key::Key;
use super::latest::latest;
use super::parts::{LATEST, MEMBERS, ROWS};
use super::rows::{RowChange, rows};
use super::stateful::{Sources, States};
use super::stored::Stored;
use super::unique::unique;
use crate::Epoch;
use crate::saving::load::Loaded;
use crate::saving::tap::{Run, Saving};
use crate::time::Advanced;
use std::sync::Arc;
use timely::dataflow::StreamVec;

/// What events contribute, on the worker that read them.
pub struct Contributed<'scope> {
    /// Sums of rows.
    pub sums: StreamVec<'scope, Epoch, SumsChange>,
    /// Members that rows have seen.
    pub members: StreamVec<'scope, Epoch, MemberChange>,
    /// Latest times that workers have seen of rows in an epoch.
    pub latest: StreamVec<'scope, Epoch, LatestChange>,
    /// What is joined.
    pub joined: Joined<'scope>,
}

/// What is kept through runs.
pub struct Memory<'scope> {
    /// The epoch before the first.
    pub restored: Epoch,
    /// What an earlier run has saved.
    pub(crate) loaded: Option<Loaded<'scope>>,
    /// Rows of this worker that an earlier run may have written otherwise, in their
    /// order.
    pub in_doubt: Vec<Key>,
    /// The rows that the database holds, where missing ones are to be restored.
    pub stored: Option<Arc<Stored>>,
    /// What is to be saved.
    pub saving: Option<Saving>,
}

impl Memory<'_> {
    /// None: nothing is restored or saved. The first epoch is 1.
    pub fn none() -> Self {
        Memory {
            restored: Epoch::MIN,
            loaded: None,
            in_doubt: Vec::new(),
            stored: None,
            saving: None,
        }
    }
}

/// What comes of it.
pub struct Maintained<'scope> {
    /// Rows as they become.
    pub rows: StreamVec<'scope, Epoch, RowChange>,
    /// What is to be saved.
    pub runs: StreamVec<'scope, Epoch, Run>,
}

/// Every row of every view, as it becomes. Each lives on one worker, by the hash
/// of its key. `advanced` says how far event time has come, on every worker.
pub fn maintain<'scope>(
    contributed: Contributed<'scope>,
    advanced: StreamVec<'scope, Epoch, Advanced>,
    catalog: &Catalog,
    gauge: &Gauge,
    memory: Memory<'scope>,
) -> Maintained<'scope> {
    let Memory {
        restored,
        loaded,
        in_doubt,
        stored,
        saving,
    } = memory;
    let Contributed {
        sums,
        members,
        latest: times,
        joined,
    } = contributed;
    let mut states = States::new(advanced, restored, gauge.clone(), loaded, saving);
    let (joined_sums, joined_members) = join(joined, catalog, &mut states);
    let unique = states.keep_values(MEMBERS, vec![members, joined_members], unique());
    let latest = states.keep_values(LATEST, vec![times], latest());
    let sources = Sources {
        anywhere: vec![sums, joined_sums],
        here: vec![unique, latest],
    };
    let made = states.keep_keys(ROWS, sources, rows(in_doubt, stored));
    Maintained {
        rows: made,
        runs: states.runs(),
    }
}
