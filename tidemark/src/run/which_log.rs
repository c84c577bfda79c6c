//! Whether the log is the one that was read: asked at the start, before anything is changed.

use super::RunError;
use super::origin::Origin;
use dataflow::ingest::difference::Difference;
use dataflow::ingest::gate::LASTING;
use dataflow::ingest::last_read::Partition;
use dataflow::ingest::problem::DiscoveryError;
use dataflow::recovery::{Messages, PlanError, Sources};
use sinks::{LastRead, LogIdentity};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Between two looks at something that may pass.
const PAUSE: Duration = Duration::from_millis(500);

/// What to ask, and for how long.
pub(super) struct Asking<'a> {
    pub(super) origin: &'a mut Origin,
    /// How long Kafka may take to answer.
    pub(super) timeout: Duration,
    pub(super) stopping: &'a AtomicBool,
}

impl Asking<'_> {
    /// Compares what the checkpoint and the database know of the log with what Kafka has.
    /// Returns the topics, by number, whose state is to be dropped.
    ///
    /// # Errors
    /// When the log is another one and that was not to be expected, or cannot be asked for.
    pub(super) fn settle(
        &mut self,
        sources: &mut Sources<'_>,
    ) -> Result<BTreeSet<usize>, RunError> {
        let begun = Instant::now();
        let mut is_second_look = false;
        loop {
            let was_read = sources.was_read()?;
            let messages = self.look_up(&sources.to_look_up(&was_read))?;
            let differences = sources.differences(&was_read, &messages);
            let passes = differences.iter().any(|found| found.difference.may_pass());
            let is_settled = is_second_look && (!passes || begun.elapsed() >= LASTING);
            if differences.is_empty() || is_settled {
                let dropped = sources.settle(&was_read, differences)?;
                sources.report_unknown(&was_read, &messages);
                return Ok(dropped);
            }
            // Whoever wrote until now may have read on since the partitions were found, and
            // brokers may not know of a topic yet.
            if is_second_look {
                std::thread::sleep(PAUSE);
            }
            is_second_look = true;
            self.look_again(sources)?;
        }
    }

    /// That this process sees the log that process 0 reads.
    ///
    /// # Errors
    /// When it sees another one, or none.
    pub(super) fn agree(
        &mut self,
        sources: &mut Sources<'_>,
        log: &LogIdentity,
    ) -> Result<(), RunError> {
        if self.origin.expect(log).is_some() {
            // Topics may have been made again since this process looked.
            self.look_again(sources)?;
            if let Some(difference) = self.origin.expect(log) {
                return Err(other(difference, sources));
            }
        }
        Ok(())
    }

    /// Asks for everything anew, of the log that is read.
    ///
    /// # Errors
    /// When it is another one by now, or Kafka does not answer.
    pub(super) fn anew(
        &mut self,
        sources: &mut Sources<'_>,
        log: &LogIdentity,
    ) -> Result<(), RunError> {
        self.look_again(sources)?;
        match self.origin.expect(log) {
            None => Ok(()),
            Some(difference) => Err(other(difference, sources)),
        }
    }

    fn look_again(&mut self, sources: &mut Sources<'_>) -> Result<(), DiscoveryError> {
        self.origin.find_anew(self.timeout, self.stopping)?;
        sources.found = self.origin.found();
        sources.identity = self.origin.identity();
        Ok(())
    }

    fn look_up(&self, wanted: &BTreeMap<Partition, LastRead>) -> Result<Messages, RunError> {
        let found = self.origin.look_up(wanted, self.timeout, self.stopping)?;
        match wanted.iter().find(|(place, _)| !found.contains_key(*place)) {
            None => Ok(found),
            Some(((topic, partition), last)) => Err(DiscoveryError::Incomplete {
                brokers: self.origin.brokers().unwrap_or_default().to_owned(),
                seconds: self.timeout.as_secs(),
                what: format!("topic {topic} partition {partition} offset {}", last.offset),
                detail: "the message that was read last is looked up".to_owned(),
            }
            .into()),
        }
    }
}

fn other(difference: Difference, sources: &Sources<'_>) -> RunError {
    RunError::Plan(PlanError::OtherLog {
        by: "process 0".to_owned(),
        way_out: sources.readers.way_out(&difference),
        difference: Box::new(difference),
    })
}
