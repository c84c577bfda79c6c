//! Views that are rebuilt: new ones, those that are not what they were when the checkpoint was
//! taken, and those of which it is asked.
//!
//! One that has changed has to be asked for by its name: then it is rebuilt, and the others go
//! on as if nothing had happened. Nothing of theirs is written again: what a rebuilt view keeps is
//! in sections of its own, and gets new ones.
//!
//! ```text
//!   checkpoint at C ─▶ the same, without the sections of what is rebuilt
//!   log   ├── for what is rebuilt ───────────────────────────▶ ┐
//!         its beginning                                        ├── for all ──▶
//!                        the checkpoint's offset ├─ others ──▶ ┘
//! ```
//!
//! The rows that a rebuilt view has stay until it has caught up. Then all of its rows are written,
//! and what is left of the former ones is deleted. (SQLite has tables of the columns of now: there
//! they are deleted at first. So they are where a topic is another one.) The rows of a new view are
//! written as they come. Checkpoints are committed meanwhile, and name it as one that is being
//! rebuilt; a run that dies before it has caught up begins to rebuild it once more.

use crate::Epoch;
use crate::ingest::discovery::Found;
use crate::ingest::lanes::BackfillPlan;
use crate::recovery::names::CatalogNames;
use crate::recovery::{PlanError, Sources, Taken};
use crate::saving::{SavedDefinition, SavedPartition, State};
use crate::views::Catalog;
use sinks::{Batch, Reader, RowId, SinkError, StoredLetter, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rows that are deleted at once.
const AT_ONCE: usize = 10_000;

/// Names of views.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// They may be rebuilt where they have changed.
    pub views: &'a BTreeSet<String>,
    /// They are rebuilt whether they have changed or not: they are asked for, a topic that they
    /// read is another one, or their rows in the database are of another definition.
    pub whatever_they_are: &'a BTreeSet<String>,
    /// The database has rows of them.
    pub with_rows: &'a BTreeSet<String>,
}

/// `state` as that of the views whose definitions are `now`; none where it is already. A new view is
/// built from nothing, and the state of a removed one is dropped. `asked` are the views that may be
/// rebuilt; `checkpoint` is what people call it.
///
/// # Errors
/// When a view has changed that is not among them, or is new and has rows already.
pub fn change(
    state: &State,
    now: &[SavedDefinition],
    asked: Asked<'_>,
    checkpoint: &str,
) -> Result<Option<State>, PlanError> {
    let Asked {
        views: asked,
        whatever_they_are: forced,
        with_rows,
    } = asked;
    // What was built of a view when the last run ended is not used: it begins once more.
    let is_kept = |view: &SavedDefinition| {
        state.views.get(&view.name) == Some(&view.definition)
            && !forced.contains(&view.name)
            && !state.rebuilding.contains(&view.name)
    };
    for view in now.iter().filter(|view| !asked.contains(&view.name)) {
        let was = state.views.get(&view.name);
        let fits = match was {
            Some(was) => *was == view.definition,
            None => !with_rows.contains(&view.name),
        };
        if !fits {
            return Err(PlanError::Changed {
                view: view.name.clone(),
                since: format!("the checkpoint in {checkpoint} was taken"),
                was: was.cloned().unwrap_or_else(|| "(not there)".to_owned()),
                is: view.definition.clone(),
            });
        }
    }
    let known = state.views.keys().chain(now.iter().map(|view| &view.name));
    check_names(asked, known)?;
    if now.iter().all(is_kept) && now.len() == state.views.len() {
        return Ok(None);
    }

    let mut changed = state.clone();
    let kept = now.iter().filter(|view| is_kept(view));
    let kept: BTreeSet<&str> = kept.map(|view| view.name.as_str()).collect();
    for view in state
        .views
        .keys()
        .filter(|view| !kept.contains(view.as_str()))
    {
        changed.remove_view(view);
    }
    for view in now.iter().filter(|view| !kept.contains(view.name.as_str())) {
        changed.add_view(view);
        changed.rebuilding.insert(view.name.clone());
    }
    Ok(Some(changed))
}

/// The numbers of the views that are being rebuilt.
pub fn numbers(state: &State, names: &CatalogNames) -> Vec<u16> {
    let views = state.rebuilding.iter();
    let mut numbers: Vec<u16> = views.filter_map(|view| names.view_number(view)).collect();
    numbers.sort_unstable();
    numbers
}

