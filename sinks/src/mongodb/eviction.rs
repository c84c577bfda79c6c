//! Takes from all older generations what they write by: the documents of their lanes
//! (see [`super::lane`]).
//!
//! A document that a transaction has changed and not yet committed cannot be deleted
//! before that transaction ends. That of a process that was killed or stopped in the
//! middle would end by itself after a minute (`transactionLifetimeLimitSeconds`); killing
//! its session ends it now. Where that is not allowed, the minute it is. A process that
//! is alive may have begun the next one meanwhile, so both are done again until nothing
//! is left.

use std::time::{Duration, Instant};

use ::mongodb::bson::raw::{RawArrayBuf, RawDocumentBuf, cstr};
use ::mongodb::bson::{doc, rawdoc};

use super::connection::Connection;
use super::documents::long;
use super::{errors, lane, replies};
use crate::SinkError;

/// How long one try may wait for transactions to end, in milliseconds.
const TRY: i64 = 500;

/// How long it is tried: the server ends a transaction after 60 s, unless it was set up
/// otherwise.
const PATIENCE: Duration = Duration::from_secs(90);

/// From one line that says so to the next.
const SAY: Duration = Duration::from_secs(3);

/// Deletes the documents of all lanes of generations before this one, and returns when
/// a majority has done so. From then on none of them can commit anything.
pub(super) async fn evict(connection: &Connection, generation: u64) -> Result<(), SinkError> {
    // Without a replica set there are no lanes of that kind.
    if !connection.is_replicated().await? {
        return Ok(());
    }
    let started = Instant::now();
    let mut said = Duration::ZERO;
    loop {
        kill(connection, generation).await?;
        let mut deletes = RawArrayBuf::new();
        deletes.push(rawdoc! {"q": {"generation": {"$lt": long(generation)}}, "limit": 0});
        let mut command = rawdoc! {"delete": lane::COLLECTION};
        command.append(cstr!("deletes"), deletes);
        command.append(cstr!("maxTimeMS"), TRY);
        command.append(cstr!("writeConcern"), connection.write_concern(true));
        let reply = connection.run_code(command).await;
        let deleted =
            reply.and_then(|reply| replies::count(connection.describe(), lane::COLLECTION, &reply));
        match deleted {
            Ok(_) => return Ok(()),
            Err(failure) => {
                let waited = failure.code.is_some_and(errors::is_held_up);
                let since = started.elapsed();
                if !waited || since > PATIENCE {
                    return Err(failure.error);
                }
                if since >= said + SAY {
                    said = since;
                    tracing::warn!(
                        "{}: a transaction of an earlier run is still open, for {:.0} s now; \
                         waiting for up to {:.0} s until the server ends it",
                        connection.describe(),
                        since.as_secs_f32(),
                        PATIENCE.as_secs_f32()
                    );
                }
            }
        }
    }
}

/// Ends whatever the sessions of older lanes have begun, where that is allowed.
async fn kill(connection: &Connection, generation: u64) -> Result<(), SinkError> {
    let collection = connection
        .database()
        .collection::<RawDocumentBuf>(lane::COLLECTION);
    let find = collection.find(doc! {"generation": {"$lt": long(generation)}});
    let mut cursor = connection.within(find).await?;
    let mut sessions = RawArrayBuf::new();
    while connection.within(cursor.advance()).await? {
        if let Ok(Some(id)) = cursor.current().get("session") {
            sessions.push(rawdoc! {"id": id});
        }
    }
    if sessions.is_empty() {
        return Ok(());
    }
    let mut command = RawDocumentBuf::new();
    command.append(cstr!("killSessions"), sessions);
    if let Err(failure) = connection.run_code(command).await {
        tracing::debug!(
            "the sessions of an older run cannot be ended, and will end by themselves: {}",
            failure.error
        );
    }
    Ok(())
}
