//! Where a run goes on from: the checkpoint, the database and Kafka, put together.
//!
//! They have to fit: a checkpoint of these views and topics, a database that is not
//! older than it, a log that still has what comes after it. Whatever does not is an
//! error that says so, and never a silent fresh start.

mod compare;
mod definitions;
mod deleted;
mod error;
mod forget;
mod in_doubt;
mod log;
pub mod names;
pub mod rebuild;
pub mod start;
mod taking;

pub use compare::{LogDifference, Messages};
pub use error::PlanError;
use log::last_read;
pub use taking::Taken;

use crate::ingest::discovery::Found;
use crate::ingest::identity::Readers;
use crate::ingest::lanes::BackfillPlan;
use crate::recovery::names::CatalogNames;
use crate::recovery::start::{Start, sections};
use crate::saving::Loading;
use crate::saving::Manifest;
use crate::saving::{SavedDefinition, SavedPartition};
use crate::sink::Place;
use crate::time::Recorded;
use crate::views::Catalog;
use checkpoint::Store;
use serde::{Deserialize, Serialize};
use sinks::{Holder, Limit, Limits, LogIdentity, Reader, Standing};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What process 0 has taken for all of them, and tells the others.
#[derive(Serialize, Deserialize)]
pub struct Plan {
    /// In whose name all write.
    pub holder: Holder,
    /// The newest checkpoint, in the name of this generation; none where none are
    /// taken.
    pub manifest: Option<Manifest>,
    /// The log that is read.
    pub log: LogIdentity,
    /// Views that are rebuilt in place, by name.
    pub in_place: BTreeSet<String>,
}

impl Plan {
    /// As it is sent.
    ///
    /// # Errors
    /// When it has no such form.
    pub fn write(&self) -> Result<Vec<u8>, PlanError> {
        serde_json::to_vec(self).map_err(|error| PlanError::Plan(error.to_string()))
    }

    /// The other way.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(bytes: &[u8]) -> Result<Plan, PlanError> {
        serde_json::from_slice(bytes).map_err(|error| PlanError::Plan(error.to_string()))
    }
}

/// What a process reads to find out where to go on.
pub struct Sources<'a> {
    /// All views.
    pub catalog: &'a Catalog,
    /// Full names of the topics, by number.
    pub topics: &'a [String],
    /// The definitions of the views of now.
    pub definitions: Vec<SavedDefinition>,
    /// The database, claimed by this run.
    pub reader: &'a dyn Reader,
    /// What people call it.
    pub database: String,
    /// Where checkpoints are, if there are any.
    pub store: Option<&'a Arc<Store>>,
    /// The partitions that Kafka has.
    pub found: Vec<Found>,
    /// The cluster and the topics that they are of.
    pub identity: LogIdentity,
    /// Which views read each topic.
    pub readers: &'a Readers,
    /// The brokers, as the user named them; none where the log is within the process.
    pub brokers: Option<&'a str>,
    /// Names of views that are to be rebuilt.
    pub reset: &'a BTreeSet<String>,
}

