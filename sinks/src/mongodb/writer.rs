//! Writes batches: whole documents, unordered, in a few transactions at a time, each
//! acknowledged by a majority.
//!
//! The transactions of a batch are dealt out to four lanes, and a lane does its own one
//! after another; so at most four commands are in flight.
//! [`super::lane`] says why nothing of a run that was replaced, and nothing that comes
//! late, can change a row.
//!
//! A batch that failed half way goes on, when it is sent again, with what has not been
//! committed.

use std::cell::Cell;
use std::sync::Arc;

use super::commands::{Chunk, Tables};
use super::connection::Connection;
use super::cut::cut;
use super::holder;
use super::lane::{Lane, To};
use crate::{Batch, Progress, SinkError, WriteIntent, Writer};
use model::fail_point;

/// Commands in flight, as many as a process may have: one worker alone can use them all.
const LANES: usize = 4;

/// One worker's way into the database.
#[derive(Debug)]
pub(super) struct MongoWriter {
    connection: Arc<Connection>,
    tables: Arc<Tables>,
    generation: u64,
    lanes: [Part; LANES],
    /// The batch that the lanes are in the middle of.
    unfinished: Option<Fingerprint>,
}

/// Tells a batch that is sent again from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    epoch: u64,
    made_at: i64,
    counts: [usize; 4],
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
                batch.letter_deletes.len(),
            ],
        }
    }
}

impl MongoWriter {
    pub(super) fn new(
        connection: Arc<Connection>,
        tables: Arc<Tables>,
        generation: u64,
    ) -> Result<MongoWriter, SinkError> {
        let lanes = connection.block_on(async {
            Ok::<_, SinkError>([
                Part::new(&connection, generation).await?,
                Part::new(&connection, generation).await?,
                Part::new(&connection, generation).await?,
                Part::new(&connection, generation).await?,
            ])
        })?;
        Ok(MongoWriter {
            connection,
            tables,
            generation,
            lanes,
            unfinished: None,
        })
    }
}

impl Writer for MongoWriter {
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        if batch.is_empty() {
            return Ok(());
        }
        let connection = &*self.connection;
        if batch.progress.is_some() {
            return Err(SinkError::refused(
                connection.describe(),
                "rows and progress are not written in one transaction here",
            ));
        }
        let transactions = cut(&self.tables, batch, LANES)
            .map_err(|problem| SinkError::refused(connection.describe(), problem))?;
        let to = To {
            connection,
            tables: &self.tables,
        };

        fail_point("write.before");
        let fingerprint = Fingerprint::of(batch);
        if self.unfinished != Some(fingerprint) {
            // Of a batch that was given up, something may still be on its way to
            // the rows of this one.
            for part in &mut self.lanes {
                connection.block_on(part.lane.settle(to))?;
                part.done = 0;
            }
            self.unfinished = Some(fingerprint);
        }
        let done = self.lanes.iter().map(|part| part.done).sum::<usize>();
        let work = Work {
            transactions: &transactions,
            left: Cell::new(transactions.len() - done),
        };
        let [a, b, c, d] = &mut self.lanes;
        let results = connection.block_on(async {
            let (a, b, c, d) = tokio::join!(
                a.send(0, to, &work),
                b.send(1, to, &work),
                c.send(2, to, &work),
                d.send(3, to, &work)
            );
            [a, b, c, d]
        });

        let mut errors: Vec<SinkError> = results.into_iter().filter_map(Result::err).collect();
        // What will not pass must be told even if something else will.
        errors.sort_by_key(SinkError::is_temporary);
        match errors.into_iter().next() {
            Some(error) => Err(error),
            None => {
                fail_point("write.after");
                self.unfinished = None;
                Ok(())
            }
        }
    }

    fn reach(&mut self, reaching: &WriteIntent) -> Result<(), SinkError> {
        let connection = &*self.connection;
        fail_point("reach.before");
        connection.block_on(holder::reach(connection, self.generation, reaching))?;
        fail_point("reach.after");
        Ok(())
    }

    fn publish(&mut self, progress: &Progress) -> Result<(), SinkError> {
        let connection = &*self.connection;
        fail_point("publish.before");
        connection.block_on(holder::publish(connection, self.generation, progress))?;
        fail_point("publish.after");
        Ok(())
    }
}

/// A batch that is written.
struct Work<'a> {
    transactions: &'a [Vec<Chunk<'a>>],
    /// How many of them are not committed yet.
    left: Cell<usize>,
}

/// A lane, and how far it has come in a batch.
#[derive(Debug)]
struct Part {
    lane: Lane,
    /// How many of its transactions of this batch are committed.
    done: usize,
}

impl Part {
    async fn new(connection: &Connection, generation: u64) -> Result<Part, SinkError> {
        let lane = Lane::new(connection, generation).await?;
        Ok(Part { lane, done: 0 })
    }

    /// Does every fourth transaction from `first` on, except those that are done.
    async fn send(&mut self, first: usize, to: To<'_>, work: &Work<'_>) -> Result<(), SinkError> {
        let own = work.transactions.iter().skip(first).step_by(LANES);
        for chunks in own.skip(self.done) {
            self.lane.write(to, chunks).await?;
            self.done += 1;
            work.left.update(|left| left - 1);
            if work.left.get() > 0 {
                fail_point("write.middle");
            }
        }
        // Of a try before this one, something may still be on its way.
        self.lane.settle(to).await
    }
}
