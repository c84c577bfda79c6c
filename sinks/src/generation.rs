//! Who may write: one run at a time.
//!
//! Each start of the pipeline takes a *generation*, a number that only grows, in the
//! database itself. What is written is written under that number, and the database
//! refuses it once there is a greater one:
//!
//! ```text
//!   claim ──▶ generation 7 ──▶ reach, write, publish, … ──▶ release
//!                  │
//!                  └─ another run claims: 8. From then on, whatever 7 still sends
//!                     changes nothing, and whoever sends it gets `Replaced`.
//! ```
//!
//! A run does not take over from one that is alive unless it is told to: it asks
//! (sets a challenge) and waits for [`Claim::patience`]; whoever runs answers from
//! [`Storage::watch`](crate::Storage::watch).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{LastRead, Log, Progress, SinkError};

/// Who writes: one for each start of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// From 1 on, one more at each start.
    pub generation: u64,
    /// The name of its machine.
    pub host: String,
    /// Its process id there.
    pub process: u32,
    /// When it started, in milliseconds since the UNIX epoch.
    pub started_at: i64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holder {
            generation,
            host,
            process,
            started_at,
        } = self;
        write!(f, "generation {generation} (host {host}, process {process}")?;
        match Timestamp::from_millisecond(*started_at) {
            Ok(started) => write!(f, ", started {started:.0})"),
            Err(_) => f.write_str(")"),
        }
    }
}

/// Whoever wants to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name of its machine.
    pub host: String,
    /// Its process id there.
    pub process: u32,
    /// When it started, in milliseconds since the UNIX epoch.
    pub started_at: i64,
    /// Whether to take over also from a run that is alive.
    pub take_over: bool,
    /// How long a live holder may take to answer.
    pub patience: Duration,
}

impl Claim {
    pub(crate) fn holder(&self, generation: u64) -> Holder {
        Holder {
            generation,
            host: self.host.clone(),
            process: self.process,
            started_at: self.started_at,
        }
    }
}

/// From the message at `offset` on, Kafka timestamps through `until` are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Offset of the message.
    pub offset: i64,
    /// In milliseconds since the UNIX epoch.
    pub until: i64,
}

/// Topic → partition → which timestamps are believed, by rising offsets.
pub type Limits = BTreeMap<String, BTreeMap<i32, Vec<Limit>>>;

/// What may be in the database already: the effect of offsets below these, and rows
/// of epochs through this one. Written before the rows are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteIntent {
    /// Rows may be of epochs through this one.
    pub epoch: u64,
    /// Topic → partition → the offset before which events may have had an effect.
    pub offsets: BTreeMap<String, BTreeMap<i32, i64>>,
    /// By which of these messages' timestamps were believed; `None` where a program wrote
    /// it that believed all of them.
    pub limits: Option<Limits>,
    /// Which log `offsets` belong to; empty where an earlier version has written it.
    pub log: Log,
}

impl WriteIntent {
    /// Fails unless this has been said already, by what stands in the database.
    pub(crate) fn check_said(&self, stands: &WriteIntent, database: &str) -> Result<(), SinkError> {
        match self == stands {
            true => Ok(()),
            false => Err(SinkError::refused(
                database,
                format!(
                    "rows may already be of epochs through {}, so another epoch {} cannot be \
                     begun",
                    stands.epoch, self.epoch
                ),
            )),
        }
    }
}

/// All that the document `{_id: "tidemark"}` of `progress` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How far it is complete; `None` before anything has been published.
    pub progress: Option<Progress>,
    /// What may be there beyond that.
    pub reaching: WriteIntent,
    /// View → the definition of its rows, as text. Views whose definition was never
    /// recorded are not there.
    pub definitions: BTreeMap<String, String>,
    /// Who has claimed it last; `None` where nobody ever has.
    pub holder: Option<Holder>,
    /// Whether that run has ended, and said so.
    pub ended: bool,
    /// What a run had counted and written that ended because of too many dead letters, if none
    /// has ended well since.
    pub counted: Option<LetterCount>,
}

/// How many messages a run has read, and how many dead letters came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterCount {
    /// Messages.
    pub messages: u64,
    /// Dead letters.
    pub letters: u64,
}

impl Standing {
    /// By which the timestamps of the messages below [`WriteIntent::offsets`] and
    /// [`Progress::offsets`] were believed. `None` where a program has written that believed
    /// all of them.
    pub fn limits(&self) -> Option<&Limits> {
        // What has been written last says most; where rows and progress are written as one,
        // nothing is said before.
        let progress = self.progress.as_ref();
        let of_progress = progress.and_then(|progress| progress.limits.as_ref());
        self.reaching.limits.as_ref().or(of_progress)
    }
}

impl Standing {
    /// Topic → partition → the newest message that may have had an effect.
    pub fn last_read(&self) -> BTreeMap<String, BTreeMap<i32, LastRead>> {
        let mut newest = self.reaching.log.last_read.clone();
        for (topic, partitions) in self.progress.iter().flat_map(|p| &p.log.last_read) {
            let of_topic = newest.entry(topic.clone()).or_default();
            for (partition, last) in partitions {
                let known = of_topic.entry(*partition).or_insert(*last);
                if known.offset < last.offset {
                    *known = *last;
                }
            }
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_as_people_read_it() {
        let mut holder = Holder {
            generation: 8,
            host: "shop-2".into(),
            process: 123,
            started_at: 1_730_552_400_123,
        };
        assert_eq!(
            holder.to_string(),
            "generation 8 (host shop-2, process 123, started 2024-11-02T13:00:00Z)"
        );
        // What another program wrote into the document may be any number.
        holder.started_at = i64::MAX;
        assert_eq!(
            holder.to_string(),
            "generation 8 (host shop-2, process 123)"
        );
    }
}
