//! Where a run goes on from: the checkpoint, the database and Kafka, put together.
//!
//! They have to fit: a checkpoint of these views and topics, a database that is not
//! older than it, a log that still has what comes after it. Whatever does not is an
//! error that says so, and never a silent fresh start.

use crate::Epoch;
use crate::checkpoint::CheckpointError;
use crate::checkpoint::Loading;
use crate::checkpoint::Manifest;
use crate::checkpoint::Store;
use crate::checkpoint::renumber;
use crate::ingest::discovery::Found;
use crate::rebuild::{Again, Change, change, check_names};
use crate::sink::Place;
use crate::start::{Start, nothing};
use crate::views::Catalog;
use crate::views::definition::Definition;
use crate::views::row;
use serde::{Deserialize, Serialize};
use sinks::retry::MayPass;
use sinks::{Holder, Progress, Reader, RowId, SinkError, Standing, fail_point};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// What a run finds does not fit together.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A view is not the one that the checkpoint holds.
    #[error(
        "view {view} has changed since the checkpoint in {checkpoint} was taken:\n  it was  {was}\n  \
         it is   {is}\nTake back the change, or rebuild the view from what Kafka has of its topic, with \
         --reset-view {view}; the others go on as they are"
    )]
    Changed {
        /// The view.
        view: String,
        /// The checkpoint.
        checkpoint: String,
        /// What it was.
        was: String,
        /// What it is.
        is: String,
    },
    /// A view is to be rebuilt that there is not.
    #[error("--reset-view {name}: there is no such view; there are {known}")]
    NoSuchView {
        /// The name it gives.
        name: String,
        /// The views there are.
        known: String,
    },
    /// The checkpoint is of other topics.
    #[error(
        "the checkpoint in {checkpoint} is of the topics {was}, and this run reads {is}; give it \
         the --topic-prefix of then, or another --checkpoint"
    )]
    Topics {
        /// The checkpoint.
        checkpoint: String,
        /// What they were.
        was: String,
        /// What they are.
        is: String,
    },
    /// The database is older than the checkpoint.
    #[error(
        "the checkpoint in {checkpoint} has read topic {topic} partition {partition} up to offset \
         {next}, and the database knows of offsets up to {known} only: it is another one, or an \
         older copy. Give the --database that belongs to the checkpoint, or an empty --checkpoint \
         to read everything again"
    )]
    OlderDatabase {
        /// The checkpoint.
        checkpoint: String,
        /// Full name of a topic.
        topic: String,
        /// A partition of it.
        partition: i32,
        /// How far the checkpoint has read it.
        next: i64,
        /// How far the database knows it.
        known: i64,
    },
    /// Kafka does not have what has been read.
    #[error(
        "topic {topic} partition {partition} has been read up to offset {read}, and now it {found}: \
         it was deleted and made again, or a broker has lost messages. What was counted of it is \
         no part of the log any more; begin anew with an empty --database{checkpoint}"
    )]
    Shrunk {
        /// Full name of the topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How far it has been read.
        read: i64,
        /// What there is of it now.
        found: String,
        /// The checkpoint, if there is one.
        checkpoint: &'static str,
    },
    /// Processes do not understand each other.
    #[error("what process 0 tells the others: {0}")]
    Plan(String),
    /// The checkpoint cannot be read or taken over.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The database cannot be read.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl MayPass for PlanError {
    fn may_pass(&self) -> bool {
        match self {
            PlanError::Checkpoint(error) => error.is_temporary(),
            PlanError::Sink(error) => error.is_temporary(),
            _ => false,
        }
    }
}

/// What process 0 has taken for all of them, and tells the others.
#[derive(Serialize, Deserialize)]
pub struct Plan {
    /// In whose name all write.
    pub holder: Holder,
    /// The newest checkpoint, in the name of this generation; none where none are
    /// taken.
    pub manifest: Option<Manifest>,
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
    /// How far events may be ahead of their messages, in milliseconds.
    pub max_ahead: i64,
    /// The database, claimed by this run.
    pub reader: &'a dyn Reader,
    /// Where checkpoints are, if there are any.
    pub store: Option<&'a Arc<Store>>,
    /// The partitions that Kafka has.
    pub found: Vec<Found>,
    /// Names of views that may be rebuilt, where they have changed.
    pub reset: &'a BTreeSet<String>,
}

