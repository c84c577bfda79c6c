//! Which of the driver's and the server's errors pass with time.
//!
//! The list follows the server's own error codes. What is not known to pass is
//! taken as final, so that a mistake is seen instead of being retried for ever.

use ::mongodb::error::{
    Error, ErrorKind, RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR,
    UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

use crate::SinkError;

/// Codes that say: not now.
const TEMPORARY: &[i32] = &[
    6,     // HostUnreachable
    7,     // HostNotFound
    24,    // LockTimeout
    43,    // CursorNotFound
    46,    // LockBusy
    50,    // MaxTimeMSExpired
    63,    // StaleShardVersion
    64,    // WriteConcernFailed (the majority took too long)
    70,    // ShardNotFound (the router is behind)
    89,    // NetworkTimeout
    91,    // ShutdownInProgress
    94,    // NotYetInitialized (a replica set that is being set up)
    107,   // LockFailed
    109,   // ConfigurationInProgress
    112,   // WriteConflict
    117,   // ConflictingOperationInProgress
    133,   // FailedToSatisfyReadPreference
    134,   // ReadConcernMajorityNotAvailableYet
    150,   // StaleEpoch
    189,   // PrimarySteppedDown
    202,   // NetworkInterfaceExceededTimeLimit
    211,   // KeyNotFound (signing keys of a set that is being set up)
    225,   // TransactionTooOld (the next one has a greater number)
    246,   // SnapshotUnavailable
    251,   // NoSuchTransaction (the server has ended it)
    262,   // ExceededTimeLimit
    267,   // PreparedTransactionInProgress
    275,   // CannotRefreshDueToLocksHeld
    314,   // ObjectIsBusy
    365,   // TemporarilyUnavailable
    462,   // IngressRequestRateLimitExceeded
    9001,  // SocketException
    10058, // LegacyNotPrimary
    10107, // NotWritablePrimary
    11600, // InterruptedAtShutdown
    11601, // Interrupted
    11602, // InterruptedDueToReplStateChange
    13388, // StaleConfig
    13435, // NotPrimaryNoSecondaryOk
    13436, // NotPrimaryOrSecondary
];

/// Whether the same command may pass later.
pub(super) fn is_temporary(code: i32) -> bool {
    TEMPORARY.contains(&code)
}

/// Whether it stood in the way of another transaction, or had to wait too long for one:
/// often gone in a moment.
pub(super) fn is_held_up(code: i32) -> bool {
    // LockTimeout, MaxTimeMSExpired, WriteConflict, SnapshotUnavailable,
    // NoSuchTransaction, PreparedTransactionInProgress
    matches!(code, 24 | 50 | 112 | 246 | 251 | 267)
}

/// Unauthorized: the user may not do this.
pub(super) const UNAUTHORIZED: i32 = 13;

/// NamespaceNotFound: there is no such collection.
pub(super) const NAMESPACE_NOT_FOUND: i32 = 26;

/// DuplicateKey. Where the key is `_id`, the document was not as new as believed, or two
/// upserts of it met, and the next finds it; where it is another, the collection has a
/// unique index that the rows do not fit.
pub(super) const DUPLICATE_KEY: i32 = 11000;

/// The code of an error that the server sent, if it is one.
pub(super) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        // A server that is stepping down or shutting down says so also to those
        // who log in, and then it is not their password.
        ErrorKind::Authentication { .. } => cause(error).and_then(code),
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        _ => None,
    }
}

/// The error of the driver that an error of the driver came from.
fn cause(error: &Error) -> Option<&Error> {
    let source = std::error::Error::source(error)?;
    let boxed = || source.downcast_ref::<Box<Error>>().map(|error| &**error);
    source.downcast_ref::<Error>().or_else(boxed)
}

/// What to tell of an error of the driver, and whether it passes.
pub(super) fn classify(database: &str, error: &Error) -> SinkError {
    let temporary = match &*error.kind {
        ErrorKind::Io(_)
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. } => true,
        _ => {
            code(error).is_some_and(is_temporary)
                || [
                    RETRYABLE_WRITE_ERROR,
                    TRANSIENT_TRANSACTION_ERROR,
                    UNKNOWN_TRANSACTION_COMMIT_RESULT,
                ]
                .iter()
                .any(|label| error.contains_label(label))
        }
    };
    let detail = sentence(error);
    if temporary {
        SinkError::unavailable(database, detail)
    } else {
        SinkError::refused(database, detail)
    }
}

