//! Writes batches: whole documents, unordered, a few commands at a time, each
//! acknowledged by a majority.
//!
//! The commands of a batch are dealt out to four lanes; a lane sends one after
//! another, so that at most four are in flight. A lane has a session, and each
//! of its commands a number: a *retryable write*. Two things rest on that.
//!
//! 1. A command that is sent again because its answer was lost is not done
//!    twice: the server knows which of its operations it has done.
//! 2. A command that was given up (a connection that went silent, a server that
//!    froze) cannot wake up later and undo what was written since: before a batch
//!    is done, its lane sees to it that the server refuses it. [`super::lane`]
//!    says how, and why that holds.
//!
//! The numbers cost the server about half as much again as plain writes, since it
//! keeps a record of each. One transaction a command costs the same and has a
//! worse end: a process that is killed in the middle leaves its rows locked for
//! up to a minute, also for the process that takes over.
//!
//! A batch that failed half way goes on, when it is sent again, with the
//! commands that have not been acknowledged. A server that is no replica set
//! knows no numbers; there, only the fact that a write replaces whole documents
//! makes sending it again harmless.

use std::sync::Arc;

use ::mongodb::bson::raw::{RawArrayBuf, cstr};
use ::mongodb::bson::rawdoc;

use super::commands::{self, Chunk, Tables};
use super::connection::Connection;
use super::lane::Lane;
use super::{documents, replies};
use crate::{Batch, Progress, SinkError, Table, Writer};

/// Commands in flight. Two keep a server busy; four also hide the way there.
const LANES: usize = 4;

/// One worker's way into the database.
#[derive(Debug)]
pub(super) struct MongoWriter {
    connection: Arc<Connection>,
    tables: Arc<Tables>,
    lanes: [Part; LANES],
    publisher: Lane,
    /// The batch that the lanes are in the middle of.
    unfinished: Option<Fingerprint>,
    /// The progress that the publisher is in the middle of.
    unpublished: Option<Progress>,
}

/// Tells a batch that is sent again from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    epoch: u64,
    made_at: i64,
    counts: [usize; 3],
}

impl Fingerprint {
    fn of(batch: &Batch) -> Fingerprint {
        Fingerprint {
            epoch: batch.epoch,
            made_at: batch.made_at,
            counts: [
                batch.puts.len(),
                batch.deletes.len(),
                batch.dead_letters.len(),
            ],
        }
    }
}

impl MongoWriter {
    pub(super) fn new(
        connection: Arc<Connection>,
        tables: Arc<Tables>,
    ) -> Result<MongoWriter, SinkError> {
        let (lanes, publisher) = connection.block_on(async {
            let lanes = [
                Part::new(&connection).await?,
                Part::new(&connection).await?,
                Part::new(&connection).await?,
                Part::new(&connection).await?,
            ];
            Ok::<_, SinkError>((lanes, Lane::new(&connection).await?))
        })?;
        Ok(MongoWriter {
            connection,
            tables,
            lanes,
            publisher,
            unfinished: None,
            unpublished: None,
        })
    }
}

impl Writer for MongoWriter {
    fn sweep(&mut self, table: usize, epoch: u64) -> Result<(), SinkError> {
        let table = Table::number(&self.tables.tables, table)?;
        let connection = &*self.connection;
        // Not numbered: a command that deletes many is not remembered. Nor need it
        // be, since no row that is written from now on is of an earlier epoch.
        let filter = rawdoc! {"final": false, "epoch": {"$lt": documents::long(epoch)}};
        let mut deletes = RawArrayBuf::new();
        deletes.push(rawdoc! {"q": filter, "limit": 0});
        let mut command = rawdoc! {"delete": table.name.as_str()};
        command.append(cstr!("deletes"), deletes);
        connection.block_on(async {
            let replicated = connection.is_replicated().await?;
            let concern = connection.write_concern(replicated);
            command.append(cstr!("writeConcern"), concern);
            let reply = connection.run_long(command).await?;
            replies::check_any(connection.describe(), &table.name, &reply)
                .map_err(|failure| failure.error)
        })
    }

    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        if batch.is_empty() {
            return Ok(());
        }
        let connection = &*self.connection;
        let chunks = commands::cut(&self.tables, batch)
            .map_err(|problem| SinkError::refused(connection.describe(), problem))?;

        let fingerprint = Fingerprint::of(batch);
        if self.unfinished != Some(fingerprint) {
            // Of a batch that was given up, something may still be on its way to
            // the rows of this one.
            for part in &mut self.lanes {
                connection.block_on(part.lane.settle(connection))?;
                part.begin();
            }
            self.unfinished = Some(fingerprint);
        }
        let job = Job {
            connection,
            tables: &self.tables,
            updated_at: batch.made_at,
            chunks: &chunks,
        };
        let [a, b, c, d] = &mut self.lanes;
        let results = connection.block_on(async {
            let (a, b, c, d) = tokio::join!(
                a.send(0, &job),
                b.send(1, &job),
                c.send(2, &job),
                d.send(3, &job)
            );
            [a, b, c, d]
        });

        let mut errors: Vec<SinkError> = results.into_iter().filter_map(Result::err).collect();
        // What will not pass must be told even if something else will.
        errors.sort_by_key(SinkError::is_temporary);
        match errors.into_iter().next() {
            Some(error) => Err(error),
            None => {
                self.unfinished = None;
                Ok(())
            }
        }
    }

    fn publish(&mut self, progress: &Progress) -> Result<(), SinkError> {
        let connection = &*self.connection;
        if self.unpublished.as_ref() != Some(progress) {
            self.publisher.begin();
            self.unpublished = Some(progress.clone());
        }
        let document = documents::progress(progress)
            .map_err(|problem| SinkError::refused(connection.describe(), problem))?;
        let mut operations = RawArrayBuf::new();
        operations.push(commands::replacement(documents::PROGRESS_ID, &document));
        let mut command = rawdoc! {"update": "progress"};
        command.append(cstr!("updates"), operations);
        let lane = &mut self.publisher;
        connection.block_on(async {
            lane.run(connection, command, |reply| {
                replies::check_one(connection.describe(), "progress", reply)
            })
            .await?;
            lane.settle(connection).await
        })?;
        self.unpublished = None;
        Ok(())
    }
}

/// What the lanes work on together.
#[derive(Clone, Copy)]
struct Job<'a> {
    connection: &'a Connection,
    tables: &'a Tables,
    updated_at: i64,
    chunks: &'a [Chunk<'a>],
}

/// A lane, and how far it has come in a batch.
#[derive(Debug)]
struct Part {
    lane: Lane,
    /// How many of this batch's commands are acknowledged.
    done: usize,
}

impl Part {
    async fn new(connection: &Connection) -> Result<Part, SinkError> {
        let lane = Lane::new(connection).await?;
        Ok(Part { lane, done: 0 })
    }

    /// Forgets the batch before.
    fn begin(&mut self) {
        self.done = 0;
        self.lane.begin();
    }

    /// Sends every fourth command from `first` on, except those that are done.
    async fn send(&mut self, first: usize, job: &Job<'_>) -> Result<(), SinkError> {
        let database = job.connection.describe();
        let mine = job.chunks.iter().skip(first).step_by(LANES);
        for chunk in mine.skip(self.done) {
            let command = chunk
                .command(job.tables, job.updated_at)
                .map_err(|problem| SinkError::refused(database, problem))?;
            let check = |reply: &_| replies::check(database, job.tables, chunk, reply);
            self.lane.run(job.connection, command, check).await?;
            self.done += 1;
        }
        // The next batch may write the same rows through other lanes.
        self.lane.settle(job.connection).await
    }
}
