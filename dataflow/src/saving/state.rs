//! What a checkpoint knows beside the contents of arrangements.
//!
//! Views and topics go by their names here, so that views and topics may come, go and change
//! their order without touching what is known of the others.

use crate::Epoch;
use crate::time::{NEVER, SavedTime, SavedWatermarks};
use checkpoint::{Section, SectionId};
use serde::{Deserialize, Serialize};
use sinks::LogIdentity;
use std::collections::{BTreeMap, BTreeSet};

/// Views, offsets and event time at the end of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The views, and all that their rows depend on, as a text.
    pub views: BTreeMap<String, String>,
    /// The partitions that have been read.
    pub partitions: Vec<SavedPartition<String, String>>,
    /// How far the views have come in event time.
    pub watermarks: SavedWatermarks<String, String>,
    /// What the sections of the files are of. Records of any other section are of views that
    /// there are no more, or of rows that have been rebuilt since.
    pub sections: BTreeMap<SectionId, SectionName>,
    /// The number of the next section: none is ever given twice.
    pub next_section: u32,
    /// Rows of windows that were closed by the end of this epoch are written as
    /// final; those of later ones are in the checkpoint's files.
    pub finals_written: Epoch,
    /// Views that are being rebuilt: of their topics, nothing has been read for them yet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rebuilding: BTreeSet<String>,
    /// By view: the first epoch in which rows of it became final.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub finals: BTreeMap<String, Epoch>,
    /// The cluster and the topics that offsets belong to.
    #[serde(default, skip_serializing_if = "LogIdentity::is_empty")]
    pub log: LogIdentity,
}

/// What a section is of: a part of the state of a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionName {
    /// The view.
    pub view: String,
    /// The part.
    pub part: String,
}

/// What a view was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedDefinition {
    /// Its name.
    pub name: String,
    /// All that its rows depend on, as a text.
    pub definition: String,
}

/// Where a partition stood. `T` and `V` name topics and views: by their numbers while the program
/// runs, by their names in the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPartition<T = usize, V = u16> {
    /// Its topic.
    pub topic: T,
    /// Its number.
    pub partition: i32,
    /// The next offset to read.
    pub next: i64,
    /// Its event time.
    pub time: SavedTime<V>,
}

impl<T, V> SavedPartition<T, V> {
    /// The same with its topic and views named otherwise, if `topic` knows the former.
    pub fn named<U, W>(
        self,
        topic: impl Fn(T) -> Option<U>,
        view: impl Fn(V) -> Option<W>,
    ) -> Option<SavedPartition<U, W>> {
        Some(SavedPartition {
            topic: topic(self.topic)?,
            partition: self.partition,
            next: self.next,
            time: self.time.named(view),
        })
    }
}

impl State {
    /// Knows a view, of which there is no state yet.
    pub fn add_view(&mut self, view: &SavedDefinition) {
        let SavedDefinition { name, definition } = view;
        self.views.insert(name.clone(), definition.clone());
    }

    /// The section of a part of a view, a new one if it has none yet.
    fn section(&mut self, view: &str, part: &str) -> SectionId {
        let mut sections = self.sections.iter();
        let known = sections.find(|(_, of)| of.view == view && of.part == part);
        if let Some((known, _)) = known {
            return *known;
        }
        let id = SectionId(self.next_section);
        self.next_section += 1;
        let (view, part) = (view.to_owned(), part.to_owned());
        self.sections.insert(id, SectionName { view, part });
        id
    }

    /// Knows nothing of a view any more. What files have of it belongs to nobody.
    pub fn remove_view(&mut self, view: &str) {
        self.views.remove(view);
        self.finals.remove(view);
        self.rebuilding.remove(view);
        self.sections.retain(|_, section| section.view != view);
        self.watermarks.views.remove(view);
        for partition in &mut self.partitions {
            partition.time.views.retain(|known| known.view != view);
        }
        for mark in &mut self.watermarks.marks {
            mark.views.retain(|known| known.view != view);
        }
    }

    /// Knows only of topics that are `kept` any more.
    pub fn retain_topics(&mut self, kept: impl Fn(&str) -> bool) {
        self.partitions.retain(|saved| kept(&saved.topic));
        self.watermarks.marks.retain(|mark| kept(&mark.topic));
    }

    /// What a section is called, as people read it.
    pub fn section_name(&self, id: SectionId) -> String {
        match self.sections.get(&id) {
            Some(SectionName { view, part }) => format!("{view}/{part}"),
            None => "dropped".to_owned(),
        }
    }

    /// The sections that are kept.
    pub(crate) fn kept(&self) -> BTreeSet<SectionId> {
        self.sections.keys().copied().collect()
    }

    /// Topic → partition → the next offset to read.
    pub fn offsets(&self) -> BTreeMap<&str, BTreeMap<i32, i64>> {
        let mut offsets: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
        for partition in &self.partitions {
            let of_topic = offsets.entry(&partition.topic).or_default();
            of_topic.insert(partition.partition, partition.next);
        }
        offsets
    }

    /// The views that have final rows in the database.
    pub fn views_with_finals(&self) -> impl Iterator<Item = &str> {
        let finals = self.finals.iter();
        let written = finals.filter(|(_, epoch)| **epoch <= self.finals_written);
        written.map(|(view, _)| view.as_str())
    }

    /// The watermark of a view, in milliseconds since the UNIX epoch; none before the first.
    pub fn watermark(&self, view: &str) -> Option<i64> {
        let watermark = self.watermarks.views.get(view)?.now.watermark;
        (watermark != NEVER).then(|| watermark.div_euclid(1_000))
    }
}

/// The sections of the views of a run, by number of the view and name of the part.
#[derive(Clone, Debug, Default)]
pub struct Sections {
    by_view: Vec<BTreeMap<String, Section>>,
    by_id: BTreeMap<SectionId, (u16, String)>,
}

impl Sections {
    /// Those that `state` has for `views`, in the order of their numbers: each with what its parts
    /// are called, and how many sums their records have. Where one has no section yet it is given one.
    pub fn of<'a>(
        state: &mut State,
        views: impl Iterator<Item = (&'a str, Vec<(String, u8)>)>,
    ) -> Sections {
        let mut sections = Sections::default();
        for (view, (name, parts)) in (0..).zip(views) {
            let mut of_view = BTreeMap::new();
            for (part, sums) in parts {
                let id = state.section(name, &part);
                sections.by_id.insert(id, (view, part.clone()));
                of_view.insert(part, Section { id, sums });
            }
            sections.by_view.push(of_view);
        }
        sections
    }

    /// Those of a part, by number of the view; of views that do not have it, one that nothing is
    /// ever written to.
    pub fn of_part(&self, part: &str) -> Vec<Section> {
        let of_view = |parts: &BTreeMap<String, Section>| parts.get(part).copied();
        let nobodys = Section {
            id: SectionId(u32::MAX),
            sums: 0,
        };
        let all = self.by_view.iter();
        all.map(|parts| of_view(parts).unwrap_or(nobodys)).collect()
    }

    /// The number of the view and the part that a section is of; none where it is nobody's.
    pub fn find(&self, id: SectionId) -> Option<(u16, &str)> {
        let (view, part) = self.by_id.get(&id)?;
        Some((*view, part))
    }
}
