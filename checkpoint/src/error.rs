//! Why a checkpoint cannot be written or read.

use model::with_causes;
use object_store::Error as StoreError;
use std::io;
use std::process::ExitCode;

/// Why a checkpoint cannot be written or read: where, what, and what to do. Never
/// with a secret.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// There can be no checkpoint at this place.
    #[error("checkpoint {url}: {detail}")]
    Location {
        /// The place, as it was given.
        url: String,
        /// What is wrong with it, and what would be right.
        detail: String,
    },
    /// There is no checkpoint where one is asked for.
    #[error("checkpoint {url}: there is none. It takes what was given to --checkpoint")]
    None {
        /// The place.
        url: String,
    },
    /// The storage did not do what it was asked.
    #[error("{action} {object}: {detail}")]
    Storage {
        /// What was done: `reading`, `writing`.
        action: &'static str,
        /// The object.
        object: String,
        /// What the storage said.
        detail: String,
        /// Whether it may pass by itself.
        temporary: bool,
    },
    /// It is not what was written.
    #[error(
        "{object} is damaged: {detail}. Put back an undamaged copy of it; `tidemark checkpoint \
         verify` lists all that is damaged"
    )]
    Damaged {
        /// The object.
        object: String,
        /// What is wrong with it.
        detail: String,
    },
    /// It was written and is not there any more.
    #[error("{object} is missing, and the manifest names it. Put it back from a copy")]
    Missing {
        /// The object.
        object: String,
    },
    /// Another version of the program has written it.
    #[error(
        "{object} has format {found}, and this program reads format {reads}: {}",
        way_out(*found, *reads)
    )]
    Version {
        /// The object.
        object: String,
        /// Its format.
        found: u32,
        /// What this program reads.
        reads: u32,
    },
    /// Someone else has taken this checkpoint.
    #[error(
        "{object} is there already, and not from here{by}: another process goes on with this \
         checkpoint. Only one may; stop one of them, or give each a --checkpoint of its own"
    )]
    Conflict {
        /// The number of the manifest.
        sequence: u64,
        /// The manifest.
        object: String,
        /// ` (generation 4)`, where that can be read.
        by: String,
    },
    /// Verifying has found damage, and said where.
    #[error("checkpoint {url} is not whole: {damaged} of {files} files are damaged or missing")]
    NotWhole {
        /// The place.
        url: String,
        /// Files with damage.
        damaged: usize,
        /// All files.
        files: usize,
    },
    /// What was found out cannot be printed.
    #[error("printing the answer: {0}")]
    Print(io::Error),
    /// The system does not give what is needed.
    #[error("a thread for checkpoints: {0}")]
    System(io::Error),
}

/// What to do about a format that is not read.
fn way_out(found: u32, reads: u32) -> &'static str {
    match found < reads {
        true => {
            "it was written by an earlier version, which can go on with it. To read everything again with \
             this one, give it an empty --checkpoint and an empty --database"
        }
        false => "run the version of tidemark that wrote it, or a newer one",
    }
}

impl CheckpointError {
    /// Whether the same may well succeed later: an unreachable network, a full disk, a
    /// directory that is read-only for now.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            CheckpointError::Storage {
                temporary: true,
                ..
            }
        )
    }

    /// 2 for a place where there can be no checkpoint, 1 for everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            CheckpointError::Location { .. } => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }

    /// Damage of an object.
    pub fn damaged(object: impl Into<String>, detail: impl Into<String>) -> Self {
        CheckpointError::Damaged {
            object: object.into(),
            detail: detail.into(),
        }
    }

    pub(super) fn location(url: impl Into<String>, detail: impl Into<String>) -> Self {
        CheckpointError::Location {
            url: url.into(),
            detail: detail.into(),
        }
    }

    /// What the storage said of `object`, which is named by a manifest if it is read.
    pub(super) fn storage(action: &'static str, object: String, error: &StoreError) -> Self {
        if action == "reading" && matches!(error, StoreError::NotFound { .. }) {
            return CheckpointError::Missing { object };
        }
        CheckpointError::Storage {
            action,
            object,
            detail: without_queries(&with_causes(error)),
            temporary: passes(error),
        }
    }

    /// What the operating system said of `object`.
    pub(super) fn io(action: &'static str, object: String, error: &io::Error) -> Self {
        CheckpointError::Storage {
            action,
            object,
            detail: error.to_string(),
            temporary: true,
        }
    }
}

/// Whether what the storage said may pass by itself. What is wrong with a network or a
/// disk comes as `Generic`; the others are refusals of what was asked.
fn passes(error: &StoreError) -> bool {
    matches!(error, StoreError::Generic { .. })
}

/// A text in which no URL has a query: signatures stand there.
fn without_queries(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_url = false;
    let mut in_query = false;
    for (at, c) in text.char_indices() {
        let ends = c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '>' | ',' | ';');
        if ends {
            (in_url, in_query) = (false, false);
        } else if text[at..].starts_with("://") {
            in_url = true;
        } else if in_url && c == '?' {
            in_query = true;
        }
        if !in_query {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_never_shown() {
        let said = "error sending request for url (https://a.b/c?sig=hunter2&x=1): is it there?";
        assert_eq!(
            without_queries(said),
            "error sending request for url (https://a.b/c): is it there?"
        );
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let generic = || StoreError::Generic {
            store: "S3",
            source: "connection refused".into(),
        };
        let error = CheckpointError::storage("writing", "s3://a/b".to_owned(), &generic());
        assert!(error.is_temporary());
        assert_eq!(error.exit_code(), ExitCode::FAILURE);
        let denied = StoreError::Unauthenticated {
            path: "b".to_owned(),
            source: "no".into(),
        };
        assert!(
            !CheckpointError::storage("writing", "s3://a/b".to_owned(), &denied).is_temporary()
        );
        let gone = StoreError::NotFound {
            path: "b".to_owned(),
            source: "no".into(),
        };
        let missing = CheckpointError::storage("reading", "s3://a/b".to_owned(), &gone);
        assert!(matches!(missing, CheckpointError::Missing { .. }));
        assert!(!missing.is_temporary());
    }
}
