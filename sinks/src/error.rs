//! Why a database did not do what it was asked, sorted by what helps: waiting,
//! another setting, another question, or a person.

use crate::Holder;

/// Why a database did not do what it was asked.
///
/// No variant ever holds a password: what a driver says is searched for the
/// secrets of its connection string before it becomes a `detail`.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// It cannot be reached, or is between two primaries, or is too busy: the
    /// same batch may well pass later.
    #[error("{database} is not available: {detail}")]
    Unavailable {
        /// Which database, as a person would name it; never with credentials.
        database: String,
        /// What it or its driver said.
        detail: String,
    },
    /// It refused: wrong credentials, a full disk, a document it cannot hold.
    /// Trying again will not help.
    #[error("{database} refused: {detail}")]
    Refused {
        /// Which database, as a person would name it; never with credentials.
        database: String,
        /// What it or its driver said.
        detail: String,
    },
    /// It cannot even be tried: a connection string that is none, a directory
    /// that does not exist, two tables of one name.
    #[error("{setting}: {detail}")]
    Misconfigured {
        /// What is wrong: `MongoDB URI`, `embedded store`, `table x`, or a database by name.
        setting: String,
        /// What is wrong with it, and what it takes.
        detail: String,
    },
    /// Another run has taken over: nothing of this one can be written any more.
    #[error(
        "{database}: {by} has taken over; this run (generation {generation}) can write nothing more"
    )]
    Replaced {
        /// Which database, as a person would name it; never with credentials.
        database: String,
        /// The generation that can write no more.
        generation: u64,
        /// Who can.
        by: Holder,
    },
    /// Another run is alive, and only one may write.
    #[error(
        "{database} is being written by {by}; stop that run, or start this one with --take-over"
    )]
    Held {
        /// Which database, as a person would name it; never with credentials.
        database: String,
        /// Whose it is.
        by: Holder,
    },
    /// Rows that had been written are not there any more.
    #[error(
        "{database}: {rows} of the rows of {collection} to be updated had been written and are \
         gone, {row:?} among them: somebody has deleted them. Start again: missing rows of open \
         windows are restored, and what cannot be restored is named"
    )]
    Deleted {
        /// Which database, as a person would name it; never with credentials.
        database: String,
        /// The collection, or table.
        collection: String,
        /// How many have been noticed.
        rows: usize,
        /// One of them.
        row: String,
    },
    /// The question makes no sense for this table: a column that it does not
    /// group by, a table that there is not.
    #[error("{detail}")]
    BadQuery {
        /// What was asked and what could have been.
        detail: String,
    },
}

impl SinkError {
    /// True when the same call may well succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, SinkError::Unavailable { .. })
    }

    pub(crate) fn unavailable(database: &str, detail: impl Into<String>) -> SinkError {
        SinkError::Unavailable {
            database: database.to_owned(),
            detail: detail.into(),
        }
    }

    pub(crate) fn refused(database: &str, detail: impl Into<String>) -> SinkError {
        SinkError::Refused {
            database: database.to_owned(),
            detail: detail.into(),
        }
    }

    pub(crate) fn misconfigured(
        setting: impl Into<String>,
        detail: impl Into<String>,
    ) -> SinkError {
        SinkError::Misconfigured {
            setting: setting.into(),
            detail: detail.into(),
        }
    }

    pub(crate) fn bad_query(detail: impl Into<String>) -> SinkError {
        SinkError::BadQuery {
            detail: detail.into(),
        }
    }
}
