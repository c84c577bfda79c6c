//! Views that are rebuilt: those that are not what they were when the checkpoint was taken, and
//! those of which it is asked.
//!
//! Each of them has to be asked for by its name: then it is rebuilt, and the others go
//! on as if nothing had happened.
//!
//! ```text
//!   checkpoint at C ─▶ records of the other views, renumbered ─▶ the same, as views are now,
//!                                                                with those to be rebuilt
//!   log   ├── read again, for those alone ──┼── read as ever, for all ──▶
//!         its beginning             the checkpoint's offset
//! ```
//!
//! What the database holds of a rebuilt view is deleted at first. It gets its rows when
//! all that the others know is read again; no checkpoint is committed before, so that a
//! run that dies in between begins to rebuild again.

use crate::checkpoint::{Numbering, SavedDefinition, SavedPartition, State};
use crate::ingest::discovery::Found;
use crate::plan::{PlanError, Sources};
use crate::sink::Place;
use crate::start::nothing;
use crate::time::{Mark, NEVER, SavedWatermarks, ViewMark};
use crate::views::Catalog;
use sinks::{Batch, RowId, SinkError, Writer};
use std::collections::{BTreeMap, BTreeSet};

/// Rows that are deleted at once.
const AT_ONCE: usize = 10_000;

/// What becomes of a checkpoint whose views are not those of now.
#[derive(Debug)]
pub struct Change {
    /// What becomes of its records.
    pub numbering: Numbering,
    /// Its state, as that of the views of now.
    pub state: State,
}

/// Names of views.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// They may be rebuilt where they have changed.
    pub views: &'a BTreeSet<String>,
    /// They are rebuilt whether they have changed or not: they are asked for, a topic that they
    /// read is another one, or their rows in the database are of another definition.
    pub whatever_they_are: &'a BTreeSet<String>,
}

/// What has to change of `state` so that it is of the views of `catalog`, if anything.
/// `asked` are the views that may be rebuilt; `max_ahead` is in milliseconds,
/// `checkpoint` is what people call it.
///
/// # Errors
/// When a view has changed that is not among them.
pub fn change(
    state: &State,
    catalog: &Catalog,
    max_ahead: i64,
    asked: Asked<'_>,
    checkpoint: &str,
) -> Result<Option<Change>, PlanError> {
    let Asked {
        views: asked,
        whatever_they_are: forced,
    } = asked;
    let now = catalog.saved(max_ahead);
    let find = |views: &[SavedDefinition], name: &str| {
        let found = views.iter().find(|view| view.name == name);
        found.map(|view| view.definition.clone())
    };
    for view in state.views.iter().chain(&now) {
        let (was, is) = (find(&state.views, &view.name), find(&now, &view.name));
        if was != is && !asked.contains(&view.name) {
            let none = || "(not there)".to_owned();
            return Err(PlanError::Changed {
                view: view.name.clone(),
                since: format!("the checkpoint in {checkpoint} was taken"),
                was: was.unwrap_or_else(none),
                is: is.unwrap_or_else(none),
            });
        }
    }
    check_names(asked, state.views.iter().chain(&now))?;
    if state.views == now && forced.is_empty() {
        return Ok(None);
    }

    let place = |view: &SavedDefinition| {
        let mut now = now.iter();
        let place = now.position(|other| other == view);
        place.filter(|_| !forced.contains(&view.name))
    };
    let places = state.views.iter().map(place);
    let numbers: Vec<Option<u16>> = places
        .map(|place| place.and_then(|place| u16::try_from(place).ok()))
        .collect();
    let kept = |view: u16| numbers.contains(&Some(view));
    let joins = (0..)
        .zip(&catalog.definitions)
        .find(|(_, view)| !view.joins.is_empty());
    let joined = joins.is_some_and(|(view, _)| kept(view));
    let numbering = Numbering::new(numbers.clone(), joined);

    let mut rebuilding: BTreeSet<u16> = (0..).take(now.len()).filter(|view| !kept(*view)).collect();
    let before = state.rebuilding.iter();
    rebuilding.extend(before.filter_map(|view| numbering.of(*view)));
    let rebuilding: Vec<u16> = rebuilding.into_iter().collect();
    let topics = Topics::of(catalog, &rebuilding);
    let fresh = nothing(catalog, &state.topics, max_ahead);
    let partitions = state.partitions.iter();
    let state = State {
        views: now,
        partitions: partitions
            .map(|partition| renumbered(partition, &numbering, &topics))
            .collect(),
        watermarks: watermarks(
            &state.watermarks,
            fresh.watermarks,
            catalog,
            &numbering,
            &topics,
        ),
        rebuilding,
        finals: state
            .finals
            .iter()
            .filter_map(|(view, epoch)| Some((numbering.of(*view)?, *epoch)))
            .collect(),
        ..state.clone()
    };
    Ok(Some(Change { numbering, state }))
}

