//! The points of the databases at which a test may end the process: see
//! [`model::fail_point`].

/// The points of this crate, and what has happened when one is passed. Those of a
/// write, where nothing else is said, are of both databases.
pub const POINTS: &[(&str, &str)] = &[
    (
        "claim.before",
        "it is known that nobody writes; nothing has been taken",
    ),
    (
        "claim.raised",
        "MongoDB: the generation is this run's; older lanes can still commit",
    ),
    (
        "claim.after",
        "no older run can write any more; nobody here knows of the new generation",
    ),
    (
        "lane.made",
        "MongoDB: a lane has its document, and does not know whether it may use it",
    ),
    (
        "reach.before",
        "MongoDB: how far rows will reach is known, and not written down",
    ),
    (
        "reach.after",
        "MongoDB: it is written down, and no row of it has been written",
    ),
    ("write.before", "nothing of a batch has been sent"),
    (
        "write.begun",
        "MongoDB: a transaction has its lane's document, and no row yet",
    ),
    (
        "write.commit",
        "rows are in a transaction: with MongoDB a part of a batch, with SQLite all of a \
         batch but for its progress; it is not committed",
    ),
    (
        "write.middle",
        "MongoDB: a transaction of a batch is committed, and another one is not",
    ),
    (
        "write.after",
        "all of a batch is durable, and nobody has been told",
    ),
    (
        "publish.before",
        "MongoDB: an epoch is written by all, and not published",
    ),
    (
        "publish.after",
        "MongoDB: it is published, and nobody has been told",
    ),
    (
        "release.before",
        "all is written and saved; the run still has the right to write",
    ),
    ("release.after", "the run has given it up"),
];