impl Sources<'_> {
    /// Puts the newest checkpoint in the name of a generation: nobody else can
    /// commit one from then on. Where there is none, it is one of nothing.
    ///
    /// # Errors
    /// When it is damaged, of other views, or cannot be taken.
    pub fn take_checkpoint(&self, generation: u64) -> Result<Option<Manifest>, PlanError> {
        let Some(store) = self.store else {
            return Ok(None);
        };
        loop {
            let newest = store.newest()?;
            let newest = newest.map(|newest| self.of_now(store, newest, generation));
            let newest = newest.transpose()?;
            let made_at = jiff::Timestamp::now().as_millisecond();
            let next = match newest {
                Some(newest) => Manifest {
                    sequence: newest.sequence + 1,
                    generation,
                    ..newest
                },
                None => Manifest {
                    sequence: 1,
                    generation,
                    epoch: 0,
                    made_at,
                    state: nothing(self.catalog, self.topics, self.max_ahead),
                    files: Vec::new(),
                },
            };
            match store.commit(&next) {
                Ok(()) => return Ok(Some(next)),
                // An earlier run has committed one more in between.
                Err(CheckpointError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A checkpoint as one of the views of now.
    fn of_now(
        &self,
        store: &Store,
        newest: Manifest,
        generation: u64,
    ) -> Result<Manifest, PlanError> {
        let (state, checkpoint) = (&newest.state, store.describe());
        if state.topics != self.topics {
            let (was, is) = (state.topics.join(", "), self.topics.join(", "));
            return Err(PlanError::Topics {
                checkpoint,
                was,
                is,
            });
        }
        let change = change(state, self.catalog, self.max_ahead, self.reset, &checkpoint)?;
        let Some(Change { numbering, state }) = change else {
            return Ok(newest);
        };
        let mut files = Vec::new();
        if !newest.files.is_empty() {
            let name = format!("{generation:08}-views-{:08}", newest.sequence + 1);
            let told = newest.state.finals_written;
            files.push(renumber(store, &newest.files, &name, told, &numbering)?);
        }
        Ok(Manifest {
            state,
            files,
            ..newest
        })
    }

    /// The numbers of the views of which everything is read again. Where there are no
    /// checkpoints, those that are asked for: everything is read again then, but what
    /// the database holds of them may be of other windows and groups.
    ///
    /// # Errors
    /// When there is no such view.
    pub fn rebuilt(&self, manifest: Option<&Manifest>) -> Result<Vec<u16>, PlanError> {
        if let Some(manifest) = manifest {
            return Ok(manifest.state.rebuilding.clone());
        }
        check_names(self.reset, self.catalog.saved(self.max_ahead).iter())?;
        let views = (0..).zip(&self.catalog.definitions);
        let asked = views.filter(|(_, view)| self.reset.contains(view.name));
        Ok(asked.map(|(number, _)| number).collect())
    }

    /// Where to go on from `manifest`; from the beginning where there is none.
    ///
    /// # Errors
    /// When the database or the log do not fit it, or cannot be read.
    pub fn start(&self, manifest: Option<&Manifest>) -> Result<Start, PlanError> {
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
        let progress = standing.progress.unwrap_or_default();
        let last = through.max(progress.epoch).max(standing.reaching.epoch);
        let mut start = Start {
            targets,
            views: progress.views.clone(),
            ..Start::fresh()
        };
        start.first = match manifest.zip(self.store) {
            Some((manifest, store)) if !manifest.files.is_empty() => {
                let loading = Loading {
                    store: Arc::clone(store),
                    files: manifest.files.clone().into(),
                    finals_written: manifest.state.finals_written,
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
            start.partitions = manifest.state.partitions.clone().into();
            start.again = Arc::new(Again::of(&manifest.state, self.catalog, &self.found));
            start.watermarks = manifest.state.watermarks.clone();
            self.in_doubt(through, &mut start)?;
        } else {
            self.in_doubt_without(&progress, &mut start)?;
        }
        Ok(start)
    }

    /// Offsets that may have had an effect on rows.
    fn targets(&self, standing: &Standing) -> BTreeMap<Place, i64> {
        let mut targets = BTreeMap::new();
        let progress = standing.progress.iter().map(|progress| &progress.offsets);
        for offsets in progress.chain([&standing.reaching.offsets]) {
            for (topic, name) in self.topics.iter().enumerate() {
                for (partition, next) in offsets.get(name).into_iter().flatten() {
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
        for saved in &manifest.state.partitions {
            let place = (saved.topic, saved.partition);
            let known = targets.get(&place).copied().unwrap_or(0);
            if known < saved.next {
                return Err(PlanError::OlderDatabase {
                    checkpoint: store.describe(),
                    topic: self.topics[saved.topic].clone(),
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
        for (&(topic, partition), &read) in targets.iter().filter(|(_, read)| **read > 0) {
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

    /// What an earlier run has written after the epoch `through`.
    fn in_doubt(&self, through: Epoch, start: &mut Start) -> Result<(), PlanError> {
        let after = |_: &Definition| through;
        self.rows_after(after, |_| true, start)?;
        let mut letters: BTreeMap<Place, Vec<String>> = BTreeMap::new();
        self.reader.letters_after(through, &mut |letter| {
            let mut topics = self.topics.iter();
            if let Some(topic) = topics.position(|name| *name == letter.topic) {
                let place = (topic, letter.partition);
                letters.entry(place).or_default().push(letter.id);
            }
        })?;
        start.letters = letters.into();
        Ok(())
    }

    /// The same where everything is read again. Of most views every row comes again;
    /// only where events are joined do rows come and go.
    fn in_doubt_without(&self, progress: &Progress, start: &mut Start) -> Result<(), PlanError> {
        let joins = |view: &Definition| !view.joins.is_empty();
        let after = |view: &Definition| if joins(view) { 0 } else { progress.epoch };
        self.rows_after(after, joins, start)
    }

    /// Rows of later epochs than `after`: those that are open and may not come again,
    /// in the views that are `doubted`, and those that are final. Of the latter, what
    /// has been published is known without them.
    fn rows_after(
        &self,
        after: impl Fn(&Definition) -> Epoch,
        doubted: impl Fn(&Definition) -> bool,
        start: &mut Start,
    ) -> Result<(), PlanError> {
        let mut keys = Vec::new();
        let mut finals: HashSet<RowId> = HashSet::new();
        for (number, view) in (0_u16..).zip(&self.catalog.definitions) {
            let table = usize::from(number);
            let published = start.views.get(view.name);
            let published = published.map(|published| published.final_until);
            self.reader
                .written_after(table, after(view), &mut |stored| {
                    let key = row::key(view, number, &stored.values);
                    if stored.is_final {
                        let end = key.map(|key| view.window.end_millis(key.slot.index()));
                        if end.is_none_or(|end| published.is_none_or(|published| end > published)) {
                            let id = stored.id;
                            finals.insert(RowId { table, id });
                        }
                    } else if doubted(view) {
                        keys.extend(key);
                    }
                })?;
            fail_point("start.doubted");
        }
        start.in_doubt = keys.into();
        start.finals = finals.into();
        Ok(())
    }
}