/// That there is a view, or was one, of each name that is asked for.
pub fn check_names<'a>(
    asked: &BTreeSet<String>,
    known: impl Iterator<Item = &'a SavedDefinition>,
) -> Result<(), PlanError> {
    let known: BTreeSet<&str> = known.map(|view| view.name.as_str()).collect();
    match asked.iter().find(|name| !known.contains(name.as_str())) {
        Some(name) => Err(PlanError::NoSuchView {
            name: name.clone(),
            known: known.into_iter().collect::<Vec<_>>().join(", "),
        }),
        None => Ok(()),
    }
}

/// The topics, by number, that rebuilding some views reads again.
struct Topics {
    /// All of them.
    all: BTreeSet<usize>,
    /// Those of the view that joins, if it is rebuilt.
    joined: BTreeSet<usize>,
}

impl Topics {
    fn of(catalog: &Catalog, rebuilding: &[u16]) -> Topics {
        let (mut all, mut joined) = (BTreeSet::new(), BTreeSet::new());
        for view in rebuilding {
            let Some(view) = catalog.definitions.get(usize::from(*view)) else {
                continue;
            };
            let topics = std::iter::once(&view.topic).chain(&view.joins);
            let topics: Vec<usize> = topics
                .filter_map(|name| catalog.topic_number(name))
                .collect();
            if !view.joins.is_empty() {
                joined.extend(&topics);
            }
            all.extend(topics);
        }
        Topics { all, joined }
    }
}

fn renumbered(saved: &SavedPartition, numbering: &Numbering, topics: &Topics) -> SavedPartition {
    let mut saved = saved.clone();
    saved.time.views.retain_mut(|view| {
        let number = numbering.of(view.view);
        view.view = number.unwrap_or(view.view);
        number.is_some()
    });
    saved.time.views.sort_by_key(|view| view.view);
    if topics.joined.contains(&saved.topic) {
        // What the view joins is stamped as it was when it was read first.
        saved.time.kafka = NEVER;
        saved.time.last = None;
        saved.time.untimed = false;
    }
    saved
}

fn watermarks(
    saved: &SavedWatermarks,
    mut fresh: SavedWatermarks,
    catalog: &Catalog,
    numbering: &Numbering,
    topics: &Topics,
) -> SavedWatermarks {
    for (was, view) in (0..).zip(&saved.views) {
        let place = numbering.of(was).map(usize::from);
        if let Some(known) = place.and_then(|place| fresh.views.get_mut(place)) {
            *known = view.clone();
        }
    }
    let mark = |mark: &Mark| {
        let rules = catalog.routes.get(mark.topic).map(|route| route.rules());
        let views = rules.into_iter().flatten().map(|rule| {
            let mut known = mark.views.iter();
            let known = known.find(|known| numbering.of(known.view) == Some(rule.view));
            let (latest, watermark, passed) = match known {
                Some(known) => (known.latest, known.watermark, known.passed.clone()),
                None => (NEVER, NEVER, Vec::new()),
            };
            ViewMark {
                view: rule.view,
                latest,
                watermark,
                passed,
            }
        });
        let read_again = topics.all.contains(&mark.topic);
        let stamped_again = topics.joined.contains(&mark.topic);
        Mark {
            views: views.collect(),
            next: if read_again { 0 } else { mark.next },
            kafka: if stamped_again { NEVER } else { mark.kafka },
            untimed: mark.untimed && !stamped_again,
            ..mark.clone()
        }
    };
    fresh.marks = saved.marks.iter().map(mark).collect();
    fresh
}

/// What is read again, and for which views.
#[derive(Clone, Debug, Default)]
pub struct Again {
    /// The numbers of the views.
    pub views: Vec<u16>,
    /// Whether the view that joins is one of them.
    pub joined: bool,
    /// Of these partitions, what is below this offset.
    pub until: BTreeMap<Place, i64>,
}

