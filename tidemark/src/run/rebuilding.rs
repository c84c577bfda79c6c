//! What is rebuilt is deleted first, or at the end what is left of it.

use super::RunError;
use super::context::Context;
use dataflow::recovery::rebuild::{self, Leftovers};
use dataflow::recovery::{Sources, Taken};
use dataflow::sink::Sweep;
use dataflow::views::Catalog;
use model::fail_point;
use sinks::retry::{Retrying, wait_for};
use sinks::{Reader, Storage, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Lets the database know, before it is prepared, which views are rebuilt: those of these names,
/// and those that an earlier run has begun to.
pub(super) fn announce(
    storage: &Arc<dyn Storage>,
    reader: &dyn Reader,
    catalog: &Catalog,
    names: &BTreeSet<String>,
) {
    // A file can be asked at once. What is no database yet has nothing to tell.
    let recorded = match storage.writes_as_one() {
        true => reader.standing().unwrap_or_default().definitions,
        false => BTreeMap::new(),
    };
    let begun = |name| {
        let recorded: Option<&String> = recorded.get(name);
        recorded.is_some_and(|recorded| rebuild::is_being_rebuilt(recorded, None))
    };
    let views = catalog.definitions.iter().enumerate();
    let rebuilt = views.filter(|(_, view)| names.contains(view.name.as_str()) || begun(&view.name));
    storage.will_remake(&rebuilt.map(|(number, _)| number).collect());
}

/// Deletes what the database holds of views that are rebuilt, but for those that are rebuilt in
/// place, and what was made of topics that are `dropped`; then the checkpoint is one of the views of
/// now. Until then it stays as it was. Returns the names of those that are rebuilt in place.
///
/// # Errors
/// When the database or the checkpoint cannot be read or written.
pub(super) fn clear(
    run: &Context<'_>,
    storage: &Arc<dyn Storage>,
    sources: &Sources<'_>,
    taken: Option<&Taken>,
    dropped: &BTreeSet<usize>,
) -> Result<BTreeSet<String>, RunError> {
    let views = sources.rebuilt(taken)?;
    let in_place = sources.in_place(taken, dropped, storage.writes_as_one())?;
    if !views.is_empty() || !dropped.is_empty() {
        run.telemetry.set_waiting(format!(
            "what {} holds of the views to rebuild",
            storage.describe()
        ));
        let observer = Arc::new(|_: &_, _| {});
        let mut writer = Retrying::new(storage.writer()?, observer, run.ending.abandoned());
        let define = |definitions: &_| storage.define(definitions);
        let rows = rebuild::clear(&views, &in_place, dropped, sources, &mut writer, &define)?;
        for view in &views {
            storage.remake(usize::from(*view))?;
        }
        if in_place.len() < views.len() || rows > 0 {
            tracing::info!("{rows} rows are deleted of views that are rebuilt");
        }
        for view in &in_place {
            tracing::info!("{view} is rebuilt; its rows stay until it has caught up");
        }
    }
    fail_point("start.cleared");
    if let Some(changed) = taken.and_then(|taken| taken.changed.as_ref()) {
        run.wait_for(|| sources.commit(changed))?;
    }
    Ok(in_place)
}

/// Deletes what is left of views that were rebuilt in place, when they have caught up.
///
/// # Errors
/// When the database has no way for it.
pub(super) fn sweep(
    storage: &Arc<dyn Storage>,
    leftovers: Arc<Leftovers>,
    mut writer: Box<dyn Writer>,
    abandoned: Arc<AtomicBool>,
) -> Sweep {
    let storage = Arc::clone(storage);
    Box::new(move |views: &BTreeSet<u16>| {
        fail_point("rebuild.sweep");
        let define = |definitions: &BTreeMap<String, String>| {
            let define = || storage.define(definitions);
            wait_for(define, Duration::MAX, &abandoned)
        };
        let rows = leftovers.delete(views, &mut *writer, &define)?;
        fail_point("rebuild.swept");
        let names = views.iter().filter_map(|view| {
            let definition = leftovers.catalog.definitions.get(usize::from(*view));
            definition.map(|view| view.name.as_str())
        });
        tracing::info!(
            "rebuilt: {}; {rows} rows that they had before are deleted",
            names.collect::<Vec<_>>().join(", ")
        );
        Ok(())
    })
}
