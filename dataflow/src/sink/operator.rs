//! The operator that writes rows, one complete epoch at a time.
//!
//! ```text
//!   rows, dead letters ─▶ Pending ─▶ Batch ─▶ (thread) Writer ─▶ acknowledged
//!                        by epoch    once the      │
//!                                    frontier      └─▶ the capabilities go on:
//!                                    has passed        everything before them is
//!                                                      in the database
//! ```
//!
//! One batch is under way at a time. When the database is slower than the
//! dataflow, the epochs that become complete meanwhile are taken together, as
//! one write a row.

use super::pending::{Due, Pending, PriorRunState, Through};
use super::progress::Reached;
use super::restored::Restored;
use super::{Gates, WriteError};
use crate::Epoch;
use crate::background::{Background, Held, State};
use crate::inputs::Inputs;
use crate::time::Mark;
use crate::views::Catalog;
use crate::views::parts::Final;
use crate::views::rows::RowChange;
use model::fail_point;
use sinks::{Batch, DeadLetter, Writer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use telemetry::Telemetry;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Exchange as _;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// What goes into the database.
pub struct Changes<'scope> {
    /// Rows that may change again, as they became.
    pub rows: StreamVec<'scope, Epoch, RowChange>,
    /// Rows that are final.
    pub finals: StreamVec<'scope, Epoch, Final>,
    /// Events that could not be used.
    pub dead_letters: StreamVec<'scope, Epoch, DeadLetter>,
    /// Where partitions stand, told to every worker.
    pub marks: StreamVec<'scope, Epoch, Mark>,
}

impl Changes<'_> {
    /// All of it on worker 0, for a database that takes an epoch as a whole.
    pub fn together(self) -> Self {
        Changes {
            rows: self.rows.exchange(|_| 0),
            finals: self.finals.exchange(|_| 0),
            dead_letters: self.dead_letters.exchange(|_| 0),
            marks: self.marks,
        }
    }
}

/// Streams without data: what their frontiers have passed is in the database.
#[derive(Clone)]
pub struct Written<'scope> {
    /// Rows that may change again, and dead letters.
    pub open: StreamVec<'scope, Epoch, ()>,
    /// Rows that are final.
    pub finals: StreamVec<'scope, Epoch, ()>,
}

/// How a worker writes.
pub struct Writing {
    /// All views.
    pub catalog: Arc<Catalog>,
    /// Its way into the database.
    pub writer: Box<dyn Writer>,
    /// What an earlier run has left.
    pub left: PriorRunState,
    /// Where rows are counted that were missing at the start.
    pub restored: Option<Arc<Restored>>,
    /// What each batch brings along of progress, where it is to.
    pub progress: Option<Reached>,
    /// Where counts are kept.
    pub telemetry: Arc<Telemetry>,
}

/// Rows that are made and written at a time, where the database need not take an epoch as
/// a whole: enough for all that it does at the same time.
const ROWS: usize = 16_384;

/// Writes `changes` on each worker, as far as `gates` let it.
///
/// When the database refuses, `failed` is called, once, and the frontiers stay.
pub fn write<'scope>(
    changes: Changes<'scope>,
    gates: Gates<'scope>,
    writing: Writing,
    failed: impl Fn(WriteError) + Clone + 'static,
) -> Written<'scope> {
    let scope = changes.rows.scope();
    let mut builder = OperatorBuilder::new("Write".to_owned(), scope);
    let (mut complete, mut durable) = (Inputs::default(), Inputs::default());
    let mut rows = complete.add(&mut builder, changes.rows, Pipeline);
    let mut finals = complete.add(&mut builder, changes.finals, Pipeline);
    let mut letters = complete.add(&mut builder, changes.dead_letters, Pipeline);
    let mut marks = complete.add(&mut builder, changes.marks, Pipeline);
    let _recorded = complete.add(&mut builder, gates.recorded, Pipeline);
    let waits = gates.committed.is_some();
    let committed = gates.committed;
    let _committed = committed.map(|gate| durable.add(&mut builder, gate, Pipeline));
    // Not connected to the inputs: what holds them back are the capabilities alone.
    // (What is committed waits for them.)
    let (_open, open_stream) = builder.new_output_connection::<Vec<()>, _>([]);
    let (_finals, finals_stream) = builder.new_output_connection::<Vec<()>, _>([]);
    let address = builder.operator_info().address;
    let wake = scope.worker().sync_activator_for(address.to_vec());

    builder.build(move |capabilities| {
        let mut capabilities = capabilities.into_iter();
        let (written_open, written_finals) = (capabilities.next(), capabilities.next());
        let mut batches = Batches {
            catalog: Arc::clone(&writing.catalog),
            pending: Pending::new(writing.left),
            progress: writing.progress,
            restored: writing.restored.clone(),
            written_open: Held::new(written_open),
            written_finals: Held::new(written_finals),
        };
        let mut thread = WriterThread {
            writer: writing.writer,
            catalog: writing.catalog,
            rows: match batches.progress {
                Some(_) => usize::MAX,
                None => ROWS,
            },
            restored: writing.restored,
            telemetry: writing.telemetry,
        };
        let background = Background::start("writer", wake, move |work| thread.write(work));
        let mut background = background.map_err(&failed).ok();

        move |frontiers: &[MutableAntichain<Epoch>]| {
            let pending = &mut batches.pending;
            rows.for_each(|_, changes| pending.rows(std::mem::take(changes)));
            finals.for_each(|capability, rows| {
                if let Some(epoch) = capability.least() {
                    pending.finals(*epoch, rows.drain(..));
                }
            });
            letters.for_each(|_, letters| pending.letters(letters.drain(..)));
            marks.for_each(|capability, marks| {
                if let Some(epoch) = capability.least() {
                    batches.hear(*epoch, marks);
                }
            });
            let Some(thread) = &mut background else {
                return;
            };
            let complete = complete.earliest(frontiers);
            let through = Through {
                complete,
                // What is said of an epoch comes back with the next one.
                durable: match waits {
                    true => durable
                        .earliest(frontiers)
                        .map(|next| next.saturating_sub(1)),
                    false => complete,
                },
            };
            if let Err(error) = batches.go_on(thread, through) {
                background = None;
                failed(error);
            }
        }
    });
    Written {
        open: open_stream,
        finals: finals_stream,
    }
}

