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
//! - A new document is of no use. A lane inserts it, under an id that no other try has,
//!   and only then asks whether its generation is the current one (by a change of the
//!   document of `progress` that is done only if it is, and on a majority). If so, it was
//!   there before the takeover began, which deletes it. If not, the lane does not
//!   use it. One that is inserted late, by a try that was given up, belongs to nobody.
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
//! Two more round trips a transaction. It has no more than about a thousand rows, because the
//! server keeps in memory what it has changed ([`super::cut`]), and ends it after a minute.
//!
//! A server that is no replica set has no transactions. There, commands are sent as they
//! are: that a write replaces whole documents makes sending it again harmless, but one
//! that comes late is done, and an old run is stopped only by itself, when it notices.

use std::time::Duration;

use ::mongodb::ClientSession;
use ::mongodb::bson::oid::ObjectId;
use ::mongodb::bson::raw::{RawArrayBuf, RawDocumentBuf, cstr};
use ::mongodb::bson::{Document, RawBson, rawdoc};
use ::mongodb::options::TransactionOptions;

use super::commands::{Chunk, New, Tables};
use super::connection::{Connection, Failure};
use super::documents::long;
use super::{errors, holder, replies};
use crate::SinkError;
use model::fail_point;

/// The collection of the lanes' documents.
pub(super) const COLLECTION: &str = "tidemark_writers";

/// How often a transaction that met another one is done again at once. Documents
/// of this run never meet, but for those that other workers merge rows into; those that a killed
/// run has left locked do, until they are freed.
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
    /// Which document is its own, if that has been made.
    own: Option<ObjectId>,
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
            own: None,
            unsettled: false,
        })
    }

    /// Does all operations of some chunks or none, and returns when a majority has them.
    pub(super) async fn write(
        &mut self,
        to: To<'_>,
        chunks: &[Chunk<'_>],
    ) -> Result<(), SinkError> {
        if !to.connection.is_replicated().await? {
            return plainly(to, chunks).await;
        }
        let (mut tries, mut new) = (0, New::Believed);
        loop {
            let Err(failure) = self.transaction(to, chunks, new).await else {
                self.unsettled = false;
                return Ok(());
            };
            self.unsettled = true;
            self.abort().await;
            if new == New::Believed && failure.is_duplicate_id() {
                new = New::Doubted;
                continue;
            }
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

    async fn transaction(
        &mut self,
        to: To<'_>,
        chunks: &[Chunk<'_>],
        new: New,
    ) -> Result<(), Failure> {
        let connection = to.connection;
        let own = match self.own {
            Some(own) => own,
            None => *self.own.insert(self.register(connection).await?),
        };
        let _turn = connection.turn().await;
        self.start(connection).await?;
        if !self.begin(connection, own).await? {
            self.own = None;
            holder::check(connection, self.generation).await?;
            // Somebody has emptied the collection: the next try makes it again.
            let detail = format!("a document of {COLLECTION} is gone");
            return Err(SinkError::unavailable(connection.describe(), detail).into());
        }
        if !chunks.is_empty() {
            fail_point("write.begun");
            for chunk in chunks {
                let reply = self.run(connection, command(to, chunk, new)?).await?;
                replies::check(connection.describe(), to.tables, chunk, &reply)?;
            }
            fail_point("write.commit");
        }
        self.commit(connection).await
    }

    /// Makes the lane's document; fails unless its generation is the current one.
    async fn register(&self, connection: &Connection) -> Result<ObjectId, Failure> {
        let id = ObjectId::new();
        let document = rawdoc! {
            "_id": id,
            "generation": long(self.generation),
            "session": self.session_id(),
            "transactions": 0_i64,
        };
        let mut documents = RawArrayBuf::new();
        documents.push(document);
        let mut command = rawdoc! {"insert": COLLECTION};
        command.append(cstr!("documents"), documents);
        write(connection, command).await?;
        fail_point("lane.made");
        let Err(error) = holder::count_writer(connection, self.generation).await else {
            return Ok(id);
        };
        if matches!(error, SinkError::Replaced { .. }) {
            // It would be in nobody's way, and goes with the next takeover anyway.
            let mut deletes = RawArrayBuf::new();
            deletes.push(rawdoc! {"q": {"_id": id}, "limit": 1});
            let mut command = rawdoc! {"delete": COLLECTION};
            command.append(cstr!("deletes"), deletes);
            drop(write(connection, command).await);
        }
        Err(error.into())
    }

    /// What a takeover ends the session by.
    fn session_id(&self) -> RawBson {
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

    /// Adds one to the lane's document, and says whether it is there.
    async fn begin(&mut self, connection: &Connection, own: ObjectId) -> Result<bool, Failure> {
        let filter = rawdoc! {"_id": own, "generation": long(self.generation)};
        let mut updates = RawArrayBuf::new();
        updates.push(rawdoc! {"q": filter, "u": {"$inc": {"transactions": 1_i64}}});
        let mut command = rawdoc! {"update": COLLECTION};
        command.append(cstr!("updates"), updates);
        let reply = self.run(connection, command).await?;
        replies::count(connection.describe(), COLLECTION, &reply).map(|count| count > 0)
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

/// Runs one command outside of any transaction.
async fn write(connection: &Connection, mut command: RawDocumentBuf) -> Result<(), Failure> {
    command.append(cstr!("writeConcern"), connection.write_concern(true));
    let reply = connection.run_code(command).await?;
    replies::count(connection.describe(), COLLECTION, &reply).map(drop)
}

fn command(to: To<'_>, chunk: &Chunk<'_>, new: New) -> Result<RawDocumentBuf, SinkError> {
    chunk
        .command(to.tables, new)
        .map_err(|problem| SinkError::refused(to.connection.describe(), problem))
}

/// Does chunks on a server that has no transactions.
async fn plainly(to: To<'_>, chunks: &[Chunk<'_>]) -> Result<(), SinkError> {
    for chunk in chunks {
        match plain(to, chunk, New::Believed).await {
            Err(failure) if failure.is_duplicate_id() => plain(to, chunk, New::Doubted).await,
            result => result,
        }
        .map_err(|failure| failure.error)?;
    }
    Ok(())
}

async fn plain(to: To<'_>, chunk: &Chunk<'_>, new: New) -> Result<(), Failure> {
    let connection = to.connection;
    let mut command = command(to, chunk, new)?;
    command.append(cstr!("writeConcern"), connection.write_concern(false));
    let reply = connection.run_code(command).await?;
    replies::check(connection.describe(), to.tables, chunk, &reply)
}
