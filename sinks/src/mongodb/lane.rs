//! One way into the database: one command after another, all in one session and
//! each under a number of its own (a *retryable write*).
//!
//! A command that fails is sent again under its number, and so it is done once:
//! the server remembers what it has done of the last number of a session. Yet it
//! remembers only what changed something. A delete that found nothing, and a
//! replacement by an equal document, is done again whenever the command comes
//! again, and the first try may come late: it waits in a socket of a server that
//! hangs, or somewhere on the way. By then the row may have been written anew,
//! through any lane, and the old command would delete it, or put back what it was.
//!
//! So a lane that got no good answer leaves nothing behind that still counts.
//! When the command has passed in the end, and before the batch is done (until
//! then nobody else writes its rows), the lane *settles*: it adds one to a
//! counter under a higher number, and waits for a majority. From then on every
//! earlier command of the session is refused, however late it comes:
//!
//! - On the server that has done it: a server works on one command of a session
//!   at a time, and refuses what has a lower number than the highest that it has
//!   seen there (`TransactionTooOld`). An old command that it has begun ends
//!   before the settling begins.
//! - On one that starts again, or is elected later: adding one always changes the
//!   counter, so the number is written down (`config.transactions`), in one piece
//!   with the change and replicated with it. What a majority has, every later
//!   primary has. A number under which nothing changed would be known only to
//!   the memory of the server that saw it.
//! - On a primary that does not know yet that there is another: it may do the old
//!   command, which then cannot reach a majority, and takes it back when it rejoins.
//!
//! Nothing less would do. A new session in place of the old one leaves the old
//! command the highest number of its own session; `endSessions` refuses nothing,
//! it only lets the server forget a session, and with it what to refuse, sooner;
//! `killSessions` reaches what is being done, not what is yet to come.
//!
//! It ends where the server forgets or never knew:
//!
//! - A session that nobody used for 30 minutes is forgotten, with its numbers.
//! - Behind a router each shard has numbers of its own, and only the one that
//!   holds the counter (like every collection that is not sharded: the
//!   database's primary shard) is told.
//! - A server that is no replica set has no numbers. There, a command that comes
//!   late is done.
//! - A process that ends settles nothing, and the next one has other sessions.

use ::mongodb::ClientSession;
use ::mongodb::bson::raw::{RawDocumentBuf, cstr};
use ::mongodb::bson::{Document, rawdoc};

use super::connection::{Connection, Failure};
use super::{errors, replies};
use crate::SinkError;

/// The collection of the counter: one document, and what it counts is of no
/// interest.
pub(super) const COLLECTION: &str = "tidemark_sessions";

/// Sends one command after another.
#[derive(Debug)]
pub(super) struct Lane {
    session: ClientSession,
    /// The number of the command that is being sent, if it has been sent already.
    number: Option<i64>,
    /// Whether a command may still be on its way.
    unsettled: bool,
}

impl Lane {
    pub(super) async fn new(connection: &Connection) -> Result<Lane, SinkError> {
        Ok(Lane {
            session: connection.session().await?,
            number: None,
            unsettled: false,
        })
    }

    /// The next command is another one, and not the last one again.
    pub(super) fn begin(&mut self) {
        self.number = None;
    }

    /// One command under its number, until a majority has acknowledged it.
    pub(super) async fn run(
        &mut self,
        connection: &Connection,
        command: RawDocumentBuf,
        check: impl Fn(&Document) -> Result<(), Failure>,
    ) -> Result<(), SinkError> {
        let replicated = connection.is_replicated().await?;
        let number = *self.number.get_or_insert_with(|| connection.next_number());
        let answer = self.send(connection, replicated, command, number).await;
        match answer.and_then(|reply| check(&reply)) {
            Ok(()) => {
                self.number = None;
                Ok(())
            }
            Err(Failure { code, error }) => {
                // Also where the server has answered: one that is a router may
                // not know what its shards still do.
                self.unsettled = true;
                if code.is_some_and(errors::is_lost_history) {
                    self.number = None;
                }
                Err(error)
            }
        }
    }

    /// Makes the server refuse whatever of this lane may still be on its way.
    pub(super) async fn settle(&mut self, connection: &Connection) -> Result<(), SinkError> {
        if !self.unsettled {
            return Ok(());
        }
        let replicated = connection.is_replicated().await?;
        if replicated {
            let command = rawdoc! {"update": COLLECTION, "updates": [
                {"q": {"_id": "moved_on"}, "u": {"$inc": {"times": 1_i64}}, "upsert": true},
            ]};
            // A number of its own each time: to count twice does no harm.
            let number = connection.next_number();
            self.send(connection, replicated, command, number)
                .await
                .and_then(|reply| replies::check_one(connection.describe(), COLLECTION, &reply))
                .map_err(|failure| failure.error)?;
        }
        self.unsettled = false;
        Ok(())
    }

    async fn send(
        &mut self,
        connection: &Connection,
        replicated: bool,
        mut command: RawDocumentBuf,
        number: i64,
    ) -> Result<Document, Failure> {
        command.append(cstr!("writeConcern"), connection.write_concern(replicated));
        if replicated {
            command.append(cstr!("txnNumber"), number);
        }
        connection.run_write(command, &mut self.session).await
    }
}
