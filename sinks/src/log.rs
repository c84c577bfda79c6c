//! Which log the offsets in a database belong to.
//!
//! An offset means a message only together with the cluster and the topic that it was read
//! from: a topic that is deleted and made again has the same name and the same offsets, and
//! other messages. Kafka gives every cluster, and every incarnation of a topic, an id.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A cluster and the incarnations of its topics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogIdentity {
    /// The id of the cluster; `None` where it has none, or was not asked for yet.
    #[serde(default)]
    pub cluster_id: Option<String>,
    /// Full name of a topic → its id, in the form of Kafka's own tools. Topics of brokers
    /// that give them none are not there.
    #[serde(default)]
    pub topic_ids: BTreeMap<String, String>,
}

impl LogIdentity {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.cluster_id.is_none() && self.topic_ids.is_empty()
    }

    /// Whether `other` knows nothing that is not known here.
    pub fn includes(&self, other: &LogIdentity) -> bool {
        let cluster = other.cluster_id.is_none() || self.cluster_id == other.cluster_id;
        let known = |(topic, id): (&String, &String)| self.topic_ids.get(topic) == Some(id);
        cluster && other.topic_ids.iter().all(known)
    }
}

/// The last message that was read of a partition, as far as it takes to recognize it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRead {
    /// Its offset.
    pub offset: i64,
    /// Its Kafka timestamp, in milliseconds since the UNIX epoch; 0 or less where it has none.
    pub timestamp: i64,
    /// The epoch of the partition's leader that took it; `None` where Kafka does not say.
    pub leader_epoch: Option<i32>,
    /// A checksum of its key and value; only where topics have no ids.
    pub hash: Option<u32>,
}

impl LastRead {
    /// Whether `found`, which stands at the same offset, may be the same message. Of what
    /// one of the two does not know, nothing follows.
    pub fn may_be(&self, found: &LastRead) -> bool {
        fn agree<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
            one.zip(other).is_none_or(|(one, other)| one == other)
        }
        self.offset == found.offset
            && self.timestamp.max(0) == found.timestamp.max(0)
            && agree(self.leader_epoch, found.leader_epoch)
            && agree(self.hash, found.hash)
    }
}

/// Which log offsets belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Its cluster and topics.
    #[serde(flatten)]
    pub identity: LogIdentity,
    /// Topic → partition → the last message that was read below the partition's offset.
    #[serde(default)]
    pub last_read: BTreeMap<String, BTreeMap<i32, LastRead>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: LastRead = LastRead {
        offset: 17,
        timestamp: 1_700_000_000_123,
        leader_epoch: Some(3),
        hash: None,
    };

    #[test]
    fn a_message_is_told_from_another_by_all_that_is_known_of_both() {
        assert!(READ.may_be(&READ));
        let hashed = |hash| LastRead {
            hash: Some(hash),
            ..READ
        };
        assert!(READ.may_be(&hashed(1)), "its hash was not known");
        assert!(hashed(1).may_be(&hashed(1)));
        assert!(!hashed(1).may_be(&hashed(2)));
        let later = LastRead {
            timestamp: READ.timestamp + 1,
            ..READ
        };
        assert!(!READ.may_be(&later));
        let led = |leader_epoch| LastRead {
            leader_epoch,
            ..READ
        };
        assert!(!READ.may_be(&led(Some(4))));
        assert!(READ.may_be(&led(None)));
    }

    #[test]
    fn what_was_written_without_a_log_is_read_as_an_empty_one() {
        assert_eq!(serde_json::from_str::<Log>("{}").unwrap(), Log::default());
        let log = Log {
            identity: LogIdentity {
                cluster_id: Some("c".into()),
                topic_ids: BTreeMap::from([("shop.orders".into(), "t".into())]),
            },
            last_read: BTreeMap::from([("shop.orders".into(), BTreeMap::from([(11, READ)]))]),
        };
        let text = serde_json::to_string(&log).unwrap();
        assert!(
            text.starts_with(r#"{"cluster_id":"c","topic_ids""#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Log>(&text).unwrap(), log);
    }

    #[test]
    fn an_identity_includes_another_that_knows_no_more() {
        let of = |cluster: Option<&str>, topics: &[(&str, &str)]| LogIdentity {
            cluster_id: cluster.map(str::to_owned),
            topic_ids: topics
                .iter()
                .map(|(name, id)| ((*name).to_owned(), (*id).to_owned()))
                .collect(),
        };
        let whole = of(Some("c"), &[("a", "1"), ("b", "2")]);
        assert!(whole.includes(&of(Some("c"), &[("a", "1")])));
        assert!(whole.includes(&LogIdentity::default()));
        assert!(!whole.includes(&of(Some("d"), &[])));
        assert!(!whole.includes(&of(None, &[("a", "2")])));
        assert!(!whole.includes(&of(None, &[("new", "2")])));
    }
}
