//! Topics and views by number and by name.
//!
//! While the program runs, a topic or a view is its place in the catalog. What outlives the run
//! knows them by their names: the same name is the same topic or view, whatever its place.

use crate::saving::SavedPartition;
use crate::time::SavedWatermarks;
use crate::views::Catalog;
use std::sync::Arc;

/// The names of the topics and views of a run, by their numbers.
#[derive(Clone, Debug)]
pub struct CatalogNames {
    topics: Arc<[String]>,
    views: Vec<String>,
}

impl CatalogNames {
    /// Those of a catalog; `topics` are the full names of its topics.
    pub fn of(catalog: &Catalog, topics: &[String]) -> CatalogNames {
        CatalogNames {
            topics: topics.into(),
            views: catalog
                .definitions
                .iter()
                .map(|view| view.name.clone())
                .collect(),
        }
    }

    /// The number of a topic, if there is one of this name.
    pub fn topic_number(&self, name: &str) -> Option<usize> {
        self.topics.iter().position(|topic| topic == name)
    }

    /// The name of a topic.
    fn topic(&self, number: usize) -> Option<String> {
        self.topics.get(number).cloned()
    }

    /// The number of a view, if there is one of this name.
    pub fn view_number(&self, name: &str) -> Option<u16> {
        (0..)
            .zip(&self.views)
            .find(|(_, view)| **view == name)
            .map(|(number, _)| number)
    }

    /// The name of a view.
    pub fn view(&self, number: u16) -> Option<String> {
        self.views.get(usize::from(number)).cloned()
    }

    /// Partitions as a checkpoint knows them.
    pub fn name_partitions(
        &self,
        partitions: impl Iterator<Item = SavedPartition>,
    ) -> Vec<SavedPartition<String, String>> {
        let named = partitions
            .filter_map(|saved| saved.named(|topic| self.topic(topic), |view| self.view(view)));
        named.collect()
    }

    /// A partition of a checkpoint, if its topic is one of this run.
    pub fn number_partition(
        &self,
        saved: SavedPartition<String, String>,
    ) -> Option<SavedPartition> {
        saved.named(
            |topic| self.topic_number(&topic),
            |view| self.view_number(&view),
        )
    }

    /// Watermarks as a checkpoint knows them.
    pub fn name_watermarks(&self, known: SavedWatermarks) -> SavedWatermarks<String, String> {
        known.named(|topic| self.topic(topic), |view| self.view(view))
    }

    /// The watermarks of a checkpoint, as far as they are of this run.
    pub fn number_watermarks(&self, known: SavedWatermarks<String, String>) -> SavedWatermarks {
        known.named(
            |topic| self.topic_number(&topic),
            |view| self.view_number(&view),
        )
    }
}