/// Why no server can be had, of the driver's description of all it knows about each.
fn unreachable(message: &str) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for server in message.split("Address: ").skip(1) {
        let address = server.split(',').next().unwrap_or_default();
        let Some((_, after)) = server.split_once("Error: Kind: ") else {
            continue;
        };
        let reason = after.split(", labels: ").next().unwrap_or_default();
        let hint = if reason.contains("invalid peer certificate") {
            "; tlsCAFile in the URI names a file with those to trust"
        } else if reason.contains("unexpected end of file") {
            "; it may want tls=true in the URI"
        } else {
            ""
        };
        reasons.push(format!("{address}: {reason}{hint}"));
    }
    match reasons.is_empty() {
        true => roles(message),
        false => format!("no server can be written to: {}", reasons.join("; ")),
    }
}

/// The same where all servers answer, and none of them is one to write to.
fn roles(message: &str) -> String {
    let mut servers: Vec<String> = Vec::new();
    for server in message.split("Address: ").skip(1) {
        let mut fields = server.split([',', '}']).map(str::trim);
        let address = fields.next().unwrap_or_default();
        let kind = fields.find_map(|field| field.strip_prefix("Type: "));
        let is = match kind {
            Some("RsPrimary" | "Standalone" | "Mongos" | "LoadBalancer") => continue,
            Some("RsSecondary") => "is a secondary",
            Some("RsArbiter") => "is an arbiter",
            Some("RsGhost") => "is of a replica set that is not initiated",
            Some("Unknown" | "PossiblePrimary") => "has not answered yet",
            _ => "is in no state to be used",
        };
        servers.push(format!("{address} {is}"));
    }
    match servers.is_empty() {
        true => shorten(message),
        false => format!("no server is the primary: {}", servers.join("; ")),
    }
}

/// One line: the driver's own `Display` adds labels, sources and the whole
/// reply of the server.
fn sentence(error: &Error) -> String {
    let text = match &*error.kind {
        ErrorKind::Command(command) => {
            let name = match command.code_name.as_str() {
                "" => "error",
                name => name,
            };
            let hint = match command.code {
                13 => "; the user needs the role readWrite on the database",
                18 => "; check user, password and authSource",
                _ => "",
            };
            let message = without_command(&command.message);
            format!("{message} ({name}, {}){hint}", command.code)
        }
        ErrorKind::Authentication { message, .. } => {
            format!("{message}; check user, password and authSource")
        }
        ErrorKind::Io(error) => error.to_string(),
        ErrorKind::ServerSelection { message, .. } => unreachable(message),
        kind => kind.to_string(),
    };
    shorten(&text)
}

/// A server that refuses a command quotes all of it: its name and collection are enough.
fn without_command(message: &str) -> String {
    let quoted = message.find("to execute command {");
    let end = quoted.and_then(|start| Some(start + message[start..].find(", ")?));
    match end {
        Some(end) => format!("{}, … }}", &message[..end]),
        None => message.to_owned(),
    }
}

/// Errors may quote documents: a line is a line.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 400;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_errors_pass() {
        let error = Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert!(classify("mongodb", &error).is_temporary());
    }

    #[test]
    fn what_the_driver_refuses_itself_does_not_pass() {
        let error = Error::custom("x");
        assert!(!classify("mongodb", &error).is_temporary());
    }

    #[test]
    fn codes() {
        for code in [10107, 11602, 189, 91, 64, 50] {
            assert!(is_temporary(code), "{code}");
        }
        for code in [13, 18, 121, 10334, 14031, 2, 9, DUPLICATE_KEY] {
            assert!(!is_temporary(code), "{code}");
        }
    }

    #[test]
    fn servers_of_which_none_is_the_primary_are_named() {
        let dump = "Server selection timeout: No available servers. Topology: { Type: \
            ReplicaSetNoPrimary, Set Name: own, Servers: [ { Address: a:1, Type: RsSecondary, \
            Average RTT: 1ms, Tags: {} }, { Address: b:2, Type: Unknown } ] }";
        assert_eq!(
            unreachable(dump),
            "no server is the primary: a:1 is a secondary; b:2 has not answered yet"
        );
    }

    #[test]
    fn a_command_that_is_not_allowed_is_named_and_not_quoted() {
        let message =
            "not authorized on shop to execute command { insert: \"sales\", a: [ 1, 2 ] }";
        assert_eq!(
            without_command(message),
            "not authorized on shop to execute command { insert: \"sales\", … }"
        );
        assert_eq!(without_command("no, not this"), "no, not this");
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(shorten("short"), "short");
        assert_eq!(shorten(&"é".repeat(1000)).chars().count(), 401);
    }
}
