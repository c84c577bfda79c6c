//! Rows that somebody else has deleted.
//!
//! | what is gone | what happens |
//! | --- | --- |
//! | open rows, with a checkpoint | it holds them: they are written again |
//! | all final rows of a view, with a checkpoint | it does not hold them: the start is refused |
//! | some final rows | nothing: others may keep them for a time, and no longer |
//! | any, without a checkpoint | open rows come again; final ones do if all of them are gone |

use super::in_doubt::joined;
use super::{PlanError, Sources};
use crate::recovery::start::Start;
use crate::saving::Manifest;
use crate::views::stored::Stored;
use std::sync::Arc;
use std::thread;

impl Sources<'_> {
    /// Which rows there are: every open one that the checkpoint holds has been written.
    pub(super) fn stored(&self, start: &mut Start) -> Result<(), PlanError> {
        let catalog = self.catalog;
        let stored = Stored::new(&catalog.definitions, start.final_until(catalog));
        let hashes = thread::scope(|scope| {
            let (views, stored) = (0..catalog.definitions.len(), &stored);
            let is_rebuilt = |view: &usize| {
                let number = u16::try_from(*view);
                number.is_ok_and(|number| start.in_place.contains(&number))
            };
            let asked: Vec<_> = views
                .filter(|view| !is_rebuilt(view))
                .map(|view| {
                    let ask = move || {
                        let mut hashes = Vec::new();
                        self.reader.ids(view, &stored.least_id(view), &mut |id| {
                            hashes.push(stored.hash(view, &id));
                        })?;
                        Ok::<_, PlanError>(hashes)
                    };
                    let thread = thread::Builder::new().name("stored".to_owned());
                    thread.spawn_scoped(scope, ask)
                })
                .collect();
            let found: Result<Vec<_>, _> = asked.into_iter().map(joined).collect();
            found.map(|found| found.concat())
        })?;
        start.stored = Some(Arc::new(stored.with(hashes)));
        Ok(())
    }

    /// That of no view all final rows are gone. A manifest that is rebuilding a view knows of
    /// none of it.
    pub(super) fn check_finals(&self, manifest: &Manifest) -> Result<(), PlanError> {
        let mut views = Vec::new();
        let names = self.names();
        for view in manifest.state.views_with_finals() {
            if let Some(number) = names.view_number(view)
                && !self.reader.has_finals(usize::from(number))?
            {
                views.push(view.to_owned());
            }
        }
        match views.is_empty() {
            true => Ok(()),
            false => Err(PlanError::FinalsDeleted {
                database: self.database.clone(),
                checkpoint: self
                    .store
                    .map_or_else(String::new, |store| store.describe()),
                views,
            }),
        }
    }

    /// Where everything is read again, what a view had closed is not left alone if it has no
    /// final row.
    pub(super) fn forget_deleted(&self, start: &mut Start) -> Result<(), PlanError> {
        for (number, view) in self.catalog.definitions.iter().enumerate() {
            if start.views.contains_key(&view.name) && !self.reader.has_finals(number)? {
                start.views.remove(&view.name);
            }
        }
        Ok(())
    }
}
