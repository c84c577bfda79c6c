//! What several brokers say of one topic, compared with what is known of it.

use super::describe::{Description, TopicState};
use super::difference::Difference;
use rdkafka::error::RDKafkaErrorCode as Code;
use std::collections::BTreeSet;

/// Stands for the id of a topic where it is compared often; 0 for none.
pub type Fingerprint = u32;

/// Topics that something was read of: their numbers, with the fingerprints of those that
/// were read under their names.
pub type Read = BTreeSet<(usize, Fingerprint)>;

/// The fingerprint of an id.
pub(super) fn fingerprint(id: &str) -> Fingerprint {
    crc32fast::hash(id.as_bytes()).max(1)
}

/// What is known of a topic.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before<'a> {
    /// Its id, where it has one.
    pub(super) id: Option<&'a str>,
    /// How many partitions it has; `None` where it was not there.
    pub(super) partitions: Option<i32>,
    /// Where it is asked for since something was read: the fingerprint of the one that was
    /// read, perhaps by another process.
    pub(super) read: Option<Fingerprint>,
}

/// What follows from all answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Together {
    /// It is as it was, or new.
    Is(Description),
    /// It is not there, and was not.
    IsNot,
    /// It differs from what is known.
    Differs(Difference),
    /// Kafka does not say.
    Unknown(Code),
}

/// Puts answers together: each has to agree with what is known. Of differences, one that
/// does not pass by itself counts before one that may.
pub(super) fn together<'a>(
    name: &str,
    before: Before<'_>,
    answers: impl Iterator<Item = Option<&'a TopicState>>,
) -> Together {
    let mut found: Option<Description> = None;
    let mut unknown = None;
    let mut difference: Option<Difference> = None;
    for answer in answers {
        let differs = match answer {
            Some(TopicState::Exists(described)) => {
                let differs = compare(name, before, found.as_ref(), described);
                let known = found.as_ref().map_or(0, |found| found.partitions);
                if described.partitions > known {
                    found = Some(described.clone());
                }
                differs
            }
            Some(TopicState::Missing) => {
                let was = before.partitions.is_some() || before.read.is_some();
                was.then(|| Difference::TopicGone {
                    topic: name.to_owned(),
                })
            }
            Some(TopicState::Unknown(code)) => {
                unknown = Some(*code);
                None
            }
            None => {
                unknown = Some(Code::UnknownTopic);
                None
            }
        };
        if let Some(differs) = differs
            && difference.as_ref().is_none_or(Difference::may_pass)
        {
            difference = Some(differs);
        }
    }
    match (difference, found, unknown) {
        (Some(difference), _, _) => Together::Differs(difference),
        (None, Some(found), _) => Together::Is(found),
        (None, None, Some(code)) => Together::Unknown(code),
        (None, None, None) => Together::IsNot,
    }
}

fn compare(
    name: &str,
    before: Before<'_>,
    other: Option<&Description>,
    is: &Description,
) -> Option<Difference> {
    let made_again = |was: &str, is: &str| Difference::MadeAgain {
        topic: name.to_owned(),
        was: was.to_owned(),
        is: is.to_owned(),
    };
    if let Some(id) = &is.id {
        let other = other.and_then(|other| other.id.as_deref());
        if let Some(was) = before.id.or(other)
            && was != id
        {
            return Some(made_again(was, id));
        }
        if let Some(read) = before.read.filter(|read| *read > 0)
            && read != fingerprint(id)
        {
            return Some(made_again("another one", id));
        }
    }
    let fewer = before.partitions.is_some_and(|had| is.partitions < had);
    fewer.then(|| Difference::PartitionGone {
        topic: name.to_owned(),
        partition: is.partitions,
        left: is.partitions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exists(id: Option<&str>, partitions: i32) -> TopicState {
        TopicState::Exists(Description {
            id: id.map(str::to_owned),
            partitions,
            leaders: Default::default(),
        })
    }

    fn ask(before: Before<'_>, answers: &[TopicState]) -> Together {
        together("sales", before, answers.iter().map(Some))
    }

    const KNOWN: Before<'_> = Before {
        id: Some("a"),
        partitions: Some(4),
        read: None,
    };

    #[test]
    fn the_same_topic_may_have_more_partitions() {
        for count in [4, 6] {
            let answers = [exists(Some("a"), 4), exists(Some("a"), count)];
            let Together::Is(found) = ask(KNOWN, &answers) else {
                panic!("{answers:?}");
            };
            assert_eq!(found.partitions, count);
        }
    }

    #[test]
    fn one_broker_that_knows_of_another_topic_is_enough() {
        let again = |was: &str| {
            Together::Differs(Difference::MadeAgain {
                topic: "sales".into(),
                was: was.into(),
                is: "b".into(),
            })
        };
        let answers = [exists(Some("a"), 4), exists(Some("b"), 4)];
        assert_eq!(ask(KNOWN, &answers), again("a"));
        // Also where the other one has only heard that it was deleted, and where it is
        // known to whoever has read it alone.
        let answers = [TopicState::Missing, exists(Some("b"), 2)];
        assert_eq!(ask(KNOWN, &answers), again("a"));
        let read = Before {
            read: Some(fingerprint("a")),
            ..Before::default()
        };
        assert_eq!(ask(read, &answers[1..]), again("another one"));
        assert!(matches!(
            ask(read, &[exists(Some("a"), 1)]),
            Together::Is(_)
        ));
        // Brokers that do not agree on a new one.
        let answers = [exists(Some("a"), 4), exists(Some("b"), 4)];
        assert_eq!(ask(Before::default(), &answers), again("a"));
    }

    #[test]
    fn what_is_gone_differs_only_if_it_was_there() {
        let gone = Together::Differs(Difference::TopicGone {
            topic: "sales".into(),
        });
        let read = Before {
            read: Some(0),
            ..Before::default()
        };
        let missing = [TopicState::Missing];
        assert_eq!(ask(KNOWN, &missing), gone);
        assert_eq!(ask(read, &missing), gone);
        assert_eq!(ask(Before::default(), &missing), Together::IsNot);
        let fewer = ask(KNOWN, &[exists(Some("a"), 3)]);
        assert!(
            matches!(
                fewer,
                Together::Differs(Difference::PartitionGone { partition: 3, .. })
            ),
            "{fewer:?}"
        );
    }

    #[test]
    fn without_ids_only_names_and_partitions_are_compared() {
        assert!(matches!(ask(KNOWN, &[exists(None, 4)]), Together::Is(_)));
        let without = Before { id: None, ..KNOWN };
        assert!(matches!(ask(without, &[exists(None, 4)]), Together::Is(_)));
        // They may get ids later.
        assert!(matches!(
            ask(without, &[exists(Some("a"), 4)]),
            Together::Is(_)
        ));
    }

    #[test]
    fn one_answer_is_enough_and_none_says_nothing() {
        let denied = TopicState::Unknown(Code::TopicAuthorizationFailed);
        let answers = [denied.clone(), exists(Some("a"), 4)];
        assert!(matches!(ask(KNOWN, &answers), Together::Is(_)));
        assert_eq!(
            ask(KNOWN, &[denied]),
            Together::Unknown(Code::TopicAuthorizationFailed)
        );
        assert_eq!(
            together("sales", KNOWN, [None].into_iter()),
            Together::Unknown(Code::UnknownTopic)
        );
    }
}
