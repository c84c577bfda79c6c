//! What is rebuilt is deleted first.

use super::RunError;
use super::context::Context;
use dataflow::recovery::rebuild;
use dataflow::recovery::{Sources, Taken};
use dataflow::views::Catalog;
use model::fail_point;
use sinks::retry::Retrying;
use sinks::{Reader, Storage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

/// Deletes what the database holds of views that are rebuilt, and what was made of topics that
/// are `dropped`; then the checkpoint is one of the views of now. Until then it stays as it was.
///
/// # Errors
/// When the database or the checkpoint cannot be read or written.
pub(super) fn clear(
    run: &Context<'_>,
    storage: &Arc<dyn Storage>,
    sources: &Sources<'_>,
    taken: Option<&Taken>,
    dropped: &BTreeSet<usize>,
) -> Result<(), RunError> {
    let views = sources.rebuilt(taken)?;
    if !views.is_empty() || !dropped.is_empty() {
        run.telemetry.set_waiting(format!(
            "what {} holds of the views to rebuild",
            storage.describe()
        ));
        let observer = Arc::new(|_: &_, _| {});
        let mut writer = Retrying::new(storage.writer()?, observer, run.ending.abandoned());
        let define = |definitions: &_| storage.define(definitions);
        let rows = rebuild::clear(&views, dropped, sources, &mut writer, &define)?;
        for view in &views {
            storage.remake(usize::from(*view))?;
        }
        tracing::info!("{rows} rows are deleted of views that are rebuilt");
    }
    fail_point("start.cleared");
    if let Some(changed) = taken.and_then(|taken| taken.changed.as_ref()) {
        run.wait_for(|| sources.commit(changed))?;
    }
    Ok(())
}
