//! The dataflow that keeps every row of every view.

use super::Catalog;
use super::changes::{ExtremeChange, MemberChange, SumsChange};
use super::extremes::extremes;
use super::footprint::Gauge;
use super::join::{Changes, ToJoin, join};
use super::key::Key;
use super::parts;
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
    /// Members that rows have seen, by the number of the arrangement.
    pub members: Vec<StreamVec<'scope, Epoch, MemberChange>>,
    /// Values of which rows keep the first, where any view has such.
    pub extremes: Option<StreamVec<'scope, Epoch, ExtremeChange>>,
    /// What is joined.
    pub to_join: ToJoin<'scope>,
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
        extremes: values,
        to_join,
    } = contributed;
    let views = catalog.definitions.iter();
    let (names, lanes): (Vec<_>, Vec<_>) = views
        .map(|view| (view.name.clone(), Arc::clone(&view.lanes)))
        .unzip();
    let mut states = States::new(advanced, restored, gauge.clone(), names, loaded, saving);
    let Changes {
        sums: mut anywhere,
        members: joined_members,
        extremes: joined_values,
    } = join(to_join, catalog, &mut states);
    anywhere.push(sums);
    let mut here = Vec::new();
    let mut joined_members = joined_members.into_iter();
    for (number, read) in members.into_iter().enumerate() {
        let mut all = joined_members.next().unwrap_or_default();
        all.push(read);
        let unique = unique(lanes.clone(), number);
        here.push(states.keep_values(&parts::members(number), all, unique));
    }
    if let Some(read) = values {
        let all = joined_values.into_iter().chain([read]).collect();
        here.push(states.keep_values(&parts::extremes(), all, extremes(lanes)));
    }
    let sources = Sources { anywhere, here };
    let made = states.keep_keys(&parts::rows(), sources, rows(in_doubt, stored));
    Maintained {
        rows: made,
        runs: states.runs(),
    }
}
