//! One way into the database: one transaction after another, all in one session, each of
//! which the server does as a whole, or refuses.
//!
//! A lane has a document of its own in `tidemark_writers`, made under the current
//! generation, and every transaction begins by adding one to it:
//!
//! ```text
//!   process             server
//!   begin: add one ───▶ its document is there: it is locked until the end
//!   rows, letters  ───▶ changed, and seen by nobody
//!   commit         ───▶ all of it there for everybody, and on a majority
//! ```
//!
//! Two things rest on that.
//!
//! # An old run cannot write
//!
//! A run that takes over first raises the generation, and then deletes the documents of
//! all older lanes ([`super::eviction`]). When that is on a majority, nothing of them can
//! be committed any more, whatever their process does when it wakes up:
//!
//! - A transaction that had begun before has locked its document, and the deletion waits
//!   until it has ended: it was committed before the takeover was done, or never will be.
//!   (The takeover ends its session, so as not to wait.)
//! - One that begins later does not find the document. It is given up, and its process
//!   looks up who has taken over.
//! - One that has read the database as it was before, and comes to its document
//!   afterwards, conflicts with the deletion: the server refuses it.
//! - Rows that arrive when their transaction has ended are refused, because only the
//!   first command of a transaction can begin one, and that is the one which needs the
//!   document. So is a commit.
//! - A new document cannot be made, because that is a transaction which also changes the
//!   document of `progress`, and only under its generation. Against a claim, which
//!   changes that as well, one of the two conflicts and comes second.
//! - A primary that does not know yet that there is another may do any of this. It cannot
//!   reach a majority then, and takes it back when it rejoins. The same holds for what
//!   a new primary has not got.
//!
//! # A command that comes late changes nothing
//!
//! A command that is given up (a connection that went silent, a server that hung) may
//! still arrive. What it belongs to is done again in a new transaction, which has the
//! next number of the same session. Once a server has seen that number it has ended
//! the one before (or has already committed it: then the new one writes the same once
//! more), and refuses all that still comes of it. On another server, that transaction
//! was never begun: refused as well. So when a transaction has been committed on a
//! majority, nothing of the earlier ones of its lane is yet to come, and a batch is done
//! when each of its lanes has got there. Of a batch that was given up, whoever writes
//! the next one *settles* the lane first: commits a transaction that does nothing but
//! add one.
//!
//! That holds for deletes that find nothing and for replacements by an equal document as
//! well, which a server does not remember: they need no memory, since they cannot be
//! done outside of their transaction.
//!
//! The first command of a transaction may come late too, when the server has forgotten
//! the session (after 30 minutes) or is another one. It locks the lane's own document,
//! and nothing else, until the lane begins its next one, or until the server ends it.
//!
//! # What it costs
//!
//! Two more round trips for up to [`MOST_COMMANDS`] commands. A transaction is kept short
//! because the server ends it after a minute, and because it holds what it has
//! changed in memory; if one has failed, the next are of one command each.
//!
//! A server that is no replica set has no transactions. There, commands are sent as they
//! are: that a write replaces whole documents makes sending it again harmless, but one
//! that comes late is done, and an old run is stopped only by itself, when it notices.

use std::time::Duration;

use ::mongodb::ClientSession;
use ::mongodb::bson::raw::{RawArrayBuf, RawDocumentBuf, cstr};
use ::mongodb::bson::{Document, RawBson, rawdoc};
use ::mongodb::options::TransactionOptions;

use super::commands::{Chunk, Tables};
use super::connection::{Connection, Failure};
use super::documents::long;
use super::{errors, holder, replies, standing};
use crate::SinkError;

/// The collection of the lanes' documents.
pub(super) const COLLECTION: &str = "tidemark_writers";

/// Commands with rows in one transaction: some 10,000 rows, or 32 MiB.
pub(super) const MOST_COMMANDS: usize = 4;

/// How often a transaction that met another one is done again at once. Rows of this run
/// never meet; those that a killed run has left locked do, until they are freed.
const TRIES: u32 = 4;

/// The pause before the first of those, doubled each time.
const PAUSE: Duration = Duration::from_millis(20);

/// How long to wait for a transaction to be ended that has failed. Whether it was makes
/// no difference: the next one ends it.
const ABORT: Duration = Duration::from_secs(2);

/// Where chunks go.
#[derive(Clone, Copy)]
pub(super) struct To<'a> {
    pub(super) connection: &'a Connection,
    pub(super) tables: &'a Tables,
}

/// Commits one transaction after another.
#[derive(Debug)]
pub(super) struct Lane {
    session: ClientSession,
    generation: u64,
    /// Whether its document is there, as far as it knows.
    registered: bool,
    /// Whether something of a transaction may still be on its way.
    unsettled: bool,
}

impl Lane {
    /// Makes a lane that writes under this generation. Its document is made when it is
    /// used first.
    pub(super) async fn new(connection: &Connection, generation: u64) -> Result<Lane, SinkError> {
        Ok(Lane {
            session: connection.session().await?,
            generation,
            registered: false,
            unsettled: false,
        })
    }