/// That there is a view, or was one, of each name that is asked for.
pub fn check_names<'a>(
    asked: &BTreeSet<String>,
    known: impl Iterator<Item = &'a String>,
) -> Result<(), PlanError> {
    let known: BTreeSet<&str> = known.map(String::as_str).collect();
    match asked.iter().find(|name| !known.contains(name.as_str())) {
        Some(name) => Err(PlanError::NoSuchView {
            name: name.clone(),
            known: known.into_iter().collect::<Vec<_>>().join(", "),
        }),
        None => Ok(()),
    }
}

impl BackfillPlan {
    /// Of a run that goes on from `state`, with what Kafka has.
    pub fn of(
        state: &State,
        catalog: &Catalog,
        names: &CatalogNames,
        found: &[Found],
    ) -> BackfillPlan {
        let views = numbers(state, names);
        let mut places = BTreeMap::new();
        for saved in &state.partitions {
            let Some(topic) = names.topic_number(&saved.topic) else {
                continue;
            };
            let readers = views
                .iter()
                .copied()
                .filter(|view| reads(catalog, *view, topic));
            let readers: Vec<u16> = readers.collect();
            let place = (topic, saved.partition);
            let mut found = found.iter();
            let found = found.find(|found| (found.topic, found.partition) == place);
            // Where what comes next has expired, that is said when it is read.
            if !readers.is_empty()
                && let Some(low) = found.map(|found| found.low)
                && low <= saved.next
            {
                if low > 0 {
                    let SavedPartition {
                        topic, partition, ..
                    } = saved;
                    tracing::warn!(
                        "topic {topic} partition {partition}: Kafka has nothing of it before offset {low} \
                         any more, so that what is rebuilt knows nothing of that"
                    );
                }
                places.insert(place, readers);
            }
        }
        BackfillPlan { views, places }
    }
}

/// Whether a view reads a topic, be it that it joins it.
fn reads(catalog: &Catalog, view: u16, topic: usize) -> bool {
    let Some(view) = catalog.definitions.get(usize::from(view)) else {
        return false;
    };
    let mut topics = std::iter::once(&view.topic).chain(&view.joins);
    topics.any(|name| catalog.topic_number(name) == Some(topic))
}

/// How the database's definition of a view begins from when its first row is deleted or replaced
/// until it has no other rows than those of now. What it becomes follows: a run that dies in between is gone
/// on with by the same program, also where nobody asks for it any more, and by no other.
const BEING_REBUILT: &str = "being rebuilt, as  ";

/// That a view is being rebuilt, as this definition of it.
pub(super) fn being_rebuilt(definition: &str) -> String {
    format!("{BEING_REBUILT}{definition}")
}

/// Whether a view is being rebuilt, by the database's definition of it; if `is` is given: as that.
pub fn is_being_rebuilt(recorded: &str, is: Option<&str>) -> bool {
    let becomes = recorded.strip_prefix(BEING_REBUILT);
    becomes.is_some_and(|becomes| is.is_none_or(|is| is == becomes))
}

/// Records the definitions of views in the database.
pub type Define<'a> = &'a dyn Fn(&BTreeMap<String, String>) -> Result<(), SinkError>;

impl Sources<'_> {
    /// Of the views that are rebuilt as a checkpoint says, those whose rows stay until they have
    /// caught up with the others: where they are backfilled, and have rows already. Not where the
    /// database takes rows `as_one`, in tables that have the columns of now; nor where a topic is
    /// `dropped` that they were made of.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn in_place(
        &self,
        taken: Option<&Taken>,
        dropped: &BTreeSet<usize>,
        as_one: bool,
    ) -> Result<BTreeSet<String>, PlanError> {
        let Some(taken) = taken.filter(|_| !as_one) else {
            return Ok(BTreeSet::new());
        };
        let recorded = self.reader.standing()?.definitions;
        let of_dropped = self.readers_of(dropped);
        let (state, names) = (&taken.newest().state, self.names());
        let plan = BackfillPlan::of(state, self.catalog, &names, &self.found);
        let backfilled = plan.places.into_values().flatten().collect();
        let mut views = self.named(backfilled);
        views.retain(|view| recorded.contains_key(view) && !of_dropped.contains(view.as_str()));
        Ok(views)
    }
}