/// What is to be written, and how far everything is with it.
struct Work {
    due: Due,
    through: Through,
    /// Whether it is all that was missing at the start, and perhaps more.
    restores: bool,
}

/// What waits to be written on a worker, one batch after the other.
struct Batches {
    catalog: Arc<Catalog>,
    pending: Pending,
    progress: Option<Reached>,
    restored: Option<Arc<Restored>>,
    written_open: Held,
    written_finals: Held,
}

impl Batches {
    /// Takes in where partitions stand at the end of an epoch.
    fn hear(&mut self, epoch: Epoch, marks: &mut Vec<Mark>) {
        self.pending.marks(epoch, marks);
        if let Some(progress) = &mut self.progress {
            progress.hear(epoch, marks.drain(..));
        }
    }

    /// Where no batch is under way: releases what is written, and hands what may be written
    /// `through` there to the thread.
    fn go_on(
        &mut self,
        thread: &mut Background<Work, Through, WriteError>,
        through: Through,
    ) -> Result<(), WriteError> {
        match thread.state()? {
            State::Busy => return Ok(()),
            State::Free => {}
            State::Done(through) => self.release(through),
        }
        let now = jiff::Timestamp::now().as_millisecond();
        let mut due = self.pending.take(through, &self.catalog.definitions, now);
        if let Some(progress) = &mut self.progress
            && let Some(reached) = progress.advance(through, now)
        {
            due.get_or_insert_default().batch.progress = Some(reached);
        }
        let restores = self.pending.has_just_caught_up();
        if let Some(due) = due {
            return thread.give(Work {
                due,
                through,
                restores,
            });
        }
        if let Some(restored) = self.restored.as_ref().filter(|_| restores) {
            restored.caught_up();
        }
        self.release(through);
        Ok(())
    }

    fn release(&mut self, through: Through) {
        self.written_open.release(through.complete);
        self.written_finals.release(through.all());
    }
}

/// What the thread beside the worker writes with.
struct WriterThread {
    writer: Box<dyn Writer>,
    catalog: Arc<Catalog>,
    /// Rows that are made and written at a time.
    rows: usize,
    restored: Option<Arc<Restored>>,
    telemetry: Arc<Telemetry>,
}

impl WriterThread {
    fn write(&mut self, work: Work) -> Result<Through, WriteError> {
        let Work {
            mut due,
            through,
            restores,
        } = work;
        let closes = due.rows.iter().any(|put| put.became.is_final);
        if closes {
            fail_point("close.write");
        }
        let mut more = true;
        while more {
            more = due.fill(self.rows, &self.catalog.definitions);
            let started = Instant::now();
            self.writer.write(&due.batch)?;
            report(&self.telemetry, &due.batch, started.elapsed());
            if let Some(restored) = &self.restored {
                restored.written(&due.batch.puts);
            }
            due.batch = Batch {
                epoch: due.batch.epoch,
                made_at: due.batch.made_at,
                ..Batch::default()
            };
        }
        if closes {
            fail_point("close.written");
        }
        if let Some(restored) = self.restored.as_ref().filter(|_| restores) {
            restored.caught_up();
        }
        Ok(through)
    }
}

/// Reports to the telemetry what has been written.
fn report(telemetry: &Telemetry, batch: &Batch, took: Duration) {
    let mut tables: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for row in &batch.puts {
        tables.entry(row.id.table).or_default().0 += 1;
        telemetry.busiest(row.id.table, row);
    }
    for row in &batch.deletes {
        telemetry.forget(row);
        tables.entry(row.table).or_default().1 += 1;
    }
    for (table, (puts, deletes)) in tables {
        telemetry.rows_written(table, puts, deletes);
    }
    telemetry.dead_letters_written(batch.dead_letters.len() as u64);
    telemetry.batch_written(
        took.as_secs_f64(),
        (batch.puts.len() + batch.deletes.len()) as u64,
    );
}
