//! Topics whose state is dropped, since they are others now.

use super::Sources;
use sinks::{Progress, SinkError, WriteIntent, Writer};
use std::collections::{BTreeMap, BTreeSet};

impl Sources<'_> {
    /// The views that read some of these topics, by name.
    pub(super) fn readers_of(&self, dropped: &BTreeSet<usize>) -> BTreeSet<&str> {
        let views = dropped.iter().map(|topic| self.readers.of_topic(*topic));
        views.flatten().map(String::as_str).collect()
    }

    /// Lets the database know which log is read: nothing of the topics that are `dropped` any
    /// more, and the cluster and topics of now. To be called last, when nothing is left in it
    /// that was made of what is dropped.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn record_log(
        &self,
        dropped: &BTreeSet<usize>,
        writer: &dyn Fn() -> Result<Box<dyn Writer>, SinkError>,
    ) -> Result<(), SinkError> {
        let standing = self.reader.standing()?;
        let names: Vec<&String> = dropped.iter().map(|topic| &self.topics[*topic]).collect();
        let reaching = standing.reaching;
        if names
            .iter()
            .any(|name| reaching.offsets.contains_key(*name))
        {
            let WriteIntent {
                epoch,
                mut offsets,
                mut log,
                mut limits,
            } = reaching;
            remove(&names, &mut offsets);
            limits.iter_mut().for_each(|limits| remove(&names, limits));
            remove(&names, &mut log.last_read);
            log.identity = self.identity.clone();
            // Of one epoch nothing else may be said: the next one begins later.
            let published = standing.progress.as_ref().map_or(0, |known| known.epoch);
            writer()?.reach(&WriteIntent {
                epoch: epoch.max(published) + 1,
                offsets,
                log,
                limits,
            })?;
        }
        let Some(progress) = standing.progress else {
            return Ok(());
        };
        let is_known = progress.log.identity.includes(&self.identity);
        if is_known
            && names
                .iter()
                .all(|name| !progress.offsets.contains_key(*name))
        {
            return Ok(());
        }
        let Progress {
            mut offsets,
            mut log,
            mut limits,
            ..
        } = progress;
        remove(&names, &mut offsets);
        limits.iter_mut().for_each(|limits| remove(&names, limits));
        remove(&names, &mut log.last_read);
        log.identity = self.identity.clone();
        writer()?.publish(&Progress {
            offsets,
            log,
            limits,
            ..progress
        })
    }
}

fn remove<T>(names: &[&String], of_topics: &mut BTreeMap<String, T>) {
    of_topics.retain(|topic, _| !names.contains(&topic));
}