/// Prepares the database for the views that are rebuilt, by their numbers. All that it holds of them
/// is deleted: rows, how far they are final, and the dead letters of messages that Kafka still has;
/// and all dead letters of topics that are `dropped`. Rows and letters of those that are rebuilt
/// `in_place` stay. Returns the number of rows that are deleted.
///
/// Where there is a checkpoint, final rows do not come again to a run that goes on from it. So
/// that no such run takes what is left of them for all there are, `define` records first that
/// the views are being rebuilt.
///
/// # Errors
/// When the database cannot be read or written.
pub fn clear(
    views: &[u16],
    in_place: &BTreeSet<String>,
    dropped: &BTreeSet<usize>,
    sources: &Sources<'_>,
    writer: &mut dyn Writer,
    define: Define<'_>,
) -> Result<usize, SinkError> {
    let Sources {
        catalog,
        topics,
        definitions,
        reader,
        ..
    } = sources;
    let name_of = |view: &u16| {
        let definition = catalog.definitions.get(usize::from(*view));
        definition.map(|view| view.name.as_str())
    };
    let names: Vec<&str> = views.iter().filter_map(name_of).collect();
    let is_emptied = |name: &str| names.contains(&name) && !in_place.contains(name);
    // Whatever cannot be read is known before anything is changed.
    let mut rows = Vec::new();
    for view in views
        .iter()
        .filter(|view| name_of(view).is_some_and(is_emptied))
    {
        let table = usize::from(*view);
        reader.ids(table, "", &mut |id| rows.push(RowId { table, id }))?;
    }
    let recorded = reader.standing()?.definitions;
    let now = jiff::Timestamp::now().as_millisecond();
    // Nobody may believe that a row is final that is about to go.
    let mut epoch = 0;
    if let Some(mut progress) = reader.progress()? {
        let before = progress.views.len();
        progress
            .views
            .retain(|name, _| !names.contains(&name.as_str()));
        progress.rebuilding.extend(in_place.iter().cloned());
        progress.updated_at = now;
        epoch = progress.epoch;
        if progress.views.len() < before {
            writer.publish(&progress)?;
        }
    }
    let marks = sources.store.is_some() && !rows.is_empty();
    if marks || !in_place.is_empty() {
        let mut marked = recorded.clone();
        for view in definitions {
            if names.contains(&view.name.as_str()) {
                marked.insert(view.name.clone(), being_rebuilt(&view.definition));
            }
        }
        define(&marked)?;
    }
    let deleted = Deleted {
        rows,
        epoch,
        before: 0,
    };
    let count = deleted.rows.len();
    if let Err((is_first, error)) = deleted.delete(writer) {
        // Nothing is gone where it refuses the first of them.
        if marks && is_first && !error.is_temporary() {
            define(&recorded)?;
        }
        return Err(error);
    }
    let is_found = OfLog::of(sources);
    let mut letters = Vec::new();
    reader.letters_after(0, &mut |letter| {
        let is_of_them = letter.view.as_deref().is_some_and(is_emptied);
        let number = topics.iter().position(|topic| *topic == letter.topic);
        let is_dropped = number.is_some_and(|number| dropped.contains(&number));
        if is_dropped || is_of_them && is_found.comes_again(&letter) {
            letters.push(letter.id);
        }
    })?;
    delete_letters(&letters, epoch, writer)?;
    Ok(count)
}

/// What is left of views that were rebuilt in place.
pub struct Leftovers {
    /// All views.
    pub catalog: Arc<Catalog>,
    /// What Kafka has had of the log when the run started.
    pub log: OfLog,
    /// The database.
    pub reader: Arc<dyn Reader>,
    /// The first epoch of this run: what was written before is left over.
    pub before: Epoch,
}

