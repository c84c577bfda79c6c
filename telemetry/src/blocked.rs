//! Partitions that an open transaction blocks: Kafka delivers nothing from the offset on at
//! which the transaction begins, of whichever producer, until it is committed or aborted.

use crate::format::count;
use model::shown;
use serde::{Deserialize, Serialize};

/// Where a partition is read, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// The next offset to read.
    pub position: i64,
    /// The last stable offset: nothing from there on is delivered while it is less than
    /// `end`, since a transaction that begins there is open.
    pub stable: i64,
    /// The offset behind the last message the broker holds.
    pub end: i64,
}

impl Offsets {
    /// Of a partition in which no transaction is open.
    pub fn stable(position: i64, end: i64) -> Offsets {
        Offsets {
            position,
            stable: end,
            end,
        }
    }

    /// Offsets that can be read and are not read yet.
    pub fn lag(&self) -> u64 {
        let readable = self.stable.min(self.end);
        u64::try_from(readable.saturating_sub(self.position)).unwrap_or(0)
    }

    /// The open transaction that the partition is blocked by, if it has been read up to
    /// there. `before` is what blocked it when this was last asked; `now` is the time, in
    /// milliseconds since the UNIX epoch.
    pub(super) fn blocked(&self, before: Option<&Blocked>, now: i64) -> Option<Blocked> {
        // What is known of the end is a second old: a position beyond it means that the
        // transaction has ended meanwhile.
        if self.position != self.stable || self.stable >= self.end {
            return None;
        }
        let offset = self.stable;
        let behind = u64::try_from(self.end - offset).unwrap_or(0);
        let before = before.filter(|before| before.offset == offset);
        Some(Blocked {
            offset,
            behind,
            seen: before.map_or(now, |before| before.seen),
            began: before.and_then(|before| before.began),
        })
    }
}

/// An open transaction that a partition cannot be read beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// The offset of its first message. Nothing from there on is delivered.
    pub offset: i64,
    /// How many offsets that are, messages of others included.
    pub behind: u64,
    /// Since when this process has seen it, in milliseconds since the UNIX epoch.
    pub seen: i64,
    /// The Kafka timestamp of its first message, in milliseconds since the UNIX epoch,
    /// where it has been looked up and has one.
    pub began: Option<i64>,
}

impl Blocked {
    /// Since when it is open, as well as that is known, in milliseconds since the UNIX epoch.
    pub fn since(&self) -> i64 {
        self.began.unwrap_or(self.seen)
    }

    /// What blocks the partition, as a clause.
    pub fn clause(&self) -> String {
        Blocking::from(self).clause()
    }
}

/// The same, for other programs. Times are texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocking {
    /// The offset of the transaction's first message.
    pub offset: i64,
    /// How many offsets from there on are not delivered.
    pub behind: u64,
    /// Since when it is open: the timestamp of its first message, or else when it was
    /// first seen.
    pub since: String,
}

impl From<&Blocked> for Blocking {
    fn from(blocked: &Blocked) -> Blocking {
        Blocking {
            offset: blocked.offset,
            behind: blocked.behind,
            since: shown(blocked.since().saturating_mul(1_000)),
        }
    }
}

impl Blocking {
    /// What blocks the partition, as a clause.
    pub fn clause(&self) -> String {
        let Blocking {
            offset,
            behind,
            since,
        } = self;
        format!(
            "blocked by an open transaction at offset {offset} since {since}: {} offsets from \
             there on are not delivered",
            count(*behind)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKED: Offsets = Offsets {
        position: 40,
        stable: 40,
        end: 63,
    };

    #[test]
    fn a_partition_is_blocked_once_it_is_read_up_to_an_open_transaction() {
        let blocked = BLOCKED.blocked(None, 7_000).unwrap();
        assert_eq!(
            (blocked.offset, blocked.behind, blocked.seen),
            (40, 23, 7_000)
        );
        assert_eq!(BLOCKED.lag(), 0);
        assert_eq!(
            blocked.clause(),
            "blocked by an open transaction at offset 40 since 1970-01-01T00:00:07Z: 23 offsets \
             from there on are not delivered"
        );

        let reading = Offsets {
            position: 30,
            ..BLOCKED
        };
        assert_eq!((reading.blocked(None, 7_000), reading.lag()), (None, 10));
        // The transaction has ended since the broker was heard.
        let beyond = Offsets {
            position: 41,
            ..BLOCKED
        };
        assert_eq!((beyond.blocked(None, 7_000), beyond.lag()), (None, 0));
        assert_eq!(Offsets::stable(63, 63).blocked(None, 7_000), None);
        assert_eq!(Offsets::stable(40, 63).lag(), 23);
    }

    #[test]
    fn a_transaction_is_as_old_as_it_was_first_seen() {
        let mut first = BLOCKED.blocked(None, 7_000).unwrap();
        first.began = Some(2_000);
        let longer = Offsets { end: 80, ..BLOCKED };
        let same = longer.blocked(Some(&first), 9_000).unwrap();
        assert_eq!((same.behind, same.seen, same.since()), (40, 7_000, 2_000));
        let next = Offsets {
            position: 66,
            stable: 66,
            end: 80,
        };
        let next = next.blocked(Some(&same), 9_000).unwrap();
        assert_eq!((next.seen, next.began), (9_000, None));
    }
}
