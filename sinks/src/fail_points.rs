//! Points at which a test may end the process, as if it had been killed there.
//!
//! ```text
//!   FAILPOINTS='write.commit=4*off->return'      the fifth time that it gets there
//! ```
//!
//! Between any two steps of what is promised there is one. Only with the feature
//! `fail-points`, which is for a program of the tests alone, does passing one do
//! anything at all. `fail`'s syntax says when: an action that has come to `return` aborts,
//! so that nothing is flushed, dropped or said.

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

/// Passes a point: aborts the process here if that has been asked for.
#[cfg(feature = "fail-points")]
pub fn fail_point(name: &str) {
    fail::fail_point!(name, |_| {
        eprintln!("fail point {name}: the process is aborted");
        std::process::abort()
    });
}

/// Passes a point: nothing at all, without the feature `fail-points`.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub fn fail_point(_: &str) {}

/// Takes what has been asked for from the environment (`FAILPOINTS`); it holds until
/// what is returned is dropped.
///
/// # Panics
/// When it is not in `fail`'s syntax.
#[cfg(feature = "fail-points")]
pub fn arm() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}