impl Leftovers {
    /// Deletes rows and dead letters of these views, and has `define` record that they are what
    /// they have become. Returns the number of rows.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn delete(
        &self,
        views: &BTreeSet<u16>,
        writer: &mut dyn Writer,
        define: Define<'_>,
    ) -> Result<usize, SinkError> {
        let mut rows = Vec::new();
        let mut names = BTreeSet::new();
        for view in views {
            let table = usize::from(*view);
            let ids = &mut |id| rows.push(RowId { table, id });
            self.reader.ids_before(table, self.before, ids)?;
            names.extend(self.catalog.definitions.get(table).map(|view| &*view.name));
        }
        let (count, epoch) = (rows.len(), self.before);
        // Rows of the same ids may be written meanwhile.
        let before = self.before;
        let deleted = Deleted {
            rows,
            epoch,
            before,
        };
        deleted.delete(writer).map_err(|(_, error)| error)?;
        let mut letters = Vec::new();
        self.reader.letters_after(0, &mut |letter| {
            let is_of_them = letter
                .view
                .as_deref()
                .is_some_and(|view| names.contains(view));
            if is_of_them && letter.epoch < self.before && self.log.comes_again(&letter) {
                letters.push(letter.id);
            }
        })?;
        delete_letters(&letters, epoch, writer)?;
        let mut definitions = self.reader.standing()?.definitions;
        for (name, recorded) in &mut definitions {
            if let Some(becomes) = recorded.strip_prefix(BEING_REBUILT)
                && names.contains(name.as_str())
            {
                *recorded = becomes.to_owned();
            }
        }
        define(&definitions)?;
        Ok(count)
    }
}

/// Which messages Kafka has.
#[derive(Clone, Debug)]
pub struct OfLog {
    /// Full names of the topics, by number.
    pub topics: Arc<[String]>,
    /// The partitions.
    pub found: Vec<Found>,
}

impl OfLog {
    fn of(sources: &Sources<'_>) -> OfLog {
        OfLog {
            topics: sources.topics.into(),
            found: sources.found.clone(),
        }
    }

    /// Whether the message of a dead letter is read when all of its partition is.
    fn comes_again(&self, letter: &StoredLetter) -> bool {
        self.found.iter().any(|found| {
            self.topics.get(found.topic) == Some(&letter.topic)
                && found.partition == letter.partition
                && found.low <= letter.offset
        })
    }
}

/// Rows that are deleted.
struct Deleted {
    rows: Vec<RowId>,
    epoch: Epoch,
    /// Only those of epochs before this one, unless it is 0.
    before: Epoch,
}

impl Deleted {
    /// Deletes them.
    ///
    /// # Errors
    /// When the database refuses, and whether it has refused the first of them.
    fn delete(&self, writer: &mut dyn Writer) -> Result<(), (bool, SinkError)> {
        for (number, deletes) in self.rows.chunks(AT_ONCE).enumerate() {
            let written = writer.write(&Batch {
                deletes: deletes.to_vec(),
                deletes_before: self.before,
                ..batch(self.epoch)
            });
            written.map_err(|error| (number == 0, error))?;
        }
        Ok(())
    }
}

fn delete_letters(
    letters: &[String],
    epoch: Epoch,
    writer: &mut dyn Writer,
) -> Result<(), SinkError> {
    for letter_deletes in letters.chunks(AT_ONCE) {
        writer.write(&Batch {
            letter_deletes: letter_deletes.to_vec(),
            ..batch(epoch)
        })?;
    }
    Ok(())
}

