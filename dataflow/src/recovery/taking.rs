//! The newest checkpoint, taken over in the name of a generation.
//!
//! ```text
//!   newest ─▶ the same, of this generation ─▶ (delete the rows of views to rebuild) ─▶ changed
//! ```
//!
//! Where views are rebuilt, the checkpoint stays as it was until the database holds nothing of
//! them any more: whatever goes wrong before, it is still that of the former views.

use super::{PlanError, Sources};
use crate::recovery::rebuild::{Asked, change, check_names, numbers};
use crate::recovery::start::{nothing, sections};
use crate::saving::{Manifest, State};
use checkpoint::{CheckpointError, Store};
use std::collections::BTreeSet;

/// A checkpoint that nobody else can go on with.
pub struct Taken {
    /// As it is committed.
    pub manifest: Manifest,
    /// As it is to be committed when the database holds nothing of the views that are
    /// rebuilt; none where it stays as it is.
    pub changed: Option<Manifest>,
}

impl Taken {
    /// As the run goes on from it.
    pub fn newest(&self) -> &Manifest {
        self.changed.as_ref().unwrap_or(&self.manifest)
    }
}

impl Sources<'_> {
    /// Puts the newest checkpoint in the name of a generation: nobody else can
    /// commit one from then on. Where there is none, it is one of nothing. What it knows of
    /// topics that are `dropped`, by their numbers, is to be forgotten.
    ///
    /// # Errors
    /// When it is damaged, of other views, or cannot be taken.
    pub fn take_checkpoint(
        &self,
        generation: u64,
        dropped: &BTreeSet<usize>,
    ) -> Result<Option<Taken>, PlanError> {
        let Some(store) = self.store else {
            return Ok(None);
        };
        loop {
            let newest = store.newest()?;
            let made_at = jiff::Timestamp::now().as_millisecond();
            let (next, change) = match newest {
                Some(newest) => {
                    let (state, change) = self.of_now(store, &newest.state, dropped)?;
                    let next = Manifest {
                        sequence: newest.sequence + 1,
                        generation,
                        state: match change {
                            Some(_) => newest.state,
                            None => state,
                        },
                        ..newest
                    };
                    (next, change)
                }
                None => {
                    let next = Manifest {
                        sequence: 1,
                        generation,
                        epoch: 0,
                        made_at,
                        state: State {
                            rebuilding: self.named(self.rebuilt(None)?),
                            log: self.identity.clone(),
                            ..nothing(self.catalog, &self.definitions)
                        },
                        files: Vec::new(),
                    };
                    (next, None)
                }
            };
            match store.commit(&next) {
                Ok(()) => {
                    let changed = change.map(|state| Manifest {
                        sequence: next.sequence + 1,
                        state,
                        ..next.clone()
                    });
                    return Ok(Some(Taken {
                        changed,
                        manifest: next,
                    }));
                }
                // An earlier run has committed one more in between.
                Err(CheckpointError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Commits a checkpoint of [`Taken::changed`].
    ///
    /// # Errors
    /// When it cannot be put, or somebody else has taken the checkpoint since.
    pub fn commit(&self, changed: &Manifest) -> Result<(), PlanError> {
        match self.store {
            Some(store) => Ok(store.commit(changed)?),
            None => Ok(()),
        }
    }

    /// The state of a checkpoint as one of the log of now, and what has to change so that it is
    /// of the views of now, if anything.
    fn of_now(
        &self,
        store: &Store,
        state: &State,
        dropped: &BTreeSet<usize>,
    ) -> Result<(State, Option<State>), PlanError> {
        let checkpoint = store.describe();
        let is_read = |topic: &str| self.topics.iter().any(|known| known == topic);
        let was: BTreeSet<&str> = state.partitions.iter().map(|saved| &*saved.topic).collect();
        if !was.is_empty() && !was.iter().any(|topic| is_read(topic)) {
            return Err(PlanError::Topics {
                checkpoint,
                was: Vec::from_iter(was).join(", "),
                is: self.topics.join(", "),
            });
        }
        let mut state = state.clone();
        let is_dropped = |topic: &str| dropped.iter().any(|number| self.topics[*number] == topic);
        state.retain_topics(|topic| is_read(topic) && !is_dropped(topic));
        state.log = self.identity.clone();
        let recorded = self.reader.standing()?.definitions;
        let rebuilding = state.rebuilding.clone();
        let with_rows = recorded.keys().cloned().collect();
        let reset = &self.asked(&recorded);
        let outdated = self.outdated(recorded);
        let again = outdated.keys().filter(|view| !rebuilding.contains(*view));
        let of_dropped = self.readers_of(dropped).into_iter().map(str::to_owned);
        let forced = again.chain(reset).cloned().chain(of_dropped);
        let asked = Asked {
            views: reset,
            whatever_they_are: &forced.collect(),
            with_rows: &with_rows,
        };
        let mut changed = change(&state, &self.definitions, asked, &checkpoint)?;
        self.check_outdated(outdated, reset, &rebuilding)?;
        // A part that the state of views has got since has a section, too.
        for state in [&mut state].into_iter().chain(&mut changed) {
            sections(state, self.catalog);
        }
        Ok((state, changed))
    }

    /// The numbers of the views of which everything is read again. Where there are no
    /// checkpoints, those that are asked for: everything is read again then, but what
    /// the database holds of them may be of other windows and groups.
    ///
    /// # Errors
    /// When there is no such view, or another one has changed.
    pub fn rebuilt(&self, taken: Option<&Taken>) -> Result<Vec<u16>, PlanError> {
        if let Some(taken) = taken {
            return Ok(numbers(&taken.newest().state, &self.names()));
        }
        let recorded = self.reader.standing()?.definitions;
        let reset = &self.asked(&recorded);
        check_names(reset, self.definitions.iter().map(|view| &view.name))?;
        self.check_outdated(self.outdated(recorded), reset, &BTreeSet::new())?;
        let views = (0..).zip(&self.catalog.definitions);
        let asked = views.filter(|(_, view)| reset.contains(&view.name));
        Ok(asked.map(|(number, _)| number).collect())
    }
}