    /// Does these chunks, all or none of them, until a majority has them.
    pub(super) async fn write(
        &mut self,
        to: To<'_>,
        chunks: &[&Chunk<'_>],
    ) -> Result<(), SinkError> {
        if !to.connection.is_replicated().await? {
            return plainly(to, chunks).await;
        }
        let mut tries = 0;
        loop {
            let Err(failure) = self.transaction(to, chunks).await else {
                self.unsettled = false;
                return Ok(());
            };
            self.unsettled = true;
            self.abort().await;
            tries += 1;
            if tries == TRIES || !failure.code.is_some_and(errors::is_held_up) {
                return Err(failure.error);
            }
            tokio::time::sleep(PAUSE * 2_u32.pow(tries - 1)).await;
        }
    }

    /// Makes the server refuse whatever of this lane may still be on its way.
    pub(super) async fn settle(&mut self, to: To<'_>) -> Result<(), SinkError> {
        match self.unsettled {
            true => self.write(to, &[]).await,
            false => Ok(()),
        }
    }

    async fn transaction(&mut self, to: To<'_>, chunks: &[&Chunk<'_>]) -> Result<(), Failure> {
        let connection = to.connection;
        if !self.registered {
            self.register(connection).await?;
            self.registered = true;
        }
        self.start(connection).await?;
        let own = rawdoc! {"_id": self.id(), "generation": long(self.generation)};
        let update = rawdoc! {"q": own, "u": {"$inc": {"transactions": 1_i64}}};
        if !self.change_one(connection, COLLECTION, update).await? {
            self.registered = false;
            holder::check(connection, self.generation).await?;
            // Somebody has emptied the collection: the next try makes it again.
            let detail = format!("a document of {COLLECTION} is gone");
            return Err(SinkError::unavailable(connection.describe(), detail).into());
        }
        for chunk in chunks {
            let reply = self.run(connection, command(to, chunk)?).await?;
            replies::check(connection.describe(), to.tables, chunk, &reply)?;
        }
        self.commit(connection).await
    }

    /// Makes the lane's document, if its generation is the current one.
    async fn register(&mut self, connection: &Connection) -> Result<(), Failure> {
        let generation = long(self.generation);
        self.start(connection).await?;
        let update = rawdoc! {
            "q": {"_id": self.id()},
            "u": {"$set": {"generation": generation, "transactions": 0_i64}},
            "upsert": true,
        };
        self.change_one(connection, COLLECTION, update).await?;
        // A change, and not only a look: a claim at the same time must meet it. It comes
        // last, since it keeps others from changing the document until the commit.
        let update = rawdoc! {
            "q": {"_id": standing::ID, "generation": generation},
            "u": {"$inc": {"writers": 1_i64}},
        };
        if !self
            .change_one(connection, standing::COLLECTION, update)
            .await?
        {
            holder::check(connection, self.generation).await?;
            let detail = "who may write changed while it was looked up";
            return Err(SinkError::unavailable(connection.describe(), detail).into());
        }
        self.commit(connection).await
    }

    /// The session's id, which is also that of the lane's document.
    fn id(&self) -> RawBson {
        let id = self.session.id().get("id").cloned();
        id.and_then(|id| RawBson::try_from(id).ok())
            .unwrap_or(RawBson::Null)
    }

    async fn start(&mut self, connection: &Connection) -> Result<(), Failure> {
        let options: TransactionOptions = connection.transaction_options();
        let start = self.session.start_transaction().with_options(options);
        connection.within_code(start).await
    }

    async fn run(
        &mut self,
        connection: &Connection,
        command: RawDocumentBuf,
    ) -> Result<Document, Failure> {
        connection.run_write(command, &mut self.session).await
    }

    /// Runs one update of one document, and says whether it found or made it.
    async fn change_one(
        &mut self,
        connection: &Connection,
        collection: &str,
        update: RawDocumentBuf,
    ) -> Result<bool, Failure> {
        let mut updates = RawArrayBuf::new();
        updates.push(update);
        let mut command = rawdoc! {"update": collection};
        command.append(cstr!("updates"), updates);
        let reply = self.run(connection, command).await?;
        replies::count(connection.describe(), collection, &reply).map(|count| count > 0)
    }

    async fn commit(&mut self, connection: &Connection) -> Result<(), Failure> {
        let commit = self.session.commit_transaction();
        connection.within_code(commit).await
    }

    /// Frees the session for the next transaction. The driver does so before it sends
    /// anything, so it need not pass; and where a commit has failed, there is nothing
    /// to do.
    async fn abort(&mut self) {
        let abort = self.session.abort_transaction().into_future();
        drop(tokio::time::timeout(ABORT, abort).await);
    }
}

fn command(to: To<'_>, chunk: &Chunk<'_>) -> Result<RawDocumentBuf, SinkError> {
    chunk
        .command(to.tables)
        .map_err(|problem| SinkError::refused(to.connection.describe(), problem))
}

/// Does chunks one after another, on a server that has no transactions.
async fn plainly(to: To<'_>, chunks: &[&Chunk<'_>]) -> Result<(), SinkError> {
    let connection = to.connection;
    for chunk in chunks {
        let mut command = command(to, chunk)?;
        command.append(cstr!("writeConcern"), connection.write_concern(false));
        let reply = connection.run_code(command).await;
        reply
            .and_then(|reply| replies::check(connection.describe(), to.tables, chunk, &reply))
            .map_err(|failure| failure.error)?;
    }
    Ok(())
}