/// One that has nothing yet.
fn batch(epoch: Epoch) -> Batch {
    Batch {
        epoch,
        made_at: jiff::Timestamp::now().as_millisecond(),
        ..Batch::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::start::{nothing, sections};
    use crate::saving::SectionName;
    use crate::shop::catalog_of;
    use crate::time::SavedTime;
    use crate::views::Override;

    const TOPICS: [&str; 6] = [
        "customers",
        "products",
        "transactions",
        "product_views",
        "user_interactions",
        "system_logs",
    ];

    /// The views of these names, with windows of so many hours.
    fn catalog(views: &[&str], hours: u64) -> Catalog {
        let window = model::Window::of(std::time::Duration::from_secs(3_600 * hours));
        let changed = Override {
            window,
            ..Override::default()
        };
        let overrides = views
            .iter()
            .map(|view| ((*view).to_owned(), changed.clone()));
        catalog_of(&overrides.collect(), &|name| views.contains(&name)).unwrap()
    }

    fn names(catalog: &Catalog) -> CatalogNames {
        CatalogNames::of(catalog, &TOPICS.map(str::to_owned))
    }

    /// A state of these views, of which partitions of these topics have been read.
    fn state(views: &[&str], topics: &[&str]) -> State {
        let catalog = catalog(views, 1);
        let mut state = nothing(&catalog, &catalog.saved(0));
        let partition = |topic: &&str| SavedPartition {
            topic: (*topic).to_owned(),
            partition: 0,
            next: 7,
            time: SavedTime {
                kafka: 5,
                last: None,
                untimed: false,
                limits: None,
                views: Vec::new(),
            },
        };
        state.partitions = topics.iter().map(partition).collect();
        state
    }

    fn changed(
        state: &State,
        catalog: &Catalog,
        asked: &[&str],
        with_rows: &[&str],
    ) -> Result<Option<State>, PlanError> {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let asked = Asked {
            views: &set(asked),
            whatever_they_are: &set(asked),
            with_rows: &set(with_rows),
        };
        let now = catalog.saved(0);
        let changed = change(state, &now, asked, "a test")?;
        Ok(changed.map(|mut changed| {
            sections(&mut changed, catalog);
            changed
        }))
    }

    /// The sections of a view.
    fn sections_of(state: &State, view: &str) -> Vec<(u32, String)> {
        let sections = state.sections.iter().filter(|(_, of)| of.view == view);
        let part = |(id, of): (&checkpoint::SectionId, &SectionName)| (id.0, of.part.clone());
        sections.map(part).collect()
    }

    #[test]
    fn views_and_topics_come_and_go_without_touching_others() {
        let before = state(
            &["log_analysis", "sales_analysis"],
            &["transactions", "system_logs"],
        );
        // Their order is no part of what they are.
        let mut reordered = before.clone();
        reordered.partitions.reverse();
        let same = catalog(&["sales_analysis", "log_analysis"], 1);
        assert_eq!(changed(&reordered, &same, &[], &[]).unwrap(), None);

        let more = catalog(
            &["log_analysis", "sales_analysis", "interaction_analysis"],
            1,
        );
        let after = changed(&before, &more, &[], &[]).unwrap().unwrap();
        assert_eq!(
            after.rebuilding,
            BTreeSet::from(["interaction_analysis".to_owned()])
        );
        assert_eq!(after.partitions, before.partitions);
        for view in ["log_analysis", "sales_analysis"] {
            assert_eq!(
                sections_of(&after, view),
                sections_of(&before, view),
                "{view}"
            );
        }
        // A topic that has come since is not known yet, and is read from its beginning.
        assert_eq!(names(&more).topic_number("user_interactions"), Some(4));

        let fewer = catalog(&["sales_analysis"], 1);
        let last = changed(&after, &fewer, &[], &[]).unwrap().unwrap();
        assert_eq!(sections_of(&last, "log_analysis"), []);
        assert_eq!(
            sections_of(&last, "sales_analysis"),
            sections_of(&before, "sales_analysis")
        );
        assert!(last.rebuilding.is_empty());
        // Back again, it gets sections that nobody has had.
        let again = changed(&last, &more, &[], &[]).unwrap().unwrap();
        let known: BTreeSet<u32> = after.sections.keys().map(|id| id.0).collect();
        let fresh = sections_of(&again, "log_analysis");
        assert!(!fresh.is_empty() && fresh.iter().all(|(id, _)| !known.contains(id)));
    }

    #[test]
    fn a_view_that_has_changed_or_has_rows_already_must_be_asked_for() {
        let before = state(&["sales_analysis"], &["transactions"]);
        let other = catalog(&["sales_analysis"], 2);
        let refused = changed(&before, &other, &[], &[]).unwrap_err().to_string();
        assert!(
            refused.contains("windows of 2h") && refused.contains("windows of 1h"),
            "{refused}"
        );
        let after = changed(&before, &other, &["sales_analysis"], &[])
            .unwrap()
            .unwrap();
        assert_eq!(after.rebuilding.len(), 1);
        assert_ne!(
            sections_of(&after, "sales_analysis"),
            sections_of(&before, "sales_analysis")
        );

        let more = catalog(&["sales_analysis", "log_analysis"], 1);
        let refused = changed(&before, &more, &[], &["log_analysis"])
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("log_analysis") && refused.contains("(not there)"),
            "{refused}"
        );
        assert!(
            changed(&before, &more, &["log_analysis"], &["log_analysis"])
                .unwrap()
                .is_some()
        );
        let unknown = changed(&before, &more, &["logs"], &[])
            .unwrap_err()
            .to_string();
        assert!(unknown.contains("logs: there is no such view"), "{unknown}");
    }
}
