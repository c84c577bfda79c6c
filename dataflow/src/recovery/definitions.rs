//! The definitions of the rows in the database, compared with those of now.
//!
//! A checkpoint keeps the definitions of its views. A database outlives checkpoints, and
//! is written without any: so it keeps the definitions of its rows too. Rows of two
//! definitions of one view are rows of different windows, or of the same windows with
//! different events; side by side they mean nothing.
//!
//! ```text
//!   claim ─▶ compare ─▶ delete the rows of views to rebuild ─▶ plan ─▶ define ─▶ write rows
//! ```
//!
//! A run that ends before `define` leaves the old definitions, and rows of no other; one that
//! ends after it leaves the new ones, and no row of the old.

use super::{PlanError, Sources};
use crate::recovery::rebuild::{being_rebuilt, is_being_rebuilt};
use crate::saving::SavedDefinition;
use std::collections::{BTreeMap, BTreeSet};

impl Sources<'_> {
    /// The definitions of all rows that the database has or gets: those of now, and those of
    /// views that there are no more, since their rows stay. Of views that are rebuilt `in_place`,
    /// they say that.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn definitions(
        &self,
        in_place: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, String>, PlanError> {
        let standing = self.reader.standing()?;
        if standing.definitions.is_empty() && standing.progress.is_some() {
            tracing::info!(
                "{} does not record the definitions of its views yet: from now on it does, and \
                 its rows are assumed to be of those of this run",
                self.database
            );
        }
        let mut definitions = standing.definitions;
        let now = self.definitions.iter().cloned();
        definitions.extend(now.map(|view| match in_place.contains(&view.name) {
            true => (view.name, being_rebuilt(&view.definition)),
            false => (view.name, view.definition),
        }));
        Ok(definitions)
    }

    /// Names of the views to rebuild: those that are asked for, and those that a run of this
    /// program has begun to, by the definitions that the database has `recorded`.
    pub(super) fn asked(&self, recorded: &BTreeMap<String, String>) -> BTreeSet<String> {
        let begun = self.definitions.iter().filter(|view| {
            let recorded = recorded.get(&view.name);
            recorded.is_some_and(|recorded| is_being_rebuilt(recorded, Some(&view.definition)))
        });
        let begun = begun.map(|view| view.name.clone());
        self.reset.iter().cloned().chain(begun).collect()
    }

    /// The views whose rows in the database are of another definition than now, and that
    /// definition, of those that it has `recorded`.
    pub(super) fn outdated(&self, recorded: BTreeMap<String, String>) -> BTreeMap<String, String> {
        outdated(recorded, &self.definitions)
    }

    /// Fails unless all of these views are to be rebuilt: `asked` for, or begun by an earlier run.
    pub(super) fn check_outdated(
        &self,
        outdated: BTreeMap<String, String>,
        asked: &BTreeSet<String>,
        rebuilding: &BTreeSet<String>,
    ) -> Result<(), PlanError> {
        let rebuilt = |view: &String| asked.contains(view) || rebuilding.contains(view);
        match outdated.into_iter().find(|(view, _)| !rebuilt(view)) {
            None => Ok(()),
            Some((view, was)) => {
                let is = self.definitions.iter().find(|now| now.name == view);
                Err(PlanError::Changed {
                    view,
                    since: format!("its rows in {} were written", self.database),
                    was,
                    is: is.map_or_else(String::new, |is| is.definition.clone()),
                })
            }
        }
    }
}

fn outdated(
    mut known: BTreeMap<String, String>,
    now: &[SavedDefinition],
) -> BTreeMap<String, String> {
    known.retain(|name, definition| {
        let mut now = now.iter().filter(|view| view.name == *name);
        now.any(|view| view.definition != *definition)
    });
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: &str, definition: &str) -> SavedDefinition {
        SavedDefinition {
            name: name.to_owned(),
            definition: definition.to_owned(),
        }
    }

    fn known(views: &[(&str, &str)]) -> BTreeMap<String, String> {
        let views = views.iter();
        let views = views.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        views.collect()
    }

    #[test]
    fn only_views_of_both_can_be_outdated() {
        let now = [view("sales", "1h"), view("logs", "1h"), view("new", "1h")];
        let of = |views: &[(&str, &str)]| outdated(known(views), &now);
        assert_eq!(of(&[]), known(&[]));
        let same = [("sales", "1h"), ("logs", "1h"), ("removed", "1d")];
        assert_eq!(of(&same), known(&[]));
        let changed = [("sales", "2h"), ("logs", "1h"), ("removed", "1d")];
        assert_eq!(of(&changed), known(&[("sales", "2h")]));
    }
}