impl Again {
    /// What a run that goes on from `state` reads again, of what Kafka has.
    pub fn of(state: &State, catalog: &Catalog, found: &[Found]) -> Again {
        let topics = Topics::of(catalog, &state.rebuilding);
        let mut until = BTreeMap::new();
        for saved in &state.partitions {
            let place = (saved.topic, saved.partition);
            let mut found = found.iter();
            let found = found.find(|found| (found.topic, found.partition) == place);
            // Where what comes next has expired, that is said when it is read.
            if topics.all.contains(&saved.topic)
                && let Some(low) = found.map(|found| found.low)
                && low <= saved.next
            {
                if low > 0 {
                    let topic = state.topics.get(saved.topic).map_or("?", |name| name);
                    tracing::warn!(
                        "topic {topic} partition {}: Kafka has nothing of it before offset {low} \
                         any more, so that what is rebuilt knows nothing of that",
                        saved.partition
                    );
                }
                until.insert(place, saved.next);
            }
        }
        Again {
            views: state.rebuilding.clone(),
            joined: !topics.joined.is_empty(),
            until,
        }
    }
}

/// How the database's definition of a view begins from when its first row is deleted until the
/// definition of now is recorded. What it becomes follows: a run that dies in between is gone
/// on with by the same program, also where nobody asks for it any more, and by no other.
const BEING_REBUILT: &str = "being rebuilt, its rows deleted, as  ";

/// Whether a view is being rebuilt, by the database's definition of it; if `is` is given: as that.
pub fn is_being_rebuilt(recorded: &str, is: Option<&str>) -> bool {
    let becomes = recorded.strip_prefix(BEING_REBUILT);
    becomes.is_some_and(|becomes| is.is_none_or(|is| is == becomes))
}

/// Records the definitions of views in the database.
pub type Define<'a> = &'a dyn Fn(&BTreeMap<String, String>) -> Result<(), SinkError>;

/// Deletes all that the database holds of some views, by their numbers: rows, how far
/// they are final, and the dead letters of messages that Kafka still has; and all dead
/// letters of topics that are `dropped`. Returns the number of rows.
///
/// Where there is a checkpoint, final rows do not come again to a run that goes on from it. So
/// that no such run takes what is left of them for all there are, `define` records first that
/// the views are being rebuilt.
///
/// # Errors
/// When the database cannot be read or written.
pub fn clear(
    views: &[u16],
    dropped: &BTreeSet<usize>,
    sources: &Sources<'_>,
    writer: &mut dyn Writer,
    define: Define<'_>,
) -> Result<usize, SinkError> {
    let Sources {
        catalog,
        topics,
        found,
        reader,
        ..
    } = sources;
    let names: Vec<&str> = views
        .iter()
        .filter_map(|view| catalog.definitions.get(usize::from(*view)))
        .map(|view| view.name)
        .collect();
    // Whatever cannot be read is known before anything is changed.
    let mut rows = Vec::new();
    for view in views {
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
        progress.updated_at = now;
        epoch = progress.epoch;
        if progress.views.len() < before {
            writer.publish(&progress)?;
        }
    }
    let batch = || Batch {
        epoch,
        made_at: now,
        ..Batch::default()
    };
    let marks = sources.store.is_some() && !rows.is_empty();
    if marks {
        let mut marked = recorded.clone();
        for view in catalog.saved(sources.max_ahead) {
            if names.contains(&view.name.as_str()) {
                marked.insert(view.name, format!("{BEING_REBUILT}{}", view.definition));
            }
        }
        define(&marked)?;
    }
    for (number, deletes) in rows.chunks(AT_ONCE).enumerate() {
        let deletes = deletes.to_vec();
        let written = writer.write(&Batch { deletes, ..batch() });
        if let Err(error) = written {
            // Nothing is gone where it refuses the first of them.
            if marks && number == 0 && !error.is_temporary() {
                define(&recorded)?;
            }
            return Err(error);
        }
    }
    let mut letters = Vec::new();
    reader.letters_after(0, &mut |letter| {
        let is_of_them = letter
            .view
            .is_some_and(|view| names.contains(&view.as_str()));
        let number = topics.iter().position(|topic| *topic == letter.topic);
        let is_dropped = number.is_some_and(|number| dropped.contains(&number));
        let comes_again = found.iter().any(|found| {
            topics.get(found.topic) == Some(&letter.topic)
                && found.partition == letter.partition
                && found.low <= letter.offset
        });
        if is_dropped || is_of_them && comes_again {
            letters.push(letter.id);
        }
    })?;
    for letter_deletes in letters.chunks(AT_ONCE) {
        let letter_deletes = letter_deletes.to_vec();
        writer.write(&Batch {
            letter_deletes,
            ..batch()
        })?;
    }
    Ok(rows.len())
}
