//! Which of SQLite's errors pass with time.

use rusqlite::{Error, ErrorCode};

use crate::SinkError;

/// What to tell of an error of SQLite, and whether it passes.
pub(super) fn classify(database: &str, error: &Error) -> SinkError {
    let code = error.sqlite_error_code();
    let hint = match code {
        // Another process is writing for longer than we wait.
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            return SinkError::unavailable(database, error.to_string());
        }
        Some(ErrorCode::DiskFull) => "; make room and start again",
        Some(ErrorCode::NotADatabase) => "; the file is something else, choose another path",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            "; the file and its directory must be writable"
        }
        _ => "",
    };
    SinkError::refused(database, format!("{error}{hint}"))
}