impl Sources<'_> {
    /// How topics and views are named.
    fn names(&self) -> CatalogNames {
        CatalogNames::of(self.catalog, self.topics)
    }

    /// Numbers of views, by their names.
    fn numbered_views(&self, views: &BTreeSet<String>) -> BTreeSet<u16> {
        let names = self.names();
        let numbers = views.iter().filter_map(|view| names.view_number(view));
        numbers.collect()
    }

    /// Names of views, by their numbers.
    fn named(&self, views: Vec<u16>) -> BTreeSet<String> {
        let names = self.names();
        views
            .into_iter()
            .filter_map(|view| names.view(view))
            .collect()
    }

    /// Where to go on from `manifest`; from the beginning where there is none. `in_place` are the
    /// views that are rebuilt and keep their rows until they have caught up.
    ///
    /// # Errors
    /// When the database or the log do not fit it, or cannot be read.
    pub fn start(
        &self,
        manifest: Option<&Manifest>,
        in_place: &BTreeSet<String>,
    ) -> Result<Start, PlanError> {
        let standing = self.reader.standing()?;
        let targets = self.targets(&standing);
        if let Some(manifest) = manifest {
            self.check_database(manifest, &targets)?;
        }
        self.check_log(manifest, &targets)?;

        let through = manifest.map_or(0, |manifest| manifest.epoch);
        if let Some(store) = self.store
            && through == 0
            && standing.progress.is_some()
        {
            tracing::warn!(
                "there is no checkpoint in {} yet, and the database has been written to before: \
                 everything is read again. If there should be one, stop, and check the place",
                store.describe()
            );
        }
        let recorded = Arc::new(self.recorded(manifest, &standing, &targets));
        let read = standing.last_read();
        let progress = standing.progress.unwrap_or_default();
        let last = through.max(progress.epoch).max(standing.reaching.epoch);
        let mut start = Start {
            targets,
            recorded,
            last_written: self.numbered(&read),
            views: progress.views.clone(),
            counted: standing.counted.unwrap_or_default(),
            in_place: self.numbered_views(in_place),
            ..Start::fresh()
        };
        if let Some(manifest) = manifest {
            start.finals_written = manifest.state.finals_written;
            start.sections = Arc::new(sections(&mut manifest.state.clone(), self.catalog));
        }
        start.first = match manifest.zip(self.store) {
            Some((manifest, store)) if !manifest.files.is_empty() => {
                let loading = Loading {
                    sections: Arc::clone(&start.sections),
                    store: Arc::clone(store),
                    files: manifest.files.clone().into(),
                    first: last + 1,
                    restored: Loading::last_epoch(&manifest.files, last + 1),
                };
                let first = loading.restored + 1;
                start.loading = Some(loading);
                first
            }
            _ => last + 2,
        };
        if let Some(manifest) = manifest {
            self.check_finals(manifest)?;
            let (state, names) = (&manifest.state, self.names());
            let partitions = state.partitions.iter().cloned();
            start.partitions = partitions
                .filter_map(|saved| names.number_partition(saved))
                .collect();
            start.backfill = Arc::new(BackfillPlan::of(state, self.catalog, &names, &self.found));
            start.watermarks = names.number_watermarks(state.watermarks.clone());
            start.last_read = Arc::new(last_read(&start.watermarks));
            self.in_doubt(through, &mut start)?;
        } else {
            self.forget_deleted(&mut start)?;
            self.in_doubt_without(&progress, &mut start)?;
        }
        Ok(start)
    }

    /// Which timestamps earlier runs have believed: by the database, which knows of all
    /// that may have had an effect, else by the checkpoint.
    fn recorded(
        &self,
        manifest: Option<&Manifest>,
        standing: &Standing,
        targets: &BTreeMap<Place, i64>,
    ) -> Recorded {
        let number = |name: &String| self.topics.iter().position(|topic| topic == name);
        let by_place = |limits: &Limits| {
            let known = limits
                .iter()
                .filter_map(|(name, of)| Some((number(name)?, of)));
            let places = known.flat_map(|(topic, of)| {
                let place = move |(partition, limits): (&i32, &Vec<Limit>)| {
                    ((topic, *partition), limits.clone())
                };
                of.iter().map(place)
            });
            places.collect()
        };
        let of_checkpoint = || {
            let saved = &manifest?.state.partitions;
            let place = |saved: &SavedPartition<String, String>| {
                let limits = saved.time.limits.clone()?;
                Some(((number(&saved.topic)?, saved.partition), limits))
            };
            saved.iter().map(place).collect()
        };
        let begins = standing.progress.is_none() && standing.reaching.epoch == 0;
        Recorded {
            limits: match standing.limits() {
                Some(limits) => Some(by_place(limits)),
                // Nothing has been judged yet.
                None if begins && targets.is_empty() => Some(BTreeMap::new()),
                None => of_checkpoint(),
            },
            judged: targets.clone(),
        }
    }

    /// Offsets that may have had an effect on rows.
    fn targets(&self, standing: &Standing) -> BTreeMap<Place, i64> {
        let mut targets = BTreeMap::new();
        let progress = standing.progress.iter().map(|progress| &progress.offsets);
        for offsets in progress.chain([&standing.reaching.offsets]) {
            for (topic, name) in self.topics.iter().enumerate() {
                // Where nothing was read there is nothing to reach, and the partition may be gone.
                let read = offsets.get(name).into_iter().flatten();
                for (partition, next) in read.filter(|(_, next)| **next > 0) {
                    let target = targets.entry((topic, *partition)).or_insert(0);
                    *target = (*next).max(*target);
                }
            }
        }
        targets
    }

    fn check_database(
        &self,
        manifest: &Manifest,
        targets: &BTreeMap<Place, i64>,
    ) -> Result<(), PlanError> {
        let Some(store) = self.store else {
            return Ok(());
        };
        let names = self.names();
        for saved in &manifest.state.partitions {
            let Some(topic) = names.topic_number(&saved.topic) else {
                continue;
            };
            let known = targets.get(&(topic, saved.partition));
            let known = known.copied().unwrap_or(0);
            if known < saved.next {
                return Err(PlanError::OlderDatabase {
                    checkpoint: store.describe(),
                    topic: saved.topic.clone(),
                    partition: saved.partition,
                    next: saved.next,
                    known,
                });
            }
        }
        Ok(())
    }

    fn check_log(
        &self,
        manifest: Option<&Manifest>,
        targets: &BTreeMap<Place, i64>,
    ) -> Result<(), PlanError> {
        for (&(topic, partition), &read) in targets {
            let mut found = self.found.iter();
            let found = found.find(|found| (found.topic, found.partition) == (topic, partition));
            let found = match found {
                Some(found) if found.high >= read => continue,
                Some(found) => format!("ends at {}", found.high),
                None => "is not there".to_owned(),
            };
            let topic = self.topics[topic].clone();
            return Err(PlanError::Shrunk {
                topic,
                partition,
                read,
                found,
                checkpoint: match manifest {
                    Some(_) => " and an empty --checkpoint",
                    None => "",
                },
            });
        }
        Ok(())
    }
}
